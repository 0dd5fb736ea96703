//! What people say in a room, message by message.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use mimi_mls::{NewKeyPackage, Room, UnverifiedKeyPackage, Wanted};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{Content, Entropy, RoomUri, UserUri};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{
    FanoutEvent, GroupInfoOption, RatchetTreeOption, SubmitMessageRequest, SubmitMessageResponse, UpdateOutcome,
    UpdateRequest, UpdateRoomResponse, Wire,
    local::{self, *},
};

use super::{
    SUITE, domain,
    sites::{Person, Sites},
    with_room,
};

const DAY: Duration = Duration::from_secs(86_400);

/// A room of Alice's with some others in it.
pub async fn found(sites: &Sites, alice: &Person, others: &[&Person]) -> (RoomUri, Room) {
    let (_, info) = sites.try_ask(&alice.site, alice.shown(), Method::GET, local::INFO_PATH, vec![]).await.unwrap();
    let hub = ProviderInfo::decode(&info).unwrap().hub_senders.into_iter().find(|hub| hub.cipher_suite == SUITE);
    let uri = RoomUri::pseudonym(&domain(&alice.site), OsEntropy.bits128());
    let state = RoomState::private(uri.clone(), alice.user.clone()).unwrap();
    let identity = alice.identity(sites).await;
    let (mut room, first) = Room::create(identity, state, &hub.unwrap().sender, sites.now()).unwrap();
    let create =
        CreateRoomRequest { room: uri.clone(), group_info: first.group_info, ratchet_tree: first.ratchet_tree };
    alice.post::<Accepted>(sites, local::ROOMS_PATH, &create).await.unwrap();

    if others.is_empty() {
        return (uri, room);
    }
    let (mut updates, mut add) = (Vec::new(), Vec::new());
    let (not_before, not_after) = (sites.now().before(DAY), sites.now().after(DAY * 80));
    for person in others {
        let identity = person.identity(sites).await;
        let purpose = KeyPackagePurpose::Any;
        let fresh = NewKeyPackage::create(&identity, purpose, not_before, not_after).unwrap();
        let key_packages = vec![fresh.key_package.clone()];
        let upload = UploadKeyPackages { owner: person.user.clone(), key_packages };
        person.post::<UploadResponse>(sites, local::KEY_PACKAGES_PATH, &upload).await.unwrap();
        let unverified = UnverifiedKeyPackage::new(fresh.key_package);
        add.push(unverified.verify(&person.user, SUITE, &sites.trust(), sites.now()).unwrap());
        let update = ParticipantListUpdate::add(person.user.clone(), RoomState::PARTICIPANT).encode();
        updates.push(ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update));
    }
    let bundle = room.commit(Wanted { updates, add, remove: vec![] }).unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    let path = with_room(local::UPDATE_PATH, &uri);
    let answer: UpdateRoomResponse = alice.post(sites, &path, &update).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    room.commit_accepted(&sites.trust(), sites.now()).unwrap();
    (uri, room)
}

/// A room in which one person speaks.
pub struct Talk {
    pub uri: RoomUri,
    room: Room,
    user: UserUri,
    /// Requests that were sent.
    pub sent: usize,
    /// Messages that the hub has acknowledged, in order.
    pub said: Vec<Vec<u8>>,
}

impl Talk {
    /// Of Alice's with some others.
    pub async fn begin(sites: &Sites, alice: &Person, others: &[&Person]) -> Self {
        let (uri, room) = found(sites, alice, others).await;
        Self { uri, room, user: alice.user.clone(), sent: 0, said: Vec::new() }
    }

    /// A message, and the path and body of the request with it.
    pub fn next(&mut self, body: Vec<u8>) -> (Vec<u8>, String, Vec<u8>) {
        let message = self.room.seal(&Content { media_type: "text/plain".into(), body }).unwrap();
        let octets = message.encode();
        let submit = SubmitMessageRequest { message: message.try_into().unwrap(), sending_user: self.user.clone() };
        (octets, with_room(local::SUBMIT_MESSAGE_PATH, &self.uri), submit.encode())
    }

    /// What the hub has answered; whether it has acknowledged the message.
    pub fn answered(&mut self, octets: Vec<u8>, answer: Option<(u16, Vec<u8>)>) -> bool {
        let Some((200, body)) = answer else { return false };
        let answer = SubmitMessageResponse::decode(&body).unwrap();
        assert!(matches!(answer, SubmitMessageResponse::Accepted { .. }), "{answer:?}");
        self.said.push(octets);
        true
    }

    /// Says something once; the status of the answer.
    pub async fn say(&mut self, sites: &Sites, alice: &Person, body: Vec<u8>) -> u16 {
        let (octets, path, body) = self.next(body);
        self.sent += 1;
        let answer = sites.try_ask(&alice.site, alice.shown(), Method::POST, &path, body).await;
        let status = answer.as_ref().unwrap().0;
        self.answered(octets, answer);
        status
    }
}

/// What somebody has heard in a room.
#[derive(Debug, PartialEq, Eq)]
pub struct Counts {
    pub delivered: usize,
    pub duplicated: usize,
    pub lost: usize,
}

impl Counts {
    pub fn of(said: &[Vec<u8>], heard: &[Vec<u8>]) -> Self {
        let once: BTreeSet<_> = heard.iter().collect();
        let lost = said.iter().filter(|one| !once.contains(one)).count();
        Self { delivered: heard.len(), duplicated: heard.len() - once.len(), lost }
    }
}

/// The message of an event, if it is one, and its room.
pub fn message(body: InboxBody) -> Option<(RoomUri, Vec<u8>)> {
    match body {
        InboxBody::Fanout { room, message } => match message.event {
            FanoutEvent::Application { message, .. } => Some((room, message.message().encode())),
            _ => None,
        },
        _ => None,
    }
}
