use mimi_pseudonym::{DecodeError, Reader, Writer};

use super::{opaque, scan};

const BASIC: u16 = 1;
const X509: u16 = 2;

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Facts {
    Basic(Vec<u8>),
    X509(Vec<Vec<u8>>),
}

opaque!(
    /// `Credential` (RFC 9420, section 5.3), basic or X.509; at most 64 KiB.
    Credential,
    Facts,
    1 << 16,
    credential
);

fn credential(reader: &mut Reader<'_>) -> scan::Scan<Facts> {
    match reader.u16()? {
        BASIC => Ok(Facts::Basic(reader.vector()?.to_vec())),
        X509 => Ok(Facts::X509(reader.list()?)),
        value => Err(DecodeError::Value { field: "credential_type", value: value.into() }),
    }
}

impl Credential {
    /// A basic credential.
    pub fn basic(identity: &[u8]) -> Self {
        let mut writer = Writer::default();
        writer.u16(BASIC);
        writer.vector(identity);
        Self { octets: writer.into_octets(), facts: Facts::Basic(identity.to_vec()) }
    }

    /// An X.509 credential from certificates in DER, the leaf's own first.
    pub fn x509(certificates: Vec<Vec<u8>>) -> Self {
        let mut writer = Writer::default();
        writer.u16(X509);
        writer.list(&certificates);
        Self { octets: writer.into_octets(), facts: Facts::X509(certificates) }
    }

    /// 1 for basic, 2 for X.509.
    pub fn credential_type(&self) -> u16 {
        match self.facts {
            Facts::Basic(_) => BASIC,
            Facts::X509(_) => X509,
        }
    }

    /// The identity of a basic credential.
    pub fn identity(&self) -> Option<&[u8]> {
        match &self.facts {
            Facts::Basic(identity) => Some(identity),
            Facts::X509(_) => None,
        }
    }

    /// The certificates of an X.509 credential in DER, the leaf's own first.
    pub fn certificates(&self) -> Option<&[Vec<u8>]> {
        match &self.facts {
            Facts::Basic(_) => None,
            Facts::X509(certificates) => Some(certificates),
        }
    }
}
