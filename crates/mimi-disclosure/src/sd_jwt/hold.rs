use std::{collections::BTreeSet, fmt};

use mimi_pseudonym::{PublicKey, SignError, Signer, Timestamp};

use super::{
    confirmation::{Holder, confirmation_key},
    error::{KeyBindingError, SdJwtError},
    hash::HashAlgorithm,
    json::write_string,
    key_binding::KEY_BINDING_TYPE,
    payload::{ProcessedPayload, Registered},
    places::Place,
    process::Processed,
    sign::sign_jwt,
    token::UnverifiedSdJwt,
    verify::TokenExpectations,
};

/// A token that an issuer gave to a holder, verified. `Debug` shows no content.
#[derive(Clone)]
pub struct HeldSdJwt {
    jwt: String,
    disclosures: Vec<String>,
    places: Vec<Place>,
    payload: ProcessedPayload,
    hash: HashAlgorithm,
    key: PublicKey,
}

/// Why a holder does not take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// The token has a key binding, so it is someone's presentation (RFC 9901, section 7.2).
    #[error("the token is a presentation")]
    Presentation,
    /// The token is not for this key.
    #[error("the token is not for this key: {0}")]
    Key(KeyBindingError),
    /// The token does not verify.
    #[error("the token does not verify: {0}")]
    Token(#[from] SdJwtError),
}

/// Why claims cannot be presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresentError {
    /// The token has no disclosure for a pointer.
    #[error("the token has no disclosure for a claim")]
    UnknownClaim,
    /// The signer has another key than the one the token is for.
    #[error("the token is for another key")]
    OtherKey,
    /// The signer failed.
    #[error("the key binding cannot be signed")]
    Sign(#[from] SignError),
}

impl HeldSdJwt {
    /// Verifies a token from an issuer for the holder's key (RFC 9901, section 7.2). The audience of the token, if it
    /// has one, is not looked at.
    ///
    /// # Errors
    /// [`HoldError`].
    pub fn new(
        token: UnverifiedSdJwt<'_>,
        expected: &TokenExpectations<'_>,
        key: &PublicKey,
    ) -> Result<Self, HoldError> {
        if token.has_key_binding() {
            return Err(HoldError::Presentation);
        }
        let Processed { payload, hash, places } = token.verify_token(expected, None, true)?;
        let key =
            confirmation_key(payload.registered(Registered::Confirmation), Holder::Key(key)).map_err(HoldError::Key)?;
        let jwt = token.compact().split('~').next().unwrap_or_default().to_owned();
        let disclosures = token.disclosures().map(str::to_owned).collect();
        Ok(Self { jwt, disclosures, places, payload, hash, key })
    }

    /// Everything that the token says when all is disclosed.
    pub fn payload(&self) -> &ProcessedPayload {
        &self.payload
    }

    /// What can be disclosed or withheld: a JSON Pointer (RFC 6901) into [`payload`](Self::payload) for each
    /// disclosure.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.pointer.as_str())
    }

    /// Presents the claims and elements of these pointers, with a key binding for one audience and nonce. What lies
    /// around a disclosed value is disclosed with it, what lies inside is not.
    ///
    /// # Errors
    /// [`PresentError`].
    pub fn present(
        &self,
        pointers: &[&str],
        audience: &str,
        nonce: &str,
        now: Timestamp,
        signer: &dyn Signer,
    ) -> Result<String, PresentError> {
        if *signer.public_key() != self.key {
            return Err(PresentError::OtherKey);
        }
        let mut chosen = BTreeSet::new();
        for pointer in pointers {
            let place = self.places.iter().find(|place| place.pointer == *pointer).ok_or(PresentError::UnknownClaim)?;
            let mut next = Some(place);
            while let Some(place) = next {
                chosen.insert(place.disclosure);
                next = self.places.iter().find(|outer| Some(outer.disclosure) == place.parent);
            }
        }
        let mut presentation = format!("{}~", self.jwt);
        for disclosure in chosen.into_iter().filter_map(|index| self.disclosures.get(index)) {
            presentation.push_str(disclosure);
            presentation.push('~');
        }
        let mut payload = format!("{{\"iat\":{},\"aud\":", now.as_secs());
        write_string(audience, &mut payload);
        payload.push_str(",\"nonce\":");
        write_string(nonce, &mut payload);
        payload.push_str(",\"sd_hash\":");
        write_string(&self.hash.digest(&presentation), &mut payload);
        payload.push('}');
        presentation.push_str(&sign_jwt(KEY_BINDING_TYPE, "", &payload, signer)?);
        Ok(presentation)
    }
}

impl fmt::Debug for HeldSdJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldSdJwt").field("disclosures", &self.disclosures.len()).finish_non_exhaustive()
    }
}
