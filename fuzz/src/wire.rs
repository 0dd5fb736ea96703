//! Every message in TLS presentation language. The first octet says which; what is decoded is encoded and decoded alike.

use std::fmt::Debug;

use mimi_credential::TrustStore;
use mimi_disclosure::Bundle;
use mimi_pseudonym::{Content, DisclosurePolicy, IdentityPolicy, TrustAnchors};
use mimi_wire::{local::*, *};

use samples::{Gen, Sample};

#[path = "../../crates/mimi-wire/tests/support/mod.rs"]
mod samples;

fn alike<T: Wire + PartialEq + Debug>(octets: &[u8]) -> bool {
    let Ok(value) = T::decode(octets) else { return false };
    let encoded = value.encode();
    assert_eq!(T::decode(&encoded).as_ref(), Ok(&value));
    true
}

fn sample<T: Wire + Sample>(seed: u64) -> Vec<u8> {
    T::sample(&mut Gen::new(seed)).encode()
}

type Kind = (fn(&[u8]) -> bool, Option<fn(u64) -> Vec<u8>>);

macro_rules! kinds {
    (sampled: $($sampled:ty),*; others: $($other:ty),*) => {
        &[$((alike::<$sampled>, Some(sample::<$sampled>)),)* $((alike::<$other>, None),)*]
    };
}

const KINDS: &[Kind] = kinds! {
    sampled:
        Credential, Extensions, Capabilities, RequiredCapabilities, AppDataDictionary, KeyPackageRef, ProposalRef,
        KeyPackage, Welcome, GroupInfo, RatchetTree, MlsMessage, ApplicationMessage, ProposalMessage, CommitMessage,
        KeyMaterialRequestTbs, UnverifiedKeyMaterialRequest, KeyMaterialResponse, RatchetTreeOption, PartialGroupInfo,
        GroupInfoOption, UpdateRequest, UpdateRoomResponse, Frank, SubmitMessageRequest, SubmitMessageResponse,
        FanoutMessage, GroupInfoRequestTbs, UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse, ExternalSender,
        HpkeCiphertext, PendingProposal, GroupInfoRatchetTreeTbe, ConsentScope, ConsentEntry, QueryElement,
        IdentifierRequest, UserProfile, IdentifierResponse, AbusiveMessage, AbuseReport, FrankAad, FrankingAgentData,
        ServerFrankingContext, FrankingIntegrityTbs, RegisterAccountRequest, AddDeviceRequest, RegisterResponse,
        ProviderInfo, PseudonymsRequest, PseudonymsResponse, CredentialsRequest, CredentialsResponse,
        DevicesResponse, DeviceClientsRequest, DeviceClientsResponse, RemoveDeviceRequest, AcquireRequest, AcquireResponse, UploadKeyPackages, UploadBatch, UploadResponse, ClaimOwnRequest, CreateRoomRequest, Accepted, HubKeyMaterialRequest,
        LocalIdentifierQuery, SetProfile, ConsentSettings, InboxEvent, InboxResponse, AckRequest;
    others:
        FanoutMessages, Content, Bundle, DisclosurePolicy, IdentityPolicy, TrustAnchors, TrustStore
};

pub fn run(data: &[u8]) -> bool {
    let Some((kind, octets)) = data.split_first() else { return false };
    // No more kinds than an octet has values.
    let (alike, _) = KINDS[usize::from(*kind) % KINDS.len()];
    alike(octets)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let with = |kind: usize, octets: Vec<u8>| {
        let mut seed = vec![u8::try_from(kind).expect("less than 256 kinds")];
        seed.extend(octets);
        seed
    };
    let mut seeds = Vec::new();
    for (kind, (_, sample)) in KINDS.iter().enumerate() {
        if let Some(sample) = sample {
            seeds.extend([1, 2].map(|number| with(kind, sample(number))));
        }
    }
    let first_other = KINDS.iter().position(|(_, sample)| sample.is_none()).unwrap_or_default();
    let world = &*crate::world::WORLD;
    let content = Content { media_type: "text/plain".to_owned(), body: b"hi".to_vec() };
    let bundle = Bundle::new(vec![content.clone()], Some(world.context.sender().clone()), vec![vec![1]], "hi");
    let anchors = world.trust.anchors_for(|_| true).expect("anchors");
    let others = [
        [sample::<FanoutMessage>(1), sample::<FanoutMessage>(2)].concat(),
        content.encode(),
        bundle.expect("a bundle").encode(),
        DisclosurePolicy::connection().encode(),
        IdentityPolicy::connection().encode(),
        anchors.encode(),
        world.trust.encode(),
    ];
    seeds.extend(others.into_iter().enumerate().map(|(at, octets)| with(first_other + at, octets)));
    seeds
}
