//! What a request is, told from its method and path, and what its bodies carry.

use mimi_wire::{
    Endpoint, FanoutEvent, FanoutMessage, FanoutMessages, IdentifierQueryCode, IdentifierResponse, KeyMaterialResponse,
    KeyMaterialUserCode, MlsMessage, SubmitMessageRequest, SubmitMessageResponse, UpdateOutcome, UpdateRequest,
    UpdateRoomResponse, Wire,
    directory::DIRECTORY_PATH,
    local::{self, HubKeyMaterialRequest, InboxBody, InboxResponse, LocalIdentifierQuery},
};

/// What is asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// By anyone: where the endpoints are.
    Directory,
    /// By another provider.
    Peer(Endpoint),
    /// By a client: to open an account.
    Register,
    /// By a client: to add a device.
    AddDevice,
    /// By a client: the provider's keys.
    Info,
    /// By a client: pseudonyms, alone or with their credentials.
    Pseudonyms,
    /// By a client: credentials.
    Credentials,
    /// By a client: to store key packages.
    KeyPackages,
    /// By a client: key packages of its user's other clients.
    ClaimOwn,
    /// By a client: a new room.
    CreateRoom,
    /// By a client: the end of a room.
    DestroyRoom,
    /// By a client: key packages of another user.
    KeyMaterial,
    /// By a client: a commit or proposals.
    Update,
    /// By a client: a message.
    SubmitMessage,
    /// By a client: what an external join needs.
    GroupInfo,
    /// By a client: a link into a room.
    JoinLinks,
    /// By a client: that a commit does not hold.
    Complaints,
    /// By nobody: what goes from one to another past all providers.
    HandOver,
    /// By a client: to find a user.
    IdentifierQuery,
    /// By a client: what there is for it.
    Inbox,
    /// By a client: that it has something.
    Ack,
    /// Nothing that is known here.
    Unknown,
}

/// Paths of [`local`], without what follows them.
const LOCAL: [(&str, Call); 21] = [
    (local::REGISTER_PATH, Call::Register),
    (local::DEVICE_PATH, Call::AddDevice),
    (local::INFO_PATH, Call::Info),
    (local::PSEUDONYMS_PATH, Call::Pseudonyms),
    (local::ACQUIRE_PATH, Call::Pseudonyms),
    (local::CREDENTIALS_PATH, Call::Credentials),
    (local::KEY_PACKAGES_PATH, Call::KeyPackages),
    (local::KEY_PACKAGE_BATCH_PATH, Call::KeyPackages),
    (local::CLAIM_OWN_PATH, Call::ClaimOwn),
    (local::ROOMS_PATH, Call::CreateRoom),
    (local::KEY_MATERIAL_PATH, Call::KeyMaterial),
    (local::UPDATE_PATH, Call::Update),
    (local::SUBMIT_MESSAGE_PATH, Call::SubmitMessage),
    (local::GROUP_INFO_PATH, Call::GroupInfo),
    (local::JOIN_LINKS_PATH, Call::JoinLinks),
    (local::REPORT_COMMIT_PATH, Call::Complaints),
    (local::IDENTIFIER_QUERY_PATH, Call::IdentifierQuery),
    (local::INBOX_PATH, Call::Inbox),
    (local::EVENTS_PATH, Call::Inbox),
    (local::ACK_PATH, Call::Ack),
    (DIRECTORY_PATH, Call::Directory),
];

/// A kind of thing that is passed on from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The way in for new members, with the tree.
    Welcome,
    /// A change of the group.
    Commit,
    /// A proposal to change it.
    Proposal,
    /// An application message.
    Message,
    /// A question that a client's provider passes on.
    Question,
    /// The news that the hub has gone back to an earlier epoch.
    RolledBack,
    /// Who of a provider's users gets messages.
    Audience,
    /// The news that a room is gone.
    RoomDestroyed,
    /// Pseudonyms for the other devices of an account.
    Pseudonyms,
}

/// One thing that is passed on. Equal octets are the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Load {
    /// What it is.
    pub kind: Kind,
    /// Its octets, the same wherever it is on its way.
    pub octets: Vec<u8>,
}

impl Load {
    fn new(kind: Kind, octets: &[u8]) -> Self {
        Self { kind, octets: octets.to_vec() }
    }
}

impl Call {
    /// Tells what a request is.
    pub fn of(method: &str, path: &str) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let behind = |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match LOCAL.iter().find(|(base, _)| behind(base)) {
            Some((_, Self::CreateRoom)) if method == "DELETE" => Self::DestroyRoom,
            Some((_, call)) => *call,
            // Another provider chooses its paths itself; those of this project have the endpoint's name as a part.
            None => {
                let named = |endpoint: &Endpoint| path.split('/').any(|part| part == endpoint.name());
                Endpoint::ALL.into_iter().find(named).map_or(Self::Unknown, Self::Peer)
            }
        }
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::Peer(endpoint) => endpoint.name(),
            Self::Register => "client register",
            Self::AddDevice => "client device",
            Self::Info => "client info",
            Self::Pseudonyms => "client pseudonyms",
            Self::Credentials => "client credentials",
            Self::KeyPackages => "client keyPackages",
            Self::ClaimOwn => "client claimOwn",
            Self::CreateRoom => "client rooms",
            Self::DestroyRoom => "client rooms (delete)",
            Self::KeyMaterial => "client keyMaterial",
            Self::Update => "client update",
            Self::SubmitMessage => "client submitMessage",
            Self::GroupInfo => "client groupInfo",
            Self::JoinLinks => "client joinLinks",
            Self::Complaints => "client complaints",
            Self::HandOver => "handed over",
            Self::IdentifierQuery => "client identifierQuery",
            Self::Inbox => "client inbox",
            Self::Ack => "client ack",
            Self::Unknown => "unknown",
        }
    }

    /// What a request passes on. Empty for what is not passed on, and for what cannot be decoded.
    pub fn loads(self, request: &[u8]) -> Vec<Load> {
        let question = |octets: &[u8]| vec![Load::new(Kind::Question, octets)];
        match self {
            Self::Update | Self::Peer(Endpoint::Update) => match UpdateRequest::decode(request) {
                Ok(UpdateRequest::Commit { commit, welcome, .. }) => {
                    let welcome = welcome.map(|welcome| Load::new(Kind::Welcome, welcome.as_bytes()));
                    welcome.into_iter().chain([Load::new(Kind::Commit, commit.message().as_bytes())]).collect()
                }
                Ok(UpdateRequest::Proposal { proposal, .. }) => {
                    vec![Load::new(Kind::Proposal, proposal.message().as_bytes())]
                }
                Err(_) => Vec::new(),
            },
            Self::SubmitMessage | Self::Peer(Endpoint::SubmitMessage) => SubmitMessageRequest::decode(request)
                .map(|submitted| vec![message(submitted.message.message())])
                .unwrap_or_default(),
            Self::Peer(Endpoint::Notify) => FanoutMessages::decode(request)
                .map(|messages| messages.as_slice().iter().map(fanned_out).collect())
                .unwrap_or_default(),
            Self::KeyMaterial => HubKeyMaterialRequest::decode(request)
                .map(|local| question(&local.request.encode()))
                .unwrap_or_default(),
            Self::IdentifierQuery => {
                LocalIdentifierQuery::decode(request).map(|local| question(&local.request.encode())).unwrap_or_default()
            }
            Self::GroupInfo | Self::Peer(Endpoint::KeyMaterial | Endpoint::IdentifierQuery | Endpoint::GroupInfo) => {
                question(request)
            }
            _ => Vec::new(),
        }
    }

    /// Whether the answer says that what was asked was done.
    pub fn accepted(self, status: u16, response: &[u8]) -> bool {
        if !(200..300).contains(&status) {
            return false;
        }
        match self {
            Self::Update | Self::Peer(Endpoint::Update) => UpdateRoomResponse::decode(response)
                .is_ok_and(|update| matches!(update.outcome, UpdateOutcome::Accepted { .. })),
            Self::SubmitMessage | Self::Peer(Endpoint::SubmitMessage) => SubmitMessageResponse::decode(response)
                .is_ok_and(|submitted| matches!(submitted, SubmitMessageResponse::Accepted { .. })),
            Self::KeyMaterial | Self::ClaimOwn | Self::Peer(Endpoint::KeyMaterial) => {
                KeyMaterialResponse::decode(response).is_ok_and(|material| {
                    matches!(material.status(), KeyMaterialUserCode::Success | KeyMaterialUserCode::PartialSuccess)
                })
            }
            Self::IdentifierQuery | Self::Peer(Endpoint::IdentifierQuery) => {
                IdentifierResponse::decode(response).is_ok_and(|found| found.code == IdentifierQueryCode::Success)
            }
            _ => true,
        }
    }
}

/// An event in a client's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number; the same if it is delivered again.
    pub sequence: u64,
    /// What it carries.
    pub load: Load,
    /// Its length in octets.
    pub octets: usize,
}

/// The events in the answer to [`Call::Inbox`].
pub fn deliveries(response: &[u8]) -> Vec<Delivery> {
    let events = InboxResponse::decode(response).map(|inbox| inbox.events).unwrap_or_default();
    let delivery = |event: &local::InboxEvent| {
        let load = match &event.body {
            InboxBody::Fanout { message, .. } => fanned_out(message),
            InboxBody::RoomDestroyed { room } => Load::new(Kind::RoomDestroyed, room.as_str().as_bytes()),
            body => Load::new(Kind::Pseudonyms, &body.encode()),
        };
        Delivery { sequence: event.sequence, load, octets: event.encode().len() }
    };
    events.iter().map(delivery).collect()
}

fn message(message: &MlsMessage) -> Load {
    Load::new(Kind::Message, message.as_bytes())
}

fn fanned_out(fanout: &FanoutMessage) -> Load {
    match &fanout.event {
        FanoutEvent::Application { message: sealed, .. } => message(sealed.message()),
        FanoutEvent::Welcome { welcome, .. } => Load::new(Kind::Welcome, welcome.as_bytes()),
        FanoutEvent::Proposal { proposal, .. } => Load::new(Kind::Proposal, proposal.message().as_bytes()),
        FanoutEvent::Commit { commit, .. } => Load::new(Kind::Commit, commit.message().as_bytes()),
        FanoutEvent::RolledBack { rollback } => Load::new(Kind::RolledBack, &rollback.encode()),
        FanoutEvent::Audience { .. } => Load::new(Kind::Audience, &fanout.encode()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample;

    #[test]
    fn requests_are_told_from_method_and_path() {
        assert_eq!(Call::of("GET", "/.well-known/mimi-protocol-directory"), Call::Directory);
        assert_eq!(Call::of("POST", "/v1/notify/mimi%3A%2F%2Fa.example%2Fr%2Fx"), Call::Peer(Endpoint::Notify));
        assert_eq!(Call::of("POST", "https://b.example:1/v1/keyMaterial/x"), Call::Peer(Endpoint::KeyMaterial));
        assert_eq!(Call::of("POST", "/client/v1/keyMaterial"), Call::KeyMaterial);
        assert_eq!(Call::of("POST", "/client/v1/update/mimi%3A%2F%2Fa.example%2Fr%2Fx"), Call::Update);
        assert_eq!(Call::of("POST", "/client/v1/rooms"), Call::CreateRoom);
        assert_eq!(Call::of("DELETE", "/client/v1/rooms/x"), Call::DestroyRoom);
        assert_eq!(Call::of("GET", "/client/v1/inbox?after=0&wait=100"), Call::Inbox);
        assert_eq!(Call::of("POST", "/client/v1/inboxes"), Call::Unknown);
    }

    #[test]
    fn a_message_is_the_same_all_along_its_way() {
        let (submitted, notified, delivered) =
            (sample::submit(b"sealed"), sample::notify(&[b"sealed"]), sample::inbox(&[(7, b"sealed")]));
        let first = Call::SubmitMessage.loads(&submitted);
        assert_eq!(first.first().unwrap().kind, Kind::Message);
        assert_eq!(Call::Peer(Endpoint::Notify).loads(&notified), first);
        let events = deliveries(&delivered);
        assert_eq!(events.iter().map(|event| event.load.clone()).collect::<Vec<_>>(), first);
        assert_eq!(events.first().unwrap().sequence, 7);
        assert_ne!(Call::SubmitMessage.loads(&sample::submit(b"other")), first);
    }

    #[test]
    fn a_question_is_the_same_all_along_its_way() {
        let (local, forwarded) = sample::query("alice");
        assert_eq!(Call::IdentifierQuery.loads(&local), Call::Peer(Endpoint::IdentifierQuery).loads(&forwarded));
    }

    #[test]
    fn a_refusal_inside_a_200_is_no_acceptance() {
        assert!(Call::SubmitMessage.accepted(200, &sample::submitted(true)));
        assert!(!Call::SubmitMessage.accepted(200, &sample::submitted(false)));
        assert!(!Call::SubmitMessage.accepted(503, &sample::submitted(true)));
        assert!(!Call::SubmitMessage.accepted(200, b"nonsense"));
        assert!(Call::Peer(Endpoint::Notify).accepted(201, b""));
    }

    #[test]
    fn what_cannot_be_decoded_carries_nothing() {
        assert!(Call::Update.loads(b"nonsense").is_empty());
        assert!(deliveries(b"nonsense").is_empty());
    }
}
