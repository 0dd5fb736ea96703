//! Every type is written and read back; cut short, with something behind it, and too long it is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::fmt::Debug;

use mimi_wire::{local::*, *};
use proptest::prelude::*;
use support::{Gen, Sample};

fn reads_back<T: Wire + Sample + PartialEq + Debug>(seed: u64) -> Result<(), TestCaseError> {
    let value = T::sample(&mut Gen::new(seed));
    prop_assert_eq!(T::decode(&value.encode()), Ok(value));
    Ok(())
}

/// One octet is changed: nothing panics, and what is still read is written and read alike.
fn survives_a_change<T: Wire + Sample + PartialEq + Debug>(
    seed: u64,
    at: usize,
    with: u8,
) -> Result<(), TestCaseError> {
    let mut octets = T::sample(&mut Gen::new(seed)).encode();
    let at = at % octets.len();
    octets[at] ^= with;
    if let Ok(value) = T::decode(&octets) {
        prop_assert_eq!(T::decode(&value.encode()), Ok(value));
    }
    Ok(())
}

fn refuses_every_prefix<T: Wire + Sample + PartialEq + Debug>() {
    for seed in 0..6 {
        let octets = T::sample(&mut Gen::new(seed)).encode();
        for length in 0..octets.len() {
            assert!(T::decode(&octets[..length]).is_err(), "{length} of {} octets", octets.len());
        }
    }
}

fn refuses_what_is_behind<T: Wire + Sample + PartialEq + Debug>() {
    for seed in 0..6 {
        let mut octets = T::sample(&mut Gen::new(seed)).encode();
        octets.push(0);
        match T::decode(&octets) {
            Err(DecodeError::Trailing(1)) => {}
            Err(DecodeError::TooLong { found, .. }) => assert_eq!(found, octets.len()),
            other => panic!("{other:?}"),
        }
    }
}

fn refuses_too_much<T: Wire + PartialEq + Debug>() {
    let found = T::MAX_LEN + 1;
    assert_eq!(T::decode(&vec![0; found]), Err(DecodeError::TooLong { found, limit: T::MAX_LEN }));
}

macro_rules! codecs {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(48))]

                #[test]
                fn is_read_back(seed: u64) {
                    reads_back::<$type>(seed)?;
                }

                #[test]
                fn survives_changes(seed: u64, at: usize, with: u8) {
                    survives_a_change::<$type>(seed, at, with)?;
                }
            }

            #[test]
            fn ends_too_early() {
                refuses_every_prefix::<$type>();
            }

            #[test]
            fn ends_too_late() {
                refuses_what_is_behind::<$type>();
            }

            #[test]
            fn is_too_long() {
                refuses_too_much::<$type>();
            }
        }
    )*};
}

codecs! {
    credential: Credential,
    extensions: Extensions,
    capabilities: Capabilities,
    required_capabilities: RequiredCapabilities,
    dictionary: AppDataDictionary,
    key_package_ref: KeyPackageRef,
    proposal_ref: ProposalRef,
    key_package: KeyPackage,
    welcome: Welcome,
    group_info: GroupInfo,
    ratchet_tree: RatchetTree,
    mls_message: MlsMessage,
    application_message: ApplicationMessage,
    proposal_message: ProposalMessage,
    commit_message: CommitMessage,
    key_material_request_tbs: KeyMaterialRequestTbs,
    key_material_request: UnverifiedKeyMaterialRequest,
    key_material_response: KeyMaterialResponse,
    ratchet_tree_option: RatchetTreeOption,
    partial_group_info: PartialGroupInfo,
    group_info_option: GroupInfoOption,
    update_request: UpdateRequest,
    update_room_response: UpdateRoomResponse,
    frank: Frank,
    submit_message_request: SubmitMessageRequest,
    submit_message_response: SubmitMessageResponse,
    fanout_message: FanoutMessage,
    group_info_request_tbs: GroupInfoRequestTbs,
    group_info_request: UnverifiedGroupInfoRequest,
    group_info_response: UnverifiedGroupInfoResponse,
    external_sender: ExternalSender,
    hpke_ciphertext: HpkeCiphertext,
    pending_proposal: PendingProposal,
    group_info_ratchet_tree_tbe: GroupInfoRatchetTreeTbe,
    consent_scope: ConsentScope,
    consent_entry: ConsentEntry,
    query_element: QueryElement,
    identifier_request: IdentifierRequest,
    user_profile: UserProfile,
    identifier_response: IdentifierResponse,
    abusive_message: AbusiveMessage,
    abuse_report: AbuseReport,
    frank_aad: FrankAad,
    franking_agent_data: FrankingAgentData,
    server_franking_context: ServerFrankingContext,
    franking_integrity_tbs: FrankingIntegrityTbs,
    register_account_request: RegisterAccountRequest,
    add_device_request: AddDeviceRequest,
    register_response: RegisterResponse,
    provider_info: ProviderInfo,
    pseudonyms_request: PseudonymsRequest,
    pseudonyms_response: PseudonymsResponse,
    credentials_request: CredentialsRequest,
    credentials_response: CredentialsResponse,
    devices_response: DevicesResponse,
    device_clients_request: DeviceClientsRequest,
    device_clients_response: DeviceClientsResponse,
    remove_device_request: RemoveDeviceRequest,
    acquire_request: AcquireRequest,
    acquire_response: AcquireResponse,
    upload_key_packages: UploadKeyPackages,
    upload_batch: UploadBatch,
    upload_response: UploadResponse,
    claim_own_request: ClaimOwnRequest,
    create_room_request: CreateRoomRequest,
    accepted: Accepted,
    hub_key_material_request: HubKeyMaterialRequest,
    local_identifier_query: LocalIdentifierQuery,
    set_profile: SetProfile,
    consent_settings: ConsentSettings,
    inbox_event: InboxEvent,
    inbox_response: InboxResponse,
    ack_request: AckRequest,
}

proptest! {
    #[test]
    fn fanout_messages_stand_end_to_end(seed: u64, count in 1_usize..5) {
        let mut from = Gen::new(seed);
        let messages: Vec<FanoutMessage> = (0..count).map(|_| Sample::sample(&mut from)).collect();
        let octets: Vec<u8> = messages.iter().flat_map(Wire::encode).collect();
        let read = FanoutMessages::decode(&octets).unwrap();
        prop_assert_eq!(read.encode(), octets.clone());
        prop_assert_eq!(read.into_vec(), messages);
        prop_assert!(FanoutMessages::decode(&octets[..octets.len() - 1]).is_err());
        prop_assert!(FanoutMessages::decode(&[octets.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn nothing_panics(octets: Vec<u8>) {
        let _ = MlsMessage::decode(&octets);
        let _ = RatchetTree::decode(&octets);
        let _ = FanoutMessages::decode(&octets);
        let _ = UpdateRequest::decode(&octets);
        let _ = InboxResponse::decode(&octets);
    }
}

#[test]
fn a_batch_has_each_user_once_and_a_thousand_key_packages() {
    let upload = |number: u8, count: usize| {
        let owner = mimi_pseudonym::UserUri::pseudonym(&"a.example".parse().unwrap(), [number; 16]);
        let one = UploadKeyPackages::sample(&mut Gen::new(1)).key_packages.remove(0);
        UploadKeyPackages { owner, key_packages: vec![one; count] }
    };
    let batch = |uploads: Vec<UploadKeyPackages>| UploadBatch::decode(&UploadBatch { uploads }.encode()).map(drop);
    let rule = |rule| Err(DecodeError::Rule { field: "uploads", rule });
    assert_eq!(batch(vec![upload(1, 400), upload(2, 600)]), Ok(()));
    assert_eq!(batch(vec![upload(1, 401), upload(2, 600)]), rule("more than 1000 key packages"));
    assert_eq!(batch(vec![upload(1, 1), upload(2, 1), upload(1, 1)]), rule("a user stands twice"));
    assert_eq!(batch(vec![]), rule("empty"));
    let split = UploadBatch::split(vec![upload(1, 400), upload(2, 600), upload(3, 1), upload(4, 1000)]);
    let counts: Vec<_> = split.iter().map(|batch| batch.uploads.len()).collect();
    assert_eq!(counts, [2, 1, 1]);
    assert!(split.into_iter().all(|UploadBatch { uploads }| batch(uploads).is_ok()));
}

#[test]
fn fanout_messages_are_one_to_1024() {
    let empty = DecodeError::Rule { field: "FanoutMessage", rule: "empty" };
    assert_eq!(FanoutMessages::decode(&[]), Err(empty.clone()));
    assert_eq!(FanoutMessages::new(Vec::new()), Err(empty));
    let one: FanoutMessage = Sample::sample(&mut Gen::new(1));
    assert!(FanoutMessages::new(vec![one.clone(); 1024]).is_ok());
    let many = one.encode().repeat(1025);
    let too_many = DecodeError::Rule { field: "FanoutMessage", rule: "too many elements" };
    assert_eq!(FanoutMessages::decode(&many), Err(too_many));
    refuses_too_much::<FanoutMessages>();
}
