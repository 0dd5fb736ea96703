//! The MLS scanner of `mimi-wire` against what openmls writes, in both suites: what is read is octet for octet what
//! was written, says the same about itself, and no part of it passes for the whole.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    World, add_participant,
    rogue::{Founding, Key, Rogue, Wild, capabilities, credential, message, octets},
};
use mimi_pseudonym::{CipherSuite, UserUri, Writer};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, RoomMetadata, RoomState};
use mimi_wire::{ContentType, GroupInfo, KeyPackage, MlsMessage, RatchetTree, SenderType, Welcome, Wire, WireFormat};
use openmls::{
    group::PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
    messages::{external_proposals::JoinProposal, group_info::VerifiableGroupInfo},
    prelude::{
        AppEphemeralProposal, ExternalProposal, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, MlsGroup,
        OpenMlsProvider, PreSharedKeyProposal, Proposal, ProtocolVersion, RatchetTreeIn, ReInitProposal,
        SenderExtensionIndex, tls_codec::Deserialize as _,
    },
    schedule::{PreSharedKeyId, psk::ResumptionPskUsage},
};
use openmls_memory_storage::MemoryStorage;
use openmls_rust_crypto::OpenMlsRustCrypto;

/// Reads what openmls wrote, and no part of it.
fn whole<T: Wire + std::fmt::Debug>(octets: &[u8]) -> T {
    let value = T::decode(octets).unwrap();
    assert_eq!(value.encode(), octets);
    // Every prefix; of what is long, one in a few.
    let step = octets.len() / 1500 + 1;
    for end in (0..octets.len()).rev().step_by(step) {
        assert!(T::decode(&octets[..end]).is_err(), "{end} of {}", octets.len());
    }
    let mut longer = octets.to_vec();
    longer.push(0);
    assert!(T::decode(&longer).is_err());
    value
}

fn public(octets: &[u8], content: ContentType, sender: SenderType, group: &MlsGroup) -> MlsMessage {
    let read: MlsMessage = whole(octets);
    assert_eq!(read.wire_format(), WireFormat::PublicMessage);
    assert_eq!(read.content_type(), Some(content));
    assert_eq!(read.sender_type(), Some(sender));
    assert_eq!(read.group_id(), Some(group.group_id().as_slice()));
    assert_eq!(read.epoch(), Some(group.epoch().as_u64()));
    assert_eq!(read.confirmation_tag().is_some(), content == ContentType::Commit);
    read
}

fn bob() -> UserUri {
    "mimi://b.example/u/bob".parse().unwrap()
}

fn scene(suite: CipherSuite) -> (World, Rogue, RoomState) {
    let mut world = World::new(suite);
    let alice = world.pseudonym("a.example");
    let identity = world.client(&alice);
    let state = RoomState::private(world.room_uri(), alice).unwrap();
    let rogue = Rogue::found(&world, identity, &state);
    (world, rogue, state)
}

fn key_package(world: &mut World) -> KeyPackage {
    let identity = world.client(&bob());
    world.key_package(&identity, KeyPackagePurpose::InitialOnly).key_package
}

fn parsed(key_package: &KeyPackage, rogue: &Rogue) -> openmls::prelude::KeyPackage {
    let read = KeyPackageIn::tls_deserialize_exact(key_package.as_bytes()).unwrap();
    read.validate(rogue.provider.crypto(), ProtocolVersion::Mls10).unwrap()
}

#[test]
fn key_packages() {
    for suite in CipherSuite::ALL {
        let (mut world, rogue, _) = scene(suite);
        let key_package = key_package(&mut world);
        let openmls = parsed(&key_package, &rogue);
        let read: KeyPackage = whole(&octets(&openmls));
        assert_eq!(read.cipher_suite_code(), suite.code());
        assert_eq!(read.signature_key(), openmls.leaf_node().signature_key().as_slice());
        assert_eq!(read.credential().as_bytes(), octets(openmls.leaf_node().credential()));
        let lifetime = openmls.life_time();
        assert_eq!(read.lifetime(), (lifetime.not_before(), lifetime.not_after()));
        let wrapped: MlsMessage = whole(&octets(&openmls::prelude::MlsMessageOut::from(openmls)));
        assert_eq!(wrapped.into_key_package().unwrap(), read);
    }
}

#[test]
fn welcomes_name_the_key_packages_by_their_hashes() {
    for suite in CipherSuite::ALL {
        let (mut world, mut rogue, _) = scene(suite);
        for count in [1, 2, 5] {
            let add: Vec<_> = (0..count).map(|_| key_package(&mut world)).collect();
            let crypto = rogue.provider.crypto();
            let mut expected: Vec<_> =
                add.iter().map(|one| parsed(one, &rogue).hash_ref(crypto).unwrap().as_slice().to_vec()).collect();
            let welcome = rogue.commit(Wild { add, ..Wild::default() }).welcome.unwrap();
            rogue.forget();
            let read: Welcome = whole(welcome.as_bytes());
            assert_eq!(read.cipher_suite_code(), suite.code());
            let mut refs: Vec<_> = read.key_package_refs().iter().map(|one| one.as_bytes().to_vec()).collect();
            expected.sort();
            refs.sort();
            assert_eq!(refs, expected);
            let wrapped = MlsMessage::from(read.clone());
            assert_eq!(whole::<MlsMessage>(wrapped.as_bytes()).into_welcome().unwrap(), read);
        }
    }
}

#[test]
fn group_infos_with_a_tree_and_without() {
    for suite in CipherSuite::ALL {
        let (_, rogue, state) = scene(suite);
        for with_tree in [false, true] {
            let crypto = rogue.provider.crypto();
            let exported = rogue.group.export_group_info(crypto, &Key(&rogue.identity), with_tree).unwrap();
            let wrapped: MlsMessage = whole(&octets(&exported));
            let read: GroupInfo = whole(wrapped.into_group_info().unwrap().as_bytes());
            assert_eq!(read.has_ratchet_tree(), with_tree);
            assert_eq!((read.cipher_suite_code(), read.epoch()), (suite.code(), 0));
            assert_eq!(read.group_id(), state.room().group().as_str().as_bytes());
        }
    }
}

#[test]
fn trees_with_parents_and_blanks() {
    for suite in CipherSuite::ALL {
        let (mut world, mut rogue, _) = scene(suite);
        let mut counts = Vec::new();
        let mut look = |rogue: &Rogue| {
            let tree = octets(&rogue.group.export_ratchet_tree());
            let read: RatchetTree = whole(&tree);
            assert!(RatchetTreeIn::tls_deserialize_exact(&tree).is_ok());
            counts.push(read.node_count());
        };
        look(&rogue);
        for remove in [vec![], vec![], vec![], vec![], vec![2], vec![1, 4]] {
            let add = if remove.is_empty() { vec![key_package(&mut world)] } else { vec![] };
            rogue.commit(Wild { add, remove, ..Wild::default() });
            rogue.merge();
            look(&rogue);
        }
        // Blanks stand between the leaves that are left, and none at the end.
        assert_eq!(counts, [1, 3, 5, 7, 9, 9, 7]);
    }
}

#[test]
fn commits_of_every_kind() {
    for suite in CipherSuite::ALL {
        let (mut world, founder, state) = of_three(suite);
        let metadata = RoomMetadata::new(state.room().clone()).encode();
        let external = PreSharedKeyId::external(b"id".to_vec(), vec![7; 32]);
        let usage = ResumptionPskUsage::Application;
        let resumption = PreSharedKeyId::resumption(usage, founder.group.group_id().clone(), 1.into(), vec![8; 32]);
        let application = PreSharedKeyId::application(0x8a77, b"id".to_vec(), vec![9; 32]);
        let psk = |id: &PreSharedKeyId| Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id.clone())));
        let wilds = [
            Wild::default(),
            Wild { context: Some(founder.group.extensions().clone()), ..Wild::default() },
            Wild { add: vec![key_package(&mut world), key_package(&mut world)], ..Wild::default() },
            Wild { remove: vec![1, 2], ..Wild::default() },
            Wild { add: vec![key_package(&mut world)], remove: vec![1], ..Wild::default() },
            Wild::updates(&state, vec![add_participant(&state, &bob(), RoomState::PARTICIPANT)]),
            Wild::updates(&state, vec![ComponentUpdate::update(ComponentId::ROOM_METADATA, metadata)]),
            Wild {
                updates: vec![ComponentUpdate::remove(ComponentId::ROOM_PURPOSE)],
                dictionary: vec![(ComponentId::ROOM_PURPOSE, None)],
                ..Wild::default()
            },
            Wild { proposals: [&external, &resumption, &application].map(psk).to_vec(), ..Wild::default() },
        ];
        for wild in wilds {
            let (_, mut rogue, _) = of_three(suite);
            external.store(&rogue.provider, b"secret").unwrap();
            application.store(&rogue.provider, b"secret").unwrap();
            commit_is_read(&mut rogue, wild);
        }
        // The others cannot do this one.
        let (_, mut rogue, _) = scene(suite);
        let ephemeral = Proposal::AppEphemeral(Box::new(AppEphemeralProposal::new(0x8a77, vec![1, 2, 3])));
        commit_is_read(&mut rogue, Wild { proposals: vec![ephemeral], ..Wild::default() });
    }
}

/// The same group every time, with two further clients.
fn of_three(suite: CipherSuite) -> (World, Rogue, RoomState) {
    let (mut world, mut rogue, state) = scene(suite);
    let add = vec![key_package(&mut world), key_package(&mut world)];
    rogue.commit(Wild { add, ..Wild::default() });
    rogue.merge();
    (world, rogue, state)
}

fn commit_is_read(rogue: &mut Rogue, wild: Wild) {
    let bundle = rogue.commit(wild);
    public(bundle.commit.as_bytes(), ContentType::Commit, SenderType::Member(0), &rogue.group);
    whole::<GroupInfo>(bundle.group_info.as_bytes());
    rogue.merge();
    let tag = bundle.commit.confirmation_tag().unwrap();
    let confirmed = octets(rogue.group.confirmation_tag());
    assert_eq!(&confirmed[confirmed.len() - tag.len()..], tag);
}

#[test]
fn a_commit_of_proposals_by_reference_and_an_external_commit() {
    for suite in CipherSuite::ALL {
        let (mut world, mut rogue, _) = scene(suite);
        let add = vec![key_package(&mut world)];
        rogue.commit(Wild { add, ..Wild::default() });
        rogue.merge();
        let Rogue { group, provider, identity } = &mut rogue;
        group.propose_remove_member(provider, &Key(identity), LeafNodeIndex::new(1)).unwrap();
        let bundle = rogue.commit(Wild::default());
        public(bundle.commit.as_bytes(), ContentType::Commit, SenderType::Member(0), &rogue.group);
        rogue.merge();

        let joiner = world.client(&bob());
        let provider = OpenMlsRustCrypto::default();
        let info = VerifiableGroupInfo::tls_deserialize_exact(rogue.group_info().as_bytes());
        assert!(info.is_ok());
        let crypto = rogue.provider.crypto();
        let exported = rogue.group.export_group_info(crypto, &Key(&rogue.identity), true).unwrap();
        let info = MlsMessage::decode(&octets(&exported)).unwrap().into_group_info().unwrap();
        let (_, made) = MlsGroup::external_commit_builder()
            .build_group(
                &provider,
                VerifiableGroupInfo::tls_deserialize_exact(info.as_bytes()).unwrap(),
                credential(&joiner),
            )
            .unwrap()
            .leaf_node_parameters(LeafNodeParameters::builder().with_capabilities(capabilities()).build())
            .load_psks(provider.storage())
            .unwrap()
            .build(provider.rand(), provider.crypto(), &Key(&joiner), |_| true)
            .unwrap()
            .finalize(&provider)
            .unwrap();
        let commit = octets(made.commit());
        public(&commit, ContentType::Commit, SenderType::NewMemberCommit, &rogue.group);
    }
}

#[test]
fn proposals_of_every_kind_and_sender() {
    for suite in CipherSuite::ALL {
        let (mut world, mut rogue, _) = scene(suite);
        let add = vec![key_package(&mut world)];
        rogue.commit(Wild { add, ..Wild::default() });
        rogue.merge();
        let added = parsed(&key_package(&mut world), &rogue);
        let psk = PreSharedKeyId::external(b"id".to_vec(), vec![7; 32]);
        let Rogue { group, provider, identity } = &mut rogue;
        let key = Key(identity);
        let context = group.extensions().clone();
        let operation = openmls::prelude::AppDataUpdateOperation::Remove;
        let made = [
            group.propose_add_member(provider, &key, &added).unwrap().0,
            group.propose_self_update(provider, &key, LeafNodeParameters::default()).unwrap().0,
            group.propose_remove_member(provider, &key, LeafNodeIndex::new(1)).unwrap().0,
            group.propose_pre_shared_key(provider, &key, psk).unwrap().0,
            group.propose_group_context_extensions(provider, context.clone(), &key).unwrap().0,
            group.propose_app_data_update(provider, &key, ComponentId::ROOM_PURPOSE, operation).unwrap().0,
            group.leave_group_via_self_remove(provider, &key).unwrap(),
        ];
        for made in made {
            public(&octets(&made), ContentType::Proposal, SenderType::Member(0), group);
        }
        let (id, epoch) = (group.group_id().clone(), group.epoch());
        let hub = SenderExtensionIndex::new(0);
        type Provider = OpenMlsRustCrypto;
        let external = [
            ExternalProposal::new_remove::<Provider>(LeafNodeIndex::new(1), id.clone(), epoch, &key, hub).unwrap(),
            ExternalProposal::new_add::<Provider>(added.clone(), id.clone(), epoch, &key, hub).unwrap(),
            ExternalProposal::new_group_context_extensions::<Provider>(context, id.clone(), epoch, &key, hub).unwrap(),
        ];
        for made in external {
            public(&octets(&made), ContentType::Proposal, SenderType::External(0), group);
        }
        let join = JoinProposal::new::<MemoryStorage>(added, id, epoch, &key).unwrap();
        public(&octets(&join), ContentType::Proposal, SenderType::NewMemberProposal, group);
    }
}

#[test]
fn a_reinitialisation() {
    for suite in CipherSuite::ALL {
        let (_, mut rogue, _) = scene(suite);
        let mut writer = Writer::default();
        writer.vector(b"the next group");
        writer.u16(1);
        writer.u16(suite.code());
        writer.vector(&[]);
        let reinit = ReInitProposal::tls_deserialize_exact(writer.into_octets()).unwrap();
        let wild = Wild { proposals: vec![Proposal::ReInit(Box::new(reinit))], ..Wild::default() };
        let bundle = rogue.commit(wild);
        public(bundle.commit.as_bytes(), ContentType::Commit, SenderType::Member(0), &rogue.group);
    }
}

#[test]
fn private_messages_with_authenticated_data() {
    for suite in CipherSuite::ALL {
        let (world, mut rogue, state) = scene(suite);
        rogue.group.set_aad(b"seen by all".to_vec());
        let said = rogue.say(b"hello");
        let read: MlsMessage = whole(said.as_bytes());
        assert_eq!(read.wire_format(), WireFormat::PrivateMessage);
        assert_eq!(read.content_type(), Some(ContentType::Application));
        assert_eq!(read.authenticated_data(), Some(&b"seen by all"[..]));
        assert_eq!((read.epoch(), read.sender_type(), read.confirmation_tag()), (Some(0), None, None));
        assert_eq!(read.group_id(), Some(state.room().group().as_str().as_bytes()));

        // Authenticated data also stand in a public message.
        rogue.group.set_aad(b"of the commit".to_vec());
        let bundle = rogue.commit(Wild::default());
        let read = public(bundle.commit.as_bytes(), ContentType::Commit, SenderType::Member(0), &rogue.group);
        assert_eq!(read.authenticated_data(), Some(&b"of the commit"[..]));

        let founding = Founding { wire_format: PURE_CIPHERTEXT_WIRE_FORMAT_POLICY, ..Founding::of(&world, &state) };
        let mut private = Rogue::with(rogue.identity.clone(), &founding);
        let Rogue { group, provider, identity } = &mut private;
        let proposal = group.propose_self_update(provider, &Key(identity), LeafNodeParameters::default()).unwrap();
        let read: MlsMessage = whole(message(&proposal.0).as_bytes());
        assert_eq!(read.content_type(), Some(ContentType::Proposal));
        group.clear_pending_proposals(provider.storage()).unwrap();
        let read: MlsMessage = whole(private.commit(Wild::default()).commit.as_bytes());
        assert_eq!((read.content_type(), read.confirmation_tag()), (Some(ContentType::Commit), None));
    }
}
