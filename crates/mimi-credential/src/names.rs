use der::asn1::ObjectIdentifier;
use mimi_pseudonym::{AnyUri, ClientUri, Domain, UserUri};
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

use crate::{CredentialError, certificate::Parsed};

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

/// The names of a leaf or identity certificate, each at most once.
#[derive(Default)]
pub(crate) struct Names {
    user: Option<UserUri>,
    pub(crate) client: Option<ClientUri>,
    pub(crate) handle: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) common_name: Option<String>,
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
        names.unmapped |= certificate.extensions().any(|extension| !NEUTRAL.contains(&extension));
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

/// Whether a text is an `im:` URI of one user of the domain: `im:alice@a.example` (RFC 3860), with no parameters.
pub(crate) fn is_handle(text: &str, domain: &Domain) -> Result<(), CredentialError> {
    let address = text.strip_prefix("im:").ok_or(CredentialError::MalformedName)?;
    let host = host_of(address)?;
    if host == *domain { Ok(()) } else { Err(CredentialError::ForeignDomain) }
}

/// Whether a text is an `addr-spec` of dot-atoms (RFC 5322, section 3.4.1), of at most 254 octets.
pub(crate) fn is_email(text: &str) -> Result<(), CredentialError> {
    host_of(text).map(|_| ())
}

/// Whether a text can be shown as a name: 1 to 64 characters, none of them a control character.
pub(crate) fn is_display_name(text: &str) -> Result<(), CredentialError> {
    let length = text.chars().count();
    if (1..=64).contains(&length) && !text.chars().any(is_control) {
        Ok(())
    } else {
        Err(CredentialError::MalformedName)
    }
}

/// Control characters, and those that turn the direction of the text around them.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn host_of(address: &str) -> Result<Domain, CredentialError> {
    let (local, host) = address.rsplit_once('@').ok_or(CredentialError::MalformedName)?;
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    if address.len() > 254 || !local.split('.').all(is_atom) {
        return Err(CredentialError::MalformedName);
    }
    host.parse().map_err(|_| CredentialError::MalformedName)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_of_their_domain() {
        let domain: Domain = "a.example".parse().unwrap();
        assert_eq!(is_handle("im:alice@a.example", &domain), Ok(()));
        assert_eq!(is_handle("im:alice@b.example", &domain), Err(CredentialError::ForeignDomain));
        for bad in ["im:alice", "alice@a.example", "im:@a.example", "im:a b@a.example", "im:alice@a.example?x=y"] {
            assert_eq!(is_handle(bad, &domain), Err(CredentialError::MalformedName), "{bad}");
        }
    }

    #[test]
    fn addresses_and_names_are_checked() {
        assert_eq!(is_email("alice.smith@mail.example"), Ok(()));
        for bad in ["alice", "a..b@mail.example", "\"a b\"@mail.example", "alice@[10.0.0.1]"] {
            assert_eq!(is_email(bad), Err(CredentialError::MalformedName), "{bad}");
        }
        assert_eq!(is_display_name("Алиса"), Ok(()));
        for bad in ["", "Alice\n", "Alice\u{202e}boB", &"a".repeat(65)] {
            assert_eq!(is_display_name(bad), Err(CredentialError::MalformedName));
        }
    }
}
