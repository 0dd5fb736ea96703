use mimi_pseudonym::{DecodeError, Domain, Reader, Wire, Writer};

use super::{TYPE, sha256};

/// What a token is for (RFC 9577, section 2.1): who issues it, and where it is spent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenChallenge {
    issuer: String,
    redemption_context: Option<[u8; 32]>,
    origins: String,
}

/// A challenge names nobody, or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeError {
    /// No issuer, or a name over 65,535 octets.
    #[error("an issuer has a name of 1 to 65,535 octets")]
    Issuer,
    /// Origins over 65,535 octets.
    #[error("origins take at most 65,535 octets")]
    Origins,
}

impl TokenChallenge {
    /// A challenge with a redemption context, which ties tokens to an occasion, and origins, both of which may be empty.
    ///
    /// # Errors
    /// [`ChallengeError`]
    pub fn new(issuer: &str, redemption_context: Option<[u8; 32]>, origins: &str) -> Result<Self, ChallengeError> {
        if issuer.is_empty() || u16::try_from(issuer.len()).is_err() {
            return Err(ChallengeError::Issuer);
        }
        u16::try_from(origins.len()).map_err(|_| ChallengeError::Origins)?;
        Ok(Self { issuer: issuer.to_owned(), redemption_context, origins: origins.to_owned() })
    }

    /// The challenge for pseudonyms of a provider that issues its own tokens. It has no redemption context, so that all
    /// tokens of the provider are alike.
    pub fn for_pseudonyms(provider: &Domain) -> Self {
        let name = provider.to_string();
        Self { issuer: name.clone(), redemption_context: None, origins: name }
    }

    /// SHA-256 of the encoding, as it stands in a token.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.encode())
    }
}

fn vector16(octets: &[u8], writer: &mut Writer) {
    writer.u16(u16::try_from(octets.len()).unwrap_or(u16::MAX));
    writer.raw(octets);
}

fn text16<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a str, DecodeError> {
    let length = reader.u16()?;
    let octets = reader.take(length.into())?;
    std::str::from_utf8(octets).map_err(|_| DecodeError::Rule { field, rule: "not UTF-8" })
}

impl Wire for TokenChallenge {
    const MAX_LEN: usize = 2 + 2 + 65_535 + 33 + 2 + 65_535;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u16()? {
            TYPE => {}
            value => return Err(DecodeError::Value { field: "token_type", value: value.into() }),
        }
        let issuer = text16(reader, "issuer_name")?;
        let redemption_context = match reader.u8()? {
            0 => None,
            32 => Some(reader.array()?),
            value => return Err(DecodeError::Value { field: "redemption_context", value: value.into() }),
        };
        let origins = text16(reader, "origin_info")?;
        Self::new(issuer, redemption_context, origins)
            .map_err(|_| DecodeError::Rule { field: "issuer_name", rule: "empty" })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u16(TYPE);
        vector16(self.issuer.as_bytes(), writer);
        match &self.redemption_context {
            None => writer.u8(0),
            Some(context) => {
                writer.u8(32);
                writer.raw(context);
            }
        }
        vector16(self.origins.as_bytes(), writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_read_back_and_empty_ones_are_refused() {
        let challenge = TokenChallenge::new("issuer.example", Some([7; 32]), "origin.example").unwrap();
        assert_eq!(TokenChallenge::decode(&challenge.encode()).unwrap(), challenge);
        assert_eq!(TokenChallenge::new("", None, ""), Err(ChallengeError::Issuer));
        assert_eq!(TokenChallenge::new("i", None, &"x".repeat(65_536)), Err(ChallengeError::Origins));
        let mut other_type = challenge.encode();
        if let Some(octet) = other_type.get_mut(1) {
            *octet = 2;
        }
        assert!(matches!(TokenChallenge::decode(&other_type), Err(DecodeError::Value { field: "token_type", .. })));
        let context = [0, 1, 0, 1, b'i', 5, 0, 0];
        assert!(matches!(
            TokenChallenge::decode(&context),
            Err(DecodeError::Value { field: "redemption_context", .. })
        ));
        assert!(matches!(TokenChallenge::decode(&[0, 1, 0, 0, 0, 0, 0]), Err(DecodeError::Rule { .. })));
    }
}
