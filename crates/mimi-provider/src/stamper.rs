//! A key by which a hub stamps messages. A stamp is made for every message, so it is worth while that the P-256 signature of
//! `ring` takes an eighteenth of the time that portable code takes (17 and 306 microseconds). For Ed25519 it is the other way
//! round (30 and 19).

use mimi_pseudonym::{PublicKey, SignError, SignatureScheme, Signer, SigningKey};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};

pub(crate) enum Stamper {
    Plain(SigningKey),
    /// Two signatures of the same payload differ, and both hold.
    P256(PublicKey, EcdsaKeyPair),
}

impl Stamper {
    /// Reads a key from its 32 secret octets, as [`SigningKey::from_secret`] does.
    ///
    /// # Errors
    /// [`SignError`] if the octets are no scalar of the curve.
    pub(crate) fn from_secret(scheme: SignatureScheme, secret: &[u8; 32]) -> Result<Self, SignError> {
        let key = SigningKey::from_secret(scheme, secret)?;
        if scheme != SignatureScheme::EcdsaP256Sha256 {
            return Ok(Self::Plain(key));
        }
        let public = key.public_key().clone();
        let (curve, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pair = EcdsaKeyPair::from_private_key_and_public_key(curve, secret, public.as_bytes(), &random);
        Ok(Self::P256(public, pair.map_err(|_| SignError)?))
    }
}

impl Signer for Stamper {
    fn public_key(&self) -> &PublicKey {
        match self {
            Self::Plain(key) => key.public_key(),
            Self::P256(public, _) => public,
        }
    }

    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignError> {
        match self {
            Self::Plain(key) => key.sign(payload),
            Self::P256(_, pair) => {
                #[cfg(feature = "record")]
                mimi_pseudonym::count::count(mimi_pseudonym::count::Operation::SignP256Ring, payload.len());
                let signature = pair.sign(&SystemRandom::new(), payload).map_err(|_| SignError)?;
                Ok(signature.as_ref().to_vec())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{CipherSuite, VerifyError};

    use super::*;

    #[test]
    fn what_it_signs_verifies_by_the_same_key_as_ever() {
        for suite in CipherSuite::ALL {
            let scheme = suite.signature_scheme();
            let (stamper, key) = (Stamper::from_secret(scheme, &[7; 32]), SigningKey::from_secret(scheme, &[7; 32]));
            let (stamper, key) = (stamper.unwrap(), key.unwrap());
            assert_eq!(stamper.public_key(), key.public_key(), "a key that is stored stays what rooms know it as");
            let signature = stamper.sign(b"payload").unwrap();
            assert_eq!(key.public_key().verify(b"payload", &signature), Ok(()));
            assert_eq!(key.public_key().verify(b"Payload", &signature), Err(VerifyError));
        }
        assert!(Stamper::from_secret(SignatureScheme::EcdsaP256Sha256, &[0; 32]).is_err());
    }
}
