//! Signatures with a label (RFC 9420, section 5.1.2), which keep a signature made for one purpose from being used for
//! another.

use mimi_pseudonym::{CipherSuite, KeyError, PublicKey, SignError, Signer, VerifyError, Writer};

/// `SignContent`: what is signed.
fn sign_content(label: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.vector(format!("MLS 1.0 {label}").as_bytes());
    writer.vector(content);
    writer.into_octets()
}

/// `SignWithLabel`. The label is given without its prefix `MLS 1.0 `.
///
/// # Errors
/// [`SignError`] if the key cannot be used.
pub fn sign_with_label(signer: &dyn Signer, label: &str, content: &[u8]) -> Result<Vec<u8>, SignError> {
    signer.sign(&sign_content(label, content))
}

/// `VerifyWithLabel`. The label is given without its prefix `MLS 1.0 `.
///
/// # Errors
/// [`VerifyError`] if the signature does not verify.
pub fn verify_with_label(key: &PublicKey, label: &str, content: &[u8], signature: &[u8]) -> Result<(), VerifyError> {
    key.verify(&sign_content(label, content), signature)
}

/// Why a message that carries a signature of its own cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestSignError {
    /// The signer holds another key than the message names, or one the message's cipher suites cannot verify.
    #[error("the signer's key is not the one the message names")]
    Key,
    /// A list in the message is not as the specification wants it.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// The key cannot be used.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Why a message that carries a signature of its own is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestVerifyError {
    /// None of the cipher suites it names is spoken here and has keys of this length.
    #[error("no cipher suite that is spoken here fits the key")]
    CipherSuite,
    /// The key is none.
    #[error("the key is none: {0}")]
    Key(#[from] KeyError),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] VerifyError),
}

/// The key of a message that names several suites: read for the first one that is spoken here and has keys of this
/// length.
pub(crate) fn key_for(codes: &[u16], octets: &[u8]) -> Result<PublicKey, RequestVerifyError> {
    let scheme = codes
        .iter()
        .filter_map(|code| CipherSuite::from_code(*code))
        .map(CipherSuite::signature_scheme)
        .find(|scheme| scheme.public_key_length() == octets.len())
        .ok_or(RequestVerifyError::CipherSuite)?;
    Ok(PublicKey::new(scheme, octets)?)
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{SeededEntropy, SigningKey};

    use super::*;

    #[test]
    fn what_is_signed_has_the_prefix_of_rfc_9420() {
        assert_eq!(sign_content("A", b"b"), b"\x09MLS 1.0 A\x01b");
    }

    #[test]
    fn a_signature_is_good_for_its_label_only() {
        for suite in CipherSuite::ALL {
            let key = SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([5; 32])).unwrap();
            let signature = sign_with_label(&key, "One", b"content").unwrap();
            assert_eq!(verify_with_label(key.public_key(), "One", b"content", &signature), Ok(()));
            assert_eq!(verify_with_label(key.public_key(), "Two", b"content", &signature), Err(VerifyError));
            assert_eq!(verify_with_label(key.public_key(), "One", b"Content", &signature), Err(VerifyError));
        }
    }

    #[test]
    fn a_key_is_read_for_the_first_suite_that_fits() {
        let key = SigningKey::from_secret(CipherSuite::P256Aes128P256.signature_scheme(), &[7; 32]).unwrap();
        let octets = key.public_key().as_bytes();
        assert_eq!(key_for(&[0x5a5a, 1, 2], octets).as_ref(), Ok(key.public_key()));
        assert_eq!(key_for(&[0x5a5a, 1], octets), Err(RequestVerifyError::CipherSuite));
        assert_eq!(key_for(&[2], &[4; 65]), Err(RequestVerifyError::Key(KeyError::Point)));
    }
}
