//! The `sd-cwt` crate, over the same signature backend.
//!
//! By itself it takes digests over the bare array of a disclosure, which the draft's examples do not; given a hasher
//! that adds the head of the byte string, it reads and makes tokens that agree with the examples.

use coset_sd_cwt::{Backend, PublicKey, SignatureVerifier};
use ring::digest::{SHA256, digest};

/// SHA-256 over the byte string of a disclosure, head included.
pub struct WholeHasher;

impl sd_cwt::RedactionHasher for WholeHasher {
    fn algorithm(&self) -> i64 {
        -16
    }

    fn digest(&self, data: &[u8]) -> Vec<u8> {
        let length = data.len();
        let head = match length {
            0..=23 => vec![0x40 | length as u8],
            24..=0xff => vec![0x58, length as u8],
            _ => vec![0x59, (length >> 8) as u8, length as u8],
        };
        digest(&SHA256, &[&head, data].concat()).as_ref().to_vec()
    }
}

pub struct TheirVerifier(pub PublicKey);

impl cose2::Verifier for TheirVerifier {
    fn alg(&self) -> Option<cose2::Label> {
        Some(self.0.algorithm().id().into())
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), cose2::Error> {
        Backend.verify(&self.0, data, signature).map_err(|_| cose2::Error::verify("mismatch"))
    }
}

/// Verifies the signature of an SD-CWT and restores its claims.
pub fn restore(token: &[u8], issuer: &TheirVerifier, mode: sd_cwt::RestoreMode) -> Result<cbor2::Value, cose2::Error> {
    let message = sd_cwt::verify_and_decode_sd_cwt(issuer, token, None, sd_cwt::ProcessingLimits::default())?;
    let disclosures = sd_cwt::disclosures_from_unprotected(&message.unprotected)?;
    Ok(sd_cwt::restore_payload_with_disclosures(&message, disclosures, &WholeHasher, mode)?.value)
}

/// Verifies both signatures of a presentation and restores the claims; no rule on times, audience or nonce.
pub fn verify(token: &[u8], issuer: &TheirVerifier, holder: &TheirVerifier) -> Result<cbor2::Value, cose2::Error> {
    let binding = cose2::Sign1Message::verify_and_decode(holder, token, None)?;
    let kcwt = binding.protected.get(13).ok_or_else(|| cose2::Error::verify("no kcwt"))?;
    let credential = cbor2::to_vec(kcwt).map_err(|_| cose2::Error::verify("kcwt"))?;
    restore(&credential, issuer, sd_cwt::RestoreMode::Verifier)
}
