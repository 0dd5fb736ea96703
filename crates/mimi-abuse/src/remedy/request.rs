use std::fmt;

use mimi_pseudonym::{
    CipherSuite, DecodeError, Domain, PublicKey, Reader, SignError, Signer, Timestamp, UserUri, Wire, Writer,
};
use mimi_wire::AbusiveMessage;

use super::signed::{Signed, SignedError, is_stale};
use crate::franking::{Committed, UncommittedError};

/// Label of the signature over [`RemedyRequestTbs`].
const LABEL: &str = "MimiRemedyRequestTBS";
/// Messages that one request may show.
const EVIDENCE_MAX: usize = 16;
/// Octets of a note.
const NOTE_MAX: usize = 1024;

/// What a hub asks a user's provider for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Wanted {
    /// That nothing comes of an earlier request of this hub about this user: it was a mistake, or an appeal was heard.
    Reversal,
    /// To suspend the account.
    Suspend,
    /// To suspend the account, and to remove the user with all its pseudonyms from all rooms.
    Remove,
    /// To delete the account.
    Delete,
}

impl Wanted {
    const ALL: [Self; 4] = [Self::Reversal, Self::Suspend, Self::Remove, Self::Delete];

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Reversal => 0,
            Self::Suspend => 1,
            Self::Remove => 2,
            Self::Delete => 3,
        }
    }

    /// What a number stands for.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|wanted| wanted.code() == code)
    }
}

/// What a hub says, before it is signed. `Debug` shows no note and no message.
#[derive(Clone, PartialEq, Eq)]
pub struct RemedyRequestTbs {
    /// Random. The same request sent again has the same one, and is one request.
    pub id: [u8; 16],
    /// The hub that asks.
    pub hub: Domain,
    /// About whom: a user as it is known in a room of the hub.
    pub subject: UserUri,
    /// For what.
    pub wanted: Wanted,
    /// Whether accounts that the provider deems related are meant as well.
    pub related: bool,
    /// When the hub made the request.
    pub made_at: Timestamp,
    /// A word to the reader: at most 1,024 octets, may be empty.
    pub note: String,
    /// Messages of the user that the hub has recognised: at most 16. None in a reversal.
    pub evidence: Vec<AbusiveMessage>,
}

impl Wire for RemedyRequestTbs {
    const MAX_LEN: usize = 1 << 23;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8()?;
        if version != 1 {
            return Err(DecodeError::Value { field: "version", value: version.into() });
        }
        let (id, hub, subject) = (reader.array()?, Wire::read(reader)?, Wire::read(reader)?);
        let code = reader.u8()?;
        let wanted = Wanted::from_code(code).ok_or(DecodeError::Value { field: "wanted", value: code.into() })?;
        let (related, made_at) = (reader.flag("related")?, Wire::read(reader)?);
        let note = reader.text("note")?.to_owned();
        let evidence: Vec<AbusiveMessage> = reader.list()?;
        if note.len() > NOTE_MAX {
            return Err(DecodeError::Rule { field: "note", rule: "longer than 1024 octets" });
        }
        if evidence.len() > EVIDENCE_MAX || (wanted == Wanted::Reversal && !evidence.is_empty()) {
            return Err(DecodeError::Rule { field: "evidence", rule: "more messages than there may be" });
        }
        Ok(Self { id, hub, subject, wanted, related, made_at, note, evidence })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(1);
        writer.raw(&self.id);
        self.hub.write(writer);
        self.subject.write(writer);
        writer.u8(self.wanted.code());
        writer.flag(self.related);
        self.made_at.write(writer);
        writer.vector(self.note.as_bytes());
        writer.list(&self.evidence);
    }
}

impl fmt::Debug for RemedyRequestTbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemedyRequestTbs")
            .field("hub", &self.hub)
            .field("wanted", &self.wanted)
            .field("evidence", &self.evidence.len())
            .finish_non_exhaustive()
    }
}

/// A request as it came in: nothing in it is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedRemedyRequest {
    signed: Signed<RemedyRequestTbs>,
}

impl Wire for UnverifiedRemedyRequest {
    const MAX_LEN: usize = Signed::<RemedyRequestTbs>::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { signed: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.signed.write(writer);
    }
}

/// A request that the hub has signed, for a user of the provider that reads it, with evidence that speaks of that user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemedyRequest {
    unverified: UnverifiedRemedyRequest,
}

/// Why a request is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemedyRequestError {
    /// A note is too long, or there are too many messages, or messages in a reversal.
    #[error(transparent)]
    Shape(#[from] DecodeError),
    /// The signer's key is none of the suite.
    #[error("the signer's key is none of the suite")]
    Key,
    /// The key cannot be used.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl From<SignedError> for RemedyRequestError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Key => Self::Key,
            SignedError::Sign(error) => Self::Sign(error),
        }
    }
}

/// Why a request is refused. None of the reasons depends on whether there is such a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemedyRefusal {
    /// It came from another provider than the one that it names as the hub.
    #[error("the request names another hub")]
    OtherHub,
    /// It is about a user of another provider.
    #[error("the user is another provider's")]
    ForeignUser,
    /// It was made more than seven days from now.
    #[error("the request's time is too far from the present")]
    Stale,
    /// The signature does not verify under the hub's key.
    #[error("the signature does not verify")]
    Signature,
    /// A message in it is none that could have been stamped.
    #[error("message {at}: {error}")]
    Evidence {
        /// Its place.
        at: usize,
        /// What is wrong.
        error: UncommittedError,
    },
    /// A message in it is by another user, or from a room of another hub.
    #[error("message {0} is not about this user in a room of this hub")]
    OtherEvidence(usize),
}

impl UnverifiedRemedyRequest {
    /// The suite that the request is signed in: it says which of the hub's keys verifies it.
    pub fn suite(&self) -> CipherSuite {
        self.signed.suite
    }

    /// Believes the request, if it holds. `key` is the hub's key for [`UnverifiedRemedyRequest::suite`], `from` the provider
    /// that sent it, `home` the one that reads it.
    ///
    /// The home provider cannot tell whether the hub has stamped the evidence, because only the hub has the secret for that:
    /// it has the hub's signature on all of it instead, and so can show what it was told.
    ///
    /// # Errors
    /// [`RemedyRefusal`]
    pub fn verify(
        self,
        key: &PublicKey,
        from: &Domain,
        home: &Domain,
        now: Timestamp,
    ) -> Result<RemedyRequest, RemedyRefusal> {
        let RemedyRequestTbs { hub, subject, made_at, evidence, .. } = &self.signed.tbs;
        if hub != from {
            return Err(RemedyRefusal::OtherHub);
        }
        if subject.domain() != home {
            return Err(RemedyRefusal::ForeignUser);
        }
        if is_stale(*made_at, now) {
            return Err(RemedyRefusal::Stale);
        }
        if !self.signed.is_by(LABEL, key) {
            return Err(RemedyRefusal::Signature);
        }
        for (at, shown) in evidence.iter().enumerate() {
            let committed = Committed::read(&shown.message_content);
            let committed = committed.map_err(|error| RemedyRefusal::Evidence { at, error })?;
            if committed.sender != *subject || committed.room.domain() != hub {
                return Err(RemedyRefusal::OtherEvidence(at));
            }
        }
        Ok(RemedyRequest { unverified: self })
    }
}

impl RemedyRequest {
    /// Signs a request with the hub's key for a suite.
    ///
    /// # Errors
    /// [`RemedyRequestError`]
    pub fn sign(tbs: RemedyRequestTbs, suite: CipherSuite, signer: &dyn Signer) -> Result<Self, RemedyRequestError> {
        let signed = Signed::sign(LABEL, tbs, suite, signer)?;
        // What would not be read is not sent.
        RemedyRequestTbs::decode(&signed.tbs.encode())?;
        Ok(Self { unverified: UnverifiedRemedyRequest { signed } })
    }

    /// What the hub says.
    pub fn tbs(&self) -> &RemedyRequestTbs {
        &self.unverified.signed.tbs
    }

    /// The encoding, to be sent and to be kept: it can be verified again.
    pub fn encode(&self) -> Vec<u8> {
        self.unverified.encode()
    }
}

/// The answer to every request that was taken, whatever will come of it: 17 octets that say nothing about any user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemedyReceipt {
    /// The request's id.
    pub id: [u8; 16],
}

impl Wire for RemedyReceipt {
    const MAX_LEN: usize = 17;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self { id: reader.array()? }),
            value => Err(DecodeError::Value { field: "version", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(1);
        writer.raw(&self.id);
    }
}
