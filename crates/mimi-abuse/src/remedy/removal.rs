use std::fmt;

use mimi_pseudonym::{
    CipherSuite, DecodeError, Domain, PublicKey, Reader, RoomUri, SignError, Signer, Timestamp, UserUri, Wire, Writer,
};

use super::signed::{Signed, SignedError, is_stale};

/// Label of the signature over [`RemovalRequestTbs`].
const LABEL: &str = "MimiRemovalRequestTBS";

/// What a home provider says to a hub, before it is signed: one of its users is to leave one room. It says nothing of why,
/// and of no other user.
#[derive(Clone, PartialEq, Eq)]
pub struct RemovalRequestTbs {
    /// Random. The same request sent again has the same one, and is one request.
    pub id: [u8; 16],
    /// The provider that asks.
    pub home: Domain,
    /// The user as the room knows it.
    pub subject: UserUri,
    /// The room.
    pub room: RoomUri,
    /// When the provider made the request.
    pub made_at: Timestamp,
}

impl Wire for RemovalRequestTbs {
    const MAX_LEN: usize = 8192;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = reader.u8()?;
        if version != 1 {
            return Err(DecodeError::Value { field: "version", value: version.into() });
        }
        Ok(Self {
            id: reader.array()?,
            home: Wire::read(reader)?,
            subject: Wire::read(reader)?,
            room: Wire::read(reader)?,
            made_at: Wire::read(reader)?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(1);
        writer.raw(&self.id);
        self.home.write(writer);
        self.subject.write(writer);
        self.room.write(writer);
        self.made_at.write(writer);
    }
}

/// Names no user and no room.
impl fmt::Debug for RemovalRequestTbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemovalRequestTbs").field("home", &self.home).finish_non_exhaustive()
    }
}

/// A request as it came in: nothing in it is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedRemovalRequest {
    signed: Signed<RemovalRequestTbs>,
}

impl Wire for UnverifiedRemovalRequest {
    const MAX_LEN: usize = Signed::<RemovalRequestTbs>::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { signed: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.signed.write(writer);
    }
}

/// A request that the user's own provider has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemovalRequest {
    unverified: UnverifiedRemovalRequest,
}

/// Why a request is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemovalRequestError {
    /// The signer's key is none of the suite.
    #[error("the signer's key is none of the suite")]
    Key,
    /// The key cannot be used.
    #[error(transparent)]
    Sign(#[from] SignError),
}

impl From<SignedError> for RemovalRequestError {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Key => Self::Key,
            SignedError::Sign(error) => Self::Sign(error),
        }
    }
}

/// Why a request is refused. None of the reasons depends on whether the user is in the room, or the room there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemovalRefusal {
    /// It came from another provider than the one it names, or the user is another provider's.
    #[error("the user is another provider's")]
    ForeignUser,
    /// It is about another room than the one it came for.
    #[error("the request is about another room")]
    OtherRoom,
    /// It was made more than seven days from now.
    #[error("the request's time is too far from the present")]
    Stale,
    /// The signature does not verify under the provider's key.
    #[error("the signature does not verify")]
    Signature,
}

impl UnverifiedRemovalRequest {
    /// The suite that the request is signed in: it says which of the provider's keys verifies it.
    pub fn suite(&self) -> CipherSuite {
        self.signed.suite
    }

    /// Believes the request, if it holds. `key` is the key of the provider `from`, which sent it, for
    /// [`UnverifiedRemovalRequest::suite`].
    ///
    /// # Errors
    /// [`RemovalRefusal`]
    pub fn verify(
        self,
        key: &PublicKey,
        from: &Domain,
        room: &RoomUri,
        now: Timestamp,
    ) -> Result<RemovalRequest, RemovalRefusal> {
        let RemovalRequestTbs { home, subject, room: of, made_at, .. } = &self.signed.tbs;
        if home != from || subject.domain() != from {
            return Err(RemovalRefusal::ForeignUser);
        }
        if of != room {
            return Err(RemovalRefusal::OtherRoom);
        }
        if is_stale(*made_at, now) {
            return Err(RemovalRefusal::Stale);
        }
        if !self.signed.is_by(LABEL, key) {
            return Err(RemovalRefusal::Signature);
        }
        Ok(RemovalRequest { unverified: self })
    }
}

impl RemovalRequest {
    /// Signs a request with the provider's key for a suite: its external-sender key, as it signs for its own rooms.
    ///
    /// # Errors
    /// [`RemovalRequestError`]
    pub fn sign(tbs: RemovalRequestTbs, suite: CipherSuite, signer: &dyn Signer) -> Result<Self, RemovalRequestError> {
        let signed = Signed::sign(LABEL, tbs, suite, signer)?;
        Ok(Self { unverified: UnverifiedRemovalRequest { signed } })
    }

    /// What the provider says.
    pub fn tbs(&self) -> &RemovalRequestTbs {
        &self.unverified.signed.tbs
    }

    /// The encoding, to be sent and to be kept: it can be verified again.
    pub fn encode(&self) -> Vec<u8> {
        self.unverified.encode()
    }
}
