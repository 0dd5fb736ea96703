//! Every reason for which a hub refuses a commit, by name, in both suites; and nothing has changed then.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    World, add_participant, domain,
    rogue::{Founding, Info, Key, Rogue, Wild, credential, flipped, message},
};
use mimi_credential::CredentialError;
use mimi_mls::{CommitBundle, CommitRefusal as Refused, HubRoom, NewKeyPackage};
use mimi_pseudonym::{CipherSuite, Reader, UserUri, Writer};
use mimi_room::{
    Capability, ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, Refusal, RoleAssignment,
    RoomState,
};
use mimi_wire::{GroupInfo, MlsMessage, PartialGroupInfo, RatchetTreePresence, Welcome, Wire};
use openmls::{
    group::PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    messages::group_info::VerifiableGroupInfo,
    prelude::{
        AppEphemeralProposal, CredentialWithKey, Extension, Extensions, LeafNodeIndex, LeafNodeParameters, MlsGroup,
        OpenMlsProvider, PreSharedKeyProposal, Proposal, RatchetTreeIn, UnknownExtension, tls_codec::Deserialize as _,
    },
    schedule::PreSharedKeyId,
};
use openmls_rust_crypto::OpenMlsRustCrypto;

fn bob() -> UserUri {
    "mimi://b.example/u/bob".parse().unwrap()
}

/// A private room that a rogue client has made and administers, and its hub.
struct Scene {
    world: World,
    rogue: Rogue,
    hub: HubRoom,
}

impl Scene {
    fn new(suite: CipherSuite) -> Self {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice).unwrap();
        let rogue = Rogue::found(&world, identity, &state);
        let hub = rogue.hub(&world, state.room());
        Self { world, rogue, hub }
    }

    fn each() -> impl Iterator<Item = Self> {
        CipherSuite::ALL.into_iter().map(Self::new)
    }

    fn refusal_from(&mut self, bundle: &CommitBundle, peer: &str) -> Refused {
        let before = look(&self.hub);
        let refused = self.hub.accept(bundle, &domain(peer), true, &self.world.trust, self.world.now).unwrap_err();
        assert_eq!(look(&self.hub), before, "nothing has changed");
        refused
    }

    fn refusal(&mut self, bundle: &CommitBundle) -> Refused {
        self.refusal_from(bundle, "a.example")
    }

    /// What the hub says to a wild commit, which is forgotten afterwards.
    fn tried(&mut self, wild: Wild) -> Refused {
        let bundle = self.rogue.commit(wild);
        self.rogue.forget();
        self.refusal(&bundle)
    }

    fn accepted(&mut self, wild: Wild) {
        let bundle = self.rogue.commit(wild);
        self.accept(&bundle);
        self.rogue.merge();
    }

    fn accept(&mut self, bundle: &CommitBundle) {
        let epoch = self.hub.epoch();
        common::accept(&self.world, &mut self.hub, bundle, "a.example");
        assert_eq!(self.hub.epoch(), epoch + 1);
    }

    fn key_package(&mut self, user: &UserUri) -> NewKeyPackage {
        let identity = self.world.client(user);
        self.world.key_package(&identity, KeyPackagePurpose::Any)
    }

    fn alice(&self) -> UserUri {
        self.rogue.identity.user().clone()
    }

    /// A commit that adds a further client of Alice's, and is in order.
    fn own_client(&mut self) -> Wild {
        let alice = self.alice();
        Wild { add: vec![self.key_package(&alice).key_package], ..Wild::default() }
    }

    /// A commit that adds Bob, and is in order.
    fn with_bob(&mut self) -> Wild {
        let add = vec![self.key_package(&bob()).key_package];
        let updates = vec![add_participant(self.hub.state(), &bob(), RoomState::PARTICIPANT)];
        Wild { add, ..Wild::updates(self.hub.state(), updates) }
    }
}

fn look(hub: &HubRoom) -> impl PartialEq + std::fmt::Debug + use<> {
    (hub.epoch(), hub.clients(), hub.state().clone(), hub.ratchet_tree().map(|tree| tree.into_bytes()), hub.domains())
}

fn list(update: ParticipantListUpdate) -> ComponentUpdate {
    ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, update.encode())
}

#[test]
fn commits_that_are_in_order_are_accepted() {
    for mut scene in Scene::each() {
        scene.accepted(Wild::default());
        let wild = scene.own_client();
        scene.accepted(wild);
        let wild = scene.with_bob();
        scene.accepted(wild);
        scene.accepted(Wild { remove: vec![1], ..Wild::default() });
        assert_eq!((scene.hub.epoch(), scene.hub.clients().len()), (4, 2));
    }
}

#[test]
fn another_epoch() {
    for mut scene in Scene::each() {
        let old = scene.rogue.commit(Wild::default());
        scene.rogue.forget();
        scene.accepted(Wild::default());
        assert_eq!(scene.refusal(&old), Refused::WrongEpoch { current: 1 });
        scene.rogue.commit(Wild::default());
        scene.rogue.merge();
        let future = scene.rogue.commit(Wild::default());
        assert_eq!(scene.refusal(&future), Refused::WrongEpoch { current: 1 });
    }
}

#[test]
fn another_room() {
    for mut scene in Scene::each() {
        let identity = scene.rogue.identity.clone();
        let state = RoomState::private(scene.world.room_uri(), scene.alice()).unwrap();
        let mut other = Rogue::found(&scene.world, identity, &state);
        assert_eq!(scene.refusal(&other.commit(Wild::default())), Refused::OtherRoom);
    }
}

#[test]
fn what_is_no_members_commit_in_a_public_message() {
    for mut scene in Scene::each() {
        let valid = scene.rogue.commit(Wild::default());
        scene.rogue.forget();
        let as_bundle = |commit| CommitBundle { commit, ..valid.clone() };

        let hello = scene.rogue.say(b"hello");
        assert_eq!(scene.refusal(&as_bundle(hello)), Refused::Kind);

        let Rogue { group, provider, identity } = &mut scene.rogue;
        let proposal = group.propose_self_update(provider, &Key(identity), LeafNodeParameters::default()).unwrap();
        let proposal = message(&proposal.0);
        group.clear_pending_proposals(provider.storage()).unwrap();
        assert_eq!(scene.refusal(&as_bundle(proposal)), Refused::Kind);

        let info = MlsMessage::from(scene.rogue.group_info());
        assert_eq!(scene.refusal(&as_bundle(info)), Refused::Kind);

        // An external commit.
        let user = scene.alice();
        let joiner = scene.world.client(&user);
        let provider = OpenMlsRustCrypto::default();
        let info =
            scene.rogue.group.export_group_info(scene.rogue.provider.crypto(), &Key(&scene.rogue.identity), false);
        let info = MlsMessage::decode(&common::rogue::octets(&info.unwrap())).unwrap().into_group_info().unwrap();
        let info = VerifiableGroupInfo::tls_deserialize_exact(info.as_bytes()).unwrap();
        let tree = RatchetTreeIn::tls_deserialize_exact(scene.rogue.tree().as_bytes()).unwrap();
        let made = MlsGroup::external_commit_builder()
            .with_ratchet_tree(tree)
            .build_group(&provider, info, credential(&joiner))
            .unwrap()
            .leaf_node_parameters(
                LeafNodeParameters::builder().with_capabilities(common::rogue::capabilities()).build(),
            )
            .load_psks(provider.storage())
            .unwrap()
            .build(provider.rand(), provider.crypto(), &Key(&joiner), |_| true)
            .unwrap()
            .finalize(&provider)
            .unwrap();
        let commit = message(made.1.commit());
        assert_eq!(scene.refusal(&as_bundle(commit)), Refused::Kind);
    }
}

#[test]
fn a_commit_in_a_private_message() {
    for suite in CipherSuite::ALL {
        let mut scene = Scene::new(suite);
        let state = scene.hub.state().clone();
        let founding =
            Founding { wire_format: PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ..Founding::of(&scene.world, &state) };
        let mut rogue = Rogue::with(scene.rogue.identity.clone(), &founding);
        scene.hub = rogue.hub(&scene.world, state.room());
        let bundle = rogue.commit(Wild::default());
        assert_eq!(bundle.commit.wire_format(), mimi_wire::WireFormat::PrivateMessage);
        assert_eq!(scene.refusal(&bundle), Refused::Kind);
    }
}

#[test]
fn a_signature_with_a_changed_bit() {
    for mut scene in Scene::each() {
        let bundle = scene.rogue.commit(Wild::default());
        // Behind the signature stand the confirmation tag and the membership tag, 33 octets each.
        let commit = MlsMessage::decode(&flipped(bundle.commit.as_bytes(), 66)).unwrap();
        assert_eq!(scene.refusal(&CommitBundle { commit, ..bundle.clone() }), Refused::Signature);
        // The signature covers every octet before it.
        for at in (80..bundle.commit.as_bytes().len()).step_by(11) {
            let Ok(commit) = MlsMessage::decode(&flipped(bundle.commit.as_bytes(), at)) else { continue };
            scene.refusal(&CommitBundle { commit, ..bundle.clone() });
        }
        scene.accept(&bundle);
    }
}

#[test]
fn a_committer_of_another_provider() {
    for mut scene in Scene::each() {
        let bundle = scene.rogue.commit(Wild::default());
        for peer in ["b.example", "a.example.org", "example"] {
            assert_eq!(scene.refusal_from(&bundle, peer), Refused::ForeignCommitter);
        }
        scene.accept(&bundle);
    }
}

#[test]
fn what_mls_refuses() {
    for mut scene in Scene::each() {
        // A leaf that is not there says that it made the commit.
        let bundle = scene.rogue.commit(Wild::default());
        let mut octets = bundle.commit.as_bytes().to_vec();
        let group = scene.hub.uri().group().as_str().len();
        // Version, wire format, length of the group's id, the id, the epoch, the sender's type, its index.
        let length = if group < 64 { 1 } else { 2 };
        octets[4 + length + group + 8 + 1 + 3] = 9;
        let commit = MlsMessage::decode(&octets).unwrap();
        assert_eq!(scene.refusal(&CommitBundle { commit, ..bundle }), Refused::Mls);
        scene.rogue.forget();
        // A proposal that nobody has seen, by reference.
        let wild = scene.with_bob();
        scene.accepted(wild);
        let Rogue { group, provider, identity } = &mut scene.rogue;
        group.propose_remove_member(provider, &Key(identity), LeafNodeIndex::new(1)).unwrap();
        assert_eq!(scene.tried(Wild::default()), Refused::Mls);
    }
}

#[test]
fn a_proposal_that_has_no_place_in_a_room() {
    for mut scene in Scene::each() {
        let context = scene.rogue.group.extensions().clone();
        assert_eq!(scene.tried(Wild { context: Some(context), ..Wild::default() }), Refused::Proposal);

        let ephemeral = Proposal::AppEphemeral(Box::new(AppEphemeralProposal::new(0x8a77, b"x".to_vec())));
        assert_eq!(scene.tried(Wild { proposals: vec![ephemeral], ..Wild::default() }), Refused::Proposal);

        let psk = PreSharedKeyId::external(b"id".to_vec(), vec![7; 32]);
        psk.store(&scene.rogue.provider, b"secret").unwrap();
        let psk = Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(psk)));
        assert_eq!(scene.tried(Wild { proposals: vec![psk], ..Wild::default() }), Refused::Proposal);
    }
}

#[test]
fn a_client_whose_credential_does_not_hold() {
    for mut scene in Scene::each() {
        let stranger = scene.world.stranger(&bob());
        let stranger = scene.world.key_package(&stranger, KeyPackagePurpose::Any).key_package;
        let wild = Wild { add: vec![stranger], ..scene.with_bob() };
        assert_eq!(scene.tried(wild), Refused::Credential(CredentialError::UntrustedIssuer));

        // The certificate has run out at the hub's time, the KeyPackage has not.
        let identity = scene.world.client_for_days(&bob(), 1);
        let short = scene.world.key_package(&identity, KeyPackagePurpose::Any).key_package;
        let wild = Wild { add: vec![short], ..scene.with_bob() };
        let bundle = scene.rogue.commit(wild);
        let now = scene.world.now;
        scene.world.now = now.after(common::DAY * 2);
        assert_eq!(scene.refusal(&bundle), Refused::Credential(CredentialError::Expired));
        scene.world.now = now;
        scene.accept(&bundle);
    }
}

#[test]
fn a_client_whose_issuer_speaks_for_another_domain() {
    for mut scene in Scene::each() {
        let trust = mimi_credential::TrustStore::default()
            .with_anchor(scene.world.a.certificate(), [domain("a.example")])
            .unwrap()
            .with_anchor(scene.world.b.certificate(), [domain("c.example")])
            .unwrap();
        let wild = scene.with_bob();
        let bundle = scene.rogue.commit(wild);
        scene.world.trust = trust;
        assert_eq!(scene.refusal(&bundle), Refused::Credential(CredentialError::NotTrustedForDomain));
    }
}

#[test]
fn another_credential_in_the_committers_leaf() {
    for mut scene in Scene::each() {
        // Another certificate for the same key, of another client of the same user.
        let public = scene.rogue.identity.signer().public_key().clone();
        let validity = mimi_credential::Validity {
            not_before: scene.world.now.before(common::DAY),
            not_after: scene.world.now.after(common::DAY * 90),
        };
        let client = mimi_pseudonym::ClientUri::pseudonym(&domain("a.example"), [5; 16]);
        let chain = scene.world.a.issue_leaf(&scene.alice(), &client, &public, [6; 16], validity).unwrap();
        let mut writer = Writer::default();
        writer.vector(&chain.certificates()[0]);
        let x509 = openmls::prelude::CredentialType::X509;
        let other = CredentialWithKey {
            credential: openmls::prelude::Credential::new(x509, writer.into_octets()),
            signature_key: public.as_bytes().to_vec().into(),
        };
        let leaf = LeafNodeParameters::builder().with_credential_with_key(other).build();
        assert_eq!(scene.tried(Wild { leaf: Some(leaf), ..Wild::default() }), Refused::CredentialReplaced);
    }
}

#[test]
fn what_the_rooms_policy_does_not_allow() {
    for mut scene in Scene::each() {
        // A client whose user is not in the list.
        let add = vec![scene.key_package(&bob()).key_package];
        let refused = scene.tried(Wild { add, ..Wild::default() });
        assert_eq!(refused, Refused::NotAllowed(Refusal::UserNotInList));

        let wild = scene.with_bob();
        scene.accepted(wild);
        // A participant goes, its client stays.
        let state = scene.hub.state().clone();
        let index = state.participants().index_of(&bob()).unwrap();
        let update = list(ParticipantListUpdate { removed: vec![index], ..Default::default() });
        let refused = scene.tried(Wild::updates(&state, vec![update.clone()]));
        assert_eq!(refused, Refused::NotAllowed(Refusal::ClientsRemain));
        // The whole list goes.
        let refused = scene.tried(Wild {
            updates: vec![ComponentUpdate::remove(ComponentId::PARTICIPANT_LIST)],
            dictionary: vec![(ComponentId::PARTICIPANT_LIST, None)],
            ..Wild::default()
        });
        assert_eq!(refused, Refused::NotAllowed(Refusal::NotRemovable(ComponentId::PARTICIPANT_LIST)));
        // A component that says nothing that can be read.
        let refused = scene.tried(Wild {
            updates: vec![ComponentUpdate::update(ComponentId::BASE_ROOM_POLICY, vec![9])],
            dictionary: vec![(ComponentId::BASE_ROOM_POLICY, Some(vec![9]))],
            ..Wild::default()
        });
        assert!(
            matches!(refused, Refused::NotAllowed(Refusal::Malformed { component: ComponentId::BASE_ROOM_POLICY, .. })),
            "{refused:?}"
        );
        // A strange component.
        let refused = scene.tried(Wild {
            updates: vec![ComponentUpdate::update(0x9000, vec![9])],
            dictionary: vec![(0x9000, Some(vec![9]))],
            ..Wild::default()
        });
        assert_eq!(refused, Refused::NotAllowed(Refusal::UnknownComponent(0x9000)));
    }
}

#[test]
fn a_participant_who_grants_itself_a_role() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let [admin, rogue] = ["a.example", "a.example"].map(|host| world.pseudonym(host));
        let identity = world.client(&rogue);
        let state = RoomState::private(world.room_uri(), admin).unwrap();
        let state = state.with_updates(&[add_participant(&state, &rogue, RoomState::PARTICIPANT)]).unwrap();
        let rogue = Rogue::found(&world, identity, &state);
        let hub = rogue.hub(&world, state.room());
        let mut scene = Scene { world, rogue, hub };
        let index = state.participants().index_of(&scene.alice()).unwrap();
        let changed = vec![RoleAssignment { index, role: RoomState::ADMIN }];
        let update = list(ParticipantListUpdate { changed, ..Default::default() });
        let refused = scene.tried(Wild::updates(&state, vec![update]));
        assert_eq!(refused, Refused::NotAllowed(Refusal::Capability(Capability::ChangeOwnRole)));
        // Nor to somebody else.
        let updates = vec![add_participant(&state, &bob(), RoomState::ADMIN)];
        let refused = scene.tried(Wild::updates(&state, updates));
        assert_eq!(refused, Refused::NotAllowed(Refusal::RoleChange { from: 0, to: RoomState::ADMIN }));
    }
}

#[test]
fn one_component_that_is_changed_twice() {
    for mut scene in Scene::each() {
        let state = scene.hub.state().clone();
        let mut metadata = mimi_room::RoomMetadata::new(state.room().clone());
        let mut updates = Vec::new();
        for name in ["one", "two"] {
            metadata.name = name.into();
            updates.push(ComponentUpdate::update(ComponentId::ROOM_METADATA, metadata.encode()));
        }
        let refused = scene.tried(Wild::updates(&state, updates));
        assert_eq!(refused, Refused::NotAllowed(Refusal::RepeatedUpdate(ComponentId::ROOM_METADATA)));
    }
}

#[test]
fn a_dictionary_that_is_not_what_the_updates_lead_to() {
    for mut scene in Scene::each() {
        let mut wild = scene.with_bob();
        let admin = add_participant(scene.hub.state(), &bob(), RoomState::ADMIN);
        wild.dictionary = Wild::updates(scene.hub.state(), vec![admin]).dictionary;
        assert_eq!(scene.tried(wild), Refused::GroupInfo);
    }
}

#[test]
fn a_welcome_for_others_than_the_commit_adds() {
    for mut scene in Scene::each() {
        let none = scene.rogue.commit(Wild::default());
        scene.rogue.forget();
        let wild = scene.own_client();
        let other = scene.rogue.commit(wild);
        scene.rogue.forget();
        let alice = scene.alice();
        let two = [0, 1].map(|_| scene.key_package(&alice).key_package).to_vec();
        let both = scene.rogue.commit(Wild { add: two.clone(), ..Wild::default() });
        scene.rogue.forget();
        let one = scene.rogue.commit(Wild { add: two[..1].to_vec(), ..Wild::default() });
        let with = |bundle: &CommitBundle, welcome: Option<Welcome>| CommitBundle { welcome, ..bundle.clone() };

        assert_eq!(scene.refusal(&with(&one, None)), Refused::Welcome, "absent");
        assert_eq!(scene.refusal(&with(&one, other.welcome.clone())), Refused::Welcome, "another's");
        assert_eq!(scene.refusal(&with(&one, both.welcome.clone())), Refused::Welcome, "one too many");
        assert_eq!(scene.refusal(&with(&both, one.welcome.clone())), Refused::Welcome, "one too few");
        assert_eq!(scene.refusal(&with(&none, other.welcome)), Refused::Welcome, "for nobody who comes");

        let welcome = one.welcome.clone().unwrap();
        assert_eq!(scene.refusal(&with(&one, Some(rewritten(&welcome, None, 2)))), Refused::Welcome, "twice");
        assert_eq!(scene.refusal(&with(&none, Some(rewritten(&welcome, None, 0)))), Refused::Welcome, "empty");
        let suite = CipherSuite::ALL.into_iter().find(|suite| *suite != scene.world.suite).unwrap();
        let strange = rewritten(&welcome, Some(suite), 1);
        assert_eq!(scene.refusal(&with(&one, Some(strange))), Refused::Welcome, "of another suite");
        scene.accept(&one);
    }
}

/// A Welcome whose secrets stand there so many times.
fn rewritten(welcome: &Welcome, suite: Option<CipherSuite>, times: usize) -> Welcome {
    let mut reader = Reader::new(welcome.as_bytes());
    let code = reader.u16().unwrap();
    let secrets = reader.vector().unwrap().repeat(times);
    let mut writer = Writer::default();
    writer.u16(suite.map_or(code, CipherSuite::code));
    writer.vector(&secrets);
    writer.raw(reader.rest());
    Welcome::decode(&writer.into_octets()).unwrap()
}

#[test]
fn a_group_info_of_something_else() {
    for mut scene in Scene::each() {
        let present = scene.rogue.group_info();
        let other = scene.rogue.commit(Wild::default());
        scene.rogue.forget();
        let bundle = scene.rogue.commit(Wild::default());
        let with = |group_info| CommitBundle { group_info, ..bundle.clone() };
        let alice = scene.rogue.identity.clone();
        let stranger = scene.world.client(&bob());

        assert_eq!(scene.refusal(&with(present)), Refused::GroupInfo, "of the epoch before");
        assert_eq!(scene.refusal(&with(other.group_info)), Refused::GroupInfo, "of another commit");

        let info = Info::read(&bundle.group_info);
        let unchanged = info.sign(&alice);
        assert_eq!(scene.refusal(&with(info.sign(&stranger))), Refused::GroupInfo, "signed by another key");
        let tag = Info { tag: flipped(&info.tag, 0), ..info.clone() };
        assert_eq!(scene.refusal(&with(tag.sign(&alice))), Refused::GroupInfo, "another tag");
        let tag = Info { tag: vec![], ..info.clone() };
        assert_eq!(scene.refusal(&with(tag.sign(&alice))), Refused::GroupInfo, "no tag");
        let signer = Info { signer: 1, ..info.clone() };
        assert_eq!(scene.refusal(&with(signer.sign(&alice))), Refused::GroupInfo, "another signer");
        for from_end in (0..info.context.len()).step_by(5) {
            let context = Info { context: flipped(&info.context, from_end), ..info.clone() };
            let octets = std::panic::catch_unwind(|| context.sign(&alice));
            // Where the structure itself breaks, nothing can be decoded.
            let Ok(changed) = octets else { continue };
            assert_eq!(scene.refusal(&with(changed)), Refused::GroupInfo, "context, {from_end} from its end");
        }
        let broken = GroupInfo::decode(&flipped(bundle.group_info.as_bytes(), 0)).unwrap();
        assert_eq!(scene.refusal(&with(broken)), Refused::GroupInfo, "a changed bit in the signature");
        scene.accept(&with(unchanged));
    }
}

#[test]
fn a_group_info_with_the_tree_inside() {
    for mut scene in Scene::each() {
        let bundle = scene.rogue.commit(Wild { tree_inside: true, ..Wild::default() });
        assert!(bundle.group_info.has_ratchet_tree());
        assert_eq!(scene.refusal(&bundle), Refused::GroupInfo);
    }
}

#[test]
fn a_leaf_that_swells_the_tree() {
    for mut scene in Scene::each() {
        let swollen = Extension::Unknown(0xff01, UnknownExtension(vec![7; 4_096]));
        let extensions = Extensions::from_vec(vec![swollen]).unwrap();
        let leaf = LeafNodeParameters::builder().with_extensions(extensions).build();
        assert_eq!(scene.tried(Wild { leaf: Some(leaf), ..Wild::default() }), Refused::TooLarge);
    }
}

#[test]
fn a_client_that_is_removed_and_added_again_in_one_commit() {
    for mut scene in Scene::each() {
        let wild = scene.with_bob();
        scene.accepted(wild);
        let again = scene.key_package(&bob());
        let gone = scene.hub.clients()[1].1.clone();
        let bundle = scene.rogue.commit(Wild { add: vec![again.key_package], remove: vec![1], ..Wild::default() });
        let accepted = common::accept(&scene.world, &mut scene.hub, &bundle, "a.example");
        scene.rogue.merge();
        assert_eq!(accepted.removed, std::slice::from_ref(&gone));
        let clients = scene.hub.clients();
        assert_eq!((clients.len(), &clients[1].0), (2, &bob()));
        assert_ne!(clients[1].1, gone);
        // The leaf that was used again is whose it says: the new client can be removed by its index.
        scene.accepted(Wild { remove: vec![1], ..Wild::default() });
        assert_eq!(scene.hub.clients().len(), 1);
    }
}

#[test]
fn a_partial_group_info_is_completed_and_checked_like_a_whole_one() {
    for mut scene in Scene::each() {
        let bundle = scene.rogue.commit(Wild::default());
        let partial = bundle.partial_group_info().unwrap();
        assert!(partial.encode().len() * 2 < bundle.group_info.as_bytes().len(), "that is what it is for");
        assert_eq!(scene.hub.complete(&bundle.commit, &partial).unwrap(), bundle.group_info);
        for ratchet_tree_presence in
            [RatchetTreePresence::Present, RatchetTreePresence::Removed, RatchetTreePresence::Added]
        {
            let partial = PartialGroupInfo { ratchet_tree_presence, ..partial.clone() };
            assert_eq!(scene.hub.complete(&bundle.commit, &partial), Err(Refused::GroupInfo));
        }
        // A signature that is not the committer's over just this is found when the commit is checked.
        let mut forged = partial.clone();
        forged.signature[8] ^= 1;
        let bare = PartialGroupInfo { group_info_extensions: mimi_wire::mls::Extensions::empty(), ..partial };
        for wrong in [&forged, &bare] {
            let group_info = scene.hub.complete(&bundle.commit, wrong).unwrap();
            let altered = CommitBundle { group_info, ..bundle.clone() };
            assert_eq!(scene.refusal(&altered), Refused::GroupInfo);
        }
        scene.accept(&bundle);
        assert_eq!(scene.hub.complete(&bundle.commit, &bare), Err(Refused::WrongEpoch { current: 1 }));
    }
}
