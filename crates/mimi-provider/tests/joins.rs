//! Joining by a link, leaving, and knocking, over real TLS: what a hub gives out, to whom, and what it refuses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use http::Method;
use mimi_credential::CertificateChain;
use mimi_mls::{
    CommitBundle, HpkeKeyPair, Identity, Opened, Room, RoomPreview, UnverifiedRoom, Wanted, open_with_label,
};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Content, DisclosureFormat, Entropy, RoomUri, Signer, SigningKey, UserUri};
use mimi_room::{How, JoinLinkPolicy, RoomState};
use mimi_wire::{
    Credential, FanoutEvent, GROUP_INFO_ENCRYPTION_LABEL, GroupInfoOption, GroupInfoRatchetTreeTbe, GroupInfoRequest,
    GroupInfoRequestTbs, GroupInfoResponse, Problem, RatchetTreeOption, SubmitMessageRequest, SubmitMessageResponse,
    UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse, UpdateOutcome, UpdateRequest, UpdateRoomResponse, Wire,
    directory::percent_encode,
    local::{self, *},
};
use ring::digest::{SHA256, digest};
use support::{SUITE, Shown, World, domain};

const CODE: [u8; 16] = [7; 16];

fn with_room(base: &str, room: &RoomUri) -> String {
    format!("{base}/{}", percent_encode(room.as_str()))
}

fn sha256(octets: &[u8]) -> [u8; 32] {
    digest(&SHA256, octets).as_ref().try_into().unwrap()
}

/// A credential for a user from the device's provider.
async fn identity(world: &World, shown: Shown<'_>, subject: &UserUri) -> Identity {
    let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let tbs = CredentialItemTbs {
        subject: subject.clone(),
        cipher_suite: SUITE,
        public_key: key.public_key().clone(),
        disclose: vec![],
        format: DisclosureFormat::X509,
    };
    let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key).unwrap().into()] };
    let mut issued: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &request).await.unwrap();
    let chain = CertificateChain::try_from(issued.items.remove(0).leaf).unwrap();
    Identity::new(SUITE, key, chain, &world.trust, world.now).unwrap()
}

/// A device of a new account, and a pseudonym of it.
struct Person {
    token: DeviceToken,
    pseudonym: UserUri,
    to_b: bool,
    read: u64,
}

impl Person {
    async fn new(world: &World, handle: &str, to_b: bool) -> Self {
        let registered = world.register_at(Shown { to_b, ..Shown::default() }, handle).await;
        let token = registered.device_token;
        let shown = Shown { token: Some(&token), to_b, ..Shown::default() };
        let request = PseudonymsRequest { count: 1 };
        let given: PseudonymsResponse = world.post(shown, local::PSEUDONYMS_PATH, &request).await.unwrap();
        Self { pseudonym: given.pseudonyms[0].clone(), token, to_b, read: 0 }
    }

    fn shown(&self) -> Shown<'_> {
        Shown { token: Some(&self.token), to_b: self.to_b, ..Shown::default() }
    }

    async fn identity(&self, world: &World) -> Identity {
        identity(world, self.shown(), &self.pseudonym).await
    }

    /// What is new in the inbox; waits for something if `wait` is set.
    async fn inbox(&mut self, world: &World, wait: bool) -> Vec<FanoutEvent> {
        let millis = if wait { 20_000 } else { 0 };
        let path = format!("{}?after={}&wait={millis}", local::INBOX_PATH, self.read);
        let (status, body) = world.send(self.shown(), Method::GET, &path, vec![]).await;
        assert_eq!(status, 200);
        let events = InboxResponse::decode(&body).unwrap().events;
        self.read = events.last().map_or(self.read, |event| event.sequence);
        let event = |event: InboxEvent| match event.body {
            InboxBody::Fanout { message, .. } => Some(message.event),
            _ => None,
        };
        events.into_iter().filter_map(event).collect()
    }

    /// Reads until an event comes that is wanted.
    async fn until(&mut self, world: &World, wanted: impl Fn(&FanoutEvent) -> bool) -> FanoutEvent {
        loop {
            if let Some(found) = self.inbox(world, true).await.into_iter().find(&wanted) {
                return found;
            }
        }
    }

    async fn update(&self, world: &World, room: &RoomUri, request: &UpdateRequest) -> Result<UpdateOutcome, Problem> {
        let path = with_room(local::UPDATE_PATH, room);
        world.post::<UpdateRoomResponse>(self.shown(), &path, request).await.map(|response| response.outcome)
    }

    async fn commit(&self, world: &World, room: &RoomUri, bundle: CommitBundle) -> Result<UpdateOutcome, Problem> {
        self.update(world, room, &commit(bundle)).await
    }

    async fn say(&self, world: &World, room: &mut Room, text: &[u8]) -> SubmitMessageResponse {
        let content = Content { media_type: "text/plain".into(), body: text.to_vec() };
        let message = room.seal(&content).unwrap().try_into().unwrap();
        let request = SubmitMessageRequest { message, sending_user: self.pseudonym.clone() };
        let path = with_room(local::SUBMIT_MESSAGE_PATH, room.uri());
        world.post(self.shown(), &path, &request).await.unwrap()
    }

    async fn links(
        &self,
        world: &World,
        room: &RoomUri,
        operation: JoinLinkOperation,
    ) -> Result<Vec<JoinLinkEntry>, Problem> {
        let request = JoinLinksRequest { participant: self.pseudonym.clone(), operation };
        let path = with_room(local::JOIN_LINKS_PATH, room);
        world.post::<JoinLinksResponse>(self.shown(), &path, &request).await.map(|response| response.links)
    }

    /// Asks for the GroupInfo of a room.
    async fn ask(
        &self,
        world: &World,
        room: &RoomUri,
        identity: &Identity,
        code: Option<&[u8]>,
    ) -> Result<Option<RoomPreview>, Problem> {
        let keys = HpkeKeyPair::generate(SUITE, &mut OsEntropy).unwrap();
        let path = with_room(local::GROUP_INFO_PATH, room);
        let request = request(identity, keys.public_key(), code);
        let answer: UnverifiedGroupInfoResponse = world.post(self.shown(), &path, &request).await?;
        let given = match answer.verify(room).unwrap() {
            GroupInfoResponse::Success(given) => given,
            GroupInfoResponse::NotAuthorized { .. } => return Ok(None),
            other => panic!("{other:?}"),
        };
        let sealed = &given.encrypted_group_info_and_tree;
        let opened = open_with_label(&keys, GROUP_INFO_ENCRYPTION_LABEL, room.as_str().as_bytes(), sealed).unwrap();
        let opened = GroupInfoRatchetTreeTbe::decode(&opened).unwrap();
        let RatchetTreeOption::Full(tree) = opened.ratchet_tree else { panic!("no tree") };
        let unverified = UnverifiedRoom::new(opened.group_info, tree);
        let preview = unverified.verify(room, &given.hub_sender, identity.clone(), &world.trust, world.now);
        Ok(Some(preview.unwrap()))
    }

    /// Joins a room; the outcome is that of the external commit.
    async fn join(
        &self,
        world: &World,
        room: &RoomUri,
        code: Option<&[u8]>,
    ) -> Result<(Room, Result<UpdateOutcome, Problem>), &'static str> {
        let identity = self.identity(world).await;
        let preview = self.ask(world, room, &identity, code).await.unwrap().ok_or("not authorized")?;
        let how = if code.is_some() { How::JoinCode } else { How::ExternalCommit };
        let (room, bundle) = preview.join(how, &world.trust, world.now).unwrap();
        let outcome = self.commit(world, room.uri(), bundle).await;
        Ok((room, outcome))
    }
}

fn commit(bundle: CommitBundle) -> UpdateRequest {
    UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    }
}

fn request(identity: &Identity, public_key: &[u8], code: Option<&[u8]>) -> UnverifiedGroupInfoRequest {
    let tbs = GroupInfoRequestTbs {
        cipher_suite: SUITE,
        requesting_signature_key: identity.signer().public_key().clone(),
        requesting_credential: Credential::x509(identity.certificates().certificates().to_vec()),
        group_info_public_key: public_key.to_vec(),
        joining_code: code.map(<[u8]>::to_vec),
    };
    GroupInfoRequest::sign(tbs, identity.signer()).unwrap().into()
}

/// Creates a room of Alice's at a.example.
async fn found(world: &World, alice: &Person, state: impl FnOnce(RoomUri, UserUri) -> RoomState) -> (RoomUri, Room) {
    let (_, info) = world.send(alice.shown(), Method::GET, local::INFO_PATH, vec![]).await;
    let hub = ProviderInfo::decode(&info).unwrap().hub_senders.into_iter().find(|hub| hub.cipher_suite == SUITE);
    let uri = RoomUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let state = state(uri.clone(), alice.pseudonym.clone());
    let (room, first) = Room::create(alice.identity(world).await, state, &hub.unwrap().sender, world.now).unwrap();
    let create =
        CreateRoomRequest { room: uri.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
    world.post::<Accepted>(alice.shown(), local::ROOMS_PATH, &create).await.unwrap();
    (uri, room)
}

fn multiuser(room: RoomUri, user: UserUri) -> RoomState {
    RoomState::by_link(room, user, JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() }).unwrap()
}

fn create(code: &[u8], uses: Option<u32>, lifetime_secs: Option<u32>) -> JoinLinkOperation {
    JoinLinkOperation::Create { code_hash: sha256(code), role: RoomState::PARTICIPANT, uses, lifetime_secs }
}

fn is_commit(event: &FanoutEvent) -> bool {
    matches!(event, FanoutEvent::Commit { .. })
}

fn is_message(event: &FanoutEvent) -> bool {
    matches!(event, FanoutEvent::Application { .. })
}

/// Goes along with what has come.
fn open(room: &mut Room, event: FanoutEvent, world: &World) -> Opened {
    let message = match event {
        FanoutEvent::Application { message, .. } => message.into_message(),
        FanoutEvent::Commit { commit, .. } => commit.into_message(),
        FanoutEvent::Proposal { proposal, .. } => proposal.into_message(),
        other => panic!("{other:?}"),
    };
    room.open(&message, &world.trust, world.now).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bob_joins_by_a_link_from_another_provider_and_leaves() {
    let world = World::start("joins").await;
    let b = world.run_b().await;
    let (mut alice, mut bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", true).await);
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    let made = alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    assert_eq!((made[0].uses_left, made[0].role), (None, RoomState::PARTICIPANT));
    assert!(!world.dump().iter().any(|row| row.contains(&format!("{CODE:?}"))), "the code itself is not stored");

    let (mut bobs, outcome) = bob.join(&world, &uri, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
    let joined = alice.until(&world, is_commit).await;
    assert!(matches!(open(&mut alices, joined, &world), Opened::Commit { .. }));
    assert!(matches!(alice.say(&world, &mut alices, b"welcome").await, SubmitMessageResponse::Accepted { .. }));
    let heard = bob.until(&world, is_message).await;
    assert!(matches!(open(&mut bobs, heard, &world), Opened::Content { .. }));

    // He leaves: proposals that wait. From then on he may say nothing, and hears nothing.
    let mut proposals = bobs.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
    let leave = UpdateRequest::Proposal { proposal: proposals.next().unwrap(), more: proposals.collect() };
    let outcome = bob.update(&world, &uri, &leave).await;
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })));
    let again = bob.update(&world, &uri, &leave).await;
    assert_eq!(again, outcome, "the same request once more gets the same answer");
    let identity = bob.identity(&world).await;
    assert!(bob.ask(&world, &uri, &identity, None).await.unwrap().is_none(), "nor is he told anything");
    alice.read = 0;
    let proposed = alice.until(&world, |event| matches!(event, FanoutEvent::Proposal { .. })).await;
    let FanoutEvent::Proposal { proposal, more } = proposed else { panic!("no proposal") };
    assert!(matches!(alice.say(&world, &mut alices, b"farewell").await, SubmitMessageResponse::Accepted { .. }));
    // A commit without them is refused.
    let omitting = alices.commit(Wanted::default()).unwrap();
    assert_eq!(alice.commit(&world, &uri, omitting).await, Ok(UpdateOutcome::NotAllowed));
    alices.commit_refused();
    for proposal in std::iter::once(proposal).chain(more) {
        alices.open(proposal.message(), &world.trust, world.now).unwrap();
    }
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(matches!(alice.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let out = bob.until(&world, is_commit).await;
    assert!(matches!(open(&mut bobs, out, &world), Opened::Removed { .. }));
    bob.read = 0;
    let seen = bob.inbox(&world, false).await;
    assert_eq!(seen.iter().filter(|event| is_message(event)).count(), 1, "no message came after he had left");
    assert!(!alices.state().participants().iter().any(|(user, _)| *user == bob.pseudonym));
    b.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_not_good() {
    let world = World::start("codes").await;
    let (alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (uri, _) = found(&world, &alice, multiuser).await;
    let other = found(&world, &alice, multiuser).await.0;
    let nowhere = RoomUri::pseudonym(&domain("a.example"), [9; 16]);
    alice.links(&world, &uri, create(&CODE, Some(1), Some(3600))).await.unwrap();
    alice.links(&world, &uri, create(&[1; 16], None, None)).await.unwrap();
    alice.links(&world, &other, create(&[2; 16], None, None)).await.unwrap();
    let revoked = JoinLinkOperation::Revoke { code_hash: sha256(&[1; 16]) };
    assert_eq!(alice.links(&world, &uri, revoked).await.unwrap().len(), 1);

    let identity = bob.identity(&world).await;
    let keys = HpkeKeyPair::generate(SUITE, &mut OsEntropy).unwrap();
    let mut answers = Vec::new();
    // Revoked, guessed, of another room, none at all; and no such room.
    for (room, code) in [
        (&uri, Some([1; 16])),
        (&uri, Some([3; 16])),
        (&uri, Some([2; 16])),
        (&uri, None),
        (&nowhere, Some([3; 16])),
        (&nowhere, None),
    ] {
        let request = request(&identity, keys.public_key(), code.as_ref().map(<[u8; 16]>::as_slice));
        let path = with_room(local::GROUP_INFO_PATH, room);
        let (status, body) = world.send(bob.shown(), Method::POST, &path, request.encode()).await;
        let answer = UnverifiedGroupInfoResponse::decode(&body).unwrap().verify(room).unwrap();
        assert_eq!(answer, GroupInfoResponse::NotAuthorized { room: room.clone() });
        answers.push((status, body.len()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the same, whatever the reason");
    // Guessing is slowed down, whether there is such a room or not.
    let mut last = Ok(None);
    for _ in 0..20 {
        last = bob.ask(&world, &nowhere, &identity, Some(&[4; 16])).await.map(|given| given.map(|_| ()));
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(Problem::RateLimited));
    let with_code = bob.ask(&world, &uri, &identity, Some(&CODE)).await;
    assert_eq!(with_code.err(), Some(Problem::RateLimited), "not even with the right one");
    // Somebody else is not concerned, and the code has one use.
    let cathy = Person::new(&world, "cathy", false).await;
    assert!(cathy.join(&world, &uri, Some(&CODE)).await.is_ok_and(|(_, outcome)| outcome.is_ok()));
    let late = Person::new(&world, "late", false).await;
    assert_eq!(late.join(&world, &uri, Some(&CODE)).await.err(), Some("not authorized"), "it is used up");
    assert!(alice.links(&world, &uri, JoinLinkOperation::List).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_race_for_the_last_use_one_gets_in() {
    let world = World::start("race").await;
    let (alice, bob, cathy) = (
        Person::new(&world, "alice", false).await,
        Person::new(&world, "bob", false).await,
        Person::new(&world, "cathy", false).await,
    );
    let (uri, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, Some(1), None)).await.unwrap();
    let (bobs, cathys) = (bob.identity(&world).await, cathy.identity(&world).await);
    // Both were given the GroupInfo, while one use was left.
    let bobs = bob.ask(&world, &uri, &bobs, Some(&CODE)).await.unwrap().unwrap();
    let cathys = cathy.ask(&world, &uri, &cathys, Some(&CODE)).await.unwrap().unwrap();
    let bobs = bobs.join(How::JoinCode, &world.trust, world.now).unwrap().1;
    let cathys = cathys.join(How::JoinCode, &world.trust, world.now).unwrap().1;
    let (one, other) = tokio::join!(bob.commit(&world, &uri, bobs), cathy.commit(&world, &uri, cathys));
    let accepted = |outcome: &Result<UpdateOutcome, Problem>| matches!(outcome, Ok(UpdateOutcome::Accepted { .. }));
    assert!(accepted(&one) != accepted(&other), "{one:?} {other:?}");
    // Whoever was slower tries again in the new epoch, with the visit that it still has, and without.
    let (loser, token) = if accepted(&one) { (&cathy, &CODE) } else { (&bob, &CODE) };
    assert_eq!(loser.join(&world, &uri, Some(token)).await.err(), Some("not authorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_without_having_asked_or_makes_links_without_the_right() {
    let world = World::start("unasked").await;
    let (alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (uri, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let identity = bob.identity(&world).await;
    let preview = bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
    let (_, bundle) = preview.join(How::JoinCode, &world.trust, world.now).unwrap();
    // The device is not the joiner's.
    assert_eq!(alice.commit(&world, &uri, bundle.clone()).await, Err(Problem::ForeignUser));
    // Another provider has nothing to do with it.
    let path = with_room("/mimi/v1/update", &uri);
    let answer = world.post::<UpdateRoomResponse>(world.peer_b(), &path, &commit(bundle.clone())).await;
    assert!(matches!(answer, Ok(UpdateRoomResponse { outcome: UpdateOutcome::NotAllowed, .. })), "{answer:?}");
    assert!(matches!(bob.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    // A participant may not make links, nor see or revoke them; nor may anybody in another's name.
    for operation in
        [create(&[5; 16], None, None), JoinLinkOperation::List, JoinLinkOperation::Revoke { code_hash: sha256(&CODE) }]
    {
        assert_eq!(bob.links(&world, &uri, operation.clone()).await, Err(Problem::Forbidden));
        let request = JoinLinksRequest { participant: alice.pseudonym.clone(), operation };
        let path = with_room(local::JOIN_LINKS_PATH, &uri);
        let forged = world.post::<JoinLinksResponse>(bob.shown(), &path, &request).await;
        assert_eq!(forged.err(), Some(Problem::ForeignUser));
    }
    let nobody =
        JoinLinkOperation::Create { code_hash: [0; 32], role: RoomState::ADMIN, uses: None, lifetime_secs: None };
    assert_eq!(alice.links(&world, &uri, nobody).await, Err(Problem::Forbidden), "links are for one role");
}

#[tokio::test(flavor = "multi_thread")]
async fn knockers_are_heard_by_moderators_alone_and_once() {
    let world = World::start("knock").await;
    let b = world.run_b().await;
    let mut alice = Person::new(&world, "alice", false).await;
    // Two who knock at the same provider, and one at the hub's own.
    let mut bob = Person::new(&world, "bob", true).await;
    let mut cathy = Person::new(&world, "cathy", true).await;
    let mut near = Person::new(&world, "near", false).await;
    let target = RoomUri::pseudonym(&domain("a.example"), [8; 16]);
    let (uri, mut alices) = found(&world, &alice, |room, user| RoomState::knock(room, target, user).unwrap()).await;
    let mut rooms = Vec::new();
    for person in [&bob, &cathy, &near] {
        let (room, outcome) = person.join(&world, &uri, None).await.unwrap();
        assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
        rooms.push(room);
        let joined = alice.until(&world, is_commit).await;
        open(&mut alices, joined, &world);
    }
    // Bob and Cathy go along until they are where Near is.
    for (person, at, others) in [(&mut bob, 0, 2), (&mut cathy, 1, 1)] {
        let mut followed = 0;
        while followed < others {
            for event in person.inbox(&world, true).await {
                if is_commit(&event) && matches!(open(&mut rooms[at], event, &world), Opened::Commit { .. }) {
                    followed += 1;
                }
            }
        }
    }
    for (person, room) in [&bob, &cathy, &near].into_iter().zip(&mut rooms) {
        assert!(matches!(person.say(&world, room, b"let me in").await, SubmitMessageResponse::Accepted { .. }));
        let heard = alice.until(&world, is_message).await;
        assert!(matches!(open(&mut alices, heard, &world), Opened::Content { .. }));
        assert_eq!(person.say(&world, room, b"please").await, SubmitMessageResponse::NotAllowed, "one each");
    }
    for person in [&mut bob, &mut cathy, &mut near] {
        person.read = 0;
        assert!(!person.inbox(&world, false).await.iter().any(is_message), "they do not hear each other");
    }
    b.end().await;
}
