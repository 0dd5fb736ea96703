use std::{borrow::Cow, fmt, ops::Range};

use super::{error::ParseError, jwt::Parts};

/// How large a token may be. `Default` suits a presentation in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of the token: 256 KiB.
    pub length: usize,
    /// Disclosures: 1,000.
    pub disclosures: usize,
    /// How deep objects and arrays are nested, disclosed ones counted where they stand: 16. Every level takes stack,
    /// so more than 128 are never allowed.
    pub depth: usize,
    /// Signatures in the general JSON serialization: 4.
    pub signatures: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { length: 256 * 1024, disclosures: 1000, depth: 16, signatures: 4 }
    }
}

impl Limits {
    pub(super) fn max_depth(&self) -> usize {
        self.depth.min(128)
    }
}

/// An SD-JWT, perhaps with a Key Binding JWT, that has the right form and is otherwise not verified. `Debug` shows no
/// content.
#[derive(Clone)]
pub struct UnverifiedSdJwt<'a> {
    text: Cow<'a, str>,
    disclosures: Vec<Range<usize>>,
    /// Header and signature of the further signatures of the general JSON serialization.
    pub(super) more_signatures: Vec<(String, String)>,
    /// Names of parameters of the unprotected header that belongs to each signature.
    pub(super) unprotected: Vec<Vec<String>>,
    pub(super) limits: Limits,
}

impl<'a> UnverifiedSdJwt<'a> {
    /// Reads the compact serialization (RFC 9901, section 4): `<issuer's JWT>~<disclosure>~…~<key binding, or nothing>`.
    ///
    /// # Errors
    /// [`ParseError`] if it is larger than `limits`, or not of that form.
    pub fn parse(token: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if token.len() > limits.length {
            return Err(ParseError::TooLong);
        }
        Self::from_text(str::from_utf8(token).map_err(|_| ParseError::Parts)?.into(), limits)
    }

    pub(super) fn from_text(text: Cow<'a, str>, limits: &Limits) -> Result<Self, ParseError> {
        let mut parts = text.split('~');
        let jwt = parts.next().unwrap_or_default();
        Parts::of(jwt).ok_or(ParseError::Parts)?;
        let mut start = jwt.len() + 1;
        let mut ranges = Vec::new();
        for part in parts {
            if ranges.len() > limits.disclosures {
                return Err(ParseError::TooManyDisclosures);
            }
            ranges.push(start..start + part.len());
            start += part.len() + 1;
        }
        // The last part is the key binding, or empty; a bare JWT has not even that.
        let key_binding = ranges.pop().and_then(|range| text.get(range)).ok_or(ParseError::Parts)?;
        if ranges.iter().any(Range::is_empty) || !(key_binding.is_empty() || Parts::of(key_binding).is_some()) {
            return Err(ParseError::Parts);
        }
        Ok(Self { text, disclosures: ranges, more_signatures: Vec::new(), unprotected: Vec::new(), limits: *limits })
    }

    /// Keeps a copy of what it was read from.
    pub fn into_owned(self) -> UnverifiedSdJwt<'static> {
        UnverifiedSdJwt { text: Cow::Owned(self.text.into_owned()), ..self }
    }

    /// How many disclosures there are.
    pub fn disclosure_count(&self) -> usize {
        self.disclosures.len()
    }

    /// Whether there is a Key Binding JWT.
    pub fn has_key_binding(&self) -> bool {
        self.key_binding().is_some()
    }

    /// The compact serialization, with the first signature if there are several.
    pub fn compact(&self) -> &str {
        &self.text
    }

    /// The issuer's JWT and the disclosures, each followed by `~`: what the key binding is over.
    pub(super) fn presented(&self) -> &str {
        self.text.rsplit_once('~').and_then(|(before, _)| self.text.get(..=before.len())).unwrap_or_default()
    }

    /// The issuer's JWT.
    pub(super) fn jwt(&self) -> Option<Parts<'_>> {
        Parts::of(self.text.split('~').next()?)
    }

    /// The disclosures as they were sent.
    pub(super) fn disclosures(&self) -> impl ExactSizeIterator<Item = &str> {
        self.disclosures.iter().map(|range| self.text.get(range.clone()).unwrap_or_default())
    }

    /// The Key Binding JWT.
    pub(super) fn key_binding(&self) -> Option<Parts<'_>> {
        Parts::of(self.text.rsplit_once('~')?.1)
    }
}

impl fmt::Debug for UnverifiedSdJwt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedSdJwt")
            .field("disclosures", &self.disclosures.len())
            .field("key_binding", &self.has_key_binding())
            .finish_non_exhaustive()
    }
}
