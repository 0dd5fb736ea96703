//! People who are in a room without having come there by a flow.

use mimi_mls::{UnverifiedKeyPackage, Wanted};
use mimi_pseudonym::{ClientUri, RoomUri, UserUri, Wire};
use mimi_room::{ComponentId, ComponentUpdate, ParticipantListUpdate};
use mimi_wire::ClientMaterial;

use super::World;

impl World {
    /// A pseudonym of the device's account for which there are KeyPackages of this many devices.
    pub fn spare_pseudonym(&self, device: usize, devices: usize) -> UserUri {
        let account = &self.profiles[device];
        let provider = &self.providers[account.domain()];
        let mut own = provider.pseudonyms.iter().filter(|(_, of)| *of == account).map(|(user, _)| user);
        own.find(|user| provider.spare(user) == devices).unwrap().clone()
    }

    /// All of the guest's devices come into the host's room under a pseudonym, with this role.
    pub fn bring_in(&mut self, host: usize, room: &RoomUri, guest: usize, role: u32) -> UserUri {
        let devices = self.profiles.iter().filter(|user| **user == self.profiles[guest]).count();
        let user = self.spare_pseudonym(guest, devices);
        let (suite, now, trust) = (self.suite, self.now, self.trust.clone());
        let provider = self.providers.get_mut(user.domain()).unwrap();
        let offered = provider.claim(&user, false, &[suite.code()], None, now).into_clients();
        let add = offered.into_iter().map(|client| match client.material {
            ClientMaterial::KeyPackage(key_package) => {
                UnverifiedKeyPackage::new(key_package).verify(&user, suite, &trust, now).unwrap()
            }
            other => panic!("{other:?}"),
        });
        let update = ParticipantListUpdate::add(user.clone(), role);
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())];
        self.commit_wanted(host, room, Wanted { updates, add: add.collect(), remove: Vec::new() });
        user
    }

    /// Whether a client in a room is this device's.
    pub fn client_is_of(&self, client: &ClientUri, device: usize, room: &RoomUri) -> bool {
        let provider = &self.providers[self.profiles[device].domain()];
        provider.members.get(room).and_then(|clients| clients.get(client)) == Some(&device)
    }

    /// The device commits this behind its back, and the commit is accepted.
    pub fn commit_wanted(&mut self, device: usize, room: &RoomUri, wanted: Wanted) {
        self.commit_unseen(device, room, wanted);
        self.run();
    }
}
