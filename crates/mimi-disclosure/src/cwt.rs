//! SD-CWT as a format of disclosure.

use std::collections::BTreeSet;

use coset_sd_cwt::{
    AcceptParams, ConfirmationError, Credential, DisclosureKind, Label, Limits, NoAeadKeys, PathStep, PresentParams,
    SignatureAlgorithm, SigningFailed, TrustedIssuer, UnverifiedCredential, UnverifiedPresentation, VerifyParams,
};
use mimi_credential::check_claims;
use mimi_pseudonym::{Claims, MessageContext, PublicKey, SignatureScheme, Signer, Timestamp};

use crate::{
    CLOCK_LEEWAY, ClaimFault, HoldError, Holding, KEY_BINDING_MAX_AGE, PresentError, Selection, VerifyError,
    held::Shown,
    mapping::{self, TokenValue},
};

const ISS: i64 = 1;
const EXP: i64 = 4;
const IAT: i64 = 6;

/// A signer of this workspace as one of COSE.
pub(crate) struct CoseSigner<'a> {
    signer: &'a dyn Signer,
    key: coset_sd_cwt::PublicKey,
}

/// Takes a token from an issuer.
pub(crate) fn hold(token: &[u8], holding: &Holding<'_>) -> Result<(Credential, Shown), HoldError> {
    let token = UnverifiedCredential::parse(token, &Limits::default())?;
    let keys: Vec<_> = holding.trust.issuer_keys(holding.domain).into_iter().map(|(_, key)| key).collect();
    let issuers = issuers(&mapping::issuer_name(holding.domain), &keys);
    let holder_key = cose_key(holding.key).ok_or(HoldError::KeyScheme)?;
    let credential = token.accept(&AcceptParams {
        issuers: &issuers,
        holder_key: &holder_key,
        now: seconds(holding.now),
        leeway: leeway(),
        aead_keys: &NoAeadKeys,
    })?;
    if !is_complete(credential.claims()) {
        return Err(HoldError::Incomplete);
    }
    let is_hidden = |label: &Label| credential.find(&[PathStep::Key(label.clone())]).is_some();
    let plain = read(credential.claims(), &is_hidden)?;
    check_claims(&plain, holding.domain).map_err(ClaimFault::from)?;
    let hidden = credential.disclosures().iter().filter(|disclosure| disclosure.kind() == DisclosureKind::Claim);
    let hidden: BTreeSet<_> = hidden
        .filter_map(|disclosure| match disclosure.path() {
            [PathStep::Key(label)] => mapping::of_cwt(label),
            _ => None,
        })
        .collect();
    let shown = Shown { domain: holding.domain.clone(), plain: plain.names().collect(), hidden };
    Ok((credential, shown))
}

/// Presents the selected claims, which the token allows, with a key binding for the context.
pub(crate) fn present(
    credential: &Credential,
    shown: &Shown,
    selection: &Selection,
    context: &MessageContext,
    signer: &dyn Signer,
    now: Timestamp,
) -> Result<Vec<u8>, PresentError> {
    let signer = CoseSigner::new(signer).ok_or(PresentError::WrongKey)?;
    let hidden = selection.names().intersection(&shown.hidden).filter_map(|name| mapping::cwt_label(*name));
    let chosen = hidden
        .filter_map(|label| credential.find_claim(label))
        .fold(coset_sd_cwt::Selection::nothing(), coset_sd_cwt::Selection::disclose);
    let params = PresentParams {
        audience: context.room().as_str(),
        nonce: context.nonce().as_bytes(),
        issued_at: seconds(now),
        additional: &[],
    };
    // Randomness is only for encrypted disclosures, of which there are none.
    let mut unused = |_: &mut [u8]| {};
    Ok(credential.present(&chosen, &params, &signer, &mut unused)?)
}

/// Verifies a presentation by one of these keys of the domain of the context's sender. Gives all it discloses.
pub(crate) fn verify(
    octets: &[u8],
    keys: &[PublicKey],
    context: &MessageContext,
    now: Timestamp,
) -> Result<Claims, VerifyError> {
    let presentation = UnverifiedPresentation::parse(octets, &Limits::default()).map_err(VerifyError::SdCwtForm)?;
    let holder = cose_key(context.sender_key()).ok_or(VerifyError::WrongKey)?;
    let verified = presentation
        .verify(&VerifyParams {
            issuers: &issuers(&mapping::issuer_name(context.sender().domain()), keys),
            audience: context.room().as_str(),
            credential_audiences: &[],
            nonce: context.nonce().as_bytes(),
            now: seconds(now),
            leeway: leeway(),
            holder_keys: std::slice::from_ref(&holder),
            aead_keys: &NoAeadKeys,
        })
        .map_err(|error| match error {
            coset_sd_cwt::VerifyError::Confirmation(ConfirmationError::UnknownThumbprint) => VerifyError::WrongKey,
            error => VerifyError::SdCwt(error),
        })?;
    if *verified.holder_key() != holder {
        return Err(VerifyError::WrongKey);
    }
    if !is_complete(verified.claims()) {
        return Err(VerifyError::Incomplete);
    }
    let oldest = now.before(KEY_BINDING_MAX_AGE).before(CLOCK_LEEWAY);
    let made = verified.binding_claims().claim(IAT).and_then(|iat| iat.as_integer());
    if made.is_none_or(|made| made < i128::from(oldest.as_secs())) {
        return Err(VerifyError::KeyBindingAge);
    }
    // What is encrypted for someone else cannot be held against the policy.
    if verified.sealed() > 0 {
        return Err(ClaimFault::Unmapped.into());
    }
    Ok(read(verified.claims(), &|_| false)?)
}

fn issuers(name: &str, keys: &[PublicKey]) -> Vec<TrustedIssuer> {
    let keys = keys.iter().filter_map(cose_key);
    keys.map(|key| TrustedIssuer { name: name.to_owned(), key }).collect()
}

/// Without issuer, a token could be another provider's; without end it would never expire.
fn is_complete(claims: &coset_sd_cwt::Claims) -> bool {
    claims.claim(ISS).is_some() && claims.claim(EXP).is_some()
}

/// Reads the claims, save those to be passed over, and refuses whatever else there is. The types of `iss`, `aud`, `exp`,
/// `nbf`, `iat`, `cti` and `cnonce` have been checked.
fn read(claims: &coset_sd_cwt::Claims, skip: &dyn Fn(&Label) -> bool) -> Result<Claims, ClaimFault> {
    let mut read = Claims::default();
    for (label, value) in claims.iter().filter(|(label, _)| !skip(label)) {
        match label {
            Label::Int(1 | 3..=7 | 39) => {}
            Label::Int(8) if is_only_key(value) => {}
            // vct
            Label::Int(11) if value.as_text().is_some() => {}
            label => {
                let claim = mapping::of_cwt(&label).ok_or(ClaimFault::Unmapped)?;
                let flag = value.as_bool().map(TokenValue::Flag);
                read.insert(claim, mapping::of_token(claim, value.as_text().map(TokenValue::Text).or(flag))?);
            }
        }
    }
    Ok(read)
}

/// Whether a `cnf` says nothing beside the key: a COSE_Key has room for a name.
fn is_only_key(cnf: coset_sd_cwt::Claim<'_>) -> bool {
    let is_parameter = |label: &Label| matches!(label, Label::Int(1 | 3 | -1 | -2 | -3));
    match cnf.entries().as_deref() {
        Some([(Label::Int(1), key)]) => {
            key.entries().is_some_and(|parameters| parameters.iter().all(|(label, _)| is_parameter(label)))
        }
        Some([(Label::Int(5), _)]) => true,
        _ => false,
    }
}

pub(crate) fn cose_key(key: &PublicKey) -> Option<coset_sd_cwt::PublicKey> {
    let algorithm = match key.scheme() {
        SignatureScheme::Ed25519 => SignatureAlgorithm::Ed25519,
        SignatureScheme::EcdsaP256Sha256 => SignatureAlgorithm::Esp256,
        _ => return None,
    };
    coset_sd_cwt::PublicKey::from_bytes(algorithm, key.as_bytes()).ok()
}

pub(crate) fn seconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn leeway() -> u32 {
    u32::try_from(CLOCK_LEEWAY.as_secs()).unwrap_or(u32::MAX)
}

impl<'a> CoseSigner<'a> {
    pub(crate) fn new(signer: &'a dyn Signer) -> Option<Self> {
        Some(Self { signer, key: cose_key(signer.public_key())? })
    }
}

impl coset_sd_cwt::Signer for CoseSigner<'_> {
    fn public_key(&self) -> coset_sd_cwt::PublicKey {
        self.key.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        let signature = self.signer.sign(message).map_err(|_| SigningFailed)?;
        match self.key.algorithm() {
            SignatureAlgorithm::Esp256 => {
                let signature = p256::ecdsa::Signature::from_der(&signature).map_err(|_| SigningFailed)?;
                Ok(signature.to_bytes().to_vec())
            }
            _ => Ok(signature),
        }
    }
}
