//! What an operator has done in a room by the program's command line, while the provider runs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{path::Path, process::Command};

use mimi_pseudonym::{RoomUri, UserUri};
use mimi_wire::{Problem, SubmitMessageResponse, local::JoinLinkOperation};
use support::{World, free_address, people::*};

/// Runs the program; what it prints on standard error, if it refuses.
async fn program(config: &Path, words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimi-provider"));
    command.arg("room").args(words).arg("--config").arg(config);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}

fn may_say(answer: &SubmitMessageResponse) -> bool {
    matches!(answer, SubmitMessageResponse::Accepted { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_kept_in_order_from_the_command_line() {
    let world = World::start("orders").await;
    let config = world.folder.join("a.example/provider.toml");
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let cathy = Person::new(&world, "cathy", false).await;
    let (uri, [_, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    let order = async |verb: &str, user: &UserUri, more: &[&str]| {
        program(&config, &[&[verb, uri.as_str(), user.as_str()], more].concat()).await
    };
    order("mute", &bob.pseudonym, &[]).await.unwrap();
    assert!(!may_say(&bob.say(&world, &mut bobs, b"hello").await));
    assert!(may_say(&cathy.say(&world, &mut cathys, b"hello").await));
    order("unmute", &bob.pseudonym, &[]).await.unwrap();
    assert!(may_say(&bob.say(&world, &mut bobs, b"hello").await));
    let said = order("unmute", &bob.pseudonym, &[]).await.unwrap_err();
    assert!(said.contains("nothing to take back"), "{said}");
    order("mute", &bob.pseudonym, &["--seconds", "0"]).await.unwrap();
    assert!(may_say(&bob.say(&world, &mut bobs, b"it has ended by itself").await));
    order("kick", &cathy.pseudonym, &[]).await.unwrap();
    assert!(!may_say(&cathy.say(&world, &mut cathys, b"hello").await));
    order("ban", &bob.pseudonym, &["--seconds", "3600"]).await.unwrap();
    let identity = bob.identity(&world).await;
    assert!(bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().is_none());
    order("unban", &bob.pseudonym, &[]).await.unwrap();

    let said = program(&config, &["destroy", uri.as_str()]).await.unwrap_err();
    assert!(said.contains("--yes"), "{said}");
    program(&config, &["destroy", uri.as_str(), "--yes"]).await.unwrap();
    assert_eq!(alice.links(&world, &uri, JoinLinkOperation::List).await, Err(Problem::UnknownRoom));
    let said = program(&config, &["destroy", uri.as_str(), "--yes"]).await.unwrap_err();
    assert!(said.contains("no such room"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_order_is_said() {
    let world = World::start("disorder").await;
    let config = world.folder.join("a.example/provider.toml");
    let (room, user) = ("mimi://a.example/r/club", "mimi://b.example/u/bob");
    let kick = async |room: &str, more: &[&str]| program(&config, &[&["kick", room, user], more].concat()).await;
    let said = kick("mimi://b.example/r/club", &[]).await.unwrap_err();
    assert!(said.contains("only its hub"), "{said}");
    assert!("mimi://b.example/r/club".parse::<RoomUri>().is_ok());
    let nowhere = free_address().to_string();
    let said = kick(room, &["--address", &nowhere]).await.unwrap_err();
    assert!(said.contains("no provider answers") && said.contains(&nowhere), "{said}");
    // The provider was started with another token than the one that stands there now.
    let token = world.folder.join("a.example/operator.token");
    std::fs::write(&token, "6b".repeat(32)).unwrap();
    let said = kick(room, &[]).await.unwrap_err();
    assert!(said.contains("does not know this token"), "{said}");
    std::fs::write(&token, "no token").unwrap();
    let said = kick(room, &[]).await.unwrap_err();
    assert!(said.contains("operator.token"), "{said}");
    let text = std::fs::read_to_string(&config).unwrap().replace("operator_token = \"operator.token\"\n", "");
    std::fs::write(&config, text).unwrap();
    let said = kick(room, &[]).await.unwrap_err();
    assert!(said.contains("operator_token"), "{said}");
}
