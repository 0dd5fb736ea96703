use std::collections::BTreeMap;

use ciborium::Value;
use thiserror::Error;

use crate::cbor::{ARRAY, CborError, MAP, write_bytes, write_head, write_integer, write_text};
use crate::credential::{Credential, Disclosure, DisclosureKind};
use crate::header::{KCWT, SD_AEAD_ENCRYPTED_CLAIMS, SD_CLAIMS, TYP, TYP_KB_CWT};
use crate::registered::{AUD, CNONCE, CTI, Date, IAT, Registered};
use crate::sign1;
use crate::{AeadKey, Entropy, Label, RegisteredClaimError, Signer, SigningFailed, TimeError};

/// Why a presentation is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PresentError {
    /// The signer has another key than the one the SD-CWT is bound to.
    #[error("the signer is not the key of the SD-CWT")]
    OtherKey,
    /// A disclosure that is not of this credential.
    #[error("a disclosure of another credential")]
    ForeignDisclosure,
    /// A decoy was chosen: to disclose it would only tell that it is one.
    #[error("a decoy was chosen")]
    Decoy,
    /// A plain disclosure lies within an encrypted one: who cannot open that would refuse the whole.
    #[error("a plain disclosure within an encrypted one")]
    PlainWithinSealed,
    /// The key for an encrypted disclosure is not of the algorithm in the SD-CWT's `sd_aead`.
    #[error("the key is not of the algorithm of sd_aead")]
    AeadAlgorithm,
    /// An additional claim that is `iss`, `sub`, `aud`, `iat`, `cti`, `cnf` or `cnonce`, or that stands twice, or whose
    /// value cannot be encoded.
    #[error("an additional claim that may not be given")]
    AdditionalClaim,
    /// The registered claims of the SD-CWT or of the token to be made.
    #[error(transparent)]
    Claims(#[from] RegisteredClaimError),
    /// The token would break a rule on times.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The signer, or the cipher, failed.
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

/// What a presentation says beside its disclosures.
#[derive(Debug, Clone, Copy)]
pub struct PresentParams<'a> {
    /// The verifier.
    pub audience: &'a str,
    /// The verifier's nonce.
    pub nonce: &'a [u8],
    /// When the presentation is made (`iat`), in seconds since 1970-01-01T00:00:00Z.
    pub issued_at: i64,
    /// Further claims, such as `exp` (4), `nbf` (5), or those of a profile.
    pub additional: &'a [(Label, Value)],
}

/// The disclosures to present, some perhaps encrypted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    chosen: Vec<(Disclosure, Option<AeadKey>)>,
}

impl Selection {
    /// Nothing disclosed.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Everything but decoys.
    #[must_use]
    pub fn everything(credential: &Credential) -> Self {
        let real = credential.disclosures().iter().filter(|disclosure| disclosure.kind() != DisclosureKind::Decoy);
        real.fold(Self::nothing(), Self::disclose)
    }

    /// Adds a disclosure. Those within which it lies are presented too, and with them what they hold in the clear.
    #[must_use]
    pub fn disclose(mut self, disclosure: &Disclosure) -> Self {
        self.chosen.push((disclosure.clone(), None));
        self
    }

    /// Adds a disclosure that only holders of the key can open. Those within which it lies are presented in the clear
    /// unless they were added as encrypted too.
    #[must_use]
    pub fn seal(mut self, disclosure: &Disclosure, key: &AeadKey) -> Self {
        self.chosen.push((disclosure.clone(), Some(key.clone())));
        self
    }

    /// The disclosures to send by index, with their keys.
    fn resolve(&self, credential: &Credential) -> Result<BTreeMap<usize, Option<&AeadKey>>, PresentError> {
        let mut chosen = BTreeMap::new();
        for (disclosure, key) in &self.chosen {
            if credential.disclosures.get(disclosure.index) != Some(disclosure) {
                return Err(PresentError::ForeignDisclosure);
            }
            if disclosure.kind() == DisclosureKind::Decoy {
                return Err(PresentError::Decoy);
            }
            if key.as_ref().is_some_and(|key| key.algorithm() != credential.aead) {
                return Err(PresentError::AeadAlgorithm);
            }
            chosen.insert(disclosure.index, key.as_ref());
        }
        let mut all = chosen.clone();
        for (&index, key) in &chosen {
            let mut plain = key.is_none();
            let mut at = index;
            while let Some(parent) = credential.disclosures.get(at).and_then(|disclosure| disclosure.parent) {
                let parent_plain = all.entry(parent).or_insert(None).is_none();
                if plain && !parent_plain {
                    return Err(PresentError::PlainWithinSealed);
                }
                plain |= parent_plain;
                at = parent;
            }
        }
        Ok(all)
    }
}

impl Credential {
    /// Makes a key binding token (`application/kb+cwt`) that presents the selected disclosures to one verifier.
    /// Two presentations of one SD-CWT can be told to be of the same holder.
    ///
    /// # Errors
    /// [`PresentError`].
    pub fn present(
        &self,
        selection: &Selection,
        params: &PresentParams<'_>,
        signer: &dyn Signer,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, PresentError> {
        let key = signer.public_key();
        if key != self.holder_key {
            return Err(PresentError::OtherKey);
        }
        let chosen = selection.resolve(self)?;
        let payload = binding_payload(params)?;
        self.check_times(&payload, params.issued_at)?;

        let unprotected = self.unprotected(&chosen, entropy)?;
        let credential = sign1::encode(&self.protected, &unprotected, &self.payload, &self.signature);
        let mut protected = Vec::with_capacity(credential.len() + 16);
        write_head(&mut protected, MAP, 3);
        write_integer(&mut protected, 1);
        write_integer(&mut protected, key.algorithm().id());
        write_integer(&mut protected, KCWT as i64);
        protected.extend_from_slice(&credential);
        write_integer(&mut protected, TYP as i64);
        write_integer(&mut protected, TYP_KB_CWT);
        let signature = signer.sign(&sign1::to_be_signed(&protected, &payload))?;
        Ok(sign1::encode(&protected, &[0xa0], &payload, &signature))
    }

    fn check_times(&self, payload: &[u8], now: i64) -> Result<(), PresentError> {
        let mut credential = Registered::scan(&self.payload)?;
        if let Some(header) = &self.header_claims {
            credential = credential.or(Registered::scan(header)?);
        }
        Ok(Registered::scan(payload)?.check_binding(&credential, Date::from_seconds(now), 0)?)
    }

    fn unprotected(
        &self,
        chosen: &BTreeMap<usize, Option<&AeadKey>>,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, PresentError> {
        let (mut plain, mut sealed) = (Vec::new(), Vec::new());
        for (&index, key) in chosen {
            let disclosure = self.encoded.get(index).ok_or(PresentError::ForeignDisclosure)?;
            match key {
                None => plain.push(disclosure),
                Some(key) => {
                    let mut nonce = [0; 12];
                    entropy.fill(&mut nonce);
                    let (text, tag) = key.seal(nonce, disclosure).ok_or(SigningFailed)?;
                    sealed.push((nonce, text, tag));
                }
            }
        }
        let count = self.others.len() + usize::from(!plain.is_empty()) + usize::from(!sealed.is_empty());
        let mut out = Vec::new();
        write_head(&mut out, MAP, count as u64);
        self.others.iter().for_each(|entry| out.extend_from_slice(entry));
        if !plain.is_empty() {
            write_integer(&mut out, SD_CLAIMS as i64);
            write_head(&mut out, ARRAY, plain.len() as u64);
            plain.iter().for_each(|disclosure| out.extend_from_slice(disclosure));
        }
        if !sealed.is_empty() {
            write_integer(&mut out, SD_AEAD_ENCRYPTED_CLAIMS as i64);
            write_head(&mut out, ARRAY, sealed.len() as u64);
            for (nonce, text, tag) in &sealed {
                write_head(&mut out, ARRAY, 3);
                write_bytes(&mut out, nonce);
                write_bytes(&mut out, text);
                write_bytes(&mut out, tag);
            }
        }
        Ok(out)
    }
}

fn binding_payload(params: &PresentParams<'_>) -> Result<Vec<u8>, PresentError> {
    let mut out = Vec::new();
    write_head(&mut out, MAP, 3 + params.additional.len() as u64);
    write_integer(&mut out, AUD as i64);
    write_text(&mut out, params.audience);
    write_integer(&mut out, IAT as i64);
    write_integer(&mut out, params.issued_at);
    write_integer(&mut out, CNONCE as i64);
    write_bytes(&mut out, params.nonce);
    for (label, value) in params.additional {
        if let Label::Int(label) = label
            && [1, 2, 8].contains(label) | [AUD, IAT, CTI, CNONCE].iter().any(|own| i128::from(*own) == *label)
        {
            return Err(PresentError::AdditionalClaim);
        }
        let key = match label {
            Label::Int(label) => ciborium::value::Integer::try_from(*label).map(Value::Integer).ok(),
            Label::Text(label) => Some(Value::from(label.as_str())),
        };
        let key = key.ok_or(PresentError::AdditionalClaim)?;
        ciborium::into_writer(&key, &mut out).map_err(|_| PresentError::AdditionalClaim)?;
        ciborium::into_writer(value, &mut out).map_err(|_| PresentError::AdditionalClaim)?;
    }
    let mut scratch = Vec::with_capacity(out.len());
    let checked: Result<(), CborError> = crate::cbor::Reader::new(&out).copy(&mut scratch, 1, 16);
    checked.map_err(|_| PresentError::AdditionalClaim)?;
    Ok(out)
}
