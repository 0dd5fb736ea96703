use std::time::Duration;

use mimi_link::RoomLink;
use mimi_pseudonym::{ClaimName, ClientUri, Content, DisclosureFormat, DisclosurePolicy, Domain, RoomUri, UserUri};
use mimi_wire::local::IssuedDisclosure;

use crate::{Action, Consent, FlowId, NewRoom, Report};

/// What an application decides. `Debug` shows no note and no content.
#[derive(Clone)]
#[non_exhaustive]
pub enum Command {
    /// Get the account's credential and KeyPackages for being found.
    Publish {
        /// How many KeyPackages, each for one connection: 1 to 1,000.
        key_packages: u16,
    },
    /// Get pseudonyms, with credentials and KeyPackages, ahead of need. A device that belongs to a pseudonym and to no account
    /// gets those for that one.
    Prepare {
        /// How many: 1 to 1,000.
        pseudonyms: u16,
    },
    /// From now on, ask for identity credentials in this format. Those that are there stay as they are. Not every provider
    /// issues every format.
    Prefer {
        /// The format; X.509 if nothing was ever said.
        format: DisclosureFormat,
    },
    /// Connect to the user behind a handle.
    Connect {
        /// The handle, for example `im:bob@b.example`.
        handle: String,
        /// The provider to ask.
        domain: Domain,
        /// What to disclose to them: of a certificate exactly the claims that it makes, of a token any of those it can show.
        disclose: Vec<ClaimName>,
        /// A short note for them; at most 1,024 octets.
        note: String,
    },
    /// Accept a request to connect.
    Accept {
        /// The request.
        request: FlowId,
        /// The first message in the new room.
        greeting: Content,
    },
    /// Decline a request to connect. The other side is told nothing.
    Decline {
        /// The request.
        request: FlowId,
    },
    /// Disclose to an ordinary room who this is, as far as the room's policy lets it. [`crate::Event::Done`] tells that it
    /// has been sent.
    Disclose {
        /// The room.
        room: RoomUri,
        /// What to disclose; a certificate shows all it has.
        claims: Vec<ClaimName>,
    },
    /// Send a message. In a room whose hub stamps messages it is sent in MIMI's content format, which receivers are shown without
    /// it; content of the type `application/mimi-content` is sent as it is, and has to name sender and room.
    Send {
        /// The room.
        room: RoomUri,
        /// What it carries.
        content: Content,
    },
    /// Make a room that others can come into, from a fresh pseudonym. The account's other devices are brought in.
    CreateRoom {
        /// What it is to be like.
        room: NewRoom,
    },
    /// Make a room that others can come into from a pseudonym that is the name in another room already, so that whoever is in
    /// both knows. There is no other way for a pseudonym into a second room but this and [`Command::GrantConsent`].
    CreateRoomAs {
        /// What it is to be like.
        room: NewRoom,
        /// The pseudonym.
        pseudonym: UserUri,
    },
    /// Make a room in which people ask to be let into another one that this device is in and keeps order in. The
    /// account's other devices are brought in.
    CreateKnockRoom {
        /// The room to be let into.
        target: RoomUri,
        /// What is to be known of those who ask.
        disclosure: DisclosurePolicy,
    },
    /// Make a link by which others can join a room: [`crate::Event::LinkCreated`] has it.
    CreateLink {
        /// The room.
        room: RoomUri,
        /// The role of those who join by it, one that this device may bring others into and that the room lets them take;
        /// none for that of ordinary participants.
        role: Option<u32>,
        /// How many may join by it; none for any number.
        uses: Option<u32>,
        /// For how long it is valid, in whole seconds; none for always.
        lifetime: Option<Duration>,
    },
    /// Ask the hub for the join links of a room: [`crate::Event::Links`] has them.
    ListLinks {
        /// The room.
        room: RoomUri,
    },
    /// Take a join link back.
    RevokeLink {
        /// The room.
        room: RoomUri,
        /// SHA-256 of the link's code: [`mimi_link::JoinCode::hash`].
        code_hash: [u8; 32],
    },
    /// Look at the room that a link leads to: [`crate::Event::RoomSeen`] shows it. The hub sees as whom.
    Look {
        /// The link.
        link: RoomLink,
        /// As the account, for a room that does not allow pseudonyms; else as a fresh pseudonym.
        as_account: bool,
    },
    /// Join a room that was shown. The account's other devices are brought in.
    JoinSeen {
        /// The visit, as [`crate::Event::RoomSeen`] named it.
        visit: FlowId,
    },
    /// Knock in a knock room that was shown: say to the moderators who this is, so that they may let a second, fresh
    /// pseudonym into the room behind it, and leave again. One can knock once.
    Knock {
        /// The visit.
        visit: FlowId,
        /// What to disclose to the moderators.
        disclose: Vec<ClaimName>,
        /// A short note for them; at most 1,024 octets.
        note: String,
    },
    /// Do not join a room that was shown.
    TurnAway {
        /// The visit.
        visit: FlowId,
    },
    /// Leave a room, with all of the account's devices. [`crate::Event::Done`] says that the hub has taken it: from then on
    /// nothing can be sent there, and nothing comes; [`crate::Event::Closed`] follows with the next commit.
    Leave {
        /// The room.
        room: RoomUri,
    },
    /// Come into a room again in which others have gone along with a commit that this device has refused: it gives up its own
    /// state of the room and believes what the others say. For a room of which [`crate::Event::ChangeRefused`] was told, and
    /// that has not gone back.
    ComeBack {
        /// The room.
        room: RoomUri,
    },
    /// Let someone in who has knocked.
    AdmitKnock {
        /// The knock.
        knock: FlowId,
    },
    /// Decline someone who has knocked. They are told nothing.
    DeclineKnock {
        /// The knock.
        knock: FlowId,
    },
    /// Offer to keep order in a knock room too, from a fresh pseudonym: those who do so already bring this account's
    /// devices in.
    ModerateKnocks {
        /// The knock room, as [`crate::Event::KnockRoomOffered`] named it.
        room: RoomUri,
    },
    /// Change what a participant may do.
    Moderate {
        /// The room.
        room: RoomUri,
        /// The participant.
        user: UserUri,
        /// What to do.
        action: Action,
    },
    /// Remove one client from a room.
    RemoveClient {
        /// The room.
        room: RoomUri,
        /// The client.
        client: ClientUri,
    },
    /// Keep an identity certificate for a pseudonym that its own provider has not issued, as it does not know whose the pseudonym
    /// is: of an authority below the same anchor, for the key that [`crate::Device::key_of`] gives. It is shown, as any other, by
    /// [`Command::Disclose`] and with a knock, and takes the place of the one that there is.
    TakeIdentity {
        /// The pseudonym.
        pseudonym: UserUri,
        /// The certificate and those above it.
        identity: IssuedDisclosure,
    },
    /// Take a lost device away from the account: its provider ends it, and it is removed from every room that this device is in, from
    /// each at a time of its own ([`crate::Delays::removal_spread`]). [`crate::Event::DeviceRemoved`] tells the first,
    /// [`crate::Event::Done`] that no room is left. Said again meanwhile, it is the same.
    RemoveDevice {
        /// The client that the device is for the account itself, as the provider lists it.
        client: ClientUri,
    },
    /// Bring the account's other devices into a room, those that are not in it yet.
    AddOwnClients {
        /// The room.
        room: RoomUri,
    },
    /// Ask for KeyPackages of another user, so that they can be added to a room. [`crate::Event::Done`] tells that the request
    /// is on its way, and nothing tells that it is denied.
    RequestConsent {
        /// From which user of the account, to whom, and for what.
        consent: Consent,
    },
    /// Take such a request back.
    CancelConsent {
        /// As it was asked for.
        consent: Consent,
    },
    /// Let someone have KeyPackages of one of the account's users, asked or not. To grant it for a pseudonym that is the name
    /// in a room lets it into one more.
    GrantConsent {
        /// Whom, whose, and for what.
        consent: Consent,
    },
    /// Take consent back, or deny it before anybody asks. The other side is told nothing.
    RevokeConsent {
        /// Whom, whose, and for what.
        consent: Consent,
    },
    /// Whether anybody may have KeyPackages of the account that are good for connection rooms and nothing else.
    ConsentToConnections {
        /// Whether they may; they may if nothing was ever said.
        allowed: bool,
    },
    /// Report a user of a room to its hub. [`crate::Event::Done`] says that the hub has taken the report, and not what comes of
    /// it; [`crate::Event::Failed`] that it has refused it.
    Report(Report),
    /// End a room for everybody.
    DestroyRoom {
        /// The room.
        room: RoomUri,
    },
}

/// Why a command is not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Two fresh pseudonyms are needed to connect, one to accept.
    #[error("there are too few fresh pseudonyms: {wanted} wanted, {fresh} there")]
    TooFewPseudonyms {
        /// How many are needed.
        wanted: usize,
        /// How many there are.
        fresh: usize,
    },
    /// The content is of the type `application/mimi-content` and is none, or names another sender or room.
    #[error("the content names another sender or room, or does not parse")]
    Content,
    /// Evidence is of another room or user, or there is too much of it.
    #[error("the evidence is not about this user in this room, or more than 64 messages")]
    Evidence,
    /// There is no such request to accept or decline.
    #[error("there is no such request")]
    NoSuchRequest,
    /// This device is in no such room.
    #[error("this device is in no such room")]
    NoSuchRoom,
    /// A note has at most 1,024 octets, one in a report 4,096.
    #[error("a note of {0} octets is too long")]
    NoteTooLong(usize),
    /// The room does not let this device send now.
    #[error("the room does not let this device send now")]
    NotAllowed,
    /// A number is not from 1 to 1,000.
    #[error("1 to 1000 can be asked for, not {0}")]
    Count(u16),
    /// The room has no such user or client.
    #[error("the room has no such user or client")]
    NoSuchUser,
    /// The KeyPackages that were given do not hold any more.
    #[error("the KeyPackages do not hold any more")]
    KeyPackages,
    /// This device is in the room already, or about to come in.
    #[error("this device is in the room already, or about to come in")]
    AlreadyThere,
    /// There is no such room that was shown and waits for a decision.
    #[error("there is no such visit")]
    NoSuchVisit,
    /// There is no such knock to admit or decline.
    #[error("there is no such knock")]
    NoSuchKnock,
    /// The room cannot be made as wanted, for example because its name is too long.
    #[error("such a room cannot be made")]
    RoomKind,
    /// The claims are not those that can be disclosed with the pseudonym at hand, or not those a connection needs.
    #[error("these claims cannot be disclosed")]
    Disclosure,
}
