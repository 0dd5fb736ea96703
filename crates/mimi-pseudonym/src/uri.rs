use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Domain, DomainError};

/// Why a text is no MIMI URI of the expected kind (draft-ietf-mimi-protocol-06, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// It does not begin with `mimi://`.
    #[error("a MIMI URI begins with mimi://")]
    Scheme,
    /// The host is no domain name.
    #[error("the host of a MIMI URI is a domain name: {0}")]
    Domain(#[from] DomainError),
    /// The path is not `/u/…`, `/d/…`, `/r/…` or `/g/…` as this kind wants.
    #[error("this kind of MIMI URI has the path /{0}/ and a name")]
    Kind(char),
    /// The name is empty, longer than 255 octets, or has a character that is not allowed.
    #[error("a name has 1 to 255 letters, digits or -._~")]
    Name,
    /// The name begins with `~` and is not 128 bits in the shape of a UUID.
    #[error("a name that begins with ~ is a pseudonym: 128 bits in the shape of a UUID")]
    Pseudonym,
}

const NAME_MAX: usize = 255;

/// Splits `mimi://domain/k/name`.
fn split(text: &str, kind: char) -> Result<(Domain, &str), UriError> {
    let rest = text.strip_prefix("mimi://").ok_or(UriError::Scheme)?;
    let (host, path) = rest.split_once('/').ok_or(UriError::Kind(kind))?;
    let domain = host.parse()?;
    let name = path.strip_prefix(kind).and_then(|path| path.strip_prefix('/')).ok_or(UriError::Kind(kind))?;
    check_name(name)?;
    Ok((domain, name))
}

fn check_name(name: &str) -> Result<(), UriError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(allowed) {
        return Err(UriError::Name);
    }
    match name.strip_prefix('~') {
        Some(uuid) if !is_uuid(uuid) => Err(UriError::Pseudonym),
        _ => Ok(()),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

/// 128 bits in the textual shape of a UUID.
fn uuid(bits: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bits.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

macro_rules! uri {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            domain: Domain,
            text: String,
        }

        impl $name {
            /// The URI of a name under a domain.
            ///
            /// # Errors
            /// [`UriError::Name`] or [`UriError::Pseudonym`] where the name is not allowed.
            pub fn new(domain: &Domain, name: &str) -> Result<Self, UriError> {
                check_name(name)?;
                Ok(Self {
                    domain: domain.clone(),
                    text: format!(concat!("mimi://{}/", $kind, "/{}"), domain, name),
                })
            }

            /// A URI whose name is 128 random bits: nothing can be learned from it, nor can it be guessed.
            pub fn pseudonym(domain: &Domain, bits: [u8; 16]) -> Self {
                Self {
                    domain: domain.clone(),
                    text: format!(concat!("mimi://{}/", $kind, "/~{}"), domain, uuid(bits)),
                }
            }

            /// Whether the URI is a pseudonym; told from the URI alone.
            pub fn is_pseudonym(&self) -> bool {
                self.name().starts_with('~')
            }

            /// The URI as text.
            pub fn as_str(&self) -> &str {
                &self.text
            }

            /// The domain of the provider it belongs to.
            pub fn domain(&self) -> &Domain {
                &self.domain
            }

            /// The last part of the path.
            pub fn name(&self) -> &str {
                self.text.rsplit('/').next().unwrap_or_default()
            }
        }

        impl FromStr for $name {
            type Err = UriError;

            fn from_str(text: &str) -> Result<Self, UriError> {
                let (domain, name) = split(text, $kind)?;
                Self::new(&domain, name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = UriError;

            fn try_from(text: String) -> Result<Self, UriError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(uri: $name) -> Self {
                uri.text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
    };
}

uri!(
    /// A user, by its account or by a pseudonym: `mimi://a.example/u/alice`.
    UserUri,
    'u'
);
uri!(
    /// A client (device) of a user: `mimi://a.example/d/ClientA1`.
    ClientUri,
    'd'
);
uri!(
    /// A room: `mimi://a.example/r/clubhouse`.
    RoomUri,
    'r'
);
uri!(
    /// The MLS group of a room: `mimi://a.example/g/clubhouse`.
    GroupUri,
    'g'
);

impl RoomUri {
    /// The URI of the room's MLS group: the same name under `/g/`.
    pub fn group(&self) -> GroupUri {
        GroupUri { domain: self.domain.clone(), text: format!("mimi://{}/g/{}", self.domain, self.name()) }
    }
}

impl GroupUri {
    /// The URI of the room this MLS group belongs to: the same name under `/r/`.
    pub fn room(&self) -> RoomUri {
        RoomUri { domain: self.domain.clone(), text: format!("mimi://{}/r/{}", self.domain, self.name()) }
    }
}

/// A provider: `mimi://a.example`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProviderUri(Domain);

impl ProviderUri {
    /// The URI of the provider of this domain.
    pub fn new(domain: Domain) -> Self {
        Self(domain)
    }

    /// The provider's domain.
    pub fn domain(&self) -> &Domain {
        &self.0
    }
}

impl FromStr for ProviderUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Ok(Self(text.strip_prefix("mimi://").ok_or(UriError::Scheme)?.parse()?))
    }
}

impl fmt::Display for ProviderUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mimi://{}", self.0)
    }
}

/// A MIMI URI of any kind but a provider's, told apart by its path.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AnyUri {
    /// `/u/`
    User(UserUri),
    /// `/d/`
    Client(ClientUri),
    /// `/r/`
    Room(RoomUri),
    /// `/g/`
    Group(GroupUri),
}

impl FromStr for AnyUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        let kind = text.strip_prefix("mimi://").and_then(|rest| rest.split('/').nth(1));
        match kind {
            Some("u") => text.parse().map(Self::User),
            Some("d") => text.parse().map(Self::Client),
            Some("r") => text.parse().map(Self::Room),
            Some("g") => text.parse().map(Self::Group),
            _ if text.starts_with("mimi://") => Err(UriError::Kind('u')),
            _ => Err(UriError::Scheme),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain() -> Domain {
        "a.example".parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_pseudonym_is_recognised_from_its_text(bits: [u8; 16]) {
            let user = UserUri::pseudonym(&domain(), bits);
            let read: UserUri = user.as_str().parse().unwrap();
            prop_assert!(read.is_pseudonym());
            prop_assert_eq!(read, user);
        }

        #[test]
        fn what_parses_prints_the_same(text in "mimi://[a-z]{1,5}\\.example/[udrg]/[a-zA-Z0-9._-]{1,30}") {
            let uri: AnyUri = text.parse().unwrap();
            let printed = match &uri {
                AnyUri::User(uri) => uri.to_string(),
                AnyUri::Client(uri) => uri.to_string(),
                AnyUri::Room(uri) => uri.to_string(),
                AnyUri::Group(uri) => uri.to_string(),
            };
            prop_assert_eq!(printed, text);
        }
    }

    #[test]
    fn an_account_cannot_look_like_a_pseudonym() {
        assert_eq!("mimi://a.example/u/~alice".parse::<UserUri>(), Err(UriError::Pseudonym));
        assert_eq!(UserUri::new(&domain(), "~alice"), Err(UriError::Pseudonym));
        let upper = "mimi://a.example/u/~ABCDEF00-0000-0000-0000-000000000000";
        assert_eq!(upper.parse::<UserUri>(), Err(UriError::Pseudonym));
    }

    #[test]
    fn kinds_are_not_mixed() {
        assert_eq!("mimi://a.example/d/x".parse::<UserUri>(), Err(UriError::Kind('u')));
        assert_eq!("https://a.example/u/x".parse::<UserUri>(), Err(UriError::Scheme));
        assert_eq!("mimi://a.example/u/a/b".parse::<UserUri>(), Err(UriError::Name));
        assert_eq!("mimi://a.example/u/".parse::<UserUri>(), Err(UriError::Name));
        assert_eq!("mimi://a.example/u/a%7Eb".parse::<UserUri>(), Err(UriError::Name));
        assert!(matches!("mimi://a..b/u/x".parse::<UserUri>(), Err(UriError::Domain(_))));
    }

    #[test]
    fn a_room_and_its_group_name_each_other() {
        let room: RoomUri = "mimi://a.example/r/clubhouse".parse().unwrap();
        assert_eq!(room.group().as_str(), "mimi://a.example/g/clubhouse");
        assert_eq!(room.group().room(), room);
    }

    #[test]
    fn serde_refuses_what_parsing_refuses() {
        assert!(serde_json::from_str::<UserUri>("\"mimi://a.example/u/alice\"").is_ok());
        assert!(serde_json::from_str::<UserUri>("\"mimi://a.example/u/~alice\"").is_err());
    }
}
