//! Leaf credentials: each thing that can be wrong has its own error, in both suites.

use mimi_credential::{CredentialError, LeafIdentity, TrustStore, UnverifiedLeaf};
use mimi_pseudonym::Signer;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

use crate::forge::{Authority, NOW, SCHEMES, YEAR, chain, im_uri, key, uri};

const USER: &str = "mimi://a.example/u/~07070707-0707-0707-0707-070707070707";
const CLIENT: &str = "mimi://a.example/d/~08080808-0808-0808-0808-080808080808";
const OTHER: &str = "mimi://a.example/u/~09090909-0909-0909-0909-090909090909";

fn pseudonym(params: &mut CertificateParams) {
    params.subject_alt_names = vec![uri(USER), uri(CLIENT)];
}

fn root() -> Authority {
    Authority::root("Root", 1, |_| {})
}

/// The outcome for a leaf that `change` makes bad, in both suites, straight under a root.
fn outcomes(change: impl Fn(&mut CertificateParams)) -> Vec<Result<LeafIdentity, CredentialError>> {
    let root = root();
    let verify = |scheme| {
        let leaf_key = key(scheme, 2);
        let leaf = root.certify(leaf_key.public_key(), |params| {
            pseudonym(params);
            change(params);
        });
        UnverifiedLeaf::new(chain(&[&leaf])).verify(leaf_key.public_key(), &root.trusted_for("a.example"), NOW)
    };
    SCHEMES.into_iter().map(verify).collect()
}

#[track_caller]
fn refused(expected: CredentialError, change: impl Fn(&mut CertificateParams)) {
    for outcome in outcomes(change) {
        assert_eq!(outcome, Err(expected));
    }
}

#[test]
fn a_good_leaf_is_accepted() {
    for outcome in outcomes(|_| {}) {
        let leaf = outcome.unwrap();
        assert_eq!((leaf.user().as_str(), leaf.client().as_str()), (USER, CLIENT));
    }
}

#[test]
fn dates() {
    refused(CredentialError::Expired, |params| params.not_after = date_time_ymd(2027, 1, 1));
    refused(CredentialError::NotYetValid, |params| params.not_before = date_time_ymd(2027, 2, 1));
    refused(CredentialError::Malformed, |params| {
        params.not_before = date_time_ymd(2027, 2, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
    });
}

#[test]
fn usages() {
    refused(CredentialError::MissingKeyUsage, |params| params.key_usages.clear());
    refused(CredentialError::MissingKeyUsage, |params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    refused(CredentialError::MissingExtendedKeyUsage, |params| params.extended_key_usages.clear());
    for other in [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::Any] {
        refused(CredentialError::MissingExtendedKeyUsage, |params| params.extended_key_usages = vec![other.clone()]);
    }
    refused(CredentialError::LeafIsAuthority, |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
}

#[test]
fn names() {
    let names = |error, names: &[&str]| {
        refused(error, |params| params.subject_alt_names = names.iter().map(|name| uri(name)).collect());
    };
    names(CredentialError::MissingUserUri, &[CLIENT]);
    names(CredentialError::MissingUserUri, &[]);
    names(CredentialError::MissingClientUri, &[USER]);
    names(CredentialError::MixedNames, &[USER, OTHER, CLIENT]);
    names(CredentialError::MixedNames, &[USER, USER, CLIENT]);
    names(CredentialError::MixedNames, &[USER, CLIENT, "mimi://a.example/d/phone"]);
    names(CredentialError::MixedNames, &[USER, CLIENT, "mimi://a.example/r/room"]);
    names(CredentialError::MalformedName, &["mimi://a.example/u/~alice", CLIENT]);
    names(CredentialError::ForeignDomain, &[USER, "mimi://b.example/d/~08080808-0808-0808-0808-080808080808"]);
    names(CredentialError::ClientNotPseudonymous, &[USER, "mimi://a.example/d/phone"]);
    names(CredentialError::UnmappedContent, &[USER, CLIENT, "im:alice@a.example"]);
    names(CredentialError::UnmappedContent, &[USER, CLIENT, "https://a.example/alice"]);
}

#[test]
fn nothing_else_in_a_pseudonyms_certificate_names_anyone() {
    refused(CredentialError::UnmappedContent, |params| {
        params.distinguished_name.push(DnType::CommonName, "Alice Smith");
    });
    refused(CredentialError::UnmappedContent, |params| {
        params.subject_alt_names.push(SanType::Rfc822Name("alice@mail.example".try_into().unwrap()));
    });
    refused(CredentialError::UnmappedContent, |params| {
        params.subject_alt_names.push(SanType::DnsName("alice.example".try_into().unwrap()));
    });
    // subjectDirectoryAttributes
    refused(CredentialError::UnmappedContent, |params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 9], vec![0x30, 0]));
    });
    // userClass age-over-18: a claim, which a pseudonym's leaf has none of.
    let age = b"\x30\x1d\x30\x1b\x06\x0a\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x08\x31\x0d\x0c\x0bage-over-18";
    refused(CredentialError::UnmappedContent, |params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 9], age.to_vec()));
    });
    refused(CredentialError::CriticalExtension, |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions.push(extension);
    });
}

#[test]
fn an_accounts_certificate_may_say_more() {
    for outcome in outcomes(|params| {
        params.subject_alt_names =
            vec![uri("mimi://a.example/u/alice"), uri("mimi://a.example/d/phone"), uri("im:alice@a.example")];
        params.distinguished_name.push(DnType::CommonName, "Alice Smith");
    }) {
        assert_eq!(outcome.unwrap().user().as_str(), "mimi://a.example/u/alice");
    }
}

#[test]
fn keys() {
    let root = root();
    let trust = root.trusted_for("a.example");
    for scheme in SCHEMES {
        let leaf_key = key(scheme, 2);
        let leaf = root.certify(leaf_key.public_key(), pseudonym);
        for other in SCHEMES {
            let outcome = UnverifiedLeaf::new(chain(&[&leaf])).verify(key(other, 3).public_key(), &trust, NOW);
            assert_eq!(outcome, Err(CredentialError::WrongKey));
        }
    }
}

#[test]
fn trust() {
    let root = root();
    for scheme in SCHEMES {
        let leaf_key = key(scheme, 2);
        let leaf = root.certify(leaf_key.public_key(), pseudonym);
        let verify = |trust: &TrustStore| {
            UnverifiedLeaf::new(chain(&[&leaf])).verify(leaf_key.public_key(), trust, NOW).unwrap_err()
        };
        assert_eq!(verify(&TrustStore::default()), CredentialError::UntrustedIssuer);
        let other = Authority::root("Other root", 4, |_| {});
        assert_eq!(verify(&other.trusted_for("a.example")), CredentialError::UntrustedIssuer);
        let namesake = Authority::root("Root", 4, |_| {});
        assert_eq!(verify(&namesake.trusted_for("a.example")), CredentialError::Signature);
        assert_eq!(verify(&root.trusted_for("b.example")), CredentialError::NotTrustedForDomain);
        let both = root.trusted_for("b.example").with_anchor(&other.der, ["a.example".parse().unwrap()]).unwrap();
        assert_eq!(verify(&both), CredentialError::NotTrustedForDomain, "another anchor's domain does not help");

        let old = Authority::root("Root", 1, |params| params.not_after = date_time_ymd(2027, 1, 1));
        assert_eq!(verify(&old.trusted_for("a.example")), CredentialError::Expired);
        let new = Authority::root("Root", 1, |params| params.not_before = date_time_ymd(2027, 2, 1));
        assert_eq!(verify(&new.trusted_for("a.example")), CredentialError::NotYetValid);

        // A renewed anchor stands beside the old one, and is the same issuer.
        let renewed = old.trusted_for("a.example").with_anchor(&root.der, ["a.example".parse().unwrap()]).unwrap();
        let verify = |trust| UnverifiedLeaf::new(chain(&[&leaf])).verify(leaf_key.public_key(), trust, NOW).unwrap();
        assert_eq!(verify(&renewed).issuer(), verify(&root.trusted_for("a.example")).issuer());
    }
}

#[test]
fn an_anchor_is_no_leaf() {
    let leaf_key = key(mimi_pseudonym::SignatureScheme::EcdsaP256Sha256, 1);
    let root = Authority::root("Root", 1, pseudonym);
    let verify = |der: &[u8]| {
        UnverifiedLeaf::new(chain(&[der])).verify(leaf_key.public_key(), &root.trusted_for("a.example"), NOW)
    };
    assert_eq!(verify(&root.der), Err(CredentialError::SelfSigned));
    assert_eq!(verify(&root.certify(leaf_key.public_key(), pseudonym)), Err(CredentialError::SelfSigned));

    let stranger = Authority::root("Stranger", 6, pseudonym);
    let own = key(mimi_pseudonym::SignatureScheme::EcdsaP256Sha256, 6);
    let outcome =
        UnverifiedLeaf::new(chain(&[&stranger.der])).verify(own.public_key(), &root.trusted_for("a.example"), NOW);
    assert_eq!(outcome, Err(CredentialError::UntrustedIssuer));
}

#[test]
fn intermediates() {
    let root = root();
    let leaf_key = key(SCHEMES[0], 2);
    let through = |change: &dyn Fn(&mut CertificateParams)| {
        let intermediate = root.intermediate("Intermediate", 5, change);
        let leaf = intermediate.certify(leaf_key.public_key(), pseudonym);
        UnverifiedLeaf::new(chain(&[&leaf, &intermediate.der])).verify(
            leaf_key.public_key(),
            &root.trusted_for("a.example"),
            NOW,
        )
    };
    let direct = UnverifiedLeaf::new(chain(&[&root.certify(leaf_key.public_key(), pseudonym)]))
        .verify(leaf_key.public_key(), &root.trusted_for("a.example"), NOW)
        .unwrap();
    assert_eq!(through(&|_| {}).unwrap().issuer(), direct.issuer());
    assert!(through(&|params| params.extended_key_usages = vec![im_uri()]).is_ok());

    let short = through(&|params| params.not_after = date_time_ymd(2027, 2, 1)).unwrap();
    assert!(short.not_after() < direct.not_after() && direct.not_after() < NOW.after(YEAR));

    let refused = |error, change: &dyn Fn(&mut CertificateParams)| assert_eq!(through(change), Err(error));
    refused(CredentialError::NotAnAuthority, &|params| params.is_ca = IsCa::NoCa);
    refused(CredentialError::NotAnAuthority, &|params| params.is_ca = IsCa::ExplicitNoCa);
    refused(CredentialError::MissingCertSign, &|params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    refused(CredentialError::MissingCertSign, &|params| params.key_usages.clear());
    refused(CredentialError::Expired, &|params| params.not_after = date_time_ymd(2027, 1, 1));
    refused(CredentialError::NotYetValid, &|params| params.not_before = date_time_ymd(2027, 2, 1));
    refused(CredentialError::MissingExtendedKeyUsage, &|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    refused(CredentialError::Constraint, &|params| {
        let permitted_subtrees = vec![GeneralSubtree::DirectoryName({
            let mut name = rcgen::DistinguishedName::new();
            name.push(DnType::CommonName, "Bob");
            name
        })];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    });
}

#[test]
fn a_path_may_not_be_longer_than_its_issuers_allow() {
    let root = root();
    let leaf_key = key(SCHEMES[0], 2);
    let upper = root.intermediate("Upper", 5, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let lower = upper.intermediate("Lower", 6, |_| {});
    let leaf = lower.certify(leaf_key.public_key(), pseudonym);
    let outcome = UnverifiedLeaf::new(chain(&[&leaf, &lower.der, &upper.der])).verify(
        leaf_key.public_key(),
        &root.trusted_for("a.example"),
        NOW,
    );
    assert_eq!(outcome, Err(CredentialError::Constraint));
}

#[test]
fn a_user_in_the_middle_cannot_certify_another() {
    let root = root();
    // Cathy holds a good leaf certificate, and signs one for Alice's pseudonym with its key.
    let cathy = root.intermediate("", 5, |params| {
        pseudonym(params);
        params.distinguished_name.push(DnType::CommonName, "Cathy");
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![im_uri()];
    });
    for scheme in SCHEMES {
        let own = key(scheme, 9);
        let forged = cathy.certify(own.public_key(), |params| params.subject_alt_names = vec![uri(OTHER), uri(CLIENT)]);
        let verify = |chain| {
            UnverifiedLeaf::new(chain).verify(own.public_key(), &root.trusted_for("a.example"), NOW).unwrap_err()
        };
        assert_eq!(verify(chain(&[&forged, &cathy.der])), CredentialError::NotAnAuthority);
        assert_eq!(verify(chain(&[&forged])), CredentialError::UntrustedIssuer);
        assert_eq!(verify(chain(&[&forged, &root.der])), CredentialError::ChainOrder);
    }
}

#[test]
fn octets_that_are_changed_cut_or_added_are_noticed() {
    let root = root();
    let trust = root.trusted_for("a.example");
    for scheme in SCHEMES {
        let leaf_key = key(scheme, 2);
        let leaf = root.certify(leaf_key.public_key(), pseudonym);
        let verify = |der: &[u8]| UnverifiedLeaf::new(chain(&[der])).verify(leaf_key.public_key(), &trust, NOW);
        assert!(verify(&leaf).is_ok());
        assert_eq!(verify(&[&leaf[..], &[0]].concat()), Err(CredentialError::Malformed));
        assert_eq!(verify(&leaf[..leaf.len() - 1]), Err(CredentialError::Malformed));
        assert_eq!(verify(b"not DER"), Err(CredentialError::Malformed));
        let mut forged = leaf.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(verify(&forged), Err(CredentialError::Signature));
        for at in 0..leaf.len() {
            let mut forged = leaf.clone();
            forged[at] ^= 1;
            assert!(verify(&forged).is_err(), "octet {at}");
        }
        let above = UnverifiedLeaf::new(chain(&[&leaf, &[&root.der[..], &[0]].concat()]));
        assert_eq!(above.verify(leaf_key.public_key(), &trust, NOW), Err(CredentialError::Malformed));
    }
}
