use mimi_pseudonym::{ClaimName, Claims, Domain, UserUri};

use crate::CredentialError;

/// How claims break the rules of their kind. Names no one: it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The value breaks the rules of its claim.
    #[error("the value of the claim {0} is malformed")]
    Malformed(ClaimName),
    /// The account is a pseudonym.
    #[error("an identity is of an account, never of a pseudonym")]
    Pseudonym,
    /// The account or its handle is of another domain.
    #[error("the claim {0} is of another domain")]
    ForeignDomain(ClaimName),
}

/// Checks the values of claims against the rules of their kind, for an identity whose issuer speaks for a domain: the one
/// place that says them, for every format. Gives the account, if it is among the claims.
///
/// - `user-uri`: a MIMI URI of an account of the domain.
/// - `handle`: `im:` and an address of the domain, with no parameters.
/// - `display-name`: 1 to 64 characters, none a control character and none that turns the direction of the text.
/// - `email`: an `addr-spec` of dot-atoms (RFC 5322, section 3.4.1), of at most 254 octets.
/// - `age-over-18`: [`ClaimName::TRUE`].
///
/// # Errors
/// [`ClaimError`] of the first claim that breaks a rule.
pub fn check_claims(claims: &Claims, domain: &Domain) -> Result<Option<UserUri>, ClaimError> {
    let mut account = None;
    for (claim, value) in claims.iter() {
        let malformed = || ClaimError::Malformed(claim);
        let of_domain = |host: &Domain| {
            if host == domain { Ok(()) } else { Err(ClaimError::ForeignDomain(claim)) }
        };
        match claim {
            ClaimName::UserUri => {
                let user: UserUri = value.parse().map_err(|_| malformed())?;
                if user.is_pseudonym() {
                    return Err(ClaimError::Pseudonym);
                }
                of_domain(user.domain())?;
                account = Some(user);
            }
            ClaimName::Handle => {
                let address = value.strip_prefix("im:").ok_or_else(malformed)?;
                of_domain(&host_of(address).ok_or_else(malformed)?)?;
            }
            ClaimName::DisplayName if is_display_name(value) => {}
            ClaimName::Email if host_of(value).is_some() => {}
            ClaimName::AgeOver18 if value == ClaimName::TRUE => {}
            _ => return Err(malformed()),
        }
    }
    Ok(account)
}

fn is_display_name(text: &str) -> bool {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (1..=64).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() || turns(c))
}

fn host_of(address: &str) -> Option<Domain> {
    let (local, host) = address.rsplit_once('@')?;
    let is_atom = |atom: &str| {
        !atom.is_empty() && atom.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b))
    };
    if address.len() > 254 || !local.split('.').all(is_atom) {
        return None;
    }
    host.parse().ok()
}

impl From<ClaimError> for CredentialError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Malformed(_) => Self::MalformedName,
            ClaimError::Pseudonym => Self::Pseudonym,
            ClaimError::ForeignDomain(_) => Self::ForeignDomain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claim: ClaimName, value: &str) -> Result<(), ClaimError> {
        let domain = "a.example".parse().unwrap();
        check_claims(&[(claim, value.to_owned())].into_iter().collect(), &domain).map(drop)
    }

    #[test]
    fn values_follow_the_rules_of_their_claims() {
        let good = [
            (ClaimName::UserUri, "mimi://a.example/u/alice"),
            (ClaimName::Handle, "im:alice@a.example"),
            (ClaimName::DisplayName, "Алиса"),
            (ClaimName::Email, "alice.smith@mail.example"),
            (ClaimName::AgeOver18, "true"),
        ];
        assert!(ClaimName::ALL.into_iter().eq(good.map(|(claim, _)| claim)), "a rule for every claim");
        for (claim, value) in good {
            assert_eq!(check(claim, value), Ok(()));
            for bad in ["", "\u{202e}", "Alice\u{202e}boB", "alice\n", &"a".repeat(65), &"a".repeat(300)] {
                assert_eq!(check(claim, bad), Err(ClaimError::Malformed(claim)), "{bad:?}");
            }
        }
    }

    #[test]
    fn an_identity_is_of_an_account_of_the_domain() {
        let claims = [(ClaimName::UserUri, "mimi://a.example/u/alice".to_owned())].into_iter().collect();
        let domain = "a.example".parse().unwrap();
        assert_eq!(check_claims(&claims, &domain).unwrap().unwrap().as_str(), "mimi://a.example/u/alice");
        assert_eq!(check_claims(&Claims::default(), &domain), Ok(None));
        let foreign = |claim| Err(ClaimError::ForeignDomain(claim));
        assert_eq!(check(ClaimName::UserUri, "mimi://b.example/u/bob"), foreign(ClaimName::UserUri));
        assert_eq!(check(ClaimName::Handle, "im:bob@b.example"), foreign(ClaimName::Handle));
        let pseudonym = UserUri::pseudonym(&domain, [1; 16]);
        assert_eq!(check(ClaimName::UserUri, pseudonym.as_str()), Err(ClaimError::Pseudonym));
    }

    #[test]
    fn addresses_are_dot_atoms() {
        for bad in ["alice", "alice@a.example", "im:@a.example", "im:a b@a.example", "im:alice@a.example?x=y"] {
            assert_eq!(check(ClaimName::Handle, bad), Err(ClaimError::Malformed(ClaimName::Handle)), "{bad}");
        }
        for bad in ["alice", "a..b@mail.example", "\"a b\"@mail.example", "alice@[10.0.0.1]"] {
            assert_eq!(check(ClaimName::Email, bad), Err(ClaimError::Malformed(ClaimName::Email)), "{bad}");
        }
    }

    #[test]
    fn who_is_not_over_18_says_nothing() {
        for bad in ["false", "TRUE", "1", "yes", " true"] {
            assert_eq!(check(ClaimName::AgeOver18, bad), Err(ClaimError::Malformed(ClaimName::AgeOver18)), "{bad}");
        }
    }
}
