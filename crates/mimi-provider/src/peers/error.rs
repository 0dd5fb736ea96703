use mimi_wire::Problem;

use crate::fail::Fail;

/// Why a peer gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerError {
    /// It is not configured.
    Unknown,
    /// It cannot be reached, or does not answer in time.
    Unreachable,
    /// Its name leads to addresses that are not of the public internet, and are not let through besides.
    Private,
    /// It has too many requests that it has not answered.
    Busy,
    /// Its directory or answer is not what it should be.
    Nonsense,
    /// It has no such endpoint.
    NoEndpoint,
    /// It refused.
    Refused(u16, Option<Problem>),
}

impl PeerError {
    /// Whether the same request may succeed later.
    pub(crate) fn is_temporary(self) -> bool {
        match self {
            Self::Unreachable | Self::Private | Self::Busy | Self::Nonsense | Self::NoEndpoint => true,
            Self::Refused(status, _) => status >= 500 || status == 408 || status == 429 || status < 400,
            Self::Unknown => false,
        }
    }

    /// Whether the peer says of a message itself that it will never take it. Whatever else it says no with is about how it, or
    /// what stands before it, is set up at the moment.
    pub(crate) fn is_of_the_message(self) -> bool {
        use Problem::{Malformed, UnknownKeyPackageRef, UnknownRoom};
        matches!(self, Self::Refused(_, Some(Malformed | UnknownKeyPackageRef | UnknownRoom)))
    }

    /// A word for the log.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-peer",
            Self::Unreachable => "unreachable",
            Self::Private => "private-address",
            Self::Busy => "busy",
            Self::Nonsense => "nonsense",
            Self::NoEndpoint => "no-endpoint",
            Self::Refused(_, problem) => problem.map_or("refused", Problem::code),
        }
    }
}

/// What a client is told of a peer's refusal: what concerns the client's own request, or that it may work later.
impl From<PeerError> for Fail {
    fn from(error: PeerError) -> Self {
        Self::Problem(match error {
            PeerError::Refused(_, Some(problem)) => match problem {
                Problem::Malformed
                | Problem::TooLarge
                | Problem::ForeignUser
                | Problem::NotHub
                | Problem::UnknownRoom
                | Problem::UnknownKeyPackageRef
                | Problem::Forbidden
                | Problem::SignatureInvalid
                | Problem::Unfranked
                | Problem::RateLimited => problem,
                _ => Problem::Unavailable,
            },
            PeerError::Unknown => Problem::Forbidden,
            PeerError::NoEndpoint => Problem::NotFound,
            _ => Problem::Unavailable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_apart_from_what_will_not() {
        let of = |status| PeerError::Refused(status, None);
        for temporary in
            [PeerError::Unreachable, PeerError::Private, PeerError::Busy, of(302), of(429), of(500), of(503)]
        {
            assert!(temporary.is_temporary(), "{temporary:?}");
        }
        for lasting in [PeerError::Unknown, of(400), of(403), of(404)] {
            assert!(!lasting.is_temporary(), "{lasting:?}");
        }
        for problem in Problem::ALL {
            let ours = matches!(problem, Problem::Malformed | Problem::UnknownKeyPackageRef | Problem::UnknownRoom);
            assert_eq!(PeerError::Refused(problem.status(), Some(problem)).is_of_the_message(), ours, "{problem:?}");
        }
        assert!(!of(404).is_of_the_message() && !PeerError::Unknown.is_of_the_message());
        let told = |error: PeerError| Fail::from(error).problem();
        assert_eq!(told(PeerError::Private), Problem::Unavailable, "where a name leads is nobody's business");
        assert_eq!(told(PeerError::Unknown), Problem::Forbidden);
        assert_eq!(told(PeerError::Refused(401, Some(Problem::Unauthorized))), Problem::Unavailable);
        let words = [PeerError::Private, PeerError::Busy, of(500), PeerError::NoEndpoint].map(PeerError::code);
        assert_eq!(words, ["private-address", "busy", "refused", "no-endpoint"]);
    }
}
