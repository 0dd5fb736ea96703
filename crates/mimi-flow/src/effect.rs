use mimi_pseudonym::{Claims, DecodeError, Domain, Reader, RoomUri, Timestamp, UserUri, Wire, Writer};
use mimi_wire::Problem;
use serde::{Deserialize, Serialize};

use crate::{Consent, Evidence, LinkState, SeenRoom};

/// What a device asks of its own provider. The paths are those of [`mimi_wire::local`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// New pseudonyms, with their credentials.
    Pseudonyms,
    /// Credentials for the account or for pseudonyms.
    Credentials,
    /// KeyPackages of one user to be kept for others.
    UploadKeyPackages,
    /// KeyPackages of many users, in place of those of theirs that nobody has claimed.
    UploadBatch,
    /// The clients of another device of the account.
    DeviceClients,
    /// The end of another device of the account.
    RemoveDevice,
    /// KeyPackages of the account's own devices.
    ClaimOwn,
    /// A new room.
    CreateRoom,
    /// The end of a room, or of this device's part in it.
    DestroyRoom(RoomUri),
    /// KeyPackages of another user, through the hub of the room they are for.
    KeyMaterial,
    /// The user behind a handle.
    IdentifierQuery,
    /// What a user of the account says about consent.
    Consent,
    /// What the account consents to without being asked.
    ConsentSettings,
    /// A commit.
    Update(RoomUri),
    /// An application message.
    SubmitMessage(RoomUri),
    /// What an external join needs.
    GroupInfo(RoomUri),
    /// Join links: made, shown, taken back.
    JoinLinks(RoomUri),
    /// That a commit cannot be gone along with.
    ReportCommit(RoomUri),
    /// A report about a user of a room, to its hub.
    ReportAbuse(RoomUri),
    /// What the provider says of itself as a hub.
    Info,
}

impl Call {
    /// A short name for transcripts.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pseudonyms => "pseudonyms",
            Self::Credentials => "credentials",
            Self::UploadKeyPackages => "keyPackages",
            Self::UploadBatch => "keyPackageBatch",
            Self::DeviceClients => "deviceClients",
            Self::RemoveDevice => "removeDevice",
            Self::Consent => "consent",
            Self::ConsentSettings => "consentSettings",
            Self::ClaimOwn => "claimOwn",
            Self::CreateRoom => "createRoom",
            Self::DestroyRoom(_) => "destroyRoom",
            Self::KeyMaterial => "keyMaterial",
            Self::IdentifierQuery => "identifierQuery",
            Self::Update(_) => "update",
            Self::SubmitMessage(_) => "submitMessage",
            Self::GroupInfo(_) => "groupInfo",
            Self::JoinLinks(_) => "joinLinks",
            Self::ReportCommit(_) => "reportCommit",
            Self::ReportAbuse(_) => "reportAbuse",
            Self::Info => "info",
        }
    }

    const fn code(&self) -> u8 {
        match self {
            Self::Pseudonyms => 1,
            Self::Credentials => 2,
            Self::UploadKeyPackages => 3,
            Self::UploadBatch => 21,
            Self::DeviceClients => 50,
            Self::RemoveDevice => 51,
            Self::Consent => 22,
            Self::ConsentSettings => 23,
            Self::ClaimOwn => 4,
            Self::CreateRoom => 5,
            Self::DestroyRoom(_) => 6,
            Self::KeyMaterial => 7,
            Self::IdentifierQuery => 8,
            Self::Update(_) => 9,
            Self::SubmitMessage(_) => 10,
            Self::GroupInfo(_) => 11,
            Self::JoinLinks(_) => 12,
            Self::ReportCommit(_) => 13,
            Self::ReportAbuse(_) => 40,
            Self::Info => 41,
        }
    }

    const fn room(&self) -> Option<&RoomUri> {
        match self {
            Self::DestroyRoom(room)
            | Self::Update(room)
            | Self::SubmitMessage(room)
            | Self::GroupInfo(room)
            | Self::JoinLinks(room)
            | Self::ReportCommit(room)
            | Self::ReportAbuse(room) => Some(room),
            _ => None,
        }
    }
}

/// A request to the device's own provider. `Debug` shows the call's name and the body's length.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Which one.
    pub call: Call,
    /// Its body; empty for [`Call::DestroyRoom`] and [`Call::Info`].
    pub body: Vec<u8>,
}

impl Wire for Request {
    const MAX_LEN: usize = 1 << 26;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.u8()?;
        let room: Option<RoomUri> = reader.optional()?;
        let call = match (code, room) {
            (1, None) => Call::Pseudonyms,
            (2, None) => Call::Credentials,
            (3, None) => Call::UploadKeyPackages,
            (21, None) => Call::UploadBatch,
            (50, None) => Call::DeviceClients,
            (51, None) => Call::RemoveDevice,
            (22, None) => Call::Consent,
            (23, None) => Call::ConsentSettings,
            (4, None) => Call::ClaimOwn,
            (5, None) => Call::CreateRoom,
            (6, Some(room)) => Call::DestroyRoom(room),
            (7, None) => Call::KeyMaterial,
            (8, None) => Call::IdentifierQuery,
            (9, Some(room)) => Call::Update(room),
            (10, Some(room)) => Call::SubmitMessage(room),
            (11, Some(room)) => Call::GroupInfo(room),
            (12, Some(room)) => Call::JoinLinks(room),
            (13, Some(room)) => Call::ReportCommit(room),
            (40, Some(room)) => Call::ReportAbuse(room),
            (41, None) => Call::Info,
            _ => return Err(DecodeError::Value { field: "call", value: code.into() }),
        };
        Ok(Self { call, body: reader.vector()?.to_vec() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(self.call.code());
        writer.optional(self.call.room());
        writer.vector(&self.body);
    }
}

/// What the provider answered. A request that got no answer is sent again until it gets one. `Debug` shows a body's
/// length.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    /// The body of a success.
    Done(Vec<u8>),
    /// A problem that sending again would not change.
    Refused(Problem),
}

/// The number of a request, unique for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// The number: it tells the provider that a request which is sent again is the same one.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// The number of an event, unique for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(pub(crate) u64);

/// The number of a running flow, unique for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowId(pub(crate) u64);

/// What a device wants from the world outside.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Effect {
    /// Send this request, again and again until it is answered.
    Send {
        /// Its number, for the answer.
        id: RequestId,
        /// The request.
        request: Request,
    },
    /// Tell the application, and say so when it has been told.
    Tell {
        /// Its number, for [`crate::Device::told`].
        id: EventId,
        /// The event.
        event: Event,
    },
    /// Call [`crate::Device::tick`] at this time.
    WakeAt(Timestamp),
}

/// What an application is told. Nobody stands here who has not been verified. `Debug` shows no URI, no note, no body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// So many pseudonyms are ready to be used, with credentials, and KeyPackages at the provider.
    Ready {
        /// How many are fresh in all.
        fresh: usize,
    },
    /// Someone wants to connect.
    ConnectionRequested {
        /// The number to accept or decline it by.
        request: FlowId,
        /// Who it is, as verified.
        from: Verified,
        /// A short note of theirs.
        note: String,
    },
    /// Two pseudonyms now share a room.
    Connected {
        /// The room.
        room: RoomUri,
        /// The other side's pseudonym.
        peer: UserUri,
        /// Who the other side is, where it has been verified.
        known_as: Option<Verified>,
    },
    /// A message came.
    Message {
        /// The room.
        room: RoomUri,
        /// Who sent it, as the room knows them.
        from: UserUri,
        /// The media type.
        media_type: String,
        /// The body.
        body: Vec<u8>,
        /// What shows to the hub that they have sent it, to be kept beside the message for [`crate::Command::Report`]. None if
        /// the room has no franking agent, or the message does not hold as evidence: then its sender, or a provider on
        /// the way, wants not to be reported.
        evidence: Option<Evidence>,
    },
    /// Someone in a room disclosed who they are.
    Disclosed {
        /// The room.
        room: RoomUri,
        /// Their pseudonym there.
        pseudonym: UserUri,
        /// Who they are, as verified.
        who: Verified,
    },
    /// These participants have not disclosed what their room requires. Each is named once; who still owes something says
    /// [`crate::Device::undisclosed`].
    Undisclosed {
        /// The room.
        room: RoomUri,
        /// Their pseudonyms there.
        users: Vec<UserUri>,
    },
    /// A room has been made, and the account's other devices are on their way in.
    RoomCreated {
        /// The flow.
        flow: FlowId,
        /// The room.
        room: RoomUri,
    },
    /// A join link has been made. Whoever has it can join: it is for those it is meant for, and for nobody else.
    LinkCreated {
        /// The flow.
        flow: FlowId,
        /// The room.
        room: RoomUri,
        /// The link, for [`mimi_link::RoomLink`] to read.
        link: String,
    },
    /// The join links of a room that are valid.
    Links {
        /// The flow.
        flow: FlowId,
        /// The room.
        room: RoomUri,
        /// The links.
        links: Vec<LinkState>,
    },
    /// This is the room that a link leads to. Nothing has been joined yet.
    RoomSeen {
        /// The number to join, knock or turn away by.
        visit: FlowId,
        /// The room.
        room: SeenRoom,
    },
    /// The moderators have been told who knocks; they may take their time.
    KnockSent {
        /// The flow of the knock.
        knock: FlowId,
    },
    /// Someone has been let into the room that was knocked for.
    LetIn {
        /// The flow of the knock.
        knock: FlowId,
        /// The room.
        room: RoomUri,
    },
    /// The room's hub has let a change through that does not hold, or that the room does not allow. This device does not go
    /// along with it, and has told the hub.
    ChangeRefused {
        /// The room.
        room: RoomUri,
    },
    /// The hub has taken back a change of a room that its members did not go along with.
    RolledBack {
        /// The room.
        room: RoomUri,
    },
    /// This device has come into a room.
    Joined {
        /// The room.
        room: RoomUri,
    },
    /// A lost device of the account is one no more: its provider gives it nothing and takes nothing from it.
    /// [`Event::Done`] follows when it has been removed from every room.
    DeviceRemoved {
        /// The flow.
        flow: FlowId,
        /// What lets the next device in, as [`mimi_wire::local::EnrolmentCode`] has it. The codes that there were are void.
        enrolment_code: [u8; 32],
    },
    /// A change of a room has been made.
    Done {
        /// The flow.
        flow: FlowId,
    },
    /// Somebody who keeps order in a room has made a knock room for it.
    KnockRoomOffered {
        /// The room that people ask to be let into.
        target: RoomUri,
        /// The knock room, for [`crate::Command::ModerateKnocks`].
        room: RoomUri,
    },
    /// Someone asks to be let into a room.
    Knocked {
        /// The number to admit or decline it by.
        knock: FlowId,
        /// The room they want to be in.
        room: RoomUri,
        /// Who it is, as verified.
        from: Verified,
        /// A short note of theirs.
        note: String,
    },
    /// A knock was decided, here or by another moderator.
    KnockDecided {
        /// The knock.
        knock: FlowId,
        /// Whether they were let in.
        admitted: bool,
    },
    /// The time in which a knock could be admitted is over.
    KnockLapsed {
        /// The knock.
        knock: FlowId,
    },
    /// Someone asks for KeyPackages of one of the account's users: for [`crate::Command::GrantConsent`] or
    /// [`crate::Command::RevokeConsent`], of this or of another scope.
    ConsentRequested {
        /// Who asks, whom, and for what.
        consent: Consent,
    },
    /// A request is taken back.
    ConsentCancelled {
        /// The request.
        consent: Consent,
    },
    /// Someone lets one of the account's users have their KeyPackages.
    ConsentGranted {
        /// To whom, and for what.
        consent: Consent,
        /// Whether the application had asked for it.
        asked: bool,
    },
    /// Another device of the account has decided.
    ConsentDecided {
        /// What about.
        consent: Consent,
        /// Whether consent was given.
        granted: bool,
    },
    /// A room is over for this device.
    Closed {
        /// The room.
        room: RoomUri,
    },
    /// A flow has ended without reaching its aim.
    Failed {
        /// The flow.
        flow: FlowId,
        /// Why.
        reason: FailureReason,
    },
}

/// Claims that have been verified, and by whom they were issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The claims.
    pub claims: Claims,
    /// The domain of the provider whose issuer vouches for them.
    pub issuer: Domain,
}

/// Why a flow ended without reaching its aim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum FailureReason {
    /// The provider refused a request.
    #[error("the provider refused {call}: {problem}")]
    Refused {
        /// Which request.
        call: String,
        /// The problem's code.
        problem: String,
    },
    /// The account has had as many pseudonyms as it may have in this period: the provider gives no more before the next one.
    #[error("the account has had as many pseudonyms as it may have in this period")]
    OverQuota,
    /// The provider's answer does not parse, or is not one to the request.
    #[error("the answer to {call} makes no sense")]
    Answer {
        /// Which request.
        call: String,
    },
    /// What the hub gave is not the room that the link leads to, or does not hold.
    #[error("what came is not the room that was asked for")]
    WrongRoom,
    /// Nobody was found, or more than one.
    #[error("the search found nobody, or more than one")]
    NotFound,
    /// Whose KeyPackages are needed has not consented, or there is no such user.
    #[error("there is no consent")]
    NoConsent,
    /// There is no KeyPackage that may be used.
    #[error("there is no usable KeyPackage")]
    NoKeyPackage,
    /// The KeyPackages that were given have expired: fresh ones need consent.
    #[error("the KeyPackages have expired")]
    KeyPackageExpired,
    /// The room does not allow it.
    #[error("the room does not allow it")]
    NotAllowed,
    /// The room is no more.
    #[error("the room is no more")]
    RoomClosed,
    /// A pseudonym could not be disclosed as wanted.
    #[error("the disclosure cannot be made")]
    Disclosure,
    /// Something that should not happen.
    #[error("the state of the flow is damaged")]
    Internal,
}
