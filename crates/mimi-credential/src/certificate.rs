use der::{
    Decode, Encode,
    asn1::{Any, BitString, ObjectIdentifier},
    oid::AssociatedOid,
};
use mimi_pseudonym::{PublicKey, SignatureScheme, Timestamp};
use x509_cert::{
    Certificate, Version,
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, name::GeneralName},
    name::Name,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::Time,
};

use crate::{CertificateChain, CredentialError};

/// `id-kp-imUri`, RFC 9734, section 3.
pub(crate) const IM_URI: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.40");

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// One certificate, parsed and not verified.
#[derive(Clone)]
pub(crate) struct Parsed {
    certificate: Certificate,
}

impl Parsed {
    pub(crate) fn from_der(octets: &[u8]) -> Result<Self, CredentialError> {
        let certificate = Certificate::from_der(octets).map_err(|_| CredentialError::Malformed)?;
        if certificate.tbs_certificate().version() == Version::V3 {
            Ok(Self { certificate })
        } else {
            Err(CredentialError::Malformed)
        }
    }

    /// The certificates of a chain: the leaf, and those above it.
    pub(crate) fn from_chain(chain: &CertificateChain) -> Result<(Self, Vec<Self>), CredentialError> {
        let mut parsed = chain.certificates().iter().map(|one| Self::from_der(one));
        let leaf = parsed.next().ok_or(CredentialError::Malformed)??;
        Ok((leaf, parsed.collect::<Result<_, _>>()?))
    }

    #[cfg(feature = "count")]
    pub(crate) fn is_signed_with_ed25519(&self) -> bool {
        self.certificate.signature_algorithm().oid == ED25519
    }

    pub(crate) fn subject(&self) -> &Name {
        self.certificate.tbs_certificate().subject()
    }

    pub(crate) fn issuer(&self) -> &Name {
        self.certificate.tbs_certificate().issuer()
    }

    pub(crate) fn key_info(&self) -> &SubjectPublicKeyInfoOwned {
        self.certificate.tbs_certificate().subject_public_key_info()
    }

    /// Whether the subject's key is this one, by scheme and octets.
    pub(crate) fn has_key(&self, key: &PublicKey) -> bool {
        key_info(key).is_ok_and(|expected| expected == *self.key_info())
    }

    pub(crate) fn not_before(&self) -> Timestamp {
        timestamp(self.certificate.tbs_certificate().validity().not_before)
    }

    /// The last second of validity, as its beginning.
    pub(crate) fn not_after(&self) -> Timestamp {
        timestamp(self.certificate.tbs_certificate().validity().not_after)
    }

    pub(crate) fn is_authority(&self) -> Result<bool, CredentialError> {
        Ok(self.extension::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca))
    }

    pub(crate) fn may_sign_certificates(&self) -> Result<bool, CredentialError> {
        Ok(self.extension::<KeyUsage>()?.is_some_and(|usage| usage.key_cert_sign()))
    }

    pub(crate) fn may_sign(&self) -> Result<bool, CredentialError> {
        Ok(self.extension::<KeyUsage>()?.is_some_and(|usage| usage.digital_signature()))
    }

    pub(crate) fn is_for_messaging(&self) -> Result<bool, CredentialError> {
        Ok(self.extension::<ExtendedKeyUsage>()?.is_some_and(|usage| usage.0.contains(&IM_URI)))
    }

    pub(crate) fn alternative_names(&self) -> Result<Vec<GeneralName>, CredentialError> {
        Ok(self.extension::<SubjectAltName>()?.map(|names| names.0).unwrap_or_default())
    }

    pub(crate) fn has_unique_ids(&self) -> bool {
        let certificate = self.certificate.tbs_certificate();
        certificate.issuer_unique_id().is_some() || certificate.subject_unique_id().is_some()
    }

    /// Every extension with its content.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = (ObjectIdentifier, &[u8])> {
        let extensions = self.certificate.tbs_certificate().extensions().into_iter().flatten();
        extensions.map(|extension| (extension.extn_id, extension.extn_value.as_bytes()))
    }

    fn extension<'a, T>(&'a self) -> Result<Option<T>, CredentialError>
    where
        T: Decode<'a, Error = der::Error> + AssociatedOid,
    {
        let extension = self.certificate.tbs_certificate().get_extension::<T>();
        Ok(extension.map_err(|_| CredentialError::Malformed)?.map(|(_, value)| value))
    }
}

/// The SubjectPublicKeyInfo of a key (RFC 8410, section 4; RFC 5480, section 2).
pub(crate) fn key_info(key: &PublicKey) -> der::Result<SubjectPublicKeyInfoOwned> {
    let algorithm = match key.scheme() {
        SignatureScheme::Ed25519 => AlgorithmIdentifierOwned { oid: ED25519, parameters: None },
        SignatureScheme::EcdsaP256Sha256 => {
            AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(Any::encode_from(&P256)?) }
        }
        _ => return Err(der::ErrorKind::Failed.into()),
    };
    Ok(SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(key.as_bytes())? })
}

pub(crate) fn octets(value: &impl Encode) -> Result<Vec<u8>, CredentialError> {
    value.to_der().map_err(|_| CredentialError::Malformed)
}

fn timestamp(time: Time) -> Timestamp {
    Timestamp::from_secs(time.to_unix_duration().as_secs())
}
