//! One claim, one name in every format; `docs/profile-claims.md` has the table.

use coset_sd_cwt::Label;
use mimi_credential::ClaimError;
use mimi_pseudonym::{ClaimName, Domain};

/// What is wrong with what a token says of a person. Names no one: it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimFault {
    /// There is something that is none of the claims and nothing technical, so that no policy could forbid it.
    #[error("there is content that is no claim")]
    Unmapped,
    /// The value breaks the rules of its claim.
    #[error("the value of the claim {0} is malformed")]
    Malformed(ClaimName),
    /// The account is a pseudonym.
    #[error("an identity is of an account, never of a pseudonym")]
    Pseudonym,
    /// The account or its handle is of another domain than the issuer.
    #[error("the account is of another domain than its issuer")]
    ForeignDomain,
}

/// The `iss` of the tokens of a domain's provider.
pub(crate) fn issuer_name(domain: &Domain) -> String {
    format!("mimi://{}", domain.as_str())
}

/// The name in a JWT; `None` for a claim that tokens do not carry.
pub(crate) fn jwt_name(claim: ClaimName) -> Option<&'static str> {
    match claim {
        ClaimName::UserUri => Some("sub"),
        ClaimName::Handle => Some("preferred_username"),
        ClaimName::DisplayName => Some("name"),
        ClaimName::Email => Some("email"),
        ClaimName::AgeOver18 => Some("age_over_18"),
        _ => None,
    }
}

/// The label in a CWT: the registered number where there is one (RFC 8392), the name in a JWT where there is none.
pub(crate) fn cwt_label(claim: ClaimName) -> Option<Label> {
    match claim {
        ClaimName::UserUri => Some(Label::from(2)),
        claim => jwt_name(claim).map(Label::from),
    }
}

pub(crate) fn of_jwt(name: &str) -> Option<ClaimName> {
    ClaimName::ALL.into_iter().find(|claim| jwt_name(*claim) == Some(name))
}

pub(crate) fn of_cwt(label: &Label) -> Option<ClaimName> {
    ClaimName::ALL.into_iter().find(|claim| cwt_label(*claim).as_ref() == Some(label))
}

/// A value as a token has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TokenValue<'a> {
    Text(&'a str),
    Flag(bool),
}

/// The value of a claim as a token has it: a text, or `true` for a claim that can only say yes.
#[cfg(feature = "issuer")]
pub(crate) fn to_token(claim: ClaimName, value: &str) -> TokenValue<'_> {
    match claim {
        ClaimName::AgeOver18 => TokenValue::Flag(value == ClaimName::TRUE),
        _ => TokenValue::Text(value),
    }
}

/// The value of a claim in a token. It is of the type that the claim has, and nothing else.
pub(crate) fn of_token(claim: ClaimName, value: Option<TokenValue<'_>>) -> Result<&str, ClaimFault> {
    match (claim, value) {
        (ClaimName::AgeOver18, Some(TokenValue::Flag(true))) => Ok(ClaimName::TRUE),
        (ClaimName::AgeOver18, _) => Err(ClaimFault::Malformed(claim)),
        (_, Some(TokenValue::Text(text))) => Ok(text),
        _ => Err(ClaimFault::Malformed(claim)),
    }
}

impl From<ClaimError> for ClaimFault {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Malformed(claim) => Self::Malformed(claim),
            ClaimError::Pseudonym => Self::Pseudonym,
            ClaimError::ForeignDomain(_) => Self::ForeignDomain,
            _ => Self::Unmapped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_has_a_name_of_its_own_in_every_format() {
        for claim in ClaimName::ALL {
            assert_eq!(of_jwt(jwt_name(claim).unwrap()), Some(claim));
            assert_eq!(of_cwt(&cwt_label(claim).unwrap()), Some(claim));
        }
        assert_eq!((of_jwt("birthdate"), of_cwt(&Label::from("sub"))), (None, None));
        // Numbers that a draft suggests and no registry has.
        for number in [170, 175, 179] {
            assert_eq!(of_cwt(&Label::from(number)), None);
        }
    }

    #[test]
    fn a_value_is_of_the_type_of_its_claim() {
        for claim in ClaimName::ALL {
            let malformed = Err(ClaimFault::Malformed(claim));
            let yes = claim == ClaimName::AgeOver18;
            let text = if yes { malformed } else { Ok("true") };
            assert_eq!(of_token(claim, Some(TokenValue::Text("true"))), text);
            assert_eq!(of_token(claim, Some(TokenValue::Flag(true))), if yes { Ok("true") } else { malformed });
            assert_eq!(of_token(claim, Some(TokenValue::Flag(false))), malformed);
            assert_eq!(of_token(claim, None), malformed);
        }
    }

    #[test]
    fn the_faults_are_those_of_the_rules() {
        let email = ClaimName::Email;
        assert_eq!(ClaimFault::from(ClaimError::Malformed(email)), ClaimFault::Malformed(email));
        assert_eq!(ClaimFault::from(ClaimError::Pseudonym), ClaimFault::Pseudonym);
        assert_eq!(ClaimFault::from(ClaimError::ForeignDomain(email)), ClaimFault::ForeignDomain);
    }
}
