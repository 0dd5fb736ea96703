//! Joining by an external commit, as the joiner and the members see it, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    DAY, World, add_participant,
    rogue::{Founding, Info, Rogue, Wild, flipped},
};
use mimi_credential::{CredentialError, TrustStore};
use mimi_mls::{
    CommitBundle, ExternalJoinError, FirstEpoch, Identity, OpenError, Opened, PreviewError, Room, RoomPreview,
    SealError, UnverifiedRoom, with_franking_agent,
};
use mimi_pseudonym::{CipherSuite, Content, MessageContext, RoomUri, Timestamp, UserUri};
use mimi_room::{
    Capability, ComponentId, ComponentUpdate, How, JoinLinkPolicy, KeyPackagePurpose, Members, ParticipantListUpdate,
    Refusal, Role, RoomState, StateError, TemporaryBans,
};
use mimi_wire::{ExternalSender, FrankingAgentData, GroupInfo, RatchetTree, Wire};

/// Alice's room, which whoever has a join code may join, and Bob outside.
struct Door {
    world: World,
    room: Room,
    first: FirstEpoch,
    bob: Identity,
}

impl Door {
    fn with(suite: CipherSuite, state: impl FnOnce(&mut World, RoomUri, UserUri) -> RoomState) -> Self {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let uri = world.room_uri();
        let identity = world.client(&alice);
        let state = state(&mut world, uri, alice);
        let (room, first) = Room::create(identity, state, &world.hub, world.now).unwrap();
        let bob = world.pseudonym("b.example");
        let bob = world.client(&bob);
        Self { world, room, first, bob }
    }

    fn new(suite: CipherSuite) -> Self {
        Self::with(suite, |_, uri, alice| RoomState::by_link(uri, alice, JoinLinkPolicy::default()).unwrap())
    }

    fn each() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(Self::new)
    }

    fn look(&self, info: &GroupInfo, tree: &RatchetTree) -> Result<RoomPreview, PreviewError> {
        let unverified = UnverifiedRoom::new(info.clone(), tree.clone());
        let World { hub, trust, now, .. } = &self.world;
        unverified.verify(self.room.uri(), hub, self.bob.clone(), trust, *now)
    }

    fn preview(&self) -> RoomPreview {
        self.look(&self.first.group_info, &self.first.ratchet_tree).unwrap()
    }

    fn refused(&self, info: &GroupInfo, tree: &RatchetTree) -> PreviewError {
        self.look(info, tree).unwrap_err()
    }

    fn join(&self, how: How) -> Result<(Room, CommitBundle), ExternalJoinError> {
        self.preview().join(how, &self.world.trust, self.world.now)
    }

    fn open(&mut self, bundle: &CommitBundle) -> Result<Opened, OpenError> {
        self.room.open(&bundle.commit, &self.world.trust, self.world.now)
    }
}

fn text(body: &str) -> Content {
    Content { media_type: "text/plain".into(), body: body.as_bytes().to_vec() }
}

/// One says something to the other; both see the same context.
fn hear(world: &World, from: &mut Room, to: &mut Room) -> MessageContext {
    let mut sealed = None;
    let message = from
        .seal_with(|context| {
            sealed = Some(context.clone());
            Ok::<_, SealError>(text("hello"))
        })
        .unwrap();
    match to.open(&message, &world.trust, world.now).unwrap() {
        Opened::Content { content, context, .. } => {
            assert_eq!((content, Some(&*context)), (text("hello"), sealed.as_ref()));
            *context
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_room_is_seen_before_it_is_joined_and_the_joiner_is_a_member_like_others() {
    for mut door in Door::each() {
        let preview = door.preview();
        assert_eq!(preview.state(), door.room.state());
        assert_eq!(
            (preview.epoch(), preview.members(), preview.suite()),
            (0, &Members::new(door.room.clients()).unwrap(), door.world.suite)
        );
        assert_eq!(preview.role(How::JoinCode, door.world.now), Ok(Some(RoomState::PARTICIPANT)));
        let (room, bundle) = door.join(How::JoinCode).unwrap();
        assert!(bundle.welcome.is_none() && !bundle.group_info.has_ratchet_tree());
        let opened = door.open(&bundle).unwrap();
        assert!(matches!(&opened, Opened::Commit { by, own_lost: false } if by == door.bob.user()), "{opened:?}");
        let mut bob = Room::restore(&room.save()).unwrap();
        assert_eq!((bob.state(), bob.clients(), bob.epoch()), (door.room.state(), door.room.clients(), 1));
        let role = bob.state().participants().role_of(door.bob.user());
        assert_eq!(role, Some(RoomState::PARTICIPANT));
        let context = hear(&door.world, &mut bob, &mut door.room);
        assert_eq!(context.sender(), door.bob.user());
        hear(&door.world, &mut door.room, &mut bob);
        // What the joiner has sent comes back to it.
        assert!(matches!(bob.open(&bundle.commit, &door.world.trust, door.world.now).unwrap(), Opened::Duplicate));
        let commit = bob.commit(Default::default()).unwrap();
        assert!(matches!(door.open(&commit).unwrap(), Opened::Commit { .. }));
    }
}

#[test]
fn whoever_is_a_participant_joins_with_one_more_client_and_no_join_code() {
    for mut door in Door::each() {
        let alice = door.room.identity().user().clone();
        door.bob = door.world.client(&alice);
        assert_eq!(door.preview().role(How::ExternalCommit, door.world.now), Ok(None));
        let (mut second, bundle) = door.join(How::ExternalCommit).unwrap();
        door.open(&bundle).unwrap();
        assert_eq!((door.room.clients().len(), door.room.state().participants().len()), (2, 1));
        hear(&door.world, &mut second, &mut door.room);
    }
}

#[test]
fn a_client_that_has_lost_its_state_takes_its_own_place_again() {
    for mut door in Door::each() {
        let (lost, bundle) = door.join(How::JoinCode).unwrap();
        door.open(&bundle).unwrap();
        // The tree of that epoch is what its members hold.
        let identity = door.bob.clone();
        let tree = door.room.ratchet_tree().unwrap();
        let preview = door.look(&bundle.group_info, &tree).unwrap();
        assert_eq!(preview.members().len(), 1, "the earlier leaf is not among them");
        let (mut again, bundle) = preview.join(How::ExternalCommit, &door.world.trust, door.world.now).unwrap();
        door.open(&bundle).unwrap();
        assert_eq!(door.room.clients().len(), 2);
        assert_eq!(again.identity().client(), identity.client());
        hear(&door.world, &mut again, &mut door.room);
        let mut lost = lost;
        let opened = lost.open(&bundle.commit, &door.world.trust, door.world.now).unwrap();
        assert!(matches!(opened, Opened::Removed { .. }));
    }
}

#[test]
fn a_group_info_of_another_room_suite_or_hub() {
    for mut door in Door::each() {
        let other = Door::with(door.world.suite, |world, _, alice| {
            RoomState::by_link(world.room_uri(), alice, JoinLinkPolicy::default()).unwrap()
        });
        let FirstEpoch { group_info, ratchet_tree } = &door.first;
        assert_eq!(door.refused(&other.first.group_info, &other.first.ratchet_tree), PreviewError::OtherRoom);
        let hub = ExternalSender { signature_key: vec![7; 32], ..door.world.hub.clone() };
        let World { trust, now, .. } = &door.world;
        let unverified = || UnverifiedRoom::new(group_info.clone(), ratchet_tree.clone());
        let refused = unverified().verify(door.room.uri(), &hub, door.bob.clone(), trust, *now);
        assert_eq!(refused.unwrap_err(), PreviewError::Hub);
        let mut elsewhere = World::new(*CipherSuite::ALL.iter().find(|suite| **suite != door.world.suite).unwrap());
        let stranger = elsewhere.client(door.bob.user());
        let refused = unverified().verify(door.room.uri(), &door.world.hub, stranger, trust, *now);
        assert_eq!(refused.unwrap_err(), PreviewError::Suite);
        // A room that names the same hub under the same URI, made by somebody else.
        let state = door.room.state().clone();
        let mallory = door.world.pseudonym("b.example");
        let rogue = door.world.client(&mallory);
        let swapped = Rogue::found(&door.world, rogue, &state).first();
        assert_eq!(door.refused(&swapped.group_info, &swapped.ratchet_tree), PreviewError::NotParticipant);
    }
}

#[test]
fn a_group_info_that_no_member_has_signed_or_that_is_stale() {
    for mut door in Door::each() {
        let FirstEpoch { group_info, ratchet_tree } = door.first.clone();
        let stranger = Info::read(&group_info).sign(&door.bob);
        assert_eq!(door.refused(&stranger, &ratchet_tree), PreviewError::Mls);
        for at in (0..group_info.as_bytes().len()).step_by(7) {
            let Ok(changed) = GroupInfo::decode(&flipped(group_info.as_bytes(), at)) else { continue };
            assert!(door.look(&changed, &ratchet_tree).is_err(), "{at} from the end");
        }
        let changed = RatchetTree::decode(&flipped(ratchet_tree.as_bytes(), 5)).unwrap();
        assert_eq!(door.refused(&group_info, &changed), PreviewError::Mls);
        // Without the key for joining, nobody can.
        let closed = Info { extensions: Vec::new(), ..Info::read(&group_info) }.sign(door.room.identity());
        assert_eq!(door.refused(&closed, &ratchet_tree), PreviewError::Mls);

        // The old GroupInfo with the new tree, and the other way round.
        let renewed = door.room.commit(Default::default()).unwrap();
        door.room.commit_accepted(&door.world.trust, door.world.now).unwrap();
        let tree = door.room.ratchet_tree().unwrap();
        assert_eq!(door.refused(&group_info, &tree), PreviewError::Mls);
        assert_eq!(door.refused(&renewed.group_info, &ratchet_tree), PreviewError::Mls);
        // Old and whole, it looks like a room; whoever joins by it is not let in.
        let (_, bundle) = door.join(How::JoinCode).unwrap();
        let before = door.room.save();
        assert!(matches!(door.open(&bundle).unwrap(), Opened::Duplicate));
        assert_eq!(door.room.save(), before);
        let preview = door.look(&renewed.group_info, &tree).unwrap();
        assert_eq!(preview.epoch(), 1);
    }
}

#[test]
fn members_whose_credential_does_not_hold_and_a_state_that_is_none() {
    for mut door in Door::each() {
        let World { b, hub, now, .. } = &door.world;
        let only_b = TrustStore::default().with_anchor(b.certificate(), [common::domain("b.example")]).unwrap();
        let FirstEpoch { group_info, ratchet_tree } = &door.first;
        let verify = |trust: &TrustStore, now: Timestamp| {
            let unverified = UnverifiedRoom::new(group_info.clone(), ratchet_tree.clone());
            unverified.verify(door.room.uri(), hub, door.bob.clone(), trust, now).unwrap_err()
        };
        let untrusted = PreviewError::Credential(CredentialError::UntrustedIssuer);
        assert_eq!(verify(&only_b, *now), untrusted);
        let expired = PreviewError::Credential(CredentialError::Expired);
        assert_eq!(verify(&door.world.trust, now.after(DAY * 100)), expired);

        let state = door.room.state().clone();
        let identity = door.world.client(&door.room.identity().user().clone());
        let mut founding = Founding::of(&door.world, &state);
        founding.components.retain(|(id, _)| *id != ComponentId::BASE_ROOM_POLICY);
        let first = Rogue::with(identity.clone(), &founding).first();
        let missing = StateError::Missing(ComponentId::BASE_ROOM_POLICY);
        assert_eq!(door.refused(&first.group_info, &first.ratchet_tree), PreviewError::State(missing));
        // A client without its user on the list.
        let mut rogue = Rogue::found(&door.world, identity, &state);
        let cathy = door.world.pseudonym("b.example");
        let cathy = door.world.client(&cathy);
        let new = door.world.key_package(&cathy, KeyPackagePurpose::Any);
        let bundle = rogue.commit(Wild { add: vec![new.key_package], ..Wild::default() });
        rogue.merge();
        assert_eq!(door.refused(&bundle.group_info, &rogue.tree()), PreviewError::NotParticipant);
    }
}

#[test]
fn whom_the_room_does_not_let_in_it_tells_before_anything_is_sent() {
    for suite in CipherSuite::ALL {
        let door = Door::with(suite, |_, uri, alice| RoomState::private(uri, alice).unwrap());
        let refused = |how| door.join(how).unwrap_err();
        let lacking = |capability| ExternalJoinError::NotAllowed(Refusal::Capability(capability));
        assert_eq!(refused(How::JoinCode), lacking(Capability::UseJoinCode));
        assert_eq!(refused(How::ExternalCommit), lacking(Capability::OpenJoin));

        let door = Door::new(suite);
        let refused = door.join(How::ExternalCommit).unwrap_err();
        assert_eq!(refused, lacking(Capability::OpenJoin), "without a code");
    }
}

/// A room by link in which Bob's user is banned, until this time or for ever.
fn banned(suite: CipherSuite, until: Option<u64>) -> Door {
    let mut door = Door::new(suite);
    let ban = ParticipantListUpdate::add(door.bob.user().clone(), Role::BANNED);
    let mut updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, ban.encode())];
    if let Some(until) = until {
        let bans = TemporaryBans::default().with(door.bob.user().clone(), Timestamp::from_secs(until));
        updates.push(ComponentUpdate::update(ComponentId::TEMPORARY_BANS, bans.encode()));
    }
    let bundle = door.room.commit(mimi_mls::Wanted { updates, ..Default::default() }).unwrap();
    door.room.commit_accepted(&door.world.trust, door.world.now).unwrap();
    let ratchet_tree = door.room.ratchet_tree().unwrap();
    door.first = FirstEpoch { group_info: bundle.group_info, ratchet_tree };
    door
}

#[test]
fn a_banned_user_does_not_come_back_before_the_ban_has_ended() {
    for suite in CipherSuite::ALL {
        let mut door = banned(suite, None);
        assert_eq!(door.join(How::JoinCode).unwrap_err(), ExternalJoinError::NotAllowed(Refusal::Banned));
        // With a client that does not ask, the members refuse it.
        let FirstEpoch { group_info, ratchet_tree } = door.first.clone();
        let (_, bundle) = Rogue::join(door.bob.clone(), &group_info, &ratchet_tree, Wild::default());
        let before = door.room.save();
        assert_eq!(door.open(&bundle).unwrap_err(), OpenError::NotAllowed(Refusal::Banned));
        assert_eq!(door.room.save(), before);

        let end = common::now().as_secs() + 60;
        let mut door = banned(suite, Some(end));
        let refused = door.join(How::JoinCode).unwrap_err();
        assert_eq!(refused, ExternalJoinError::NotAllowed(Refusal::Banned));
        door.world.now = Timestamp::from_secs(end);
        let (_, bundle) = door.join(How::JoinCode).unwrap();
        // A hub cannot let it in earlier.
        let early = door.room.open(&bundle.commit, &door.world.trust, Timestamp::from_secs(end - 1));
        assert_eq!(early.unwrap_err(), OpenError::NotAllowed(Refusal::Banned));
        door.open(&bundle).unwrap();
        let role = door.room.state().participants().role_of(door.bob.user());
        assert_eq!(role, Some(RoomState::PARTICIPANT));
        assert!(door.room.state().temporary_bans().unwrap().is_empty());
    }
}

#[test]
fn what_a_joiner_takes_for_itself_the_members_refuse() {
    for mut door in Door::each() {
        let FirstEpoch { group_info, ratchet_tree } = door.first.clone();
        let state = door.room.state().clone();
        let bob = door.bob.user().clone();
        let cathy = door.world.pseudonym("b.example");
        let list = |user: &UserUri, role| add_participant(&state, user, role);
        let name = {
            let metadata = mimi_room::RoomMetadata {
                name: "mine".into(),
                ..mimi_room::RoomMetadata::new(door.room.uri().clone())
            };
            ComponentUpdate::update(ComponentId::ROOM_METADATA, metadata.encode())
        };
        let role = Refusal::RoleChange { from: Role::NONE, to: RoomState::ADMIN };
        let moderator = Refusal::RoleChange { from: Role::NONE, to: RoomState::MODERATOR };
        let cases = [
            (vec![list(&bob, RoomState::ADMIN)], role),
            (vec![list(&bob, RoomState::MODERATOR)], moderator),
            (vec![], Refusal::NotParticipant),
            (vec![list(&cathy, RoomState::PARTICIPANT)], Refusal::ExternalCommit),
            (vec![list(&bob, RoomState::PARTICIPANT), list(&cathy, RoomState::PARTICIPANT)], Refusal::ExternalCommit),
            (vec![list(&bob, RoomState::PARTICIPANT), name], Refusal::ExternalCommit),
        ];
        for (updates, refusal) in cases {
            let wild = Wild::updates(&state, updates);
            let (_, bundle) = Rogue::join(door.bob.clone(), &group_info, &ratchet_tree, wild);
            let before = door.room.save();
            assert_eq!(door.open(&bundle).unwrap_err(), OpenError::NotAllowed(refusal));
            assert_eq!(door.room.save(), before, "nothing has changed");
        }
        // A credential that nobody trusts.
        let stranger = door.world.stranger(&bob);
        let wild = || Wild::updates(&state, vec![list(&bob, RoomState::PARTICIPANT)]);
        let (_, bundle) = Rogue::join(stranger, &group_info, &ratchet_tree, wild());
        assert_eq!(door.open(&bundle).unwrap_err(), OpenError::Commit);
        // In order, it is let in.
        let (_, bundle) = Rogue::join(door.bob.clone(), &group_info, &ratchet_tree, wild());
        assert!(matches!(door.open(&bundle).unwrap(), Opened::Commit { .. }));
    }
}

#[test]
fn people_who_knock_come_in_to_knock_and_nothing_else() {
    for suite in CipherSuite::ALL {
        let mut door = Door::with(suite, |world, uri, alice| RoomState::knock(uri, world.room_uri(), alice).unwrap());
        let (mut bob, bundle) = door.join(How::ExternalCommit).unwrap();
        door.open(&bundle).unwrap();
        assert_eq!(bob.state().participants().role_of(door.bob.user()), Some(RoomState::KNOCKER));
        let context = hear(&door.world, &mut bob, &mut door.room);
        assert_eq!(context.sender(), door.bob.user());
        let second = door.world.client(&door.bob.user().clone());
        door.bob = second;
        let tree = door.room.ratchet_tree().unwrap();
        let preview = door.look(&bundle.group_info, &tree).unwrap();
        let refused = preview.join(How::ExternalCommit, &door.world.trust, door.world.now).unwrap_err();
        assert_eq!(refused, ExternalJoinError::NotAllowed(Refusal::Capability(Capability::AddOwnClient)));
    }
}

#[test]
fn a_room_whose_messages_are_stamped_is_joined_and_left_like_others() {
    for suite in CipherSuite::ALL {
        let mut door = Door::with(suite, |world, uri, alice| {
            let agent = FrankingAgentData {
                franking_signature_key: world.hub.signature_key.clone(),
                credential: world.hub.credential.clone(),
            };
            let state = RoomState::by_link(uri, alice, JoinLinkPolicy::default()).unwrap();
            with_franking_agent(state, &agent).unwrap()
        });
        let (mut bob, bundle) = door.join(How::JoinCode).unwrap();
        assert!(matches!(door.open(&bundle).unwrap(), Opened::Commit { .. }));
        hear(&door.world, &mut bob, &mut door.room);
        for message in bob.leave().unwrap() {
            let opened = door.room.open(&message, &door.world.trust, door.world.now).unwrap();
            assert!(matches!(opened, Opened::Proposal { .. }));
        }
        let bundle = door.room.commit(Default::default()).unwrap();
        door.room.commit_accepted(&door.world.trust, door.world.now).unwrap();
        assert_eq!(door.room.clients().len(), 1);
        let opened = bob.open(&bundle.commit, &door.world.trust, door.world.now).unwrap();
        assert!(matches!(opened, Opened::Removed { .. }));
    }
}
