//! People with a device each, who do by hand what a client does.

use http::Method;
use mimi_mls::{CommitBundle, HpkeKeyPair, Identity, Opened, Room, RoomPreview, UnverifiedRoom, open_with_label};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Content, Entropy, RoomUri, UserUri};
use mimi_room::{How, JoinLinkPolicy, RoomState};
use mimi_wire::{
    Credential, FanoutEvent, GROUP_INFO_ENCRYPTION_LABEL, GroupInfoOption, GroupInfoRatchetTreeTbe, GroupInfoRequest,
    GroupInfoRequestTbs, GroupInfoResponse, MlsMessage, Problem, ProposalMessage, RatchetTreeOption,
    SubmitMessageRequest, SubmitMessageResponse, UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse,
    UpdateOutcome, UpdateRequest, UpdateRoomResponse, Wire,
    local::{self, *},
};
use ring::digest::{SHA256, digest};

use super::{SUITE, Shown, World, domain, identity, with_room};

pub const CODE: [u8; 16] = [7; 16];

pub fn sha256(octets: &[u8]) -> [u8; 32] {
    digest(&SHA256, octets).as_ref().try_into().unwrap()
}

/// A device of a new account, and a pseudonym of it.
pub struct Person {
    pub token: DeviceToken,
    pub pseudonym: UserUri,
    pub to_b: bool,
    pub read: u64,
}

impl Person {
    pub async fn new(world: &World, handle: &str, to_b: bool) -> Self {
        let registered = world.register_at(Shown { to_b, ..Shown::default() }, handle).await;
        Self::of(world, registered.device_token, to_b).await
    }

    /// A device that is registered, with a new pseudonym.
    pub async fn of(world: &World, token: DeviceToken, to_b: bool) -> Self {
        let shown = Shown { token: Some(&token), to_b, ..Shown::default() };
        let request = PseudonymsRequest { count: 1 };
        let given: PseudonymsResponse = world.post(shown, local::PSEUDONYMS_PATH, &request).await.unwrap();
        Self { pseudonym: given.pseudonyms[0].clone(), token, to_b, read: 0 }
    }

    pub fn shown(&self) -> Shown<'_> {
        Shown { token: Some(&self.token), to_b: self.to_b, ..Shown::default() }
    }

    pub async fn identity(&self, world: &World) -> Identity {
        identity(world, self.shown(), &self.pseudonym).await
    }

    /// What is new in the inbox; waits for something if `wait` is set.
    pub async fn inbox(&mut self, world: &World, wait: bool) -> Vec<FanoutEvent> {
        let events = self.events(world, wait).await;
        self.read = events.last().map_or(self.read, |event| event.sequence);
        events.into_iter().filter_map(fanned_out).collect()
    }

    async fn events(&self, world: &World, wait: bool) -> Vec<InboxEvent> {
        let millis = if wait { 20_000 } else { 0 };
        let path = format!("{}?after={}&wait={millis}", local::INBOX_PATH, self.read);
        let (status, body) = world.send(self.shown(), Method::GET, &path, vec![]).await;
        assert_eq!(status, 200);
        InboxResponse::decode(&body).unwrap().events
    }

    /// Reads until an event comes that is wanted, and no further.
    pub async fn until(&mut self, world: &World, wanted: impl Fn(&FanoutEvent) -> bool) -> FanoutEvent {
        loop {
            for event in self.events(world, true).await {
                self.read = event.sequence;
                if let Some(event) = fanned_out(event).filter(&wanted) {
                    return event;
                }
            }
        }
    }

    pub async fn update(
        &self,
        world: &World,
        room: &RoomUri,
        request: &UpdateRequest,
    ) -> Result<UpdateOutcome, Problem> {
        let path = with_room(local::UPDATE_PATH, room);
        world.post::<UpdateRoomResponse>(self.shown(), &path, request).await.map(|response| response.outcome)
    }

    pub async fn commit(&self, world: &World, room: &RoomUri, bundle: CommitBundle) -> Result<UpdateOutcome, Problem> {
        self.update(world, room, &commit(bundle)).await
    }

    pub async fn say(&self, world: &World, room: &mut Room, text: &[u8]) -> SubmitMessageResponse {
        let content = Content { media_type: "text/plain".into(), body: text.to_vec() };
        let message = room.seal(&content).unwrap().try_into().unwrap();
        let request = SubmitMessageRequest { message, sending_user: self.pseudonym.clone() };
        let path = with_room(local::SUBMIT_MESSAGE_PATH, room.uri());
        world.post(self.shown(), &path, &request).await.unwrap()
    }

    pub async fn links(
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
    pub async fn ask(
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
    pub async fn join(
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

pub fn commit(bundle: CommitBundle) -> UpdateRequest {
    UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    }
}

pub fn request(identity: &Identity, public_key: &[u8], code: Option<&[u8]>) -> UnverifiedGroupInfoRequest {
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
pub async fn found(
    world: &World,
    alice: &Person,
    state: impl FnOnce(RoomUri, UserUri) -> RoomState,
) -> (RoomUri, Room) {
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

pub fn multiuser(room: RoomUri, user: UserUri) -> RoomState {
    RoomState::by_link(room, user, JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() }).unwrap()
}

pub fn create(code: &[u8], uses: Option<u32>, lifetime_secs: Option<u32>) -> JoinLinkOperation {
    JoinLinkOperation::Create { code_hash: sha256(code), role: RoomState::PARTICIPANT, uses, lifetime_secs }
}

pub fn is_commit(event: &FanoutEvent) -> bool {
    matches!(event, FanoutEvent::Commit { .. })
}

pub fn is_message(event: &FanoutEvent) -> bool {
    matches!(event, FanoutEvent::Application { .. })
}

/// Goes along with what has come.
pub fn open(room: &mut Room, event: FanoutEvent, world: &World) -> Opened {
    let message = match event {
        FanoutEvent::Application { message, .. } => message.into_message(),
        FanoutEvent::Commit { commit, .. } => commit.into_message(),
        FanoutEvent::Proposal { proposal, .. } => proposal.into_message(),
        other => panic!("{other:?}"),
    };
    room.open(&message, &world.trust, world.now).unwrap()
}

/// The operator's token in the configuration of the tests.
pub fn operator() -> DeviceToken {
    DeviceToken::from_bytes([0x5a; 32])
}

/// Alice's room with Bob and Cathy in it, all at the epoch of the hub.
pub async fn three(world: &World, alice: &mut Person, bob: &mut Person, cathy: &Person) -> (RoomUri, [Room; 3]) {
    let (uri, mut alices) = found(world, alice, multiuser).await;
    alice.links(world, &uri, create(&CODE, None, None)).await.unwrap();
    let (mut bobs, outcome) = bob.join(world, &uri, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })));
    let (cathys, outcome) = cathy.join(world, &uri, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })));
    for (person, room) in [(&mut *alice, &mut alices), (&mut *bob, &mut bobs)] {
        while room.epoch() < cathys.epoch() {
            for event in person.inbox(world, true).await.into_iter().filter(is_commit) {
                open(room, event, world);
            }
        }
    }
    (uri, [alices, bobs, cathys])
}

impl Person {
    /// Another device of the same account, that uses the same pseudonym.
    pub async fn second_device(&self, world: &World, code: EnrolmentCode) -> Self {
        let request = AddDeviceRequest { enrolment_code: code, device_name: "tablet".into() };
        let added: RegisterResponse =
            world.post(Shown { to_b: self.to_b, ..Shown::default() }, local::DEVICE_PATH, &request).await.unwrap();
        Self { token: added.device_token, pseudonym: self.pseudonym.clone(), to_b: self.to_b, read: 0 }
    }

    /// Goes along with commits until the room is in an epoch.
    pub async fn follow(&mut self, world: &World, room: &mut Room, epoch: u64) {
        while room.epoch() < epoch {
            for event in self.inbox(world, true).await.into_iter().filter(|event| !is_message(event)) {
                if matches!(event, FanoutEvent::Commit { .. } | FanoutEvent::Proposal { .. }) {
                    let messages = messages(event);
                    for message in messages {
                        room.open(&message, &world.trust, world.now).unwrap();
                    }
                }
            }
        }
    }
}

fn fanned_out(event: InboxEvent) -> Option<FanoutEvent> {
    match event.body {
        InboxBody::Fanout { message, .. } => Some(message.event),
        _ => None,
    }
}

/// The handshakes in what was fanned out.
pub fn messages(event: FanoutEvent) -> Vec<MlsMessage> {
    let of = |proposals: Vec<ProposalMessage>| proposals.into_iter().map(ProposalMessage::into_message);
    match event {
        FanoutEvent::Commit { commit, external_proposals } => {
            std::iter::once(commit.into_message()).chain(of(external_proposals)).collect()
        }
        FanoutEvent::Proposal { proposal, more } => std::iter::once(proposal.into_message()).chain(of(more)).collect(),
        other => panic!("{other:?}"),
    }
}

pub fn is_accepted(outcome: &Result<UpdateOutcome, Problem>) -> bool {
    matches!(outcome, Ok(UpdateOutcome::Accepted { .. }))
}
