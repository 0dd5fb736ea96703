//! Every line of the cases is accepted or refused as it says, through the same code as the example tool.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../examples/verify_cases/case.rs"]
mod case;
mod common;

use common::pem;
use serde_json::Value as Json;

fn compact(notation: &str) -> String {
    notation.split(' ').collect()
}

/// Entries of a flat map in diagnostic notation, without those that every case has.
fn further(claims: &coset_sd_cwt::Claims) -> String {
    let further: Vec<_> = claims
        .iter()
        .filter(|(label, _)| ![1, 2, 3, 4, 5, 6, 7, 8, 39].iter().any(|known| *label == (*known).into()))
        .map(|(label, claim)| format!("{label}:{claim}"))
        .collect();
    format!("{{{}}}", further.join(","))
}

#[test]
fn all_cases() {
    let path = format!("{}/tests/vectors/cases.jsonl", env!("CARGO_MANIFEST_DIR"));
    let (mut accepted, mut refused) = (0, 0);
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let outcome = case::verify(&case);
        match (case["expect"].as_str().unwrap(), outcome) {
            ("accept", outcome) => {
                let claims = outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
                let mut expected: Vec<_> = vec![compact(case["claims"].as_str().unwrap())];
                if id.ends_with("ok-reordered") {
                    // The order of claims is that of the digests.
                    expected.push("{501:\"Alice\",500:true}".to_owned());
                }
                assert!(expected.contains(&further(&claims)), "{id}: {claims}");
                accepted += 1;
            }
            ("reject", outcome) => {
                assert!(outcome.is_err(), "{id}");
                refused += 1;
            }
            (_, outcome) if id.ends_with("ok-decoy-disclosed") => {
                assert_eq!(further(&outcome.unwrap()), "{501:\"Alice\"}", "{id}");
            }
            (_, outcome) => {
                assert!(id.ends_with("bad-kcwt-bstr"), "an unknown case: {id}");
                assert_eq!(outcome.unwrap_err(), "BindingHeader(Cbor(WrongType))", "{id}");
            }
        }
    }
    assert_eq!((accepted, refused), (16, 52));
}

#[test]
fn each_refusal_names_the_rule() {
    let path = format!("{}/tests/vectors/cases.jsonl", env!("CARGO_MANIFEST_DIR"));
    let named = [
        ("bad-raw-digest", "Disclosure(Unreferenced)"),
        ("bad-unused-disclosure", "Disclosure(Unreferenced)"),
        ("bad-orphan-child", "Disclosure(Unreferenced)"),
        ("bad-dup-disclosure", "Disclosure(DuplicateDisclosure)"),
        ("bad-no-cnf", "Confirmation(Missing)"),
        ("bad-issuer-sig", "IssuerSignature"),
        ("bad-issuer-key", "IssuerSignature"),
        ("bad-kbt-sig", "HolderSignature"),
        ("bad-kbt-key", "HolderSignature"),
        ("bad-kbt-aud", "BindingAudience"),
        ("bad-kbt-no-aud", "BindingAudience"),
        ("bad-cwt-aud", "CredentialAudience"),
        ("bad-kbt-cnonce", "Nonce"),
        ("bad-kbt-exp-no-iat", "Time(BindingTimesWithoutIat)"),
        ("bad-kbt-sub", "BindingSubject"),
        ("bad-kbt-typ-missing", "BindingHeader(Type)"),
        ("bad-kbt-typ-293", "BindingHeader(Type)"),
        ("bad-cwt-typ-294", "CredentialHeader(Type)"),
        ("bad-kbt-iat-before-cwt-iat", "Time(BindingIatBeforeCredentialIat)"),
        ("bad-cwt-nbf-after-iat", "Time(CredentialNbfAfterIat)"),
        ("bad-4-element-disclosure", "Disclosure(Shape)"),
        ("bad-claim-in-array", "Disclosure(ClaimInArray)"),
        ("bad-element-in-map", "Disclosure(ElementInMap)"),
        ("bad-unknown-sd_alg", "CredentialHeader(UnsupportedHash)"),
    ];
    let mut seen = 0;
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let Some((_, expected)) = named.iter().find(|(name, _)| id.rsplit('/').next() == Some(name)) else { continue };
        assert_eq!(case::verify(&case).map(|claims| claims.to_string()), Err((*expected).to_owned()), "{id}");
        seen += 1;
    }
    assert_eq!(seen, 2 * named.len());
}
