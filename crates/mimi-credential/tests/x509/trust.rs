//! The trust store: what it takes in, and its encoding.

use mimi_credential::{AnchorError, TrustStore};
use mimi_pseudonym::{DecodeError, Domain, Signer, Wire, Writer};
use proptest::prelude::*;
use rcgen::{IsCa, KeyUsagePurpose};

use crate::forge::{Authority, SCHEMES, key};

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn two_anchors() -> (Authority, Authority, TrustStore) {
    let one = Authority::root("One", 1, |_| {});
    let two = Authority::root("Two", 2, |_| {});
    let store = one
        .trusted_for("a.example")
        .with_anchor(&two.der, [domain("b.example"), domain("a.example"), domain("b.example")])
        .unwrap();
    (one, two, store)
}

/// An encoding with these anchors in this order.
fn encoding(anchors: &[(&[u8], &[&str])]) -> Vec<u8> {
    let mut inner = Writer::default();
    for (certificate, domains) in anchors {
        inner.vector(certificate);
        inner.list(&domains.iter().map(|name| domain(name)).collect::<Vec<_>>());
    }
    let mut writer = Writer::default();
    writer.u8(1);
    writer.vector(&inner.into_octets());
    writer.into_octets()
}

#[test]
fn it_is_read_as_it_was_written() {
    let (one, two, store) = two_anchors();
    assert_eq!(TrustStore::decode(&store.encode()), Ok(store.clone()));
    assert_eq!(TrustStore::decode(&TrustStore::default().encode()), Ok(TrustStore::default()));
    assert!(store.speaks_for(&domain("b.example")) && !store.speaks_for(&domain("c.example")));
    let mut anchors: [(&[u8], &[&str]); 2] = [(&one.der, &["a.example"]), (&two.der, &["a.example", "b.example"])];
    anchors.sort();
    assert_eq!(store.encode(), encoding(&anchors));
    assert_eq!(TrustStore::decode(&store.encode()).unwrap().encode(), store.encode());
}

#[test]
fn the_order_of_adding_does_not_matter_and_domains_add_up() {
    let (one, two, store) = two_anchors();
    let other = TrustStore::default()
        .with_anchor(&two.der, [domain("b.example")])
        .unwrap()
        .with_anchor(&one.der, [domain("a.example")])
        .unwrap()
        .with_anchor(&two.der, [domain("a.example")])
        .unwrap();
    assert_eq!(other, store);
}

#[test]
fn the_keys_of_a_domains_issuers_are_those_of_its_anchors() {
    let (_, _, store) = two_anchors();
    let expected = [1, 2].map(|seed| key(SCHEMES[1], seed).public_key().clone());
    let keys = |name| {
        let keys = store.issuer_keys(&domain(name));
        assert!(keys.iter().all(|(issuer, _)| keys.iter().filter(|(other, _)| other == issuer).count() == 1));
        keys.into_iter().map(|(_, key)| key).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(keys("a.example"), expected.clone().into());
    assert_eq!(keys("b.example"), [expected[1].clone()].into());
    assert!(keys("c.example").is_empty());
}

#[test]
fn what_is_no_anchor_is_refused() {
    let add = |der: &[u8], domains: Vec<Domain>| TrustStore::default().with_anchor(der, domains).unwrap_err();
    let a = || vec![domain("a.example")];
    let root = Authority::root("Root", 1, |_| {});
    assert_eq!(add(b"not DER", a()), AnchorError::Malformed);
    assert_eq!(add(&[&root.der[..], &[0]].concat(), a()), AnchorError::Malformed);
    assert_eq!(add(&[0x30; 8193], a()), AnchorError::Length(8193));
    assert_eq!(add(&root.certify(key(SCHEMES[0], 2).public_key(), |_| {}), a()), AnchorError::NotAnAuthority);
    assert_eq!(add(&Authority::root("Root", 1, |p| p.is_ca = IsCa::NoCa).der, a()), AnchorError::NotAnAuthority);
    let no_sign = Authority::root("Root", 1, |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_eq!(add(&no_sign.der, a()), AnchorError::MissingCertSign);
    assert_eq!(add(&root.der, vec![]), AnchorError::Domains(0));
    let many = (0..65).map(|n| domain(&format!("a{n}.example"))).collect();
    assert_eq!(add(&root.der, many), AnchorError::Domains(65));

    let mut store = TrustStore::default();
    for seed in 0..32 {
        store = store.with_anchor(&Authority::root("Root", seed + 1, |_| {}).der, a()).unwrap();
    }
    assert_eq!(TrustStore::decode(&store.encode()), Ok(store.clone()));
    assert_eq!(store.clone().with_anchor(&root.der, [domain("b.example")]).map(|_| ()), Ok(()), "it is there already");
    assert_eq!(store.with_anchor(&Authority::root("Root", 99, |_| {}).der, a()), Err(AnchorError::Full));
}

#[test]
fn bad_encodings_are_refused() {
    let (one, two, store) = two_anchors();
    let rule = |rule| Err(DecodeError::Rule { field: "anchors", rule });
    let mut anchors: [(&[u8], &[&str]); 2] = [(&one.der, &["a.example"]), (&two.der, &["b.example"])];
    anchors.sort();
    anchors.reverse();
    assert_eq!(TrustStore::decode(&encoding(&anchors)), rule("not in ascending order"));
    let twice = [anchors[0], anchors[0]];
    assert_eq!(TrustStore::decode(&encoding(&twice)), rule("not in ascending order"));
    let unsorted = encoding(&[(&one.der, &["b.example", "a.example"])]);
    assert_eq!(TrustStore::decode(&unsorted), rule("not in ascending order"));
    assert_eq!(TrustStore::decode(&encoding(&[(&one.der, &[])])), rule("out of bounds"));
    assert_eq!(TrustStore::decode(&encoding(&[(b"not DER", &["a.example"])])), rule("no anchor certificate"));
    let mut octets = store.encode();
    octets[0] = 2;
    assert_eq!(TrustStore::decode(&octets), Err(DecodeError::Value { field: "version", value: 2 }));
    let octets = [store.encode(), vec![0]].concat();
    assert_eq!(TrustStore::decode(&octets), Err(DecodeError::Trailing(1)));
}

proptest! {
    #[test]
    fn nothing_panics(octets: Vec<u8>, at in 0usize..400, value: u8) {
        let _ = TrustStore::decode(&octets);
        let mut octets = two_anchors().2.encode();
        octets[at] = value;
        let _ = TrustStore::decode(&octets);
    }
}
