//! Header parameters that are not understood: none of them can say how a token is verified.

use mimi_disclosure::sd_jwt::{JwtError, KeyBindingError, Limits, SdJwtError, UnverifiedSdJwt};
use mimi_pseudonym::SigningKey;
use serde_json::{Value, json};

use crate::forge::{Forge, SCHEMES, b64, expecting, jwk, jwt, key};

/// Parameters with which others choose keys, decode payloads or open them.
fn not_understood(attacker: &SigningKey) -> Vec<(&'static str, Value)> {
    vec![
        ("jwk", jwk(attacker)),
        ("jku", json!("https://attacker.example/keys")),
        ("x5u", json!("https://attacker.example/chain")),
        ("x5c", json!(["MIIB"])),
        ("x5t#S256", json!(b64([1; 32]))),
        ("kid", json!("https://attacker.example/key")),
        ("iss", json!("https://attacker.example")),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        // RFC 7797: without `crit` it says nothing, and the payload stays what it is.
        ("b64", json!(false)),
        ("_sd_alg", json!("sha-512")),
        ("_sd", json!([])),
        ("disclosures", json!(["WyJzIiwieCIsMV0"])),
        ("kb_jwt", json!("a.b.c")),
        ("exp", json!(0)),
        ("Alg", json!("none")),
        ("x", json!([[{"y": null}], -1.5e3, true])),
    ]
}

#[test]
fn parameters_that_are_not_understood_change_nothing() {
    for scheme in SCHEMES {
        let plain = Forge::new(scheme).disclose(&[r#"["s","x",1]"#]).claims();
        for (name, value) in not_understood(&key(scheme, 9)) {
            let mut forge = Forge::new(scheme).disclose(&[r#"["s","x",1]"#]);
            forge.header[name] = value.clone();
            assert_eq!(forge.claims(), plain, "{name}");
            forge.kb_header[name] = value;
            assert_eq!(forge.claims(), plain, "{name}");
        }
    }
}

#[test]
fn a_key_that_a_token_brings_is_not_used() {
    for scheme in SCHEMES {
        let attacker = key(scheme, 9);
        for (name, value) in not_understood(&attacker) {
            let mut forge = Forge::new(scheme);
            forge.header[name] = value.clone();
            let token = jwt(&forge.header.to_string(), &forge.payload.to_string(), &attacker);
            let token = forge.bind(&format!("{token}~"));
            let outcome = expecting(scheme, |expected| {
                UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap().verify(expected)
            });
            assert_eq!(outcome.unwrap_err(), SdJwtError::Jwt(JwtError::Signature), "{name}");

            let mut forge = Forge { kb_key: attacker.clone(), ..Forge::new(scheme) };
            forge.kb_header[name] = value;
            let signature = SdJwtError::KeyBinding(KeyBindingError::Jwt(JwtError::Signature));
            assert_eq!(forge.fault(), signature, "{name}");
        }
    }
}

#[test]
fn whatever_is_critical_is_refused_also_if_it_is_known() {
    for scheme in SCHEMES {
        // Empty and malformed lists, which RFC 7515 forbids, among them.
        for critical in [json!(["b64"]), json!(["alg"]), json!(["typ", "x"]), json!([]), json!("x"), json!(null)] {
            let mut forge = Forge::new(scheme);
            forge.header["crit"] = critical.clone();
            forge.header["b64"] = json!(false);
            assert_eq!(forge.fault(), SdJwtError::Jwt(JwtError::Critical), "{critical}");
            let mut forge = Forge::new(scheme);
            forge.kb_header["crit"] = critical.clone();
            let expected = SdJwtError::KeyBinding(KeyBindingError::Jwt(JwtError::Critical));
            assert_eq!(forge.fault(), expected, "{critical}");
        }
    }
}

#[test]
fn the_two_types_cannot_be_exchanged() {
    for scheme in SCHEMES {
        let mut forge = Forge::new(scheme);
        forge.header["typ"] = json!("kb+jwt");
        assert_eq!(forge.fault(), SdJwtError::Jwt(JwtError::Type));
        let mut forge = Forge::new(scheme);
        forge.kb_header["typ"] = json!("example+sd-jwt");
        assert_eq!(forge.fault(), SdJwtError::KeyBinding(KeyBindingError::Jwt(JwtError::Type)));
        for header in ["header", "kb_header"] {
            let mut forge = Forge::new(scheme);
            let place = if header == "header" { &mut forge.header } else { &mut forge.kb_header };
            place.as_object_mut().unwrap().remove("typ");
            let expected = match header {
                "header" => SdJwtError::Jwt(JwtError::Type),
                _ => SdJwtError::KeyBinding(KeyBindingError::Jwt(JwtError::Type)),
            };
            assert_eq!(forge.fault(), expected);
        }
    }
}
