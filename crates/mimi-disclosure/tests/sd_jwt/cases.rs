//! The accept and reject cases, through the example tool.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

#[path = "../../examples/verify/sd_jwt.rs"]
mod tool;

/// What is chosen where RFC 9901 leaves a choice.
const CHOICES: [(&str, &str); 3] = [
    ("bad-duplicate-disclosure", "Disclosure(DuplicateDisclosure)"),
    ("bad-_sd-non-string", "Disclosure(DigestList)"),
    ("bad-kb-old-iat", "KeyBinding(TooOld)"),
];

/// Every rejection by its own error.
const REJECTIONS: [(&str, &str); 22] = [
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

#[test]
fn every_case_ends_as_it_should() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sd-jwt/cases.jsonl");
    let errors: BTreeMap<_, _> = CHOICES.into_iter().chain(REJECTIONS).collect();
    let mut counted = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let id = case["id"].as_str().unwrap();
        let name = id.rsplit('/').next().unwrap();
        let expect = case["expect"].as_str().unwrap();
        *counted.entry(expect.to_owned()).or_insert(0) += 1;
        match tool::verify(&case).unwrap() {
            Ok(claims) => {
                assert_eq!(expect, "accept", "{id}");
                assert_eq!(claims, case["claims"], "{id}");
            }
            Err(error) => {
                assert_ne!(expect, "accept", "{id}: {error}");
                assert_eq!(Some(error.as_str()), errors.get(name).copied(), "{id}");
            }
        }
    }
    assert_eq!(counted.into_values().sum::<usize>(), 68);
}
