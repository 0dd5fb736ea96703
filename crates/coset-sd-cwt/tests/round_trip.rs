//! What is issued, held, presented and verified comes out as exactly the chosen claims.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use ciborium::Value;
use common::*;
use coset_sd_cwt::*;
use proptest::prelude::*;

/// Claims with marks, and what is left of them when everything or nothing is disclosed.
#[derive(Debug, Clone)]
struct Marked {
    marked: Value,
    full: Value,
    bare: Value,
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "[a-zé]{0,30}".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|float: f64| Value::from(float)),
        Just(Value::Null),
    ]
}

fn key() -> impl Strategy<Value = Value> {
    prop_oneof![
        (100i64..200).prop_map(Value::from),
        (-50i64..-1).prop_map(Value::from),
        "[a-z]{1,5}".prop_map(Value::from)
    ]
}

fn map_of(inner: impl Strategy<Value = Marked>) -> impl Strategy<Value = Marked> {
    proptest::collection::vec((key(), any::<bool>(), inner), 0..5).prop_map(|entries| {
        let (mut marked, mut full, mut bare) = (Vec::new(), Vec::<(Value, Value)>::new(), Vec::new());
        for (key, redacted, value) in entries {
            if full.iter().any(|(other, _)| *other == key) {
                continue;
            }
            full.push((key.clone(), value.full));
            if redacted {
                marked.push((redact(key), value.marked));
            } else {
                bare.push((key.clone(), value.bare));
                marked.push((key, value.marked));
            }
        }
        Marked { marked: Value::Map(marked), full: Value::Map(full), bare: Value::Map(bare) }
    })
}

fn value() -> impl Strategy<Value = Marked> {
    let leaf = scalar().prop_map(|value| Marked { marked: value.clone(), full: value.clone(), bare: value });
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec((any::<bool>(), inner.clone()), 0..5).prop_map(|elements| {
                let full = elements.iter().map(|(_, value)| value.full.clone()).collect();
                let bare = elements.iter().filter(|one| !one.0).map(|(_, value)| value.bare.clone()).collect();
                let marked = elements
                    .into_iter()
                    .map(|(redacted, value)| if redacted { redact(value.marked) } else { value.marked })
                    .collect();
                Marked { marked: Value::Array(marked), full: Value::Array(full), bare: Value::Array(bare) }
            }),
            map_of(inner),
        ]
    })
}

fn entries(value: &Value) -> Vec<(Value, Value)> {
    value.as_map().unwrap().clone()
}

fn present(credential: &Credential, selection: &Selection, holder: &SoftwareSigner) -> Vec<u8> {
    let params = PresentParams { audience: AUDIENCE, nonce: NONCE, issued_at: NOW, additional: &[] };
    credential.present(selection, &params, holder, &mut entropy()).unwrap()
}

fn verify(token: &[u8], issuers: &[TrustedIssuer]) -> Verified {
    UnverifiedPresentation::parse(token, &Limits::default()).unwrap().verify(&params(issuers)).unwrap()
}

fn same(claims: &Claims, expected: &Value) {
    assert_eq!(sorted(claims.to_value().unwrap()), sorted(expected.clone()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_or_nothing(top in map_of(value()), hash in prop_oneof![
        Just(HashAlgorithm::Sha256), Just(HashAlgorithm::Sha384), Just(HashAlgorithm::Sha512)
    ]) {
        let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 2));
        let (key, issuers) = (holder.public_key(), issuers(&issuer));
        let token = issue(
            &claims(&key, entries(&top.marked)),
            &IssueParams { hash, ..IssueParams::default() },
            &issuer,
            &mut entropy(),
        ).unwrap();
        let credential = accept(&token, &issuers, &key);
        same(credential.claims(), &claims(&key, entries(&top.full)));
        let all = verify(&present(&credential, &Selection::everything(&credential), &holder), &issuers);
        same(all.claims(), &claims(&key, entries(&top.full)));
        prop_assert_eq!(all.hidden(), 0);
        let none = verify(&present(&credential, &Selection::nothing(), &holder), &issuers);
        same(none.claims(), &claims(&key, entries(&top.bare)));
    }

    #[test]
    fn exactly_the_chosen_claims(chosen in proptest::collection::vec(any::<bool>(), 1..40)) {
        let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 2));
        let (key, issuers) = (holder.public_key(), issuers(&issuer));
        let marked = (0..chosen.len()).map(|i| (redact(100 + i as i64), Value::from(i as i64))).collect();
        let token = issue(&claims(&key, marked), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
        let credential = accept(&token, &issuers, &key);
        let selection = chosen.iter().enumerate().filter(|one| *one.1).fold(Selection::nothing(), |selection, (i, _)| {
            selection.disclose(credential.find_claim(100 + i as i64).unwrap())
        });
        let verified = verify(&present(&credential, &selection, &holder), &issuers);
        let expected = chosen.iter().enumerate().filter(|one| *one.1)
            .map(|(i, _)| (Value::from(100 + i as i64), Value::from(i as i64))).collect();
        same(verified.claims(), &claims(&key, expected));
        prop_assert_eq!(verified.hidden(), chosen.iter().filter(|one| !**one).count());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let limits = Limits::default();
        prop_assert!(UnverifiedPresentation::parse(&bytes, &limits).is_err());
        prop_assert!(UnverifiedCredential::parse(&bytes, &limits).is_err());
    }

    #[test]
    fn no_changed_byte_is_accepted(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (disclosed, digest) = disclosure(&[salt(1), text("Alice"), int(501)]);
        let forge = Forge::with(SignatureAlgorithm::Ed25519, SignatureAlgorithm::Ed25519)
            .redact(&[digest]).disclose(&[disclosed]);
        let trusted = issuers(&forge.issuer);
        let mut token = forge.token();
        let at = at.index(token.len());
        token[at] ^= flip;
        let accepted = UnverifiedPresentation::parse(&token, &Limits::default())
            .is_ok_and(|presentation| presentation.verify(&params(&trusted)).is_ok());
        prop_assert!(!accepted, "byte {at}");
    }
}

#[test]
fn all_algorithms() {
    for issuer in ALGORITHMS {
        for holder in ALGORITHMS {
            let (issuer, holder) = (signer(issuer, 1), signer(holder, 2));
            let (key, issuers) = (holder.public_key(), issuers(&issuer));
            let marked = vec![(redact(501), Value::from("Alice"))];
            let token = issue(&claims(&key, marked), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
            let credential = accept(&token, &issuers, &key);
            let verified = verify(&present(&credential, &Selection::everything(&credential), &holder), &issuers);
            assert_eq!(verified.claims().claim(501).unwrap().as_text(), Some("Alice"));
            assert_eq!(verified.holder_key(), &key);
        }
    }
}

fn nested() -> (SoftwareSigner, Vec<TrustedIssuer>, Credential) {
    let (issuer, holder) = (signer(SignatureAlgorithm::Esp256, 1), signer(SignatureAlgorithm::Ed25519, 2));
    let further = vec![
        (
            redact(503),
            Value::Map(vec![
                (Value::from("country"), Value::from("NL")),
                (redact("city"), Value::from("Utrecht")),
                (decoy(1), Value::Null),
            ]),
        ),
        (Value::from(502), Value::Array(vec![Value::from("DE"), redact("FR"), decoy(2), redact("IT")])),
        (decoy(3), Value::Null),
    ];
    let issuers = issuers(&issuer).to_vec();
    let key = holder.public_key();
    let token = issue(&claims(&key, further), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
    let credential = accept(&token, &issuers, &key);
    (holder, issuers, credential)
}

#[test]
fn nested_claims_bring_their_parents_and_nothing_else() {
    let (holder, issuers, credential) = nested();
    assert_eq!(credential.disclosures().len(), 7);
    assert_eq!(credential.disclosures().iter().filter(|one| one.kind() == DisclosureKind::Decoy).count(), 3);
    let city = credential.find(&[PathStep::Key(503.into()), PathStep::Key("city".into())]).unwrap();
    assert_eq!(city.value().unwrap().as_text(), Some("Utrecht"));
    let parent = &credential.disclosures()[city.parent().unwrap()];
    assert_eq!((parent.path(), parent.kind()), (&[PathStep::Key(503.into())][..], DisclosureKind::Claim));
    assert_eq!(parent.value().unwrap().to_string(), r#"{"country":"NL","city":"Utrecht"}"#);
    let italy = credential.find(&[PathStep::Key(502.into()), PathStep::Index(3)]).unwrap();
    assert_eq!((italy.value().unwrap().as_text(), italy.kind()), (Some("IT"), DisclosureKind::Element));

    let selection = Selection::nothing().disclose(city).disclose(italy);
    let verified = verify(&present(&credential, &selection, &holder), &issuers);
    assert_eq!(verified.claims().claim(503).unwrap().to_string(), r#"{"country":"NL","city":"Utrecht"}"#);
    assert_eq!(verified.claims().claim(502).unwrap().to_string(), r#"["DE","IT"]"#);
    let verified = verify(&present(&credential, &Selection::nothing().disclose(parent), &holder), &issuers);
    assert_eq!(verified.claims().claim(503).unwrap().to_string(), r#"{"country":"NL"}"#);
    assert_eq!(verified.claims().claim(502).unwrap().to_string(), r#"["DE"]"#);
}

#[test]
fn sealed_disclosures() {
    for algorithm in [AeadAlgorithm::Aes128Gcm, AeadAlgorithm::Aes256Gcm, AeadAlgorithm::ChaCha20Poly1305] {
        let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 2));
        let (public, issuers) = (holder.public_key(), issuers(&issuer));
        let further = vec![
            (redact(501), Value::from("Alice")),
            (redact(503), Value::Map(vec![(redact("city"), Value::from("Utrecht"))])),
        ];
        let issue_params = IssueParams { aead: algorithm, ..IssueParams::default() };
        let token = issue(&claims(&public, further), &issue_params, &issuer, &mut entropy()).unwrap();
        let credential = accept(&token, &issuers, &public);
        let length = if algorithm == AeadAlgorithm::Aes128Gcm { 16 } else { 32 };
        let key = AeadKey::new(algorithm, &vec![7; length]).unwrap();
        let other = AeadKey::new(algorithm, &vec![8; length]).unwrap();
        let city = credential.find(&[PathStep::Key(503.into()), PathStep::Key("city".into())]).unwrap();
        let place = credential.find_claim(503).unwrap();
        let name = credential.find_claim(501).unwrap();
        let selection = Selection::nothing().seal(city, &key).disclose(name);
        let token = present(&credential, &selection, &holder);

        let outside = verify(&token, &issuers);
        assert_eq!((outside.sealed(), outside.claims().claim(503).unwrap().to_string()), (1, "{}".to_owned()));
        let presentation = UnverifiedPresentation::parse(&token, &Limits::default()).unwrap();
        let inside = presentation.verify(&VerifyParams { aead_keys: &key, ..params(&issuers) }).unwrap();
        assert_eq!(inside.claims().claim(503).unwrap().to_string(), r#"{"city":"Utrecht"}"#);
        assert_eq!((inside.sealed(), inside.claims().claim(501).unwrap().as_text()), (0, Some("Alice")));
        let wrong = presentation.verify(&VerifyParams { aead_keys: &other, ..params(&issuers) });
        assert_eq!(wrong.err(), Some(VerifyError::Disclosure(DisclosureError::Sealed)));

        let try_present = |selection: &Selection| {
            let params = PresentParams { audience: AUDIENCE, nonce: NONCE, issued_at: NOW, additional: &[] };
            credential.present(selection, &params, &holder, &mut entropy()).err()
        };
        let upside_down = Selection::nothing().seal(place, &key).disclose(city);
        assert_eq!(try_present(&upside_down), Some(PresentError::PlainWithinSealed));
        assert_eq!(try_present(&Selection::nothing().seal(place, &key).seal(city, &key)), None);
        if algorithm != AeadAlgorithm::Aes128Gcm {
            let short = AeadKey::new(AeadAlgorithm::Aes128Gcm, &[7; 16]).unwrap();
            assert_eq!(try_present(&Selection::nothing().seal(place, &short)), Some(PresentError::AeadAlgorithm));
        }
    }
}

struct Broken(PublicKey);

impl Signer for Broken {
    fn public_key(&self) -> PublicKey {
        self.0.clone()
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SigningFailed> {
        Err(SigningFailed)
    }
}

#[test]
fn errors_of_presenting() {
    let (holder, _, credential) = nested();
    let (_, _, foreign) = {
        let issuer = signer(SignatureAlgorithm::Esp256, 1);
        let trusted = issuers(&issuer);
        let key = holder.public_key();
        let marked = vec![(redact(777), Value::from(1))];
        let token = issue(&claims(&key, marked), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
        ((), (), accept(&token, &trusted, &key))
    };
    let base = PresentParams { audience: AUDIENCE, nonce: NONCE, issued_at: NOW, additional: &[] };
    let present = |selection: &Selection, params: &PresentParams<'_>, signer: &dyn Signer| {
        credential.present(selection, params, signer, &mut entropy()).map(|_| ())
    };
    let nothing = Selection::nothing();
    assert_eq!(present(&nothing, &base, &holder), Ok(()));
    assert_eq!(present(&nothing, &base, &signer(SignatureAlgorithm::Ed25519, 3)), Err(PresentError::OtherKey));
    let stranger = nothing.clone().disclose(&foreign.disclosures()[0]);
    assert_eq!(present(&stranger, &base, &holder), Err(PresentError::ForeignDisclosure));
    let decoy = credential.disclosures().iter().find(|one| one.kind() == DisclosureKind::Decoy).unwrap();
    assert_eq!(present(&nothing.clone().disclose(decoy), &base, &holder), Err(PresentError::Decoy));
    for label in [1, 2, 3, 6, 7, 8, 39] {
        let additional = [(Label::from(label), Value::from(1))];
        let params = PresentParams { additional: &additional, ..base };
        assert_eq!(present(&nothing, &params, &holder), Err(PresentError::AdditionalClaim), "{label}");
    }
    let twice = [(Label::from("a"), Value::from(1)), (Label::from("a"), Value::from(1))];
    let params = PresentParams { additional: &twice, ..base };
    assert_eq!(present(&nothing, &params, &holder), Err(PresentError::AdditionalClaim));
    let late = [(Label::from(4), Value::from(NOW + 5000))];
    let params = PresentParams { additional: &late, ..base };
    assert_eq!(present(&nothing, &params, &holder), Err(PresentError::Time(TimeError::BindingExpAfterCredentialExp)));
    let wrong = [(Label::from(4), Value::from("x"))];
    let params = PresentParams { additional: &wrong, ..base };
    assert_eq!(present(&nothing, &params, &holder), Err(PresentError::Claims(RegisteredClaimError::Type(4))));

    let broken = Broken(holder.public_key());
    assert_eq!(present(&nothing, &base, &broken), Err(PresentError::Signing(SigningFailed)));
}

#[test]
fn errors_of_accepting() {
    let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Esp256, 2));
    let (key, trusted) = (holder.public_key(), issuers(&issuer));
    let base = AcceptParams { issuers: &trusted, holder_key: &key, now: NOW, leeway: 10, aead_keys: &NoAeadKeys };
    let accept = |forge: &Forge, params: &AcceptParams<'_>| {
        let token = forge.credential();
        UnverifiedCredential::parse(&token, &Limits::default()).unwrap().accept(params).map(|one| one.hidden())
    };
    assert_eq!(accept(&Forge::new(), &base), Ok(0));
    assert_eq!(accept(&Forge::new(), &AcceptParams { issuers: &[], ..base }), Err(AcceptError::NoIssuerKey));
    let stranger = issuers(&signer(SignatureAlgorithm::Ed25519, 8));
    assert_eq!(accept(&Forge::new(), &AcceptParams { issuers: &stranger, ..base }), Err(AcceptError::IssuerSignature));
    let renamed = [TrustedIssuer { name: "other".to_owned(), key: issuer.public_key() }];
    assert_eq!(accept(&Forge::new(), &AcceptParams { issuers: &renamed, ..base }), Err(AcceptError::IssuerName));
    let other = signer(SignatureAlgorithm::Esp256, 9).public_key();
    assert_eq!(accept(&Forge::new(), &AcceptParams { holder_key: &other, ..base }), Err(AcceptError::OtherHolder));
    let late = AcceptParams { now: NOW + 1010, ..base };
    assert_eq!(accept(&Forge::new(), &late), Err(AcceptError::Time(TimeError::CredentialExpired)));

    let changed = |change: &dyn Fn(&mut Forge)| {
        let mut forge = Forge::new();
        change(&mut forge);
        accept(&forge, &base)
    };
    let thumbprint = encoded(&key.to_cnf_thumbprint());
    assert_eq!(changed(&|f| Forge::set(&mut f.claims, 8, thumbprint.clone())), Ok(0));
    let foreign = encoded(&other.to_cnf_thumbprint());
    assert_eq!(changed(&|f| Forge::set(&mut f.claims, 8, foreign.clone())), Err(AcceptError::OtherHolder));
    assert_eq!(
        changed(&|f| Forge::remove(&mut f.claims, 8)),
        Err(AcceptError::Confirmation(ConfirmationError::Missing))
    );
    assert_eq!(changed(&|f| Forge::remove(&mut f.claims, 2)), Err(AcceptError::MissingSubject));
    assert_eq!(
        changed(&|f| Forge::set(&mut f.claims, 4, text("x"))),
        Err(AcceptError::Claims(RegisteredClaimError::Type(4)))
    );
    assert_eq!(accept(&Forge::new().redact(&[vec![1; 32]]), &base), Err(AcceptError::HiddenDigest));
    let (one, first) = disclosure(&[salt(1), int(2), int(501)]);
    let (two, second) = disclosure(&[salt(1), int(3), int(502)]);
    let repeated = Forge::new().redact(&[first, second]).disclose(&[one.clone(), two]);
    assert_eq!(accept(&repeated, &base), Err(AcceptError::RepeatedSalt));
    let stray = Forge::new().disclose(&[one]);
    assert_eq!(accept(&stray, &base), Err(AcceptError::Disclosure(DisclosureError::Unreferenced)));
    let token = Forge::new().token();
    assert!(matches!(
        UnverifiedCredential::parse(&token, &Limits::default()).err(),
        Some(ParseError::CredentialHeader(HeaderError::Type | HeaderError::Misplaced))
    ));
}

#[test]
fn errors_of_issuing() {
    let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 2));
    let key = holder.public_key();
    let try_issue = |claims: &Value, params: &IssueParams| issue(claims, params, &issuer, &mut entropy()).err();
    let with = |key_and_value: (Value, Value)| try_issue(&claims(&key, vec![key_and_value]), &IssueParams::default());
    assert_eq!(with((redact(501), Value::from(1))), None);
    assert_eq!(try_issue(&Value::from(1), &IssueParams::default()), Some(RedactError::NotAMap.into()));
    let without = |label: i64| {
        let kept = entries(&claims(&key, vec![])).into_iter().filter(|entry| entry.0 != Value::from(label)).collect();
        try_issue(&Value::Map(kept), &IssueParams::default())
    };
    assert_eq!(without(2), Some(IssueError::MissingSubject));
    assert_eq!(without(8), Some(ConfirmationError::Missing.into()));
    assert_eq!(without(1), None);
    for label in [3, 5, 7, 39] {
        assert_eq!(with((redact(label), Value::from(1))), Some(RedactError::NeverRedacted(label).into()));
    }
    assert_eq!(with((Value::from(7), Value::Array(vec![redact(1)]))), Some(RedactError::NeverRedacted(7).into()));
    assert_eq!(with((redact(1), Value::from(1))), Some(RedactError::Cbor(CborError::DuplicateKey).into()));
    let twice = vec![(Value::from(501), Value::from(1)), (redact(501), Value::from(1))];
    assert_eq!(
        try_issue(&claims(&key, twice), &IssueParams::default()),
        Some(RedactError::Cbor(CborError::DuplicateKey).into())
    );
    assert_eq!(with((redact(redact(501)), Value::from(1))), Some(RedactError::NestedTags.into()));
    let twice = Value::Array(vec![redact(redact(1))]);
    assert_eq!(with((Value::from(501), twice)), Some(RedactError::NestedTags.into()));
    assert_eq!(with((Value::from(501), redact(1))), Some(RedactError::MisplacedMark.into()));
    assert_eq!(with((decoy(1), Value::from(1))), Some(RedactError::DecoyForm.into()));
    assert_eq!(with((decoy(0), Value::Null)), Some(RedactError::DecoyForm.into()));
    let twice = vec![(decoy(1), Value::Null), (Value::from(501), Value::Array(vec![decoy(1)]))];
    assert_eq!(try_issue(&claims(&key, twice), &IssueParams::default()), Some(RedactError::DuplicateDecoy.into()));
    assert_eq!(
        with((Value::from(501), Value::Tag(60, Box::new(Value::from(vec![0; 32]))))),
        Some(RedactError::Cbor(CborError::MisplacedMarker).into())
    );
    assert_eq!(with((Value::Bool(true), Value::from(1))), Some(RedactError::Cbor(CborError::KeyType).into()));
    assert_eq!(with(("k".repeat(256).into(), Value::from(1))), Some(RedactError::Cbor(CborError::KeyTooLong).into()));
    let deep = (0..16).fold(Value::from(1), |inner, _| Value::Array(vec![inner]));
    assert_eq!(with((Value::from(501), deep)), Some(RedactError::Cbor(CborError::TooDeep).into()));
    assert_eq!(with((Value::from(5), Value::from(NOW))), Some(TimeError::CredentialNbfAfterIat.into()));
    assert_eq!(with((Value::from(5), Value::from(f64::NAN))), Some(RegisteredClaimError::Date(5).into()));

    let headers = [
        coset::HeaderBuilder::new().algorithm(coset::iana::Algorithm::ES256).build(),
        coset::HeaderBuilder::new().value(16, Value::from(293)).build(),
        coset::HeaderBuilder::new().value(17, Value::from(1)).build(),
        coset::HeaderBuilder::new().value(15, Value::Map(vec![])).build(),
    ];
    for header in headers {
        let params = IssueParams { header, ..IssueParams::default() };
        assert_eq!(try_issue(&claims(&key, vec![]), &params), Some(IssueError::Header));
    }
    let header = coset::HeaderBuilder::new().key_id(b"key 1".to_vec()).value(99, Value::from(1)).build();
    let with_kid = IssueParams { header, ..IssueParams::default() };
    let token = issue(&claims(&key, vec![]), &with_kid, &issuer, &mut entropy()).unwrap();
    let parsed = UnverifiedCredential::parse(&token, &Limits::default()).unwrap();
    assert_eq!(parsed.issuer_key_id(), Some(&b"key 1"[..]));
    let small = Limits { max_bytes: 100, ..Limits::default() };
    let params = IssueParams { limits: small, ..IssueParams::default() };
    assert_eq!(try_issue(&claims(&key, vec![]), &params), Some(IssueError::Limits));
    let stuck = issue(
        &claims(&key, vec![(redact(501), Value::from(1)), (redact(502), Value::from(1))]),
        &IssueParams::default(),
        &issuer,
        &mut |buffer: &mut [u8]| buffer.fill(7),
    );
    assert_eq!(stuck.err(), Some(RedactError::RepeatedSalt.into()));
    let broken = Broken(issuer.public_key());
    let unsigned = issue(&claims(&key, vec![]), &IssueParams::default(), &broken, &mut entropy());
    assert_eq!(unsigned.err(), Some(IssueError::Signing(SigningFailed)));
}

#[test]
fn coset_reads_what_is_made() {
    use coset::TaggedCborSerializable;
    let (holder, _, credential) = nested();
    let token = present(&credential, &Selection::everything(&credential), &holder);
    let parsed = coset::CoseSign1::from_tagged_slice(&token).unwrap();
    let verified =
        parsed.verify_signature(b"", |signature, message| Backend.verify(&holder.public_key(), message, signature));
    assert_eq!(verified, Ok(()));
    assert_eq!(parsed.protected.header.alg, Some(coset::Algorithm::Assigned(coset::iana::Algorithm::Ed25519)));
    let labels: Vec<_> = parsed.protected.header.rest.iter().map(|entry| entry.0.clone()).collect();
    assert_eq!(labels, [coset::Label::Int(13), coset::Label::Int(16)]);
}

#[test]
fn the_order_of_digests_tells_nothing() {
    use coset::TaggedCborSerializable;
    let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 2));
    let marked = (100..120).map(|label| (redact(label), Value::from(label))).collect();
    let token = issue(&claims(&holder.public_key(), marked), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
    let payload = coset::CoseSign1::from_tagged_slice(&token).unwrap().payload.unwrap();
    let start = payload.windows(3).position(|window| window == [0xf8, 59, 0x94]).unwrap() + 3;
    let digests: Vec<_> = payload[start..].chunks(34).collect();
    assert_eq!(digests.len(), 20);
    assert!(digests.is_sorted());
}

#[test]
fn nothing_private_is_shown() {
    let (holder, _, credential) = nested();
    assert_eq!(format!("{credential:?}"), "Credential { disclosures: 7, .. }");
    assert!(!format!("{:?}", credential.disclosures()).contains("Utrecht"));
    assert_eq!(format!("{holder:?}"), "SoftwareSigner { algorithm: Ed25519, .. }");
}

/// Another backend, that counts.
struct Counting(std::cell::Cell<usize>);

impl SignatureVerifier for Counting {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        self.0.set(self.0.get() + 1);
        Backend.verify(key, message, signature)
    }
}

#[test]
fn another_backend_checks_two_signatures() {
    let (holder, issuers, credential) = nested();
    let token = present(&credential, &Selection::everything(&credential), &holder);
    let presentation = UnverifiedPresentation::parse(&token, &Limits::default()).unwrap();
    let counting = Counting(std::cell::Cell::new(0));
    assert!(presentation.verify_with(&params(&issuers), &counting).is_ok());
    assert_eq!(counting.0.get(), 2);
}
