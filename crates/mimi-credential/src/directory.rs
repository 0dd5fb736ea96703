//! The extension subjectDirectoryAttributes (RFC 5280, section 4.2.1.8), for claims that are no name: what it says of the
//! subject stands in the attribute userClass (RFC 4524, section 2.25), whose values are for a profile to define.

use der::{
    Decode,
    asn1::{Any, ObjectIdentifier},
};
use x509_cert::{attr::Attribute, ext::pkix::name::DirectoryString};

use crate::CredentialError;

/// subjectDirectoryAttributes
pub(crate) const SUBJECT_DIRECTORY_ATTRIBUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.9");
const USER_CLASS: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.8");
/// The class of people that are at least 18 years old: the claim's name.
const AGE_OVER_18: &str = "age-over-18";

/// What the extension says.
#[derive(Default)]
pub(crate) struct Classes {
    pub(crate) age_over_18: bool,
    /// There is another attribute or another class, or none at all.
    pub(crate) unmapped: bool,
}

impl Classes {
    pub(crate) fn read(extension: &[u8]) -> Result<Self, CredentialError> {
        let attributes = Vec::<Attribute>::from_der(extension).map_err(|_| CredentialError::Malformed)?;
        let mut classes = Self { unmapped: attributes.is_empty(), ..Self::default() };
        for attribute in attributes {
            for value in attribute.values.iter() {
                if attribute.oid != USER_CLASS || class(value)? != AGE_OVER_18 {
                    classes.unmapped = true;
                } else if std::mem::replace(&mut classes.age_over_18, true) {
                    return Err(CredentialError::MixedNames);
                }
            }
            classes.unmapped |= attribute.values.is_empty();
        }
        Ok(classes)
    }
}

fn class(value: &Any) -> Result<String, CredentialError> {
    let text = DirectoryString::try_from(value).map_err(|_| CredentialError::MalformedName)?;
    Ok(text.value().into_owned())
}

/// The content of the extension that says that its subject is at least 18 years old.
#[cfg(feature = "issuer")]
pub(crate) fn age_over_18() -> der::Result<Vec<u8>> {
    use der::{Encode, asn1::SetOfVec};
    let values = SetOfVec::try_from(vec![Any::encode_from(&AGE_OVER_18.to_owned())?])?;
    vec![Attribute { oid: USER_CLASS, values }].to_der()
}
