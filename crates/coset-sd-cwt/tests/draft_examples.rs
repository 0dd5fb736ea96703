//! Every example of the draft verifies to the claims that the draft expects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use ciborium::Value;
use common::pem;
use coset_sd_cwt::{
    AcceptError, AcceptParams, Claims, DisclosureKind, Limits, NoAeadKeys, PublicKey, TrustedIssuer,
    UnverifiedCredential, UnverifiedPresentation, VerifyError, VerifyParams,
};
use serde_json::{Map, Value as Json, json};

const NOW: i64 = 1_725_244_240;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn key(name: &str) -> PublicKey {
    PublicKey::from_spki(&pem::decode(std::str::from_utf8(&file(name)).unwrap())).unwrap()
}

fn issuers() -> [TrustedIssuer; 1] {
    [TrustedIssuer { name: "https://issuer.example".to_owned(), key: key("draft-issuer.pub.pem") }]
}

fn expected(name: &str) -> Json {
    serde_json::from_slice(&file(&format!("{name}.expected.json"))).unwrap()
}

/// As the expected files write CBOR in JSON.
fn json(value: &Value) -> Json {
    match value {
        Value::Integer(number) => json!(i64::try_from(*number).unwrap()),
        Value::Text(text) => json!(text),
        Value::Bool(truth) => json!(truth),
        Value::Bytes(bytes) => {
            json!(format!("h'{}'", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
        }
        Value::Array(elements) => Json::Array(elements.iter().map(json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, value)| (name(key), json(value))).collect::<Map<_, _>>())
        }
        other => panic!("not in the examples: {other:?}"),
    }
}

fn name(key: &Value) -> String {
    match key {
        Value::Integer(number) => i64::try_from(*number).unwrap().to_string(),
        Value::Text(text) => format!("\"{text}\""),
        other => panic!("no key: {other:?}"),
    }
}

fn as_json(claims: &Claims) -> Json {
    json(&claims.to_value().unwrap())
}

fn verify_params<'a>(issuers: &'a [TrustedIssuer], nonce: &'a [u8]) -> VerifyParams<'a> {
    VerifyParams {
        issuers,
        audience: "https://verifier.example/app",
        credential_audiences: &[],
        nonce,
        now: NOW,
        leeway: 0,
        holder_keys: &[],
        aead_keys: &NoAeadKeys,
    }
}

#[test]
fn presentations() {
    let issuers = issuers();
    let nonce = pem::unhex("8c0f5f523b95bea44a9a48c649240803");
    for name in ["kbt", "nested_kbt"] {
        let (token, expected) = (file(&format!("{name}.cbor")), expected(name));
        let presentation = UnverifiedPresentation::parse(&token, &Limits::default()).unwrap();
        assert_eq!(presentation.claimed_issuer(), Some("https://issuer.example"));
        assert_eq!(presentation.issuer_key_id(), Some(&b"https://issuer.example/cose-key3"[..]));
        let verified = presentation.verify(&verify_params(&issuers, &nonce)).unwrap();
        assert_eq!(as_json(verified.claims()), expected["validated_claims"], "{name}");
        assert_eq!(as_json(verified.binding_claims()), expected["kbt_claims"], "{name}");
        assert_eq!(*verified.holder_key(), key("draft-holder.pub.pem"));
        assert_eq!(verified.issuer(), &issuers[0]);
        assert!(verified.hidden() > 0);

        let expired = VerifyParams { now: NOW + 100_000, ..verify_params(&issuers, &nonce) };
        assert!(matches!(presentation.verify(&expired), Err(VerifyError::Time(_))));
    }
}

#[test]
fn credentials() {
    let (issuers, holder) = (issuers(), key("draft-holder.pub.pem"));
    let params = AcceptParams { issuers: &issuers, holder_key: &holder, now: NOW, leeway: 0, aead_keys: &NoAeadKeys };
    for name in ["issuer_cwt", "nested_issuer_cwt", "decoy", "nested_cwt"] {
        let (token, expected) = (file(&format!("{name}.cbor")), expected(name));
        let unverified = UnverifiedCredential::parse(&token, &Limits::default()).unwrap();
        let accepted = unverified.accept(&params);
        if name == "nested_cwt" {
            // What a holder makes of nested_issuer_cwt: some digests have no disclosure any more.
            assert_eq!(accepted.err(), Some(AcceptError::HiddenDigest));
        } else {
            assert!(accepted.is_ok(), "{name}");
        }
        let credential = unverified.accept_partial(&params).unwrap();
        assert_eq!(as_json(credential.claims()), expected["validated_claims"], "{name}");
        assert_eq!(json!(credential.disclosures().len()), expected["disclosures"], "{name}");
        let decoys = credential.disclosures().iter().filter(|one| one.kind() == DisclosureKind::Decoy).count();
        assert_eq!(decoys, if name == "decoy" { 2 } else { 0 });
    }
}
