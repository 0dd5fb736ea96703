//! Bad requests over real TLS: each gets its problem and changes nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use http::Method;
use mimi_credential::CertificateChain;
use mimi_mls::{CommitBundle, Identity, NewKeyPackage, Room, Wanted};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{ClaimName, Content, DisclosureFormat, Entropy, RoomUri, Signer, SigningKey, UserUri};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{
    AppDataDictionary, CommitMessage, Credential, FanoutEvent, FanoutMessage, GroupInfoOption, IdentifierQueryCode,
    IdentifierRequest, IdentifierResponse, KeyMaterialRequest, KeyMaterialRequestTbs, KeyMaterialResponse,
    KeyMaterialUserCode, Problem, QueryElement, RatchetTreeOption, RequiredCapabilities, SearchField,
    SubmitMessageRequest, SubmitMessageResponse, UnverifiedKeyMaterialRequest, UpdateOutcome, UpdateRequest,
    UpdateRoomResponse, Wire,
    directory::{DIRECTORY_PATH, percent_encode},
    local::{self, *},
};
use support::{SUITE, Shown, World, domain, problem, with_room};

const DAY: Duration = Duration::from_secs(86_400);

fn path(endpoint: &str, value: &str) -> String {
    format!("/mimi/v1/{endpoint}/{}", percent_encode(value))
}

fn query(handle: &str) -> IdentifierRequest {
    IdentifierRequest {
        elements: vec![QueryElement { field: SearchField::Handle, value: handle.into() }],
        extensions: AppDataDictionary::default(),
    }
}

/// Alice's device with a room of her own in which Bob of b.example is.
struct Alice {
    user: UserUri,
    token: DeviceToken,
    room: Room,
    create: CreateRoomRequest,
    update: UpdateRequest,
    bundle: CommitBundle,
    key_packages: UploadKeyPackages,
    credentials: CredentialsRequest,
}

impl Alice {
    fn shown(&self) -> Shown<'_> {
        Shown { token: Some(&self.token), ..Shown::default() }
    }

    fn submit(&mut self) -> SubmitMessageRequest {
        let content = Content { media_type: "text/plain".into(), body: b"hello".to_vec() };
        let message = self.room.seal(&content).unwrap().try_into().unwrap();
        SubmitMessageRequest { message, sending_user: self.room.identity().user().clone() }
    }
}

/// Alice registers, gets a pseudonym and credentials, opens a room and adds Bob.
async fn alice_and_bob(world: &World) -> Alice {
    let registered = world.register("alice").await;
    let token = registered.device_token;
    let shown = Shown { token: Some(&token), ..Shown::default() };
    let given: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 2 }).await.unwrap();
    let pseudonym = given.pseudonyms[0].clone();
    let keys = [0, 1].map(|_| SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap());
    let item = |subject: &UserUri, key: &SigningKey| {
        let (public_key, subject) = (key.public_key().clone(), subject.clone());
        let (disclose, format) = (vec![ClaimName::Handle, ClaimName::Email], DisclosureFormat::X509);
        let tbs = CredentialItemTbs { subject, cipher_suite: SUITE, public_key, disclose, format };
        CredentialItem::sign(tbs, key).unwrap().into()
    };
    let credentials = CredentialsRequest { items: vec![item(&pseudonym, &keys[0]), item(&registered.user, &keys[1])] };
    let issued: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &credentials).await.unwrap();
    assert_eq!(issued.items[1].client, registered.client);
    assert!(issued.items[0].client.is_pseudonym() && issued.items[0].client != registered.client);
    assert!(issued.items[0].disclosure.is_some());
    let again: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &credentials).await.unwrap();
    assert_eq!(again.items[0].client, issued.items[0].client, "the same client for the same subject and key");
    let identity = |at: usize| {
        let chain = CertificateChain::try_from(issued.items[at].leaf.clone()).unwrap();
        Identity::new(SUITE, keys[at].clone(), chain, &world.trust, world.now).unwrap()
    };
    let account = identity(1);
    let (not_before, not_after) = (world.now.before(DAY), world.now.after(DAY * 80));
    let fresh = NewKeyPackage::create(&account, KeyPackagePurpose::InitialOnly, not_before, not_after).unwrap();
    let key_packages =
        UploadKeyPackages { owner: registered.user.clone(), key_packages: vec![fresh.key_package.clone()] };
    let taken: UploadResponse = world.post(shown, local::KEY_PACKAGES_PATH, &key_packages).await.unwrap();
    assert_eq!(taken.accepted, 1);

    let (_, info) = world.send(Shown::default(), Method::GET, local::INFO_PATH, vec![]).await;
    let info = ProviderInfo::decode(&info).unwrap();
    let hub = info.hub_senders.iter().find(|hub| hub.cipher_suite == SUITE).unwrap();
    let uri = RoomUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let state = RoomState::connection(uri.clone(), pseudonym.clone()).unwrap();
    let (mut room, first) = Room::create(identity(0), state, &hub.sender, world.now).unwrap();
    let create =
        CreateRoomRequest { room: uri.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
    let opened: Accepted = world.post(shown, local::ROOMS_PATH, &create).await.unwrap();
    assert_eq!(world.post(shown, local::ROOMS_PATH, &create).await, Ok(opened), "once more, the same answer");

    let bob: UserUri = "mimi://b.example/u/bob".parse().unwrap();
    let (key, chain) = world.client_b(&bob);
    let bob_identity = Identity::new(SUITE, key, chain, &world.trust, world.now).unwrap();
    let new = NewKeyPackage::create(&bob_identity, KeyPackagePurpose::InitialOnly, not_before, not_after).unwrap();
    let verified = mimi_mls::UnverifiedKeyPackage::new(new.key_package);
    let verified = verified.verify(&bob, SUITE, &world.trust, world.now).unwrap();
    let add = ParticipantListUpdate::add(bob.clone(), RoomState::RECIPIENT).encode();
    let wanted = Wanted {
        updates: vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, add)],
        add: vec![verified],
        remove: vec![],
    };
    let bundle = room.commit(wanted).unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.clone().try_into().unwrap(),
        welcome: bundle.welcome.clone(),
        group_info: GroupInfoOption::Full(bundle.group_info.clone()),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    let answer: UpdateRoomResponse = world.post(shown, &with_room(local::UPDATE_PATH, &uri), &update).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    let again: UpdateRoomResponse = world.post(shown, &with_room(local::UPDATE_PATH, &uri), &update).await.unwrap();
    assert_eq!(again, answer, "the same commit once more gets the same answer");
    room.commit_accepted(&world.trust, world.now).unwrap();
    Alice { user: registered.user, token, room, create, update, bundle, key_packages, credentials }
}

/// A request for Alice's key material by Bob of b.example, under some user's name.
fn key_material(world: &World, user: &UserUri, requesting: &UserUri) -> UnverifiedKeyMaterialRequest {
    let (key, chain) = world.client_b(user);
    let tbs = KeyMaterialRequestTbs {
        requesting_user: requesting.clone(),
        target_user: "mimi://a.example/u/alice".parse().unwrap(),
        room: None,
        acceptable_cipher_suites: vec![SUITE.code()],
        required_capabilities: RequiredCapabilities::new(vec![], vec![], vec![]),
        requester_signature_key: key.public_key().as_bytes().to_vec(),
        requester_credential: Credential::x509(chain.certificates().to_vec()),
    };
    KeyMaterialRequest::sign(tbs, &key).unwrap().into()
}

fn bob() -> UserUri {
    "mimi://b.example/u/bob".parse().unwrap()
}

fn welcome(alice: &Alice, world: &World) -> FanoutMessage {
    let event = FanoutEvent::Welcome {
        welcome: alice.bundle.welcome.clone().unwrap(),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    FanoutMessage { timestamp: world.now, event }
}

type Requests = Vec<(String, Vec<u8>)>;

/// A path and a body that is fit for it, for every endpoint that has a body: of peers, and of devices.
fn acquire() -> AcquireRequest {
    let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let (public_key, format) = (key.public_key().clone(), DisclosureFormat::X509);
    let tbs = NewPseudonymTbs { cipher_suite: SUITE, public_key, disclose: vec![], format };
    AcquireRequest { items: vec![NewPseudonym::sign(tbs, &key).unwrap().into()] }
}

fn requests(world: &World, alice: &mut Alice) -> (Requests, Requests) {
    let room = alice.room.uri().clone();
    let elsewhere = "mimi://b.example/r/club";
    let submit = alice.submit().encode();
    let material = key_material(world, &bob(), &bob());
    let peer = vec![
        (path("keyMaterial", "mimi://a.example/u/alice"), material.encode()),
        (path("update", room.as_str()), alice.update.encode()),
        (path("notify", elsewhere), welcome(alice, world).encode()),
        (path("submitMessage", room.as_str()), submit.clone()),
        (path("identifierQuery", "a.example"), query("im:alice@a.example").encode()),
    ];
    let claim_own = ClaimOwnRequest { user: alice.user.clone(), cipher_suite_codes: vec![1], exclude: None }.encode();
    let local_query = LocalIdentifierQuery { domain: domain("a.example"), request: query("im:bob@a.example") };
    let device = vec![
        (local::PSEUDONYMS_PATH.into(), PseudonymsRequest { count: 1 }.encode()),
        (local::ACQUIRE_PATH.into(), acquire().encode()),
        (local::CREDENTIALS_PATH.into(), alice.credentials.encode()),
        (local::KEY_PACKAGES_PATH.into(), alice.key_packages.encode()),
        (local::CLAIM_OWN_PATH.into(), claim_own),
        (local::ROOMS_PATH.into(), alice.create.encode()),
        (local::KEY_MATERIAL_PATH.into(), HubKeyMaterialRequest { hub: None, request: material }.encode()),
        (with_room(local::UPDATE_PATH, &room), alice.update.encode()),
        (with_room(local::SUBMIT_MESSAGE_PATH, &room), submit),
        (local::IDENTIFIER_QUERY_PATH.into(), local_query.encode()),
        (local::ACK_PATH.into(), AckRequest { up_to: 0 }.encode()),
    ];
    (peer, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_show_who_it_is_gets_nothing() {
    let world = World::start("peer").await;
    let mut alice = alice_and_bob(&world).await;
    let (peer, _) = requests(&world, &mut alice);
    let before = world.dump();
    let (b, c) = (Some(&world.b), Some(&world.c));
    let cases = [
        (b, None, Problem::FromMissing),
        (b, Some("b.example"), Problem::FromMissing),
        (b, Some("mimi@c.example"), Problem::FromMismatch),
        (c, Some("mimi@b.example"), Problem::FromMismatch),
        (None, Some("mimi@b.example"), Problem::FromMismatch),
        (c, Some("mimi@c.example"), Problem::Forbidden),
    ];
    for (path, body) in &peer {
        for (certificate, from, expected) in cases {
            let shown = Shown { certificate, from, token: Some(&alice.token), ..Shown::default() };
            let (status, answer) = world.send(shown, Method::POST, path, body.clone()).await;
            assert_eq!(problem(status, &answer), expected, "{path} {from:?}");
        }
    }
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_shows_no_token_gets_nothing() {
    let world = World::start("device").await;
    let mut alice = alice_and_bob(&world).await;
    let (_, device) = requests(&world, &mut alice);
    let before = world.dump();
    let wrong = DeviceToken::from_bytes([7; 32]);
    for (path, body) in &device {
        for token in [None, Some(&wrong)] {
            let shown = Shown { token, ..world.peer_b() };
            let (status, answer) = world.send(shown, Method::POST, path, body.clone()).await;
            assert_eq!(problem(status, &answer), Problem::Unauthorized, "{path}");
        }
    }
    let room = with_room(local::ROOMS_PATH, alice.room.uri());
    for (method, path) in [(Method::GET, local::INBOX_PATH), (Method::DELETE, room.as_str())] {
        let (status, answer) = world.send(Shown::default(), method, path, vec![]).await;
        assert_eq!(problem(status, &answer), Problem::Unauthorized, "{path}");
    }
    let code = AddDeviceRequest { enrolment_code: EnrolmentCode::from_bytes([7; 32]), device_name: "x".into() };
    let added = world.post::<RegisterResponse>(Shown::default(), local::DEVICE_PATH, &code).await;
    assert_eq!(added, Err(Problem::Unauthorized));
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailing_truncated_and_oversized_bodies_are_refused_everywhere() {
    let world = World::start("bodies").await;
    let mut alice = alice_and_bob(&world).await;
    let (peer, device) = requests(&world, &mut alice);
    let before = world.dump();
    let register = RegisterAccountRequest {
        handle: "eve".into(),
        display_name: String::new(),
        email: String::new(),
        device_name: String::new(),
    };
    let add = AddDeviceRequest { enrolment_code: EnrolmentCode::from_bytes([1; 32]), device_name: "x".into() };
    let open =
        vec![(local::REGISTER_PATH.to_owned(), register.encode()), (local::DEVICE_PATH.to_owned(), add.encode())];
    // What has a fixed length is too long with one octet more.
    let fixed = [local::PSEUDONYMS_PATH, local::ACK_PATH];
    let all = [(world.peer_b(), peer), (alice.shown(), device), (Shown::default(), open)];
    for (shown, requests) in &all {
        for (path, body) in requests {
            let send = async |body: Vec<u8>| {
                let (status, answer) = world.send(*shown, Method::POST, path, body).await;
                problem(status, &answer)
            };
            let trailing = if fixed.contains(&path.as_str()) { Problem::TooLarge } else { Problem::Malformed };
            assert_eq!(send([body.as_slice(), &[0]].concat()).await, trailing, "{path} with a trailing octet");
            assert_eq!(send(body[..body.len() - 1].to_vec()).await, Problem::Malformed, "{path} truncated");
            assert_eq!(send(vec![]).await, Problem::Malformed, "{path} empty");
            assert_eq!(send(vec![0; 33 << 20]).await, Problem::TooLarge, "{path} oversized");
            let (status, answer) =
                world.send_as(*shown, Method::POST, path, body.clone(), "text/plain", "a.example").await;
            assert_eq!(problem(status, &answer), Problem::UnsupportedMediaType, "{path}");
        }
    }
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_paths_methods_and_hosts_are_refused() {
    let world = World::start("paths").await;
    let before = world.dump();
    let peer = world.peer_b();
    for (method, path, expected) in [
        (Method::GET, "/", Problem::NotFound),
        (Method::POST, "/mimi/v1/proxyDownload/https%3A%2F%2Fmedia.example%2F1", Problem::MethodNotAllowed),
        (Method::POST, "/mimi/v1/update/nothing", Problem::Malformed),
        (Method::GET, "/mimi/v1/update/mimi%3A%2F%2Fa.example%2Fr%2Fx", Problem::MethodNotAllowed),
        (Method::POST, DIRECTORY_PATH, Problem::MethodNotAllowed),
        (Method::PUT, local::REGISTER_PATH, Problem::MethodNotAllowed),
    ] {
        let (status, answer) = world.send(peer, method, path, vec![]).await;
        assert_eq!(problem(status, &answer), expected, "{path}");
    }
    let (status, answer) = world.send_as(peer, Method::GET, DIRECTORY_PATH, vec![], "text/plain", "b.example").await;
    assert_eq!(problem(status, &answer), Problem::NotFound, "a host that is not this provider");
    let (status, directory) = world.send(Shown::default(), Method::GET, DIRECTORY_PATH, vec![]).await;
    assert_eq!(status, 200);
    let directory = mimi_wire::Directory::from_json(&directory).unwrap();
    let update = "https://a.example/mimi/v1/update/{roomId}";
    assert_eq!(directory.template(mimi_wire::Endpoint::Update), Some(update));
    let download = "https://a.example/mimi/v1/proxyDownload/{downloadUrl}";
    assert_eq!(directory.template(mimi_wire::Endpoint::ProxyDownload), Some(download));
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requester_of_another_domain_gets_no_key_material() {
    let world = World::start("material").await;
    let alice = alice_and_bob(&world).await;
    let before = world.dump();
    let at = path("keyMaterial", alice.user.as_str());
    let ask = async |request: &UnverifiedKeyMaterialRequest, at: &str| {
        world.post::<KeyMaterialResponse>(world.peer_b(), at, request).await
    };
    let own = "mimi://a.example/u/alice".parse().unwrap();
    assert_eq!(ask(&key_material(&world, &bob(), &own), &at).await, Err(Problem::ForeignUser));
    let elsewhere = "mimi://c.example/u/cathy".parse().unwrap();
    assert_eq!(ask(&key_material(&world, &bob(), &elsewhere), &at).await, Err(Problem::ForeignUser));
    let other = "mimi://b.example/u/other".parse().unwrap();
    let stolen = key_material(&world, &bob(), &other);
    assert_eq!(ask(&stolen, &at).await, Err(Problem::ForeignUser), "the credential is another user's");
    let good = key_material(&world, &bob(), &bob());
    let mut octets = good.encode();
    let last = octets.len() - 1;
    octets[last] ^= 1;
    let forged = UnverifiedKeyMaterialRequest::decode(&octets).unwrap();
    assert_eq!(ask(&forged, &at).await, Err(Problem::SignatureInvalid));
    assert_eq!(ask(&good, &path("keyMaterial", "mimi://a.example/u/bob")).await, Err(Problem::Malformed));
    assert_eq!(world.dump(), before);

    let given = ask(&good, &at).await.unwrap();
    assert_eq!((given.status(), given.clients().len()), (KeyMaterialUserCode::Success, 1));
    assert_eq!(ask(&good, &at).await.unwrap(), given, "its answer may have been lost");
    let given = ask(&key_material(&world, &other, &other), &at).await.unwrap();
    assert_eq!(
        given.status(),
        KeyMaterialUserCode::NoConsent,
        "a KeyPackage is handed out once, and that does not show"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_and_key_packages_that_are_not_known_are_named() {
    let world = World::start("unknown").await;
    let mut alice = alice_and_bob(&world).await;
    let before = world.dump();
    let (peer, device) = (world.peer_b(), alice.shown());
    let unknown: RoomUri = "mimi://a.example/r/nothing".parse().unwrap();
    let elsewhere: RoomUri = "mimi://b.example/r/club".parse().unwrap();
    let update = alice.update.clone();
    for (room, expected) in [(&unknown, Problem::UnknownRoom), (&elsewhere, Problem::NotHub)] {
        let at = path("update", room.as_str());
        assert_eq!(world.post::<UpdateRoomResponse>(peer, &at, &update).await, Err(expected));
        let at = with_room(local::UPDATE_PATH, room);
        assert_eq!(world.post::<UpdateRoomResponse>(device, &at, &update).await, Err(Problem::UnknownRoom));
        let at = with_room(local::ROOMS_PATH, room);
        let (status, answer) = world.send(device, Method::DELETE, &at, vec![]).await;
        assert_eq!(problem(status, &answer), Problem::UnknownRoom);
    }
    let welcome = welcome(&alice, &world);
    let notify = async |room: &RoomUri, message: &FanoutMessage| {
        let (status, answer) = world.send(peer, Method::POST, &path("notify", room.as_str()), message.encode()).await;
        problem(status, &answer)
    };
    assert_eq!(notify(&elsewhere, &welcome).await, Problem::UnknownKeyPackageRef);
    assert_eq!(notify(&unknown, &welcome).await, Problem::ForeignUser, "only a hub fans out");
    let submit = alice.submit();
    let event = FanoutEvent::Application { message: submit.message.clone(), frank: None };
    let message = FanoutMessage { timestamp: world.now, event };
    assert_eq!(notify(&elsewhere, &message).await, Problem::UnknownRoom);
    let at = path("submitMessage", alice.room.uri().as_str());
    let stolen = world.post::<SubmitMessageResponse>(peer, &at, &submit).await;
    assert_eq!(stolen, Err(Problem::ForeignUser), "the sender is no user of the peer");
    let absent = SubmitMessageRequest { sending_user: "mimi://b.example/u/other".parse().unwrap(), ..submit };
    let refused = world.post::<SubmitMessageResponse>(peer, &at, &absent).await;
    assert_eq!(refused, Ok(SubmitMessageResponse::NotAllowed));
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_goes_on_after_a_restart_and_repetitions_change_nothing() {
    let mut world = World::start("restart").await;
    let mut alice = alice_and_bob(&world).await;
    world.restart().await;
    let at = with_room(local::SUBMIT_MESSAGE_PATH, alice.room.uri());
    let submit = alice.submit();
    let answer: SubmitMessageResponse = world.post(alice.shown(), &at, &submit).await.unwrap();
    assert!(matches!(answer, SubmitMessageResponse::Accepted { .. }));
    let before = world.dump();
    let again: SubmitMessageResponse = world.post(alice.shown(), &at, &submit).await.unwrap();
    assert_eq!(again, answer);
    let update_at = with_room(local::UPDATE_PATH, alice.room.uri());
    let repeated: UpdateRoomResponse = world.post(alice.shown(), &update_at, &alice.update).await.unwrap();
    assert!(matches!(repeated.outcome, UpdateOutcome::Accepted { .. }));
    let late = alice.room.commit(Wanted::default()).unwrap();
    let elsewhere = UpdateRequest::Commit {
        commit: CommitMessage::try_from(late.commit.clone()).unwrap(),
        welcome: None,
        group_info: GroupInfoOption::Full(late.group_info.clone()),
        ratchet_tree: RatchetTreeOption::OutOfBand { tree_signature: vec![] },
    };
    let refused: UpdateRoomResponse = world.post(alice.shown(), &update_at, &elsewhere).await.unwrap();
    assert_eq!(refused.outcome, UpdateOutcome::NotAllowed);
    assert_eq!(world.dump(), before);

    let inbox = format!("{}?after=0&wait=1000", local::INBOX_PATH);
    let (status, events) = world.send(alice.shown(), Method::GET, &inbox, vec![]).await;
    let events = InboxResponse::decode(&events).unwrap().events;
    assert_eq!((status, events.len()), (200, 2), "her own commit and message come back to her, once");
    let last = events.last().unwrap().sequence;
    let outbox = world.dump().iter().filter(|row| row.starts_with("outbox:")).count();
    assert_eq!(outbox, 2, "Bob's provider is down: Welcome and message wait for it");

    let (status, _) =
        world.send(alice.shown(), Method::POST, local::ACK_PATH, AckRequest { up_to: last }.encode()).await;
    assert_eq!(status, 204);
    let room = with_room(local::ROOMS_PATH, alice.room.uri());
    let (status, _) = world.send(alice.shown(), Method::DELETE, &room, vec![]).await;
    assert_eq!(status, 204);
    let left = world.dump();
    let traces = left.iter().filter(|row| row.contains(alice.room.uri().as_str()));
    let tables: Vec<_> = traces.map(|row| row.split(':').next().unwrap()).collect();
    // What waits for Bob's provider; the news for Alice's device; that it has to leave the files.
    assert_eq!(tables, ["destroyed_rooms", "events", "outbox", "outbox"]);
    let gone = world.post::<SubmitMessageResponse>(alice.shown(), &at, &submit).await;
    assert_eq!(gone, Err(Problem::UnknownRoom));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_does_not_hold_is_refused() {
    let world = World::start("commit").await;
    let mut alice = alice_and_bob(&world).await;
    let at = with_room(local::UPDATE_PATH, alice.room.uri());
    let next = alice.room.commit(Wanted::default()).unwrap();
    let before = world.dump();
    let request = |commit: mimi_mls::CommitBundle, ratchet_tree| UpdateRequest::Commit {
        commit: commit.commit.try_into().unwrap(),
        welcome: commit.welcome,
        group_info: GroupInfoOption::Full(commit.group_info),
        ratchet_tree,
    };
    let foreign_info = CommitBundle { group_info: alice.bundle.group_info.clone(), ..next.clone() };
    let foreign_welcome = CommitBundle { welcome: alice.bundle.welcome.clone(), ..next.clone() };
    let hub_has_it = RatchetTreeOption::DistributionService;
    for (bundle, tree) in [
        (foreign_info, hub_has_it.clone()),
        (foreign_welcome, hub_has_it.clone()),
        (next.clone(), RatchetTreeOption::Full(alice.create.ratchet_tree.clone())),
    ] {
        let answer: UpdateRoomResponse = world.post(alice.shown(), &at, &request(bundle, tree)).await.unwrap();
        assert_eq!(answer.outcome, UpdateOutcome::NotAllowed, "{}", answer.description);
    }
    let at_peer = path("update", alice.room.uri().as_str());
    let by_peer = request(next.clone(), hub_has_it.clone());
    let answer: UpdateRoomResponse = world.post(world.peer_b(), &at_peer, &by_peer).await.unwrap();
    assert_eq!(answer.outcome, UpdateOutcome::NotAllowed, "the committer is no user of the peer");
    assert_eq!(world.dump(), before);
    let answer: UpdateRoomResponse = world.post(alice.shown(), &at, &by_peer).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    alice.room.commit_refused();
    let late = alice.room.commit(Wanted::default()).unwrap();
    let answer: UpdateRoomResponse = world.post(alice.shown(), &at, &request(late, hub_has_it)).await.unwrap();
    assert_eq!(answer.outcome, UpdateOutcome::WrongEpoch { current_epoch: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_are_found_and_registration_is_checked() {
    let world = World::start("handles").await;
    let alice = world.register("alice").await;
    let before = world.dump();
    let at = path("identifierQuery", "a.example");
    let ask = async |request: &IdentifierRequest| -> IdentifierResponse {
        world.post(world.peer_b(), &at, request).await.unwrap()
    };
    let found = ask(&query("im:alice@a.example")).await;
    assert_eq!((found.code, found.uris), (IdentifierQueryCode::Success, vec![alice.user]));
    assert_eq!(ask(&query("im:nobody@a.example")).await.code, IdentifierQueryCode::NotFound);
    let other = path("identifierQuery", "b.example");
    let other = world.post::<IdentifierResponse>(world.peer_b(), &other, &query("im:alice@a.example")).await;
    assert_eq!(other, Err(Problem::NotFound));
    for (handle, expected) in [
        ("alice", Problem::Forbidden),
        ("a/b", Problem::Malformed),
        ("~00000000-0000-0000-0000-000000000000", Problem::Malformed),
    ] {
        let request = RegisterAccountRequest {
            handle: handle.into(),
            display_name: String::new(),
            email: String::new(),
            device_name: String::new(),
        };
        let answer = world.post::<RegisterResponse>(Shown::default(), local::REGISTER_PATH, &request).await;
        assert_eq!(answer, Err(expected), "{handle}");
    }
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_connection_is_held_against_nobody() {
    let world = World::start("ended-connection").await;
    let mut alice = alice_and_bob(&world).await;
    let place = alice.room.state().participants().index_of(&bob()).unwrap();
    let off = ParticipantListUpdate { removed: vec![place], ..ParticipantListUpdate::default() };
    let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, off.encode())];
    let clients = alice.room.clients().into_iter();
    let remove: Vec<_> = clients.filter(|(user, _)| *user == bob()).map(|(_, client)| client).collect();
    assert_eq!(remove.len(), 1);
    let bundle = alice.room.commit(Wanted { updates, remove, ..Wanted::default() }).unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    let path = with_room(local::UPDATE_PATH, alice.room.uri());
    let answer: UpdateRoomResponse = world.post(alice.shown(), &path, &update).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    // In a room like any other this would be a kick.
    assert!(!world.dump().iter().any(|row| row.starts_with("abuse_facts:")));
}
