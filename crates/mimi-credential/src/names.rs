use der::asn1::ObjectIdentifier;
use mimi_pseudonym::{AnyUri, ClientUri, UserUri};
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

use crate::{
    CredentialError,
    certificate::Parsed,
    directory::{Classes, SUBJECT_DIRECTORY_ATTRIBUTES},
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Extensions that say nothing of the person: basicConstraints, keyUsage, extKeyUsage, subjectAltName (read name by
/// name), the two key identifiers, cRLDistributionPoints and authorityInfoAccess.
const NEUTRAL: [ObjectIdentifier; 8] = [
    ObjectIdentifier::new_unwrap("2.5.29.14"),
    ObjectIdentifier::new_unwrap("2.5.29.15"),
    ObjectIdentifier::new_unwrap("2.5.29.17"),
    ObjectIdentifier::new_unwrap("2.5.29.19"),
    ObjectIdentifier::new_unwrap("2.5.29.31"),
    ObjectIdentifier::new_unwrap("2.5.29.35"),
    ObjectIdentifier::new_unwrap("2.5.29.37"),
    ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.1"),
];

/// The names of a leaf or identity certificate, and what else it says of its subject; each at most once.
#[derive(Default)]
pub(crate) struct Names {
    user: Option<UserUri>,
    pub(crate) client: Option<ClientUri>,
    pub(crate) handle: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) common_name: Option<String>,
    pub(crate) age_over_18: bool,
    /// There is something that none of the fields holds.
    pub(crate) unmapped: bool,
}

impl Names {
    pub(crate) fn read(certificate: &Parsed) -> Result<Self, CredentialError> {
        let mut names = Self { unmapped: certificate.has_unique_ids(), ..Self::default() };
        for name in certificate.alternative_names()? {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => names.add_uri(uri.as_str())?,
                GeneralName::Rfc822Name(address) => set(&mut names.email, address.as_str().to_owned())?,
                _ => names.unmapped = true,
            }
        }
        for attribute in certificate.subject().iter() {
            if attribute.oid == COMMON_NAME {
                let value = DirectoryString::try_from(&attribute.value).map_err(|_| CredentialError::MalformedName)?;
                set(&mut names.common_name, value.value().into_owned())?;
            } else {
                names.unmapped = true;
            }
        }
        let mut directory = None;
        for (extension, content) in certificate.extensions() {
            if extension == SUBJECT_DIRECTORY_ATTRIBUTES {
                set(&mut directory, Classes::read(content)?)?;
            } else {
                names.unmapped |= !NEUTRAL.contains(&extension);
            }
        }
        let classes = directory.unwrap_or_default();
        names.age_over_18 = classes.age_over_18;
        names.unmapped |= classes.unmapped;
        Ok(names)
    }

    pub(crate) fn user(&self) -> Result<&UserUri, CredentialError> {
        self.user.as_ref().ok_or(CredentialError::MissingUserUri)
    }

    fn add_uri(&mut self, uri: &str) -> Result<(), CredentialError> {
        if uri.starts_with("im:") {
            return set(&mut self.handle, uri.to_owned());
        }
        if !uri.starts_with("mimi:") {
            self.unmapped = true;
            return Ok(());
        }
        match uri.parse().map_err(|_| CredentialError::MalformedName)? {
            AnyUri::User(uri) => set(&mut self.user, uri),
            AnyUri::Client(uri) => set(&mut self.client, uri),
            _ => Err(CredentialError::MixedNames),
        }
    }
}

fn set<T>(place: &mut Option<T>, value: T) -> Result<(), CredentialError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CredentialError::MixedNames),
    }
}
