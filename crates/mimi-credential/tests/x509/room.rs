//! What of the anchors of a room counts.

use mimi_credential::{CredentialError, TrustStore, UnverifiedLeaf};
use mimi_pseudonym::{Domain, PublicKey, Signer, TrustAnchor, TrustAnchors};
use rcgen::date_time_ymd;

use crate::forge::{Authority, NOW, SCHEMES, chain, key, uri};

fn anchor(der: &[u8], domains: &[&str]) -> TrustAnchor {
    let domains = domains.iter().map(|domain| domain.parse().unwrap()).collect();
    TrustAnchor { certificate: der.to_vec(), domains }
}

fn room(anchors: &[TrustAnchor]) -> TrustAnchors {
    TrustAnchors::new(anchors.to_vec()).unwrap()
}

fn trusts(store: &TrustStore) -> Vec<&'static str> {
    let domains = ["a.example", "b.example", "c.example"].into_iter();
    domains.filter(|domain| store.speaks_for(&domain.parse::<Domain>().unwrap())).collect()
}

fn verify(authority: &Authority, key: &PublicKey, trust: &TrustStore) -> Result<(), CredentialError> {
    let leaf = authority.certify(key, |params| {
        params.subject_alt_names =
            vec![uri("mimi://a.example/u/alice"), uri("mimi://a.example/d/~08080808-0808-0808-0808-080808080808")];
    });
    UnverifiedLeaf::new(chain(&[&leaf])).verify(key, trust, NOW).map(|_| ())
}

#[test]
fn an_anchor_counts_where_room_and_device_agree() {
    let (one, two) = (Authority::root("One", 1, |_| {}), Authority::root("Two", 2, |_| {}));
    let own = one.trusted_for("a.example").with_anchor(&two.der, ["b.example".parse().unwrap()]).unwrap();
    let limited = own.for_room(&room(&[anchor(&one.der, &["a.example", "b.example"])]));
    assert_eq!(trusts(&limited), ["a.example"]);
    assert_eq!(limited, one.trusted_for("a.example"));
    assert_eq!(limited.issuer_keys(&"b.example".parse().unwrap()), []);
    assert_eq!(own.for_room(&own.anchors_for(|_| true).unwrap()), own);
    assert_eq!(own.for_room(&TrustAnchors::default()), TrustStore::default());
}

#[test]
fn a_room_cannot_make_a_participant_believe_a_stranger() {
    let (own, stranger) = (Authority::root("Own", 1, |_| {}), Authority::root("Stranger", 2, |_| {}));
    for scheme in SCHEMES {
        let leaf_key = key(scheme, 3);
        let trust = own.trusted_for("a.example");
        let named = room(&[anchor(&own.der, &["a.example"]), anchor(&stranger.der, &["a.example"])]);
        let public = leaf_key.public_key();
        assert_eq!(verify(&own, public, &trust.for_room(&named)), Ok(()));
        assert_eq!(verify(&stranger, public, &trust.for_room(&named)), Err(CredentialError::UntrustedIssuer));
        // Nor is somebody believed whom the others would not believe.
        let narrow = trust.for_room(&room(&[anchor(&own.der, &["b.example"])]));
        assert_eq!(verify(&own, public, &narrow), Err(CredentialError::UntrustedIssuer));
        assert_eq!(trust.untrusted(&named), [anchor(&stranger.der, &["a.example"])]);
    }
}

#[test]
fn a_renewed_certificate_is_the_same_anchor_and_the_devices_own_dates_count() {
    let old = Authority::root("Root", 1, |params| params.not_after = date_time_ymd(2027, 1, 1));
    let new = Authority::root("Root", 1, |_| {});
    assert_ne!(old.der, new.der);
    let leaf_key = key(SCHEMES[0], 3);
    let named = room(&[anchor(&old.der, &["a.example"]), anchor(&new.der, &["b.example"])]);
    let trust = new.trusted_for("a.example");
    assert_eq!(verify(&new, leaf_key.public_key(), &trust.for_room(&named)), Ok(()));
    assert_eq!(trust.untrusted(&named), [anchor(&new.der, &["b.example"])]);
    let expired = old.trusted_for("a.example").for_room(&named);
    assert_eq!(verify(&new, leaf_key.public_key(), &expired), Err(CredentialError::Expired));
}

#[test]
fn what_is_no_anchor_counts_for_nothing() {
    let root = Authority::root("Root", 1, |_| {});
    let garbage = anchor(b"no certificate", &["a.example"]);
    let named = room(&[garbage.clone(), anchor(&root.der, &["a.example", "b.example"])]);
    let trust = root.trusted_for("a.example");
    assert_eq!(trust.for_room(&named), trust);
    assert_eq!(trust.untrusted(&named), [anchor(&root.der, &["b.example"]), garbage]);
    assert!(TrustStore::default().for_room(&named).issuer_keys(&"a.example".parse().unwrap()).is_empty());
}

#[test]
fn a_creator_names_what_it_trusts_for_some_domains() {
    let (one, two) = (Authority::root("One", 1, |_| {}), Authority::root("Two", 2, |_| {}));
    let domains = ["a.example", "b.example"].map(|domain| domain.parse().unwrap());
    let own = one.trusted_for("c.example").with_anchor(&two.der, domains).unwrap();
    let b: Domain = "b.example".parse().unwrap();
    assert_eq!(own.anchors_for(|domain| *domain == b), Ok(room(&[anchor(&two.der, &["b.example"])])));
    assert_eq!(own.anchors_for(|_| false), Ok(TrustAnchors::default()));
    assert_eq!(own.untrusted(&own.anchors_for(|_| true).unwrap()), []);
}
