//! People, providers and rooms for the tests.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

pub mod rogue;

use std::{sync::Arc, time::Duration};

use mimi_credential::{Issuer, TrustStore, Validity};
use mimi_mls::{
    CommitBundle, FirstEpoch, HubRoom, Identity, NewKeyPackage, Room, UnverifiedKeyPackage, VerifiedKeyPackage,
};
use mimi_pseudonym::{
    CipherSuite, ClientUri, Domain, Entropy, RoomUri, SeededEntropy, Signer, SigningKey, Timestamp, UserUri,
};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{Credential, ExternalSender, Wire};

pub const DAY: Duration = Duration::from_secs(86_400);

pub fn now() -> Timestamp {
    // openmls compares lifetimes with the system's clock.
    Timestamp::from_secs(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
}

pub fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

pub struct World {
    pub suite: CipherSuite,
    pub entropy: SeededEntropy,
    pub now: Timestamp,
    pub a: Issuer,
    pub b: Issuer,
    pub trust: TrustStore,
    pub hub: ExternalSender,
}

pub struct Person {
    pub user: UserUri,
    pub identity: Identity,
}

pub fn issuer(name: &str, entropy: &mut SeededEntropy, now: Timestamp) -> Issuer {
    let key = SigningKey::generate(mimi_pseudonym::SignatureScheme::EcdsaP256Sha256, entropy).unwrap();
    let validity = Validity { not_before: now.before(DAY), not_after: now.after(DAY * 3650) };
    Issuer::create(domain(name), Arc::new(key), entropy.bits128(), validity).unwrap()
}

impl World {
    pub fn new(suite: CipherSuite) -> Self {
        let now = now();
        let mut entropy = SeededEntropy::new([9; 32]);
        let a = issuer("a.example", &mut entropy, now);
        let b = issuer("b.example", &mut entropy, now);
        let trust = TrustStore::default()
            .with_anchor(a.certificate(), [domain("a.example")])
            .unwrap()
            .with_anchor(b.certificate(), [domain("b.example")])
            .unwrap();
        let key = SigningKey::generate(suite.signature_scheme(), &mut entropy).unwrap();
        let hub = ExternalSender {
            signature_key: key.public_key().as_bytes().to_vec(),
            credential: Credential::x509(vec![a.certificate().to_vec()]),
        };
        Self { suite, entropy, now, a, b, trust, hub }
    }

    pub fn room_uri(&mut self) -> RoomUri {
        RoomUri::pseudonym(&domain("a.example"), self.entropy.bits128())
    }

    pub fn pseudonym(&mut self, host: &str) -> UserUri {
        UserUri::pseudonym(&domain(host), self.entropy.bits128())
    }

    pub fn client(&mut self, user: &UserUri) -> Identity {
        self.client_for_days(user, 90)
    }

    /// A client whose certificate runs out after so many days.
    pub fn client_for_days(&mut self, user: &UserUri, days: u32) -> Identity {
        let issuer = if user.domain().as_str() == "a.example" { &self.a } else { &self.b };
        let key = SigningKey::generate(self.suite.signature_scheme(), &mut self.entropy).unwrap();
        let client = ClientUri::pseudonym(user.domain(), self.entropy.bits128());
        let validity = Validity { not_before: self.now.before(DAY), not_after: self.now.after(DAY * days) };
        let chain = issuer.issue_leaf(user, &client, key.public_key(), self.entropy.bits128(), validity).unwrap();
        Identity::new(self.suite, key, chain, &self.trust, self.now).unwrap()
    }

    /// A client that another issuer has certified, whom nobody here trusts.
    pub fn stranger(&mut self, user: &UserUri) -> Identity {
        let issuer = issuer(user.domain().as_str(), &mut self.entropy, self.now);
        let trust = TrustStore::default().with_anchor(issuer.certificate(), [user.domain().clone()]).unwrap();
        let key = SigningKey::generate(self.suite.signature_scheme(), &mut self.entropy).unwrap();
        let client = ClientUri::pseudonym(user.domain(), self.entropy.bits128());
        let validity = Validity { not_before: self.now.before(DAY), not_after: self.now.after(DAY * 90) };
        let chain = issuer.issue_leaf(user, &client, key.public_key(), self.entropy.bits128(), validity).unwrap();
        Identity::new(self.suite, key, chain, &trust, self.now).unwrap()
    }

    pub fn key_package(&self, identity: &Identity, purpose: KeyPackagePurpose) -> NewKeyPackage {
        NewKeyPackage::create(identity, purpose, self.now.before(DAY), self.now.after(DAY * 80)).unwrap()
    }

    pub fn verify(&self, new: &NewKeyPackage, owner: &UserUri) -> VerifiedKeyPackage {
        UnverifiedKeyPackage::new(new.key_package.clone()).verify(owner, self.suite, &self.trust, self.now).unwrap()
    }

    pub fn hub(&self, room: &RoomUri, first: &FirstEpoch) -> HubRoom {
        HubRoom::create(room, &first.group_info, &first.ratchet_tree, &self.hub, &self.trust, self.now).unwrap().0
    }
}

pub fn add_participant(state: &RoomState, user: &UserUri, role: u32) -> ComponentUpdate {
    let _ = state;
    ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, ParticipantListUpdate::add(user.clone(), role).encode())
}

/// Alice's room with her first client, and its hub.
pub fn alice_alone(world: &mut World) -> (Room, HubRoom) {
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let state = RoomState::connection(world.room_uri(), alice).unwrap();
    let (room, first) = Room::create(identity, state, &world.hub, world.now).unwrap();
    let hub = world.hub(room.uri(), &first);
    (room, hub)
}

pub fn accept(world: &World, hub: &mut HubRoom, bundle: &CommitBundle, peer: &str) -> mimi_mls::AcceptedCommit {
    hub.accept(bundle, &domain(peer), false, &world.trust, world.now).unwrap()
}
