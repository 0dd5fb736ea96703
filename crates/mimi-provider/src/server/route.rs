use std::str::FromStr;

use http::Method;
use mimi_abuse::remedy::{UnverifiedRemedyRequest, UnverifiedRemovalRequest};
use mimi_pseudonym::{Domain, RoomUri, UserUri, Wire};
use mimi_wire::{
    AbuseReport, ConsentEntry, Endpoint, FanoutMessages, IdentifierRequest, MEDIA_TYPE, Problem, SubmitMessageRequest,
    UnverifiedCommitReport, UnverifiedGroupInfoRequest, UnverifiedKeyMaterialRequest, UpdateRequest,
    directory::{DIRECTORY_PATH, percent_decode},
    local::{
        self, AckRequest, AcquireRequest, AddDeviceRequest, AppealRequest, ClaimOwnRequest, ConsentSettings,
        CreateRoomRequest, CredentialsRequest, DetachRequest, DeviceClientsRequest, HubKeyMaterialRequest,
        JoinLinksRequest, LocalIdentifierQuery, PseudonymsRequest, RedeemRequest, RegisterAccountRequest,
        RemoveDeviceRequest, SetProfile, TokensRequest, UploadBatch, UploadKeyPackages,
    },
};

/// Where the endpoints for other providers are.
pub(super) const PEER_BASE: &str = "/mimi/v1";

/// The endpoints for other providers that there are.
pub(super) const ENDPOINTS: [Endpoint; 14] = [
    Endpoint::KeyMaterial,
    Endpoint::Update,
    Endpoint::Notify,
    Endpoint::SubmitMessage,
    Endpoint::RequestConsent,
    Endpoint::UpdateConsent,
    Endpoint::IdentifierQuery,
    Endpoint::ReportAbuse,
    Endpoint::RequestRemedy,
    Endpoint::RequestRemoval,
    Endpoint::GroupInfo,
    Endpoint::JoinLinks,
    Endpoint::ReportCommit,
    Endpoint::ProxyDownload,
];

/// POST with `/{roomId}`: what the operator wants done in a room.
pub(crate) const ADMIN_PATH: &str = "/admin/v1/rooms";

/// GET with `/{name}`: the page of a room.
const PAGE_PATH: &str = "/r";

/// The longest that an inbox is waited for.
const LONGEST_WAIT_MILLIS: u64 = 30_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Anybody may ask.
    Directory,
    /// Anybody may ask.
    Info,
    /// Anybody may ask, if registration is open.
    Register,
    /// Whoever has an enrolment code may ask.
    AddDevice,
    /// Anybody may ask.
    TokenKey,
    /// Anybody may ask.
    Openings { after: u64 },
    /// Whoever has a token may ask.
    Redeem,
    /// Anybody may look at the page of a room, which has this name.
    Page(String),
    /// The operator orders something to be done in a room.
    Admin(RoomUri),
    /// A provider asks.
    Peer(PeerRoute),
    /// A device asks.
    Device(DeviceRoute),
}

/// What another provider asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PeerRoute {
    KeyMaterial(UserUri),
    Update(RoomUri),
    Notify(RoomUri),
    SubmitMessage(RoomUri),
    GroupInfo(RoomUri),
    JoinLinks(RoomUri),
    ReportCommit(RoomUri),
    RequestConsent(UserUri),
    UpdateConsent(UserUri),
    IdentifierQuery(Domain),
    ReportAbuse(RoomUri),
    RequestRemedy(Domain),
    RequestRemoval(RoomUri),
    ProxyDownload(String),
}

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeviceRoute {
    Pseudonyms,
    Acquire,
    Devices,
    DeviceClients,
    RemoveDevice,
    Tokens,
    Detach,
    Credentials,
    KeyPackages,
    KeyPackageBatch,
    ClaimOwn,
    CreateRoom,
    DestroyRoom(RoomUri),
    KeyMaterial,
    Update(RoomUri),
    SubmitMessage(RoomUri),
    GroupInfo(RoomUri),
    JoinLinks(RoomUri),
    ReportCommit(RoomUri),
    IdentifierQuery,
    ReportAbuse(RoomUri),
    Standing,
    Appeal,
    Profile,
    Consent,
    ConsentSettings,
    Inbox { after: u64, wait_millis: u64 },
    Events { after: u64 },
    Ack,
    Download { hub: Domain, url: String },
}

impl Route {
    /// Finds what a path stands for.
    pub(super) fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Problem> {
        if path == DIRECTORY_PATH {
            return only(Method::GET, method, || Ok(Self::Directory));
        }
        if let Some(rest) = path.strip_prefix(PEER_BASE).and_then(|rest| rest.strip_prefix('/')) {
            let (name, value) = rest.split_once('/').ok_or(Problem::NotFound)?;
            let endpoint = ENDPOINTS.into_iter().find(|one| one.name() == name).ok_or(Problem::NotFound)?;
            let wanted = match endpoint.method() {
                mimi_wire::directory::Method::Get => Method::GET,
                mimi_wire::directory::Method::Post => Method::POST,
            };
            return only(wanted, method, || peer_route(endpoint, value).map(Self::Peer));
        }
        let post = |route| only(Method::POST, method, || Ok(route));
        let device = |route| post(Self::Device(route));
        match path {
            local::INFO_PATH => return only(Method::GET, method, || Ok(Self::Info)),
            local::REGISTER_PATH => return post(Self::Register),
            local::DEVICE_PATH => return post(Self::AddDevice),
            local::TOKEN_KEY_PATH => return only(Method::GET, method, || Ok(Self::TokenKey)),
            local::OPENINGS_PATH => return only(Method::GET, method, || after(query)),
            local::REDEEM_PATH => return post(Self::Redeem),
            local::TOKENS_PATH => return device(DeviceRoute::Tokens),
            local::DETACH_PATH => return device(DeviceRoute::Detach),
            local::PSEUDONYMS_PATH => return device(DeviceRoute::Pseudonyms),
            local::DEVICES_PATH => return only(Method::GET, method, || Ok(Self::Device(DeviceRoute::Devices))),
            local::DEVICE_CLIENTS_PATH => return device(DeviceRoute::DeviceClients),
            local::REMOVE_DEVICE_PATH => return device(DeviceRoute::RemoveDevice),
            local::ACQUIRE_PATH => return device(DeviceRoute::Acquire),
            local::CREDENTIALS_PATH => return device(DeviceRoute::Credentials),
            local::KEY_PACKAGES_PATH => return device(DeviceRoute::KeyPackages),
            local::KEY_PACKAGE_BATCH_PATH => return device(DeviceRoute::KeyPackageBatch),
            local::CLAIM_OWN_PATH => return device(DeviceRoute::ClaimOwn),
            local::ROOMS_PATH => return device(DeviceRoute::CreateRoom),
            local::KEY_MATERIAL_PATH => return device(DeviceRoute::KeyMaterial),
            local::IDENTIFIER_QUERY_PATH => return device(DeviceRoute::IdentifierQuery),
            local::INBOX_PATH => return only(Method::GET, method, || inbox(query).map(Self::Device)),
            local::EVENTS_PATH => return only(Method::GET, method, || events(query).map(Self::Device)),
            local::CONSENT_PATH => return device(DeviceRoute::Consent),
            local::CONSENT_SETTINGS_PATH => return device(DeviceRoute::ConsentSettings),
            local::PROFILE_PATH => return device(DeviceRoute::Profile),
            local::APPEAL_PATH if *method == Method::GET => return Ok(Self::Device(DeviceRoute::Standing)),
            local::APPEAL_PATH => return device(DeviceRoute::Appeal),
            local::ACK_PATH => return device(DeviceRoute::Ack),
            _ => {}
        }
        let (path, value) = path.rsplit_once('/').ok_or(Problem::NotFound)?;
        match path {
            local::ROOMS_PATH => {
                only(Method::DELETE, method, || variable(value).map(DeviceRoute::DestroyRoom).map(Self::Device))
            }
            local::UPDATE_PATH => {
                only(Method::POST, method, || variable(value).map(DeviceRoute::Update).map(Self::Device))
            }
            local::SUBMIT_MESSAGE_PATH => {
                only(Method::POST, method, || variable(value).map(DeviceRoute::SubmitMessage).map(Self::Device))
            }
            local::REPORT_ABUSE_PATH => {
                only(Method::POST, method, || variable(value).map(DeviceRoute::ReportAbuse).map(Self::Device))
            }
            local::GROUP_INFO_PATH => {
                only(Method::POST, method, || variable(value).map(DeviceRoute::GroupInfo).map(Self::Device))
            }
            local::REPORT_COMMIT_PATH => {
                only(Method::POST, method, || variable(value).map(DeviceRoute::ReportCommit).map(Self::Device))
            }
            ADMIN_PATH => only(Method::POST, method, || variable(value).map(Self::Admin)),
            PAGE_PATH => only(Method::GET, method, || name(value).map(Self::Page)),
            local::JOIN_LINKS_PATH => {
                only(Method::POST, method, || variable(value).map(DeviceRoute::JoinLinks).map(Self::Device))
            }
            local::DOWNLOAD_PATH => only(Method::GET, method, || download(value, query).map(Self::Device)),
            _ => Err(Problem::NotFound),
        }
    }

    /// A name for the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Info => "info",
            Self::Register => "register",
            Self::AddDevice => "device",
            Self::TokenKey => "tokenKey",
            Self::Openings { .. } => "openings",
            Self::Redeem => "redeem",
            Self::Page(_) => "page",
            Self::Admin(_) => "admin",
            Self::Peer(route) => match route {
                PeerRoute::KeyMaterial(_) => "keyMaterial",
                PeerRoute::Update(_) => "update",
                PeerRoute::Notify(_) => "notify",
                PeerRoute::SubmitMessage(_) => "submitMessage",
                PeerRoute::GroupInfo(_) => "groupInfo",
                PeerRoute::JoinLinks(_) => "joinLinks",
                PeerRoute::ReportCommit(_) => "reportCommit",
                PeerRoute::RequestConsent(_) => "requestConsent",
                PeerRoute::UpdateConsent(_) => "updateConsent",
                PeerRoute::IdentifierQuery(_) => "identifierQuery",
                PeerRoute::ReportAbuse(_) => "reportAbuse",
                PeerRoute::RequestRemedy(_) => "requestRemedy",
                PeerRoute::RequestRemoval(_) => "requestRemoval",
                PeerRoute::ProxyDownload(_) => "proxyDownload",
            },
            Self::Device(route) => match route {
                DeviceRoute::Pseudonyms => "client.pseudonyms",
                DeviceRoute::Acquire => "client.acquire",
                DeviceRoute::Devices => "client.devices",
                DeviceRoute::DeviceClients => "client.deviceClients",
                DeviceRoute::RemoveDevice => "client.removeDevice",
                DeviceRoute::Tokens => "client.tokens",
                DeviceRoute::Detach => "client.detachedPseudonym",
                DeviceRoute::Credentials => "client.credentials",
                DeviceRoute::KeyPackages => "client.keyPackages",
                DeviceRoute::KeyPackageBatch => "client.keyPackageBatch",
                DeviceRoute::ClaimOwn => "client.claimOwn",
                DeviceRoute::CreateRoom => "client.createRoom",
                DeviceRoute::DestroyRoom(_) => "client.destroyRoom",
                DeviceRoute::KeyMaterial => "client.keyMaterial",
                DeviceRoute::Update(_) => "client.update",
                DeviceRoute::SubmitMessage(_) => "client.submitMessage",
                DeviceRoute::GroupInfo(_) => "client.groupInfo",
                DeviceRoute::JoinLinks(_) => "client.joinLinks",
                DeviceRoute::ReportCommit(_) => "client.reportCommit",
                DeviceRoute::IdentifierQuery => "client.identifierQuery",
                DeviceRoute::ReportAbuse(_) => "client.reportAbuse",
                DeviceRoute::Standing => "client.standing",
                DeviceRoute::Appeal => "client.appeal",
                DeviceRoute::Profile => "client.profile",
                DeviceRoute::Consent => "client.consent",
                DeviceRoute::ConsentSettings => "client.consentSettings",
                DeviceRoute::Inbox { .. } => "client.inbox",
                DeviceRoute::Events { .. } => "client.events",
                DeviceRoute::Ack => "client.ack",
                DeviceRoute::Download { .. } => "client.download",
            },
        }
    }

    /// Whether it may take long because nothing happens: whoever asks waits for news.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Device(DeviceRoute::Inbox { .. }))
    }

    /// Whether a device is refused this while something was decided about its account. What reads, acknowledges and reports
    /// is not; what is sent has a moment of its own (docs/profile-remedy.md), and so have changes of rooms, once they have been
    /// read.
    pub(super) fn is_closed_to_the_suspended(&self) -> bool {
        let Self::Device(route) = self else { return false };
        // Each by its name: a new one is to be thought about.
        match route {
            DeviceRoute::Pseudonyms
            | DeviceRoute::Acquire
            | DeviceRoute::Detach
            | DeviceRoute::Tokens
            | DeviceRoute::Credentials
            | DeviceRoute::KeyPackages
            | DeviceRoute::KeyPackageBatch
            | DeviceRoute::ClaimOwn
            | DeviceRoute::CreateRoom
            | DeviceRoute::KeyMaterial
            | DeviceRoute::GroupInfo(_)
            | DeviceRoute::JoinLinks(_)
            | DeviceRoute::Consent => true,
            DeviceRoute::DestroyRoom(_)
            | DeviceRoute::Update(_)
            | DeviceRoute::SubmitMessage(_)
            | DeviceRoute::ReportCommit(_)
            | DeviceRoute::IdentifierQuery
            | DeviceRoute::ReportAbuse(_)
            | DeviceRoute::Standing
            | DeviceRoute::Appeal
            | DeviceRoute::Profile
            | DeviceRoute::ConsentSettings
            | DeviceRoute::Inbox { .. }
            | DeviceRoute::Events { .. }
            | DeviceRoute::Ack
            | DeviceRoute::Download { .. }
            // A device that was lost is taken out whatever the account has done.
            | DeviceRoute::Devices
            | DeviceRoute::DeviceClients
            | DeviceRoute::RemoveDevice => false,
        }
    }

    /// The media type of its body.
    pub(super) fn media_type(&self) -> &'static str {
        if matches!(self, Self::Admin(_)) { "application/json" } else { MEDIA_TYPE }
    }

    /// The most octets its body may have; `None` if it has none.
    pub(super) fn body_limit(&self) -> Option<usize> {
        match self {
            Self::Directory | Self::Info | Self::TokenKey | Self::Openings { .. } | Self::Page(_) => None,
            Self::Admin(_) => Some(1 << 12),
            Self::Register => Some(RegisterAccountRequest::MAX_LEN),
            Self::AddDevice => Some(AddDeviceRequest::MAX_LEN),
            Self::Redeem => Some(RedeemRequest::MAX_LEN),
            Self::Peer(route) => Some(match route {
                PeerRoute::ProxyDownload(_) => return None,
                PeerRoute::KeyMaterial(_) => UnverifiedKeyMaterialRequest::MAX_LEN,
                PeerRoute::Update(_) => UpdateRequest::MAX_LEN,
                PeerRoute::Notify(_) => FanoutMessages::MAX_LEN,
                PeerRoute::SubmitMessage(_) => SubmitMessageRequest::MAX_LEN,
                PeerRoute::GroupInfo(_) => UnverifiedGroupInfoRequest::MAX_LEN,
                PeerRoute::JoinLinks(_) => JoinLinksRequest::MAX_LEN,
                PeerRoute::ReportCommit(_) => UnverifiedCommitReport::MAX_LEN,
                PeerRoute::RequestConsent(_) | PeerRoute::UpdateConsent(_) => ConsentEntry::MAX_LEN,
                PeerRoute::IdentifierQuery(_) => IdentifierRequest::MAX_LEN,
                PeerRoute::ReportAbuse(_) => AbuseReport::MAX_LEN,
                PeerRoute::RequestRemedy(_) => UnverifiedRemedyRequest::MAX_LEN,
                PeerRoute::RequestRemoval(_) => UnverifiedRemovalRequest::MAX_LEN,
            }),
            Self::Device(route) => match route {
                DeviceRoute::DestroyRoom(_)
                | DeviceRoute::Standing
                | DeviceRoute::Devices
                | DeviceRoute::Inbox { .. }
                | DeviceRoute::Events { .. }
                | DeviceRoute::Download { .. } => None,
                DeviceRoute::Pseudonyms => Some(PseudonymsRequest::MAX_LEN),
                DeviceRoute::Acquire => Some(AcquireRequest::MAX_LEN),
                DeviceRoute::DeviceClients => Some(DeviceClientsRequest::MAX_LEN),
                DeviceRoute::RemoveDevice => Some(RemoveDeviceRequest::MAX_LEN),
                DeviceRoute::Tokens => Some(TokensRequest::MAX_LEN),
                DeviceRoute::Detach => Some(DetachRequest::MAX_LEN),
                DeviceRoute::Credentials => Some(CredentialsRequest::MAX_LEN),
                DeviceRoute::KeyPackages => Some(UploadKeyPackages::MAX_LEN),
                DeviceRoute::KeyPackageBatch => Some(UploadBatch::MAX_LEN),
                DeviceRoute::ClaimOwn => Some(ClaimOwnRequest::MAX_LEN),
                DeviceRoute::CreateRoom => Some(CreateRoomRequest::MAX_LEN),
                DeviceRoute::KeyMaterial => Some(HubKeyMaterialRequest::MAX_LEN),
                DeviceRoute::Update(_) => Some(UpdateRequest::MAX_LEN),
                DeviceRoute::SubmitMessage(_) => Some(SubmitMessageRequest::MAX_LEN),
                DeviceRoute::GroupInfo(_) => Some(UnverifiedGroupInfoRequest::MAX_LEN),
                DeviceRoute::JoinLinks(_) => Some(JoinLinksRequest::MAX_LEN),
                DeviceRoute::ReportCommit(_) => Some(UnverifiedCommitReport::MAX_LEN),
                DeviceRoute::IdentifierQuery => Some(LocalIdentifierQuery::MAX_LEN),
                DeviceRoute::ReportAbuse(_) => Some(AbuseReport::MAX_LEN),
                DeviceRoute::Appeal => Some(AppealRequest::MAX_LEN),
                DeviceRoute::Profile => Some(SetProfile::MAX_LEN),
                DeviceRoute::Consent => Some(ConsentEntry::MAX_LEN),
                DeviceRoute::ConsentSettings => Some(ConsentSettings::MAX_LEN),
                DeviceRoute::Ack => Some(AckRequest::MAX_LEN),
            },
        }
    }
}

fn only(wanted: Method, method: &Method, route: impl FnOnce() -> Result<Route, Problem>) -> Result<Route, Problem> {
    if *method == wanted { route() } else { Err(Problem::MethodNotAllowed) }
}

fn peer_route(endpoint: Endpoint, value: &str) -> Result<PeerRoute, Problem> {
    match endpoint {
        Endpoint::KeyMaterial => variable(value).map(PeerRoute::KeyMaterial),
        Endpoint::Update => variable(value).map(PeerRoute::Update),
        Endpoint::Notify => variable(value).map(PeerRoute::Notify),
        Endpoint::SubmitMessage => variable(value).map(PeerRoute::SubmitMessage),
        Endpoint::GroupInfo => variable(value).map(PeerRoute::GroupInfo),
        Endpoint::JoinLinks => variable(value).map(PeerRoute::JoinLinks),
        Endpoint::ReportCommit => variable(value).map(PeerRoute::ReportCommit),
        Endpoint::RequestConsent => variable(value).map(PeerRoute::RequestConsent),
        Endpoint::UpdateConsent => variable(value).map(PeerRoute::UpdateConsent),
        Endpoint::IdentifierQuery => variable(value).map(PeerRoute::IdentifierQuery),
        Endpoint::ReportAbuse => variable(value).map(PeerRoute::ReportAbuse),
        Endpoint::RequestRemedy => variable(value).map(PeerRoute::RequestRemedy),
        Endpoint::RequestRemoval => variable(value).map(PeerRoute::RequestRemoval),
        Endpoint::ProxyDownload => variable(value).map(PeerRoute::ProxyDownload),
        _ => Err(Problem::NotFound),
    }
}

/// The name of a room in the path of its page.
fn name(value: &str) -> Result<String, Problem> {
    percent_decode(value).filter(|name| !name.is_empty()).ok_or(Problem::NotFound)
}

fn variable<T: FromStr>(value: &str) -> Result<T, Problem> {
    percent_decode(value).and_then(|value| value.parse().ok()).ok_or(Problem::Malformed)
}

fn after(query: Option<&str>) -> Result<Route, Problem> {
    let Some(query) = query else { return Ok(Route::Openings { after: 0 }) };
    let value = query.strip_prefix("after=").ok_or(Problem::Malformed)?;
    value.parse().map(|after| Route::Openings { after }).map_err(|_| Problem::Malformed)
}

fn download(value: &str, query: Option<&str>) -> Result<DeviceRoute, Problem> {
    let hub = query.and_then(|query| query.strip_prefix("hub=")).ok_or(Problem::Malformed)?;
    Ok(DeviceRoute::Download { hub: variable(hub)?, url: variable(value)? })
}

fn inbox(query: Option<&str>) -> Result<DeviceRoute, Problem> {
    let (mut after, mut wait_millis) = (0, 0);
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(Problem::Malformed)?;
        let value: u64 = value.parse().map_err(|_| Problem::Malformed)?;
        match name {
            "after" => after = value,
            "wait" => wait_millis = value.min(LONGEST_WAIT_MILLIS),
            _ => return Err(Problem::Malformed),
        }
    }
    Ok(DeviceRoute::Inbox { after, wait_millis })
}

fn events(query: Option<&str>) -> Result<DeviceRoute, Problem> {
    match inbox(query)? {
        DeviceRoute::Inbox { after, wait_millis: 0 } => Ok(DeviceRoute::Events { after }),
        _ => Err(Problem::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, path: &str) -> Result<Route, Problem> {
        Route::parse(&method, path, None)
    }

    #[test]
    fn a_file_is_asked_for_by_its_url_and_the_hub() {
        let url = "https://media.b.example/1?x=/y".to_owned();
        let escaped = "https%3A%2F%2Fmedia.b.example%2F1%3Fx%3D%2Fy";
        let asked = parse(Method::GET, &format!("/mimi/v1/proxyDownload/{escaped}"));
        assert_eq!(asked, Ok(Route::Peer(PeerRoute::ProxyDownload(url.clone()))));
        let path = format!("{}/{escaped}", local::DOWNLOAD_PATH);
        let asked = |query| Route::parse(&Method::GET, &path, query);
        let hub = "a.example".parse().unwrap();
        assert_eq!(asked(Some("hub=a.example")), Ok(Route::Device(DeviceRoute::Download { hub, url })));
        for wrong in [None, Some(""), Some("hub="), Some("hub=a..example"), Some("at=a.example")] {
            assert_eq!(asked(wrong), Err(Problem::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn paths_lead_where_they_should() {
        let room: RoomUri = "mimi://a.example/r/club".parse().unwrap();
        let club = "mimi%3A%2F%2Fa.example%2Fr%2Fclub";
        assert_eq!(
            parse(Method::POST, &format!("/mimi/v1/update/{club}")),
            Ok(Route::Peer(PeerRoute::Update(room.clone())))
        );
        assert_eq!(
            parse(Method::DELETE, &format!("/client/v1/rooms/{club}")),
            Ok(Route::Device(DeviceRoute::DestroyRoom(room)))
        );
        assert_eq!(parse(Method::GET, DIRECTORY_PATH), Ok(Route::Directory));
        assert_eq!(
            Route::parse(&Method::GET, local::INBOX_PATH, Some("after=7&wait=99999")),
            Ok(Route::Device(DeviceRoute::Inbox { after: 7, wait_millis: LONGEST_WAIT_MILLIS }))
        );
        assert_eq!(
            Route::parse(&Method::GET, local::EVENTS_PATH, Some("after=7")),
            Ok(Route::Device(DeviceRoute::Events { after: 7 }))
        );
    }

    #[test]
    fn other_paths_methods_and_variables_are_refused() {
        for path in ["/", "", "/mimi/v1/", "/mimi/v1/nothing/x", "/client/v1/nothing", "/x/y"] {
            assert_eq!(parse(Method::POST, path), Err(Problem::NotFound), "{path}");
        }
        assert_eq!(parse(Method::GET, "/mimi/v1/update/x"), Err(Problem::MethodNotAllowed));
        assert_eq!(parse(Method::POST, DIRECTORY_PATH), Err(Problem::MethodNotAllowed));
        assert_eq!(parse(Method::GET, local::ACK_PATH), Err(Problem::MethodNotAllowed));
        for value in ["x", "mimi%3A", "%zz", "mimi%3A%2F%2Fa.example%2Fu%2Falice", ""] {
            assert_eq!(parse(Method::POST, &format!("/mimi/v1/update/{value}")), Err(Problem::Malformed), "{value}");
        }
        for query in ["after=x", "after", "before=1", "after=-1"] {
            let route = Route::parse(&Method::GET, local::INBOX_PATH, Some(query));
            assert_eq!(route, Err(Problem::Malformed), "{query}");
        }
        let route = Route::parse(&Method::GET, local::EVENTS_PATH, Some("after=1&wait=2"));
        assert_eq!(route, Err(Problem::Malformed), "a stream has no end");
    }
}
