//! Leaving by proposals that somebody else commits, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{World, add_participant, rogue::Rogue};
use mimi_mls::{CommitError, LeaveError, OpenError, Opened, Room, SealError, VerifiedKeyPackage, Wanted};
use mimi_pseudonym::{CipherSuite, Content, UserUri};
use mimi_room::{
    Capability, ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, Refusal, Role, RoomState,
};
use mimi_wire::{MlsMessage, Wire};
use openmls::group::Propose;

const ALICE: usize = 0;
const BOB: usize = 1;
const BOB2: usize = 2;
const CATHY: usize = 3;

/// Alice with one client, Bob with two, Cathy with one.
struct Three {
    world: World,
    rooms: Vec<Room>,
}

impl Three {
    fn new(suite: CipherSuite) -> Self {
        let mut world = World::new(suite);
        let users = [world.pseudonym("a.example"), world.pseudonym("b.example"), world.pseudonym("b.example")];
        let identity = world.client(&users[0]);
        let state = RoomState::private(world.room_uri(), users[0].clone()).unwrap();
        let (mut alice, _) = Room::create(identity, state, &world.hub, world.now).unwrap();
        let mut new = Vec::new();
        let mut add: Vec<VerifiedKeyPackage> = Vec::new();
        for user in [&users[1], &users[1], &users[2]] {
            let identity = world.client(user);
            let key_package = world.key_package(&identity, KeyPackagePurpose::Any);
            add.push(world.verify(&key_package, user));
            new.push((identity, key_package));
        }
        let updates = users[1..].iter().map(|user| add_participant(alice.state(), user, RoomState::PARTICIPANT));
        let bundle = alice.commit(Wanted { updates: updates.collect(), add, remove: vec![] }).unwrap();
        alice.commit_accepted(&world.trust, world.now).unwrap();
        let (welcome, tree, uri) = (bundle.welcome.unwrap(), alice.ratchet_tree().unwrap(), alice.uri().clone());
        let others = new.into_iter().map(|(identity, new)| {
            Room::join(identity, &new.secret, &uri, &welcome, &tree, &world.trust, world.now).unwrap()
        });
        let rooms = std::iter::once(alice).chain(others).collect();
        Self { world, rooms }
    }

    fn each() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(Self::new)
    }

    /// One of them opens a message, and is saved and restored.
    fn open(&mut self, who: usize, message: &MlsMessage) -> Opened {
        let room = &mut self.rooms[who];
        let opened = room.open(message, &self.world.trust, self.world.now).unwrap();
        *room = Room::restore(&room.save()).unwrap();
        opened
    }

    fn commit(&mut self, who: usize, wanted: Wanted) -> MlsMessage {
        let bundle = self.rooms[who].commit(wanted).unwrap();
        self.rooms[who].commit_accepted(&self.world.trust, self.world.now).unwrap();
        bundle.commit
    }

    fn user(&self, who: usize) -> UserUri {
        self.rooms[who].identity().user().clone()
    }
}

fn text() -> Content {
    Content { media_type: "text/plain".into(), body: b"x".to_vec() }
}

#[test]
fn whoever_leaves_goes_with_all_clients_at_the_next_commit() {
    for mut three in Three::each() {
        let bob = three.user(BOB);
        let proposals = three.rooms[BOB].leave().unwrap();
        assert_eq!(proposals.len(), 3);
        assert!(three.rooms[BOB].is_leaving());
        assert_eq!(three.rooms[BOB].leave().unwrap_err(), LeaveError::Leaving);
        assert_eq!(three.rooms[BOB].seal(&text()).unwrap_err(), SealError::Leaving);
        assert_eq!(three.rooms[BOB].commit(Wanted::default()).unwrap_err(), CommitError::Leaving);
        // What was proposed is kept, also over a restart.
        for who in [ALICE, BOB2, CATHY] {
            assert!(!three.rooms[who].has_pending_proposals() && three.rooms[who].departing().is_empty());
            let mut goes = false;
            for message in &proposals {
                match three.open(who, message) {
                    Opened::Proposal { by, own } => {
                        assert_eq!(by.as_ref(), Some(&bob));
                        goes |= own;
                    }
                    other => panic!("{other:?}"),
                }
                assert!(matches!(three.open(who, message), Opened::Duplicate));
            }
            assert_eq!((goes, three.rooms[who].is_leaving()), (who == BOB2, who == BOB2));
            assert_eq!(three.rooms[who].check_proposals(), Ok(()));
            assert_eq!(three.rooms[who].departing(), std::slice::from_ref(&bob));
        }
        assert_eq!(three.rooms[BOB2].seal(&text()).unwrap_err(), SealError::Leaving);
        // Cathy commits, and does something else besides.
        let dora = three.world.pseudonym("b.example");
        let update = add_participant(three.rooms[CATHY].state(), &dora, RoomState::PARTICIPANT);
        let commit = three.commit(CATHY, Wanted { updates: vec![update], ..Wanted::default() });
        assert!(matches!(three.open(ALICE, &commit), Opened::Commit { .. }));
        for who in [BOB, BOB2] {
            assert!(matches!(three.open(who, &commit), Opened::Removed { .. }));
        }
        for room in [&three.rooms[ALICE], &three.rooms[CATHY]] {
            assert_eq!((room.clients().len(), room.state().participants().len()), (2, 3));
            assert_eq!(room.state().participants().role_of(&bob), None);
            assert!(room.departing().is_empty() && !room.has_pending_proposals());
        }
        assert_eq!(three.rooms[ALICE].state(), three.rooms[CATHY].state());
    }
}

#[test]
fn what_somebody_wants_to_do_to_one_who_leaves_is_done_already() {
    for mut three in Three::each() {
        let (bob, cathy) = (three.user(BOB), three.user(CATHY));
        for message in three.rooms[BOB].leave().unwrap() {
            three.open(ALICE, &message);
            three.open(CATHY, &message);
        }
        // Alice wants Bob out, and Cathy muted.
        let place = |user: &UserUri| three.rooms[ALICE].state().participants().index_of(user).unwrap();
        let list = ParticipantListUpdate {
            removed: vec![place(&bob)],
            changed: vec![mimi_room::RoleAssignment { index: place(&cathy), role: RoomState::MUTED }],
            ..Default::default()
        };
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())];
        let remove = [BOB, BOB2].map(|who| three.rooms[who].identity().client().clone()).to_vec();
        let commit = three.commit(ALICE, Wanted { updates, add: vec![], remove });
        three.open(CATHY, &commit);
        assert_eq!(three.rooms[ALICE].state(), three.rooms[CATHY].state());
        assert_eq!(three.rooms[CATHY].state().participants().role_of(&cathy), Some(RoomState::MUTED));
        assert_eq!(three.rooms[CATHY].clients().len(), 2);
    }
}

#[test]
fn who_may_not_leave_or_is_committing_does_not() {
    for mut three in Three::each() {
        let room = &mut three.rooms[BOB];
        room.commit(Wanted::default()).unwrap();
        let before = room.save();
        assert_eq!(room.leave().unwrap_err(), LeaveError::Pending);
        assert_eq!(room.save(), before);
        // A room whose administrator is needed.
        let alice = three.world.pseudonym("a.example");
        let identity = three.world.client(&alice);
        let state = RoomState::private(three.world.room_uri(), alice).unwrap();
        let roles = state.roles().iter().cloned().map(|role| match role.index {
            RoomState::ADMIN => Role { min_participants: 1, ..role },
            _ => role,
        });
        let roles = mimi_room::Roles::new(roles.collect()).unwrap();
        let state = RoomState::new(state.room().clone(), state.participants().clone(), roles, state.base().clone());
        let (mut room, _) = Room::create(identity, state.unwrap(), &three.world.hub, three.world.now).unwrap();
        let before = room.save();
        let refused = room.leave().unwrap_err();
        assert!(matches!(refused, LeaveError::NotAllowed(Refusal::Constraint { .. })), "{refused}");
        assert_eq!(room.save(), before);
    }
}

#[test]
fn a_leave_that_the_hub_refuses_or_that_a_join_makes_void_is_forgotten() {
    for mut three in Three::each() {
        let before = three.rooms[BOB].clients();
        let proposals = three.rooms[BOB].leave().unwrap();
        three.rooms[BOB].leave_refused();
        assert!(!three.rooms[BOB].is_leaving() && !three.rooms[BOB].has_pending_proposals());
        assert!(three.rooms[BOB].seal(&text()).is_ok());
        assert_eq!(three.rooms[BOB].clients(), before);
        // Another commit without the proposals, as an external one is: they are void, and can be made again.
        for message in &proposals {
            three.open(ALICE, message);
        }
        let again = three.rooms[BOB].leave().unwrap();
        let commit = three.commit(CATHY, Wanted::default());
        three.open(ALICE, &commit);
        three.open(BOB, &commit);
        assert!(!three.rooms[ALICE].has_pending_proposals() && !three.rooms[BOB].is_leaving());
        for message in &again {
            assert!(matches!(three.open(ALICE, message), Opened::Duplicate), "of an epoch that is past");
        }
        assert_eq!(three.rooms[BOB].leave().unwrap().len(), 3);
    }
}

#[test]
fn proposals_that_a_hub_should_not_have_let_through() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice).unwrap();
        let mut rogue = Rogue::found(&world, identity, &state);
        let bob = world.pseudonym("b.example");
        let identity = world.client(&bob);
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        // Bob is the one who keeps order here, and the rogue is muted by its own commit.
        let list = ParticipantListUpdate {
            changed: vec![mimi_room::RoleAssignment { index: 0, role: RoomState::MUTED }],
            added: vec![mimi_room::Participant { user: bob.clone(), role: RoomState::ADMIN }],
            ..Default::default()
        };
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())];
        let wild = common::rogue::Wild { add: vec![new.key_package], ..common::rogue::Wild::updates(&state, updates) };
        let welcome = rogue.commit(wild).welcome.unwrap();
        rogue.merge();
        let tree = rogue.tree();
        let mut room =
            Room::join(identity, &new.secret, state.room(), &welcome, &tree, &world.trust, world.now).unwrap();
        let saved = room.save();
        let cathy = world.pseudonym("b.example");
        let mut look = |rogue: &mut Rogue, propose| {
            room = Room::restore(&saved).unwrap();
            let message = rogue.propose(propose);
            let opened = room.open(&message, &world.trust, world.now);
            (opened, room.check_proposals())
        };
        let add = ParticipantListUpdate::add(cathy, RoomState::PARTICIPANT).encode();
        let update = Propose::UpdateAppDataComponent { component_id: ComponentId::PARTICIPANT_LIST, update: add };
        let (opened, checked) = look(&mut rogue, update);
        assert!(matches!(opened, Ok(Opened::Proposal { own: false, .. })));
        assert_eq!(checked, Err(Refusal::Capability(Capability::AddParticipant)));
        let (opened, checked) = look(&mut rogue, Propose::Remove(1));
        assert!(matches!(opened, Ok(Opened::Proposal { own: true, .. })));
        assert_eq!(checked, Err(Refusal::Capability(Capability::Kick)));
        let (opened, checked) = look(&mut rogue, Propose::Update(Default::default()));
        assert_eq!((opened.unwrap_err(), checked), (OpenError::Proposal, Ok(())));
    }
}
