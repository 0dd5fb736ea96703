//! Issuing, holding and presenting.

use mimi_disclosure::sd_jwt::{
    Array, HashAlgorithm, HeldSdJwt, HoldError, IssueError, Issuer, KeyBindingError, Limits, Object, PresentError,
    SdJwtError, UnverifiedSdJwt, Value,
};
use mimi_pseudonym::{Entropy, SeededEntropy, SignatureScheme, Signer, SigningKey};
use serde_json::json;

use crate::forge::{
    AUDIENCE, Forge, ISSUER, NONCE, NOW, SCHEMES, holder_key, issuer_key, issuers, key, rest, token_expectations,
    verify,
};

fn claims() -> Object {
    Object::new()
        .plain("iss", ISSUER)
        .plain("exp", 1_900_000_000)
        .plain("open", Value::Null)
        .hidden("name", "Alice \"A\" \u{1}\\ Möbius")
        .hidden("address", Object::new().plain("country", "NL").hidden("street/no", "x").decoys(2))
        .plain("nationalities", Array::new().hidden("DE").plain("FR").decoy().hidden(Object::new().hidden("k", true)))
        .decoys(3)
}

fn issue(scheme: SignatureScheme, hash: HashAlgorithm, claims: &Object) -> Result<String, IssueError> {
    let mut entropy = SeededEntropy::new([3; 32]);
    let signer = issuer_key(scheme);
    let issuer = Issuer::new(&signer, "example+sd-jwt").with_hash(hash).with_key_id("k1");
    issuer.issue(claims, holder_key(scheme).public_key(), &mut entropy)
}

fn hold(token: &str, scheme: SignatureScheme) -> Result<HeldSdJwt, HoldError> {
    let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
    HeldSdJwt::new(token, &token_expectations(&issuers(scheme)), holder_key(scheme).public_key())
}

#[test]
fn what_is_issued_is_held_and_presented_in_parts() {
    for scheme in SCHEMES {
        for hash in HashAlgorithm::ALL {
            let held = hold(&issue(scheme, hash, &claims()).unwrap(), scheme).unwrap();
            let all = rest(held.payload().json());
            let expected = json!({
                "open": null, "name": "Alice \"A\" \u{1}\\ Möbius", "address": {"country": "NL", "street/no": "x"},
                "nationalities": ["DE", "FR", {"k": true}],
            });
            assert_eq!(all, expected);
            let mut pointers: Vec<_> = held.pointers().collect();
            pointers.sort_unstable();
            assert_eq!(
                pointers,
                [
                    "/address",
                    "/address/street~1no",
                    "/name",
                    "/nationalities/0",
                    "/nationalities/2",
                    "/nationalities/2/k"
                ]
            );
            let shown = |pointers: &[&str]| {
                let token = held.present(pointers, AUDIENCE, NONCE, NOW, &holder_key(scheme)).unwrap();
                rest(verify(&token, scheme).unwrap().payload().json())
            };
            assert_eq!(shown(&[]), json!({"open": null, "nationalities": ["FR"]}));
            assert_eq!(
                shown(&["/address"]),
                json!({"open": null, "nationalities": ["FR"], "address": {"country": "NL"}})
            );
            // With what is around it.
            assert_eq!(
                shown(&["/address/street~1no", "/nationalities/2/k", "/address"]),
                json!({"open": null, "nationalities": ["FR", {"k": true}], "address": {"country": "NL", "street/no": "x"}})
            );
            assert_eq!(shown(&pointers), expected);
            let present = |pointer: &str, key: &SigningKey| held.present(&[pointer], AUDIENCE, NONCE, NOW, key);
            for pointer in ["/open", "/address/country", "name", "/nationalities/1", "/street~1no", ""] {
                assert_eq!(present(pointer, &holder_key(scheme)), Err(PresentError::UnknownClaim), "{pointer}");
            }
            assert_eq!(present("/name", &key(scheme, 9)), Err(PresentError::OtherKey));
            assert!(!format!("{held:?}").contains("Alice"));
        }
    }
}

#[test]
fn what_is_hidden_does_not_show_in_the_payload() {
    let token = issue(SCHEMES[0], HashAlgorithm::Sha256, &claims()).unwrap();
    let parsed = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(parsed.disclosure_count(), 6);
    let jwt = token.split('~').next().unwrap();
    let presented = format!("{jwt}~");
    let token = UnverifiedSdJwt::parse(presented.as_bytes(), &Limits::default()).unwrap();
    let payload = token.dangerous_verify_without_key_binding(&token_expectations(&issuers(SCHEMES[0])), AUDIENCE);
    assert_eq!(rest(payload.unwrap().json()), json!({"open": null, "nationalities": ["FR"]}));
}

#[test]
fn a_name_with_dots_is_another_one_than_a_path() {
    let claims = Object::new()
        .plain("iss", ISSUER)
        .plain("exp", 1_900_000_000)
        .plain("a", Object::new().hidden("b", 1))
        .hidden("a.b", 2)
        .hidden("a/b", 3);
    let held = hold(&issue(SCHEMES[0], HashAlgorithm::Sha256, &claims).unwrap(), SCHEMES[0]).unwrap();
    for (pointer, expected) in
        [("/a/b", json!({"a": {"b": 1}})), ("/a.b", json!({"a": {}, "a.b": 2})), ("/a~1b", json!({"a": {}, "a/b": 3}))]
    {
        let token = held.present(&[pointer], AUDIENCE, NONCE, NOW, &holder_key(SCHEMES[0])).unwrap();
        assert_eq!(rest(verify(&token, SCHEMES[0]).unwrap().payload().json()), expected);
    }
}

#[test]
fn a_holder_takes_only_a_token_of_its_own() {
    let presentation = Forge::new(SCHEMES[0]).token();
    assert_eq!(hold(&presentation, SCHEMES[0]).unwrap_err(), HoldError::Presentation);
    let other = Forge::new(SCHEMES[0]).claim("cnf", json!({"jwk": crate::forge::jwk(&key(SCHEMES[0], 9))}));
    let error = hold(&other.presented(), SCHEMES[0]).unwrap_err();
    assert_eq!(error, HoldError::Key(KeyBindingError::OtherHolder));
    let forged = Forge::new(SCHEMES[0]).attach(&[r#"["s","a",1]"#]);
    assert!(matches!(hold(&forged.presented(), SCHEMES[0]), Err(HoldError::Token(SdJwtError::Disclosure(_)))));
    // A token for some audience can be held, whatever that is.
    assert!(hold(&Forge::new(SCHEMES[0]).claim("aud", json!("x")).presented(), SCHEMES[0]).is_ok());
}

#[test]
fn an_issuer_issues_nothing_that_a_verifier_would_refuse() {
    let fault = |claims: &Object| issue(SCHEMES[0], HashAlgorithm::Sha256, claims).unwrap_err();
    for name in ["_sd", "_sd_alg", "...", "cnf"] {
        assert_eq!(fault(&Object::new().plain(name, 1)), IssueError::ReservedName, "{name}");
        assert_eq!(fault(&Object::new().hidden(name, 1)), IssueError::ReservedName, "{name}");
    }
    assert_eq!(fault(&Object::new().plain("x", Object::new().hidden("_sd", 1))), IssueError::ReservedName);
    for name in ["iss", "aud", "exp", "nbf"] {
        assert_eq!(fault(&Object::new().hidden(name, 1)), IssueError::HiddenValidity, "{name}");
    }
    assert_eq!(fault(&Object::new().hidden("x", 1).plain("x", 2)), IssueError::DuplicateMember);
    let deep = |depth| (0..depth).fold(Value::Null, |value, _| Array::new().hidden(value).into());
    assert_eq!(fault(&Object::new().plain("x", deep(16))), IssueError::TooDeep);
    assert!(issue(SCHEMES[0], HashAlgorithm::Sha256, &Object::new().plain("x", deep(15))).is_ok());

    struct Stuck;
    impl Entropy for Stuck {
        fn fill(&mut self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }
    let (signer, holder) = (issuer_key(SCHEMES[0]), holder_key(SCHEMES[0]));
    let issuer = Issuer::new(&signer, "sd-jwt");
    let claims = Object::new().hidden("a", 1).hidden("b", 2);
    assert_eq!(issuer.issue(&claims, holder.public_key(), &mut Stuck), Err(IssueError::Entropy));
}
