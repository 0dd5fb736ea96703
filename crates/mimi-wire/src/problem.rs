use serde::{Deserialize, Serialize};

/// Why a request was refused, as it stands in a problem document (RFC 9457). The draft names no problem types; these
/// are this project's own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The body or the path is not what the endpoint wants.
    Malformed,
    /// The body is too long.
    TooLarge,
    /// No such path.
    NotFound,
    /// There is no From header, or it is not `mimi@` and a domain.
    FromMissing,
    /// The TLS certificate is not one of the domain in From.
    FromMismatch,
    /// A URI is not of the peer's domain.
    ForeignUser,
    /// This provider is not the room's hub.
    NotHub,
    /// No such room, or none the requester may know of.
    UnknownRoom,
    /// A welcome names a key package that was not claimed here.
    UnknownKeyPackageRef,
    /// The client has not shown who it is.
    Unauthorized,
    /// The requester may not do this.
    Forbidden,
    /// A signature in the body does not verify.
    SignatureInvalid,
    /// Too many requests: later there may be fewer.
    RateLimited,
    /// The account has had as many pseudonyms, or tokens for them, as it may have in this period.
    OverQuota,
    /// The path is not for this method.
    MethodNotAllowed,
    /// The body's media type is not the one the endpoint wants.
    UnsupportedMediaType,
    /// Credentials of this format are not issued here.
    UnsupportedFormat,
    /// The room's messages are stamped, and the sender of this one has committed to nothing that could be.
    Unfranked,
    /// Something went wrong here.
    Internal,
    /// It may work later.
    Unavailable,
}

const PREFIX: &str = "mimi:problem:";

impl Problem {
    /// Every problem there is.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::TooLarge,
        Self::NotFound,
        Self::FromMissing,
        Self::FromMismatch,
        Self::ForeignUser,
        Self::NotHub,
        Self::UnknownRoom,
        Self::UnknownKeyPackageRef,
        Self::Unauthorized,
        Self::Forbidden,
        Self::SignatureInvalid,
        Self::RateLimited,
        Self::OverQuota,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::UnsupportedFormat,
        Self::Unfranked,
        Self::Internal,
        Self::Unavailable,
    ];

    /// Code, status of HTTP, and title: the one table of what goes out.
    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::Malformed => ("malformed", 400, "The request cannot be read"),
            Self::TooLarge => ("too-large", 413, "The body is too long"),
            Self::NotFound => ("not-found", 404, "There is no such path"),
            Self::FromMissing => ("from-missing", 400, "The From header names no provider"),
            Self::FromMismatch => ("from-mismatch", 403, "The certificate is not one of the provider in From"),
            Self::ForeignUser => ("foreign-user", 403, "A URI is not of the requester's domain"),
            Self::NotHub => ("not-hub", 404, "This provider is not the hub of the room"),
            Self::UnknownRoom => ("unknown-room", 404, "There is no such room"),
            Self::UnknownKeyPackageRef => ("unknown-key-package-ref", 404, "A key package was not claimed here"),
            Self::Unauthorized => ("unauthorized", 401, "The client has not shown who it is"),
            Self::Forbidden => ("forbidden", 403, "The requester may not do this"),
            Self::SignatureInvalid => ("signature-invalid", 403, "A signature does not verify"),
            Self::RateLimited => ("rate-limited", 429, "Too many requests"),
            Self::OverQuota => ("over-quota", 403, "The account has had what it may have in this period"),
            Self::MethodNotAllowed => ("method-not-allowed", 405, "The path is not for this method"),
            Self::UnsupportedMediaType => ("unsupported-media-type", 415, "The body is of another media type"),
            Self::UnsupportedFormat => ("unsupported-format", 400, "Credentials of this format are not issued here"),
            Self::Unfranked => ("unfranked", 403, "The room wants messages with a commitment for its franking agent"),
            Self::Internal => ("internal", 500, "Something went wrong here"),
            Self::Unavailable => ("unavailable", 503, "It may work later"),
        }
    }

    /// The code, in kebab case.
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The status of HTTP.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The title, always the same for one problem.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// The type URI: `mimi:problem:` and the code.
    pub fn type_uri(self) -> String {
        format!("{PREFIX}{}", self.code())
    }

    /// The problem of a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.code() == code)
    }

    /// The document of this problem without a detail.
    pub fn document(self) -> ProblemDocument {
        ProblemDocument { problem: self, detail: None }
    }
}

/// A problem document (RFC 9457) of one of the problems known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProblemDocument {
    /// Which problem.
    pub problem: Problem,
    /// A word to the reader.
    pub detail: Option<String>,
}

/// Why a problem document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// More octets than it may have: 16 KiB.
    #[error("a problem document has at most 16384 octets, this one has {0}")]
    TooLong(usize),
    /// No JSON object of the right shape.
    #[error("no problem document")]
    Json,
    /// A type that is not known here.
    #[error("the problem's type is not known here")]
    Type,
    /// The status is not the one of the type.
    #[error("the problem's status is not the one of its type")]
    Status,
}

#[derive(Serialize, Deserialize)]
struct Json {
    #[serde(rename = "type")]
    type_uri: String,
    #[serde(default)]
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl ProblemDocument {
    /// The document in JSON.
    pub fn to_json(&self) -> String {
        let json = Json {
            type_uri: self.problem.type_uri(),
            title: self.problem.title().to_owned(),
            status: Some(self.problem.status()),
            detail: self.detail.clone(),
        };
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Reads a document. Unknown members and the title are passed over.
    ///
    /// # Errors
    /// [`ProblemError`]
    pub fn from_json(octets: &[u8]) -> Result<Self, ProblemError> {
        if octets.len() > 1 << 14 {
            return Err(ProblemError::TooLong(octets.len()));
        }
        let json: Json = serde_json::from_slice(octets).map_err(|_| ProblemError::Json)?;
        let code = json.type_uri.strip_prefix(PREFIX).ok_or(ProblemError::Type)?;
        let problem = Problem::from_code(code).ok_or(ProblemError::Type)?;
        match json.status {
            Some(status) if status != problem.status() => Err(ProblemError::Status),
            _ => Ok(Self { problem, detail: json.detail }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_reads_back() {
        for problem in Problem::ALL {
            let document = ProblemDocument { problem, detail: Some("why".into()) };
            assert_eq!(ProblemDocument::from_json(document.to_json().as_bytes()), Ok(document));
            assert_eq!(ProblemDocument::from_json(problem.document().to_json().as_bytes()), Ok(problem.document()));
            assert!((400..600).contains(&problem.status()));
        }
    }

    #[test]
    fn the_wire_form_is_fixed() {
        let expected =
            r#"{"type":"mimi:problem:not-hub","title":"This provider is not the hub of the room","status":404}"#;
        assert_eq!(Problem::NotHub.document().to_json(), expected);
    }

    #[test]
    fn codes_are_distinct() {
        let codes: std::collections::BTreeSet<_> = Problem::ALL.iter().map(|problem| problem.code()).collect();
        assert_eq!(codes.len(), Problem::ALL.len());
    }

    #[test]
    fn every_fault_has_its_name() {
        let read = |text: &str| ProblemDocument::from_json(text.as_bytes());
        assert_eq!(read("{}"), Err(ProblemError::Json));
        assert_eq!(read(r#"{"type":"about:blank"}"#), Err(ProblemError::Type));
        assert_eq!(read(r#"{"type":"mimi:problem:nothing"}"#), Err(ProblemError::Type));
        assert_eq!(read(r#"{"type":"mimi:problem:not-hub","status":400}"#), Err(ProblemError::Status));
        assert_eq!(read(&" ".repeat(16_385)), Err(ProblemError::TooLong(16_385)));
        assert_eq!(read(r#"{"type":"mimi:problem:not-hub","x":1}"#), Ok(Problem::NotHub.document()));
    }
}
