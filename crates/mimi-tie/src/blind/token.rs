use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use super::{AUTHENTICATOR, INPUT, TYPE, request::read_type};

/// A token (RFC 9577, section 2.2): 146 octets. Whoever has it can spend it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    nonce: [u8; 32],
    challenge: [u8; 32],
    key: [u8; 32],
    authenticator: [u8; AUTHENTICATOR],
}

impl Token {
    /// What is authenticated.
    pub(super) fn input(nonce: &[u8; 32], challenge: &[u8; 32], key: &[u8; 32]) -> [u8; INPUT] {
        let mut input = [0; INPUT];
        let parts = TYPE.to_be_bytes().into_iter().chain(*nonce).chain(*challenge).chain(*key);
        for (to, from) in input.iter_mut().zip(parts) {
            *to = from;
        }
        input
    }

    pub(super) fn from_parts(input: [u8; INPUT], authenticator: [u8; AUTHENTICATOR]) -> Self {
        let part = |skip: usize| {
            let mut part = [0; 32];
            for (to, from) in part.iter_mut().zip(input.iter().skip(skip)) {
                *to = *from;
            }
            part
        };
        Self { nonce: part(2), challenge: part(34), key: part(66), authenticator }
    }

    /// What is authenticated.
    pub(super) fn own_input(&self) -> [u8; INPUT] {
        Self::input(&self.nonce, &self.challenge, &self.key)
    }

    pub(super) fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// SHA-256 of the challenge it is for.
    pub fn challenge_digest(&self) -> &[u8; 32] {
        &self.challenge
    }

    /// The id of the issuer's key.
    pub fn key_id(&self) -> &[u8; 32] {
        &self.key
    }

    pub(super) fn authenticator(&self) -> &[u8; AUTHENTICATOR] {
        &self.authenticator
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Wire for Token {
    const MAX_LEN: usize = INPUT + AUTHENTICATOR;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_type(reader)?;
        Ok(Self {
            nonce: reader.array()?,
            challenge: reader.array()?,
            key: reader.array()?,
            authenticator: reader.array()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.own_input());
        writer.raw(&self.authenticator);
    }
}
