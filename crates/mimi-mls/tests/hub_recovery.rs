//! A hub that goes back behind a commit that its members refuse, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::{
    World, add_participant, domain,
    rogue::{Founding, Rogue, Wild, flipped},
};
use mimi_mls::{Admission, CommitBundle, HubRoom, Identity, PastRoom, ReportRefusal};
use mimi_pseudonym::{CipherSuite, ClientUri, Entropy, Signer, SigningKey, UserUri};
use mimi_room::{ComponentId, ComponentUpdate, JoinLinkPolicy, ParticipantListUpdate, RoomState};
use mimi_wire::{CommitReportTbs, Credential, ExternalSender, MlsMessage, ReportReason, UnverifiedCommitReport, Wire};
use ring::digest::{SHA256, digest};

/// Alice's room, with two more users in it, and its hub.
struct Scene {
    world: World,
    hub_key: SigningKey,
    alice: Rogue,
    bob: Rogue,
    cathy: Rogue,
    hub: HubRoom,
    snapshot: Vec<u8>,
    log: Vec<Vec<u8>>,
}

fn sha256(commit: &MlsMessage) -> [u8; 32] {
    digest(&SHA256, commit.as_bytes()).as_ref().try_into().unwrap()
}

impl Scene {
    fn new(suite: CipherSuite) -> Self {
        let mut world = World::new(suite);
        let hub_key = SigningKey::generate(suite.signature_scheme(), &mut world.entropy).unwrap();
        world.hub = ExternalSender {
            signature_key: hub_key.public_key().as_bytes().to_vec(),
            credential: Credential::basic(b"mimi://a.example"),
        };
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::by_link(world.room_uri(), alice, JoinLinkPolicy::default()).unwrap();
        let mut alice = Rogue::with(identity, &Founding::of(&world, &state));
        let first = alice.first();
        let (info, tree) = (&first.group_info, &first.ratchet_tree);
        let (mut hub, snapshot) =
            HubRoom::create(state.room(), info, tree, &world.hub, &world.trust, world.now).unwrap();
        let mut log = Vec::new();
        let mut join = |world: &mut World| {
            let user = world.pseudonym("b.example");
            let (rogue, bundle) = joiner(&hub, world.client(&user));
            let key = rogue.identity.signer().public_key().clone();
            let admission = Admission::Code { key, role: RoomState::PARTICIPANT };
            let accepted = hub.accept_join(&bundle, &domain("b.example"), &admission, false, &world.trust, world.now);
            log.push(accepted.unwrap().log_entry);
            (rogue, bundle, hub.state().clone())
        };
        let (mut bob, commit, state) = join(&mut world);
        alice.follow(&state, &commit.commit);
        let (cathy, commit, state) = join(&mut world);
        alice.follow(&state, &commit.commit);
        bob.follow(&state, &commit.commit);
        let snapshot = snapshot.as_bytes().to_vec();
        Self { world, hub_key, alice, bob, cathy, hub, snapshot, log }
    }

    fn each() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(Self::new)
    }

    /// The hub takes a commit that nobody can follow: its membership tag is wrong.
    fn bad_commit(&mut self) -> MlsMessage {
        let bundle = self.bob.commit(Wild::default());
        // The membership tag stands last in a member's commit, where the hub cannot look.
        let commit = MlsMessage::decode(&flipped(bundle.commit.as_bytes(), 0)).unwrap();
        let bundle = CommitBundle { commit: commit.clone(), ..bundle };
        self.take(&bundle, "b.example");
        commit
    }

    fn take(&mut self, bundle: &CommitBundle, peer: &str) {
        let accepted = self.hub.accept(bundle, &domain(peer), false, &self.world.trust, self.world.now);
        self.log.push(accepted.unwrap().log_entry);
    }

    fn past(&self, commit: &MlsMessage) -> PastRoom {
        let log = self.log.iter().map(Vec::as_slice);
        HubRoom::restore_before(&self.snapshot, log, &sha256(commit)).unwrap().unwrap()
    }

    fn report(&self, commit: &MlsMessage) -> CommitReportTbs {
        CommitReportTbs {
            room: self.hub.uri().clone(),
            epoch: commit.epoch().unwrap(),
            commit_hash: sha256(commit),
            reason: ReportReason::Mls,
            client: self.alice.identity.client().clone(),
        }
    }
}

fn joiner(hub: &HubRoom, identity: Identity) -> (Rogue, CommitBundle) {
    let update = add_participant(hub.state(), identity.user(), RoomState::PARTICIPANT);
    let wild = Wild::updates(hub.state(), vec![update]);
    Rogue::join(identity, &hub.group_info().unwrap(), &hub.ratchet_tree().unwrap(), wild)
}

fn signed(tbs: &CommitReportTbs, identity: &Identity) -> UnverifiedCommitReport {
    let tbs = CommitReportTbs { client: identity.client().clone(), ..tbs.clone() };
    UnverifiedCommitReport::sign(tbs, identity.signer()).unwrap()
}

fn users<'a>(users: impl IntoIterator<Item = &'a UserUri>) -> BTreeSet<UserUri> {
    users.into_iter().cloned().collect()
}

#[test]
fn the_room_goes_on_from_where_it_was_and_the_committer_is_out() {
    for mut scene in Scene::each() {
        let before = (scene.hub.epoch(), scene.hub.state().clone(), scene.hub.clients());
        let commit = scene.bad_commit();
        let message = openmls_message(&commit);
        let refused = scene.alice.group.process_message(&scene.alice.provider, message);
        assert!(refused.is_err(), "no member goes along");
        let past = scene.past(&commit);
        assert!(!past.is_between_two(), "there are three");
        assert_eq!(past.committer().1, *scene.bob.identity.client());
        assert!(!past.was_join());
        let tbs = scene.report(&commit);
        let alice = past.verify(signed(&tbs, &scene.alice.identity)).unwrap();
        assert!(!past.is_refused_by(&users([&alice])), "one of two is not more than half");
        let cathy = past.verify(signed(&tbs, &scene.cathy.identity)).unwrap();
        assert!(past.is_refused_by(&users([&alice, &cathy])));
        // Back to the epoch before; the committer is to be removed.
        scene.log.truncate(past.entries());
        scene.hub = past.into_room();
        assert_eq!((scene.hub.epoch(), scene.hub.state().clone(), scene.hub.clients()), before);
        let out = [scene.bob.identity.client().clone()];
        let proposed = scene.hub.propose_removals(&out, &scene.hub_key, scene.world.now).unwrap().unwrap();
        scene.log.push(proposed.accepted.log_entry);
        assert!(scene.hub.is_user_leaving(scene.bob.identity.user()));
        for proposal in &proposed.proposals {
            scene.alice.take(proposal);
            scene.cathy.take(proposal);
        }
        let bundle = scene.alice.commit(Wild::default());
        scene.take(&bundle, "a.example");
        scene.alice.merge();
        scene.cathy.follow(scene.hub.state(), &bundle.commit);
        let hello = scene.alice.say(b"on we go");
        assert_eq!(scene.cathy.hear(&hello), b"on we go");
        assert_eq!(scene.hub.clients().len(), 2);
        let read = HubRoom::restore(&scene.snapshot, scene.log.iter().map(Vec::as_slice)).unwrap();
        assert_eq!((read.epoch(), read.clients()), (scene.hub.epoch(), scene.hub.clients()));
    }
}

#[test]
fn proposals_that_waited_wait_again() {
    for mut scene in Scene::each() {
        let proposal = scene.cathy.propose_self_removal();
        let accepted = scene.hub.propose(std::slice::from_ref(&proposal), &domain("b.example"), scene.world.now);
        scene.log.push(accepted.unwrap().log_entry);
        scene.bob.take(&proposal);
        let commit = scene.bad_commit();
        assert!(scene.hub.pending_proposals().is_empty());
        assert_eq!(scene.past(&commit).room().pending_proposals().len(), 1);
    }
}

#[test]
fn reports_that_do_not_count() {
    for mut scene in Scene::each() {
        let commit = scene.bad_commit();
        let (past, tbs) = (scene.past(&commit), scene.report(&commit));
        let alice = &scene.alice.identity;
        for other in [
            CommitReportTbs { epoch: 1, ..tbs.clone() },
            CommitReportTbs { commit_hash: [0; 32], ..tbs.clone() },
            CommitReportTbs { room: "mimi://a.example/r/other".parse().unwrap(), ..tbs.clone() },
        ] {
            assert_eq!(past.verify(signed(&other, alice)), Err(ReportRefusal::Other));
        }
        assert_eq!(past.verify(signed(&tbs, &scene.bob.identity)), Err(ReportRefusal::Reporter));
        let forged = CommitReportTbs { client: scene.cathy.identity.client().clone(), ..tbs.clone() };
        let forged = UnverifiedCommitReport::sign(forged, alice.signer()).unwrap();
        assert_eq!(past.verify(forged), Err(ReportRefusal::Signature));
        let nobody = ClientUri::pseudonym(&domain("b.example"), scene.world.entropy.bits128());
        let nobody = UnverifiedCommitReport::sign(CommitReportTbs { client: nobody, ..tbs }, alice.signer()).unwrap();
        assert_eq!(past.verify(nobody), Err(ReportRefusal::Reporter));
        // The committer's own word, and that of strangers, is not counted.
        let stranger = scene.world.pseudonym("b.example");
        let (bob, alice) = (scene.bob.identity.user(), alice.user());
        assert!(!past.is_refused_by(&users([bob, alice, &stranger])));
        let log = scene.log.iter().map(Vec::as_slice);
        assert!(HubRoom::restore_before(&scene.snapshot, log, &[0; 32]).unwrap().is_none());
    }
}

#[test]
fn a_joiner_whose_commit_is_refused_is_not_there() {
    for mut scene in Scene::each() {
        let user = scene.world.pseudonym("b.example");
        let (rogue, bundle) = joiner(&scene.hub, scene.world.client(&user));
        let key = rogue.identity.signer().public_key().clone();
        let admission = Admission::Code { key, role: RoomState::PARTICIPANT };
        let (trust, now) = (&scene.world.trust, scene.world.now);
        let accepted = scene.hub.accept_join(&bundle, &domain("b.example"), &admission, false, trust, now);
        scene.log.push(accepted.unwrap().log_entry);
        let past = scene.past(&bundle.commit);
        assert!(past.was_join());
        assert_eq!(past.committer(), &(user, rogue.identity.client().clone()));
        assert_eq!(past.room().clients().len(), 3);
    }
}

#[test]
fn whom_a_commit_removes_need_not_go_along_with_it() {
    for mut scene in Scene::each() {
        // Alice removes Bob: Cathy alone has to go along, and it is her word against Alice's.
        let bob = scene.bob.identity.user().clone();
        let index = scene.hub.state().participants().index_of(&bob).unwrap();
        let list = ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let update = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode());
        let wild = Wild { remove: vec![1], ..Wild::updates(scene.hub.state(), vec![update]) };
        let bundle = scene.alice.commit(wild);
        scene.take(&bundle, "a.example");
        let (past, tbs) = (scene.past(&bundle.commit), scene.report(&bundle.commit));
        assert_eq!(past.verify(signed(&tbs, &scene.bob.identity)), Err(ReportRefusal::Reporter));
        let cathy = past.verify(signed(&tbs, &scene.cathy.identity)).unwrap();
        assert!(past.is_between_two());
        assert!(!past.is_refused_by(&users([&bob])));
        assert!(past.is_refused_by(&users([&cathy])));
    }
}

#[test]
fn only_the_hubs_own_key_proposes_for_it() {
    for mut scene in Scene::each() {
        let (bob, now) = ([scene.bob.identity.client().clone()], scene.world.now);
        let scheme = scene.world.suite.signature_scheme();
        let other = SigningKey::generate(scheme, &mut scene.world.entropy).unwrap();
        let refused = scene.hub.propose_removals(&bob, &other, now).unwrap_err();
        assert_eq!(refused, mimi_mls::ProposalRefusal::Sender);
        assert!(scene.hub.propose_removals(&bob, &scene.hub_key, now).unwrap().is_some());
        assert!(scene.hub.propose_removals(&bob, &scene.hub_key, now).unwrap().is_none(), "it waits already");
        // An external commit makes it void; the hub is told of whom to propose again.
        let user = scene.world.pseudonym("b.example");
        let (rogue, bundle) = joiner(&scene.hub, scene.world.client(&user));
        let key = rogue.identity.signer().public_key().clone();
        let admission = Admission::Code { key, role: RoomState::PARTICIPANT };
        let (trust, now) = (&scene.world.trust, scene.world.now);
        let accepted = scene.hub.accept_join(&bundle, &domain("b.example"), &admission, false, trust, now).unwrap();
        assert_eq!(accepted.voided, bob);
        assert!(scene.hub.propose_removals(&accepted.voided, &scene.hub_key, now).unwrap().is_some());
    }
}

fn openmls_message(message: &MlsMessage) -> openmls::prelude::ProtocolMessage {
    use openmls::prelude::tls_codec::Deserialize as _;
    let message = openmls::prelude::MlsMessageIn::tls_deserialize_exact(message.as_bytes()).unwrap();
    message.try_into_protocol_message().unwrap()
}
