//! Signing JWTs.

use mimi_pseudonym::{SignError, SignatureScheme, Signer};

use super::{base64url, json::write_string, key::JwsAlgorithm};

/// Signs a payload; `key_id` is left out where it is empty.
pub(super) fn sign_jwt(
    token_type: &str,
    key_id: &str,
    payload: &str,
    signer: &dyn Signer,
) -> Result<String, SignError> {
    let scheme = signer.public_key().scheme();
    let algorithm = JwsAlgorithm::of(scheme).ok_or(SignError)?;
    let mut header = String::from("{\"alg\":");
    write_string(algorithm.name(), &mut header);
    header.push_str(",\"typ\":");
    write_string(token_type, &mut header);
    if !key_id.is_empty() {
        header.push_str(",\"kid\":");
        write_string(key_id, &mut header);
    }
    header.push('}');
    let mut jwt = format!("{}.{}", base64url::encode(header.as_bytes()), base64url::encode(payload.as_bytes()));
    let signature = signer.sign(jwt.as_bytes())?;
    let signature = match scheme {
        SignatureScheme::EcdsaP256Sha256 => fixed(&signature).ok_or(SignError)?.to_vec(),
        _ => signature,
    };
    jwt.push('.');
    jwt.push_str(&base64url::encode(&signature));
    Ok(jwt)
}

/// An ECDSA signature on P-256 as JWS has it (RFC 7518, section 3.4), from DER: `SEQUENCE { INTEGER r, INTEGER s }`.
fn fixed(der: &[u8]) -> Option<[u8; 64]> {
    let body = match der {
        [0x30, length, body @ ..] if usize::from(*length) == body.len() => body,
        _ => return None,
    };
    let (r, rest) = integer(body)?;
    let (s, rest) = integer(rest)?;
    let mut out = [0; 64];
    let (left, right) = out.split_at_mut(32);
    left.get_mut(32usize.checked_sub(r.len())?..)?.copy_from_slice(r);
    right.get_mut(32usize.checked_sub(s.len())?..)?.copy_from_slice(s);
    rest.is_empty().then_some(out)
}

/// The octets of an INTEGER without leading zeros, and what follows it.
fn integer(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [0x02, length, rest @ ..] => (usize::from(*length), rest),
        _ => return None,
    };
    let (octets, rest) = rest.split_at_checked(length)?;
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    Some((octets.get(start..)?, rest))
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{SeededEntropy, SigningKey};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Over many keys, so that r and s with leading zeros and with their highest bit set come up.
        #[test]
        fn what_is_signed_verifies_in_the_form_of_jws(seed in any::<[u8; 32]>(), payload in "[a-z]{0,8}") {
            for scheme in [SignatureScheme::Ed25519, SignatureScheme::EcdsaP256Sha256] {
                let key = SigningKey::generate(scheme, &mut SeededEntropy::new(seed)).unwrap();
                let jwt = sign_jwt("kb+jwt", "", &payload, &key).unwrap();
                let (signed, signature) = jwt.rsplit_once('.').unwrap();
                let signature = base64url::decode(signature).unwrap();
                prop_assert_eq!(signature.len(), 64);
                let algorithm = JwsAlgorithm::of(scheme).unwrap();
                prop_assert!(algorithm.verifies(key.public_key().as_bytes(), signed.as_bytes(), &signature));
            }
        }
    }

    #[test]
    fn short_integers_are_filled_with_zeros() {
        let der = [0x30, 7, 2, 1, 5, 2, 2, 0, 0x80];
        let fixed = fixed(&der).unwrap();
        assert_eq!((fixed[31], fixed[63]), (5, 0x80));
        assert_eq!(fixed.iter().filter(|octet| **octet != 0).count(), 2);
        assert_eq!(super::fixed(&der[..8]), None);
        assert_eq!(super::fixed(&[0x30, 3, 2, 1, 5]), None);
    }
}
