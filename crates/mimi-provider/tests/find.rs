//! Finding users: who is found by what, and who is not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use mimi_pseudonym::{UserUri, Wire};
use mimi_wire::{
    AppDataDictionary, FieldSource, IdentifierQueryCode as Code, IdentifierRequest, IdentifierResponse, QueryElement,
    SearchField as Field,
    directory::percent_encode,
    local::{self, LocalIdentifierQuery, ProfileEntry, RegisterResponse, SetProfile, Visibility},
};

use support::{Shown, World, domain};

fn element(field: Field, value: &str) -> QueryElement {
    QueryElement { field, value: value.into() }
}

fn claim(name: &str) -> Field {
    Field::OidcStdClaim(name.into())
}

fn property(name: &str) -> Field {
    Field::VcardField(name.into())
}

async fn set(world: &World, who: &RegisterResponse, entries: &[(Field, &str, Visibility)]) {
    let entries = entries.iter().map(|(field, value, visibility)| ProfileEntry {
        field: field.clone(),
        value: (*value).into(),
        visibility: *visibility,
    });
    let profile = SetProfile { entries: entries.collect() };
    let shown = Shown { token: Some(&who.device_token), ..Shown::default() };
    let (status, body) = world.send(shown, http::Method::POST, local::PROFILE_PATH, profile.encode()).await;
    assert_eq!(status, 204, "{}", String::from_utf8_lossy(&body));
}

async fn ask(world: &World, elements: &[QueryElement]) -> IdentifierResponse {
    let request = IdentifierRequest { elements: elements.to_vec(), extensions: AppDataDictionary::default() };
    let at = format!("/mimi/v1/identifierQuery/{}", percent_encode("a.example"));
    world.post(world.peer_b(), &at, &request).await.unwrap()
}

async fn found(world: &World, elements: &[QueryElement]) -> Vec<UserUri> {
    ask(world, elements).await.uris
}

/// The draft's three: one who wants to be found, one who is found by who has the exact handle, one who is not.
async fn three(world: &World) -> [RegisterResponse; 3] {
    let [alice, bob, cathy] =
        [world.register("alice").await, world.register("bob").await, world.register("cathy").await];
    let open = Visibility::Searchable;
    let entries = [
        (Field::Handle, "", open),
        (Field::Nick, "wonder", open),
        (Field::Email, "alice@mail.example", Visibility::Exact),
        (Field::Phone, "+12125551212", Visibility::Exact),
        (claim("given_name"), "Alice", open),
        (claim("family_name"), "Liddell", open),
        (property("ORG"), "Tea Party", open),
        (property("NOTE"), "a secret of hers", Visibility::Hidden),
    ];
    set(world, &alice, &entries).await;
    set(world, &cathy, &[(Field::Handle, "", Visibility::Hidden), (claim("name"), "Cathy", Visibility::Hidden)]).await;
    [alice, bob, cathy]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_search_finds_what_lets_itself_be_found_by_it() {
    let world = World::start("find-kinds").await;
    let [alice, bob, _] = three(&world).await;
    let alice = vec![alice.user];
    for (field, value) in [
        (Field::Handle, "im:alice@a.example"),
        (Field::Handle, "im:Alice@A.example"),
        (Field::Nick, "wonder"),
        (Field::Nick, "alice"),
        (Field::Email, "Alice@mail.example"),
        (Field::Phone, "+12125551212"),
        (Field::PartialName, "lid"),
        (Field::PartialName, "LICE"),
        (Field::WholeProfile, "tea p"),
        (claim("given_name"), "Alice"),
        (claim("Given_Name"), "Alice"),
        (property("org"), "Tea Party"),
    ] {
        assert_eq!(found(&world, &[element(field.clone(), value)]).await, alice, "{field:?} {value}");
    }
    for (field, value) in [
        (Field::Handle, "alice@a.example"),
        (Field::Handle, "im:alice@b.example"),
        (Field::Handle, "im:alic@a.example"),
        (Field::Nick, "wond"),
        (Field::Email, "mail.example"),
        (Field::Phone, "12125551212"),
        (Field::PartialName, "tea party"),
        (Field::WholeProfile, "secret"),
        (Field::WholeProfile, "mail.example"),
        (claim("given_name"), "alice"),
        (claim("family_name"), "Lid"),
        (property("NOTE"), "a secret of hers"),
        (claim("org"), "Tea Party"),
    ] {
        let answer = ask(&world, &[element(field.clone(), value)]).await;
        assert_eq!((answer.code, answer.uris), (Code::NotFound, vec![]), "{field:?} {value}");
    }
    // Who has said nothing is found by the whole handle alone, and by the nickname that is its first part.
    assert_eq!(found(&world, &[element(Field::Handle, "im:bob@a.example")]).await, std::slice::from_ref(&bob.user));
    assert_eq!(found(&world, &[element(Field::Nick, "bob")]).await, [bob.user]);
    assert_eq!(found(&world, &[element(Field::WholeProfile, "bob")]).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_element_has_to_match() {
    let world = World::start("find-and").await;
    let [alice, bob, _] = three(&world).await;
    set(&world, &bob, &[(claim("given_name"), "Alice", Visibility::Searchable)]).await;
    let given = element(claim("given_name"), "Alice");
    assert_eq!(found(&world, std::slice::from_ref(&given)).await, [alice.user.clone(), bob.user]);
    assert_eq!(
        found(&world, &[given.clone(), element(claim("family_name"), "Liddell")]).await,
        std::slice::from_ref(&alice.user)
    );
    assert_eq!(found(&world, &[given.clone(), element(property("ORG"), "Tea Party")]).await, [alice.user]);
    assert_eq!(found(&world, &[given.clone(), element(property("ORG"), "Coffee Party")]).await, []);
    assert_eq!(ask(&world, &vec![given; 9]).await.code, Code::Forbidden, "more elements than are answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_hidden_is_answered_for_as_who_does_not_exist() {
    let world = World::start("find-hidden").await;
    three(&world).await;
    for (hidden, nobody) in [
        (element(Field::Handle, "im:cathy@a.example"), element(Field::Handle, "im:nemo1@a.example")),
        (element(Field::Nick, "cathy"), element(Field::Nick, "nemo1")),
        (element(claim("name"), "Cathy"), element(claim("name"), "Nemo1")),
        (element(Field::PartialName, "cathy"), element(Field::PartialName, "nemo1")),
    ] {
        let (one, other) = (ask(&world, &[hidden]).await, ask(&world, &[nobody]).await);
        assert_eq!(one, other);
        assert_eq!(one.code, Code::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_listed_by_what_fits_many() {
    let world = World::start("find-many").await;
    for number in 0..21 {
        let one = world.register(&format!("club{number}")).await;
        set(&world, &one, &[(claim("name"), &format!("Clubber {number}"), Visibility::Searchable)]).await;
    }
    let answer = ask(&world, &[element(Field::PartialName, "clubber")]).await;
    assert_eq!((answer.code, answer.uris, answer.profiles), (Code::Ambiguous, vec![], vec![]));
    assert_eq!(ask(&world, &[element(Field::PartialName, "cl")]).await.code, Code::Ambiguous, "too short a part");
    assert_eq!(found(&world, &[element(Field::PartialName, "clubber 2")]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_found_shows_what_is_searchable_and_nothing_else() {
    let world = World::start("find-shown").await;
    let [alice, bob, _] = three(&world).await;
    let request =
        IdentifierRequest { elements: vec![element(Field::Nick, "wonder")], extensions: AppDataDictionary::default() };
    let local = LocalIdentifierQuery { domain: domain("a.example"), request };
    let shown = Shown { token: Some(&bob.device_token), ..Shown::default() };
    let answer: IdentifierResponse = world.post(shown, local::IDENTIFIER_QUERY_PATH, &local).await.unwrap();
    assert_eq!(answer.code, Code::Success);
    let fields = &answer.profiles[0].fields;
    let fields: Vec<_> =
        fields.iter().map(|field| (field.source, field.name.as_str(), String::from_utf8_lossy(&field.value))).collect();
    let expected = [
        (FieldSource::OidcStdClaim, "family_name", "Liddell".into()),
        (FieldSource::OidcStdClaim, "given_name", "Alice".into()),
        (FieldSource::VcardField, "org", "Tea Party".into()),
    ];
    assert_eq!(fields, expected);
    // Setting it again puts the new in place of the old.
    set(&world, &alice, &[]).await;
    assert_eq!(found(&world, &[element(Field::Handle, "im:alice@a.example")]).await, []);
}
