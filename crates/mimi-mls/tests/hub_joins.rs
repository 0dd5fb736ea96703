//! External commits and proposals at the hub, in both suites: who comes in, who goes, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    World, add_participant, domain,
    rogue::{Founding, Rogue, Wild, flipped},
};
use mimi_mls::{Admission, CommitBundle, CommitRefusal as Refused, HubRoom, Identity, ProposalRefusal};
use mimi_pseudonym::{CipherSuite, UserUri};
use mimi_room::{
    Capability, ComponentId, ComponentUpdate, JoinLinkPolicy, Participant, ParticipantListUpdate, Refusal, Role,
    RoleAssignment, RoomState,
};
use mimi_wire::{GroupInfo, MlsMessage, ProposalMessage, Wire};

/// A room that a rogue client has made and administers, and its hub.
struct Scene {
    world: World,
    rogue: Rogue,
    hub: HubRoom,
    snapshot: Vec<u8>,
    log: Vec<Vec<u8>>,
}

impl Scene {
    fn new(suite: CipherSuite, state: impl FnOnce(&mut World, UserUri) -> RoomState) -> Self {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = state(&mut world, alice);
        let rogue = Rogue::with(identity, &Founding::of(&world, &state));
        let first = rogue.first();
        let (hub, snapshot) =
            HubRoom::create(state.room(), &first.group_info, &first.ratchet_tree, &world.hub, &world.trust, world.now)
                .unwrap();
        Self { world, rogue, hub, snapshot: snapshot.as_bytes().to_vec(), log: Vec::new() }
    }

    fn by_link() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(|suite| {
            Self::new(suite, |world, alice| {
                RoomState::by_link(world.room_uri(), alice, JoinLinkPolicy::default()).unwrap()
            })
        })
    }

    fn knock() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(|suite| {
            Self::new(suite, |world, alice| {
                let target = world.room_uri();
                RoomState::knock(world.room_uri(), target, alice).unwrap()
            })
        })
    }

    fn stranger(&mut self) -> Identity {
        let user = self.world.pseudonym("b.example");
        self.world.client(&user)
    }

    /// What a client makes that joins with this role; none if its user is a participant.
    fn joiner(&self, identity: Identity, role: Option<u32>) -> (Rogue, CommitBundle) {
        let update = role.map(|role| add_participant(self.hub.state(), identity.user(), role));
        let wild = Wild::updates(self.hub.state(), update.into_iter().collect());
        self.joiner_with(identity, wild)
    }

    fn joiner_with(&self, identity: Identity, wild: Wild) -> (Rogue, CommitBundle) {
        let (info, tree) = (self.hub.group_info().unwrap(), self.hub.ratchet_tree().unwrap());
        Rogue::join(identity, &info, &tree, wild)
    }

    fn code(identity: &Identity, role: u32) -> Admission {
        Admission::Code { key: identity.signer().public_key().clone(), role }
    }

    fn join(&mut self, bundle: &CommitBundle, peer: &str, admission: &Admission) -> Result<mimi_mls::Joined, Refused> {
        let (epoch, clients) = (self.hub.epoch(), self.hub.clients());
        let accepted = self.hub.accept_join(bundle, &domain(peer), admission, false, &self.world.trust, self.world.now);
        match accepted {
            Ok(accepted) => {
                assert_eq!(self.hub.epoch(), epoch + 1);
                assert!(accepted.recipients.contains(&domain(peer)), "the joiner's provider gets it too");
                self.log.push(accepted.log_entry);
                self.restored();
                Ok(accepted.joined.unwrap())
            }
            Err(refused) => {
                assert_eq!((self.hub.epoch(), self.hub.clients()), (epoch, clients), "nothing has changed");
                Err(refused)
            }
        }
    }

    /// The room that is read back is the same.
    fn restored(&self) -> HubRoom {
        let read = HubRoom::restore(&self.snapshot, self.log.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(read.epoch(), self.hub.epoch());
        assert_eq!(read.clients(), self.hub.clients());
        assert_eq!(read.state(), self.hub.state());
        assert_eq!(read.group_info().unwrap().as_bytes(), self.hub.group_info().unwrap().as_bytes());
        assert_eq!(read.pending_proposals(), self.hub.pending_proposals());
        read
    }

    fn propose(&mut self, proposals: &[ProposalMessage], peer: &str) -> Result<(), ProposalRefusal> {
        let before = self.hub.pending_proposals();
        match self.hub.propose(proposals, &domain(peer), self.world.now) {
            Ok(accepted) => {
                self.log.push(accepted.log_entry);
                self.restored();
                Ok(())
            }
            Err(refused) => {
                assert_eq!(self.hub.pending_proposals(), before, "nothing has changed");
                Err(refused)
            }
        }
    }

    fn accept(&mut self, bundle: &CommitBundle, peer: &str) -> Result<(), Refused> {
        let accepted = self.hub.accept(bundle, &domain(peer), false, &self.world.trust, self.world.now)?;
        self.log.push(accepted.log_entry);
        self.restored();
        Ok(())
    }

    /// Somebody joins with a code; Alice follows.
    fn joined(&mut self) -> Rogue {
        let identity = self.stranger();
        let (rogue, bundle) = self.joiner(identity.clone(), Some(RoomState::PARTICIPANT));
        self.join(&bundle, "b.example", &Self::code(&identity, RoomState::PARTICIPANT)).unwrap();
        self.rogue.follow(self.hub.state(), &bundle.commit);
        rogue
    }
}

#[test]
fn whoever_has_shown_a_code_joins_and_members_follow() {
    for mut scene in Scene::by_link() {
        let identity = scene.stranger();
        let (mut rogue, bundle) = scene.joiner(identity.clone(), Some(RoomState::PARTICIPANT));
        let joined = scene.join(&bundle, "b.example", &Scene::code(&identity, RoomState::PARTICIPANT)).unwrap();
        assert_eq!((&joined.user, &joined.client, joined.by_code), (identity.user(), identity.client(), true));
        scene.rogue.follow(scene.hub.state(), &bundle.commit);
        let hello = rogue.say(b"hello");
        assert_eq!(scene.rogue.hear(&hello), b"hello");
        // The room goes on, the one who has joined commits as well.
        let more = rogue.commit(Wild::default());
        scene.accept(&more, "b.example").unwrap();
        rogue.merge();
        scene.rogue.follow(scene.hub.state(), &more.commit);
        assert_eq!(scene.rogue.group.epoch().as_u64(), scene.hub.epoch());
        // Another client of its user needs no code.
        let user = identity.user().clone();
        let second = scene.world.client(&user);
        let (_, bundle) = scene.joiner(second, None);
        assert!(!scene.join(&bundle, "b.example", &Admission::Open).unwrap().by_code);
        assert_eq!(scene.hub.clients().len(), 3);
    }
}

#[test]
fn a_client_that_lost_its_state_takes_its_earlier_leaf_away() {
    for mut scene in Scene::by_link() {
        let lost = scene.joined();
        let (mut again, bundle) = scene.joiner(lost.identity, None);
        scene.join(&bundle, "b.example", &Admission::Open).unwrap();
        assert_eq!(scene.hub.clients().len(), 2);
        scene.rogue.follow(scene.hub.state(), &bundle.commit);
        let hello = again.say(b"again");
        assert_eq!(scene.rogue.hear(&hello), b"again");
    }
}

#[test]
fn nobody_joins_without_a_code_or_with_that_of_another() {
    for mut scene in Scene::by_link() {
        let (one, other) = (scene.stranger(), scene.stranger());
        let (_, bundle) = scene.joiner(one.clone(), Some(RoomState::PARTICIPANT));
        let refused = scene.join(&bundle, "b.example", &Admission::Open).unwrap_err();
        assert_eq!(refused, Refused::NotAllowed(Refusal::Capability(Capability::OpenJoin)));
        let refused = scene.join(&bundle, "b.example", &Scene::code(&other, RoomState::PARTICIPANT)).unwrap_err();
        assert_eq!(refused, Refused::NotAllowed(Refusal::RoleChange { from: 0, to: RoomState::PARTICIPANT }));
        let refused = scene.join(&bundle, "a.example", &Scene::code(&one, RoomState::PARTICIPANT)).unwrap_err();
        assert_eq!(refused, Refused::ForeignCommitter);
    }
}

#[test]
fn nobody_gives_itself_another_role_than_the_link_grants() {
    for mut scene in Scene::by_link() {
        let identity = scene.stranger();
        let code = Scene::code(&identity, RoomState::PARTICIPANT);
        for role in [RoomState::ADMIN, RoomState::MODERATOR, RoomState::MUTED, Role::BANNED] {
            let (_, bundle) = scene.joiner(identity.clone(), Some(role));
            let refused = scene.join(&bundle, "b.example", &code).unwrap_err();
            assert_eq!(refused, Refused::NotAllowed(Refusal::RoleChange { from: 0, to: role }));
        }
        // Nor somebody else along with itself, nor a change of the room.
        let accomplice = scene.stranger();
        let list = ParticipantListUpdate {
            added: [&identity, &accomplice]
                .map(|one| Participant { user: one.user().clone(), role: RoomState::PARTICIPANT })
                .to_vec(),
            ..ParticipantListUpdate::default()
        };
        let update = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode());
        let wild = Wild::updates(scene.hub.state(), vec![update]);
        let (_, bundle) = scene.joiner_with(identity.clone(), wild);
        assert_eq!(scene.join(&bundle, "b.example", &code), Err(Refused::NotAllowed(Refusal::ExternalCommit)));
        // Nor without standing in the list.
        let (_, bundle) = scene.joiner(identity, None);
        assert!(matches!(scene.join(&bundle, "b.example", &code), Err(Refused::NotAllowed(_))));
    }
}

#[test]
fn a_banned_pseudonym_does_not_come_back() {
    for mut scene in Scene::by_link() {
        let banned = scene.stranger();
        let update = add_participant(scene.hub.state(), banned.user(), Role::BANNED);
        let bundle = scene.rogue.commit(Wild::updates(scene.hub.state(), vec![update]));
        scene.accept(&bundle, "a.example").unwrap();
        for role in [None, Some(RoomState::PARTICIPANT)] {
            let wild = match role {
                None => Wild::default(),
                Some(role) => {
                    let index = scene.hub.state().participants().index_of(banned.user()).unwrap();
                    let changed = vec![RoleAssignment { index, role }];
                    let list = ParticipantListUpdate { changed, ..ParticipantListUpdate::default() };
                    let id = ComponentId::PARTICIPANT_LIST;
                    Wild::updates(scene.hub.state(), vec![ComponentUpdate::update(id, list.encode())])
                }
            };
            let (_, bundle) = scene.joiner_with(banned.clone(), wild);
            let refused = scene.join(&bundle, "b.example", &Scene::code(&banned, RoomState::PARTICIPANT));
            assert_eq!(refused, Err(Refused::NotAllowed(Refusal::Banned)));
        }
    }
}

#[test]
fn a_join_whose_octets_or_group_info_were_altered() {
    for mut scene in Scene::by_link() {
        let identity = scene.stranger();
        let code = Scene::code(&identity, RoomState::PARTICIPANT);
        let (rogue, bundle) = scene.joiner(identity.clone(), Some(RoomState::PARTICIPANT));
        // The confirmation tag stands last, the signature before it.
        let tag = bundle.commit.confirmation_tag().unwrap().len();
        let octets = bundle.commit.as_bytes();
        for (at, expected) in [(0, Refused::GroupInfo), (tag + 2, Refused::Signature)] {
            let commit = MlsMessage::decode(&flipped(octets, at)).unwrap();
            let altered = CommitBundle { commit, ..bundle.clone() };
            assert_eq!(scene.join(&altered, "b.example", &code), Err(expected), "{at}");
        }
        for at in [0, 80, 160] {
            let Ok(group_info) = GroupInfo::decode(&flipped(bundle.group_info.as_bytes(), at)) else { continue };
            let altered = CommitBundle { group_info, ..bundle.clone() };
            assert_eq!(scene.join(&altered, "b.example", &code), Err(Refused::GroupInfo), "{at}");
        }
        let stale = CommitBundle { group_info: scene.hub.group_info().unwrap(), ..bundle.clone() };
        assert_eq!(scene.join(&stale, "b.example", &code), Err(Refused::GroupInfo));
        // Signed by another, who sits at that leaf nowhere.
        let other = scene.stranger();
        let group_info = common::rogue::Info::read(&rogue.group_info()).sign(&other);
        let forged = CommitBundle { group_info, ..bundle.clone() };
        assert_eq!(scene.join(&forged, "b.example", &code), Err(Refused::GroupInfo));
        // In order, it is taken, once.
        scene.join(&bundle, "b.example", &code).unwrap();
        assert_eq!(scene.join(&bundle, "b.example", &code), Err(Refused::WrongEpoch { current: 1 }));
    }
}

#[test]
fn a_stranger_whom_nobody_trusts_and_a_commit_of_the_other_kind() {
    for mut scene in Scene::by_link() {
        let user = scene.world.pseudonym("b.example");
        let identity = scene.world.stranger(&user);
        let (_, bundle) = scene.joiner(identity.clone(), Some(RoomState::PARTICIPANT));
        let refused = scene.join(&bundle, "b.example", &Scene::code(&identity, RoomState::PARTICIPANT));
        assert!(matches!(refused, Err(Refused::Credential(_))));
        let members = scene.rogue.commit(Wild::default());
        assert_eq!(scene.join(&members, "a.example", &Admission::Open), Err(Refused::Kind));
        assert_eq!(scene.accept(&bundle, "b.example"), Err(Refused::Kind));
    }
}

#[test]
fn anyone_joins_a_knock_room_as_a_knocker_with_one_client() {
    for mut scene in Scene::knock() {
        let identity = scene.stranger();
        let (_, bundle) = scene.joiner(identity.clone(), Some(RoomState::KNOCKER));
        assert!(!scene.join(&bundle, "b.example", &Admission::Open).unwrap().by_code);
        let user = identity.user().clone();
        let second = scene.world.client(&user);
        let (_, bundle) = scene.joiner(second, None);
        let refused = scene.join(&bundle, "b.example", &Admission::Open).unwrap_err();
        assert_eq!(refused, Refused::NotAllowed(Refusal::Capability(Capability::AddOwnClient)));
        let other = scene.stranger();
        let (_, bundle) = scene.joiner(other, Some(RoomState::MODERATOR));
        let refused = scene.join(&bundle, "b.example", &Admission::Open).unwrap_err();
        assert_eq!(refused, Refused::NotAllowed(Refusal::RoleChange { from: 0, to: RoomState::MODERATOR }));
    }
}

fn removal_from_list(hub: &HubRoom, user: &UserUri) -> ComponentUpdate {
    let removed = vec![hub.state().participants().index_of(user).unwrap()];
    let list = ParticipantListUpdate { removed, ..ParticipantListUpdate::default() };
    ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())
}

/// Bob leaves with his one client at leaf 1.
fn leave(scene: &Scene, bob: &mut Rogue) -> (Vec<ProposalMessage>, ComponentUpdate) {
    let update = removal_from_list(&scene.hub, bob.identity.user());
    let mut proposals = bob.propose_removals(&[1]);
    proposals.push(bob.propose_update(&update));
    (proposals, update)
}

#[test]
fn a_leave_waits_and_the_next_commit_has_to_contain_it() {
    for mut scene in Scene::by_link() {
        let mut bob = scene.joined();
        let user = bob.identity.user().clone();
        let (proposals, update) = leave(&scene, &mut bob);
        scene.propose(&proposals, "b.example").unwrap();
        assert!(scene.hub.is_user_leaving(&user));
        assert_eq!(scene.hub.pending_proposals().len(), 2);
        // A commit that omits it, and one that does the same by itself.
        let bundle = scene.rogue.commit(Wild::default());
        scene.rogue.forget();
        assert_eq!(scene.accept(&bundle, "a.example"), Err(Refused::Omits));
        let inline = Wild { remove: vec![1], ..Wild::updates(scene.hub.state(), vec![update.clone()]) };
        let bundle = scene.rogue.commit(inline);
        scene.rogue.forget();
        assert_eq!(scene.accept(&bundle, "a.example"), Err(Refused::Omits));
        // Bob may commit nothing more, and propose nothing but removals of his own.
        bob.forget_proposals();
        let bundle = bob.commit(Wild::default());
        bob.forget();
        assert_eq!(scene.accept(&bundle, "b.example"), Err(Refused::Leaving));
        let again = bob.propose_update(&update);
        assert_eq!(scene.propose(&[again], "b.example"), Err(Refusal::NotParticipant.into()));
        // With it, the next commit is taken, and he is out.
        for proposal in &proposals {
            scene.rogue.take(proposal);
        }
        let next = scene.hub.state().with_updates(std::slice::from_ref(&update)).unwrap();
        let list = (update.id, next.component(update.id));
        let bundle = scene.rogue.commit(Wild { dictionary: vec![list], ..Wild::default() });
        scene.accept(&bundle, "a.example").unwrap();
        assert_eq!(scene.hub.clients().len(), 1);
        assert!(scene.hub.state().participants().role_of(&user).is_none());
        assert!(scene.hub.pending_proposals().is_empty() && !scene.hub.is_user_leaving(&user));
    }
}

#[test]
fn an_external_commit_makes_a_leave_void() {
    for mut scene in Scene::by_link() {
        let mut bob = scene.joined();
        let (proposals, _) = leave(&scene, &mut bob);
        scene.propose(&proposals, "b.example").unwrap();
        // Whoever is about to leave does not come back meanwhile.
        let user = bob.identity.user().clone();
        let again = scene.world.client(&user);
        let (_, bundle) = scene.joiner(again, None);
        assert_eq!(scene.join(&bundle, "b.example", &Admission::Open), Err(Refused::Leaving));
        let identity = scene.stranger();
        let (_, bundle) = scene.joiner(identity.clone(), Some(RoomState::PARTICIPANT));
        scene.join(&bundle, "b.example", &Scene::code(&identity, RoomState::PARTICIPANT)).unwrap();
        assert!(scene.hub.pending_proposals().is_empty() && !scene.hub.is_user_leaving(&user));
        assert_eq!(scene.hub.clients().len(), 3);
    }
}

#[test]
fn one_client_removes_itself() {
    for mut scene in Scene::by_link() {
        let mut bob = scene.joined();
        let user = bob.identity.user().clone();
        let second = scene.world.client(&user);
        let (_, bundle) = scene.joiner(second, None);
        scene.join(&bundle, "b.example", &Admission::Open).unwrap();
        scene.rogue.follow(scene.hub.state(), &bundle.commit);
        bob.follow(scene.hub.state(), &bundle.commit);
        let proposal = bob.propose_self_removal();
        scene.propose(std::slice::from_ref(&proposal), "b.example").unwrap();
        assert!(!scene.hub.is_user_leaving(&user), "its other client stays");
        scene.rogue.take(&proposal);
        let bundle = scene.rogue.commit(Wild::default());
        scene.accept(&bundle, "a.example").unwrap();
        assert_eq!(scene.hub.clients().len(), 2);
    }
}

#[test]
fn proposals_that_are_not_taken() {
    for mut scene in Scene::by_link() {
        let mut bob = scene.joined();
        let (mut proposals, _) = leave(&scene, &mut bob);
        assert_eq!(scene.propose(&[], "b.example"), Err(ProposalRefusal::Sender));
        assert_eq!(scene.propose(&proposals, "a.example"), Err(ProposalRefusal::ForeignProposer));
        let alices = scene.rogue.propose_removals(&[1]);
        scene.rogue.forget_proposals();
        let both = [proposals[0].clone(), alices[0].clone()];
        assert_eq!(scene.propose(&both, "b.example"), Err(ProposalRefusal::Sender));
        // A proposal's membership tag stands last, the signature before it.
        let octets = proposals[0].message().as_bytes();
        let forged: ProposalMessage = MlsMessage::decode(&flipped(octets, 36)).unwrap().try_into().unwrap();
        assert_eq!(scene.propose(&[forged], "b.example"), Err(ProposalRefusal::Signature));
        // Bob is no moderator: he removes neither Alice nor her place in the list.
        bob.forget_proposals();
        let alice = scene.rogue.identity.user().clone();
        let remove = bob.propose_removals(&[0]);
        let refused = scene.propose(&remove, "b.example").unwrap_err();
        assert_eq!(refused, ProposalRefusal::NotAllowed(Refusal::Capability(Capability::Kick)));
        let update = bob.propose_update(&removal_from_list(&scene.hub, &alice));
        let refused = scene.propose(&[update], "b.example").unwrap_err();
        assert_eq!(refused, ProposalRefusal::NotAllowed(Refusal::Capability(Capability::RemoveParticipant)));
        let update = bob.group.propose_self_update(
            &bob.provider,
            &common::rogue::Key(&bob.identity),
            openmls::prelude::LeafNodeParameters::default(),
        );
        let update: ProposalMessage = common::rogue::message(&update.unwrap().0).try_into().unwrap();
        assert_eq!(scene.propose(&[update], "b.example"), Err(ProposalRefusal::Proposal));
        // Twice the same.
        scene.propose(&proposals, "b.example").unwrap();
        bob.forget_proposals();
        let again = bob.propose_removals(&[1]);
        assert_eq!(scene.propose(&again, "b.example"), Err(Refusal::ClientTwice.into()));
        // Of another epoch, and of another room.
        let identity = scene.stranger();
        let (_, bundle) = scene.joiner(identity.clone(), Some(RoomState::PARTICIPANT));
        scene.join(&bundle, "b.example", &Scene::code(&identity, RoomState::PARTICIPANT)).unwrap();
        proposals.truncate(1);
        assert_eq!(scene.propose(&proposals, "b.example"), Err(ProposalRefusal::WrongEpoch { current: 2 }));
        let mut other = Scene::knock().next().unwrap().rogue;
        let foreign = other.propose_removals(&[0]);
        assert_eq!(scene.propose(&foreign, "a.example"), Err(ProposalRefusal::OtherRoom));
    }
}
