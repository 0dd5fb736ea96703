use std::sync::LazyLock;

use curve25519_dalek::ristretto::RistrettoPoint;
use elastic_elgamal::{Keypair, LogEqualityProof, PublicKey, group::Ristretto};
use merlin::Transcript;
use mimi_pseudonym::{AccountLink, DecodeError, Entropy, Reader, UserUri, Wire, Writer};
use ring::digest::{SHA512, digest};

use super::OwnerMark;
use crate::{
    keys::{SEALED, derive, seal_name},
    operators::{Ciphertext, Element, OperatorsKey, Purpose, element_octets, read_element},
    random::Random,
};

/// An account, sealed to a key that operators share, as it stands beside its pseudonym. Not checked yet.
///
/// TDH2: an ephemeral key pair (r, rG); the name under a key from r times the shared key; and the proof that the
/// discrete logarithms of rG and rG' are the same, over everything else and the pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedAccount {
    ephemeral: [u8; 32],
    second: [u8; 32],
    proof: [u8; 64],
    mark: [u8; 16],
    sealed: Vec<u8>,
}

/// Which side of a tie is sealed, and beside which it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The account, beside its pseudonym.
    Account,
    /// The pseudonym, beside its account.
    Pseudonym,
}

impl Side {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Account => b"mimi-tie sealed account 1",
            Self::Pseudonym => b"mimi-tie sealed pseudonym 1",
        }
    }

    fn sealed(self, link: &AccountLink) -> &UserUri {
        if self == Self::Account { link.account() } else { link.pseudonym() }
    }

    fn beside(self, link: &AccountLink) -> &UserUri {
        if self == Self::Account { link.pseudonym() } else { link.account() }
    }

    /// The tie of what was sealed and what it stood beside.
    pub(super) fn link(self, opened: UserUri, beside: UserUri) -> Option<AccountLink> {
        match self {
            Self::Account => AccountLink::new(opened, beside),
            Self::Pseudonym => AccountLink::new(beside, opened),
        }
    }
}

/// A sealed account that was made for this pseudonym and this key; or a sealed pseudonym that was made for this account.
#[derive(Debug, Clone)]
pub struct CheckedSeal {
    pub(super) side: Side,
    pub(super) ephemeral: Element,
    pub(super) sealed: Vec<u8>,
    pub(super) owner: OwnerMark,
    pub(super) beside: UserUri,
    pub(super) key: OperatorsKey,
}

/// Why an account or a pseudonym cannot be sealed, or a sealed one does not belong where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The name does not fit, which that of a parsed URI does.
    #[error("the account's name cannot be sealed")]
    Name,
    /// The key is for another purpose.
    #[error("the key is not for opening accounts")]
    Purpose,
    /// Its proof does not hold: it is junk, or was made for another pseudonym or another key.
    #[error("it was not sealed for this pseudonym and key")]
    NotForThis,
}

/// The second generator G', of which nobody knows the logarithm: hashed into the group. `None` would be the identity.
static SECOND: LazyLock<Option<PublicKey<Ristretto>>> = LazyLock::new(|| {
    let hash = digest(&SHA512, b"mimi-tie second generator 1");
    let wide: [u8; 64] = hash.as_ref().try_into().ok()?;
    PublicKey::from_bytes(RistrettoPoint::from_uniform_bytes(&wide).compress().as_bytes()).ok()
});

impl SealedAccount {
    /// Seals the account beside a pseudonym.
    ///
    /// # Errors
    /// [`SealError::Name`], [`SealError::Purpose`]
    pub fn seal(link: &AccountLink, key: &OperatorsKey, entropy: &mut dyn Entropy) -> Result<Self, SealError> {
        Self::seal_side(Side::Account, link, None, key, entropy)
    }

    /// Seals one side of a tie beside the other. Without a mark it gets one of its own.
    pub(super) fn seal_side(
        side: Side,
        link: &AccountLink,
        mark: Option<[u8; 16]>,
        key: &OperatorsKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, SealError> {
        check_purpose(key)?;
        let second = SECOND.as_ref().ok_or(SealError::Name)?;
        let pair = Keypair::<Ristretto>::generate(&mut Random(entropy));
        let secret = pair.secret().expose_scalar();
        let blinding = key.shared().as_element() * secret;
        let powers = (pair.public().as_element(), second.as_element() * secret);
        let mark = mark.unwrap_or_else(|| entropy.bits128());
        let ephemeral = element_octets(&powers.0);
        let beside = side.beside(link);
        let name_key = name_key(side, &blinding, &ephemeral, beside, key)?;
        let bound_to = beside.as_str().as_bytes();
        let sealed = seal_name(&name_key, [0; 12], bound_to, side.sealed(link)).map_err(|_| SealError::Name)?;
        let mut transcript = transcript(side, key, beside, &mark, &sealed);
        let proof =
            LogEqualityProof::new(second, pair.secret(), powers, &mut transcript, &mut Random(entropy)).to_bytes();
        let proof = proof.try_into().map_err(|_| SealError::Name)?;
        Ok(Self { ephemeral, second: element_octets(&powers.1), proof, mark, sealed })
    }

    /// Checks that it was sealed for this pseudonym and this key. What name is in it cannot be checked.
    ///
    /// # Errors
    /// [`SealError::NotForThis`], [`SealError::Purpose`]
    pub fn check(&self, pseudonym: &UserUri, key: &OperatorsKey) -> Result<CheckedSeal, SealError> {
        self.check_side(Side::Account, pseudonym, key)
    }

    pub(super) fn check_side(
        &self,
        side: Side,
        beside: &UserUri,
        key: &OperatorsKey,
    ) -> Result<CheckedSeal, SealError> {
        check_purpose(key)?;
        let element = |octets: &[u8; 32]| read_element(&mut Reader::new(octets)).map_err(|_| SealError::NotForThis);
        let second = SECOND.as_ref().ok_or(SealError::NotForThis)?;
        // The identity would open to a key that everybody knows.
        PublicKey::<Ristretto>::from_bytes(&self.ephemeral).map_err(|_| SealError::NotForThis)?;
        let powers = (element(&self.ephemeral)?, element(&self.second)?);
        let proof = LogEqualityProof::from_bytes(&self.proof).ok_or(SealError::NotForThis)?;
        let mut transcript = transcript(side, key, beside, &self.mark, &self.sealed);
        proof.verify(second, powers, &mut transcript).map_err(|_| SealError::NotForThis)?;
        Ok(CheckedSeal {
            side,
            ephemeral: powers.0,
            sealed: self.sealed.clone(),
            owner: OwnerMark::restore(self.mark, beside.clone()),
            beside: beside.clone(),
            key: key.clone(),
        })
    }

    /// What the owner of the pseudonym is given at registration, to recognise an opening.
    pub fn owner_mark(&self, pseudonym: &UserUri) -> OwnerMark {
        OwnerMark::restore(self.mark, pseudonym.clone())
    }
}

impl CheckedSeal {
    /// The mark by which an entry in the log names this pseudonym, or this account.
    pub fn owner_mark(&self) -> &OwnerMark {
        &self.owner
    }

    /// As a ciphertext of nothing: shares in opening it are shares of the blinding element.
    pub(super) fn ciphertext(&self) -> Ciphertext {
        Ciphertext::from_elements(self.ephemeral, self.ephemeral)
    }
}

fn check_purpose(key: &OperatorsKey) -> Result<(), SealError> {
    if key.purpose() == Purpose::Opening { Ok(()) } else { Err(SealError::Purpose) }
}

/// The key of the sealed name, which is used once.
pub(super) fn name_key(
    side: Side,
    blinding: &Element,
    ephemeral: &[u8; 32],
    beside: &UserUri,
    key: &OperatorsKey,
) -> Result<zeroize::Zeroizing<[u8; 32]>, SealError> {
    let purpose: [&[u8]; 4] = [side.label(), key.id(), ephemeral, beside.as_str().as_bytes()];
    derive(&element_octets(blinding), &purpose).map_err(|_| SealError::Name)
}

fn transcript(side: Side, key: &OperatorsKey, beside: &UserUri, mark: &[u8; 16], sealed: &[u8]) -> Transcript {
    let mut transcript = Transcript::new(side.label());
    transcript.append_message(b"key", key.id());
    transcript.append_message(b"pseudonym", beside.as_str().as_bytes());
    transcript.append_message(b"mark", mark);
    transcript.append_message(b"sealed", sealed);
    transcript
}

/// `opaque ephemeral[32]; opaque second[32]; opaque proof[64]; opaque mark[16]; opaque sealed[272]`
impl Wire for SealedAccount {
    const MAX_LEN: usize = 32 + 32 + 64 + 16 + SEALED;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ephemeral: reader.array()?,
            second: reader.array()?,
            proof: reader.array()?,
            mark: reader.array()?,
            sealed: reader.take(SEALED)?.to_vec(),
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.ephemeral);
        writer.raw(&self.second);
        writer.raw(&self.proof);
        writer.raw(&self.mark);
        writer.raw(&self.sealed);
    }
}
