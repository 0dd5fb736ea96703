#![doc = include_str!("../README.md")]

mod abuse;
mod codec;
mod consent;
pub mod directory;
mod franking;
mod group_info;
mod identifier;
mod key_material;
pub mod label;
pub mod local;
pub mod mls;
mod notify;
mod problem;
mod recovery;
mod submit;
mod update;

pub use abuse::{AbuseReport, AbusiveMessage, REPORTER_TAG_COMPONENT, ReporterTag};
pub use consent::{ConsentEntry, ConsentOperation, ConsentScope};
pub use directory::{Directory, DirectoryError, Endpoint, Method};
pub use franking::{
    FRANK_AAD_COMPONENT, FRANKING_AGENT_COMPONENT, FRANKING_INTEGRITY_LABEL, FrankAad, FrankingAgentData,
    FrankingIntegrityTbs, ServerFrankingContext,
};
pub use group_info::{
    ExternalSender, GROUP_INFO_ENCRYPTION_LABEL, GroupInfoRatchetTreeTbe, GroupInfoRequest, GroupInfoRequestTbs,
    GroupInfoResponse, GroupInfoResponseTbs, HpkeCiphertext, PendingProposal, UnverifiedGroupInfoRequest,
    UnverifiedGroupInfoResponse,
};
pub use identifier::{
    FieldSource, IdentifierQueryCode, IdentifierRequest, IdentifierResponse, ProfileField, QueryElement, SearchField,
    UserProfile,
};
pub use key_material::{
    ClientKeyMaterial, ClientMaterial, ClientsError, KeyMaterialRequest, KeyMaterialRequestTbs, KeyMaterialResponse,
    KeyMaterialUserCode, UnverifiedKeyMaterialRequest,
};
pub use label::{RequestSignError, RequestVerifyError};
pub use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
pub use mls::{
    AppDataDictionary, ApplicationMessage, Capabilities, CommitMessage, ContentType, Credential, Extensions, GroupInfo,
    KeyPackage, KeyPackageRef, MlsMessage, ProposalMessage, ProposalRef, Proposed, RatchetTree, RequiredCapabilities,
    SAFE_AAD_COMPONENT, SafeAad, SenderType, Welcome, WireFormat, WrongKind,
};
pub use notify::{FanoutEvent, FanoutMessage, FanoutMessages};
pub use problem::{Problem, ProblemDocument, ProblemError};
pub use recovery::{CommitReportTbs, ReportReason, RollbackTbs, UnverifiedCommitReport, UnverifiedRollback};
pub use submit::{Frank, SubmitMessageRequest, SubmitMessageResponse};
pub use update::{
    GroupInfoOption, PartialGroupInfo, RatchetTreeOption, RatchetTreePresence, UpdateOutcome, UpdateRequest,
    UpdateRoomResponse,
};

/// Media type of every body in TLS presentation language. The draft names none.
pub const MEDIA_TYPE: &str = "application/mimi-protocol";

/// Media type of a problem document (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
