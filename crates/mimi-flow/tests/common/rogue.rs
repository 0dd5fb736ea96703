//! What a device does not do by itself: the tests take its room out, use it, and put it back.

use mimi_mls::{HubRoom, Identity, NewKeyPackage, Room, UnverifiedKeyPackage, Wanted};
use mimi_pseudonym::{Content, Entropy, Reader, RoomUri, Wire, Writer};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{
    ApplicationMessage, CommitMessage, FanoutEvent, FanoutMessage, GroupInfoOption, KeyPackage, RatchetTreeOption,
    SubmitMessageRequest, UpdateRequest, local::InboxBody,
};

use super::{DAY, World};

impl World {
    /// The only room the device is in, or the one of this purpose.
    pub fn room_of(&self, device: usize) -> RoomUri {
        let mut rooms = self.devices[device].rooms();
        let room = rooms.next().unwrap().0.clone();
        assert!(rooms.next().is_none());
        room
    }

    /// Uses the device's room behind its back.
    pub fn with_room<T>(&mut self, device: usize, uri: &RoomUri, act: impl FnOnce(&mut Room) -> T) -> T {
        let mut saved = self.devices[device].save();
        let entry = saved.iter_mut().find(|entry| entry.key == format!("room/{uri}")).unwrap();
        let mut room = Room::restore(&entry.value).unwrap();
        let result = act(&mut room);
        entry.value = room.save();
        let sending = self.sending[device].clone();
        let wake = self.wake[device];
        self.restore(device, saved);
        // What restoring asks to be sent again is waiting already, or held.
        while self.devices[device].poll().is_some() {}
        self.sending[device] = sending;
        self.wake[device] = wake;
        result
    }

    /// The device sends something into its room that its application could not.
    pub fn send_rogue(&mut self, device: usize, uri: &RoomUri, make: impl FnOnce(&Room) -> Content) {
        let (message, sending_user) = self.with_room(device, uri, |room| {
            let content = make(room);
            (room.seal(&content).unwrap(), room.identity().user().clone())
        });
        let message = ApplicationMessage::try_from(message).unwrap();
        self.submit(uri, SubmitMessageRequest { message, sending_user }).unwrap();
    }

    /// The device commits without anything to change; the commit is accepted before anyone else's.
    pub fn commit_rogue(&mut self, device: usize, uri: &RoomUri) {
        self.commit_unseen(device, uri, Wanted::default());
    }

    /// The device commits behind its back, and the hub accepts.
    pub fn commit_unseen(&mut self, device: usize, uri: &RoomUri, wanted: Wanted) {
        let bundle = self.with_room(device, uri, |room| room.commit(wanted).unwrap());
        let request = UpdateRequest::Commit {
            commit: CommitMessage::try_from(bundle.commit).unwrap(),
            welcome: bundle.welcome,
            group_info: GroupInfoOption::Full(bundle.group_info),
            ratchet_tree: RatchetTreeOption::DistributionService,
        };
        let from = self.profiles[device].domain().clone();
        let before = self.refusals.len();
        self.update(&from, uri, &request.encode()).unwrap();
        assert_eq!(self.refusals.len(), before, "{:?}", self.refusals);
    }

    /// One of the device's identities: the account's, or that of a pseudonym.
    fn identity(&self, device: usize, pseudonym: bool) -> Identity {
        let saved = self.devices[device].save();
        let held = saved.iter().filter(|entry| entry.key.starts_with("held/"));
        let mut identities = held.map(|entry| Identity::restore(Reader::new(&entry.value).vector().unwrap()).unwrap());
        identities.find(|identity| identity.user().is_pseudonym() == pseudonym).unwrap()
    }

    /// A Welcome into a new room, with a KeyPackage of the invited device's account that is valid for any room.
    pub fn invite(&mut self, host: usize, guest: usize, ordinary: bool) -> InboxBody {
        let key_package = self.key_package(guest, false);
        self.welcome(host, guest, &key_package, ordinary)
    }

    /// A KeyPackage for any room, of the device's account or of a pseudonym of it, with its private half on the device.
    pub fn key_package(&mut self, guest: usize, pseudonym: bool) -> KeyPackage {
        let theirs = self.identity(guest, pseudonym);
        let not_after = self.now.after(DAY * 80);
        let new = NewKeyPackage::create(&theirs, KeyPackagePurpose::Any, self.now.before(DAY / 24), not_after).unwrap();
        let mut held = Writer::default();
        theirs.user().write(&mut held);
        held.vector(new.secret.as_bytes());
        not_after.write(&mut held);
        held.flag(false);
        let reference: String = new.reference.as_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        let mut saved = self.devices[guest].save();
        saved.push(mimi_flow::Entry { key: format!("key-package/{reference}"), value: held.into_octets() });
        saved[1..].sort_by(|one, other| one.key.cmp(&other.key));
        self.devices[guest] = mimi_flow::Device::restore(saved).unwrap();
        new.key_package
    }

    /// A Welcome into a new room with a KeyPackage.
    pub fn welcome(&mut self, host: usize, guest: usize, key_package: &KeyPackage, ordinary: bool) -> InboxBody {
        let own = self.identity(host, true);
        let theirs = [true, false].map(|pseudonym| self.identity(guest, pseudonym).user().clone());
        let uri = RoomUri::pseudonym(own.user().domain(), self.entropy.bits128());
        let (domain, user) = (own.user().domain().clone(), own.user().clone());
        let state = match ordinary {
            true => RoomState::private(uri.clone(), user),
            false => RoomState::connection(uri.clone(), user),
        };
        let role = if ordinary { RoomState::PARTICIPANT } else { RoomState::RECIPIENT };
        let sender = self.providers[&domain].sender.clone();
        let (mut room, first) = Room::create(own, state.unwrap(), &sender, self.now).unwrap();
        let (info, tree) = (&first.group_info, &first.ratchet_tree);
        let mut hub = HubRoom::create(&uri, info, tree, &sender, &self.trust, self.now).unwrap().0;
        let verify =
            |user| UnverifiedKeyPackage::new(key_package.clone()).verify(user, self.suite, &self.trust, self.now).ok();
        let (theirs, verified) = theirs.iter().find_map(|user| Some((user.clone(), verify(user)?))).unwrap();
        let update = ParticipantListUpdate::add(theirs, role);
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())];
        let wanted = Wanted { updates, add: vec![verified], remove: Vec::new() };
        let bundle = room.commit(wanted).unwrap();
        let accepted = hub.accept(&bundle, &domain, false, &self.trust, self.now).unwrap();
        let ratchet_tree = RatchetTreeOption::Full(accepted.ratchet_tree);
        let event = FanoutEvent::Welcome { welcome: bundle.welcome.unwrap(), ratchet_tree };
        InboxBody::Fanout { room: uri, message: FanoutMessage { timestamp: self.now, event } }
    }
}
