use thiserror::Error;

use crate::cbor::{CborError, Key, KeySet, Reader};
use crate::{KeyError, PublicKey};

/// What is wrong with a `cnf` claim (RFC 8747).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfirmationError {
    /// There is no `cnf` in the payload.
    #[error("no cnf claim")]
    Missing,
    /// Malformed CBOR.
    #[error("malformed cnf: {0}")]
    Cbor(#[from] CborError),
    /// The COSE_Key cannot be used.
    #[error("the key of cnf: {0}")]
    Key(#[from] KeyError),
    /// Neither a COSE_Key (1) nor a thumbprint (5).
    #[error("cnf names neither a COSE_Key nor a thumbprint")]
    Unsupported,
    /// Both a COSE_Key and a thumbprint: a `cnf` names one key.
    #[error("cnf names its key twice")]
    Ambiguous,
    /// The thumbprint is not 32 bytes long.
    #[error("a thumbprint of the wrong length")]
    ThumbprintLength,
    /// None of the given keys has the thumbprint.
    #[error("no key with the thumbprint of cnf")]
    UnknownThumbprint,
}

/// The key that an SD-CWT is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confirmation {
    Key(PublicKey),
    Thumbprint([u8; 32]),
}

impl Confirmation {
    pub(crate) fn parse(cnf: Option<&[u8]>) -> Result<Self, ConfirmationError> {
        let mut reader = Reader::new(cnf.ok_or(ConfirmationError::Missing)?);
        let mut keys = KeySet::default();
        let mut found = None;
        for _ in 0..reader.map()? {
            let key = reader.key()?;
            keys.insert(key)?;
            let named = match key {
                Key::Uint(1) => Self::Key(PublicKey::read(&mut reader)?),
                Key::Uint(5) => {
                    let thumbprint = reader.bytes()?.try_into().map_err(|_| ConfirmationError::ThumbprintLength)?;
                    Self::Thumbprint(thumbprint)
                }
                _ => {
                    reader.skip()?;
                    continue;
                }
            };
            if found.replace(named).is_some() {
                return Err(ConfirmationError::Ambiguous);
            }
        }
        found.ok_or(ConfirmationError::Unsupported)
    }

    /// The key itself; one that is named by thumbprint is looked for among `known`.
    pub(crate) fn resolve(self, known: &[PublicKey]) -> Result<PublicKey, ConfirmationError> {
        match self {
            Self::Key(key) => Ok(key),
            Self::Thumbprint(thumbprint) => known
                .iter()
                .find(|key| key.thumbprint() == thumbprint)
                .cloned()
                .ok_or(ConfirmationError::UnknownThumbprint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignatureAlgorithm;
    use ciborium::Value;

    fn parse(value: &Value) -> Result<Confirmation, ConfirmationError> {
        let mut bytes = Vec::new();
        ciborium::into_writer(value, &mut bytes).unwrap();
        Confirmation::parse(Some(&bytes))
    }

    #[test]
    fn both_forms_name_the_key() {
        let key = PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &[9; 32]).unwrap();
        assert_eq!(parse(&key.to_cnf()).unwrap().resolve(&[]), Ok(key.clone()));
        let by_thumbprint = parse(&key.to_cnf_thumbprint()).unwrap();
        assert_eq!(by_thumbprint.clone().resolve(&[]), Err(ConfirmationError::UnknownThumbprint));
        assert_eq!(by_thumbprint.resolve(std::slice::from_ref(&key)), Ok(key));
    }

    #[test]
    fn every_error() {
        let key = PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &[9; 32]).unwrap();
        let (Value::Map(mut both), Value::Map(thumbprint)) = (key.to_cnf(), key.to_cnf_thumbprint()) else {
            panic!("cnf is a map")
        };
        both.extend(thumbprint);
        assert_eq!(parse(&Value::Map(both)), Err(ConfirmationError::Ambiguous));
        assert_eq!(Confirmation::parse(None), Err(ConfirmationError::Missing));
        assert_eq!(parse(&Value::Map(vec![])), Err(ConfirmationError::Unsupported));
        let kid = Value::Map(vec![(Value::from(3), Value::from(vec![1]))]);
        assert_eq!(parse(&kid), Err(ConfirmationError::Unsupported));
        let short = Value::Map(vec![(Value::from(5), Value::from(vec![1; 31]))]);
        assert_eq!(parse(&short), Err(ConfirmationError::ThumbprintLength));
        assert_eq!(parse(&Value::from(1)), Err(ConfirmationError::Cbor(CborError::WrongType)));
        let empty = Value::Map(vec![(Value::from(1), Value::Map(vec![]))]);
        assert_eq!(parse(&empty), Err(ConfirmationError::Key(KeyError::MissingParameter)));
    }
}
