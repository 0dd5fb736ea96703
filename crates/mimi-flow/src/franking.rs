//! Messages that can be reported: the hub's franking agent in the rooms that this device founds, the sender's commitment, what
//! a receiver checks and keeps, and the report (draft-ietf-mimi-protocol-06, sections 5.4.1 and 5.9).

use std::{fmt, time::Duration};

use mimi_abuse::franking::{commit, verify_received};
use mimi_content::{Body, Disposition, MEDIA_TYPE, MimiContent, Part, Salt};
use mimi_mls::{Room, SealError, with_franking_agent};
use mimi_pseudonym::{
    Content, DecodeError, Entropy, MessageContext, Reader, RoomUri, Timestamp, UserUri, Wire, Writer,
};
use mimi_room::RoomState;
use mimi_wire::{
    AbuseReport, AbusiveMessage, AppDataDictionary, Frank, FrankAad, FrankingAgentData, MlsMessage, local::ProviderInfo,
};
use serde::{Deserialize, Serialize};

use crate::{Answer, Call, CommandError, Context, Device, Event, FailureReason, FlowId, Request, notice::Notice};

/// How long the own hub's franking agent is taken to be the present one. A hub changes its key for new rooms now and then.
const FRESH: Duration = Duration::from_secs(86_400);
/// Octets of a note in a report.
const NOTE_MAX: usize = 4096;
/// Messages in a report (draft-ietf-mimi-protocol-06, section 5.9, as `mimi-wire` bounds it).
const MESSAGES_MAX: usize = 64;

/// The own hub's franking agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Agent {
    known: Option<FrankingAgentData>,
    learned: Option<Timestamp>,
}

impl Agent {
    pub(crate) fn new(known: Option<FrankingAgentData>) -> Self {
        Self { known, learned: None }
    }

    pub(crate) fn known(&self) -> Option<&FrankingAgentData> {
        self.known.as_ref()
    }

    pub(crate) fn save(&self) -> (Option<Vec<u8>>, Option<Timestamp>) {
        (self.known.as_ref().map(Wire::encode), self.learned)
    }

    pub(crate) fn restore((known, learned): (Option<Vec<u8>>, Option<Timestamp>)) -> Result<Self, DecodeError> {
        Ok(Self { known: known.map(|octets| FrankingAgentData::decode(&octets)).transpose()?, learned })
    }
}

/// What shows that somebody has sent a message: to be kept beside the message for as long as it may be reported. It holds the
/// message in the clear. `Debug` shows no content and no URI.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Evidence(Box<Shown>);

#[derive(Clone, PartialEq, Eq)]
struct Shown {
    room: RoomUri,
    sender: UserUri,
    message: AbusiveMessage,
}

impl Evidence {
    /// The room.
    pub fn room(&self) -> &RoomUri {
        &self.0.room
    }

    /// Who has sent the message, as the room knows them.
    pub fn sender(&self) -> &UserUri {
        &self.0.sender
    }

    /// When the hub accepted it.
    pub fn accepted(&self) -> Timestamp {
        self.0.message.accepted
    }

    /// The whole message as MLS carried it, in MIMI's content format.
    ///
    /// # Errors
    /// [`DecodeError`] if it was none, which evidence that this crate made does not have.
    pub fn message(&self) -> Result<MimiContent, DecodeError> {
        MimiContent::from_content(&Content::decode(&self.0.message.message_content)?)
    }
}

impl Wire for Evidence {
    const MAX_LEN: usize = AbusiveMessage::MAX_LEN + (1 << 13);

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (room, sender) = (Wire::read(reader)?, Wire::read(reader)?);
        Ok(Self(Box::new(Shown { room, sender, message: Wire::read(reader)? })))
    }

    fn write(&self, writer: &mut Writer) {
        self.0.room.write(writer);
        self.0.sender.write(writer);
        self.0.message.write(writer);
    }
}

impl From<Evidence> for Vec<u8> {
    fn from(evidence: Evidence) -> Self {
        evidence.encode()
    }
}

impl TryFrom<Vec<u8>> for Evidence {
    type Error = DecodeError;

    fn try_from(octets: Vec<u8>) -> Result<Self, DecodeError> {
        Self::decode(&octets)
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evidence({} octets)", self.0.message.message_content.len())
    }
}

/// A report about a user of a room, to the room's hub. `Debug` shows no URI and no note.
#[derive(Clone, PartialEq, Eq)]
pub struct Report {
    /// The room.
    pub room: RoomUri,
    /// Who is reported.
    pub user: UserUri,
    /// Messages of theirs in this room: at most 64. A report without any is one person's word, which only those who are in the
    /// room can give.
    pub evidence: Vec<Evidence>,
    /// A code that hub and application agree on; the draft names none but 0.
    pub reason: u8,
    /// A word to whoever reads it: at most 4,096 octets.
    pub note: String,
    /// Whether the hub is told under which name this device is in the room. Without it, the hub learns that it is an account of
    /// this provider, and whether that account has reported the same user before.
    pub named: bool,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("evidence", &self.evidence)
            .field("reason", &self.reason)
            .field("named", &self.named)
            .finish_non_exhaustive()
    }
}

/// Seals content for a room. Where the room has a franking agent, the content is wrapped in MIMI's content format, and the
/// message carries the sender's commitment to it: every message alike, so that a hub cannot tell a disclosure from a word by
/// what is missing. `unfit` says what is wrong with content that cannot be committed to.
pub(crate) fn seal<E: From<SealError>>(
    room: &mut Room,
    entropy: &mut dyn Entropy,
    unfit: impl FnOnce() -> E,
    make: impl FnOnce(&MessageContext) -> Result<Content, E>,
) -> Result<MlsMessage, E> {
    if room.franking_agent().is_none() {
        return room.seal_with(make);
    }
    room.seal_franked(|context| {
        let content = make(context)?;
        let message = wrapped(content, context.sender(), context.room(), entropy).ok_or_else(unfit)?;
        Ok(commit(&message))
    })
}

/// Content in MIMI's content format, by this sender for this room.
fn wrapped(content: Content, sender: &UserUri, room: &RoomUri, entropy: &mut dyn Entropy) -> Option<MimiContent> {
    if content.media_type == MEDIA_TYPE {
        // The application made it: then it has to say the truth.
        let message = MimiContent::from_content(&content).ok()?;
        let named = message.extensions().sender() == Some(sender) && message.extensions().room() == Some(room);
        return named.then_some(message);
    }
    let disposition = if is_for_people(&content) { Disposition::Render } else { Disposition::Unspecified };
    let body = Part::single(disposition, content.media_type, content.body);
    MimiContent::new(Salt::generate(entropy), sender.clone(), room.clone(), body).ok()
}

fn is_for_people(content: &Content) -> bool {
    let is_bundle = !matches!(mimi_disclosure::Bundle::try_from(content), Err(mimi_disclosure::BundleError::MediaType));
    !is_bundle && !Notice::is_one(content) && !Device::is_presentation(content)
}

/// What is inside, if the content format says no more of it than its media type.
fn unwrapped(content: Content) -> Content {
    match MimiContent::from_content(&content).ok().and_then(plain) {
        Some(inner) => inner,
        None => content,
    }
}

fn plain(message: MimiContent) -> Option<Content> {
    let bare = message.replaces().is_none()
        && message.replied_to().is_none()
        && message.topic().is_empty()
        && message.expires().is_none()
        && message.extensions().others().next().is_none();
    let Part { disposition, language, body } = message.body().clone();
    let bare = bare && language.is_empty() && matches!(disposition, Disposition::Render | Disposition::Unspecified);
    match body {
        Body::Single { content_type, content } if bare => Some(Content { media_type: content_type, body: content }),
        _ => None,
    }
}

/// Checks the hub's stamp on a message that was opened, and takes the message out of its wrapping. Without evidence, the message
/// is what MLS says it is, and nobody can be shown that it was sent.
pub(crate) fn received(
    room: &Room,
    content: Content,
    frank_aad: Option<&FrankAad>,
    (frank, accepted): (Option<&Frank>, Timestamp),
    context: &MessageContext,
) -> (Content, Option<Evidence>) {
    let Some(agent) = room.franking_agent() else { return (content, None) };
    let stamped = frank_aad.zip(frank).and_then(|(aad, frank)| {
        verify_received(&content, aad, frank, accepted, context, room.identity().suite(), &agent).ok()
    });
    let evidence = stamped.map(|message| {
        let (room, sender) = (context.room().clone(), context.sender().clone());
        Evidence(Box::new(Shown { room, sender, message: message.evidence }))
    });
    (unwrapped(content), evidence)
}

impl Device {
    /// The first state of a room that is founded at the own hub: with its franking agent, if it has one.
    pub(crate) fn with_agent(&self, state: RoomState) -> Result<RoomState, FailureReason> {
        match &self.agent.known {
            Some(agent) => with_franking_agent(state, agent).map_err(|_| FailureReason::Internal),
            None => Ok(state),
        }
    }

    /// Whether what the application wants to send can be committed to.
    pub(crate) fn is_fit(room: &Room, content: &Content, cx: &mut Context<'_>) -> bool {
        let sender = room.identity().user();
        room.franking_agent().is_none() || wrapped(content.clone(), sender, room.uri(), cx.entropy).is_some()
    }

    /// Asks for the own hub's franking agent, if that was long ago.
    pub(crate) fn renew_agent(&mut self, cx: &Context<'_>) {
        match self.agent.learned {
            // It came with the registration.
            None if self.agent.known.is_some() => self.agent.learned = Some(cx.now),
            Some(learned) if cx.now.since(learned) < FRESH => {}
            _ if self.outstanding.values().any(|outstanding| outstanding.request.call == Call::Info) => {}
            _ => self.request(Request { call: Call::Info, body: Vec::new() }, None),
        }
    }

    /// Reports a user. What it needs of the room is in the evidence: whoever has left can still report what it has received.
    pub(crate) fn report_abuse(&mut self, report: Report) -> Result<FlowId, CommandError> {
        let Report { room, user, evidence, reason, note, named } = report;
        if note.len() > NOTE_MAX {
            return Err(CommandError::NoteTooLong(note.len()));
        }
        let fits = |evidence: &Evidence| *evidence.room() == room && *evidence.sender() == user;
        if evidence.len() > MESSAGES_MAX || !evidence.iter().all(fits) {
            return Err(CommandError::Evidence);
        }
        let own = self.rooms.get(&room).map(|room| room.identity().user().clone());
        if own.is_none() && (named || evidence.is_empty()) {
            return Err(CommandError::NoSuchRoom);
        }
        let report = AbuseReport {
            reporting_user: own.filter(|_| named),
            alleged_abuser: user,
            reason_code: reason,
            note,
            messages: evidence.into_iter().map(|evidence| evidence.0.message).collect(),
            extensions: AppDataDictionary::default(),
        };
        let id = FlowId(self.number());
        self.request(Request { call: Call::ReportAbuse(room), body: report.encode() }, Some(id));
        Ok(id)
    }

    /// Takes the answer to a request of this module; gives it back if it is none.
    pub(crate) fn franking_answered(
        &mut self,
        call: &Call,
        flow: Option<FlowId>,
        answer: Answer,
        cx: &Context<'_>,
    ) -> Option<Answer> {
        match (call, flow) {
            (Call::Info, _) => {
                if let Answer::Done(body) = answer
                    && let Ok(info) = ProviderInfo::decode(&body)
                {
                    let agents = info.franking_agents.into_iter();
                    let mut agents = agents.filter(|agent| agent.cipher_suite == self.profile.suite);
                    self.agent = Agent { known: agents.next().map(|agent| agent.agent), learned: Some(cx.now) };
                }
                None
            }
            (Call::ReportAbuse(_), Some(flow)) => {
                match answer {
                    Answer::Done(_) => self.tell(Event::Done { flow }),
                    Answer::Refused(problem) => {
                        let (call, problem) = (call.name().to_owned(), problem.code().to_owned());
                        self.tell(Event::Failed { flow, reason: FailureReason::Refused { call, problem } });
                    }
                }
                None
            }
            _ => Some(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{CipherSuite, SeededEntropy};

    use super::*;

    fn names() -> (UserUri, RoomUri) {
        (UserUri::pseudonym(&"a.example".parse().unwrap(), [7; 16]), "mimi://a.example/r/club".parse().unwrap())
    }

    fn text(media_type: &str) -> Content {
        Content { media_type: media_type.to_owned(), body: b"hello".to_vec() }
    }

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        let ((sender, room), mut entropy) = (names(), SeededEntropy::new([1; 32]));
        for media_type in ["text/plain", "application/mls-credential", "application/mimi-knock-decision", "", "x"] {
            let message = wrapped(text(media_type), &sender, &room, &mut entropy).unwrap();
            assert_eq!(unwrapped(message.to_content()), text(media_type));
        }
    }

    #[test]
    fn a_message_that_says_more_stays_as_it_is() {
        let ((sender, room), mut entropy) = (names(), SeededEntropy::new([1; 32]));
        let message = wrapped(text("text/plain"), &sender, &room, &mut entropy).unwrap();
        let reply = message.clone().in_reply_to(message.message_id(&sender, &room)).to_content();
        assert_eq!(unwrapped(reply.clone()), reply);
        // The application's own message is taken as it is, if it names sender and room.
        assert_eq!(wrapped(reply.clone(), &sender, &room, &mut entropy).unwrap().to_content(), reply);
        let other: RoomUri = "mimi://a.example/r/other".parse().unwrap();
        assert_eq!(wrapped(reply.clone(), &sender, &other, &mut entropy), None);
        let bob = "mimi://b.example/u/bob".parse().unwrap();
        assert_eq!(wrapped(reply, &bob, &room, &mut entropy), None);
        assert_eq!(wrapped(text(MEDIA_TYPE), &sender, &room, &mut entropy), None);
        assert_eq!(unwrapped(text(MEDIA_TYPE)), text(MEDIA_TYPE));
    }

    #[test]
    fn evidence_reads_back_and_shows_nothing() {
        let (sender, room) = names();
        let frank = Frank {
            server_frank: [1; 32],
            cipher_suite: CipherSuite::X25519Aes128Ed25519,
            integrity_signature: vec![2; 64],
        };
        let message = AbusiveMessage { message_content: b"spam".to_vec(), frank, accepted: Timestamp::from_secs(9) };
        let evidence = Evidence(Box::new(Shown { room: room.clone(), sender: sender.clone(), message }));
        assert_eq!(Evidence::decode(&evidence.encode()), Ok(evidence.clone()));
        let json = serde_json::to_vec(&evidence).unwrap();
        assert_eq!(serde_json::from_slice::<Evidence>(&json).unwrap(), evidence);
        assert!(serde_json::from_slice::<Evidence>(b"[1,2]").is_err());
        assert_eq!(format!("{evidence:?}"), "Evidence(4 octets)");
        assert!(evidence.message().is_err());
        let report =
            Report { room, user: sender, evidence: vec![evidence], reason: 1, note: "secret".into(), named: false };
        let shown = format!("{report:?}");
        assert!(!shown.contains("secret") && !shown.contains("mimi://"), "{shown}");
    }
}
