use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};
use voprf_ng::{EvaluationElement, Group, Proof, VoprfClient};

use super::{ELEMENT, INPUT, SCALAR, Suite, TYPE, Token, TokenChallenge, sha256};
use crate::random::Random;

type Point = <Suite as Group>::Elem;

/// The public key of an issuer, as everybody must see the same one: 49 octets, SEC1 compressed.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuerKey {
    point: Point,
    octets: [u8; ELEMENT],
}

/// Octets are no issuer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer's key is a compressed point of P-384, not the identity")]
pub struct IssuerKeyError;

impl IssuerKey {
    /// Reads a key.
    ///
    /// # Errors
    /// [`IssuerKeyError`]
    pub fn from_octets(octets: &[u8; ELEMENT]) -> Result<Self, IssuerKeyError> {
        let point = Suite::deserialize_elem(octets).map_err(|_| IssuerKeyError)?;
        Ok(Self { point, octets: *octets })
    }

    pub(super) fn of(point: Point) -> Result<Self, IssuerKeyError> {
        let octets = Suite::serialize_elem(point).as_slice().try_into().map_err(|_| IssuerKeyError)?;
        Ok(Self { point, octets })
    }

    /// The 49 octets.
    pub fn octets(&self) -> &[u8; ELEMENT] {
        &self.octets
    }

    /// SHA-256 of the octets: names the key in tokens.
    pub fn id(&self) -> [u8; 32] {
        sha256(&self.octets)
    }

    /// The last octet of the id: names the key in requests.
    pub(super) fn short_id(&self) -> u8 {
        self.id().last().copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuerKey({:02x})", self.short_id())
    }
}

/// What the client asks the issuer for (RFC 9578, section 5.1): 52 octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    pub(super) short_id: u8,
    pub(super) blinded: [u8; ELEMENT],
}

/// What the issuer answers (RFC 9578, section 5.2): 145 octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenResponse {
    pub(super) evaluated: [u8; ELEMENT],
    pub(super) proof: [u8; 2 * SCALAR],
}

/// What the client keeps until the answer is there. Secret: it ties the token to the request.
pub struct PendingToken {
    client: VoprfClient<Suite>,
    input: [u8; INPUT],
    key: IssuerKey,
}

/// An answer makes no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// It is not the issuer's: the proof does not hold for its public key.
    #[error("the proof does not hold for the issuer's key")]
    Proof,
    /// The input cannot be blinded, which happens for one in about 2^384.
    #[error("the input cannot be blinded")]
    Blinding,
}

impl TokenRequest {
    /// Asks for a token for a challenge. Draws the token's nonce (32 octets), then the blinding scalar.
    ///
    /// # Errors
    /// [`FinishError::Blinding`] for one input in about 2^384.
    pub fn new(
        key: &IssuerKey,
        challenge: &TokenChallenge,
        entropy: &mut dyn Entropy,
    ) -> Result<(Self, PendingToken), FinishError> {
        let nonce = entropy.bits256();
        let input = Token::input(&nonce, &challenge.digest(), &key.id());
        let blinded = VoprfClient::<Suite>::blind(&input, &mut Random(entropy)).map_err(|_| FinishError::Blinding)?;
        let octets = blinded.message.serialize();
        let request = Self {
            short_id: key.short_id(),
            blinded: octets.as_slice().try_into().map_err(|_| FinishError::Blinding)?,
        };
        Ok((request, PendingToken { client: blinded.state, input, key: key.clone() }))
    }
}

impl PendingToken {
    /// Makes the token of the answer.
    ///
    /// # Errors
    /// [`FinishError::Proof`] if the answer was not made with the issuer's key.
    pub fn finish(self, response: &TokenResponse) -> Result<Token, FinishError> {
        let evaluated = EvaluationElement::<Suite>::deserialize(&response.evaluated).map_err(|_| FinishError::Proof)?;
        let proof = Proof::<Suite>::deserialize(&response.proof).map_err(|_| FinishError::Proof)?;
        let output = self.client.finalize(&self.input, &evaluated, &proof, self.key.point);
        let output = output.map_err(|_| FinishError::Proof)?;
        let authenticator = output.as_slice().try_into().map_err(|_| FinishError::Proof)?;
        Ok(Token::from_parts(self.input, authenticator))
    }
}

impl std::fmt::Debug for PendingToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PendingToken(..)")
    }
}

/// Reads the token type, which can only be 0x0001.
pub(super) fn read_type(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.u16()? {
        TYPE => Ok(()),
        value => Err(DecodeError::Value { field: "token_type", value: value.into() }),
    }
}

impl Wire for TokenRequest {
    const MAX_LEN: usize = 2 + 1 + ELEMENT;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_type(reader)?;
        Ok(Self { short_id: reader.u8()?, blinded: reader.array()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u16(TYPE);
        writer.u8(self.short_id);
        writer.raw(&self.blinded);
    }
}

impl Wire for TokenResponse {
    const MAX_LEN: usize = ELEMENT + 2 * SCALAR;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { evaluated: reader.array()?, proof: reader.array()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.evaluated);
        writer.raw(&self.proof);
    }
}
