//! RFC 9901, section 7.1, steps 2 and 6: the issuer's signature, its algorithm and type, and the registered claims.

use std::time::Duration;

use mimi_disclosure::sd_jwt::{
    ClaimError, Expectations, Holder, IssuerKey, JsonError, JwtError, Limits, ParseError, SdJwtError,
    TokenExpectations, TokenType, TrustedIssuer, UnverifiedSdJwt, VerifiedSdJwt,
};
use mimi_pseudonym::{Signer, Timestamp};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::json;

use crate::forge::{
    AUDIENCE, Forge, ISSUER, NONCE, NOW, SCHEMES, b64, expecting, holder_key, issuer_key, issuers, jwt, key,
    token_expectations, verify,
};

fn forge() -> Forge {
    Forge::new(SCHEMES[0])
}

/// Verifies with other expectations of the issuer's part.
fn verify_with<'a>(
    forge: &Forge,
    change: impl FnOnce(&mut TokenExpectations<'a>),
) -> Result<VerifiedSdJwt, SdJwtError> {
    let mut token = token_expectations(issuers(forge.scheme).leak());
    change(&mut token);
    let holder = holder_key(forge.scheme);
    let expected = Expectations {
        token,
        audience: AUDIENCE,
        nonce: NONCE,
        holder: Holder::Key(holder.public_key()),
        max_age: Duration::from_secs(300),
    };
    UnverifiedSdJwt::parse(forge.token().as_bytes(), &Limits::default()).unwrap().verify(&expected)
}

#[test]
fn the_algorithm_comes_from_the_key_and_never_from_the_token() {
    for scheme in SCHEMES {
        for alg in ["none", "None", "HS256", "HS512", "RS256", "ES384", "ES256K", ""] {
            let mut forge = Forge::new(scheme);
            forge.header["alg"] = json!(alg);
            assert_eq!(forge.fault(), SdJwtError::Jwt(JwtError::Algorithm), "{alg}");
        }
        // The name of the other kind of key.
        let mut forge = Forge::new(scheme);
        forge.header["alg"] = json!(if scheme == SCHEMES[0] { "ES256" } else { "EdDSA" });
        assert_eq!(forge.fault(), SdJwtError::Jwt(JwtError::Algorithm));
        forge.header.as_object_mut().unwrap().remove("alg");
        assert_eq!(forge.fault(), SdJwtError::Jwt(JwtError::Algorithm));
    }
    let mut newer = forge();
    newer.header["alg"] = json!("Ed25519");
    assert!(newer.verify().is_ok());
}

#[test]
fn without_a_signature_nothing_is_believed() {
    let forge = forge();
    let payload = b64(forge.payload.to_string());
    for header in [r#"{"alg":"none","typ":"sd-jwt"}"#, r#"{"alg":"EdDSA","typ":"sd-jwt"}"#] {
        let error = verify(&forge.bind(&format!("{}.{payload}.~", b64(header))), forge.scheme).unwrap_err();
        assert!(matches!(error, SdJwtError::Jwt(JwtError::Algorithm | JwtError::Signature)), "{error:?}");
    }
}

#[test]
fn another_key_or_another_text_is_noticed() {
    for scheme in SCHEMES {
        let forge = Forge::new(scheme);
        let header = forge.header.to_string();
        let other = jwt(&header, &forge.payload.to_string(), &key(scheme, 5));
        let error = verify(&forge.bind(&format!("{other}~")), scheme).unwrap_err();
        assert_eq!(error, SdJwtError::Jwt(JwtError::Signature));
        let token = forge.token();
        let (header, rest) = token.split_once('.').unwrap();
        let (_, rest) = rest.split_once('.').unwrap();
        let changed = format!("{header}.{}.{rest}", b64(forge.payload.to_string().replace("issuer", "Issuer")));
        assert_eq!(verify(&changed, scheme).unwrap_err(), SdJwtError::Jwt(JwtError::Signature));
    }
}

#[test]
fn of_several_keys_the_one_with_the_identifier_is_taken() {
    let scheme = SCHEMES[0];
    let wanted = || IssuerKey::new(issuer_key(scheme).public_key()).unwrap();
    let other = || IssuerKey::new(key(scheme, 5).public_key()).unwrap();
    let mut forge = forge();
    forge.header["kid"] = json!("a");
    for (keys, result) in [
        (vec![other(), wanted()], Ok(())),
        (vec![other().with_id("b"), wanted().with_id("a")], Ok(())),
        (vec![wanted().with_id("b")], Err(SdJwtError::Jwt(JwtError::Algorithm))),
        (vec![other().with_id("a")], Err(SdJwtError::Jwt(JwtError::Signature))),
        (vec![], Err(SdJwtError::Jwt(JwtError::Algorithm))),
    ] {
        let issuers = [TrustedIssuer::new(ISSUER, keys)];
        assert_eq!(verify_with(&forge, |token| token.issuers = &issuers).map(drop), result);
    }
}

#[test]
fn an_issuer_may_sign_with_es384() {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let key = IssuerKey::p384(pair.public_key().as_ref()).unwrap();
    let issuers = [TrustedIssuer::new(ISSUER, vec![key])];
    let forge = forge();
    for (alg, result) in [("ES384", Ok(())), ("ES256", Err(SdJwtError::Jwt(JwtError::Algorithm)))] {
        let header = json!({"alg": alg, "typ": "example+sd-jwt"}).to_string();
        let signed = format!("{}.{}", b64(header), b64(forge.payload.to_string()));
        let signature = pair.sign(&random, signed.as_bytes()).unwrap();
        let token = forge.bind(&format!("{signed}.{}~", b64(signature)));
        let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
        let verified = expecting(forge.scheme, |expected| {
            token
                .verify(&Expectations { token: TokenExpectations { issuers: &issuers, ..expected.token }, ..*expected })
        });
        assert_eq!(verified.map(drop), result);
    }
}

#[test]
fn the_type_is_the_expected_one() {
    let typed = |typ: &str| {
        let mut forge = forge();
        forge.header["typ"] = json!(typ);
        forge
    };
    for typ in ["sd-jwt", "dc+sd-jwt", "example+sd-jwt", "application/example+sd-jwt", "Application/SD-JWT"] {
        assert!(typed(typ).verify().is_ok(), "{typ}");
    }
    let mut untyped = forge();
    untyped.header.as_object_mut().unwrap().remove("typ");
    for forge in [typed("JWT"), typed("kb+jwt"), typed("sd-jwt+x"), typed(""), untyped.clone()] {
        assert_eq!(forge.fault(), SdJwtError::Jwt(JwtError::Type));
        assert!(verify_with(&forge, |token| token.token_type = TokenType::DangerousAny).is_ok());
    }
    let exactly = |token: &mut TokenExpectations<'_>| token.token_type = TokenType::Exactly("application/a+sd-jwt");
    assert!(verify_with(&typed("A+sd-jwt"), exactly).is_ok());
    for forge in [typed("b+sd-jwt"), untyped] {
        assert_eq!(verify_with(&forge, exactly).unwrap_err(), SdJwtError::Jwt(JwtError::Type));
    }
}

#[test]
fn critical_parameters_and_double_names_in_a_header_are_refused() {
    let mut critical = forge();
    critical.header["crit"] = json!(["exp"]);
    assert_eq!(critical.fault(), SdJwtError::Jwt(JwtError::Critical));
    let forge = forge();
    let header = r#"{"alg":"EdDSA","typ":"sd-jwt","alg":"EdDSA"}"#;
    let token = jwt(header, &forge.payload.to_string(), &issuer_key(forge.scheme));
    let error = verify(&forge.bind(&format!("{token}~")), forge.scheme).unwrap_err();
    assert_eq!(error, SdJwtError::Jwt(JwtError::Json(JsonError::DuplicateMember)));
}

#[test]
fn times_hold_with_the_leeway_and_also_when_disclosed() {
    let now = NOW.as_secs();
    // The leeway is 30 seconds; a token is valid before `exp`, and no longer at it.
    let cases = [
        ("exp", json!(now - 30), Some(ClaimError::Expired)),
        ("exp", json!(now - 29), None),
        ("exp", json!(0), Some(ClaimError::Expired)),
        ("exp", json!(-1), Some(ClaimError::Expired)),
        ("exp", json!(1e18), None),
        ("exp", json!("4102444800"), Some(ClaimError::Malformed)),
        ("exp", json!(null), Some(ClaimError::Malformed)),
        ("nbf", json!(now + 30), None),
        ("nbf", json!(now + 31), Some(ClaimError::NotYetValid)),
        ("nbf", json!(now as f64 + 30.5), Some(ClaimError::NotYetValid)),
        ("nbf", json!([now]), Some(ClaimError::Malformed)),
        ("iat", json!(now + 30), None),
        ("iat", json!(now + 31), Some(ClaimError::IssuedInFuture)),
        ("iat", json!("now"), Some(ClaimError::Malformed)),
    ];
    for (name, value, error) in cases {
        let expected = error.map_or(Ok(()), |error| Err(SdJwtError::Claim(error)));
        assert_eq!(forge().claim(name, value.clone()).verify().map(drop), expected, "{name}: {value}");
        let mut disclosed = forge();
        disclosed.payload.as_object_mut().unwrap().remove(name);
        let disclosed = disclosed.disclose(&[&json!(["s", name, value]).to_string()]);
        assert_eq!(disclosed.verify().map(drop), expected, "disclosed {name}: {value}");
    }
}

#[test]
fn a_required_claim_cannot_be_withheld() {
    let mut hidden = forge().disclose(&[&json!(["s", "exp", NOW.as_secs() + 10]).to_string()]);
    hidden.payload.as_object_mut().unwrap().remove("exp");
    assert_eq!(hidden.verify().unwrap().payload().time("exp"), Some(Timestamp::from_secs(NOW.as_secs() + 10)));
    hidden.disclosures.clear();
    assert_eq!(hidden.fault(), SdJwtError::Claim(ClaimError::Missing));
    assert!(verify_with(&hidden, |token| token.required_claims = &[]).is_ok());
}

#[test]
fn the_issuer_is_the_one_of_the_key() {
    assert_eq!(forge().claim("iss", json!("https://other.example")).fault(), SdJwtError::Claim(ClaimError::Issuer));
    assert_eq!(forge().claim("iss", json!([ISSUER])).fault(), SdJwtError::Claim(ClaimError::Malformed));
    let mut nameless = forge();
    nameless.payload.as_object_mut().unwrap().remove("iss");
    assert_eq!(nameless.fault(), SdJwtError::Claim(ClaimError::Missing));
    let any =
        [TrustedIssuer::dangerous_any_name(vec![IssuerKey::new(issuer_key(nameless.scheme).public_key()).unwrap()])];
    assert!(verify_with(&nameless, |token| token.issuers = &any).is_ok());
}

#[test]
fn a_token_for_an_audience_is_for_that_one_only() {
    for (audience, expected) in [
        (json!(AUDIENCE), Ok(())),
        (json!(["x", AUDIENCE]), Ok(())),
        (json!("x"), Err(ClaimError::Audience)),
        (json!([]), Err(ClaimError::Audience)),
        (json!(5), Err(ClaimError::Malformed)),
        (json!([AUDIENCE, 5]), Err(ClaimError::Malformed)),
    ] {
        let result = forge().claim("aud", audience.clone()).verify().map(drop);
        assert_eq!(result, expected.map_err(SdJwtError::Claim), "{audience}");
    }
}

#[test]
fn the_json_serializations_say_the_same_as_the_compact_one() {
    for scheme in SCHEMES {
        let forge = Forge::new(scheme).disclose(&[r#"["s","a",1]"#]);
        let token = forge.token();
        let (presented, kb) = token.rsplit_once('~').unwrap();
        let (jwt, disclosures) = presented.split_once('~').unwrap();
        let parts: Vec<_> = jwt.split('.').collect();
        let header = json!({"disclosures": [disclosures], "kb_jwt": kb, "kid": "a"});
        let one = json!({"protected": parts[0], "signature": parts[2], "header": header});
        let more = json!({"protected": parts[0], "signature": b64([0; 64]), "header": {"kid": "b"}});
        let mut flattened = one.clone();
        flattened["payload"] = json!(parts[1]);
        flattened["other"] = json!([{"x": 1}]);
        let parse =
            |json: &serde_json::Value| UnverifiedSdJwt::parse_json(json.to_string().as_bytes(), &Limits::default());
        let general = json!({"payload": parts[1], "signatures": [one, more]});
        // Any one of the signatures will do.
        let mut second = json!({"payload": parts[1], "signatures": [one, one]});
        second["signatures"][0]["signature"] = json!(b64([0; 64]));
        second["signatures"][1].as_object_mut().unwrap().remove("header");
        for (json, binding) in [(&flattened, true), (&general, true), (&second, false)] {
            let token = parse(json).unwrap();
            let result = expecting(scheme, |expected| token.clone().verify(expected));
            // The key binding is over the first signature.
            assert_eq!(result.is_ok(), binding, "{result:?}");
            let token = expecting(scheme, |expected| {
                token.dangerous_verify_without_key_binding(&expected.token, AUDIENCE).unwrap_err()
            });
            assert!(matches!(token, SdJwtError::KeyBinding(_)));
        }

        let wrong = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut json = general.clone();
            change(&mut json);
            parse(&json).unwrap_err()
        };
        for name in ["disclosures", "kb_jwt"] {
            let value = if name == "kb_jwt" { json!(kb) } else { json!([disclosures]) };
            assert_eq!(wrong(&|json| json["signatures"][1]["header"][name] = value.clone()), ParseError::Members);
        }
        assert_eq!(wrong(&|json| json["protected"] = json!("e30")), ParseError::Members);
        assert_eq!(wrong(&|json| json["signatures"] = json!([])), ParseError::Members);
        assert_eq!(wrong(&|json| drop(json.as_object_mut().unwrap().remove("payload"))), ParseError::Members);
        assert_eq!(wrong(&|json| json["signatures"][0]["protected"] = json!("a~b")), ParseError::Parts);
        assert_eq!(wrong(&|json| json["signatures"][0]["header"]["kb_jwt"] = json!("")), ParseError::Parts);
        assert_eq!(wrong(&|json| json["signatures"] = json!(vec![one.clone(); 5])), ParseError::TooManySignatures);
        assert_eq!(wrong(&|json| json["signatures"] = json!("x")), ParseError::Json(JsonError::Syntax));
        let twice = general.to_string().replacen('{', r#"{"payload":"e30","#, 1);
        let error = UnverifiedSdJwt::parse_json(twice.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error, ParseError::Json(JsonError::DuplicateMember));

        for (name, expected) in [("alg", JwtError::HeaderConflict), ("crit", JwtError::Critical)] {
            let mut json = flattened.clone();
            json["header"][name] = json!("x");
            let token = parse(&json).unwrap();
            let error = expecting(scheme, |expected| token.verify(expected)).unwrap_err();
            assert_eq!(error, SdJwtError::Jwt(expected));
        }
    }
}

#[test]
fn without_key_binding_only_through_its_own_door() {
    let forge = forge().disclose(&[r#"["s","a",1]"#]);
    let presented = forge.presented();
    let issuers = issuers(forge.scheme);
    let expected = TokenExpectations { leeway: Duration::ZERO, ..token_expectations(&issuers) };
    let token = UnverifiedSdJwt::parse(presented.as_bytes(), &Limits::default()).unwrap();
    let payload = token.dangerous_verify_without_key_binding(&expected, AUDIENCE).unwrap();
    assert_eq!(
        (payload.claim("a"), payload.flag("a"), payload.text("iss").as_deref()),
        (Some("1"), None, Some(ISSUER))
    );
    assert!(payload.names().any(|name| name == "a"));
    assert!(!format!("{payload:?}").contains("issuer"));
}
