//! The directory document of a provider (draft-ietf-mimi-protocol-06, section 5.1): where its endpoints are.

use std::collections::BTreeMap;

use serde_json::Value;

/// Path of the directory document.
pub const DIRECTORY_PATH: &str = "/.well-known/mimi-protocol-directory";

/// The most octets a directory document may have.
pub const DIRECTORY_MAX_LEN: usize = 1 << 16;

const TEMPLATE_MAX_LEN: usize = 2048;

/// A method of HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
}

/// What a provider can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Endpoint {
    /// Claims key packages of a user.
    KeyMaterial,
    /// Changes a room.
    Update,
    /// Takes what a hub fans out.
    Notify,
    /// Takes a message for a room.
    SubmitMessage,
    /// Gives what an external join needs.
    GroupInfo,
    /// Asks for consent.
    RequestConsent,
    /// Gives or revokes consent.
    UpdateConsent,
    /// Finds a user.
    IdentifierQuery,
    /// Reports abuse.
    ReportAbuse,
    /// Fetches a file for someone.
    ProxyDownload,
    /// Makes, shows and takes back join links. Our own convention: no draft has it.
    JoinLinks,
    /// Takes a member's word that it cannot go along with a commit. Our own convention: no draft has it.
    ReportCommit,
    /// Asks a user's provider for a remedy. Our own convention: no draft has it.
    RequestRemedy,
    /// Asks a hub to remove one of the asking provider's users from one room. Our own convention: no draft has it.
    RequestRemoval,
}

impl Endpoint {
    /// Every endpoint there is.
    pub const ALL: [Self; 14] = [
        Self::KeyMaterial,
        Self::Update,
        Self::Notify,
        Self::SubmitMessage,
        Self::GroupInfo,
        Self::RequestConsent,
        Self::UpdateConsent,
        Self::IdentifierQuery,
        Self::ReportAbuse,
        Self::ProxyDownload,
        Self::JoinLinks,
        Self::ReportCommit,
        Self::RequestRemedy,
        Self::RequestRemoval,
    ];

    /// Its name in the directory, which is also its path under this project's own providers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyMaterial => "keyMaterial",
            Self::Update => "update",
            Self::Notify => "notify",
            Self::SubmitMessage => "submitMessage",
            Self::GroupInfo => "groupInfo",
            Self::RequestConsent => "requestConsent",
            Self::UpdateConsent => "updateConsent",
            Self::IdentifierQuery => "identifierQuery",
            Self::ReportAbuse => "reportAbuse",
            Self::ProxyDownload => "proxyDownload",
            Self::JoinLinks => "joinLinks",
            Self::ReportCommit => "reportCommit",
            Self::RequestRemedy => "requestRemedy",
            Self::RequestRemoval => "requestRemoval",
        }
    }

    /// The variable in its template, without braces.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::KeyMaterial | Self::RequestConsent => "targetUser",
            Self::Update
            | Self::Notify
            | Self::SubmitMessage
            | Self::GroupInfo
            | Self::ReportAbuse
            | Self::JoinLinks
            | Self::ReportCommit
            | Self::RequestRemoval => "roomId",
            Self::UpdateConsent => "requesterUser",
            Self::IdentifierQuery | Self::RequestRemedy => "domain",
            Self::ProxyDownload => "downloadUrl",
        }
    }

    /// Its method.
    pub const fn method(self) -> Method {
        match self {
            Self::ProxyDownload => Method::Get,
            _ => Method::Post,
        }
    }
}

/// Why a directory document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// More octets than a directory may have.
    #[error("a directory has at most {DIRECTORY_MAX_LEN} octets, this one has {0}")]
    TooLong(usize),
    /// No JSON object.
    #[error("a directory is a JSON object")]
    Json,
    /// A template is no text, or not of printable ASCII, or longer than 2048 octets.
    #[error("the template of {} is no URL", .0.name())]
    Template(Endpoint),
    /// A template's scheme is not `https`, or it has no host.
    #[error("the template of {} does not begin with https:// and a host", .0.name())]
    Https(Endpoint),
    /// A template has not exactly its own variable, once, behind the host.
    #[error("the template of {} wants {{{}}} once", .0.name(), .0.placeholder())]
    Placeholder(Endpoint),
}

/// Templates of URLs, at most one for each endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Directory(BTreeMap<Endpoint, String>);

impl Directory {
    /// A directory with every endpoint under a base, for example `https://a.example/v1`.
    ///
    /// # Errors
    /// [`DirectoryError::Https`] or another one if the base is no https URL without a variable.
    pub fn with_base(base: &str) -> Result<Self, DirectoryError> {
        let base = base.trim_end_matches('/');
        let template = |endpoint: Endpoint| {
            let template = format!("{base}/{}/{{{}}}", endpoint.name(), endpoint.placeholder());
            check(endpoint, &template).map(|()| (endpoint, template))
        };
        Endpoint::ALL.into_iter().map(template).collect::<Result<_, _>>().map(Self)
    }

    /// Reads a directory document. Names that are not known are passed over; an endpoint may be missing.
    ///
    /// # Errors
    /// [`DirectoryError`] says what is wrong with which template.
    pub fn from_json(octets: &[u8]) -> Result<Self, DirectoryError> {
        if octets.len() > DIRECTORY_MAX_LEN {
            return Err(DirectoryError::TooLong(octets.len()));
        }
        let document: BTreeMap<String, Value> = serde_json::from_slice(octets).map_err(|_| DirectoryError::Json)?;
        let mut templates = BTreeMap::new();
        for endpoint in Endpoint::ALL {
            let Some(value) = document.get(endpoint.name()) else { continue };
            let template = value.as_str().ok_or(DirectoryError::Template(endpoint))?;
            check(endpoint, template)?;
            templates.insert(endpoint, template.to_owned());
        }
        Ok(Self(templates))
    }

    /// The document.
    pub fn to_json(&self) -> String {
        let object =
            self.0.iter().map(|(endpoint, template)| (endpoint.name().to_owned(), Value::from(template.as_str())));
        Value::Object(object.collect()).to_string()
    }

    /// The template of an endpoint, if the provider has that endpoint.
    pub fn template(&self, endpoint: Endpoint) -> Option<&str> {
        self.0.get(&endpoint).map(String::as_str)
    }

    /// The URL of an endpoint for a value of its variable; `None` if the provider has no such endpoint.
    pub fn expand(&self, endpoint: Endpoint, value: &str) -> Option<String> {
        let template = self.template(endpoint)?;
        let (before, rest) = template.split_once('{')?;
        let (_, after) = rest.split_once('}')?;
        Some(format!("{before}{}{after}", percent_encode(value)))
    }
}

fn check(endpoint: Endpoint, template: &str) -> Result<(), DirectoryError> {
    if template.len() > TEMPLATE_MAX_LEN || !template.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err(DirectoryError::Template(endpoint));
    }
    let rest = template.strip_prefix("https://").ok_or(DirectoryError::Https(endpoint))?;
    let (host, path) = rest.split_once('/').ok_or(DirectoryError::Https(endpoint))?;
    if host.is_empty() || !host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-:[]".contains(&octet)) {
        return Err(DirectoryError::Https(endpoint));
    }
    let variable = format!("{{{}}}", endpoint.placeholder());
    let mut parts = path.split(&variable);
    let fits = match (parts.next(), parts.next(), parts.next()) {
        (Some(before), Some(after), None) => !before.contains(['{', '}']) && !after.contains(['{', '}']),
        _ => false,
    };
    if fits { Ok(()) } else { Err(DirectoryError::Placeholder(endpoint)) }
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(octet.into());
        } else {
            encoded.push_str(&format!("%{octet:02X}"));
        }
    }
    encoded
}

/// Undoes [`percent_encode`]; `None` if a `%` has no two hexadecimal digits behind it, or the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            octets.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(name: &str, template: &str) -> Result<Directory, DirectoryError> {
        Directory::from_json(serde_json::json!({ name: template, "other": 1 }).to_string().as_bytes())
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text: String) {
            let encoded = percent_encode(&text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
            prop_assert_eq!(percent_decode(&encoded), Some(text));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>, text: String) {
            let _ = Directory::from_json(&octets);
            let _ = percent_decode(&text);
        }
    }

    #[test]
    fn a_directory_reads_back() {
        let directory = Directory::with_base("https://a.example/v1/").unwrap();
        assert_eq!(Directory::from_json(directory.to_json().as_bytes()), Ok(directory.clone()));
        assert_eq!(
            directory.expand(Endpoint::Update, "mimi://a.example/r/club").unwrap(),
            "https://a.example/v1/update/mimi%3A%2F%2Fa.example%2Fr%2Fclub"
        );
        assert_eq!(Directory::default().expand(Endpoint::Update, "x"), None);
    }

    #[test]
    fn a_missing_endpoint_and_an_unknown_name_are_fine() {
        let directory = parse("notify", "https://a.example:8443/n?room={roomId}").unwrap();
        assert_eq!(directory.expand(Endpoint::Notify, "a/b").unwrap(), "https://a.example:8443/n?room=a%2Fb");
        assert_eq!(directory.template(Endpoint::Update), None);
    }

    #[test]
    fn every_fault_has_its_name() {
        assert_eq!(Directory::from_json(b"[]"), Err(DirectoryError::Json));
        assert_eq!(Directory::from_json(b"{\"update\":1}"), Err(DirectoryError::Template(Endpoint::Update)));
        assert_eq!(parse("update", "https://a.example/ {roomId}"), Err(DirectoryError::Template(Endpoint::Update)));
        let long = vec![b' '; DIRECTORY_MAX_LEN + 1];
        assert_eq!(Directory::from_json(&long), Err(DirectoryError::TooLong(DIRECTORY_MAX_LEN + 1)));
        for bad in
            ["http://a.example/{roomId}", "https:///{roomId}", "https://{roomId}", "https://u@a.example/{roomId}"]
        {
            assert_eq!(parse("update", bad), Err(DirectoryError::Https(Endpoint::Update)), "{bad}");
        }
        for bad in ["", "{targetUser}", "{roomId}{roomId}", "{roomId}/{x}", "{x}/{roomId}", "{roomId"] {
            let template = format!("https://a.example/{bad}");
            assert_eq!(parse("update", &template), Err(DirectoryError::Placeholder(Endpoint::Update)), "{bad}");
        }
        assert_eq!(Directory::with_base("ftp://a.example"), Err(DirectoryError::Https(Endpoint::KeyMaterial)));
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for bad in ["%", "%4", "%zz", "%ff"] {
            assert_eq!(percent_decode(bad), None, "{bad}");
        }
    }
}
