//! Messages between a client and its own provider. The draft leaves these to each provider; the ones here are this
//! project's own, in the same encoding.

mod account;
mod acquire;
mod appeal;
mod credentials;
mod devices;
mod inbox;
mod links;
mod profile;
mod rooms;
mod secret;
mod ties;

pub use account::{
    AddDeviceRequest, HubFrankingAgent, HubSender, ProviderInfo, PseudonymsRequest, PseudonymsResponse,
    RegisterAccountRequest, RegisterResponse,
};
pub use acquire::{
    AcquireRequest, AcquireResponse, IssuedPseudonym, NewPseudonym, NewPseudonymTbs, UnverifiedNewPseudonym,
};
pub use appeal::{AppealRequest, AppealState, CheckpointsResponse, OpeningsResponse, Standing, StandingRemedy};
pub use credentials::{
    CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse, IssuedCredential, IssuedDisclosure,
    UnverifiedCredentialItem, claim_code, claim_from_code,
};
pub use devices::{
    DeviceClient, DeviceClientsRequest, DeviceClientsResponse, DeviceEntry, DevicesResponse, RemoveDeviceRequest,
};
pub use inbox::{AckRequest, EventFrames, InboxBody, InboxEvent, InboxResponse, event_frame};
pub use links::{JoinLinkEntry, JoinLinkOperation, JoinLinksRequest, JoinLinksResponse};
pub use profile::{ConsentSettings, ProfileEntry, SetProfile, Visibility};
pub use rooms::{
    Accepted, ClaimOwnRequest, CreateRoomRequest, HubKeyMaterialRequest, LocalIdentifierQuery, UploadBatch,
    UploadKeyPackages, UploadResponse,
};
pub use secret::{DeviceToken, EnrolmentCode};
pub use ties::{DetachRequest, DetachResponse, RedeemRequest, TokenKey, TokensRequest, TokensResponse};

/// POST [`RegisterAccountRequest`] -> [`RegisterResponse`].
pub const REGISTER_PATH: &str = "/client/v1/register";
/// POST [`AddDeviceRequest`] -> [`RegisterResponse`].
pub const DEVICE_PATH: &str = "/client/v1/device";
/// GET -> [`DevicesResponse`].
pub const DEVICES_PATH: &str = "/client/v1/devices";
/// POST [`DeviceClientsRequest`] -> [`DeviceClientsResponse`].
pub const DEVICE_CLIENTS_PATH: &str = "/client/v1/deviceClients";
/// POST [`RemoveDeviceRequest`], without an answer.
pub const REMOVE_DEVICE_PATH: &str = "/client/v1/removeDevice";
/// GET -> [`ProviderInfo`].
pub const INFO_PATH: &str = "/client/v1/info";
/// POST [`PseudonymsRequest`] -> [`PseudonymsResponse`].
pub const PSEUDONYMS_PATH: &str = "/client/v1/pseudonyms";
/// POST [`AcquireRequest`] -> [`AcquireResponse`].
pub const ACQUIRE_PATH: &str = "/client/v1/acquire";
/// GET -> [`TokenKey`].
pub const TOKEN_KEY_PATH: &str = "/client/v1/tokenKey";
/// POST [`TokensRequest`] -> [`TokensResponse`].
pub const TOKENS_PATH: &str = "/client/v1/tokens";
/// POST [`RedeemRequest`] -> [`RegisterResponse`].
pub const REDEEM_PATH: &str = "/client/v1/redeem";
/// POST [`DetachRequest`] -> [`DetachResponse`].
pub const DETACH_PATH: &str = "/client/v1/detachedPseudonym";
/// POST [`CredentialsRequest`] -> [`CredentialsResponse`].
pub const CREDENTIALS_PATH: &str = "/client/v1/credentials";
/// POST [`UploadKeyPackages`] -> [`UploadResponse`].
pub const KEY_PACKAGES_PATH: &str = "/client/v1/keyPackages";
/// POST [`UploadBatch`] -> [`UploadResponse`].
pub const KEY_PACKAGE_BATCH_PATH: &str = "/client/v1/keyPackageBatch";
/// POST [`ClaimOwnRequest`] -> [`crate::KeyMaterialResponse`].
pub const CLAIM_OWN_PATH: &str = "/client/v1/claimOwn";
/// POST [`CreateRoomRequest`] -> [`Accepted`]; DELETE with `/{roomId}` destroys a room.
pub const ROOMS_PATH: &str = "/client/v1/rooms";
/// POST [`HubKeyMaterialRequest`] -> [`crate::KeyMaterialResponse`].
pub const KEY_MATERIAL_PATH: &str = "/client/v1/keyMaterial";
/// POST with `/{roomId}` [`crate::UpdateRequest`] -> [`crate::UpdateRoomResponse`].
pub const UPDATE_PATH: &str = "/client/v1/update";
/// POST with `/{roomId}` [`crate::SubmitMessageRequest`] -> [`crate::SubmitMessageResponse`].
pub const SUBMIT_MESSAGE_PATH: &str = "/client/v1/submitMessage";
/// POST with `/{roomId}` [`crate::AbuseReport`], without an answer.
pub const REPORT_ABUSE_PATH: &str = "/client/v1/reportAbuse";
/// POST with `/{roomId}` [`crate::GroupInfoRequest`] -> [`crate::GroupInfoResponse`].
pub const GROUP_INFO_PATH: &str = "/client/v1/groupInfo";
/// POST with `/{roomId}` [`JoinLinksRequest`] -> [`JoinLinksResponse`].
pub const JOIN_LINKS_PATH: &str = "/client/v1/joinLinks";
/// POST with `/{roomId}` [`crate::UnverifiedCommitReport`], without an answer.
pub const REPORT_COMMIT_PATH: &str = "/client/v1/reportCommit";
/// GET -> [`Standing`]; POST [`AppealRequest`] -> [`Standing`].
pub const APPEAL_PATH: &str = "/client/v1/appeal";
/// GET with `?after=N` -> [`OpeningsResponse`].
pub const OPENINGS_PATH: &str = "/client/v1/openings";
/// GET -> [`CheckpointsResponse`].
pub const CHECKPOINTS_PATH: &str = "/client/v1/checkpoints";
/// GET with `/{downloadUrl}?hub={domain}`, both percent-encoded: what is at the URL, by way of the hub.
pub const DOWNLOAD_PATH: &str = "/client/v1/download";
/// POST [`LocalIdentifierQuery`] -> [`crate::IdentifierResponse`].
pub const IDENTIFIER_QUERY_PATH: &str = "/client/v1/identifierQuery";
/// POST [`SetProfile`], without an answer.
pub const PROFILE_PATH: &str = "/client/v1/profile";
/// POST [`crate::ConsentEntry`], without an answer: the client's user asks, or takes that back, as the requester; grants or
/// revokes as the target.
pub const CONSENT_PATH: &str = "/client/v1/consent";
/// POST [`ConsentSettings`], without an answer.
pub const CONSENT_SETTINGS_PATH: &str = "/client/v1/consentSettings";
/// GET with `?after=N` -> events behind number N and all that come, without an end: each in a frame as [`EventFrames`] reads
/// it, with the media type [`EVENTS_MEDIA_TYPE`]. A device has one such stream; a new one ends the one before.
pub const EVENTS_PATH: &str = "/client/v1/events";
/// The media type of a stream of events.
pub const EVENTS_MEDIA_TYPE: &str = "application/mimi-events";
/// For clients without streams: GET with `?after=N&wait=MS` -> [`InboxResponse`]: events behind sequence number N, waiting at most MS milliseconds
/// for one.
pub const INBOX_PATH: &str = "/client/v1/inbox";
/// POST [`AckRequest`], without an answer.
pub const ACK_PATH: &str = "/client/v1/ack";
