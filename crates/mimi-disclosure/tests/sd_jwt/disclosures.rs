//! RFC 9901, section 7.1, steps 3 to 5: disclosures and digests, each fault by its name.

use mimi_disclosure::sd_jwt::{DisclosureError, HashAlgorithm, JsonError, SdJwtError};
use ring::digest::{SHA384, SHA512, digest};
use serde_json::{Value, json};

use crate::forge::{Forge, SCHEMES, b64, disclosure, rest, sha256, verify};

fn forge() -> Forge {
    Forge::new(SCHEMES[0])
}

fn fault(forge: &Forge) -> DisclosureError {
    match forge.fault() {
        SdJwtError::Disclosure(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn disclosed_claims_stand_beside_the_plain_ones() {
    for scheme in SCHEMES {
        let forge = Forge::new(scheme).claim("plain", json!(1)).disclose(&[r#"["s","a",true]"#, r#"["s","b",[{}]]"#]);
        assert_eq!(forge.claims(), json!({"plain": 1, "a": true, "b": [{}]}));
    }
}

#[test]
fn decoys_hidden_claims_and_the_names_for_selective_disclosure_leave_no_trace() {
    let (shown, digest) = disclosure(r#"["s","a",null]"#);
    let forge = forge()
        .claim("_sd", json!([sha256("decoy"), digest, "no digest at all", ""]))
        .claim("_sd_alg", json!("sha-256"))
        .claim("inner", json!({"_sd": [sha256("hidden")]}))
        .claim("empty", json!({"_sd": []}));
    let forge = Forge { disclosures: vec![shown], ..forge };
    assert_eq!(forge.claims(), json!({"a": null, "inner": {}, "empty": {}}));
}

#[test]
fn array_elements_are_shown_or_gone() {
    let (shown, digest) = disclosure(r#"["s",{"k":["v"]}]"#);
    let hidden = |text| json!({"...": sha256(text)});
    let forge = forge()
        .claim("all_hidden", json!([hidden("1"), hidden("2")]))
        .claim("some", json!([hidden("3"), "FR", {"...": digest}, hidden("4")]))
        .claim("nested", json!([[hidden("5")], []]));
    let forge = Forge { disclosures: vec![shown], ..forge };
    assert_eq!(forge.claims(), json!({"all_hidden": [], "some": ["FR", {"k": ["v"]}], "nested": [[], []]}));
}

#[test]
fn disclosures_inside_disclosures_are_put_in_at_any_depth() {
    let (street, street_digest) = disclosure(r#"["s","street","x"]"#);
    let (element, element_digest) = disclosure(&format!(r#"["s",{{"_sd":["{street_digest}"]}}]"#));
    let (list, list_digest) = disclosure(&format!(r#"["s","list",[{{"...":"{element_digest}"}}]]"#));
    let forge = forge().claim("_sd", json!([list_digest]));
    // In any order.
    let forge = Forge { disclosures: vec![street.clone(), list.clone(), element], ..forge };
    assert_eq!(forge.claims(), json!({"list": [{"street": "x"}]}));
    let orphan = Forge { disclosures: vec![street, list], ..forge };
    assert_eq!(fault(&orphan), DisclosureError::Unreferenced);
}

#[test]
fn every_disclosure_is_referenced_exactly_once() {
    let claim = r#"["s","a",1]"#;
    assert_eq!(fault(&forge().attach(&[claim])), DisclosureError::Unreferenced);
    assert_eq!(fault(&forge().disclose(&[claim]).attach(&[claim])), DisclosureError::DuplicateDisclosure);
    // One that nothing refers to is not even read.
    assert_eq!(fault(&forge().attach(&["no JSON"])), DisclosureError::Unreferenced);
}

#[test]
fn a_digest_occurs_once_over_the_whole() {
    let (shown, digest) = disclosure(r#"["s","a",1]"#);
    let decoy = sha256("decoy");
    let inner = disclosure(&format!(r#"["s","b",{{"_sd":["{decoy}"]}}]"#));
    for (payload, disclosures) in [
        (json!({"_sd": [digest, digest]}), vec![shown.clone()]),
        (json!({"_sd": [digest], "x": {"_sd": [digest]}}), vec![shown.clone()]),
        (json!({"_sd": [digest], "x": [{"...": digest}]}), vec![shown]),
        (json!({"_sd": [decoy, decoy]}), vec![]),
        (json!({"_sd": ["odd"], "x": [{"...": "odd"}]}), vec![]),
        (json!({"x": [{"...": decoy}, {"...": decoy}]}), vec![]),
        (json!({"_sd": [inner.1, decoy]}), vec![inner.0]),
    ] {
        let mut forge = Forge { disclosures, ..forge() };
        for (name, value) in payload.as_object().unwrap() {
            forge = forge.claim(name, value.clone());
        }
        assert_eq!(fault(&forge), DisclosureError::DuplicateDigest, "{payload}");
    }
}

#[test]
fn a_name_is_taken_once_in_its_object() {
    let plain = forge().claim("sub", json!("good")).disclose(&[r#"["s","sub","evil"]"#]);
    assert_eq!(fault(&plain), DisclosureError::ClaimCollision);
    let both = forge().disclose(&[r#"["s","x",1]"#, r#"["t","x",1]"#]);
    assert_eq!(fault(&both), DisclosureError::ClaimCollision);
    // Written with escapes, it is the same name.
    let escaped = forge().claim("sub", json!("good")).disclose(&[r#"["s","s\u0075b","evil"]"#]);
    assert_eq!(fault(&escaped), DisclosureError::ClaimCollision);
    // In another object, it is another claim.
    let (shown, digest) = disclosure(r#"["s","sub","inner"]"#);
    let forge = forge().claim("sub", json!("outer")).claim("x", json!({"_sd": [digest]}));
    let forge = Forge { disclosures: vec![shown], ..forge };
    assert_eq!(forge.claims(), json!({"sub": "outer", "x": {"sub": "inner"}}));
}

#[test]
fn a_disclosed_confirmation_key_does_not_shadow_the_plain_one() {
    let evil = crate::forge::jwk(&crate::forge::key(SCHEMES[0], 9));
    let shadow = forge().disclose(&[&json!(["s", "cnf", {"jwk": evil}]).to_string()]);
    assert_eq!(fault(&shadow), DisclosureError::ClaimCollision);
    let (shown, digest) = disclosure(&json!(["s", "jwk", evil]).to_string());
    let mut inside = Forge { disclosures: vec![shown], ..forge() };
    inside.payload["cnf"]["_sd"] = json!([digest]);
    assert_eq!(fault(&inside), DisclosureError::ClaimCollision);
}

#[test]
fn reserved_names_are_never_claims() {
    for name in ["_sd", "...", "_sd_alg", "\\u005fsd"] {
        let forge = forge().disclose(&[&format!(r#"["s","{name}",[]]"#)]);
        assert_eq!(fault(&forge), DisclosureError::ReservedName, "{name}");
    }
    for value in [json!({"...": "x"}), json!([{"a": 1, "...": "x"}]), json!([[{"b": {"...": "x"}}]])] {
        assert_eq!(fault(&forge().claim("x", value.clone())), DisclosureError::ReservedName, "{value}");
    }
    // A disclosed element is no placeholder again.
    let (shown, digest) = disclosure(&format!(r#"["s",{{"...":"{}"}}]"#, sha256("x")));
    let forge = forge().claim("x", json!([{"...": digest}]));
    assert_eq!(fault(&Forge { disclosures: vec![shown], ..forge }), DisclosureError::ReservedName);
}

#[test]
fn placeholders_and_lists_of_digests_have_one_form() {
    for value in [json!([{"...": 1}]), json!([{"...": sha256("x"), "a": 1}]), json!([{"...": null}])] {
        assert_eq!(fault(&forge().claim("x", value.clone())), DisclosureError::Placeholder, "{value}");
    }
    for list in [json!("x"), json!({}), json!(null), json!([5]), json!([sha256("x"), null]), json!([["x"]])] {
        assert_eq!(fault(&forge().claim("_sd", list.clone())), DisclosureError::DigestList, "{list}");
        assert_eq!(fault(&forge().claim("x", json!({"_sd": list}))), DisclosureError::DigestList);
    }
}

#[test]
fn a_disclosure_has_the_elements_of_its_place() {
    let cases = [
        (r#"["s","a"]"#, DisclosureError::ElementAsClaim),
        (r#"["s",{"a":1}]"#, DisclosureError::ElementAsClaim),
        (r#"["s","a",1,2]"#, DisclosureError::Shape),
        (r#"["s",5,1]"#, DisclosureError::Shape),
        (r#"[5,"a",1]"#, DisclosureError::Shape),
        (r#"[null,"a",1]"#, DisclosureError::Shape),
        (r#"["s"]"#, DisclosureError::Shape),
        ("[]", DisclosureError::Shape),
        (r#"{"0":"s","1":"a","2":1}"#, DisclosureError::Shape),
        (r#""text""#, DisclosureError::Shape),
        ("null", DisclosureError::Shape),
        (r#"["s","a",]"#, DisclosureError::Json(JsonError::Syntax)),
        (r#"["s","a",1] "x""#, DisclosureError::Json(JsonError::Syntax)),
        (r#"["s","a",1]]"#, DisclosureError::Json(JsonError::Syntax)),
        (r#"["s","a",{"b":1,"b":2}]"#, DisclosureError::Json(JsonError::DuplicateMember)),
    ];
    for (array, expected) in cases {
        assert_eq!(fault(&forge().disclose(&[array])), expected, "{array}");
    }
    for (array, expected) in [
        (r#"["s","a",1]"#, DisclosureError::ClaimAsElement),
        (r#"["s"]"#, DisclosureError::Shape),
        (r#"[1,2]"#, DisclosureError::Shape),
    ] {
        let (shown, digest) = disclosure(array);
        let forge = forge().claim("x", json!([{"...": digest}]));
        assert_eq!(fault(&Forge { disclosures: vec![shown], ..forge }), expected, "{array}");
    }
}

#[test]
fn the_hash_is_one_of_three_and_named_at_the_top() {
    let shown = b64(r#"["s","a",1]"#);
    for (name, algorithm) in [("sha-384", &SHA384), ("sha-512", &SHA512)] {
        let hash = |text: &str| b64(digest(algorithm, text.as_bytes()));
        let mut forge = forge().claim("_sd_alg", json!(name)).claim("_sd", json!([hash(&shown)]));
        forge.disclosures = vec![shown.clone()];
        // The key binding is over the same hash.
        assert!(matches!(forge.fault(), SdJwtError::KeyBinding(_)));
        forge.kb_payload["sd_hash"] = json!(hash(&forge.presented()));
        assert_eq!(forge.claims(), json!({"a": 1}));
        assert!(HashAlgorithm::from_name(name).is_some());
        // Also where the name comes after the digests.
        let mut payload: Vec<String> = Vec::new();
        for key in ["_sd", "_sd_alg", "iss", "exp", "cnf"] {
            payload.push(format!("{:?}:{}", key, forge.payload[key]));
        }
        let payload = format!("{{{}}}", payload.join(","));
        forge.kb_payload["sd_hash"] = json!(hash(&forge.presented_as(&payload)));
        let verified = verify(&forge.token_as(&payload), forge.scheme).unwrap();
        assert_eq!(rest(verified.payload().json()), json!({"a": 1}));
    }
    for name in [json!("md5"), json!("sha-256-32"), json!("SHA-256"), json!("sha-1"), json!(""), json!(5), Value::Null]
    {
        assert_eq!(fault(&forge().claim("_sd_alg", name.clone())), DisclosureError::HashAlgorithm, "{name}");
    }
    let forge = forge();
    let twice = forge.payload.to_string().replacen('{', r#"{"_sd_alg":"sha-512","_sd_alg":"sha-384","#, 1);
    let error = verify(&forge.token_as(&twice), forge.scheme).unwrap_err();
    assert_eq!(error, SdJwtError::Disclosure(DisclosureError::HashAlgorithm));
    for nested in [json!({"_sd_alg": "sha-256"}), json!([{"_sd_alg": "sha-256"}])] {
        assert_eq!(fault(&forge.clone().claim("x", nested)), DisclosureError::NestedHashAlgorithm);
    }
    let disclosed = forge.disclose(&[r#"["s","x",{"_sd_alg":"sha-256"}]"#]);
    assert_eq!(fault(&disclosed), DisclosureError::NestedHashAlgorithm);
}
