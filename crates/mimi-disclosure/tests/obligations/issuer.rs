//! What a provider issues, and what a holder takes.

use coset_sd_cwt::AcceptError;
use mimi_credential::TrustStore;
use mimi_disclosure::{
    ClaimFault, HoldError, Holding, IdentityCredential, IssueError, issue_sd_cwt, issue_sd_jwt,
    sd_jwt::{self, JwtError, KeyBindingError, SdJwtError},
};
use mimi_pseudonym::{CipherSuite, ClaimName, Entropy, SeededEntropy, Signer, UserUri};

use crate::{
    formats::{Format, TOKENS, issuer_key, token},
    world::{ALICE, DAY, NOW, World, alice, claims, days, domain, key},
};

#[test]
fn the_number_of_claims_does_not_show() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    let of = |claims| token(Format::SdJwt, 1, claims, &world.context_key, 200);
    // The issuer's part, which every receiver sees, is of one length; the disclosures are not.
    let signed = |token: &[u8]| token.iter().position(|octet| *octet == b'~').unwrap();
    let (few, many) = (of(&claims(&[(ClaimName::UserUri, ALICE)])), of(&alice()));
    assert_eq!(signed(&few), signed(&many));
    assert!(few.len() < many.len());
}

#[test]
fn what_no_receiver_would_believe_is_not_issued() {
    let holder = key(CipherSuite::P256Aes128P256.signature_scheme(), 2);
    let pseudonym = UserUri::pseudonym(&domain("a.example"), [1; 16]);
    let cases = [
        (claims(&[(ClaimName::Email, "alice@mail.example")]), days(0, 1), IssueError::MissingUserUri),
        (claims(&[(ClaimName::UserUri, pseudonym.as_str())]), days(0, 1), IssueError::Claims(ClaimFault::Pseudonym)),
        (
            claims(&[(ClaimName::UserUri, "mimi://b.example/u/bob")]),
            days(0, 1),
            IssueError::Claims(ClaimFault::ForeignDomain),
        ),
        (
            claims(&[(ClaimName::UserUri, ALICE), (ClaimName::Email, "alice")]),
            days(0, 1),
            IssueError::Claims(ClaimFault::Malformed(ClaimName::Email)),
        ),
        (
            claims(&[(ClaimName::UserUri, ALICE), (ClaimName::AgeOver18, "false")]),
            days(0, 1),
            IssueError::Claims(ClaimFault::Malformed(ClaimName::AgeOver18)),
        ),
        (alice(), days(1, 1), IssueError::Validity),
    ];
    for (claims, validity, expected) in cases {
        for issue in [issue_sd_jwt, issue_sd_cwt] {
            let mut entropy = SeededEntropy::new([1; 32]);
            let outcome =
                issue(&issuer_key(1), &domain("a.example"), &claims, holder.public_key(), validity, &mut entropy);
            assert_eq!(outcome, Err(expected));
        }
    }
}

/// A generator that always gives the same.
struct Stuck;

impl Entropy for Stuck {
    fn fill(&mut self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

#[test]
fn a_broken_generator_issues_nothing() {
    let (signer, domain) = (issuer_key(1), domain("a.example"));
    let outcome = issue_sd_jwt(&signer, &domain, &alice(), signer.public_key(), days(0, 1), &mut Stuck);
    assert_eq!(outcome, Err(IssueError::SdJwt(sd_jwt::IssueError::Entropy)));
    let outcome = issue_sd_cwt(&signer, &domain, &alice(), signer.public_key(), days(0, 1), &mut Stuck);
    let repeated = coset_sd_cwt::IssueError::Redact(coset_sd_cwt::RedactError::RepeatedSalt);
    assert_eq!(outcome, Err(IssueError::SdCwt(repeated)));
}

#[test]
fn a_holder_takes_only_what_is_its_own_and_verifies() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        let (own, other) = (domain("a.example"), key(suite.signature_scheme(), 24));
        let holding = Holding { domain: &own, key: &world.context_key, trust: &world.trust, now: NOW };
        let jwt = token(Format::SdJwt, 1, &alice(), &world.context_key, 200);
        let cwt = token(Format::SdCwt, 1, &alice(), &world.context_key, 200);
        let take = |format, token: &[u8], holding: &Holding<'_>| match format {
            Format::SdJwt => IdentityCredential::sd_jwt(token, holding).unwrap_err(),
            _ => IdentityCredential::sd_cwt(token, holding).unwrap_err(),
        };
        let refused = |error| HoldError::SdJwt(sd_jwt::HoldError::Token(error));

        let stolen = Holding { key: other.public_key(), ..holding };
        let not_mine = HoldError::SdJwt(sd_jwt::HoldError::Key(KeyBindingError::OtherHolder));
        assert_eq!(take(Format::SdJwt, &jwt, &stolen), not_mine);
        assert_eq!(take(Format::SdCwt, &cwt, &stolen), HoldError::SdCwt(AcceptError::OtherHolder));

        let nobody = TrustStore::default();
        let untrusting = Holding { trust: &nobody, ..holding };
        assert_eq!(take(Format::SdJwt, &jwt, &untrusting), refused(SdJwtError::Jwt(JwtError::Algorithm)));
        assert_eq!(take(Format::SdCwt, &cwt, &untrusting), HoldError::SdCwt(AcceptError::NoIssuerKey));

        let late = Holding { now: NOW.after(DAY * 400), ..holding };
        for format in TOKENS {
            let token = if format == Format::SdJwt { &jwt } else { &cwt };
            assert!(matches!(take(format, token, &late), HoldError::SdJwt(_) | HoldError::SdCwt(_)));
        }
        assert_eq!(take(Format::SdJwt, b"", &holding), HoldError::SdJwtForm(sd_jwt::ParseError::Parts));
        assert!(matches!(take(Format::SdCwt, b"", &holding), HoldError::SdCwtForm(_)));
    }
}

#[test]
fn a_token_that_shows_everyone_what_is_no_claim_is_not_taken() {
    let world = World::new(CipherSuite::P256Aes128P256);
    let own = domain("a.example");
    let holding = Holding { domain: &own, key: &world.context_key, trust: &world.trust, now: NOW };
    let signer = issuer_key(1);
    let issue = |claims: &sd_jwt::Object| {
        let issuer = sd_jwt::Issuer::new(&signer, "sd-jwt");
        issuer.issue(claims, &world.context_key, &mut SeededEntropy::new([1; 32])).unwrap().into_bytes()
    };
    let base = || {
        let exp = NOW.after(DAY).as_secs() as i64;
        sd_jwt::Object::new().plain("iss", "mimi://a.example").plain("exp", exp)
    };
    let outcome = IdentityCredential::sd_jwt(&issue(&base().plain("family_name", "Smith")), &holding);
    assert_eq!(outcome.unwrap_err(), HoldError::Claims(ClaimFault::Unmapped));
    // What can be withheld does no harm.
    let token = issue(&base().plain("sub", ALICE).hidden("family_name", "Smith").hidden("name", "Alice"));
    let held = IdentityCredential::sd_jwt(&token, &holding).unwrap();
    assert_eq!(held.names().unwrap(), [ClaimName::UserUri, ClaimName::DisplayName].into());
}
