use std::{fmt, sync::Arc};

use der::{
    Encode,
    asn1::{BitString, Ia5String},
};
use mimi_pseudonym::{ClaimName, Claims, ClientUri, Domain, PublicKey, Signer, Timestamp, UserUri};
use x509_cert::{
    Version,
    ext::{
        Extension,
        pkix::{AuthorityKeyIdentifier, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, name::GeneralName},
    },
    serial_number::SerialNumber,
    time,
};

use self::encoding::{Certificate, Subject, ToBeSigned, extension, uri};
use crate::{
    AnchorError, CertificateChain, ChainError, ClaimError,
    certificate::{IM_URI, Parsed, key_info},
    check_claims,
};

mod encoding;

/// A provider's certificate authority: certifies the clients and the identities of the users of one domain.
pub struct Issuer {
    domain: Domain,
    signer: Arc<dyn Signer>,
    /// Its own certificate first; the last one is the anchor.
    certificates: Vec<Vec<u8>>,
    subject: Subject,
}

/// From when until when a certificate is valid, both included, in whole seconds. Whoever fears clocks that are slow
/// begins a little before the present.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
}

/// Why a certificate is not issued. Names no one: it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The subject is of another domain than the issuer.
    #[error("the subject is of another domain")]
    ForeignDomain,
    /// A pseudonym's client must have a pseudonymous URI, or its rooms could be linked.
    #[error("the client of a pseudonym is not pseudonymous")]
    ClientNotPseudonymous,
    /// An identity certificate is for an account, never for a pseudonym.
    #[error("an identity certificate is for an account")]
    Pseudonym,
    /// The claim is needed and missing, or its value breaks the rules of its kind.
    #[error("the claim {0} is missing or malformed")]
    Claim(ClaimName),
    /// The end lies before the beginning, or after the year 9999.
    #[error("the validity is empty or too long")]
    Validity,
    /// A serial number is positive.
    #[error("a serial number is positive")]
    Serial,
    /// The authority's own certificate is for another key.
    #[error("the certificate of the authority is for another key")]
    WrongKey,
    /// The authority's own certificate cannot be used.
    #[error("the certificate of the authority cannot be used: {0}")]
    Authority(#[from] AnchorError),
    /// The certificates are too many or too long.
    #[error("no chain can be made: {0}")]
    Chain(#[from] ChainError),
    /// The authority's key cannot be used.
    #[error("the key of the authority cannot be used")]
    Sign,
    /// A value has no encoding in DER.
    #[error("a value cannot be encoded")]
    Encoding,
}

impl Issuer {
    /// Founds an authority: makes its self-signed certificate. `serial` is 128 random bits.
    ///
    /// # Errors
    /// [`IssueError::Validity`], [`IssueError::Serial`] or [`IssueError::Sign`].
    pub fn create(
        domain: Domain,
        signer: Arc<dyn Signer>,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Self, IssueError> {
        let subject = encoding::authority_name(&domain, signer.public_key())?;
        let root = Self { domain, signer, certificates: Vec::new(), subject };
        let key = root.signer.public_key();
        let own = root.sign(root.subject.clone(), key, encoding::authority_extensions(key)?, serial, validity)?;
        Ok(Self { certificates: vec![own], ..root })
    }

    /// Takes up an authority again. `certificates` are its own and those above it, up to and with the anchor's.
    ///
    /// # Errors
    /// [`IssueError::Authority`], [`IssueError::WrongKey`] or [`IssueError::Chain`].
    pub fn load(domain: Domain, signer: Arc<dyn Signer>, certificates: Vec<Vec<u8>>) -> Result<Self, IssueError> {
        let own = certificates.first().ok_or(ChainError::Count(0))?;
        let parsed = Parsed::from_der(own).map_err(|_| AnchorError::Malformed)?;
        if !parsed.is_authority().map_err(|_| AnchorError::Malformed)? {
            return Err(AnchorError::NotAnAuthority.into());
        }
        if !parsed.may_sign_certificates().map_err(|_| AnchorError::Malformed)? {
            return Err(AnchorError::MissingCertSign.into());
        }
        if !parsed.has_key(signer.public_key()) {
            return Err(IssueError::WrongKey);
        }
        let subject = encoding::subject_of(parsed.subject())?;
        Ok(Self { domain, signer, certificates, subject })
    }

    /// Founds an authority under this one, for the same domain: the key of this one can then be kept off line.
    ///
    /// # Errors
    /// [`IssueError::Validity`], [`IssueError::Serial`] or [`IssueError::Sign`].
    pub fn delegate(&self, signer: Arc<dyn Signer>, serial: [u8; 16], validity: Validity) -> Result<Self, IssueError> {
        let subject = encoding::authority_name(&self.domain, signer.public_key())?;
        let extensions = encoding::authority_extensions(signer.public_key())?;
        let own = self.sign(subject.clone(), signer.public_key(), extensions, serial, validity)?;
        let certificates = [own].into_iter().chain(self.certificates.iter().cloned()).collect();
        Ok(Self { domain: self.domain.clone(), signer, certificates, subject })
    }

    /// The domain whose users it certifies.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Its key, which also signs what is not a certificate: identity tokens, which are believed by the anchor's key.
    pub fn signer(&self) -> &dyn Signer {
        self.signer.as_ref()
    }

    /// Its own certificate in DER. For an authority that was founded by [`Issuer::create`] that is the anchor.
    pub fn certificate(&self) -> &[u8] {
        self.certificates.first().map(Vec::as_slice).unwrap_or_default()
    }

    /// Its own certificate and those above it, as [`Issuer::load`] takes them.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Certifies a client of a user, by account or by pseudonym. The subject is empty; nothing in the certificate
    /// leads from a pseudonym to its account. `serial` is 128 random bits: it must not be derived from either.
    ///
    /// # Errors
    /// [`IssueError`] says why it is not issued.
    pub fn issue_leaf(
        &self,
        user: &UserUri,
        client: &ClientUri,
        public_key: &PublicKey,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<CertificateChain, IssueError> {
        if *user.domain() != self.domain || *client.domain() != self.domain {
            return Err(IssueError::ForeignDomain);
        }
        if user.is_pseudonym() && !client.is_pseudonym() {
            return Err(IssueError::ClientNotPseudonymous);
        }
        let names = vec![uri(user.as_str())?, uri(client.as_str())?];
        self.issue(Subject::new(), names, Vec::new(), public_key, serial, validity)
    }

    /// Certifies claims about an account, for a key that the account's client uses in a leaf.
    /// [`ClaimName::UserUri`] must be among them. A certificate is shown as a whole: one is needed for each set of
    /// claims that is ever to be disclosed.
    ///
    /// # Errors
    /// [`IssueError`] says why it is not issued.
    pub fn issue_identity(
        &self,
        claims: &Claims,
        public_key: &PublicKey,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<CertificateChain, IssueError> {
        let user = check_claims(claims, &self.domain).map_err(|error| match error {
            ClaimError::Pseudonym => IssueError::Pseudonym,
            ClaimError::ForeignDomain(ClaimName::UserUri) => IssueError::ForeignDomain,
            ClaimError::Malformed(name) | ClaimError::ForeignDomain(name) => IssueError::Claim(name),
        })?;
        let user = user.ok_or(IssueError::Claim(ClaimName::UserUri))?;
        let mut subject = Subject::new();
        let mut alternative_names = Vec::new();
        let mut further = Vec::new();
        for (name, value) in claims.iter() {
            match name {
                ClaimName::UserUri => alternative_names.push(uri(user.as_str())?),
                ClaimName::Handle => alternative_names.push(uri(value)?),
                ClaimName::DisplayName => subject.push(encoding::common_name(value)?),
                ClaimName::Email => alternative_names.push(GeneralName::Rfc822Name(Ia5String::new(value)?)),
                ClaimName::AgeOver18 => further.push(encoding::age_over_18()?),
                _ => return Err(IssueError::Claim(name)),
            }
        }
        self.issue(subject, alternative_names, further, public_key, serial, validity)
    }

    fn issue(
        &self,
        subject: Subject,
        alternative_names: Vec<GeneralName>,
        further: Vec<Extension>,
        public_key: &PublicKey,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<CertificateChain, IssueError> {
        let mut extensions = vec![
            extension(true, &KeyUsage(KeyUsages::DigitalSignature.into()))?,
            extension(false, &ExtendedKeyUsage(vec![IM_URI]))?,
            extension(subject.is_empty(), &SubjectAltName(alternative_names))?,
        ];
        extensions.extend(further);
        let own = self.sign(subject, public_key, extensions, serial, validity)?;
        // The anchor is known to whoever trusts it, and stays out.
        let above = self.certificates.split_last().map(|(_, above)| above).unwrap_or_default();
        Ok([own].into_iter().chain(above.iter().cloned()).collect::<Vec<_>>().try_into()?)
    }

    fn sign(
        &self,
        subject: Subject,
        key: &PublicKey,
        mut extensions: Vec<Extension>,
        serial: [u8; 16],
        validity: Validity,
    ) -> Result<Vec<u8>, IssueError> {
        if serial == [0; 16] {
            return Err(IssueError::Serial);
        }
        let key_identifier = Some(encoding::key_identifier(self.signer.public_key())?);
        extensions.push(extension(false, &AuthorityKeyIdentifier { key_identifier, ..Default::default() })?);
        let algorithm = encoding::algorithm(self.signer.public_key().scheme())?;
        let content = ToBeSigned {
            version: Version::V3,
            serial: SerialNumber::new(&serial)?,
            algorithm: algorithm.clone(),
            issuer: self.subject.clone(),
            validity: validity.encodable()?,
            subject,
            key: key_info(key)?,
            extensions,
        };
        let signature = self.signer.sign(&content.to_der()?).map_err(|_| IssueError::Sign)?;
        Ok(Certificate { content, algorithm, signature: BitString::from_bytes(&signature)? }.to_der()?)
    }
}

impl Validity {
    fn encodable(self) -> Result<time::Validity, IssueError> {
        if self.not_after < self.not_before {
            return Err(IssueError::Validity);
        }
        let encodable = |moment| encoding::time(moment).map_err(|_| IssueError::Validity);
        Ok(time::Validity::new(encodable(self.not_before)?, encodable(self.not_after)?))
    }
}

impl From<der::Error> for IssueError {
    fn from(_: der::Error) -> Self {
        Self::Encoding
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("domain", &self.domain)
            .field("public_key", self.signer.public_key())
            .finish_non_exhaustive()
    }
}
