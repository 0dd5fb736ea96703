//! The encoding of certificates (RFC 5280, section 4.1), over the types of `x509-cert`.

use std::time::Duration;

use der::{
    DateTime, Decode, Encode, EncodeValue, Sequence, Tagged,
    asn1::{Any, BitString, Ia5String, ObjectIdentifier, OctetString, PrintableStringRef, SetOfVec},
    oid::AssociatedOid,
};
use mimi_pseudonym::{Domain, PublicKey, SignatureScheme, Timestamp};
use ring::digest::{SHA256, digest};
use x509_cert::{
    Version,
    attr::AttributeTypeAndValue,
    ext::{
        Extension,
        pkix::{BasicConstraints, KeyUsage, KeyUsages, SubjectKeyIdentifier, name::GeneralName},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned},
    time::{Time, Validity},
};

use super::IssueError;
use crate::directory;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const DOMAIN_COMPONENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A distinguished name.
pub(super) type Subject = Vec<SetOfVec<AttributeTypeAndValue>>;

#[derive(Sequence)]
pub(super) struct Certificate {
    pub(super) content: ToBeSigned,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) signature: BitString,
}

#[derive(Sequence)]
pub(super) struct ToBeSigned {
    #[asn1(context_specific = "0", default = "Default::default")]
    pub(super) version: Version,
    pub(super) serial: SerialNumber,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) issuer: Subject,
    pub(super) validity: Validity,
    pub(super) subject: Subject,
    pub(super) key: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3")]
    pub(super) extensions: Vec<Extension>,
}

pub(super) fn uri(text: &str) -> Result<GeneralName, IssueError> {
    Ok(GeneralName::UniformResourceIdentifier(Ia5String::new(text)?))
}

pub(super) fn common_name(text: &str) -> Result<SetOfVec<AttributeTypeAndValue>, IssueError> {
    attribute(COMMON_NAME, &text.to_owned())
}

pub(super) fn time(moment: Timestamp) -> der::Result<Time> {
    DateTime::from_unix_duration(Duration::from_secs(moment.as_secs())).map(Time::from)
}

/// The domain as domain components (RFC 4519, section 2.4), and the key's identifier, so that authorities with
/// different keys have different names.
pub(super) fn authority_name(domain: &Domain, key: &PublicKey) -> Result<Subject, IssueError> {
    let mut name = Subject::new();
    for label in domain.as_str().rsplit('.') {
        name.push(attribute(DOMAIN_COMPONENT, &Ia5String::new(label)?)?);
    }
    let identifier: String = key_identifier(key)?.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    name.push(attribute(COMMON_NAME, &PrintableStringRef::new(&identifier)?)?);
    Ok(name)
}

pub(super) fn authority_extensions(key: &PublicKey) -> Result<Vec<Extension>, IssueError> {
    Ok(vec![
        extension(true, &BasicConstraints { ca: true, path_len_constraint: None })?,
        extension(true, &KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?,
        extension(false, &SubjectKeyIdentifier(key_identifier(key)?))?,
    ])
}

fn attribute<T: Tagged + EncodeValue>(
    oid: ObjectIdentifier,
    value: &T,
) -> Result<SetOfVec<AttributeTypeAndValue>, IssueError> {
    Ok(SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value: Any::encode_from(value)? }])?)
}

pub(super) fn extension<T: AssociatedOid + Encode>(critical: bool, value: &T) -> Result<Extension, IssueError> {
    Ok(Extension { extn_id: T::OID, critical, extn_value: OctetString::new(value.to_der()?)? })
}

/// That the subject is at least 18 years old. The extension is never critical (RFC 5280, section 4.2.1.8).
pub(super) fn age_over_18() -> Result<Extension, IssueError> {
    let extn_value = OctetString::new(directory::age_over_18()?)?;
    Ok(Extension { extn_id: directory::SUBJECT_DIRECTORY_ATTRIBUTES, critical: false, extn_value })
}

/// The leftmost 160 bits of the SHA-256 of the public key (RFC 7093, section 2).
pub(super) fn key_identifier(key: &PublicKey) -> Result<OctetString, IssueError> {
    let hash = digest(&SHA256, key.as_bytes());
    Ok(OctetString::new(hash.as_ref().get(..20).ok_or(IssueError::Encoding)?)?)
}

pub(super) fn algorithm(scheme: SignatureScheme) -> Result<AlgorithmIdentifierOwned, IssueError> {
    let oid = match scheme {
        SignatureScheme::Ed25519 => ED25519,
        SignatureScheme::EcdsaP256Sha256 => ECDSA_SHA256,
        _ => return Err(IssueError::Encoding),
    };
    Ok(AlgorithmIdentifierOwned { oid, parameters: None })
}

pub(super) fn subject_of(name: &Name) -> Result<Subject, IssueError> {
    Ok(Subject::from_der(&name.to_der()?)?)
}
