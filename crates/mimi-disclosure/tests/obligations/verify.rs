//! What a receiver refuses.

use std::sync::Arc;

use mimi_credential::{ChainError, CredentialError, TrustStore};
use mimi_disclosure::{
    DisclosurePolicy, PolicyBreach, PresentationError, UnverifiedPresentation, VerifyError, VerifyError::Identity,
};
use mimi_pseudonym::{
    CipherSuite, ClaimName, ClientUri, Content, DecodeError, MessageContext, SignatureScheme, Signer, UserUri,
};
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};

use crate::world::{ALICE, DAY, NOW, World, alice, claims, days, domain, issuer, key};

type Case = (&'static str, fn(&mut World), VerifyError);

const CASES: &[Case] = &[
    // 1. Consistent with the room's policy.
    (
        "a claim that the policy forbids by name",
        |world| {
            world.policy = DisclosurePolicy::new([ClaimName::UserUri], [], [ClaimName::DisplayName]).unwrap();
        },
        VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::DisplayName)),
    ),
    (
        "a claim that the policy does not name",
        |world| world.policy = DisclosurePolicy::new([ClaimName::UserUri], [], []).unwrap(),
        VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::DisplayName)),
    ),
    (
        "a claim that the policy requires and is not there",
        |world| {
            let required = [ClaimName::UserUri, ClaimName::DisplayName, ClaimName::Email];
            world.policy = DisclosurePolicy::new(required, [], []).unwrap();
        },
        VerifyError::Policy(PolicyBreach::Missing(ClaimName::Email)),
    ),
    (
        "content that no policy can name",
        |world| {
            world.certify(|params| params.distinguished_name.push(DnType::OrganizationName, "Secret Society"));
        },
        Identity(CredentialError::UnmappedContent),
    ),
    // 2. Issuer known and trusted for the domain of the subject's provider.
    (
        "a trust store that trusts nobody",
        |world| world.trust = TrustStore::default(),
        Identity(CredentialError::UntrustedIssuer),
    ),
    (
        "an authority that nobody trusts",
        |world| {
            let stranger = issuer("a.example", 20);
            world.identity = stranger.issue_identity(&alice(), &world.context_key, [4; 16], days(0, 200)).unwrap();
        },
        Identity(CredentialError::UntrustedIssuer),
    ),
    (
        "an authority that is trusted for another domain",
        |world| {
            let certificate = world.issuer.certificate();
            world.trust = TrustStore::default().with_anchor(certificate, [domain("b.example")]).unwrap();
        },
        Identity(CredentialError::NotTrustedForDomain),
    ),
    (
        "an authority that speaks for a domain that is not its own",
        |world| {
            let foreign = issuer("b.example", 21);
            let bob = claims(&[(ClaimName::UserUri, "mimi://b.example/u/bob")]);
            world.identity = foreign.issue_identity(&bob, &world.context_key, [4; 16], days(0, 200)).unwrap();
            world.trust = world.trust.clone().with_anchor(foreign.certificate(), [domain("c.example")]).unwrap();
        },
        Identity(CredentialError::NotTrustedForDomain),
    ),
    (
        "an authority in the middle that was never certified",
        |world| {
            let stranger = issuer("a.example", 22);
            let middle = stranger.delegate(Arc::new(key(SignatureScheme::Ed25519, 23)), [5; 16], days(0, 200)).unwrap();
            world.identity = middle.issue_identity(&alice(), &world.context_key, [4; 16], days(0, 200)).unwrap();
        },
        Identity(CredentialError::UntrustedIssuer),
    ),
    // 3. The signature key of the sender's leaf node.
    (
        "a certificate for another key of the same scheme",
        |world| {
            let other = key(world.context_key.scheme(), 24);
            world.identity = world.issuer.issue_identity(&alice(), other.public_key(), [4; 16], days(0, 200)).unwrap();
        },
        Identity(CredentialError::WrongKey),
    ),
    (
        "a message from another leaf: a copied presentation",
        |world| {
            world.context_key = key(world.context_key.scheme(), 25).public_key().clone();
        },
        Identity(CredentialError::WrongKey),
    ),
    // 4. Valid by the rules of X.509.
    (
        "a certificate that has expired",
        |world| {
            world.identity = world.issuer.issue_identity(&alice(), &world.context_key, [4; 16], days(0, 99)).unwrap();
        },
        Identity(CredentialError::Expired),
    ),
    (
        "a certificate that is not valid yet",
        |world| {
            world.identity =
                world.issuer.issue_identity(&alice(), &world.context_key, [4; 16], days(101, 200)).unwrap();
        },
        Identity(CredentialError::NotYetValid),
    ),
    (
        "a key that is not for signatures",
        |world| {
            world.certify(|params| {
                params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
                params.distinguished_name.push(DnType::CommonName, "Alice Smith");
            });
        },
        Identity(CredentialError::MissingKeyUsage),
    ),
    (
        "no key usage at all",
        |world| world.certify(|params| params.key_usages.clear()),
        Identity(CredentialError::MissingKeyUsage),
    ),
    (
        "a certificate for web servers",
        |world| {
            world.certify(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
        },
        Identity(CredentialError::MissingExtendedKeyUsage),
    ),
    (
        "no extended key usage at all",
        |world| world.certify(|params| params.extended_key_usages.clear()),
        Identity(CredentialError::MissingExtendedKeyUsage),
    ),
    (
        "octets that are no DER",
        |world| world.identity = vec![b"not DER".to_vec()].try_into().unwrap(),
        Identity(CredentialError::Malformed),
    ),
    (
        "an octet after the certificate",
        |world| {
            let mut certificates = Vec::from(world.identity.clone());
            certificates[0].push(0);
            world.identity = certificates.try_into().unwrap();
        },
        Identity(CredentialError::Malformed),
    ),
    (
        "a signature that was changed",
        |world| {
            let mut certificates = Vec::from(world.identity.clone());
            *certificates[0].last_mut().unwrap() ^= 1;
            world.identity = certificates.try_into().unwrap();
        },
        Identity(CredentialError::Signature),
    ),
    (
        "the leaf certificate shown again as an identity",
        |world| world.identity = world.leaf.clone(),
        Identity(CredentialError::Pseudonym),
    ),
    // 5 and 6. Bound to the sender: its leaf certificate is verified, is the sender's, and of the same issuer and domain.
    (
        "another issuer, that is trusted as well",
        |world| {
            let second = issuer("a.example", 26);
            world.identity = second.issue_identity(&alice(), &world.context_key, [4; 16], days(0, 200)).unwrap();
            world.trust = world.trust.clone().with_anchor(second.certificate(), [domain("a.example")]).unwrap();
        },
        VerifyError::OtherIssuer,
    ),
    (
        "an account of a foreign domain, whose issuer is trusted",
        |world| {
            let foreign = issuer("b.example", 27);
            let bob = claims(&[(ClaimName::UserUri, "mimi://b.example/u/bob")]);
            world.identity = foreign.issue_identity(&bob, &world.context_key, [4; 16], days(0, 200)).unwrap();
            world.trust = world.trust.clone().with_anchor(foreign.certificate(), [domain("b.example")]).unwrap();
        },
        VerifyError::ForeignDomain,
    ),
    (
        "a leaf that has expired",
        |world| {
            let (user, client) = &world.sender;
            world.leaf = world.issuer.issue_leaf(user, client, &world.context_key, [3; 16], days(0, 99)).unwrap();
        },
        VerifyError::Leaf(CredentialError::Expired),
    ),
    (
        "a leaf for another key",
        |world| {
            let (user, client) = &world.sender;
            let other = key(world.context_key.scheme(), 28);
            world.leaf = world.issuer.issue_leaf(user, client, other.public_key(), [3; 16], days(0, 200)).unwrap();
        },
        VerifyError::Leaf(CredentialError::WrongKey),
    ),
    (
        "a leaf of another user",
        |world| world.sender.0 = UserUri::pseudonym(&domain("a.example"), [29; 16]),
        VerifyError::OtherSender,
    ),
    (
        "a leaf of another client",
        |world| world.sender.1 = ClientUri::pseudonym(&domain("a.example"), [29; 16]),
        VerifyError::OtherSender,
    ),
];

#[test]
fn what_meets_every_obligation_is_believed() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        let content = world.present().unwrap();
        assert_eq!(content, world.raw_content());
        let disclosure = world.verify().unwrap();
        assert_eq!(*disclosure.claims(), alice());
        assert_eq!(disclosure.user().unwrap().as_str(), ALICE);
        assert_eq!(*disclosure.sender(), world.sender.0);
        assert_eq!(*disclosure.issuer_domain(), domain("a.example"));
        assert_eq!(format!("{disclosure:?}"), "Disclosure { claims: {UserUri, DisplayName}, .. }");
    }
}

#[test]
fn whatever_breaks_one_obligation_is_refused_by_name() {
    for suite in CipherSuite::ALL {
        for (name, change, expected) in CASES {
            let mut world = World::new(suite);
            change(&mut world);
            assert_eq!(world.verify(), Err(*expected), "{name}, {suite:?}");
            assert!(!expected.to_string().contains("alice"));
        }
    }
}

#[test]
fn a_path_through_an_intermediate_is_believed() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let signer = Arc::new(key(SignatureScheme::Ed25519, 30));
        let middle = world.issuer.delegate(signer, [5; 16], days(0, 200)).unwrap();
        world.identity = middle.issue_identity(&alice(), &world.context_key, [4; 16], days(0, 200)).unwrap();
        assert_eq!(world.identity.certificates().len(), 2);
        assert_eq!(world.verify().unwrap().user().unwrap().as_str(), ALICE);
        assert!(world.present().is_ok());
    }
}

#[test]
fn the_order_of_the_obligations_is_kept() {
    let mut world = World::new(CipherSuite::X25519Aes128Ed25519);
    world.now = NOW.after(DAY * 500);
    assert_eq!(world.verify(), Err(Identity(CredentialError::Expired)));
    let other = key(world.context_key.scheme(), 24);
    world.identity = world.issuer.issue_identity(&alice(), other.public_key(), [4; 16], days(0, 200)).unwrap();
    assert_eq!(world.verify(), Err(Identity(CredentialError::WrongKey)));
    world.trust = TrustStore::default();
    assert_eq!(world.verify(), Err(Identity(CredentialError::UntrustedIssuer)));
    world.policy = DisclosurePolicy::new([ClaimName::UserUri], [], []).unwrap();
    assert_eq!(world.verify(), Err(VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::DisplayName))));
}

#[test]
fn a_sender_without_certificates_discloses_nothing() {
    let world = World::new(CipherSuite::P256Aes128P256);
    let context = MessageContext::dangerous_new(
        world.context().room().clone(),
        7,
        world.sender.clone(),
        world.context_key.clone(),
        vec![],
        *world.context().nonce(),
    );
    let presentation = UnverifiedPresentation::try_from(&world.raw_content()).unwrap();
    let outcome = presentation.verify(&context, &world.policy, &world.trust, world.now);
    assert_eq!(outcome, Err(VerifyError::LeafChain(ChainError::Count(0))));
}

#[test]
fn only_an_mls_credential_with_certificates_is_a_presentation() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    let good = world.raw_content();
    let read = |media_type: &str, body: &[u8]| {
        UnverifiedPresentation::try_from(&Content { media_type: media_type.into(), body: body.to_vec() }).map(|_| ())
    };
    let mls = "application/mls-credential";
    for accepted in [mls, "application/mls-credential; name=x509", "Application/MLS-Credential ;x=y"] {
        assert_eq!(read(accepted, &good.body), Ok(()), "{accepted}");
    }
    for other in ["application/mls-credentials", "application/mls", "", "text/plain; application/mls-credential"] {
        assert_eq!(read(other, &good.body), Err(PresentationError::MediaType), "{other}");
    }
    let malformed = |error| Err(PresentationError::Malformed(error));
    assert_eq!(read(mls, &[]), malformed(DecodeError::Truncated));
    assert_eq!(read(mls, &good.body[..good.body.len() - 1]), malformed(DecodeError::Truncated));
    assert_eq!(read(mls, &[&good.body[..], &[0]].concat()), malformed(DecodeError::Trailing(1)));
    assert_eq!(read(mls, &[0, 1, 1, b'a']), Err(PresentationError::CredentialType(1)));
    assert_eq!(read(mls, &[0, 2, 0]), Err(PresentationError::Chain(ChainError::Count(0))));
    assert_eq!(read(mls, &[0, 2, 1, 0]), Err(PresentationError::Chain(ChainError::Length(0))));
    assert_eq!(
        read(mls, &[0, 2, 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        Err(PresentationError::Chain(ChainError::Count(5)))
    );
}
