use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use mimi_pseudonym::{DecodeError, Domain, PublicKey, Reader, SignatureScheme, Timestamp, Wire, Writer};
use ring::digest::{Context, SHA256};

use crate::{
    CertificateChain, CredentialError,
    certificate::{Parsed, key_info, octets},
};

/// Who may certify whom: anchors, and for each the domains it may speak for (draft-mahy-mimi-pseudonyms-00,
/// section 4). It is a device's own; in a room that names anchors, [`TrustStore::for_room`] counts.
///
/// At most 32 anchors, each of at most 8,192 octets and with at most 64 domains. The encoding is
/// `{ uint8 version = 1; Anchor anchors<V>; }` with `Anchor = { opaque certificate<V>; Domain domains<V>; }`,
/// both lists in ascending order, so that equal stores have equal octets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrustStore {
    pub(crate) anchors: BTreeMap<Vec<u8>, Anchor>,
}

/// An anchor, with what is read from its certificate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) domains: BTreeSet<Domain>,
    subject: Vec<u8>,
    key_info: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// Which anchor stands at the end of a path: the SHA-256 of its SubjectPublicKeyInfo and subject. An anchor whose
/// certificate is renewed stays the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerId([u8; 32]);

/// Why a certificate is no anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// It is no X.509 v3 certificate in DER, or octets are left after it.
    #[error("the anchor is malformed")]
    Malformed,
    /// It has more than 8,192 octets.
    #[error("an anchor has at most 8192 octets, this one has {0}")]
    Length(usize),
    /// It is no CA certificate.
    #[error("the anchor is no certificate authority")]
    NotAnAuthority,
    /// Its keyUsage lacks keyCertSign.
    #[error("the anchor's key is not for certificates")]
    MissingCertSign,
    /// It may speak for no domain, or for more than 64.
    #[error("an anchor speaks for 1 to 64 domains, this one for {0}")]
    Domains(usize),
    /// There are 32 already.
    #[error("a trust store has at most 32 anchors")]
    Full,
}

impl TrustStore {
    const MAX_ANCHORS: usize = 32;
    const MAX_DOMAINS: usize = 64;

    /// Adds an anchor, which is a CA certificate in DER, and the domains it may speak for. An anchor that is there
    /// already gets these domains besides its own. Its dates are looked at when a path is verified.
    ///
    /// # Errors
    /// [`AnchorError`] says why the certificate is no anchor.
    pub fn with_anchor(mut self, der: &[u8], domains: impl IntoIterator<Item = Domain>) -> Result<Self, AnchorError> {
        let mut anchor = Anchor::read(der)?;
        anchor.domains.extend(domains);
        if let Some(known) = self.anchors.get(der) {
            anchor.domains.extend(known.domains.iter().cloned());
        } else if self.anchors.len() == Self::MAX_ANCHORS {
            return Err(AnchorError::Full);
        }
        if anchor.domains.is_empty() || anchor.domains.len() > Self::MAX_DOMAINS {
            return Err(AnchorError::Domains(anchor.domains.len()));
        }
        self.anchors.insert(der.to_vec(), anchor);
        Ok(self)
    }

    /// Whether some anchor may speak for the domain.
    pub fn speaks_for(&self, domain: &Domain) -> bool {
        self.anchors.values().any(|anchor| anchor.domains.contains(domain))
    }

    /// The keys of the anchors that may speak for the domain, each with the anchor it is of: what a token of the
    /// domain's provider may be signed with. A key of a scheme that [`PublicKey`] does not have is left out. Dates are
    /// not looked at; a leaf whose verified path ends in the same anchor says that it is valid.
    pub fn issuer_keys(&self, domain: &Domain) -> Vec<(IssuerId, PublicKey)> {
        let trusted = self.anchors.values().filter(|anchor| anchor.domains.contains(domain));
        trusted.filter_map(|anchor| Some((anchor.id(), anchor.public_key()?))).collect()
    }

    /// The anchors a path may end in: named as an issuer in it, trusted for the domain, and valid now.
    pub(crate) fn candidates(
        &self,
        issuers: &[Vec<u8>],
        domain: &Domain,
        now: Timestamp,
    ) -> Result<Vec<(&[u8], &Anchor)>, CredentialError> {
        let named = |anchor: &&Anchor| issuers.contains(&anchor.subject);
        let trusted = |anchor: &&Anchor| named(anchor) && anchor.domains.contains(domain);
        if !self.anchors.values().any(|anchor| named(&anchor)) {
            return Err(CredentialError::UntrustedIssuer);
        }
        let candidates: Vec<_> =
            self.anchors.iter().map(|(der, anchor)| (der.as_slice(), anchor)).filter(|(_, a)| trusted(a)).collect();
        let newest = candidates.iter().map(|(_, anchor)| anchor.not_before).max();
        let Some(newest) = newest else { return Err(CredentialError::NotTrustedForDomain) };
        let valid: Vec<_> = candidates.into_iter().filter(|(_, anchor)| anchor.is_valid(now)).collect();
        match valid.is_empty() {
            false => Ok(valid),
            true if now < newest => Err(CredentialError::NotYetValid),
            true => Err(CredentialError::Expired),
        }
    }

    /// Whether a key is an anchor's own.
    pub(crate) fn has_key(&self, key_info: &[u8]) -> bool {
        self.anchors.values().any(|anchor| anchor.key_info == key_info)
    }
}

impl Anchor {
    pub(crate) fn read(der: &[u8]) -> Result<Self, AnchorError> {
        if der.len() > CertificateChain::MAX_OCTETS {
            return Err(AnchorError::Length(der.len()));
        }
        let malformed = |_| AnchorError::Malformed;
        let parsed = Parsed::from_der(der).map_err(malformed)?;
        if !parsed.is_authority().map_err(malformed)? {
            return Err(AnchorError::NotAnAuthority);
        }
        if !parsed.may_sign_certificates().map_err(malformed)? {
            return Err(AnchorError::MissingCertSign);
        }
        Ok(Self {
            domains: BTreeSet::new(),
            subject: octets(parsed.subject()).map_err(malformed)?,
            key_info: octets(parsed.key_info()).map_err(malformed)?,
            not_before: parsed.not_before(),
            not_after: parsed.not_after(),
        })
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && now.as_secs() <= self.not_after.as_secs()
    }

    /// The key, if it is one whose SubjectPublicKeyInfo this is.
    fn public_key(&self) -> Option<PublicKey> {
        [SignatureScheme::Ed25519, SignatureScheme::EcdsaP256Sha256].into_iter().find_map(|scheme| {
            let start = self.key_info.len().checked_sub(scheme.public_key_length())?;
            let key = PublicKey::new(scheme, self.key_info.get(start..)?).ok()?;
            (octets(&key_info(&key).ok()?).ok()? == self.key_info).then_some(key)
        })
    }

    pub(crate) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(crate) fn id(&self) -> IssuerId {
        let mut hash = Context::new(&SHA256);
        hash.update(&self.key_info);
        hash.update(&self.subject);
        let mut id = [0; 32];
        for (to, from) in id.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        IssuerId(id)
    }
}

impl IssuerId {
    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerId(")?;
        for byte in self.0.iter().take(8) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}", self.id(), self.domains)
    }
}

impl Wire for TrustStore {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rule = |rule| DecodeError::Rule { field: "anchors", rule };
        match reader.u8()? {
            1 => {}
            value => return Err(DecodeError::Value { field: "version", value: value.into() }),
        }
        let mut anchors = Reader::new(reader.vector()?);
        let mut store = Self::default();
        while !anchors.is_empty() {
            let certificate = anchors.vector()?;
            let domains: Vec<Domain> = anchors.list()?;
            if store.anchors.last_key_value().is_some_and(|(last, _)| last.as_slice() >= certificate)
                || !domains.is_sorted_by(|one, next| one < next)
            {
                return Err(rule("not in ascending order"));
            }
            store = store.with_anchor(certificate, domains).map_err(|error| match error {
                AnchorError::Length(_) | AnchorError::Domains(_) | AnchorError::Full => rule("out of bounds"),
                _ => rule("no anchor certificate"),
            })?;
        }
        Ok(store)
    }

    fn write(&self, writer: &mut Writer) {
        let mut anchors = Writer::default();
        for (certificate, anchor) in &self.anchors {
            anchors.vector(certificate);
            anchors.list(&anchor.domains);
        }
        writer.u8(1);
        writer.vector(&anchors.into_octets());
    }
}
