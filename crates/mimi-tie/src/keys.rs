//! Symmetric keys and ciphers, all of `ring`.

use mimi_pseudonym::UserUri;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

/// Octets that a sealed name takes, whatever the name: its length in an octet, and the name, filled up with zeros.
const PADDED: usize = 256;
/// Octets of a sealed name with its authentication tag.
pub(crate) const SEALED: usize = PADDED + 16;

/// The cipher, its key or its padding does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsealable;

/// A key of 32 octets from a secret and the parts of its purpose, each behind its length.
#[cfg(feature = "threshold")]
pub(crate) fn derive(secret: &[u8], purpose: &[&[u8]]) -> Result<Zeroizing<[u8; 32]>, Unsealable> {
    use ring::hkdf::{HKDF_SHA256, Salt};

    let mut info = Vec::new();
    for part in purpose {
        info.extend_from_slice(&(part.len() as u64).to_be_bytes());
        info.extend_from_slice(part);
    }
    let mut key = Zeroizing::new([0; 32]);
    let pseudorandom = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let info = [info.as_slice()];
    let expanded = pseudorandom.expand(&info, HKDF_SHA256).map_err(|_| Unsealable)?;
    expanded.fill(&mut *key).map_err(|_| Unsealable)?;
    Ok(key)
}

/// HMAC-SHA-256.
pub(crate) fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    let made = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    for (to, from) in tag.iter_mut().zip(made.as_ref()) {
        *to = *from;
    }
    tag
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Unsealable> {
    UnboundKey::new(&CHACHA20_POLY1305, key).map(LessSafeKey::new).map_err(|_| Unsealable)
}

/// Seals an account's name: always the same length.
pub(crate) fn seal_name(
    key: &[u8; 32],
    nonce: [u8; 12],
    bound_to: &[u8],
    account: &UserUri,
) -> Result<Vec<u8>, Unsealable> {
    let name = account.name().as_bytes();
    let mut text = Vec::with_capacity(SEALED);
    text.push(u8::try_from(name.len()).map_err(|_| Unsealable)?);
    text.extend_from_slice(name);
    text.resize(PADDED, 0);
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key)?.seal_in_place_append_tag(nonce, Aad::from(bound_to), &mut text).map_err(|_| Unsealable)?;
    Ok(text)
}

/// Opens what [`seal_name`] sealed. The account is of the same provider as the pseudonym.
pub(crate) fn open_name(
    key: &[u8; 32],
    nonce: [u8; 12],
    bound_to: &[u8],
    sealed: &[u8],
    pseudonym: &UserUri,
) -> Result<UserUri, Unsealable> {
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let text = cipher(key)?.open_in_place(nonce, Aad::from(bound_to), &mut sealed).map_err(|_| Unsealable)?;
    let (length, rest) = text.split_first().ok_or(Unsealable)?;
    let (name, padding) = rest.split_at_checked(usize::from(*length)).ok_or(Unsealable)?;
    if text.len() != PADDED || padding.iter().any(|octet| *octet != 0) {
        return Err(Unsealable);
    }
    let name = std::str::from_utf8(name).map_err(|_| Unsealable)?;
    UserUri::new(pseudonym.domain(), name).map_err(|_| Unsealable)
}
