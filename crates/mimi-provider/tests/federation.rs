//! Two providers over real TLS: what a device asks of its own reaches the other, and what a hub fans out arrives.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use http::Method;
use mimi_mls::{NewKeyPackage, Opened, Room, UnverifiedKeyPackage, Wanted};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Content, Entropy, RoomUri};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{
    AppDataDictionary, ClientMaterial, Credential, FanoutEvent, GroupInfoOption, IdentifierQueryCode,
    IdentifierRequest, IdentifierResponse, KeyMaterialRequest, KeyMaterialRequestTbs, KeyMaterialResponse,
    KeyMaterialUserCode, QueryElement, RatchetTreeOption, RequiredCapabilities, SearchField, SubmitMessageRequest,
    SubmitMessageResponse, UpdateOutcome, UpdateRequest, UpdateRoomResponse, Wire,
    local::{self, *},
};
use support::{SUITE, Shown, World, domain, identity, with_room};

const DAY: Duration = Duration::from_secs(86_400);

async fn inbox(world: &World, shown: Shown<'_>, after: u64) -> Vec<InboxEvent> {
    let path = format!("{}?after={after}&wait=20000", local::INBOX_PATH);
    let (status, body) = world.send(shown, Method::GET, &path, vec![]).await;
    assert_eq!(status, 200);
    InboxResponse::decode(&body).unwrap().events
}

/// That KeyPackages are few is told besides.
fn is_fanout(event: &InboxEvent) -> bool {
    matches!(event.body, InboxBody::Fanout { .. })
}

fn event(event: &InboxEvent) -> &FanoutEvent {
    match &event.body {
        InboxBody::Fanout { message, .. } => &message.event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bob_is_found_added_and_written_to_while_his_provider_comes_and_goes() {
    let world = World::start("federation").await;
    let b = world.run_b().await;
    let anybody_b = Shown { to_b: true, ..Shown::default() };
    let bob = world.register_at(anybody_b, "bob").await;
    let bob_shown = Shown { token: Some(&bob.device_token), ..anybody_b };
    let bob_identity = identity(&world, bob_shown, &bob.user).await;
    let (not_before, not_after) = (world.now.before(DAY), world.now.after(DAY * 80));
    let fresh = NewKeyPackage::create(&bob_identity, KeyPackagePurpose::InitialOnly, not_before, not_after).unwrap();
    let upload = UploadKeyPackages { owner: bob.user.clone(), key_packages: vec![fresh.key_package.clone()] };
    world.post::<UploadResponse>(bob_shown, local::KEY_PACKAGES_PATH, &upload).await.unwrap();

    let alice = world.register("alice").await;
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let given: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await.unwrap();
    let pseudonym = given.pseudonyms[0].clone();
    let alice_identity = identity(&world, shown, &pseudonym).await;
    let element = QueryElement { field: SearchField::Handle, value: "im:bob@b.example".into() };
    let request = IdentifierRequest { elements: vec![element], extensions: AppDataDictionary::default() };
    let query = LocalIdentifierQuery { domain: domain("b.example"), request };
    let found: IdentifierResponse = world.post(shown, local::IDENTIFIER_QUERY_PATH, &query).await.unwrap();
    assert_eq!((found.code, found.uris.as_slice()), (IdentifierQueryCode::Success, [bob.user.clone()].as_slice()));

    let (_, info) = world.send(shown, Method::GET, local::INFO_PATH, vec![]).await;
    let hub = ProviderInfo::decode(&info).unwrap().hub_senders.remove(0);
    let uri = RoomUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let state = RoomState::connection(uri.clone(), pseudonym.clone()).unwrap();
    let (mut room, first) = Room::create(alice_identity, state, &hub.sender, world.now).unwrap();
    let create =
        CreateRoomRequest { room: uri.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
    world.post::<Accepted>(shown, local::ROOMS_PATH, &create).await.unwrap();

    let tbs = KeyMaterialRequestTbs {
        requesting_user: pseudonym.clone(),
        target_user: bob.user.clone(),
        room: Some(uri.clone()),
        acceptable_cipher_suites: vec![SUITE.code()],
        required_capabilities: RequiredCapabilities::new(vec![], vec![], vec![]),
        requester_signature_key: room.identity().signer().public_key().as_bytes().to_vec(),
        requester_credential: Credential::x509(room.identity().certificates().certificates().to_vec()),
    };
    let request = KeyMaterialRequest::sign(tbs, room.identity().signer()).unwrap().into();
    let request = HubKeyMaterialRequest { hub: None, request };
    let material: KeyMaterialResponse = world.post(shown, local::KEY_MATERIAL_PATH, &request).await.unwrap();
    assert_eq!(material.status(), KeyMaterialUserCode::Success);
    assert!(world.dump().iter().any(|row| row.starts_with("hub_kp_routes:")));
    let ClientMaterial::KeyPackage(key_package) = material.into_clients().remove(0).material else { panic!("none") };
    let verified = UnverifiedKeyPackage::new(key_package).verify(&bob.user, SUITE, &world.trust, world.now).unwrap();

    // Bob's provider is down while he is added.
    b.end().await;
    let add = ParticipantListUpdate::add(bob.user.clone(), RoomState::RECIPIENT).encode();
    let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, add)];
    let bundle = room.commit(Wanted { updates, add: vec![verified], remove: vec![] }).unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    let answer: UpdateRoomResponse = world.post(shown, &with_room(local::UPDATE_PATH, &uri), &update).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    room.commit_accepted(&world.trust, world.now).unwrap();
    let content = Content { media_type: "text/plain".into(), body: b"hello".to_vec() };
    let message = room.seal(&content).unwrap().try_into().unwrap();
    let submit = SubmitMessageRequest { message, sending_user: pseudonym };
    let at = with_room(local::SUBMIT_MESSAGE_PATH, &uri);
    let answer: SubmitMessageResponse = world.post(shown, &at, &submit).await.unwrap();
    assert!(matches!(answer, SubmitMessageResponse::Accepted { .. }));
    assert!(!world.dump().iter().any(|row| row.starts_with("hub_kp_routes:")), "a route is used once");

    let _b = world.run_b().await;
    let mut events = inbox(&world, bob_shown, 0).await;
    while events.iter().filter(|event| is_fanout(event)).count() < 2 {
        events = [inbox(&world, bob_shown, events.last().unwrap().sequence).await, events].concat();
        events.sort_by_key(|event| event.sequence);
    }
    assert!(matches!(&events[0].body, InboxBody::KeyPackagesLow { user } if *user == bob.user));
    events.retain(is_fanout);
    assert_eq!(events.len(), 2, "Welcome and message, once each");
    let FanoutEvent::Welcome { welcome, ratchet_tree: RatchetTreeOption::Full(tree) } = event(&events[0]) else {
        panic!("no Welcome with its tree")
    };
    let (trust, now) = (&world.trust, world.now);
    let mut joined = Room::join(bob_identity, &fresh.secret, &uri, welcome, tree, trust, now).unwrap();
    let FanoutEvent::Application { message, .. } = event(&events[1]) else { panic!("no message") };
    match joined.open(message.message(), trust, now).unwrap() {
        Opened::Content { content: received, .. } => assert_eq!(received, content),
        other => panic!("{other:?}"),
    }

    // And back, through his provider to the hub.
    let message = joined.seal(&content).unwrap().try_into().unwrap();
    let submit = SubmitMessageRequest { message, sending_user: bob.user.clone() };
    let before = inbox(&world, shown, 0).await;
    let waiting = inbox(&world, shown, before.last().unwrap().sequence);
    let (answer, arrived) = tokio::join!(world.post::<SubmitMessageResponse>(bob_shown, &at, &submit), waiting);
    assert!(matches!(answer, Ok(SubmitMessageResponse::Accepted { .. })));
    assert_eq!(arrived.len(), 1, "a long poll ends when something arrives");
    let echo = inbox(&world, bob_shown, events[1].sequence).await;
    assert_eq!(echo.len(), 1, "his own message comes back to him");
    let left = with_room(local::ROOMS_PATH, &uri);
    let (status, _) = world.send(bob_shown, Method::DELETE, &left, vec![]).await;
    assert_eq!(status, 204);
    for _ in 0..100 {
        if !world.dump().iter().any(|row| row.starts_with("outbox:")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("something still waits for Bob's provider");
}
