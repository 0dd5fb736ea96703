//! Consent between providers, and the KeyPackages that it lets out (draft-ietf-mimi-protocol-06, sections 5.2, 5.7 and 8).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use mimi_mls::{Identity, NewKeyPackage};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Entropy, RoomUri, Signer, UserUri};
use mimi_room::KeyPackagePurpose;
use mimi_wire::{
    AppDataDictionary, ClientMaterial, ConsentEntry, ConsentOperation, ConsentScope, Credential, KeyMaterialRequest,
    KeyMaterialRequestTbs, KeyMaterialResponse, KeyMaterialUserCode as Code, KeyPackage, Problem, RequiredCapabilities,
    Wire,
    directory::percent_encode,
    local::{self, *},
};
use support::{SUITE, Shown, World, domain, identity, problem};

const DAY: Duration = Duration::from_secs(86_400);

fn device(token: &DeviceToken) -> Shown<'_> {
    Shown { token: Some(token), ..Shown::default() }
}

fn user(text: &str) -> UserUri {
    text.parse().unwrap()
}

fn bob() -> UserUri {
    user("mimi://b.example/u/bob")
}

fn room(name: &str) -> RoomUri {
    format!("mimi://b.example/r/{name}").parse().unwrap()
}

fn fresh(world: &World, identity: &Identity, purpose: KeyPackagePurpose) -> KeyPackage {
    let (not_before, not_after) = (world.now.before(DAY), world.now.after(DAY * 80));
    NewKeyPackage::create(identity, purpose, not_before, not_after).unwrap().key_package
}

async fn stock(world: &World, shown: Shown<'_>, identity: &Identity, purpose: KeyPackagePurpose, count: usize) {
    let key_packages = (0..count).map(|_| fresh(world, identity, purpose)).collect();
    let upload = UploadKeyPackages { owner: identity.user().clone(), key_packages };
    world.post::<UploadResponse>(shown, local::KEY_PACKAGES_PATH, &upload).await.unwrap();
}

/// A signed request by a user of b.example.
fn wanted(world: &World, by: &UserUri, of: &UserUri, room: Option<RoomUri>, extensions: &[u16]) -> KeyMaterialRequest {
    let (key, chain) = world.client_b(by);
    let tbs = KeyMaterialRequestTbs {
        requesting_user: by.clone(),
        target_user: of.clone(),
        room,
        acceptable_cipher_suites: vec![SUITE.code()],
        required_capabilities: RequiredCapabilities::new(extensions.to_vec(), vec![], vec![]),
        requester_signature_key: key.public_key().as_bytes().to_vec(),
        requester_credential: Credential::x509(chain.certificates().to_vec()),
    };
    KeyMaterialRequest::sign(tbs, &key).unwrap()
}

async fn fetch(world: &World, by: &UserUri, of: &UserUri, room: Option<RoomUri>) -> KeyMaterialResponse {
    let at = format!("/mimi/v1/keyMaterial/{}", percent_encode(of.as_str()));
    let request: mimi_wire::UnverifiedKeyMaterialRequest = wanted(world, by, of, room, &[]).into();
    world.post(world.peer_b(), &at, &request).await.unwrap()
}

fn entry(operation: ConsentOperation, requester: &UserUri, target: &UserUri, room: Option<RoomUri>) -> ConsentEntry {
    let scope = ConsentScope { requester: requester.clone(), target: target.clone(), room };
    ConsentEntry { scope, operation, extensions: AppDataDictionary::default() }
}

/// What a device says; status and problem.
async fn say(world: &World, shown: Shown<'_>, entry: &ConsentEntry) -> Result<(), Problem> {
    let (status, body) = world.send(shown, Method::POST, local::CONSENT_PATH, entry.encode()).await;
    if status == 201 { Ok(()) } else { Err(problem(status, &body)) }
}

fn grant() -> ConsentOperation {
    ConsentOperation::Grant { key_packages: Vec::new() }
}

/// What b.example sends about consent; status and body.
async fn send(world: &World, endpoint: &str, about: &UserUri, entry: &ConsentEntry) -> (u16, Vec<u8>) {
    let at = format!("/mimi/v1/{endpoint}/{}", percent_encode(about.as_str()));
    world.send(world.peer_b(), Method::POST, &at, entry.encode()).await
}

async fn ask(world: &World, entry: &ConsentEntry) -> (u16, Vec<u8>) {
    send(world, "requestConsent", &entry.scope.target, entry).await
}

/// What the inbox says of consent.
async fn told(world: &World, shown: Shown<'_>) -> Vec<ConsentEntry> {
    let path = format!("{}?after=0&wait=0", local::INBOX_PATH);
    let (_, body) = world.send(shown, Method::GET, &path, vec![]).await;
    let events = InboxResponse::decode(&body).unwrap().events.into_iter();
    events
        .filter_map(|event| match event.body {
            InboxBody::Consent { entry } => Some(entry),
            _ => None,
        })
        .collect()
}

fn given(response: &KeyMaterialResponse) -> Vec<Vec<u8>> {
    let clients = response.clients().iter();
    clients
        .filter_map(|client| match &client.material {
            ClientMaterial::KeyPackage(key_package) => Some(key_package.encode()),
            _ => None,
        })
        .collect()
}

/// Alice with one device and KeyPackages of both kinds.
async fn alice(world: &World) -> RegisterResponse {
    let alice = world.register("alice").await;
    let shown = device(&alice.device_token);
    let identity = identity(world, shown, &alice.user).await;
    stock(world, shown, &identity, KeyPackagePurpose::InitialOnly, 3).await;
    stock(world, shown, &identity, KeyPackagePurpose::Any, 3).await;
    alice
}

async fn no_blanket(world: &World, shown: Shown<'_>) {
    let settings = ConsentSettings { initial_connections: false };
    let (status, _) = world.send(shown, Method::POST, local::CONSENT_SETTINGS_PATH, settings.encode()).await;
    assert_eq!(status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_is_for_one_room_or_for_any_and_can_be_taken_back() {
    let world = World::start("consent-scopes").await;
    let _b = world.run_b().await;
    let alice = alice(&world).await;
    let shown = device(&alice.device_token);
    let code = async |room: Option<RoomUri>| fetch(&world, &bob(), &alice.user, room).await.status();
    assert_eq!(code(None).await, Code::Success, "anybody may connect, if nothing else was said");
    no_blanket(&world, shown).await;
    assert_eq!(code(None).await, Code::NoConsent);
    assert_eq!(code(Some(room("club"))).await, Code::NoConsent);

    say(&world, shown, &entry(grant(), &bob(), &alice.user, Some(room("club")))).await.unwrap();
    assert_eq!(code(Some(room("club"))).await, Code::Success);
    assert_eq!(code(Some(room("pub"))).await, Code::NoConsentForThisRoom);
    assert_eq!(code(None).await, Code::NoConsent);
    let cathy = user("mimi://b.example/u/cathy");
    assert_eq!(fetch(&world, &cathy, &alice.user, Some(room("club"))).await.status(), Code::NoConsent);

    say(&world, shown, &entry(grant(), &bob(), &alice.user, None)).await.unwrap();
    assert_eq!(code(Some(room("pub"))).await, Code::Success);
    // What was said for one room counts there.
    say(&world, shown, &entry(ConsentOperation::Revoke, &bob(), &alice.user, Some(room("pub")))).await.unwrap();
    assert_eq!(code(Some(room("pub"))).await, Code::NoConsent);
    // For any room is for every one.
    say(&world, shown, &entry(ConsentOperation::Revoke, &bob(), &alice.user, None)).await.unwrap();
    for room in [None, Some(room("club")), Some(room("pub"))] {
        assert_eq!(code(room).await, Code::NoConsent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_denied_before_asking_gets_nothing_and_is_not_heard() {
    let world = World::start("consent-denied").await;
    let alice = alice(&world).await;
    let shown = device(&alice.device_token);
    say(&world, shown, &entry(ConsentOperation::Revoke, &bob(), &alice.user, None)).await.unwrap();
    let refused = fetch(&world, &bob(), &alice.user, None).await;
    assert_eq!(refused.status(), Code::NoConsent, "not even what everybody else gets");
    let asked = entry(ConsentOperation::Request, &bob(), &alice.user, Some(room("club")));
    let heard = ask(&world, &asked).await;
    assert_eq!(told(&world, shown).await, []);
    let nobody = user("mimi://a.example/u/nobody");
    assert_eq!(heard, ask(&world, &entry(ConsentOperation::Request, &bob(), &nobody, None)).await);
    let of_nobody = fetch(&world, &bob(), &nobody, None).await;
    assert_eq!((of_nobody.status(), of_nobody.clients()), (refused.status(), refused.clients()));
    let cathy = user("mimi://b.example/u/cathy");
    assert_eq!(fetch(&world, &cathy, &alice.user, None).await.status(), Code::Success, "nobody else is meant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_told_once_can_be_cancelled_and_is_answered_on_all_devices() {
    let world = World::start("consent-told").await;
    let _b = world.run_b().await;
    let alice = alice(&world).await;
    let phone = device(&alice.device_token);
    let code = AddDeviceRequest { enrolment_code: alice.enrolment_code.clone(), device_name: "tablet".into() };
    let tablet: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &code).await.unwrap();
    let tablet = device(&tablet.device_token);
    let asked = entry(ConsentOperation::Request, &bob(), &alice.user, Some(room("club")));
    let cancelled = entry(ConsentOperation::Cancel, &bob(), &alice.user, Some(room("club")));
    for _ in 0..3 {
        assert_eq!(ask(&world, &asked).await.0, 201);
    }
    // A cancel for another scope takes nothing back.
    assert_eq!(ask(&world, &entry(ConsentOperation::Cancel, &bob(), &alice.user, None)).await.0, 201);
    assert_eq!(told(&world, phone).await, std::slice::from_ref(&asked));
    assert_eq!(ask(&world, &cancelled).await.0, 201);
    assert_eq!(ask(&world, &asked).await.0, 201);
    let expected = [asked.clone(), cancelled, asked];
    assert_eq!(told(&world, phone).await, expected);
    assert_eq!(told(&world, tablet).await, expected);

    let granted = entry(grant(), &bob(), &alice.user, None);
    say(&world, phone, &granted).await.unwrap();
    assert_eq!(told(&world, phone).await.len(), 3);
    assert_eq!(told(&world, tablet).await[3..], [granted]);
    assert!(!world.dump().iter().any(|row| row.starts_with("consent_requests:")), "a grant for any room answers it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_fill_neither_inbox_nor_database() {
    let mut world = World::start("consent-thousand").await;
    world.configure("[limits]\npeer_consents = 2000\n").await;
    let alice = alice(&world).await;
    let nobody = user("mimi://a.example/u/nobody");
    let mut answers = BTreeSet::new();
    for number in 0..1000 {
        let requester = user(&format!("mimi://b.example/u/bob{number}"));
        let target = if number % 10 == 9 { &nobody } else { &alice.user };
        answers.insert(ask(&world, &entry(ConsentOperation::Request, &requester, target, None)).await);
    }
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), [(201, vec![])], "nobody is told that it was too many");
    assert_eq!(told(&world, device(&alice.device_token)).await.len(), 100);
    let kept = world.dump().iter().filter(|row| row.starts_with("consent")).count();
    assert_eq!(kept, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_in_a_minute_are_heard() {
    let mut world = World::start("consent-rates").await;
    world.configure("[limits]\npeer_consents = 5\ndevice_consents = 4\npeer_queries = 3\ndevice_queries = 2\n").await;
    let alice = alice(&world).await;
    let shown = device(&alice.device_token);
    let asked = entry(ConsentOperation::Request, &bob(), &alice.user, None);
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(ask(&world, &asked).await.0);
    }
    assert_eq!(statuses, [201, 201, 201, 201, 201, 429, 429]);
    let revoked = entry(ConsentOperation::Revoke, &bob(), &alice.user, None);
    let mut said = Vec::new();
    for _ in 0..5 {
        said.push(say(&world, shown, &revoked).await);
    }
    assert_eq!(said, [Ok(()), Ok(()), Ok(()), Ok(()), Err(Problem::RateLimited)]);
    let element = mimi_wire::QueryElement { field: mimi_wire::SearchField::Nick, value: "x".into() };
    let query = mimi_wire::IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
    let at = format!("/mimi/v1/identifierQuery/{}", percent_encode("a.example"));
    let local = LocalIdentifierQuery { domain: domain("a.example"), request: query.clone() };
    let (mut peer, mut own) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        peer.push(world.send(world.peer_b(), Method::POST, &at, query.encode()).await.0);
        own.push(world.send(shown, Method::POST, local::IDENTIFIER_QUERY_PATH, local.encode()).await.0);
    }
    assert_eq!((peer, own), (vec![200, 200, 200, 429], vec![200, 200, 429, 429]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_for_someone_else() {
    let world = World::start("consent-foreign").await;
    let alice = alice(&world).await;
    let cathy = world.register("cathy").await;
    let (shown, stranger) = (device(&alice.device_token), user("mimi://c.example/u/cathy"));
    let before = world.dump();
    for (operation, requester, target) in [
        (grant(), bob(), cathy.user.clone()),
        (ConsentOperation::Revoke, bob(), cathy.user.clone()),
        (ConsentOperation::Request, cathy.user.clone(), bob()),
        (ConsentOperation::Cancel, bob(), alice.user.clone()),
        (grant(), alice.user.clone(), bob()),
    ] {
        let refused = say(&world, shown, &entry(operation.clone(), &requester, &target, None)).await;
        assert_eq!(refused, Err(Problem::ForeignUser), "{operation:?}");
    }
    let own = say(&world, shown, &entry(grant(), &alice.user, &alice.user, None)).await;
    assert_eq!(own, Err(Problem::Malformed));
    // Another provider neither.
    let request = |requester: &UserUri, target: &UserUri| entry(ConsentOperation::Request, requester, target, None);
    for (endpoint, about, entry, expected) in [
        ("requestConsent", &alice.user, request(&stranger, &alice.user), Problem::ForeignUser),
        ("requestConsent", &stranger, request(&bob(), &stranger), Problem::ForeignUser),
        ("requestConsent", &cathy.user, request(&bob(), &alice.user), Problem::Malformed),
        ("requestConsent", &alice.user, entry(grant(), &bob(), &alice.user, None), Problem::Malformed),
        ("updateConsent", &alice.user, entry(grant(), &alice.user, &stranger, None), Problem::ForeignUser),
        ("updateConsent", &alice.user, request(&alice.user, &bob()), Problem::Malformed),
        ("updateConsent", &cathy.user, entry(grant(), &alice.user, &bob(), None), Problem::Malformed),
    ] {
        let (status, body) = send(&world, endpoint, about, &entry).await;
        assert_eq!(problem(status, &body), expected, "{endpoint} {entry:?}");
    }
    assert_eq!(world.dump(), before);
    assert_eq!(fetch(&world, &bob(), &cathy.user, None).await.status(), Code::NoConsent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_brings_key_packages_to_who_asked() {
    let world = World::start("consent-grant").await;
    let _b = world.run_b().await;
    let alice = alice(&world).await;
    let at_b = Shown { to_b: true, ..Shown::default() };
    let bob = world.register_at(at_b, "bob").await;
    let bob_shown = Shown { token: Some(&bob.device_token), ..at_b };
    let shown = device(&alice.device_token);
    let asked = entry(ConsentOperation::Request, &bob.user, &alice.user, None);
    say(&world, bob_shown, &asked).await.unwrap();
    assert_eq!(told(&world, shown).await, [asked]);
    let identity = identity(&world, shown, &alice.user).await;
    let key_packages = vec![fresh(&world, &identity, KeyPackagePurpose::Any)];
    let granted = entry(ConsentOperation::Grant { key_packages }, &bob.user, &alice.user, None);
    say(&world, shown, &granted).await.unwrap();
    assert_eq!(told(&world, bob_shown).await, [granted]);
    // Whom it is taken from is not told; and nobody is there to be told of a grant to a user who does not exist.
    say(&world, shown, &entry(ConsentOperation::Revoke, &bob.user, &alice.user, None)).await.unwrap();
    say(&world, shown, &entry(grant(), &user("mimi://b.example/u/nobody"), &alice.user, None)).await.unwrap();
    assert_eq!(told(&world, bob_shown).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_a_user_and_of_a_client_is_given() {
    let mut world = World::start("consent-codes").await;
    let _b = world.run_b().await;
    let alice = alice(&world).await;
    let phone = device(&alice.device_token);
    let at = format!("/mimi/v1/keyMaterial/{}", percent_encode(alice.user.as_str()));
    let first = fetch(&world, &bob(), &alice.user, None).await;
    assert_eq!((first.status(), given(&first).len()), (Code::Success, 1));

    let code = AddDeviceRequest { enrolment_code: alice.enrolment_code.clone(), device_name: "tablet".into() };
    let tablet: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &code).await.unwrap();
    let shown = device(&tablet.device_token);
    let other = identity(&world, shown, &alice.user).await;
    stock(&world, shown, &other, KeyPackagePurpose::InitialOnly, 1).await;
    let both = fetch(&world, &bob(), &alice.user, None).await;
    assert_eq!((both.status(), given(&both).len()), (Code::Success, 2), "one of each device");
    let partly = fetch(&world, &bob(), &alice.user, None).await;
    assert_eq!((partly.status(), given(&partly).len()), (Code::PartialSuccess, 1));
    assert!(partly.clients().iter().any(|client| client.material == ClientMaterial::Exhausted));
    let out = fetch(&world, &bob(), &alice.user, None).await;
    assert_eq!(out.status(), Code::NoConsent, "whoever has no consent does not learn that there are none left");

    say(&world, phone, &entry(grant(), &bob(), &alice.user, None)).await.unwrap();
    let request: mimi_wire::UnverifiedKeyMaterialRequest = wanted(&world, &bob(), &alice.user, None, &[0x7a7a]).into();
    let unfit: KeyMaterialResponse = world.post(world.peer_b(), &at, &request).await.unwrap();
    assert_eq!(unfit.status(), Code::NoCompatibleMaterial);
    assert!(unfit.clients().iter().all(|client| client.material == ClientMaterial::NothingCompatible(None)));
    assert_eq!(unfit.clients().len(), 2);
    // With consent, ordinary ones come first.
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let more = fetch(&world, &bob(), &alice.user, None).await;
        assert!(given(&more).into_iter().all(|one| seen.insert(one)), "each is given once");
    }
    assert_eq!(seen.len(), 3);
    let exhausted = fetch(&world, &bob(), &alice.user, None).await;
    assert_eq!(exhausted.status(), Code::NoCompatibleMaterial);
    assert!(exhausted.clients().iter().all(|client| client.material == ClientMaterial::Exhausted));

    let (status, body) = world.send(world.peer_b(), Method::POST, &at, vec![9, 0, 0]).await;
    assert_eq!(status, 200);
    assert_eq!(KeyMaterialResponse::decode(&body).unwrap().status(), Code::IncompatibleProtocol);
    let nobody = user("mimi://a.example/u/nobody");
    assert_eq!(fetch(&world, &bob(), &nobody, None).await.status(), Code::NoConsent);
    world.configure("unknown_users = \"told\"\n").await;
    assert_eq!(fetch(&world, &bob(), &nobody, None).await.status(), Code::UserUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_had_consent_is_told_that_a_user_was_deleted_and_nobody_else() {
    let mut world = World::start("consent-deleted").await;
    let _b = world.run_b().await;
    let alice = alice(&world).await;
    let phone = device(&alice.device_token);
    let drawn = PseudonymsRequest { count: 2 };
    let drawn: PseudonymsResponse = world.post(phone, local::PSEUDONYMS_PATH, &drawn).await.unwrap();
    let (given_to_bob, kept) = (&drawn.pseudonyms[0], &drawn.pseudonyms[1]);
    let cathy = user("mimi://b.example/u/cathy");
    for target in [&alice.user, given_to_bob] {
        say(&world, phone, &entry(grant(), &bob(), target, Some(room("one")))).await.unwrap();
    }
    let path = format!("{}?after=0&wait=0", local::INBOX_PATH);
    assert_eq!(world.send(phone, Method::GET, &path, vec![]).await.0, 200);
    world.operator("account delete alice");
    // The provider goes on, and what it knows of devices it forgets.
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while world.send(phone, Method::GET, &path, vec![]).await.0 != 401 {
        assert!(std::time::Instant::now() < until, "the device is still let in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Asked for either room or none: he knew of them.
    for target in [&alice.user, given_to_bob] {
        for room in [None, Some(room("one")), Some(room("two"))] {
            assert_eq!(fetch(&world, &bob(), target, room).await.status(), Code::UserDeleted);
        }
        assert_eq!(fetch(&world, &cathy, target, None).await.status(), Code::NoConsent);
    }
    assert_eq!(fetch(&world, &bob(), kept, None).await.status(), Code::NoConsent);
    let nobody = user("mimi://a.example/u/nobody");
    let request = |who: &UserUri| entry(ConsentOperation::Request, &bob(), who, None);
    let answers = [ask(&world, &request(&alice.user)).await, ask(&world, &request(&nobody)).await];
    assert_eq!(answers[0], answers[1], "who asks for consent is told nothing");
    let again = RegisterAccountRequest {
        handle: "alice".into(),
        display_name: String::new(),
        email: String::new(),
        device_name: "telephone".into(),
    };
    let refused = world.post::<RegisterResponse>(Shown::default(), local::REGISTER_PATH, &again).await;
    assert_eq!(refused, Err(Problem::Forbidden), "nobody gets her name");
    // Where the operator does not mind, everybody is told.
    world.configure("unknown_users = \"told\"\n").await;
    assert_eq!(fetch(&world, &cathy, &alice.user, None).await.status(), Code::UserDeleted);
    assert_eq!(fetch(&world, &cathy, kept, None).await.status(), Code::UserDeleted);
    assert_eq!(fetch(&world, &cathy, &nobody, None).await.status(), Code::UserUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_resort_is_taken_where_policy_says_and_for_connections_alone() {
    let mut world = World::start("consent-last-resort").await;
    let alice = world.register("alice").await;
    let phone = device(&alice.device_token);
    let own = identity(&world, phone, &alice.user).await;
    let drawn: PseudonymsResponse =
        world.post(phone, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await.unwrap();
    let pseudonym = identity(&world, phone, &drawn.pseudonyms[0]).await;
    let (begin, end) = (world.now.before(DAY), world.now.after(DAY * 80));
    let resort = |identity: &Identity| NewKeyPackage::last_resort(identity, begin, end).unwrap().key_package;
    let (of_alice, of_pseudonym) = (resort(&own), resort(&pseudonym));
    assert!(of_alice.is_last_resort());
    let upload = |owner: &UserUri, key_package: &KeyPackage| UploadKeyPackages {
        owner: owner.clone(),
        key_packages: vec![key_package.clone()],
    };
    let refused = |outcome: Result<UploadResponse, Problem>| outcome.err();
    let hers = upload(&alice.user, &of_alice);
    let sent = world.post(phone, local::KEY_PACKAGES_PATH, &hers).await;
    assert_eq!(refused(sent), Some(Problem::Forbidden), "off unless it is asked for");
    assert_eq!(fetch(&world, &bob(), &alice.user, None).await.status(), Code::NoConsent);

    world.configure("last_resort = \"allowed\"\n").await;
    let sent = world.post(phone, local::KEY_PACKAGES_PATH, &hers).await;
    assert_eq!(refused(sent), None);
    let sent = world.post(phone, local::KEY_PACKAGES_PATH, &upload(pseudonym.user(), &of_pseudonym)).await;
    assert_eq!(refused(sent), Some(Problem::Forbidden), "a pseudonym is in one room");
    stock(&world, phone, &own, KeyPackagePurpose::InitialOnly, 1).await;
    let mut taken = Vec::new();
    for number in 0..4 {
        let response = fetch(&world, &user(&format!("mimi://b.example/u/bob{number}")), &alice.user, None).await;
        assert_eq!(response.status(), Code::Success);
        taken.extend(given(&response));
    }
    assert_eq!(taken.iter().filter(|one| **one == of_alice.encode()).count(), 3);
    assert_ne!(taken[0], of_alice.encode(), "another one goes first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_package_is_given_once_also_at_the_same_time_and_after_a_restart() {
    let mut world = World::start("consent-once").await;
    let alice = world.register("alice").await;
    let shown = device(&alice.device_token);
    let own = identity(&world, shown, &alice.user).await;
    stock(&world, shown, &own, KeyPackagePurpose::InitialOnly, 20).await;
    let requesters: Vec<_> = (0..30).map(|number| user(&format!("mimi://b.example/u/bob{number}"))).collect();
    let one = |number: usize| fetch(&world, &requesters[number], &alice.user, None);
    let (a, b, c, d, e, f) = tokio::join!(one(0), one(1), one(2), one(3), one(4), one(5));
    let mut responses = vec![a, b, c, d, e, f];
    world.restart().await;
    for requester in requesters.iter().skip(6) {
        responses.push(fetch(&world, requester, &alice.user, None).await);
    }
    let all: Vec<_> = responses.iter().flat_map(given).collect();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (20, 20));
    let events = world.send(shown, Method::GET, &format!("{}?after=0&wait=0", local::INBOX_PATH), vec![]).await.1;
    let low = InboxResponse::decode(&events).unwrap().events;
    assert_eq!(low.len(), 2, "the device is told when two are left, and when none is");
    assert!(low.iter().all(|event| event.body == InboxBody::KeyPackagesLow { user: alice.user.clone() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn key_packages_of_many_pseudonyms_come_in_one_request_in_place_of_the_old() {
    let world = World::start("consent-batch").await;
    let alice = world.register("alice").await;
    let shown = device(&alice.device_token);
    let given: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 3 }).await.unwrap();
    let mut identities = Vec::new();
    for pseudonym in &given.pseudonyms {
        identities.push(identity(&world, shown, pseudonym).await);
    }
    let batch = || UploadBatch {
        uploads: identities
            .iter()
            .map(|identity| UploadKeyPackages {
                owner: identity.user().clone(),
                key_packages: vec![fresh(&world, identity, KeyPackagePurpose::Any)],
            })
            .collect(),
    };
    let stored = || world.dump().iter().filter(|row| row.starts_with("key_packages:")).count();
    for _ in 0..2 {
        let taken: UploadResponse = world.post(shown, local::KEY_PACKAGE_BATCH_PATH, &batch()).await.unwrap();
        assert_eq!((taken.accepted, stored()), (3, 3));
    }
    // What was claimed stays: a Welcome may still name it.
    let claim = ClaimOwnRequest { user: given.pseudonyms[0].clone(), cipher_suite_codes: vec![1], exclude: None };
    world.post::<KeyMaterialResponse>(shown, local::CLAIM_OWN_PATH, &claim).await.unwrap();
    world.post::<UploadResponse>(shown, local::KEY_PACKAGE_BATCH_PATH, &batch()).await.unwrap();
    assert_eq!(stored(), 4);
    // All or none.
    let mut foreign = batch();
    foreign.uploads[2].owner = UserUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let refused = world.post::<UploadResponse>(shown, local::KEY_PACKAGE_BATCH_PATH, &foreign).await;
    assert_eq!((refused, stored()), (Err(Problem::ForeignUser), 4));
}
