//! What an issuer issues, a verifier accepts; and what it does not issue.

use std::{sync::Arc, time::Duration};

use mimi_credential::{
    AnchorError, CertificateChain, ChainError, CredentialError, IssueError, Issuer, TrustStore, UnverifiedIdentity,
    UnverifiedLeaf, Validity,
};
use mimi_pseudonym::{
    ClaimName, Claims, ClientUri, Domain, Entropy, SeededEntropy, SignatureScheme, Signer, Timestamp, UserUri,
};

use crate::forge::{NOW, SCHEMES, key};

const VALIDITY: Validity = Validity { not_before: NOW, not_after: NOW.after(Duration::from_secs(86_400)) };

fn domain() -> Domain {
    "a.example".parse().unwrap()
}

fn issuer(scheme: SignatureScheme) -> Issuer {
    Issuer::create(domain(), Arc::new(key(scheme, 1)), [1; 16], VALIDITY).unwrap()
}

fn trust(issuer: &Issuer) -> TrustStore {
    TrustStore::default().with_anchor(issuer.certificate(), [domain()]).unwrap()
}

fn pseudonym() -> (UserUri, ClientUri) {
    (UserUri::pseudonym(&domain(), [7; 16]), ClientUri::pseudonym(&domain(), [8; 16]))
}

fn alice(names: &[(ClaimName, &str)]) -> Claims {
    let mut claims: Claims = names.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    if claims.value(ClaimName::UserUri).is_none() {
        claims.insert(ClaimName::UserUri, "mimi://a.example/u/alice");
    }
    claims
}

fn all_claims() -> Claims {
    alice(&[
        (ClaimName::Handle, "im:alice@a.example"),
        (ClaimName::DisplayName, "Alice Smith"),
        (ClaimName::Email, "alice@mail.example"),
        (ClaimName::AgeOver18, ClaimName::TRUE),
    ])
}

#[test]
fn a_leaf_of_each_scheme_is_accepted_from_an_issuer_of_each_scheme() {
    for issuer_scheme in SCHEMES {
        let issuer = issuer(issuer_scheme);
        for scheme in SCHEMES {
            let (user, client) = pseudonym();
            let leaf_key = key(scheme, 2);
            let chain = issuer.issue_leaf(&user, &client, leaf_key.public_key(), [2; 16], VALIDITY).unwrap();
            let leaf = UnverifiedLeaf::new(chain).verify(leaf_key.public_key(), &trust(&issuer), NOW).unwrap();
            assert_eq!((leaf.user(), leaf.client()), (&user, &client));
            assert_eq!(leaf.public_key(), leaf_key.public_key());
            assert_eq!(leaf.not_after(), VALIDITY.not_after);
        }
    }
}

#[test]
fn an_identity_comes_back_as_it_was_issued() {
    for scheme in SCHEMES {
        let issuer = issuer(SignatureScheme::EcdsaP256Sha256);
        let leaf_key = key(scheme, 2);
        for claims in [alice(&[]), all_claims()] {
            let chain = issuer.issue_identity(&claims, leaf_key.public_key(), [2; 16], VALIDITY).unwrap();
            let unverified = UnverifiedIdentity::new(chain);
            assert_eq!(unverified.claimed().unwrap(), claims);
            let identity = unverified.verify(leaf_key.public_key(), &trust(&issuer), NOW).unwrap();
            assert_eq!(*identity.claims(), claims);
            assert_eq!(identity.user().as_str(), "mimi://a.example/u/alice");
            assert_eq!(identity.not_after(), VALIDITY.not_after);
        }
    }
}

#[test]
fn leaf_and_identity_of_one_issuer_have_the_same_issuer_also_through_a_delegate() {
    let root = issuer(SignatureScheme::EcdsaP256Sha256);
    let delegate = root.delegate(Arc::new(key(SignatureScheme::Ed25519, 3)), [3; 16], VALIDITY).unwrap();
    let leaf_key = key(SignatureScheme::Ed25519, 2);
    let (user, client) = pseudonym();
    let leaf = delegate.issue_leaf(&user, &client, leaf_key.public_key(), [2; 16], VALIDITY).unwrap();
    assert_eq!(leaf.certificates().len(), 2, "leaf and delegate, without the anchor");
    let identity = root.issue_identity(&alice(&[]), leaf_key.public_key(), [4; 16], VALIDITY).unwrap();
    assert!(UnverifiedIdentity::new(identity.clone()).names_issuer_of(&leaf).unwrap());
    let leaf = UnverifiedLeaf::new(leaf).verify(leaf_key.public_key(), &trust(&root), NOW).unwrap();
    let identity = UnverifiedIdentity::new(identity).verify(leaf_key.public_key(), &trust(&root), NOW).unwrap();
    assert_eq!(leaf.issuer(), identity.issuer());
}

#[test]
fn a_delegate_that_is_not_shown_or_belongs_to_someone_else_does_not_help() {
    let root = issuer(SignatureScheme::EcdsaP256Sha256);
    let delegate = root.delegate(Arc::new(key(SignatureScheme::Ed25519, 3)), [3; 16], VALIDITY).unwrap();
    let leaf_key = key(SignatureScheme::Ed25519, 2);
    let (user, client) = pseudonym();
    let chain = delegate.issue_leaf(&user, &client, leaf_key.public_key(), [2; 16], VALIDITY).unwrap();
    let verify = |chain: Vec<Vec<u8>>| {
        let chain = CertificateChain::try_from(chain).unwrap();
        UnverifiedLeaf::new(chain).verify(leaf_key.public_key(), &trust(&root), NOW)
    };
    let leaf = chain.certificates()[0].clone();
    assert_eq!(verify(vec![leaf.clone()]), Err(CredentialError::UntrustedIssuer));

    let stranger = Issuer::create(domain(), Arc::new(key(SignatureScheme::Ed25519, 9)), [1; 16], VALIDITY).unwrap();
    let other = stranger.delegate(Arc::new(key(SignatureScheme::Ed25519, 10)), [3; 16], VALIDITY).unwrap();
    assert_eq!(verify(vec![leaf.clone(), other.certificate().to_vec()]), Err(CredentialError::ChainOrder));

    // The delegate's certificate issued again by a stranger: same name, same key, another issuer.
    let copy = stranger.delegate(Arc::new(key(SignatureScheme::Ed25519, 3)), [3; 16], VALIDITY).unwrap();
    assert_eq!(verify(vec![leaf.clone(), copy.certificate().to_vec()]), Err(CredentialError::UntrustedIssuer));

    // The anchor may be shown as well.
    let all = vec![leaf, delegate.certificate().to_vec(), root.certificate().to_vec()];
    assert!(verify(all).is_ok());
}

#[test]
fn an_issuer_is_taken_up_again() {
    let root = issuer(SignatureScheme::EcdsaP256Sha256);
    let delegate_key = Arc::new(key(SignatureScheme::Ed25519, 3));
    let delegate = root.delegate(delegate_key.clone(), [3; 16], VALIDITY).unwrap();
    let loaded = Issuer::load(domain(), delegate_key.clone(), delegate.certificates().to_vec()).unwrap();
    let leaf_key = key(SignatureScheme::Ed25519, 2);
    let issue = |issuer: &Issuer| issuer.issue_identity(&all_claims(), leaf_key.public_key(), [2; 16], VALIDITY);
    assert_eq!(issue(&loaded), issue(&delegate));

    let load = |certificates| Issuer::load(domain(), delegate_key.clone(), certificates).unwrap_err();
    assert_eq!(load(vec![]), IssueError::Chain(ChainError::Count(0)));
    assert_eq!(load(vec![vec![1, 2, 3]]), IssueError::Authority(AnchorError::Malformed));
    assert_eq!(load(vec![root.certificate().to_vec()]), IssueError::WrongKey);
    let leaf = issue(&root).unwrap().certificates()[0].clone();
    assert_eq!(load(vec![leaf]), IssueError::Authority(AnchorError::NotAnAuthority));
}

#[test]
fn what_would_not_be_accepted_is_not_issued() {
    let issuer = issuer(SignatureScheme::EcdsaP256Sha256);
    let leaf_key = key(SignatureScheme::Ed25519, 2);
    let (user, client) = pseudonym();
    let other: Domain = "b.example".parse().unwrap();
    let leaf = |user: &UserUri, client: &ClientUri| {
        issuer.issue_leaf(user, client, leaf_key.public_key(), [2; 16], VALIDITY).unwrap_err()
    };
    assert_eq!(leaf(&UserUri::pseudonym(&other, [1; 16]), &client), IssueError::ForeignDomain);
    assert_eq!(leaf(&user, &ClientUri::pseudonym(&other, [1; 16])), IssueError::ForeignDomain);
    assert_eq!(leaf(&user, &ClientUri::new(&domain(), "phone").unwrap()), IssueError::ClientNotPseudonymous);

    let identity =
        |claims: &Claims| issuer.issue_identity(claims, leaf_key.public_key(), [2; 16], VALIDITY).unwrap_err();
    assert_eq!(identity(&Claims::default()), IssueError::Claim(ClaimName::UserUri));
    assert_eq!(identity(&alice(&[(ClaimName::UserUri, user.as_str())])), IssueError::Pseudonym);
    assert_eq!(identity(&alice(&[(ClaimName::UserUri, "mimi://b.example/u/bob")])), IssueError::ForeignDomain);
    for (name, value) in [
        (ClaimName::Handle, "im:alice@b.example"),
        (ClaimName::Handle, "alice"),
        (ClaimName::DisplayName, "Alice\u{0}"),
        (ClaimName::DisplayName, ""),
        (ClaimName::Email, "alice"),
        (ClaimName::AgeOver18, "false"),
    ] {
        assert_eq!(identity(&alice(&[(name, value)])), IssueError::Claim(name), "{value:?}");
    }

    let dated = |serial, not_before, not_after| {
        let validity = Validity { not_before, not_after };
        issuer.issue_leaf(&user, &client, leaf_key.public_key(), serial, validity).unwrap_err()
    };
    assert_eq!(dated([0; 16], NOW, NOW), IssueError::Serial);
    assert_eq!(dated([1; 16], NOW, NOW.before(Duration::from_secs(1))), IssueError::Validity);
    assert_eq!(dated([1; 16], NOW, Timestamp::from_millis(u64::MAX)), IssueError::Validity);
}

#[test]
fn dates_count_to_the_second_and_beyond_2050() {
    let far = Timestamp::from_secs(2_600_000_000);
    let validity = Validity { not_before: NOW, not_after: far };
    let issuer = Issuer::create(domain(), Arc::new(key(SignatureScheme::Ed25519, 1)), [0xff; 16], validity).unwrap();
    let leaf_key = key(SignatureScheme::Ed25519, 2);
    let (user, client) = pseudonym();
    let chain = issuer.issue_leaf(&user, &client, leaf_key.public_key(), [0xff; 16], validity).unwrap();
    let verify = |now| {
        UnverifiedLeaf::new(chain.clone())
            .verify(leaf_key.public_key(), &trust(&issuer), now)
            .map(|leaf| leaf.not_after())
    };
    assert_eq!(verify(NOW), Ok(far));
    assert_eq!(verify(far.after(Duration::from_millis(999))), Ok(far));
    assert_eq!(verify(far.after(Duration::from_secs(1))), Err(CredentialError::Expired));
    assert_eq!(verify(NOW.before(Duration::from_millis(1))), Err(CredentialError::NotYetValid));
}

#[test]
fn the_same_inputs_give_the_same_certificate_and_debug_hides_the_claims() {
    let issuer = issuer(SignatureScheme::EcdsaP256Sha256);
    let leaf_key = key(SignatureScheme::EcdsaP256Sha256, 2);
    let mut entropy = SeededEntropy::new([5; 32]);
    let serial = entropy.bits128();
    let issue = || issuer.issue_identity(&all_claims(), leaf_key.public_key(), serial, VALIDITY).unwrap();
    assert_eq!(issue(), issue());
    let identity = UnverifiedIdentity::new(issue());
    assert_eq!(format!("{identity:?}"), "UnverifiedIdentity { chain: CertificateChain(1 certificates) }");
    let identity = identity.verify(leaf_key.public_key(), &trust(&issuer), NOW).unwrap();
    assert_eq!(
        format!("{identity:?}"),
        "IdentityClaims { claims: {UserUri, Handle, DisplayName, Email, AgeOver18}, .. }"
    );
}
