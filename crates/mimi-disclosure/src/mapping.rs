//! One claim, one name in every format; `docs/profile-claims.md` has the table.

use coset_sd_cwt::Label;
use mimi_pseudonym::{ClaimName, Claims, Domain, UserUri};

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
        _ => None,
    }
}

/// The label in a CWT (RFC 8392 for 2, draft-ietf-spice-oidc-cwt for the others).
pub(crate) fn cwt_label(claim: ClaimName) -> Option<i64> {
    match claim {
        ClaimName::UserUri => Some(2),
        ClaimName::Handle => Some(175),
        ClaimName::DisplayName => Some(170),
        ClaimName::Email => Some(179),
        _ => None,
    }
}

pub(crate) fn of_jwt(name: &str) -> Option<ClaimName> {
    ClaimName::ALL.into_iter().find(|claim| jwt_name(*claim) == Some(name))
}

pub(crate) fn of_cwt(label: &Label) -> Option<ClaimName> {
    ClaimName::ALL.into_iter().find(|claim| cwt_label(*claim).is_some_and(|known| Label::from(known) == *label))
}

/// Checks the values against the rules of their claims, which are those of the identity certificate. Gives the account,
/// if that is among them.
pub(crate) fn check(claims: &Claims, domain: &Domain) -> Result<Option<UserUri>, ClaimFault> {
    let mut account = None;
    for (claim, value) in claims.iter() {
        let malformed = || ClaimFault::Malformed(claim);
        match claim {
            ClaimName::UserUri => {
                let user: UserUri = value.parse().map_err(|_| malformed())?;
                if user.is_pseudonym() {
                    return Err(ClaimFault::Pseudonym);
                }
                if user.domain() != domain {
                    return Err(ClaimFault::ForeignDomain);
                }
                account = Some(user);
            }
            ClaimName::Handle => {
                let address = value.strip_prefix("im:").ok_or_else(malformed)?;
                if host_of(address).ok_or_else(malformed)? != *domain {
                    return Err(ClaimFault::ForeignDomain);
                }
            }
            ClaimName::DisplayName => is_display_name(value).then_some(()).ok_or_else(malformed)?,
            ClaimName::Email => drop(host_of(value).ok_or_else(malformed)?),
            _ => return Err(ClaimFault::Unmapped),
        }
    }
    Ok(account)
}

/// 1 to 64 characters, none a control character and none that turns the direction of the text.
fn is_display_name(text: &str) -> bool {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (1..=64).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() || turns(c))
}

/// The domain of an `addr-spec` of dot-atoms (RFC 5322, section 3.4.1), of at most 254 octets.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_has_a_name_of_its_own_in_every_format() {
        for claim in ClaimName::ALL {
            assert_eq!(of_jwt(jwt_name(claim).unwrap()), Some(claim));
            assert_eq!(of_cwt(&Label::from(cwt_label(claim).unwrap())), Some(claim));
        }
        assert_eq!((of_jwt("birthdate"), of_cwt(&Label::from("name"))), (None, None));
    }

    #[test]
    fn values_follow_the_rules_of_their_claims() {
        let domain: Domain = "a.example".parse().unwrap();
        let check = |claim, value: &str| check(&[(claim, value.to_owned())].into_iter().collect(), &domain).map(|_| ());
        let pseudonym = UserUri::pseudonym(&domain, [1; 16]);
        let good = [
            (ClaimName::UserUri, "mimi://a.example/u/alice"),
            (ClaimName::Handle, "im:alice@a.example"),
            (ClaimName::DisplayName, "Алиса"),
            (ClaimName::Email, "alice.smith@mail.example"),
        ];
        for (claim, value) in good {
            assert_eq!(check(claim, value), Ok(()));
            for bad in ["", "\u{202e}", "alice\n", &"a".repeat(300)] {
                assert_eq!(check(claim, bad), Err(ClaimFault::Malformed(claim)), "{bad:?}");
            }
        }
        assert_eq!(check(ClaimName::UserUri, pseudonym.as_str()), Err(ClaimFault::Pseudonym));
        assert_eq!(check(ClaimName::UserUri, "mimi://b.example/u/bob"), Err(ClaimFault::ForeignDomain));
        assert_eq!(check(ClaimName::Handle, "im:bob@b.example"), Err(ClaimFault::ForeignDomain));
        assert_eq!(check(ClaimName::Email, "a..b@mail.example"), Err(ClaimFault::Malformed(ClaimName::Email)));
    }
}
