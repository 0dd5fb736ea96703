//! The accept and reject cases of both formats, through the code of the example tool.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

#[path = "../examples/verify/case.rs"]
mod case;

/// What is chosen where RFC 9901 leaves a choice; `docs/profile-disclosure-sd-jwt.md` says why.
const JWT_CHOICES: [(&str, &str); 3] = [
    ("bad-duplicate-disclosure", "Disclosure(DuplicateDisclosure)"),
    ("bad-_sd-non-string", "Disclosure(DigestList)"),
    ("bad-kb-old-iat", "KeyBinding(TooOld)"),
];

/// Every rejection by its own error.
const JWT_REJECTIONS: [(&str, &str); 22] = [
    ("bad-orphan-child", "Disclosure(Unreferenced)"),
    ("bad-unused-disclosure", "Disclosure(Unreferenced)"),
    ("bad-claim-collision", "Disclosure(ClaimCollision)"),
    ("bad-two-disclosures-same-name", "Disclosure(ClaimCollision)"),
    ("bad-claim-name-...", "Disclosure(ReservedName)"),
    ("bad-array-disclosure-in-_sd", "Disclosure(ElementAsClaim)"),
    ("bad-object-disclosure-in-array", "Disclosure(ClaimAsElement)"),
    ("bad-4-element-disclosure", "Disclosure(Shape)"),
    ("bad-non-string-claim-name", "Disclosure(Shape)"),
    ("bad-_sd-not-array", "Disclosure(DigestList)"),
    ("bad-sd-alg-md5", "Disclosure(HashAlgorithm)"),
    ("bad-sd-alg-mismatch", "Disclosure(Unreferenced)"),
    ("bad-issuer-sig-other-key", "Jwt(Signature)"),
    ("bad-expired", "Claim(Expired)"),
    ("sd-exp-disclosed-expired", "Claim(Expired)"),
    ("bad-no-kb", "KeyBinding(Missing)"),
    ("bad-kb-no-aud", "KeyBinding(Claims)"),
    ("bad-kb-sd_hash", "KeyBinding(SdHash)"),
    ("bad-kb-typ", "KeyBinding(Jwt(Type))"),
    ("bad-kb-disclosures-reordered", "KeyBinding(SdHash)"),
    ("bad-kb-alg-none", "KeyBinding(Jwt(Algorithm))"),
    ("bad-no-cnf", "KeyBinding(NoConfirmationKey)"),
];

/// What is chosen where the draft leaves a choice: an error, or claims; `docs/profile-disclosure-sd-cwt.md` says why.
const CWT_CHOICES: [(&str, Result<&str, &str>); 2] =
    [("ok-decoy-disclosed", Ok("{501: \"Alice\"}")), ("bad-kcwt-bstr", Err("BindingHeader(Cbor(WrongType))"))];

fn cases(path: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn name(case: &Value) -> &str {
    case["id"].as_str().unwrap().rsplit('/').next().unwrap()
}

/// How many cases there are of each kind. Every line has the `id` of its case, and either claims or an error.
fn count(cases: &[Value], check: impl Fn(&Value, Result<&Value, &str>)) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for case in cases {
        let line = case::answer(case).unwrap();
        assert_eq!(line["id"], case["id"]);
        *counted.entry(case["expect"].as_str().unwrap()).or_default() += 1;
        match line["result"].as_str() {
            Some("accept") => check(case, Ok(&line["claims"])),
            Some("reject") => check(case, Err(line["error"].as_str().unwrap())),
            other => panic!("{other:?}"),
        }
    }
    counted
}

#[test]
fn every_case_of_an_sd_jwt_ends_as_it_should() {
    let errors: BTreeMap<_, _> = JWT_CHOICES.into_iter().chain(JWT_REJECTIONS).collect();
    let cases = cases("tests/vectors/sd-jwt/cases.jsonl");
    let counted = count(&cases, |case, outcome| match (case["expect"].as_str().unwrap(), outcome) {
        ("accept", outcome) => assert_eq!(outcome, Ok(&case["claims"]), "{}", case["id"]),
        (_, outcome) => assert_eq!(outcome, Err(errors[name(case)]), "{}", case["id"]),
    });
    assert_eq!(counted, [("accept", 18), ("either", 6), ("reject", 44)].into());
}

#[test]
fn every_case_of_an_sd_cwt_ends_as_it_should() {
    let choices: BTreeMap<_, _> = CWT_CHOICES.into_iter().collect();
    let cases = cases("../coset-sd-cwt/tests/vectors/cases.jsonl");
    let counted = count(&cases, |case, outcome| match case["expect"].as_str().unwrap() {
        "accept" => assert_eq!(outcome, Ok(&case["claims"]), "{}", case["id"]),
        // Which error it is, is held by the tests of the format's own crate.
        "reject" => assert!(outcome.is_err_and(|error| !error.is_empty()), "{}", case["id"]),
        _ => assert_eq!(outcome.map(|claims| claims.as_str().unwrap()), choices[name(case)], "{}", case["id"]),
    });
    assert_eq!(counted, [("accept", 16), ("either", 4), ("reject", 52)].into());
}

#[test]
fn a_malformed_case_ends_the_tool() {
    for case in [json!({}), json!({ "format": "jwt" }), json!({ "format": "sd-jwt" }), json!({ "format": "sd-cwt" })] {
        assert!(case::answer(&case).is_err(), "{case}");
    }
}
