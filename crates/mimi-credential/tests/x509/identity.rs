//! Identity certificates: how their content maps to claims, and what is refused because it maps to none.

use mimi_credential::{CredentialError, UnverifiedIdentity};
use mimi_pseudonym::{ClaimName, Claims, Signer};
use rcgen::{CertificateParams, CustomExtension, DnType, SanType};

use crate::forge::{Authority, NOW, SCHEMES, chain, key, uri};

const ALICE: &str = "mimi://a.example/u/alice";

fn email(address: &str) -> SanType {
    SanType::Rfc822Name(address.try_into().unwrap())
}

fn claims_of(change: impl Fn(&mut CertificateParams)) -> Vec<Result<Claims, CredentialError>> {
    let root = Authority::root("Root", 1, |_| {});
    let verify = |scheme| {
        let leaf_key = key(scheme, 2);
        let der = root.certify(leaf_key.public_key(), |params| {
            params.subject_alt_names = vec![uri(ALICE)];
            change(params);
        });
        let identity = UnverifiedIdentity::new(chain(&[&der]));
        let identity = identity.verify(leaf_key.public_key(), &root.trusted_for("a.example"), NOW)?;
        assert_eq!(identity.user().as_str(), ALICE);
        Ok(identity.claims().clone())
    };
    SCHEMES.into_iter().map(verify).collect()
}

#[track_caller]
fn refused(expected: CredentialError, change: impl Fn(&mut CertificateParams)) {
    for outcome in claims_of(change) {
        assert_eq!(outcome, Err(expected));
    }
}

#[track_caller]
fn refused_names(expected: CredentialError, names: &[SanType]) {
    refused(expected, |params| params.subject_alt_names = names.to_vec());
}

#[test]
fn each_field_is_a_claim() {
    for claims in claims_of(|params| {
        params.subject_alt_names.extend([uri("im:alice@a.example"), email("alice@mail.example")]);
        params.distinguished_name.push(DnType::CommonName, "Alice Smith");
    }) {
        let claims = claims.unwrap();
        assert_eq!(claims.len(), 4);
        assert_eq!(claims.value(ClaimName::UserUri), Some(ALICE));
        assert_eq!(claims.value(ClaimName::Handle), Some("im:alice@a.example"));
        assert_eq!(claims.value(ClaimName::DisplayName), Some("Alice Smith"));
        assert_eq!(claims.value(ClaimName::Email), Some("alice@mail.example"));
    }
    for claims in claims_of(|_| {}) {
        assert_eq!(claims.unwrap().names().collect::<Vec<_>>(), [ClaimName::UserUri]);
    }
}

/// subjectDirectoryAttributes with these elements.
fn directory(attributes: &[u8]) -> CustomExtension {
    let content = [&[0x30, attributes.len() as u8], attributes].concat();
    CustomExtension::from_oid_content(&[2, 5, 29, 9], content)
}

/// An attribute with these values: userClass, or another one of RFC 4524.
fn attribute(last_arc: u8, values: &[u8]) -> Vec<u8> {
    let oid = [0x06, 0x0a, 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, last_arc];
    let content = [&oid, [0x31, values.len() as u8].as_slice(), values].concat();
    [&[0x30, content.len() as u8], content.as_slice()].concat()
}

const AGE_OVER_18: &[u8] = b"\x0c\x0bage-over-18";

#[test]
fn an_age_is_a_class_of_its_subject() {
    // As UTF8String and as PrintableString.
    for value in [AGE_OVER_18, b"\x13\x0bage-over-18"] {
        for claims in claims_of(|params| params.custom_extensions.push(directory(&attribute(8, value)))) {
            let claims = claims.unwrap();
            assert_eq!((claims.len(), claims.value(ClaimName::AgeOver18)), (2, Some("true")));
        }
    }
}

#[test]
fn an_age_stands_once_and_nothing_stands_beside_it() {
    let with = |expected, attributes: &[Vec<u8>]| {
        refused(expected, |params| params.custom_extensions.push(directory(&attributes.concat())));
    };
    let age = || attribute(8, AGE_OVER_18);
    with(CredentialError::UnmappedContent, &[attribute(8, b"\x0c\x0bage-over-21")]);
    with(CredentialError::UnmappedContent, &[attribute(8, b"\x0c\x0bAge-over-18")]);
    with(CredentialError::UnmappedContent, &[age(), attribute(8, b"\x0c\x07student")]);
    with(CredentialError::UnmappedContent, &[attribute(5, AGE_OVER_18)]);
    with(CredentialError::UnmappedContent, &[attribute(8, b"")]);
    with(CredentialError::UnmappedContent, &[]);
    with(CredentialError::MixedNames, &[age(), age()]);
    with(CredentialError::MalformedName, &[attribute(8, b"\x02\x01\x12")]);
    with(CredentialError::Malformed, &[vec![0x0c, 0]]);
    refused(CredentialError::MixedNames, |params| {
        params.custom_extensions.extend([directory(&age()), directory(&age())]);
    });
    refused(CredentialError::CriticalExtension, |params| {
        let mut critical = directory(&age());
        critical.set_criticality(true);
        params.custom_extensions.push(critical);
    });
}

#[test]
fn what_maps_to_no_claim_is_refused() {
    for unmapped in [
        uri("mimi://a.example/d/phone"),
        uri("tel:+15550100"),
        SanType::DnsName("alice.example".try_into().unwrap()),
        SanType::IpAddress([192, 0, 2, 1].into()),
    ] {
        refused_names(CredentialError::UnmappedContent, &[uri(ALICE), unmapped]);
    }
    for attribute in [DnType::OrganizationName, DnType::CountryName, DnType::CustomDnType(vec![2, 5, 4, 4])] {
        refused(CredentialError::UnmappedContent, |params| {
            params.distinguished_name.push(attribute.clone(), "AB");
        });
    }
    refused(CredentialError::UnmappedContent, |params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], b"\x0c\x05Smith".to_vec()));
    });
}

#[test]
fn each_claim_stands_once_and_obeys_its_rules() {
    refused_names(CredentialError::MissingUserUri, &[email("alice@mail.example")]);
    refused_names(CredentialError::MixedNames, &[uri(ALICE), uri("mimi://a.example/u/alice2")]);
    refused_names(CredentialError::MixedNames, &[uri(ALICE), email("a@mail.example"), email("b@mail.example")]);
    refused_names(CredentialError::MixedNames, &[uri(ALICE), uri("im:a@a.example"), uri("im:b@a.example")]);
    refused_names(CredentialError::Pseudonym, &[uri("mimi://a.example/u/~07070707-0707-0707-0707-070707070707")]);
    refused_names(CredentialError::MalformedName, &[uri("mimi://a.example/alice")]);
    refused_names(CredentialError::MalformedName, &[uri(ALICE), email("alice")]);
    refused_names(CredentialError::MalformedName, &[uri(ALICE), uri("im:alice")]);
    refused_names(CredentialError::ForeignDomain, &[uri(ALICE), uri("im:alice@b.example")]);
    refused(CredentialError::MalformedName, |params| params.distinguished_name.push(DnType::CommonName, "Ali\u{7}ce"));
}

#[test]
fn the_path_is_verified_as_a_leafs_is() {
    refused(CredentialError::MissingExtendedKeyUsage, |params| params.extended_key_usages.clear());
    refused(CredentialError::MissingKeyUsage, |params| params.key_usages.clear());
    refused_names(CredentialError::NotTrustedForDomain, &[uri("mimi://b.example/u/bob")]);
}

#[test]
fn what_is_claimed_can_be_read_before_it_is_verified() {
    let stranger = Authority::root("Stranger", 7, |_| {});
    let leaf_key = key(SCHEMES[0], 2);
    let der = stranger.certify(leaf_key.public_key(), |params| params.subject_alt_names = vec![uri(ALICE)]);
    let identity = UnverifiedIdentity::new(chain(&[&der]));
    assert_eq!(identity.claimed().unwrap().value(ClaimName::UserUri), Some(ALICE));
    assert_eq!(identity.domain().unwrap().as_str(), "a.example");
    assert!(identity.is_for(leaf_key.public_key()).unwrap());
    assert!(!identity.is_for(key(SCHEMES[1], 2).public_key()).unwrap());
    assert!(identity.names_issuer_of(&chain(&[&stranger.der])).unwrap());
    let bad = UnverifiedIdentity::new(chain(&[b"not DER"]));
    assert_eq!(bad.claimed(), Err(CredentialError::Malformed));
    assert_eq!(bad.is_for(leaf_key.public_key()), Err(CredentialError::Malformed));
    assert_eq!(bad.names_issuer_of(&chain(&[&stranger.der])), Err(CredentialError::Malformed));
}
