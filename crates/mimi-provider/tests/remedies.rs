//! A hub asks a user's provider for a remedy: signed, once, within its budget, and without learning anything about the
//! account. The provider decides at its own moments, and what it decides shows in each pseudonym at a moment of its own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use http::Method;
use mimi_abuse::remedy::{
    HomeRemedy, RemedyReceipt, RemedyRequest, RemedyRequestTbs, RemovalRequest, RemovalRequestTbs, Wanted,
};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Entropy, SigningKey, UserUri};
use mimi_wire::{
    Problem, Wire,
    local::{self, *},
};
use support::{
    SUITE, Shown, World, domain, problem,
    remedy::{key_of_b, shown, tbs},
};

const PATH: &str = "/mimi/v1/requestRemedy/a.example";

async fn send(world: &World, request: &RemedyRequest) -> Result<Vec<u8>, Problem> {
    let (status, body) = world.send(world.peer_b(), Method::POST, PATH, request.encode()).await;
    if status == 200 { Ok(body) } else { Err(problem(status, &body)) }
}

async fn pseudonyms(world: &World, shown: Shown<'_>, count: u16) -> Result<Vec<UserUri>, Problem> {
    let given: Result<PseudonymsResponse, _> =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count }).await;
    given.map(|given| given.pseudonyms)
}

fn rows(world: &World, table: &str) -> Vec<String> {
    world.dump().into_iter().filter(|row| row.starts_with(&format!("{table}:"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_taken_once_and_answered_alike_for_everybody() {
    let world = World::start("remedy").await;
    let _b = world.run_b().await;
    let alice = world.register("alice").await;
    let token = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let pseudonym = pseudonyms(&world, token, 1).await.unwrap().remove(0);
    let nobody = UserUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let key = key_of_b(&world);
    let sign = |tbs: RemedyRequestTbs| RemedyRequest::sign(tbs, SUITE, &key).unwrap();

    // The same octets but for the id, whether there is such a user, and whether it was asked before.
    let request = sign(tbs(&world, &pseudonym, Wanted::Suspend));
    let receipt = send(&world, &request).await.unwrap();
    assert_eq!(receipt, RemedyReceipt { id: request.tbs().id }.encode());
    assert_eq!(send(&world, &request).await.unwrap(), receipt);
    let unknown = sign(tbs(&world, &nobody, Wanted::Delete));
    assert_eq!(send(&world, &unknown).await.unwrap(), RemedyReceipt { id: unknown.tbs().id }.encode());
    assert_eq!(rows(&world, "remedy_requests").len(), 2);

    // Forged, for another provider's user, in another hub's name, too old, or by nobody.
    let stranger = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let forged = RemedyRequest::sign(tbs(&world, &pseudonym, Wanted::Delete), SUITE, &stranger).unwrap();
    assert_eq!(send(&world, &forged).await, Err(Problem::SignatureInvalid));
    let foreign = "mimi://c.example/u/cathy".parse().unwrap();
    assert_eq!(send(&world, &sign(tbs(&world, &foreign, Wanted::Suspend))).await, Err(Problem::ForeignUser));
    let mut other_hub = tbs(&world, &pseudonym, Wanted::Suspend);
    other_hub.hub = domain("c.example");
    assert_eq!(send(&world, &sign(other_hub)).await, Err(Problem::ForeignUser));
    let mut stale = tbs(&world, &pseudonym, Wanted::Suspend);
    stale.made_at = world.now.before(Duration::from_secs(8 * 86_400));
    assert_eq!(send(&world, &sign(stale)).await, Err(Problem::Malformed));
    let mut about_other = tbs(&world, &pseudonym, Wanted::Suspend);
    about_other.evidence = vec![shown(&nobody)];
    assert_eq!(send(&world, &sign(about_other)).await, Err(Problem::Malformed));
    let (status, body) = world.send(Shown::default(), Method::POST, PATH, request.encode()).await;
    assert_eq!(problem(status, &body), Problem::FromMissing);
    let elsewhere = "/mimi/v1/requestRemedy/b.example";
    let (status, body) = world.send(world.peer_b(), Method::POST, elsewhere, request.encode()).await;
    assert_eq!(problem(status, &body), Problem::NotFound);
    assert_eq!(rows(&world, "remedy_requests").len(), 2);

    // A hub has a budget; what was taken within it is still acknowledged.
    for _ in 0..98 {
        send(&world, &sign(tbs(&world, &nobody, Wanted::Suspend))).await.unwrap();
    }
    assert_eq!(send(&world, &sign(tbs(&world, &nobody, Wanted::Suspend))).await, Err(Problem::RateLimited));
    assert_eq!(send(&world, &request).await.unwrap(), receipt);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_decides_at_its_own_moment_and_may_be_asked_to_reverse() {
    let mut world = World::start("remedy-decided").await;
    // Begin a minute after a moment at which is decided.
    world.offset = 86_460 - i64::try_from(world.now.as_secs() % 86_400).unwrap();
    world.restart().await;
    let b = world.run_b().await;
    let key = key_of_b(&world);
    let alice = world.register("alice").await;
    let token = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let names = pseudonyms(&world, token, 20).await.unwrap();
    let innocent = world.register("innocent").await;
    let innocent_token = Shown { token: Some(&innocent.device_token), ..Shown::default() };
    let request = RemedyRequest::sign(tbs(&world, &names[0], Wanted::Suspend), SUITE, &key).unwrap();
    send(&world, &request).await.unwrap();
    assert!(pseudonyms(&world, token, 1).await.is_ok(), "nothing is decided yet");
    assert!(rows(&world, "account_decisions").is_empty());

    // A day later it is decided: no new pseudonyms for this account, and none of another is touched.
    world.offset += 25 * 3600;
    world.restart().await;
    world.wait_for(|rows| rows.iter().any(|row| row.starts_with("account_decisions:"))).await;
    assert_eq!(pseudonyms(&world, token, 1).await, Err(Problem::Forbidden));
    assert!(pseudonyms(&world, innocent_token, 1).await.is_ok());
    let explained = rows(&world, "account_decisions").remove(0);
    assert!(explained.contains("suspend (weight ") && explained.contains("b.example: +"), "{explained}");
    assert!(!explained.contains("mimi://"), "no name stands beside the account: {explained}");
    let silenced = rows(&world, "silenced_users");
    assert_eq!(silenced.len(), 22, "each name of the account, the account's own among them");
    let mut moments: Vec<_> = silenced.iter().map(|row| row.rsplit("Integer(").nth(1).unwrap().to_owned()).collect();
    moments.sort_unstable();
    moments.dedup();
    assert!(moments.len() > 15, "each has a moment of its own: {}", moments.len());

    // The hub takes it back; a day later nothing is left of it.
    let reversal = RemedyRequest::sign(tbs(&world, &names[0], Wanted::Reversal), SUITE, &key).unwrap();
    b.end().await;
    let _b = world.run_b().await;
    send(&world, &reversal).await.unwrap();
    world.offset += 25 * 3600;
    world.restart().await;
    world.wait_for(|rows| !rows.iter().any(|row| row.starts_with("account_decisions:"))).await;
    assert!(pseudonyms(&world, token, 1).await.is_ok());
    assert!(rows(&world, "silenced_users").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_asked_for_by_the_users_own_provider_and_by_nobody_else() {
    let world = World::start("removals-refused").await;
    let _b = world.run_b().await;
    let key = key_of_b(&world);
    let bob = UserUri::pseudonym(&domain("b.example"), OsEntropy.bits128());
    let room: mimi_pseudonym::RoomUri = "mimi://a.example/r/club".parse().unwrap();
    let good = RemovalRequestTbs {
        id: OsEntropy.bits128(),
        home: domain("b.example"),
        subject: bob,
        room: room.clone(),
        made_at: world.present(),
    };
    let says = async |shown: Shown<'_>, path_of: &mimi_pseudonym::RoomUri, tbs: RemovalRequestTbs, key: &SigningKey| {
        let request = RemovalRequest::sign(tbs, SUITE, key).unwrap();
        let path = support::with_room("/mimi/v1/requestRemoval", path_of);
        let (status, body) = world.send(shown, Method::POST, &path, request.encode()).await;
        problem(status, &body)
    };
    let b = world.peer_b();
    assert_eq!(
        says(b, &room, good.clone(), &key).await,
        Problem::UnknownRoom,
        "in order, and there is nobody to remove"
    );
    let stranger = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    assert_eq!(says(b, &room, good.clone(), &stranger).await, Problem::SignatureInvalid);
    let alice = RemovalRequestTbs { subject: "mimi://a.example/u/alice".parse().unwrap(), ..good.clone() };
    assert_eq!(says(b, &room, alice, &key).await, Problem::ForeignUser);
    let other_home = RemovalRequestTbs { home: domain("c.example"), ..good.clone() };
    assert_eq!(says(b, &room, other_home, &key).await, Problem::ForeignUser);
    let other_room = RemovalRequestTbs { room: "mimi://a.example/r/other".parse().unwrap(), ..good.clone() };
    assert_eq!(says(b, &room, other_room, &key).await, Problem::Malformed);
    let stale = RemovalRequestTbs { made_at: world.now.before(Duration::from_secs(8 * 86_400)), ..good.clone() };
    assert_eq!(says(b, &room, stale, &key).await, Problem::Malformed);
    let elsewhere = "mimi://b.example/r/club".parse().unwrap();
    assert_eq!(says(b, &elsewhere, good.clone(), &key).await, Problem::NotHub);
    assert_eq!(says(Shown::default(), &room, good, &key).await, Problem::FromMissing);
    assert!(rows(&world, "hub_removals").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_deleted_ends_with_its_last_moment_and_not_while_an_appeal_waits() {
    let mut world = World::start("ended").await;
    let alice = world.register("alice").await;
    let token = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let names = pseudonyms(&world, token, 3).await.unwrap();
    let operator = |world: &World| {
        let config = mimi_provider::Config::load(&world.folder.join("a.example/provider.toml")).unwrap();
        mimi_provider::operate::Operator::open(config).unwrap()
    };
    operator(&world).set_remedy("alice", Some(HomeRemedy::Delete), world.present()).unwrap();
    let appeal = AppealRequest { text: "I am innocent".into() };
    let standing: Standing = world.post(token, local::APPEAL_PATH, &appeal).await.unwrap();
    assert_eq!((standing.remedy, standing.appeal), (StandingRemedy::Deleted, AppealState::Open));
    assert_eq!(rows(&world, "silenced_users").len(), 4);
    world.offset = 15 * 86_400;
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let standing: Standing = world.post(token, local::APPEAL_PATH, &appeal).await.unwrap();
    assert_eq!(standing.appeal, AppealState::Open, "while it waits, nothing is deleted");
    operator(&world).answer_appeal("alice", false).unwrap();
    world.restart().await;
    let names: Vec<String> = names.iter().map(|name| name.name().to_owned()).collect();
    let left = |row: &String| row.contains("u/alice") || names.iter().any(|name| row.contains(name));
    world.wait_for(|rows| !rows.iter().any(left)).await;
    let refused: Result<Standing, _> = world.post(token, local::APPEAL_PATH, &appeal).await;
    assert_eq!(refused, Err(Problem::Unauthorized));
}
