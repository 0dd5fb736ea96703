//! Values of every type, made from a seed.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use mimi_pseudonym::*;
use mimi_wire::{local::*, *};

pub struct Gen(SeededEntropy);

impl Gen {
    pub fn new(seed: u64) -> Self {
        let mut octets = [0; 32];
        octets[..8].copy_from_slice(&seed.to_be_bytes());
        Self(SeededEntropy::new(octets))
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.0.bits128()[..8].try_into().unwrap())
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.u64() % end
    }

    pub fn u16(&mut self) -> u16 {
        self.u64() as u16
    }

    pub fn flag(&mut self) -> bool {
        self.u64() & 1 == 1
    }

    pub fn bytes(&mut self, max: u64) -> Vec<u8> {
        let mut octets = vec![0; self.below(max + 1) as usize];
        self.0.fill(&mut octets);
        octets
    }

    pub fn text(&mut self) -> String {
        (0..self.below(12)).map(|_| ['a', 'Z', '5', ' ', 'é', '世'][self.below(6) as usize]).collect()
    }

    pub fn many<T>(&mut self, min: u64, max: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..min + self.below(max - min + 1)).map(|_| make(self)).collect()
    }

    pub fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    pub fn signer(&mut self, suite: CipherSuite) -> SigningKey {
        SigningKey::generate(suite.signature_scheme(), &mut self.0).unwrap()
    }
}

pub trait Sample {
    fn sample(from: &mut Gen) -> Self;
}

fn any<T: Sample>(from: &mut Gen) -> T {
    T::sample(from)
}

fn octets(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    write(&mut writer);
    writer.into_octets()
}

fn list<T>(writer: &mut Writer, values: Vec<T>, write: impl Fn(&mut Writer, &T)) {
    writer.vector(&octets(|inner| values.iter().for_each(|value| write(inner, value))));
}

pub fn u16s(from: &mut Gen, writer: &mut Writer) {
    list(writer, from.many(0, 3, Gen::u16), |writer, code| writer.u16(*code));
}

pub fn extensions(from: &mut Gen, writer: &mut Writer) {
    let values = from.many(0, 2, |from| from.bytes(20));
    // Types from 3 on: the tree is 2.
    let values = values.into_iter().zip(3_u16..).collect();
    list(writer, values, |writer, (data, extension_type)| {
        writer.u16(*extension_type);
        writer.vector(data);
    });
}

pub fn leaf_node(from: &mut Gen, writer: &mut Writer, source: u8) {
    writer.vector(&from.bytes(32));
    writer.vector(&from.bytes(65));
    any::<Credential>(from).write(writer);
    (0..5).for_each(|_| u16s(from, writer));
    writer.u8(source);
    match source {
        1 => {
            writer.u64(from.u64());
            writer.u64(from.u64());
        }
        3 => writer.vector(&from.bytes(32)),
        _ => {}
    }
    extensions(from, writer);
    writer.vector(&from.bytes(64));
}

fn hpke_ciphertext(from: &mut Gen, writer: &mut Writer) {
    writer.vector(&from.bytes(32));
    writer.vector(&from.bytes(48));
}

pub fn proposal(from: &mut Gen, writer: &mut Writer, code: u16) {
    writer.u16(code);
    match code {
        1 => any::<KeyPackage>(from).write(writer),
        2 => leaf_node(from, writer, 2),
        3 => writer.u32(7),
        4 => {
            let psk_type = 1 + from.below(3) as u8;
            writer.u8(psk_type);
            match psk_type {
                1 => writer.vector(&from.bytes(16)),
                2 => {
                    writer.u8(1 + from.below(3) as u8);
                    writer.vector(&from.bytes(16));
                    writer.u64(from.u64());
                }
                _ => {
                    writer.u16(from.u16());
                    writer.vector(&from.bytes(16));
                }
            }
            writer.vector(&from.bytes(16));
        }
        5 => {
            writer.vector(&from.bytes(16));
            writer.u16(1);
            writer.u16(2);
            extensions(from, writer);
        }
        6 => writer.vector(&from.bytes(32)),
        7 => extensions(from, writer),
        8 => {
            writer.u16(from.u16());
            if from.flag() {
                writer.u8(1);
                writer.vector(&from.bytes(16));
            } else {
                writer.u8(2);
            }
        }
        9 => {
            writer.u16(from.u16());
            writer.vector(&from.bytes(16));
        }
        _ => {}
    }
}

fn commit(from: &mut Gen, writer: &mut Writer) {
    let proposals = from.many(0, 2, |from| {
        octets(|writer| {
            if from.flag() {
                writer.u8(1);
                let code = 1 + from.below(10) as u16;
                proposal(from, writer, code);
            } else {
                writer.u8(2);
                writer.vector(&from.bytes(32));
            }
        })
    });
    list(writer, proposals, |writer, proposal| writer.raw(proposal));
    let path = from.flag();
    writer.flag(path);
    if path {
        leaf_node(from, writer, 3);
        let nodes = from.many(0, 2, |from| {
            octets(|writer| {
                writer.vector(&from.bytes(32));
                let secrets = from.many(0, 2, |from| octets(|writer| hpke_ciphertext(from, writer)));
                list(writer, secrets, |writer, secret| writer.raw(secret));
            })
        });
        list(writer, nodes, |writer, node| writer.raw(node));
    }
}

/// A public message: `sender` as on the wire, 1 to 4; `content` likewise, 1 to 3.
pub fn public_message(from: &mut Gen, sender: u8, content: u8) -> MlsMessage {
    let encoded = octets(|writer| {
        writer.u16(1);
        writer.u16(1);
        writer.vector(b"group");
        writer.u64(5);
        writer.u8(sender);
        if sender < 3 {
            writer.u32(9);
        }
        writer.vector(b"aad");
        writer.u8(content);
        match content {
            1 => writer.vector(&from.bytes(16)),
            2 => {
                let code = 1 + from.below(10) as u16;
                proposal(from, writer, code);
            }
            _ => commit(from, writer),
        }
        writer.vector(&from.bytes(64));
        if content == 3 {
            writer.vector(&from.bytes(32));
        }
        if sender == 1 {
            writer.vector(&from.bytes(32));
        }
    });
    MlsMessage::decode(&encoded).unwrap()
}

pub fn private_message(from: &mut Gen, content: u8) -> MlsMessage {
    let encoded = octets(|writer| {
        writer.u16(1);
        writer.u16(2);
        writer.vector(b"group");
        writer.u64(6);
        writer.u8(content);
        writer.vector(b"data");
        writer.vector(&from.bytes(28));
        writer.vector(&from.bytes(80));
    });
    MlsMessage::decode(&encoded).unwrap()
}

macro_rules! sample {
    ($($type:ty: |$from:ident| $value:expr;)*) => {$(
        impl Sample for $type {
            fn sample($from: &mut Gen) -> Self {
                $value
            }
        }
    )*};
}

fn domain(from: &mut Gen) -> Domain {
    ["a.example", "b.example", "hub.example"][from.below(3) as usize].parse().unwrap()
}

fn signed_tbs(from: &mut Gen, suite: CipherSuite) -> (KeyMaterialRequestTbs, SigningKey) {
    let signer = from.signer(suite);
    let tbs = KeyMaterialRequestTbs {
        requesting_user: any(from),
        target_user: any(from),
        room: from.maybe(any),
        acceptable_cipher_suites: vec![0x5a5a, suite.code()],
        required_capabilities: any(from),
        requester_signature_key: signer.public_key().as_bytes().to_vec(),
        requester_credential: any(from),
    };
    (tbs, signer)
}

/// The response with another status than it was made for.
pub fn with_status(response: &KeyMaterialResponse, status: KeyMaterialUserCode) -> Vec<u8> {
    let mut octets = response.encode();
    octets[1] = status.code();
    octets
}

pub fn key_material_request(from: &mut Gen, suite: CipherSuite) -> KeyMaterialRequest {
    let (tbs, signer) = signed_tbs(from, suite);
    KeyMaterialRequest::sign(tbs, &signer).unwrap()
}

pub fn group_info_request(from: &mut Gen, suite: CipherSuite) -> GroupInfoRequest {
    let signer = from.signer(suite);
    let tbs = GroupInfoRequestTbs {
        cipher_suite: suite,
        requesting_signature_key: signer.public_key().clone(),
        requesting_credential: any(from),
        group_info_public_key: from.bytes(32),
        joining_code: from.maybe(|from| from.bytes(8)),
    };
    GroupInfoRequest::sign(tbs, &signer).unwrap()
}

pub fn group_info_response(from: &mut Gen, suite: CipherSuite, room: RoomUri) -> UnverifiedGroupInfoResponse {
    let signer = from.signer(suite);
    let tbs = GroupInfoResponseTbs {
        room,
        cipher_suite: suite,
        hub_sender: ExternalSender { signature_key: signer.public_key().as_bytes().to_vec(), credential: any(from) },
        encrypted_group_info_and_tree: any(from),
    };
    UnverifiedGroupInfoResponse::sign(tbs, &signer).unwrap()
}

pub fn rollback(from: &mut Gen) -> UnverifiedRollback {
    let cipher_suite = any(from);
    let signer = from.signer(cipher_suite);
    let (epoch, commit_hash) = (from.u64(), from.0.bits256());
    let tbs = RollbackTbs { room: any(from), epoch, commit_hash, at: any(from), cipher_suite };
    UnverifiedRollback::sign(tbs, &signer).unwrap()
}

pub fn credential_item(from: &mut Gen, suite: CipherSuite) -> CredentialItem {
    let signer = from.signer(suite);
    let disclose = ClaimName::ALL.into_iter().filter(|_| from.flag()).collect();
    let tbs = CredentialItemTbs {
        subject: any(from),
        cipher_suite: suite,
        public_key: signer.public_key().clone(),
        disclose,
        format: any(from),
    };
    CredentialItem::sign(tbs, &signer).unwrap()
}

pub fn new_pseudonym(from: &mut Gen, suite: CipherSuite) -> NewPseudonym {
    let signer = from.signer(suite);
    let disclose = ClaimName::ALL.into_iter().filter(|_| from.flag()).collect();
    let public_key = signer.public_key().clone();
    let tbs = NewPseudonymTbs { cipher_suite: suite, public_key, disclose, format: any(from) };
    NewPseudonym::sign(tbs, &signer).unwrap()
}

fn pseudonym(from: &mut Gen) -> UserUri {
    UserUri::pseudonym(&domain(from), from.0.bits128())
}

sample! {
    UserUri: |from| if from.flag() { pseudonym(from) } else { UserUri::new(&domain(from), "alice").unwrap() };
    ClientUri: |from| ClientUri::pseudonym(&domain(from), from.0.bits128());
    RoomUri: |from| RoomUri::new(&domain(from), "clubhouse").unwrap();
    CipherSuite: |from| CipherSuite::ALL[from.below(2) as usize];
    Timestamp: |from| Timestamp::from_millis(from.u64());
    Credential: |from| if from.flag() {
        Credential::basic(&from.bytes(20))
    } else {
        Credential::x509(from.many(0, 3, |from| from.bytes(40)))
    };
    Extensions: |from| Extensions::decode(&octets(|writer| extensions(from, writer))).unwrap();
    Capabilities: |from| Capabilities::decode(&octets(|writer| (0..5).for_each(|_| u16s(from, writer)))).unwrap();
    RequiredCapabilities: |from|
        RequiredCapabilities::new(from.many(0, 3, Gen::u16), from.many(0, 3, Gen::u16), from.many(0, 3, Gen::u16));
    AppDataDictionary: |from| from.many(0, 3, |from| (from.u16(), from.bytes(16))).into_iter().collect();
    KeyPackageRef: |from| KeyPackageRef::new(&from.0.bits256());
    ProposalRef: |from| ProposalRef::new(&from.0.bits256());
    KeyPackage: |from| KeyPackage::decode(&octets(|writer| {
        writer.u16(1);
        writer.u16(2);
        writer.vector(&from.bytes(32));
        leaf_node(from, writer, 1);
        extensions(from, writer);
        writer.vector(&from.bytes(64));
    })).unwrap();
    Welcome: |from| Welcome::decode(&octets(|writer| {
        writer.u16(1);
        let secrets = from.many(0, 3, |from| octets(|writer| {
            any::<KeyPackageRef>(from).write(writer);
            hpke_ciphertext(from, writer);
        }));
        list(writer, secrets, |writer, secret| writer.raw(secret));
        writer.vector(&from.bytes(60));
    })).unwrap();
    GroupInfo: |from| GroupInfo::decode(&octets(|writer| {
        writer.u16(1);
        writer.u16(2);
        writer.vector(b"group");
        writer.u64(3);
        writer.vector(&from.bytes(32));
        writer.vector(&from.bytes(32));
        extensions(from, writer);
        extensions(from, writer);
        writer.vector(&from.bytes(32));
        writer.u32(1);
        writer.vector(&from.bytes(64));
    })).unwrap();
    RatchetTree: |from| RatchetTree::decode(&octets(|writer| {
        let parents = from.many(0, 2, |from| octets(|writer| {
            let blank = from.flag();
            writer.flag(!blank);
            if !blank {
                writer.u8(2);
                writer.vector(&from.bytes(32));
                writer.vector(&from.bytes(32));
                list(writer, vec![1_u32, 2], |writer, leaf| writer.u32(*leaf));
            }
        }));
        let nodes = octets(|writer| {
            for parent in parents {
                writer.flag(false);
                writer.raw(&parent);
            }
            writer.flag(true);
            writer.u8(1);
            let source = 1 + from.below(3) as u8;
            leaf_node(from, writer, source);
        });
        writer.vector(&nodes);
    })).unwrap();
    MlsMessage: |from| match from.below(5) {
        0 => {
            let (sender, content) = (1 + from.below(4) as u8, 1 + from.below(3) as u8);
            public_message(from, sender, content)
        }
        1 => {
            let content = 1 + from.below(3) as u8;
            private_message(from, content)
        }
        2 => any::<Welcome>(from).into(),
        3 => any::<GroupInfo>(from).into(),
        _ => any::<KeyPackage>(from).into(),
    };
    ApplicationMessage: |from| private_message(from, 1).try_into().unwrap();
    ProposalMessage: |from| public_message(from, 1, 2).try_into().unwrap();
    CommitMessage: |from| public_message(from, 4, 3).try_into().unwrap();
    KeyMaterialRequestTbs: |from| signed_tbs(from, CipherSuite::X25519Aes128Ed25519).0;
    UnverifiedKeyMaterialRequest: |from| { let suite = any(from); key_material_request(from, suite).into() };
    ClientKeyMaterial: |from| ClientKeyMaterial { client: any(from), material: match from.below(3) {
        0 => ClientMaterial::KeyPackage(any(from)),
        1 => ClientMaterial::Exhausted,
        _ => ClientMaterial::NothingCompatible(from.maybe(any)),
    } };
    KeyMaterialResponse: |from| {
        let mut clients: Vec<ClientKeyMaterial> = from.many(0, 3, any);
        clients.push(ClientKeyMaterial { client: any(from), material: ClientMaterial::KeyPackage(any(from)) });
        if from.flag() {
            KeyMaterialResponse::new(KeyMaterialUserCode::PartialSuccess, any(from), clients).unwrap()
        } else {
            KeyMaterialResponse::new(KeyMaterialUserCode::NoConsent, any(from), Vec::new()).unwrap()
        }
    };
    RatchetTreeOption: |from| match from.below(4) {
        0 => RatchetTreeOption::Full(any(from)),
        1 => RatchetTreeOption::HttpsUri { url: "https://a.example/t".into(), tree_signature: from.bytes(64) },
        2 => RatchetTreeOption::OutOfBand { tree_signature: from.bytes(64) },
        _ => RatchetTreeOption::DistributionService,
    };
    PartialGroupInfo: |from| PartialGroupInfo {
        ratchet_tree_presence: RatchetTreePresence::ALL[from.below(4) as usize],
        group_info_extensions: any(from),
        signature: from.bytes(64),
    };
    GroupInfoOption: |from|
        if from.flag() { GroupInfoOption::Full(any(from)) } else { GroupInfoOption::Partial(any(from)) };
    UpdateRequest: |from| if from.flag() {
        UpdateRequest::Commit {
            commit: any(from), welcome: from.maybe(any), group_info: any(from), ratchet_tree: any(from),
        }
    } else {
        UpdateRequest::Proposal { proposal: any(from), more: from.many(0, 2, any) }
    };
    UpdateRoomResponse: |from| UpdateRoomResponse { description: from.text(), outcome: match from.below(4) {
        0 => UpdateOutcome::Accepted { accepted: any(from) },
        1 => UpdateOutcome::WrongEpoch { current_epoch: from.u64() },
        2 => UpdateOutcome::NotAllowed,
        _ => UpdateOutcome::InvalidProposal { proposals: from.many(0, 3, any) },
    } };
    Frank: |from| Frank {
        server_frank: from.0.bits256(), cipher_suite: any(from), integrity_signature: from.bytes(72),
    };
    SubmitMessageRequest: |from| SubmitMessageRequest { message: any(from), sending_user: any(from) };
    SubmitMessageResponse: |from| match from.below(3) {
        0 => SubmitMessageResponse::Accepted { accepted: any(from), frank: from.maybe(any) },
        1 => SubmitMessageResponse::NotAllowed,
        _ => SubmitMessageResponse::EpochTooOld { current_epoch: from.u64() },
    };
    FanoutMessage: |from| FanoutMessage { timestamp: any(from), event: match from.below(6) {
        0 => FanoutEvent::Application { message: any(from), frank: from.maybe(any) },
        1 => FanoutEvent::Welcome { welcome: any(from), ratchet_tree: any(from) },
        2 => FanoutEvent::Proposal { proposal: any(from), more: from.many(0, 2, any) },
        3 => FanoutEvent::RolledBack { rollback: rollback(from) },
        4 => FanoutEvent::Audience { receivers: from.maybe(|from| from.many(0, 2, any)) },
        _ => FanoutEvent::Commit { commit: any(from), external_proposals: from.many(0, 2, any) },
    } };
    FanoutMessages: |from| any::<FanoutMessage>(from).into();
    GroupInfoRequestTbs: |from| { let suite = any(from); group_info_request(from, suite).tbs().clone() };
    UnverifiedGroupInfoRequest: |from| { let suite = any(from); group_info_request(from, suite).into() };
    UnverifiedGroupInfoResponse: |from| match from.below(3) {
        0 => { let (suite, room) = (any(from), any(from)); group_info_response(from, suite, room) }
        1 => UnverifiedGroupInfoResponse::not_authorized(any(from)),
        _ => UnverifiedGroupInfoResponse::no_such_room(any(from)),
    };
    ExternalSender: |from| ExternalSender { signature_key: from.bytes(65), credential: any(from) };
    HpkeCiphertext: |from| HpkeCiphertext { kem_output: from.bytes(32), ciphertext: from.bytes(90) };
    PendingProposal: |from| PendingProposal { proposal: any(from), hub_accepted: any(from) };
    GroupInfoRatchetTreeTbe: |from| GroupInfoRatchetTreeTbe {
        group_info: any(from), ratchet_tree: any(from), pending_proposals: from.many(0, 2, any),
    };
    ConsentScope: |from| ConsentScope { requester: any(from), target: any(from), room: from.maybe(any) };
    ConsentEntry: |from| ConsentEntry {
        scope: any(from),
        operation: match from.below(4) {
            0 => ConsentOperation::Cancel,
            1 => ConsentOperation::Request,
            2 => ConsentOperation::Grant { key_packages: from.many(0, 2, any) },
            _ => ConsentOperation::Revoke,
        },
        extensions: any(from),
    };
    SearchField: |from| match from.below(8) {
        0 => SearchField::Handle,
        1 => SearchField::Nick,
        2 => SearchField::Email,
        3 => SearchField::Phone,
        4 => SearchField::PartialName,
        5 => SearchField::WholeProfile,
        6 => SearchField::OidcStdClaim(from.text()),
        _ => SearchField::VcardField(from.text()),
    };
    QueryElement: |from| QueryElement { field: any(from), value: from.text() };
    IdentifierRequest: |from| IdentifierRequest { elements: from.many(1, 4, any), extensions: any(from) };
    ProfileField: |from| ProfileField {
        source: FieldSource::ALL[from.below(2) as usize], name: from.text(), value: from.bytes(10),
    };
    UserProfile: |from| UserProfile { stable_uri: any(from), fields: from.many(0, 2, any) };
    IdentifierResponse: |from| IdentifierResponse {
        code: IdentifierQueryCode::ALL[from.below(5) as usize],
        uris: from.many(0, 2, any), profiles: from.many(0, 2, any), extensions: any(from),
    };
    AbusiveMessage: |from| AbusiveMessage {
        message_content: from.bytes(40), frank: any(from), accepted: any(from),
    };
    AbuseReport: |from| AbuseReport {
        reporting_user: from.maybe(any), alleged_abuser: any(from), reason_code: from.u64() as u8, note: from.text(),
        messages: from.many(0, 2, any), extensions: any(from),
    };
    FrankAad: |from| FrankAad { franking_tag: from.0.bits256() };
    FrankingAgentData: |from| FrankingAgentData { franking_signature_key: from.bytes(65), credential: any(from) };
    ServerFrankingContext: |from| ServerFrankingContext { sender: any(from), room: any(from), accepted: any(from) };
    FrankingIntegrityTbs: |from| FrankingIntegrityTbs {
        server_frank: from.0.bits256(), cipher_suite: any(from), context: any(from),
    };
    RegisterAccountRequest: |from| RegisterAccountRequest {
        handle: from.text(), display_name: from.text(), email: from.text(), device_name: from.text(),
    };
    DeviceToken: |from| DeviceToken::from_bytes(from.0.bits256());
    EnrolmentCode: |from| EnrolmentCode::from_bytes(from.0.bits256());
    AddDeviceRequest: |from| AddDeviceRequest { enrolment_code: any(from), device_name: from.text() };
    RegisterResponse: |from| RegisterResponse {
        user: any(from), client: any(from), device_token: any(from), enrolment_code: any(from),
    };
    HubSender: |from| HubSender { cipher_suite: any(from), sender: any(from) };
    HubFrankingAgent: |from| HubFrankingAgent { cipher_suite: any(from), agent: any(from) };
    ReporterTag: |from| ReporterTag(from.0.bits256());
    ProviderInfo: |from| ProviderInfo {
        franking_agents: from.many(0, 2, any),
        domain: domain(from), hub_senders: from.many(0, 2, any),
        issuer_certificates: from.many(0, 2, |from| from.bytes(30)),
    };
    PseudonymsRequest: |from| PseudonymsRequest { count: 1 + from.below(1000) as u16 };
    PseudonymsResponse: |from| PseudonymsResponse { pseudonyms: from.many(1, 3, pseudonym) };
    UnverifiedCredentialItem: |from| { let suite = any(from); credential_item(from, suite).into() };
    CredentialsRequest: |from| CredentialsRequest { items: from.many(1, 2, any) };
    DisclosureFormat: |from| DisclosureFormat::ALL[from.below(3) as usize];
    IssuedDisclosure: |from| match any(from) {
        DisclosureFormat::SdJwt => IssuedDisclosure::SdJwt(from.bytes(50)),
        DisclosureFormat::SdCwt => IssuedDisclosure::SdCwt(from.bytes(50)),
        _ => IssuedDisclosure::X509(from.many(1, 3, |from| from.bytes(30))),
    };
    IssuedCredential: |from| IssuedCredential {
        client: any(from), leaf: from.many(1, 3, |from| from.bytes(30)),
        disclosure: from.maybe(any),
    };
    CredentialsResponse: |from| CredentialsResponse { items: from.many(1, 2, any) };
    DeviceEntry: |from| DeviceEntry { client: any(from), name: from.text() };
    DevicesResponse: |from| DevicesResponse { devices: from.many(0, 3, any) };
    DeviceClientsRequest: |from| DeviceClientsRequest { client: any(from) };
    DeviceClient: |from| DeviceClient { user: any(from), client: any(from) };
    DeviceClientsResponse: |from| DeviceClientsResponse { clients: from.many(0, 3, any) };
    RemoveDeviceRequest: |from| RemoveDeviceRequest { client: any(from), enrolment_code: any(from) };
    UnverifiedNewPseudonym: |from| { let suite = any(from); new_pseudonym(from, suite).into() };
    AcquireRequest: |from| AcquireRequest { items: from.many(1, 2, any) };
    IssuedPseudonym: |from| IssuedPseudonym { pseudonym: pseudonym(from), credential: any(from) };
    AcquireResponse: |from| AcquireResponse { items: from.many(1, 2, any) };
    UploadKeyPackages: |from| UploadKeyPackages { owner: any(from), key_packages: from.many(1, 2, any) };
    UploadBatch: |from| {
        let mut uploads: Vec<UploadKeyPackages> = from.many(1, 3, any);
        uploads.sort_by_key(|upload| upload.owner.clone());
        uploads.dedup_by_key(|upload| upload.owner.clone());
        UploadBatch { uploads }
    };
    UploadResponse: |from| UploadResponse { accepted: from.u64() as u32 };
    ClaimOwnRequest: |from| ClaimOwnRequest {
        user: any(from), cipher_suite_codes: from.many(1, 3, Gen::u16), exclude: from.maybe(any),
    };
    CreateRoomRequest: |from| CreateRoomRequest { room: any(from), group_info: any(from), ratchet_tree: any(from) };
    Accepted: |from| Accepted { accepted: any(from) };
    HubKeyMaterialRequest: |from| HubKeyMaterialRequest { hub: from.maybe(domain), request: any(from) };
    LocalIdentifierQuery: |from| LocalIdentifierQuery { domain: domain(from), request: any(from) };
    ProfileEntry: |from| match from.below(3) {
        0 => ProfileEntry { field: SearchField::Handle, value: String::new(), visibility: Visibility::Exact },
        1 => ProfileEntry { field: SearchField::Email, value: "x".into(), visibility: Visibility::Hidden },
        _ => ProfileEntry {
            field: SearchField::VcardField(from.text()), value: "y".into(), visibility: Visibility::Searchable,
        },
    };
    SetProfile: |from| {
        let mut entries: Vec<ProfileEntry> = from.many(0, 4, any);
        entries.retain(|entry| entry.field != SearchField::Handle);
        SetProfile { entries }
    };
    ConsentSettings: |from| ConsentSettings { initial_connections: from.below(2) == 1 };
    InboxBody: |from| match from.below(6) {
        0 => InboxBody::Fanout { room: any(from), message: any(from) },
        1 => InboxBody::PseudonymsAssigned { pseudonyms: from.many(1, 3, pseudonym) },
        2 => InboxBody::RoomDestroyed { room: any(from) },
        3 => InboxBody::KeyPackagesLow { user: any(from) },
        4 => InboxBody::SiblingReady { user: any(from) },
        _ => InboxBody::Consent { entry: any(from) },
    };
    InboxEvent: |from| InboxEvent { sequence: from.u64(), body: any(from) };
    InboxResponse: |from| {
        let mut events: Vec<InboxEvent> = from.many(0, 3, any);
        events.iter_mut().zip(0..).for_each(|(event, sequence)| event.sequence = sequence);
        InboxResponse { events }
    };
    AckRequest: |from| AckRequest { up_to: from.u64() };
}
