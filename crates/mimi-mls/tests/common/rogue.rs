//! A client that keeps no rule but those of its MLS library: what hub and members have to refuse comes from here.

use mimi_mls::{CommitBundle, FirstEpoch, HubRoom, Identity};
use mimi_pseudonym::{CipherSuite, Reader, RoomUri, Wire, Writer};
use mimi_room::{ComponentUpdate, Operation, RoomState};
use mimi_wire::{GroupInfo, KeyPackage, MlsMessage, ProposalMessage, RatchetTree, Welcome, label::sign_with_label};
use openmls::{
    component::ComponentData,
    group::{MlsGroupCreateConfig, MlsGroupJoinConfig, PURE_PLAINTEXT_WIRE_FORMAT_POLICY, Propose, WireFormatPolicy},
    messages::{group_info::VerifiableGroupInfo, proposals::ProposalOrRefType},
    prelude::{
        AppDataDictionary, AppDataDictionaryExtension, AppDataUpdateOperation, AppDataUpdateProposal, Capabilities,
        Ciphersuite, Credential, CredentialType, CredentialWithKey, Extension, ExtensionType, Extensions,
        ExternalSender, GroupContext, GroupId, KeyPackageIn, LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsMessageIn,
        MlsMessageOut, OpenMlsProvider, ProcessedMessageContent, Proposal, ProposalType, ProtocolVersion,
        RatchetTreeIn, RequiredCapabilitiesExtension, SignatureScheme, tls_codec::Deserialize as _,
    },
};
use openmls_rust_crypto::OpenMlsRustCrypto;
use openmls_traits::signatures::{Signer, SignerError};

use super::World;

/// Signs with an identity's key.
pub struct Key<'a>(pub &'a Identity);

impl Signer for Key<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        self.0.signer().sign(payload).map_err(|_| SignerError::SigningError)
    }

    fn signature_scheme(&self) -> SignatureScheme {
        match self.0.suite() {
            CipherSuite::P256Aes128P256 => SignatureScheme::ECDSA_SECP256R1_SHA256,
            _ => SignatureScheme::ED25519,
        }
    }
}

pub fn ciphersuite(suite: CipherSuite) -> Ciphersuite {
    match suite {
        CipherSuite::P256Aes128P256 => Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
        _ => Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
    }
}

pub fn credential(identity: &Identity) -> CredentialWithKey {
    let mut writer = Writer::default();
    for certificate in identity.certificates().certificates() {
        writer.vector(certificate);
    }
    CredentialWithKey {
        credential: Credential::new(CredentialType::X509, writer.into_octets()),
        signature_key: identity.signer().public_key().as_bytes().to_vec().into(),
    }
}

/// Every capability that a test needs.
pub fn capabilities() -> Capabilities {
    Capabilities::new(
        None,
        None,
        Some(&[ExtensionType::AppDataDictionary, ExtensionType::Unknown(0xff01)]),
        Some(&[ProposalType::AppDataUpdate, ProposalType::SelfRemove, ProposalType::AppEphemeral]),
        Some(&[CredentialType::X509]),
    )
}

/// What a group begins with. The default of [`Founding::of`] is what a room of this crate begins with.
pub struct Founding {
    pub group: Vec<u8>,
    pub components: Vec<(u16, Vec<u8>)>,
    pub hub: Option<mimi_wire::ExternalSender>,
    pub wire_format: WireFormatPolicy,
}

impl Founding {
    pub fn of(world: &World, state: &RoomState) -> Self {
        Self {
            group: state.room().group().as_str().as_bytes().to_vec(),
            components: state.components(),
            hub: Some(world.hub.clone()),
            wire_format: PURE_PLAINTEXT_WIRE_FORMAT_POLICY,
        }
    }

    fn extensions(&self) -> Extensions<GroupContext> {
        let required = RequiredCapabilitiesExtension::new(
            &[ExtensionType::AppDataDictionary],
            &[ProposalType::AppDataUpdate],
            &[CredentialType::X509],
        );
        let mut dictionary = AppDataDictionary::new();
        for (id, data) in &self.components {
            dictionary.insert(*id, data.clone());
        }
        let mut all = vec![Extension::RequiredCapabilities(required)];
        if let Some(hub) = &self.hub {
            let credential = Credential::tls_deserialize_exact(hub.credential.as_bytes()).unwrap();
            let sender = ExternalSender::new(hub.signature_key.clone().into(), credential);
            all.push(Extension::ExternalSenders(vec![sender]));
        }
        all.push(Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary)));
        Extensions::from_vec(all).unwrap()
    }
}

/// What a commit is to do, allowed or not.
#[derive(Default)]
pub struct Wild {
    pub add: Vec<KeyPackage>,
    pub remove: Vec<u32>,
    pub proposals: Vec<Proposal>,
    pub updates: Vec<ComponentUpdate>,
    /// What the dictionary becomes; a component with no value is removed.
    pub dictionary: Vec<(u16, Option<Vec<u8>>)>,
    pub leaf: Option<LeafNodeParameters>,
    pub context: Option<Extensions<GroupContext>>,
    pub tree_inside: bool,
}

impl Wild {
    /// These updates with the dictionary that they lead to.
    pub fn updates(state: &RoomState, updates: Vec<ComponentUpdate>) -> Self {
        let next = state.with_updates(&updates).unwrap().components();
        let value = |id| next.iter().find(|(of, _)| *of == id).map(|(_, data)| data.clone());
        let dictionary = updates.iter().map(|update| (update.id, value(update.id))).collect();
        Self { updates, dictionary, ..Self::default() }
    }
}

pub struct Rogue {
    pub provider: OpenMlsRustCrypto,
    pub group: MlsGroup,
    pub identity: Identity,
}

impl Rogue {
    /// The first member of a room with this state.
    pub fn found(world: &World, identity: Identity, state: &RoomState) -> Self {
        Self::with(identity, &Founding::of(world, state))
    }

    pub fn with(identity: Identity, founding: &Founding) -> Self {
        let provider = OpenMlsRustCrypto::default();
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(ciphersuite(identity.suite()))
            .wire_format_policy(founding.wire_format)
            .capabilities(capabilities())
            .max_past_epochs(5)
            .use_ratchet_tree_extension(false)
            .with_group_context_extensions(founding.extensions())
            .build();
        let id = GroupId::from_slice(&founding.group);
        let group =
            MlsGroup::new_with_group_id(&provider, &Key(&identity), &config, id, credential(&identity)).unwrap();
        Self { provider, group, identity }
    }

    /// A client that joins by an external commit, and the commit. It takes an earlier leaf with its key away.
    pub fn join(identity: Identity, info: &GroupInfo, tree: &RatchetTree, wild: Wild) -> (Self, CommitBundle) {
        let provider = OpenMlsRustCrypto::default();
        let info = VerifiableGroupInfo::tls_deserialize_exact(info.as_bytes()).unwrap();
        let tree = RatchetTreeIn::tls_deserialize_exact(tree.as_bytes()).unwrap();
        let config = MlsGroupJoinConfig::builder()
            .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
            .max_past_epochs(5)
            .use_ratchet_tree_extension(false)
            .build();
        let leaf = LeafNodeParameters::builder().with_capabilities(capabilities()).build();
        let mut builder = MlsGroup::external_commit_builder()
            .with_ratchet_tree(tree)
            .with_config(config)
            .build_group(&provider, info, credential(&identity))
            .unwrap()
            .leaf_node_parameters(leaf);
        for update in &wild.updates {
            let Operation::Update(data) = &update.operation else { panic!("a joiner removes no component") };
            builder = builder.add_app_data_update_proposal(AppDataUpdateProposal::update(update.id, data.clone()));
        }
        let mut stage =
            builder.load_psks(provider.storage()).unwrap().create_group_info(true).use_ratchet_tree_extension(false);
        let mut updater = stage.app_data_dictionary_updater();
        for (id, data) in wild.dictionary {
            match data {
                Some(data) => updater.set(ComponentData::from_parts(id, data.into())),
                None => updater.remove(&id),
            }
        }
        let changes = updater.changes();
        stage.with_app_data_dictionary_updates(changes);
        let (group, bundle) = stage
            .build(provider.rand(), provider.crypto(), &Key(&identity), |_| true)
            .unwrap()
            .finalize(&provider)
            .unwrap();
        let bundle = CommitBundle {
            commit: message(bundle.commit()),
            welcome: None,
            group_info: GroupInfo::decode(&octets(bundle.group_info().unwrap())).unwrap(),
        };
        (Self { provider, group, identity }, bundle)
    }

    pub fn first(&self) -> FirstEpoch {
        FirstEpoch { group_info: self.group_info(), ratchet_tree: self.tree() }
    }

    pub fn group_info(&self) -> GroupInfo {
        let message = self.group.export_group_info(self.provider.crypto(), &Key(&self.identity), false).unwrap();
        MlsMessage::decode(&octets(&message)).unwrap().into_group_info().unwrap()
    }

    pub fn tree(&self) -> RatchetTree {
        RatchetTree::decode(&octets(&self.group.export_ratchet_tree())).unwrap()
    }

    pub fn hub(&self, world: &World, room: &RoomUri) -> HubRoom {
        world.hub(room, &self.first())
    }

    /// Makes a commit. It is pending afterwards: [`Rogue::merge`] or [`Rogue::forget`].
    pub fn commit(&mut self, wild: Wild) -> CommitBundle {
        let crypto = self.provider.crypto();
        let add = wild.add.iter().map(|one| {
            let read = KeyPackageIn::tls_deserialize_exact(one.as_bytes()).unwrap();
            read.validate(crypto, ProtocolVersion::Mls10).unwrap()
        });
        let updates = wild.updates.iter().map(|update| {
            Proposal::AppDataUpdate(Box::new(match &update.operation {
                Operation::Update(data) => AppDataUpdateProposal::update(update.id, data.clone()),
                Operation::Remove => AppDataUpdateProposal::remove(update.id),
            }))
        });
        let mut builder = self
            .group
            .commit_builder()
            .propose_adds(add)
            .propose_removals(wild.remove.into_iter().map(LeafNodeIndex::new))
            .add_proposals(updates)
            .add_proposals(wild.proposals)
            .force_self_update(true);
        if let Some(context) = wild.context {
            builder = builder.propose_group_context_extensions(context).unwrap();
        }
        if let Some(leaf) = wild.leaf {
            builder = builder.leaf_node_parameters(leaf);
        }
        let mut stage = builder
            .load_psks(self.provider.storage())
            .unwrap()
            .create_group_info(true)
            .use_ratchet_tree_extension(wild.tree_inside);
        let mut updater = stage.app_data_dictionary_updater();
        for (id, data) in wild.dictionary {
            match data {
                Some(data) => updater.set(ComponentData::from_parts(id, data.into())),
                None => updater.remove(&id),
            }
        }
        let changes = updater.changes();
        stage.with_app_data_dictionary_updates(changes);
        let bundle = stage
            .build(self.provider.rand(), self.provider.crypto(), &Key(&self.identity), |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        CommitBundle {
            commit: message(bundle.commit()),
            welcome: bundle.welcome().map(|welcome| Welcome::decode(&octets(welcome)).unwrap()),
            group_info: GroupInfo::decode(&octets(bundle.group_info().unwrap())).unwrap(),
        }
    }

    /// Goes along with a commit of another, which leads to this state.
    pub fn follow(&mut self, next: &RoomState, commit: &MlsMessage) {
        let message = MlsMessageIn::tls_deserialize_exact(commit.as_bytes()).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let processed = self.group.process_message(&self.provider, message).unwrap();
        let staged = match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
                let ids: Vec<u16> = unresolved.app_data_update_proposals().map(|one| one.component_id()).collect();
                let mut updater = self.group.app_data_dictionary_updater();
                for id in ids {
                    match next.component(id) {
                        Some(data) => updater.set(ComponentData::from_parts(id, data.into())),
                        None => updater.remove(&id),
                    }
                }
                let changes = updater.changes();
                self.group.stage_app_data_commit(&self.provider, *unresolved, changes).unwrap()
            }
            other => panic!("{other:?}"),
        };
        self.group.merge_staged_commit(&self.provider, staged).unwrap();
    }

    /// Proposes to remove the clients at these leaves.
    pub fn propose_removals(&mut self, leaves: &[u32]) -> Vec<ProposalMessage> {
        let proposals = leaves.iter().map(|leaf| {
            let leaf = LeafNodeIndex::new(*leaf);
            self.group.propose_remove_member(&self.provider, &Key(&self.identity), leaf).unwrap().0
        });
        proposals.map(|proposal| message(&proposal).try_into().unwrap()).collect()
    }

    /// Proposes to change a component.
    pub fn propose_update(&mut self, update: &ComponentUpdate) -> ProposalMessage {
        let operation = match &update.operation {
            Operation::Update(data) => AppDataUpdateOperation::Update(data.clone().into()),
            Operation::Remove => AppDataUpdateOperation::Remove,
        };
        let made = self.group.propose_app_data_update(&self.provider, &Key(&self.identity), update.id, operation);
        message(&made.unwrap().0).try_into().unwrap()
    }

    /// Proposes that this client leaves, and no other.
    pub fn propose_self_removal(&mut self) -> ProposalMessage {
        message(&self.group.leave_group_via_self_remove(&self.provider, &Key(&self.identity)).unwrap())
            .try_into()
            .unwrap()
    }

    /// Keeps a proposal of another for the next commit.
    pub fn take(&mut self, proposal: &ProposalMessage) {
        let message = MlsMessageIn::tls_deserialize_exact(proposal.message().as_bytes()).unwrap();
        let processed = self.group.process_message(&self.provider, message.try_into_protocol_message().unwrap());
        match processed.unwrap().into_content() {
            ProcessedMessageContent::ProposalMessage(queued) => {
                self.group.store_pending_proposal(self.provider.storage(), *queued).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }

    /// Forgets the proposals that wait.
    pub fn forget_proposals(&mut self) {
        self.group.clear_pending_proposals(self.provider.storage()).unwrap();
    }

    /// Reads an application message.
    pub fn hear(&mut self, message: &MlsMessage) -> Vec<u8> {
        let message = MlsMessageIn::tls_deserialize_exact(message.as_bytes()).unwrap();
        let processed = self.group.process_message(&self.provider, message.try_into_protocol_message().unwrap());
        match processed.unwrap().into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => message.into_bytes(),
            other => panic!("{other:?}"),
        }
    }

    pub fn merge(&mut self) {
        self.group.merge_pending_commit(&self.provider).unwrap();
    }

    pub fn forget(&mut self) {
        self.group.clear_pending_commit(self.provider.storage()).unwrap();
    }

    /// A proposal of its own, kept for nothing.
    pub fn propose(&mut self, propose: Propose) -> MlsMessage {
        let key = Key(&self.identity);
        let made = self.group.propose(&self.provider, &key, propose, ProposalOrRefType::Reference);
        let (made, reference) = made.unwrap();
        self.group.remove_pending_proposal(self.provider.storage(), &reference).unwrap();
        message(&made)
    }

    /// An application message with these octets.
    pub fn say(&mut self, plain: &[u8]) -> MlsMessage {
        message(&self.group.create_message(&self.provider, &Key(&self.identity), plain).unwrap())
    }
}

pub fn octets(value: &impl openmls::prelude::tls_codec::Serialize) -> Vec<u8> {
    value.tls_serialize_detached().unwrap()
}

pub fn message(message: &MlsMessageOut) -> MlsMessage {
    MlsMessage::decode(&octets(message)).unwrap()
}

/// The parts of a GroupInfo (RFC 9420, section 12.4.3).
#[derive(Clone)]
pub struct Info {
    pub context: Vec<u8>,
    pub extensions: Vec<u8>,
    pub tag: Vec<u8>,
    pub signer: u32,
}

impl Info {
    pub fn read(info: &GroupInfo) -> Self {
        let mut reader = Reader::new(info.as_bytes());
        reader.u32().unwrap();
        reader.vector().unwrap();
        reader.u64().unwrap();
        for _ in 0..3 {
            reader.vector().unwrap();
        }
        let context = info.as_bytes()[..info.as_bytes().len() - reader.rest().len()].to_vec();
        let extensions = reader.vector().unwrap().to_vec();
        Self { context, extensions, tag: reader.vector().unwrap().to_vec(), signer: reader.u32().unwrap() }
    }

    pub fn sign(&self, identity: &Identity) -> GroupInfo {
        let mut writer = Writer::default();
        writer.raw(&self.context);
        writer.vector(&self.extensions);
        writer.vector(&self.tag);
        writer.u32(self.signer);
        let mut octets = writer.into_octets();
        let signature = sign_with_label(identity.signer(), "GroupInfoTBS", &octets).unwrap();
        let mut writer = Writer::default();
        writer.vector(&signature);
        octets.extend(writer.into_octets());
        GroupInfo::decode(&octets).unwrap()
    }
}

/// The same octets with one bit changed, `from_end` octets before their end.
pub fn flipped(octets: &[u8], from_end: usize) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let at = octets.len() - 1 - from_end;
    octets[at] ^= 1;
    octets
}
