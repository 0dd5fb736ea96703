//! What an attacker would send.

use std::time::Instant;

use mimi_disclosure::sd_jwt::{
    DisclosureError, Holder, IssuerKey, JsonError, JwtError, KeyBindingError, Limits, ParseError, SdJwtError,
    UnverifiedSdJwt,
};
use mimi_pseudonym::{KeyError, PublicKey, SignatureScheme, Signer};
use p256::elliptic_curve::ff::PrimeField;
use proptest::prelude::*;
use serde_json::json;

use crate::forge::{Forge, SCHEMES, b64, disclosure, expecting, issuer_key, jwt, sha256, signature, verify};

fn forge() -> Forge {
    Forge::new(SCHEMES[0])
}

fn parse(token: &str) -> Result<(), ParseError> {
    UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).map(drop)
}

#[test]
fn what_is_too_large_is_not_even_read() {
    let ten_megabytes = "A".repeat(10_000_000);
    assert_eq!(parse(&ten_megabytes), Err(ParseError::TooLong));
    let json = UnverifiedSdJwt::parse_json(ten_megabytes.as_bytes(), &Limits::default());
    assert_eq!(json.unwrap_err(), ParseError::TooLong);
    let many = format!("a.b.c~{}", "x~".repeat(1001));
    assert_eq!(parse(&many), Err(ParseError::TooManyDisclosures));
    assert_eq!(parse(&format!("a.b.c~{}", "x~".repeat(1000))), Ok(()));
    let json = json!({"payload": "b", "protected": "a", "signature": "c", "header": {"disclosures": vec!["x"; 1001]}});
    let error = UnverifiedSdJwt::parse_json(json.to_string().as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(error, ParseError::TooManyDisclosures);
}

#[test]
fn the_parts_are_those_of_an_sd_jwt() {
    for token in
        ["", "~", "a.b.c", "a.b~", "a.b.c.d~", ".b.c~", "a..c~", "a.b.c~~", "a.b.c~x~~", "a.b.c~x", "a.b.c~a.b"]
    {
        assert_eq!(parse(token), Err(ParseError::Parts), "{token}");
    }
    assert_eq!(UnverifiedSdJwt::parse(b"a.b.c~\xff~", &Limits::default()).unwrap_err(), ParseError::Parts);
    let token = UnverifiedSdJwt::parse(b"a.b.c~x~y~a.b.c", &Limits::default()).unwrap();
    assert_eq!((token.disclosure_count(), token.has_key_binding()), (2, true));
    assert!(!format!("{token:?}").contains("a.b.c"));
}

#[test]
fn nesting_is_bounded_everywhere() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let too_deep = SdJwtError::Disclosure(DisclosureError::Json(JsonError::TooDeep));
    let nested = |value: String| {
        let forge = forge();
        let payload = forge.payload.to_string().replacen('{', &format!("{{\"x\":{value},"), 1);
        verify(&forge.token_as(&payload), forge.scheme).map(drop)
    };
    // The payload itself is one of 16.
    assert_eq!(nested(deep(15)), Ok(()));
    for depth in [16, 1000, 30_000] {
        assert_eq!(nested(deep(depth)), Err(too_deep));
        assert_eq!(forge().disclose(&[&format!(r#"["s","x",{}]"#, deep(depth))]).fault(), too_deep);
        let header = format!(r#"{{"alg":"EdDSA","typ":"sd-jwt","x":{}}}"#, deep(depth));
        let token = jwt(&header, "{}", &issuer_key(SCHEMES[0]));
        let error = verify(&forge().bind(&format!("{token}~")), SCHEMES[0]).unwrap_err();
        assert_eq!(error, SdJwtError::Jwt(JwtError::Json(JsonError::TooDeep)));
        let json = format!("{{\"x\":{}}}", deep(depth));
        let error = UnverifiedSdJwt::parse_json(json.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error, ParseError::Json(JsonError::TooDeep));
    }
    // Disclosures inside disclosures count as they stand, and no limit is above 128.
    let chain = |length: usize| {
        let mut disclosures = Vec::new();
        let mut inner = sha256("end");
        for _ in 0..length {
            let (shown, digest) = disclosure(&format!(r#"["s","x",{{"_sd":["{inner}"]}}]"#));
            disclosures.push(shown);
            inner = digest;
        }
        Forge { disclosures, ..forge().claim("_sd", json!([inner])) }
    };
    assert!(chain(15).verify().is_ok());
    assert_eq!(chain(16).fault(), too_deep);
    let token = chain(200).token();
    let mut limits = Limits::default();
    limits.depth = usize::MAX;
    let token = UnverifiedSdJwt::parse(token.as_bytes(), &limits).unwrap();
    assert_eq!(expecting(SCHEMES[0], |expected| token.verify(expected)).unwrap_err(), too_deep);
}

#[test]
fn double_names_in_the_payload_are_refused_also_when_escaped() {
    let forge = forge();
    for double in [r#""x":1,"x":1"#, r#""x":1,"\u0078":1"#, r#""y":{"x":1,"x":2}"#, r#""_sd":[],"_sd":[]"#] {
        let payload = forge.payload.to_string().replacen('{', &format!("{{{double},"), 1);
        let error = verify(&forge.token_as(&payload), forge.scheme).unwrap_err();
        let expected = DisclosureError::Json(JsonError::DuplicateMember);
        assert_eq!(error, SdJwtError::Disclosure(expected), "{double}");
    }
}

#[test]
fn json_is_strict() {
    let bad = [
        "01",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "-",
        "0x1",
        "NaN",
        "Infinity",
        "True",
        "nul",
        "'a'",
        "\"a",
        "\"\t\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\ud800\"",
        "\"\\udc00\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "[",
        "{",
        "]",
        "",
        "/**/1",
        "\u{feff}1",
        "\u{a0}1",
        "\"\\u00e\u{e9}\"",
    ];
    for value in bad {
        let error = forge().disclose(&[&format!(r#"["s","x",{value}]"#)]).fault();
        let expected = SdJwtError::Disclosure(DisclosureError::Json(JsonError::Syntax));
        assert_eq!(error, expected, "{value}");
    }
    let good = [
        "0",
        "-0",
        "-1.5e-3",
        "1E+2",
        "\"\\ud83d\\ude00\\n\\/\\\"\"",
        "\"M\u{f6}bius 0123456789\"",
        "{}",
        "[[]]",
        "\r\n\t null ",
    ];
    for value in good {
        let forge = forge().disclose(&[&format!(r#"["s","x",{value}]"#)]);
        assert_eq!(forge.claims()["x"], serde_json::from_str::<serde_json::Value>(value).unwrap(), "{value}");
    }
}

#[test]
fn what_is_no_utf8_is_refused_also_when_two_disclosures_complete_it() {
    let not_utf8 = SdJwtError::Disclosure(DisclosureError::Json(JsonError::NotUtf8));
    let with = |pieces: &[&[u8]]| {
        let disclosures: Vec<_> = pieces.iter().map(b64).collect();
        let digests: Vec<_> = disclosures.iter().map(|text| sha256(text)).collect();
        Forge { disclosures, ..forge().claim("_sd", json!(digests)) }.fault()
    };
    assert_eq!(with(&[b"[\"s\",\"x\",\"\xff\"]"]), not_utf8);
    assert_eq!(with(&[b"[\"s\",\"x\",\"\xed\xa0\x80\"]"]), not_utf8);
    assert_eq!(with(&[b"[\"s\",\"x\",1]\xc3", b"\xb6[\"s\",\"y\",1]"]), not_utf8);
    let forge = forge();
    let token = format!("{}.{}", b64(forge.header.to_string()), b64(b"{\"iss\":\"\xff\"}"));
    let token = format!("{token}.{}~", b64(signature(&token, &issuer_key(forge.scheme))));
    let error = verify(&forge.bind(&token), forge.scheme).unwrap_err();
    assert_eq!(error, SdJwtError::Jwt(JwtError::Json(JsonError::NotUtf8)));
}

#[test]
fn base64url_is_canonical_in_every_part() {
    let forge = forge().disclose(&[r#"["s","x",12]"#]);
    let shown = &forge.disclosures[0];
    // The same octets, written in other ways, with digests that fit.
    for other in [format!("{shown}="), shown.replacen('_', "/", 1) + "+", format!("{shown}A"), format!(" {shown}")] {
        let digest = sha256(&other);
        let forge = Forge { disclosures: vec![other.clone()], ..forge.clone() }.claim("_sd", json!([digest]));
        assert_eq!(forge.fault(), SdJwtError::Disclosure(DisclosureError::Base64), "{other}");
    }
    // A signature of 64 octets leaves four bits of the last letter, which are zero.
    let token = forge.token();
    let (before, after) = token.split_once('~').unwrap();
    let (before, last) = before.split_at(before.len() - 1);
    let other = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        "w" => "x",
        other => panic!("{other}"),
    };
    let error = verify(&format!("{before}{other}~{after}"), forge.scheme).unwrap_err();
    assert_eq!(error, SdJwtError::Jwt(JwtError::Base64));
}

#[test]
fn the_public_key_is_no_secret_for_hmac() {
    for scheme in SCHEMES {
        let forge = Forge::new(scheme);
        let header = json!({"alg": "HS256", "typ": "sd-jwt"}).to_string();
        let signed = format!("{}.{}", b64(header), b64(forge.payload.to_string()));
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, issuer_key(scheme).public_key().as_bytes());
        let token = format!("{signed}.{}~", b64(ring::hmac::sign(&secret, signed.as_bytes())));
        assert_eq!(verify(&forge.bind(&token), scheme).unwrap_err(), SdJwtError::Jwt(JwtError::Algorithm));
    }
}

#[test]
fn keys_of_small_order_are_no_keys() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for weak in [identity, [0; 32]] {
        assert_eq!(PublicKey::new(SignatureScheme::Ed25519, &weak), Err(KeyError::Point));
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(weak)});
        let token = forge().claim("cnf", json!({"jwk": jwk})).token();
        let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
        let error = expecting(SCHEMES[0], |expected| {
            token.verify(&mimi_disclosure::sd_jwt::Expectations { holder: Holder::AnyNamed, ..*expected })
        });
        assert_eq!(error.unwrap_err(), SdJwtError::KeyBinding(KeyBindingError::ConfirmationKey));
    }
    assert!(IssuerKey::p384(&[0; 97]).is_err());
}

/// The order of the base point of Ed25519, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[test]
fn a_signature_has_one_form() {
    let replace = |forge: &Forge, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let presented = forge.presented();
        let (signed, _) = presented.trim_end_matches('~').rsplit_once('.').unwrap();
        let octets = signature(signed, &issuer_key(forge.scheme));
        let token = forge.bind(&format!("{signed}.{}~", b64(change(octets))));
        verify(&token, forge.scheme).map(drop)
    };
    let refused = Err(SdJwtError::Jwt(JwtError::Signature));
    let ed25519 = forge();
    assert_eq!(replace(&ed25519, &|octets| octets), Ok(()));
    // s + order: the same scalar, written otherwise.
    let add_order = |mut octets: Vec<u8>| {
        let mut carry = 0;
        for (octet, order) in octets[32..].iter_mut().zip(ED25519_ORDER) {
            let sum = u16::from(*octet) + u16::from(order) + carry;
            *octet = sum as u8;
            carry = sum >> 8;
        }
        octets
    };
    assert_eq!(replace(&ed25519, &add_order), refused);
    let p256 = Forge::new(SCHEMES[1]);
    let order = p256::Scalar::from(0u64) - p256::Scalar::from(1u64);
    let order: Vec<u8> = order.to_repr().iter().copied().collect();
    for forge in [&ed25519, &p256] {
        assert_eq!(replace(forge, &|octets| octets[1..].to_vec()), refused);
        assert_eq!(replace(forge, &|octets| [octets, vec![0]].concat()), refused);
        assert_eq!(replace(forge, &|_| vec![0; 64]), refused);
    }
    // Zero, out of range, and DER, which is what other protocols have.
    assert_eq!(replace(&p256, &|octets| [vec![0; 32], octets[32..].to_vec()].concat()), refused);
    assert_eq!(replace(&p256, &|octets| [octets[..32].to_vec(), vec![0xff; 32]].concat()), refused);
    assert_eq!(replace(&p256, &|octets| [order.clone(), octets[32..].to_vec()].concat()), refused);
    // n - s is as good as s, by definition of the algorithm: nothing may hinge on a token's octets.
    let negated = |octets: Vec<u8>| {
        let s: [u8; 32] = octets[32..].try_into().unwrap();
        let s = p256::Scalar::from_repr(s.into()).unwrap();
        [octets[..32].to_vec(), (-s).to_repr().to_vec()].concat()
    };
    assert_eq!(replace(&p256, &negated), Ok(()));
    let der = |octets: Vec<u8>| p256::ecdsa::Signature::from_slice(&octets).unwrap().to_der().as_bytes().to_vec();
    assert_eq!(replace(&p256, &der), refused);
}

#[test]
fn ten_times_the_digests_take_no_more_than_some_ten_times_the_time() {
    // Digests that begin alike, none with a disclosure: a hash table without a key would take the square.
    let time = |count: usize| {
        let digests: Vec<_> = (0..count).map(|index| format!("AAAAAAAA{index:035}")).collect();
        let token = forge().claim("_sd", json!(digests)).token();
        let mut limits = Limits::default();
        limits.length = 1 << 22;
        (0..3)
            .map(|_| {
                let start = Instant::now();
                let token = UnverifiedSdJwt::parse(token.as_bytes(), &limits).unwrap();
                expecting(SCHEMES[0], |expected| token.verify(expected)).unwrap();
                start.elapsed()
            })
            .min()
            .unwrap()
    };
    assert!(time(20_000) < time(2_000) * 40);
}

proptest! {
    #[test]
    fn any_octets_are_read_without_a_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = UnverifiedSdJwt::parse(&octets, &Limits::default());
        let _ = UnverifiedSdJwt::parse_json(&octets, &Limits::default());
    }

    #[test]
    fn any_payload_and_disclosure_are_processed_without_a_panic(
        payload in r#"[{}\[\]:,"a_sdlg. \\u0-9]{0,40}"#,
        array in r#"[{}\[\]:,"a_sdlg. \\u0-9]{1,40}"#,
    ) {
        let forge = forge().disclose(&[&array]);
        let _ = forge.verify();
        let payload = forge.payload.to_string().replacen('{', &format!("{{{payload},"), 1);
        let _ = verify(&forge.token_as(&payload), forge.scheme);
    }

    /// Every changed letter is noticed.
    #[test]
    fn no_letter_can_be_changed(at in any::<prop::sample::Index>(), letter in "[A-Za-z0-9_.~-]", second in any::<bool>()) {
        let forge = Forge::new(SCHEMES[usize::from(second)]).disclose(&[r#"["s","x",{"y":[1,2]}]"#]);
        let token = forge.token();
        let at = at.index(token.len());
        let changed = format!("{}{letter}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        let accepted = UnverifiedSdJwt::parse(changed.as_bytes(), &Limits::default())
            .is_ok_and(|token| expecting(forge.scheme, |expected| token.verify(expected)).is_ok());
        prop_assert!(!accepted);
    }
}
