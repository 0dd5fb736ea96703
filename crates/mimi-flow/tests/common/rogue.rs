//! What a device does not do by itself: the tests take its room out, use it, and put it back.

use mimi_mls::{Room, Wanted};
use mimi_pseudonym::{Content, RoomUri, Wire};
use mimi_wire::{
    ApplicationMessage, CommitMessage, GroupInfoOption, RatchetTreeOption, SubmitMessageRequest, UpdateRequest,
};

use super::World;

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
        let bundle = self.with_room(device, uri, |room| room.commit(Wanted::default()).unwrap());
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
}
