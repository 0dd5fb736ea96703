use std::collections::HashSet;

use thiserror::Error;

use crate::cbor::Key;
use crate::confirmation::Confirmation;
use crate::expand::{Kind, Trace, expand};
use crate::header::{Headers, Message};
use crate::presentation::{ParseError, all_disclosures, issuer_of, open, registered};
use crate::registered::Date;
use crate::sign1::Sign1;
use crate::{
    AeadAlgorithm, AeadKeys, Backend, Claim, Claims, ConfirmationError, DisclosureError, HashAlgorithm, Label, Limits,
    PublicKey, RegisteredClaimError, SignatureVerifier, TimeError, TrustedIssuer, VerifyError,
};

/// Why a holder does not accept an SD-CWT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// No trusted key has the algorithm that the SD-CWT names.
    #[error("no trusted issuer key for the algorithm of the SD-CWT")]
    NoIssuerKey,
    /// The issuer's signature does not verify under any trusted key.
    #[error("the issuer's signature does not verify")]
    IssuerSignature,
    /// `iss` is not the name of the issuer whose key verified.
    #[error("iss is not the name of the issuer")]
    IssuerName,
    /// A registered claim.
    #[error(transparent)]
    Claims(#[from] RegisteredClaimError),
    /// The `cnf` claim.
    #[error(transparent)]
    Confirmation(#[from] ConfirmationError),
    /// The SD-CWT is bound to another key than the holder's.
    #[error("the SD-CWT is bound to another key")]
    OtherHolder,
    /// A rule on times.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A rule on claims and disclosures.
    #[error(transparent)]
    Disclosure(#[from] DisclosureError),
    /// `sub` is neither there nor possibly redacted.
    #[error("no sub claim")]
    MissingSubject,
    /// A digest without its disclosure: the issuer may be hiding a claim from the holder.
    #[error("a digest without its disclosure")]
    HiddenDigest,
    /// Two disclosures with the same salt.
    #[error("two disclosures with the same salt")]
    RepeatedSalt,
}

/// What a holder must know before it accepts an SD-CWT.
#[derive(Clone, Copy)]
pub struct AcceptParams<'a> {
    /// The issuers that are trusted.
    pub issuers: &'a [TrustedIssuer],
    /// The holder's own key.
    pub holder_key: &'a PublicKey,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// By how many seconds clocks may differ.
    pub leeway: u32,
    /// Keys for encrypted disclosures.
    pub aead_keys: &'a dyn AeadKeys,
}

impl std::fmt::Debug for AcceptParams<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptParams")
            .field("issuers", &self.issuers.len())
            .field("now", &self.now)
            .field("leeway", &self.leeway)
            .finish_non_exhaustive()
    }
}

/// An SD-CWT as it came from its issuer; nothing of it is believed yet.
#[derive(Debug)]
pub struct UnverifiedCredential<'a> {
    sign1: Sign1<'a>,
    headers: Headers<'a>,
    max_depth: u8,
}

impl<'a> UnverifiedCredential<'a> {
    /// Takes an SD-CWT (`application/sd-cwt`) apart.
    ///
    /// # Errors
    /// [`ParseError`].
    pub fn parse(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        if bytes.len() > limits.max_bytes {
            return Err(ParseError::TooLarge);
        }
        let sign1 = Sign1::parse(bytes).map_err(ParseError::Credential)?;
        let headers = Headers::parse(&sign1, Message::Credential, limits).map_err(ParseError::CredentialHeader)?;
        Ok(Self { sign1, headers, max_depth: limits.max_depth })
    }

    /// `iss` as it claims to be; only good for finding the keys to verify with.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<&'a str> {
        registered(&self.sign1, &self.headers).ok()?.iss
    }

    /// `kid` of the protected header, as a hint to the issuer's key.
    #[must_use]
    pub fn issuer_key_id(&self) -> Option<&'a [u8]> {
        self.headers.key_id
    }

    /// The encoded protected header, for parameters such as certificates that this crate passes over.
    #[must_use]
    pub fn issuer_protected(&self) -> &'a [u8] {
        self.sign1.protected
    }

    /// Checks all that the draft's section on holder validation asks and a library can know: the signature, the times,
    /// that the key is the holder's, that digests and disclosures match one to one, and that no salt is repeated.
    /// Whether the claims themselves, `aud` and `cnonce` are right is for the caller to see.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn accept(&self, params: &AcceptParams<'_>) -> Result<Credential, AcceptError> {
        let credential = self.accept_partial(params)?;
        if credential.hidden == 0 { Ok(credential) } else { Err(AcceptError::HiddenDigest) }
    }

    /// As [`UnverifiedCredential::accept`], for an SD-CWT that comes without some of its disclosures. A digest without
    /// a disclosure may be a claim that the holder does not know of: do not use this for what an issuer sends.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub fn accept_partial(&self, params: &AcceptParams<'_>) -> Result<Credential, AcceptError> {
        self.accept_with(params, &Backend)
    }

    fn accept_with(
        &self,
        params: &AcceptParams<'_>,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Credential, AcceptError> {
        let issuer = issuer_of(&self.sign1, &self.headers, params.issuers, verifier).map_err(|error| match error {
            VerifyError::NoIssuerKey => AcceptError::NoIssuerKey,
            _ => AcceptError::IssuerSignature,
        })?;
        let claims = registered(&self.sign1, &self.headers)?;
        if claims.iss.is_some_and(|iss| iss != issuer.name) {
            return Err(AcceptError::IssuerName);
        }
        claims.check_credential_order()?;
        claims.check_credential_now(Date::from_seconds(params.now), params.leeway)?;
        match Confirmation::parse(claims.cnf)?.resolve(std::slice::from_ref(params.holder_key)) {
            Ok(key) if key == *params.holder_key => {}
            Ok(_) | Err(ConfirmationError::UnknownThumbprint) => return Err(AcceptError::OtherHolder),
            Err(error) => return Err(error.into()),
        }
        let (opened, _) = open(&self.headers.sealed, self.headers.aead, params.aead_keys)?;
        let slices = all_disclosures(&self.headers.disclosures, &opened);
        let (hash, header) = (self.headers.hash, self.headers.cwt_claims);
        let mut inventory = Inventory::default();
        let expanded = expand(hash, header, self.sign1.payload, &slices, self.max_depth, &mut inventory)?;
        if !expanded.subject_possible {
            return Err(AcceptError::MissingSubject);
        }
        if inventory.repeated_salt {
            return Err(AcceptError::RepeatedSalt);
        }
        let mut disclosures = inventory.closed;
        disclosures.sort_unstable_by_key(|disclosure| disclosure.index);
        Ok(Credential {
            protected: self.sign1.protected.to_vec(),
            payload: self.sign1.payload.to_vec(),
            signature: self.sign1.signature.to_vec(),
            others: self.headers.others.iter().map(|(label, value)| [*label, *value].concat()).collect(),
            encoded: slices.iter().map(|slice| slice.to_vec()).collect(),
            header_claims: header.map(<[u8]>::to_vec),
            hash,
            aead: self.headers.aead,
            holder_key: params.holder_key.clone(),
            claims: Claims::new(expanded.claims),
            disclosures,
            hidden: expanded.hidden,
        })
    }
}

/// An SD-CWT that its holder has accepted, with its disclosures to choose from.
#[derive(Clone)]
pub struct Credential {
    pub(crate) protected: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// Encoded entries of the unprotected header other than disclosures.
    pub(crate) others: Vec<Vec<u8>>,
    /// Encoded disclosures, each with the head of its byte string.
    pub(crate) encoded: Vec<Vec<u8>>,
    pub(crate) header_claims: Option<Vec<u8>>,
    hash: HashAlgorithm,
    pub(crate) aead: AeadAlgorithm,
    pub(crate) holder_key: PublicKey,
    claims: Claims,
    pub(crate) disclosures: Vec<Disclosure>,
    hidden: usize,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("disclosures", &self.disclosures.len()).finish_non_exhaustive()
    }
}

impl Credential {
    /// Everything the issuer says, disclosed.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What can be disclosed, each item with its place.
    #[must_use]
    pub fn disclosures(&self) -> &[Disclosure] {
        &self.disclosures
    }

    /// The disclosure at a place.
    #[must_use]
    pub fn find(&self, path: &[PathStep]) -> Option<&Disclosure> {
        self.disclosures.iter().find(|disclosure| disclosure.path == path && disclosure.kind != DisclosureKind::Decoy)
    }

    /// The disclosure of a claim at the top.
    #[must_use]
    pub fn find_claim(&self, label: impl Into<Label>) -> Option<&Disclosure> {
        self.find(&[PathStep::Key(label.into())])
    }

    /// How many digests have no disclosure; zero after [`UnverifiedCredential::accept`].
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// The hash that hides claims.
    #[must_use]
    pub fn hash(&self) -> HashAlgorithm {
        self.hash
    }
}

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// Into the value of a key.
    Key(Label),
    /// Into an element. The number counts all elements that the issuer put there, redacted ones and decoys included.
    Index(usize),
}

/// What a disclosure discloses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisclosureKind {
    /// A key of a map, with its value.
    Claim,
    /// An element of an array.
    Element,
    /// Nothing: its digest is a decoy.
    Decoy,
}

/// One disclosure that the holder may present.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    pub(crate) index: usize,
    path: Vec<PathStep>,
    pub(crate) parent: Option<usize>,
    kind: DisclosureKind,
    value: Vec<u8>,
}

impl std::fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disclosure").field("index", &self.index).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Disclosure {
    /// Where it belongs, its own key or index last. A decoy among map keys has the path of its map.
    #[must_use]
    pub fn path(&self) -> &[PathStep] {
        &self.path
    }

    /// What it discloses.
    #[must_use]
    pub fn kind(&self) -> DisclosureKind {
        self.kind
    }

    /// The value, with everything below it disclosed; none for a decoy.
    #[must_use]
    pub fn value(&self) -> Option<Claim<'_>> {
        (self.kind != DisclosureKind::Decoy).then(|| Claim::new(&self.value))
    }

    /// The disclosure within which this one lies, as an index into [`Credential::disclosures`].
    #[must_use]
    pub fn parent(&self) -> Option<usize> {
        self.parent
    }
}

/// Notes what each disclosure discloses.
#[derive(Default)]
struct Inventory {
    path: Vec<PathStep>,
    open: Vec<Disclosure>,
    closed: Vec<Disclosure>,
    salts: HashSet<[u8; 16]>,
    repeated_salt: bool,
}

impl Trace for Inventory {
    fn key(&mut self, key: &Key<'_>) {
        self.path.push(PathStep::Key(Label::from_key(key)));
    }

    fn index(&mut self, index: usize) {
        self.path.push(PathStep::Index(index));
    }

    fn up(&mut self) {
        self.path.pop();
    }

    fn open(&mut self, index: usize, kind: Kind, salt: &[u8]) {
        let new = salt.try_into().is_ok_and(|salt| self.salts.insert(salt));
        self.repeated_salt |= !new;
        let kind = match kind {
            Kind::Claim => DisclosureKind::Claim,
            Kind::Element => DisclosureKind::Element,
            Kind::Decoy => DisclosureKind::Decoy,
        };
        let parent = self.open.last().map(|parent| parent.index);
        self.open.push(Disclosure { index, path: self.path.clone(), parent, kind, value: Vec::new() });
    }

    fn close(&mut self, value: &[u8]) {
        if let Some(mut disclosure) = self.open.pop() {
            disclosure.value = value.to_vec();
            self.closed.push(disclosure);
        }
    }
}
