//! Texts that not every database takes are refused in the same way whatever database there is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mimi_wire::{
    Problem, QueryElement, SearchField,
    local::{self, *},
    {AppDataDictionary, IdentifierRequest, IdentifierResponse},
};
use support::{Shown, World, postgres};

async fn nul_is_refused(world: &World) {
    let register = |handle: &str, display_name: &str, device_name: &str| RegisterAccountRequest {
        handle: handle.into(),
        display_name: display_name.into(),
        email: String::new(),
        device_name: device_name.into(),
    };
    let refused = Err(Problem::Malformed);
    for request in [register("al\0ice", "", ""), register("alice", "Ali\0ce", ""), register("alice", "", "tele\0phone")]
    {
        let answer: Result<RegisterResponse, _> = world.post(Shown::default(), local::REGISTER_PATH, &request).await;
        assert_eq!(answer, refused, "{request:?}");
    }
    let alice: RegisterResponse =
        world.post(Shown::default(), local::REGISTER_PATH, &register("alice", "Alice \u{1F600}", "")).await.unwrap();
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    for (value, problem) in [("im:al\0ice@a.example", Some(Problem::Malformed)), ("im:alice@a.example", None)] {
        let element = QueryElement { field: SearchField::Handle, value: value.into() };
        let request = IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
        let query = LocalIdentifierQuery { domain: "a.example".parse().unwrap(), request };
        let answer: Result<IdentifierResponse, _> = world.post(shown, local::IDENTIFIER_QUERY_PATH, &query).await;
        assert_eq!(answer.err(), problem, "{value:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_with_nul_is_refused_on_sqlite() {
    nul_is_refused(&World::start("texts").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_with_nul_is_refused_on_postgres() {
    let Some(database) = tokio::task::spawn_blocking(|| postgres::database("texts")).await.unwrap() else { return };
    nul_is_refused(&World::start_on("texts-pg", &format!("[database]\npostgres = \"{database}\"\n")).await).await;
}
