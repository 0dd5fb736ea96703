//! RFC 9901, section 7.3, step 5: the key binding.

use mimi_disclosure::sd_jwt::{Holder, JsonError, JwtError, KeyBindingError, Limits, SdJwtError, UnverifiedSdJwt};
use mimi_pseudonym::Signer;
use serde_json::json;

use crate::forge::{
    AUDIENCE, Forge, NONCE, NOW, SCHEMES, b64, disclosure, expecting, holder_key, jwk, jwt, key, sha256, verify,
};

fn forge() -> Forge {
    Forge::new(SCHEMES[0])
}

fn fault(forge: &Forge) -> KeyBindingError {
    match forge.fault() {
        SdJwtError::KeyBinding(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_binding_gives_the_key_and_its_time() {
    for scheme in SCHEMES {
        let verified = Forge::new(scheme).verify().unwrap();
        assert_eq!(verified.holder(), holder_key(scheme).public_key());
        assert_eq!(verified.bound_at(), NOW);
    }
}

#[test]
fn without_a_binding_there_is_no_presentation() {
    let presented = forge().presented();
    assert_eq!(verify(&presented, SCHEMES[0]).unwrap_err(), SdJwtError::KeyBinding(KeyBindingError::Missing));
}

#[test]
fn the_header_is_that_of_a_key_binding() {
    for scheme in SCHEMES {
        for typ in [json!("JWT"), json!("kb+sd-jwt"), json!("KB+JWT"), json!("sd-jwt"), json!("")] {
            let mut forge = Forge::new(scheme);
            forge.kb_header["typ"] = typ.clone();
            assert_eq!(fault(&forge), KeyBindingError::Jwt(JwtError::Type), "{typ}");
        }
        for alg in ["none", "HS256", "RS256", if scheme == SCHEMES[0] { "ES256" } else { "EdDSA" }] {
            let mut forge = Forge::new(scheme);
            forge.kb_header["alg"] = json!(alg);
            assert_eq!(fault(&forge), KeyBindingError::Jwt(JwtError::Algorithm), "{alg}");
        }
    }
    let mut critical = forge();
    critical.kb_header["crit"] = json!(["x"]);
    assert_eq!(fault(&critical), KeyBindingError::Jwt(JwtError::Critical));
}

#[test]
fn it_is_signed_by_the_holder() {
    for scheme in SCHEMES {
        let forge = Forge { kb_key: key(scheme, 7), ..Forge::new(scheme) };
        assert_eq!(fault(&forge), KeyBindingError::Jwt(JwtError::Signature));
        // By a key of the other kind, which also names its own algorithm.
        let other = if scheme == SCHEMES[0] { SCHEMES[1] } else { SCHEMES[0] };
        let kb_header = Forge::new(other).kb_header;
        let forge = Forge { kb_key: holder_key(other), kb_header, ..Forge::new(scheme) };
        assert_eq!(fault(&forge), KeyBindingError::Jwt(JwtError::Algorithm));
    }
}

#[test]
fn audience_nonce_and_their_types_are_checked() {
    for (name, value, expected) in [
        ("aud", json!("mimi://hub.example/r/room2"), KeyBindingError::Audience),
        ("aud", json!(format!("{AUDIENCE}/")), KeyBindingError::Audience),
        ("aud", json!([AUDIENCE]), KeyBindingError::Claims),
        ("aud", json!(null), KeyBindingError::Claims),
        ("nonce", json!("other"), KeyBindingError::Nonce),
        ("nonce", json!(""), KeyBindingError::Nonce),
        ("nonce", json!(5), KeyBindingError::Claims),
        ("nonce", json!([NONCE]), KeyBindingError::Claims),
        ("sd_hash", json!(sha256("other")), KeyBindingError::SdHash),
        ("sd_hash", json!(""), KeyBindingError::SdHash),
        ("sd_hash", json!(5), KeyBindingError::Claims),
        ("iat", json!("1800000000"), KeyBindingError::Claims),
        ("iat", json!(true), KeyBindingError::Claims),
        ("exp", json!("never"), KeyBindingError::Claims),
    ] {
        let mut forge = forge();
        forge.kb_payload[name] = value.clone();
        assert_eq!(fault(&forge), expected, "{name}: {value}");
    }
    for name in ["iat", "aud", "nonce"] {
        let mut forge = forge();
        forge.kb_payload.as_object_mut().unwrap().remove(name);
        assert_eq!(fault(&forge), KeyBindingError::Claims, "{name}");
    }
    let forge = forge();
    let kb = jwt(&forge.kb_header.to_string(), &forge.kb_payload.to_string(), &forge.kb_key);
    let error = verify(&format!("{}{kb}", forge.presented()), forge.scheme).unwrap_err();
    assert_eq!(error, SdJwtError::KeyBinding(KeyBindingError::Claims));
}

#[test]
fn it_was_made_within_the_window() {
    let now = NOW.as_secs();
    // Five minutes, and 30 seconds of leeway.
    for (name, value, expected) in [
        ("iat", now - 330, None),
        ("iat", now - 331, Some(KeyBindingError::TooOld)),
        ("iat", now + 30, None),
        ("iat", now + 31, Some(KeyBindingError::InFuture)),
        ("exp", now - 29, None),
        ("exp", now - 30, Some(KeyBindingError::TooOld)),
        ("nbf", now + 30, None),
        ("nbf", now + 31, Some(KeyBindingError::InFuture)),
    ] {
        let mut forge = forge();
        forge.kb_payload[name] = json!(value);
        assert_eq!(forge.verify().map(drop), expected.map_or(Ok(()), |e| Err(e.into())), "{name}: {value}");
    }
}

#[test]
fn it_is_over_exactly_what_is_presented() {
    let forge = forge().disclose(&[r#"["s","a",1]"#, r#"["s","b",2]"#]);
    let token = forge.token();
    let parts: Vec<_> = token.split('~').collect();
    let [jwt, a, b, kb] = parts[..] else { panic!("{token}") };
    for changed in [format!("{jwt}~{b}~{a}~{kb}"), format!("{jwt}~{a}~{kb}"), format!("{jwt}~{kb}")] {
        let error = verify(&changed, forge.scheme).unwrap_err();
        assert_eq!(error, SdJwtError::KeyBinding(KeyBindingError::SdHash));
    }
    // Without the last `~`, and over the JWT alone, it is over something else.
    for presented in [format!("{jwt}~{a}~{b}"), jwt.to_owned(), format!("{jwt}~")] {
        let mut other = forge.clone();
        other.kb_payload["sd_hash"] = json!(sha256(&presented));
        assert_eq!(fault(&other), KeyBindingError::SdHash);
    }
    // The binding of another token of the same holder.
    let error = verify(&format!("{}{kb}", Forge::new(SCHEMES[0]).presented()), forge.scheme).unwrap_err();
    assert_eq!(error, SdJwtError::KeyBinding(KeyBindingError::SdHash));
}

#[test]
fn double_names_in_it_are_refused() {
    let forge = forge();
    let presented = forge.presented();
    let payload = format!(
        r#"{{"iat":{},"aud":"{AUDIENCE}","nonce":"{NONCE}","sd_hash":"{}","x":{{"a":1,"a":2}}}}"#,
        NOW.as_secs(),
        sha256(&presented)
    );
    let kb = jwt(&forge.kb_header.to_string(), &payload, &forge.kb_key);
    let error = verify(&format!("{presented}{kb}"), forge.scheme).unwrap_err();
    let expected = KeyBindingError::Jwt(JwtError::Json(JsonError::DuplicateMember));
    assert_eq!(error, SdJwtError::KeyBinding(expected));
}

#[test]
fn the_holder_is_the_expected_one_or_the_caller_is_told() {
    for scheme in SCHEMES {
        let other = key(scheme, 7);
        let mut forge = Forge::new(scheme).claim("cnf", json!({"jwk": jwk(&other)}));
        forge.kb_key = other.clone();
        assert_eq!(fault(&forge), KeyBindingError::OtherHolder);
        let token = forge.token();
        let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
        let verified = expecting(scheme, |expected| {
            token.verify(&mimi_disclosure::sd_jwt::Expectations { holder: Holder::AnyNamed, ..*expected })
        });
        assert_eq!(verified.unwrap().holder(), other.public_key());
    }
}

#[test]
fn the_confirmation_key_is_one_plain_public_key() {
    let good = jwk(&holder_key(SCHEMES[0]));
    let with = |name: &str, value: serde_json::Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        json!({ "jwk": jwk })
    };
    for (cnf, expected) in [
        (json!({}), KeyBindingError::NoConfirmationKey),
        (json!({"kid": "x"}), KeyBindingError::NoConfirmationKey),
        (json!("x"), KeyBindingError::ConfirmationKey),
        (json!({"jwk": "x"}), KeyBindingError::ConfirmationKey),
        (with("kty", json!("oct")), KeyBindingError::ConfirmationKey),
        (with("crv", json!("X25519")), KeyBindingError::ConfirmationKey),
        (with("crv", json!("P-256")), KeyBindingError::ConfirmationKey),
        (with("x", json!(b64([1; 31]))), KeyBindingError::ConfirmationKey),
        (with("x", json!(format!("{}=", b64([1; 32])))), KeyBindingError::ConfirmationKey),
        (with("d", json!(b64([1; 32]))), KeyBindingError::ConfirmationKey),
        (with("alg", json!("ES256")), KeyBindingError::ConfirmationKey),
        (with("use", json!("enc")), KeyBindingError::ConfirmationKey),
    ] {
        assert_eq!(fault(&forge().claim("cnf", cnf.clone())), expected, "{cnf}");
    }
    for cnf in [with("alg", json!("EdDSA")), with("use", json!("sig")), with("kid", json!("x"))] {
        assert!(forge().claim("cnf", cnf.clone()).verify().is_ok(), "{cnf}");
    }
    let mut missing = forge();
    missing.payload.as_object_mut().unwrap().remove("cnf");
    assert_eq!(fault(&missing), KeyBindingError::NoConfirmationKey);
    // Signed by the issuer through a digest, it is as good as in plain, as long as there is only one.
    let (shown, digest) = disclosure(&json!(["s", "cnf", {"jwk": good}]).to_string());
    let disclosed = Forge { disclosures: vec![shown], ..missing.claim("_sd", json!([digest])) };
    assert!(disclosed.verify().is_ok());
}
