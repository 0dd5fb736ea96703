//! Why a Welcome does not lead into a room, and why a message is not opened or sealed: by name, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    DAY, World, add_participant,
    rogue::{Rogue, Wild, flipped},
};
use mimi_credential::{CredentialError, TrustStore};
use mimi_mls::{
    CommitBundle, CommitError, Identity, JoinError, KeyPackageSecret, NewKeyPackage, OpenError, Opened, Room,
    SealError, Wanted,
};
use mimi_pseudonym::{CipherSuite, Content, MessageContext, RoomUri, UserUri};
use mimi_room::{
    ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, Refusal, RoomPurpose, RoomState, StateError,
};
use mimi_wire::{MlsMessage, RatchetTree, Welcome, Wire};

fn bob() -> UserUri {
    "mimi://b.example/u/bob".parse().unwrap()
}

fn text(body: &str) -> Content {
    Content { media_type: "text/plain".into(), body: body.as_bytes().to_vec() }
}

/// Bob is invited by a rogue client into a room that it administers.
struct Invitation {
    world: World,
    rogue: Rogue,
    state: RoomState,
    identity: Identity,
    new: NewKeyPackage,
    welcome: Welcome,
    tree: RatchetTree,
}

impl Invitation {
    fn new(suite: CipherSuite) -> Self {
        Self::with(suite, |_, state| Wild::updates(state, vec![add_participant(state, &bob(), RoomState::PARTICIPANT)]))
    }

    fn with(suite: CipherSuite, wild: impl FnOnce(&mut World, &RoomState) -> Wild) -> Self {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice).unwrap();
        let mut rogue = Rogue::found(&world, identity, &state);
        let identity = world.client(&bob());
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        let mut wild = wild(&mut world, &state);
        wild.add.push(new.key_package.clone());
        let bundle = rogue.commit(wild);
        rogue.merge();
        let tree = rogue.tree();
        Self { world, rogue, state, identity, new, welcome: bundle.welcome.unwrap(), tree }
    }

    fn each() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(Self::new)
    }

    fn join(
        &self,
        secret: &KeyPackageSecret,
        room: &RoomUri,
        welcome: &Welcome,
        tree: &RatchetTree,
    ) -> Result<Room, JoinError> {
        let World { trust, now, .. } = &self.world;
        Room::join(self.identity.clone(), secret, room, welcome, tree, trust, *now)
    }

    fn joined(&self) -> Room {
        self.join(&self.new.secret, self.state.room(), &self.welcome, &self.tree).unwrap()
    }

    fn trusting(&self, trust: &TrustStore, now: mimi_pseudonym::Timestamp) -> JoinError {
        let (secret, room) = (&self.new.secret, self.state.room());
        Room::join(self.identity.clone(), secret, room, &self.welcome, &self.tree, trust, now).unwrap_err()
    }

    fn open(&self, room: &mut Room, message: &MlsMessage) -> Result<Opened, OpenError> {
        room.open(message, &self.world.trust, self.world.now)
    }

    /// Opens what is refused, and looks whether the room has stayed as it was.
    fn refused(&self, room: &mut Room, message: &MlsMessage) -> OpenError {
        let before = room.save();
        let error = self.open(room, message).unwrap_err();
        assert_eq!(room.save(), before, "nothing has changed");
        error
    }

    /// One more epoch, on both sides.
    fn next_epoch(&mut self, room: &mut Room) {
        let bundle = self.rogue.commit(Wild::default());
        self.rogue.merge();
        assert!(matches!(self.open(room, &bundle.commit).unwrap(), Opened::Commit { own_lost: false, .. }));
    }
}

#[test]
fn an_invitation_in_order_leads_into_the_room() {
    for invitation in Invitation::each() {
        let room = invitation.joined();
        assert_eq!((room.epoch(), room.clients().len(), room.is_active()), (1, 2, true));
    }
}

#[test]
fn a_welcome_for_another_key_package_or_with_changed_octets() {
    for invitation in Invitation::each() {
        let Invitation { world, new, state, welcome, tree, .. } = &invitation;
        let other = world.key_package(&invitation.identity, KeyPackagePurpose::Any);
        let room = state.room();
        assert_eq!(invitation.join(&other.secret, room, welcome, tree).unwrap_err(), JoinError::Welcome);
        let empty = KeyPackageSecret::from_bytes(vec![]);
        assert_eq!(invitation.join(&empty, room, welcome, tree).unwrap_err(), JoinError::Welcome);
        for at in (0..welcome.as_bytes().len()).step_by(9) {
            let Ok(changed) = Welcome::decode(&flipped(welcome.as_bytes(), at)) else { continue };
            let refused = invitation.join(&new.secret, room, &changed, tree).unwrap_err();
            assert_eq!(refused, JoinError::Welcome, "{at} from the end");
        }
    }
}

#[test]
fn a_tree_that_does_not_belong_to_it() {
    for mut invitation in Invitation::each() {
        let Invitation { new, state, welcome, tree, .. } = &invitation;
        let room = state.room();
        for at in (0..tree.as_bytes().len()).step_by(13) {
            let Ok(changed) = RatchetTree::decode(&flipped(tree.as_bytes(), at)) else { continue };
            let refused = invitation.join(&new.secret, room, welcome, &changed).unwrap_err();
            assert_eq!(refused, JoinError::Welcome, "{at} from the end");
        }
        invitation.rogue.commit(Wild::default());
        invitation.rogue.merge();
        let later = invitation.rogue.tree();
        let Invitation { new, state, welcome, .. } = &invitation;
        let refused = invitation.join(&new.secret, state.room(), welcome, &later).unwrap_err();
        assert_eq!(refused, JoinError::Welcome);
    }
}

#[test]
fn damaged_private_keys() {
    for invitation in Invitation::each() {
        let Invitation { new, state, welcome, tree, .. } = &invitation;
        let whole = new.secret.as_bytes();
        for at in (0..whole.len()).step_by(37) {
            for damaged in [flipped(whole, at), whole[..at].to_vec()] {
                let secret = KeyPackageSecret::from_bytes(damaged);
                let refused = invitation.join(&secret, state.room(), welcome, tree).unwrap_err();
                assert_eq!(refused, JoinError::Welcome, "{at}");
            }
        }
    }
}

#[test]
fn another_identity_than_the_key_packages() {
    for mut invitation in Invitation::each() {
        let other = invitation.world.client(&bob());
        let Invitation { new, state, welcome, tree, world, .. } = &invitation;
        let joined = Room::join(other, &new.secret, state.room(), welcome, tree, &world.trust, world.now);
        assert_eq!(joined.unwrap_err(), JoinError::Welcome);
    }
}

#[test]
fn another_room_than_it_came_for() {
    for mut invitation in Invitation::each() {
        let other = invitation.world.room_uri();
        let Invitation { new, welcome, tree, .. } = &invitation;
        assert_eq!(invitation.join(&new.secret, &other, welcome, tree).unwrap_err(), JoinError::OtherRoom);
    }
}

#[test]
fn a_group_whose_id_only_resembles_the_rooms() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice).unwrap();
        let id = state.room().group().as_str().to_owned();
        for group in [id.replace("a.example", "A.EXAMPLE"), "no uri".into(), String::new()] {
            let mut founding = common::rogue::Founding::of(&world, &state);
            founding.group = group.into_bytes();
            let mut rogue = Rogue::with(identity.clone(), &founding);
            let joiner = world.client(&bob());
            let new = world.key_package(&joiner, KeyPackagePurpose::Any);
            let updates = vec![add_participant(&state, &bob(), RoomState::PARTICIPANT)];
            let wild = Wild { add: vec![new.key_package.clone()], ..Wild::updates(&state, updates) };
            let welcome = rogue.commit(wild).welcome.unwrap();
            rogue.merge();
            let tree = rogue.tree();
            let (trust, now) = (&world.trust, world.now);
            let joined = Room::join(joiner, &new.secret, state.room(), &welcome, &tree, trust, now);
            assert_eq!(joined.unwrap_err(), JoinError::OtherRoom);
        }
    }
}

#[test]
fn a_room_whose_state_is_none() {
    for suite in CipherSuite::ALL {
        let id = ComponentId::BASE_ROOM_POLICY;
        let invitation = Invitation::with(suite, |_, state| {
            let update = add_participant(state, &bob(), RoomState::PARTICIPANT);
            let mut wild = Wild::updates(state, vec![update]);
            wild.updates.push(ComponentUpdate::remove(id));
            wild.dictionary.push((id, None));
            wild
        });
        let Invitation { new, state, welcome, tree, .. } = &invitation;
        let refused = invitation.join(&new.secret, state.room(), welcome, tree).unwrap_err();
        assert_eq!(refused, JoinError::State(StateError::Missing(id)));
    }
}

#[test]
fn a_member_whose_credential_does_not_hold() {
    for invitation in Invitation::each() {
        let World { a, b, now, .. } = &invitation.world;
        let only_b = TrustStore::default().with_anchor(b.certificate(), [common::domain("b.example")]).unwrap();
        let refused = invitation.trusting(&only_b, *now);
        assert_eq!(refused, JoinError::Credential(CredentialError::UntrustedIssuer));
        let wrong = only_b.with_anchor(a.certificate(), [common::domain("c.example")]).unwrap();
        let refused = invitation.trusting(&wrong, *now);
        assert_eq!(refused, JoinError::Credential(CredentialError::NotTrustedForDomain));
        let refused = invitation.trusting(&invitation.world.trust, now.after(DAY * 100));
        assert_eq!(refused, JoinError::Credential(CredentialError::Expired));
    }
}

#[test]
fn a_member_who_is_no_participant() {
    for suite in CipherSuite::ALL {
        // The joiner itself.
        let invitation = Invitation::with(suite, |_, _| Wild::default());
        let Invitation { new, state, welcome, tree, .. } = &invitation;
        let refused = invitation.join(&new.secret, state.room(), welcome, tree).unwrap_err();
        assert_eq!(refused, JoinError::NotParticipant);
        // Somebody else.
        let invitation = Invitation::with(suite, |world, state| {
            let cathy = world.client(&"mimi://b.example/u/cathy".parse().unwrap());
            let add = vec![world.key_package(&cathy, KeyPackagePurpose::Any).key_package];
            let update = add_participant(state, &bob(), RoomState::PARTICIPANT);
            Wild { add, ..Wild::updates(state, vec![update]) }
        });
        let Invitation { new, state, welcome, tree, .. } = &invitation;
        let refused = invitation.join(&new.secret, state.room(), welcome, tree).unwrap_err();
        assert_eq!(refused, JoinError::NotParticipant);
    }
}

fn content(opened: Opened) -> (Content, MessageContext) {
    match opened {
        Opened::Content { content, context, .. } => (content, *context),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_of_an_epoch_ahead() {
    for mut invitation in Invitation::each() {
        let mut room = invitation.joined();
        invitation.rogue.commit(Wild::default());
        invitation.rogue.merge();
        let message = invitation.rogue.say(&text("early").encode());
        let commit = invitation.rogue.commit(Wild::default()).commit;
        for message in [message, commit] {
            assert_eq!(invitation.refused(&mut room, &message), OpenError::Ahead { message: 2, room: 1 });
        }
    }
}

#[test]
fn messages_of_past_epochs_open_with_their_own_nonce_until_their_keys_are_gone() {
    for mut invitation in Invitation::each() {
        let mut room = invitation.joined();
        // What the sender seals in epoch 1, with the context on the sending side from a second member.
        let mut late = Vec::new();
        for _ in 0..8 {
            let two = [0, 1].map(|n| invitation.rogue.say(&text(&n.to_string()).encode()));
            late.push((room.epoch(), two));
            invitation.next_epoch(&mut room);
        }
        let mut nonces = std::collections::BTreeSet::new();
        for (epoch, [first, second]) in &late {
            let age = room.epoch() - epoch;
            if age > 5 {
                assert_eq!(invitation.refused(&mut room, first), OpenError::KeysGone, "epoch {epoch}");
                continue;
            }
            let (body, context) = content(invitation.open(&mut room, first).unwrap());
            assert_eq!((body, context.epoch()), (text("0"), *epoch));
            assert_eq!(context.sender(), invitation.rogue.identity.user());
            assert_eq!(context.room(), invitation.state.room());
            // The nonce is the one of that epoch and leaf: HMAC of the leaf key under the exported secret.
            let (_, again) = content(invitation.open(&mut room, second).unwrap());
            assert_eq!(again.nonce(), context.nonce());
            assert!(nonces.insert(*context.nonce().as_bytes()), "every epoch has a nonce of its own");
        }
        assert_eq!(nonces.len(), 5);
    }
}

#[test]
fn a_message_opened_late_has_the_nonce_it_was_sealed_with() {
    for suite in CipherSuite::ALL {
        let mut invitation = Invitation::new(suite);
        let mut bob = invitation.joined();
        // A second honest member, to see the sender's side.
        let identity = invitation.world.client(&"mimi://b.example/u/cathy".parse().unwrap());
        let new = invitation.world.key_package(&identity, KeyPackagePurpose::Any);
        let update = add_participant(bob.state(), identity.user(), RoomState::PARTICIPANT);
        let wild = Wild { add: vec![new.key_package], ..Wild::updates(bob.state(), vec![update]) };
        let bundle = invitation.rogue.commit(wild);
        invitation.rogue.merge();
        invitation.open(&mut bob, &bundle.commit).unwrap();
        let (tree, welcome) = (invitation.rogue.tree(), bundle.welcome.unwrap());
        let World { trust, now, .. } = &invitation.world;
        let mut cathy = Room::join(identity, &new.secret, bob.uri(), &welcome, &tree, trust, *now).unwrap();

        let mut sealed = None;
        let message = cathy
            .seal_with(|context| {
                sealed = Some(context.clone());
                Ok::<_, SealError>(text("late"))
            })
            .unwrap();
        for _ in 0..5 {
            invitation.next_epoch(&mut bob);
        }
        // One epoch more, in which the sender is removed, and the keys are gone.
        let index = bob.state().participants().index_of(cathy.identity().user()).unwrap();
        let list = ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let update = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode());
        let mut gone = Room::restore(&bob.save()).unwrap();
        let (_, context) = content(invitation.open(&mut bob, &message).unwrap());
        assert_eq!(Some(context), sealed);

        let wild = Wild { remove: vec![2], ..Wild::updates(gone.state(), vec![update]) };
        let bundle = invitation.rogue.commit(wild);
        invitation.rogue.merge();
        invitation.open(&mut gone, &bundle.commit).unwrap();
        assert_eq!(invitation.refused(&mut gone, &message), OpenError::KeysGone);
    }
}

#[test]
fn the_last_message_of_someone_who_was_removed_can_still_be_opened() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (mut alice, mut hub) = common::alice_alone(&mut world);
        let identity = world.client(&bob());
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        let add = vec![world.verify(&new, &bob())];
        let updates = vec![add_participant(alice.state(), &bob(), RoomState::RECIPIENT)];
        let bundle = alice.commit(Wanted { updates, add, remove: vec![] }).unwrap();
        let accepted = common::accept(&world, &mut hub, &bundle, "a.example");
        alice.commit_accepted(&world.trust, world.now).unwrap();
        let (welcome, tree, uri) = (bundle.welcome.unwrap(), accepted.ratchet_tree, alice.uri().clone());
        let mut room = Room::join(identity, &new.secret, &uri, &welcome, &tree, &world.trust, world.now).unwrap();
        let mut sealed = None;
        let message = room
            .seal_with(|context| {
                sealed = Some(context.clone());
                Ok::<_, SealError>(text("bye"))
            })
            .unwrap();
        let index = alice.state().participants().index_of(&bob()).unwrap();
        let list = ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())];
        let remove = vec![room.identity().client().clone()];
        alice.commit(Wanted { updates, add: vec![], remove }).unwrap();
        alice.commit_accepted(&world.trust, world.now).unwrap();
        let mut alice = Room::restore(&alice.save()).unwrap();
        let (body, context) = content(alice.open(&message, &world.trust, world.now).unwrap());
        assert_eq!((body, Some(context)), (text("bye"), sealed));
    }
}

#[test]
fn a_message_is_opened_once() {
    for mut invitation in Invitation::each() {
        let mut room = invitation.joined();
        let message = invitation.rogue.say(&text("once").encode());
        content(invitation.open(&mut room, &message).unwrap());
        let before = room.save();
        assert!(matches!(invitation.open(&mut room, &message).unwrap(), Opened::Duplicate));
        assert_eq!(room.save(), before);
        // Also when so many others have come since that its fingerprint is forgotten.
        for n in 0..130 {
            let other = invitation.rogue.say(&text(&n.to_string()).encode());
            content(invitation.open(&mut room, &other).unwrap());
        }
        assert_eq!(invitation.refused(&mut room, &message), OpenError::KeysGone);
    }
}

#[test]
fn an_own_message_comes_back_as_a_duplicate_however_late() {
    for invitation in Invitation::each() {
        let mut room = invitation.joined();
        let first = room.seal(&text("first")).unwrap();
        for n in 0..130 {
            room.seal(&text(&n.to_string())).unwrap();
        }
        let before = room.save();
        assert!(matches!(invitation.open(&mut room, &first).unwrap(), Opened::Duplicate));
        assert_eq!(room.save(), before);
    }
}

#[test]
fn content_without_framing() {
    for mut invitation in Invitation::each() {
        let mut room = invitation.joined();
        for plain in [&b""[..], b"hello", &[1, 0xff, 0], &[&text("x").encode()[..], b"more"].concat()] {
            let message = invitation.rogue.say(plain);
            assert_eq!(invitation.open(&mut room, &message).unwrap_err(), OpenError::Framing);
            // Its key is spent: that much has changed.
            assert!(matches!(invitation.open(&mut room, &message).unwrap(), Opened::Duplicate));
        }
        let message = invitation.rogue.say(&text("x").encode());
        assert_eq!(content(invitation.open(&mut room, &message).unwrap()).0, text("x"));
    }
}

#[test]
fn what_mls_refuses_and_what_belongs_to_another_room() {
    for mut invitation in Invitation::each() {
        let mut room = invitation.joined();
        let message = invitation.rogue.say(&text("x").encode());
        let changed = MlsMessage::decode(&flipped(message.as_bytes(), 0)).unwrap();
        assert_eq!(invitation.refused(&mut room, &changed), OpenError::Mls);
        content(invitation.open(&mut room, &message).unwrap());
        let commit = invitation.rogue.commit(Wild::default()).commit;
        for from_end in [0, 33, 66] {
            let changed = MlsMessage::decode(&flipped(commit.as_bytes(), from_end)).unwrap();
            assert_eq!(invitation.refused(&mut room, &changed), OpenError::Mls);
        }
        let info = MlsMessage::from(invitation.rogue.group_info());
        assert_eq!(invitation.refused(&mut room, &info), OpenError::Mls);

        // Another room's commit, of an epoch that is past here.
        let other_uri = invitation.world.room_uri();
        let user = invitation.rogue.identity.user().clone();
        let other = RoomState::private(other_uri, user).unwrap();
        let mut other = Rogue::found(&invitation.world, invitation.rogue.identity.clone(), &other);
        let commit = other.commit(Wild::default()).commit;
        assert_eq!(invitation.refused(&mut room, &commit), OpenError::Mls);
    }
}

#[test]
fn what_a_hub_should_not_have_let_through() {
    for mut invitation in Invitation::each() {
        let mut room = invitation.joined();
        let cathy = invitation.world.client(&"mimi://b.example/u/cathy".parse().unwrap());
        let add = vec![invitation.world.key_package(&cathy, KeyPackagePurpose::Any).key_package];
        let commit = |invitation: &mut Invitation, wild| {
            let bundle: CommitBundle = invitation.rogue.commit(wild);
            invitation.rogue.forget();
            bundle.commit
        };
        // A client of no participant.
        let message = commit(&mut invitation, Wild { add: add.clone(), ..Wild::default() });
        assert_eq!(invitation.refused(&mut room, &message), OpenError::NotAllowed(Refusal::UserNotInList));
        // A room that changes its purpose.
        let state = room.state().clone();
        let connection = RoomPurpose::Connection.encode();
        let message = commit(
            &mut invitation,
            Wild {
                updates: vec![ComponentUpdate::update(ComponentId::ROOM_PURPOSE, connection.clone())],
                dictionary: vec![(ComponentId::ROOM_PURPOSE, Some(connection))],
                ..Wild::default()
            },
        );
        assert_eq!(invitation.refused(&mut room, &message), OpenError::NotAllowed(Refusal::PurposeFixed));
        // A participant who goes and whose client stays.
        let index = state.participants().index_of(&bob()).unwrap();
        let list = ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let update = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode());
        let message = commit(&mut invitation, Wild::updates(&state, vec![update]));
        assert_eq!(invitation.refused(&mut room, &message), OpenError::NotAllowed(Refusal::ClientsRemain));
        // A proposal that has no place in a room.
        let context = invitation.rogue.group.extensions().clone();
        let message = commit(&mut invitation, Wild { context: Some(context), ..Wild::default() });
        assert_eq!(invitation.refused(&mut room, &message), OpenError::Commit);
        // A client with a credential that nobody trusts.
        let stranger = invitation.world.stranger(&bob());
        let add = vec![invitation.world.key_package(&stranger, KeyPackagePurpose::Any).key_package];
        let message = commit(&mut invitation, Wild { add, ..Wild::default() });
        assert_eq!(invitation.refused(&mut room, &message), OpenError::Commit);
        // A dictionary that is not what the update leads to.
        let update = add_participant(&state, cathy.user(), RoomState::PARTICIPANT);
        let mut wild = Wild::updates(&state, vec![update]);
        wild.dictionary = vec![(ComponentId::PARTICIPANT_LIST, Some(vec![0]))];
        let message = commit(&mut invitation, wild);
        assert_eq!(invitation.refused(&mut room, &message), OpenError::Mls);
        // After all of that the room goes on.
        invitation.next_epoch(&mut room);
    }
}

#[test]
fn a_message_is_not_sealed() {
    for suite in CipherSuite::ALL {
        let mut invitation = Invitation::new(suite);
        let mut room = invitation.joined();
        room.commit(Wanted::default()).unwrap();
        let before = room.save();
        assert_eq!(room.seal(&text("x")).unwrap_err(), SealError::Pending);
        assert_eq!(room.commit(Wanted::default()).unwrap_err(), CommitError::Pending);
        assert_eq!(room.save(), before);
        room.commit_refused();

        let before = room.save();
        let refused = room.seal_with(|_| Err::<Content, _>(SealError::Mls)).unwrap_err();
        assert_eq!((refused, room.save()), (SealError::Mls, before.clone()));
        let long = Content { media_type: "text/plain".into(), body: vec![7; Content::MAX_LEN] };
        assert_eq!(room.seal(&long).unwrap_err(), SealError::TooLong);
        assert_eq!(room.save(), before);

        // Removed, with the participant or only the client.
        let state = room.state().clone();
        let mut kicked = Room::restore(&room.save()).unwrap();
        let bundle = invitation.rogue.commit(Wild { remove: vec![1], ..Wild::default() });
        invitation.rogue.forget();
        assert!(matches!(invitation.open(&mut kicked, &bundle.commit).unwrap(), Opened::Removed { .. }));
        assert_eq!(kicked.seal(&text("x")).unwrap_err(), SealError::Mls);
        assert_eq!(kicked.commit(Wanted::default()).unwrap_err(), CommitError::Mls);
        let index = state.participants().index_of(&bob()).unwrap();
        let list = ParticipantListUpdate { removed: vec![index], ..Default::default() };
        let update = ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode());
        let bundle = invitation.rogue.commit(Wild { remove: vec![1], ..Wild::updates(&state, vec![update]) });
        assert!(matches!(invitation.open(&mut room, &bundle.commit).unwrap(), Opened::Removed { .. }));
        assert!(!room.is_active());
        assert_eq!(room.seal(&text("x")).unwrap_err(), SealError::NotAllowed(Refusal::NotParticipant));
    }
}

#[test]
fn the_longest_content_goes_through() {
    let mut invitation = Invitation::new(CipherSuite::X25519Aes128Ed25519);
    let mut room = invitation.joined();
    let mut long = Content { media_type: "t".into(), body: vec![7; Content::MAX_LEN] };
    long.body.truncate(Content::MAX_LEN - (long.encode().len() - Content::MAX_LEN));
    assert_eq!(long.encode().len(), Content::MAX_LEN);
    let message = invitation.rogue.say(&long.encode());
    assert_eq!(content(invitation.open(&mut room, &message).unwrap()).0, long);
    assert!(room.seal(&long).is_ok());
}

#[test]
fn a_commit_of_ones_own_is_merged_even_when_a_certificate_in_it_has_run_out_since() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (mut alice, mut hub) = common::alice_alone(&mut world);
        let identity = world.client_for_days(&bob(), 2);
        let new = world.key_package(&identity, KeyPackagePurpose::Any);
        let add = vec![world.verify(&new, &bob())];
        let updates = vec![add_participant(alice.state(), &bob(), RoomState::RECIPIENT)];
        let bundle = alice.commit(Wanted { updates, add, remove: vec![] }).unwrap();
        common::accept(&world, &mut hub, &bundle, "a.example");
        // The answer is lost, the device sleeps, and learns of it from the hub's fan-out days later.
        let mut alice = Room::restore(&alice.save()).unwrap();
        let opened = alice.open(&bundle.commit, &world.trust, world.now.after(DAY * 3)).unwrap();
        assert!(matches!(opened, Opened::OwnCommit));
        assert_eq!((alice.epoch(), alice.clients()), (1, hub.clients()));
    }
}

#[test]
fn several_updates_of_the_participant_list_in_one_commit_come_out_the_same_everywhere() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice).unwrap();
        let (mut room, first) = Room::create(identity, state, &world.hub, world.now).unwrap();
        let mut hub = world.hub(room.uri(), &first);
        let users: Vec<UserUri> = (0..6).map(|_| world.pseudonym("b.example")).collect();
        let metadata = {
            let mut metadata = mimi_room::RoomMetadata::new(room.uri().clone());
            metadata.name = "a name".into();
            ComponentUpdate::update(ComponentId::ROOM_METADATA, metadata.encode())
        };
        let mut updates: Vec<_> =
            users.iter().map(|user| add_participant(room.state(), user, RoomState::PARTICIPANT)).collect();
        updates.insert(3, metadata);
        let bundle = room.commit(Wanted { updates, ..Wanted::default() }).unwrap();
        common::accept(&world, &mut hub, &bundle, "a.example");
        room.commit_accepted(&world.trust, world.now).unwrap();
        assert_eq!(room.state(), hub.state());
        assert_eq!(room.state().participants().len(), 7);
        let order: Vec<_> = room.state().participants().iter().skip(1).map(|(user, _)| user.clone()).collect();
        assert_eq!(order, users);
    }
}
