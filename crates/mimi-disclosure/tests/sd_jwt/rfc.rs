//! The examples of RFC 9901, each to its verified contents.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use mimi_disclosure::sd_jwt::{
    Expectations, HeldSdJwt, HoldError, Holder, IssuerKey, KeyBindingError, Limits, SdJwtError, TokenExpectations,
    TokenType, TrustedIssuer, UnverifiedSdJwt,
};
use mimi_pseudonym::{PublicKey, SignatureScheme, Timestamp};
use serde_json::Value;

const NOW: Timestamp = Timestamp::from_secs(1_795_475_700);
const AUDIENCE: &str = "https://verifier.example.org";
const NONCE: &str = "1234567890";
const ISSUER_KEY: [&str; 2] =
    ["b28d4MwZMjw8-00CG4xfnn9SLMVMM19SlqZpVb_uNtQ", "Xv5zWwuoaTgdS6hV43yI6gBwTnjukmFQQnJ_kCxzqk8"];
const SECOND_ISSUER_KEY: [&str; 2] =
    ["bN-hp3IN0GZB3OlaQnHDPhY4nZsZbQyo4wY-y1NWCvA", "vaSsH5jt9zt3aQvTvrSaFYLyjPG9Ug-2vntoNXlCbVU"];
const HOLDER_KEY: [&str; 2] =
    ["TCAER19Zvu3OHF4j4W4vfSVoHIP1ILilDls7vCeGemc", "ZxjiWWbZMQGHVWKVQ4hbSIirsVfuecCE6t4jT9F2HZQ"];

fn key([x, y]: [&str; 2]) -> PublicKey {
    let decode = |text| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
    PublicKey::new(SignatureScheme::EcdsaP256Sha256, &[vec![4], decode(x), decode(y)].concat()).unwrap()
}

fn issuers(point: [&str; 2]) -> [TrustedIssuer; 1] {
    [TrustedIssuer::dangerous_any_name(vec![IssuerKey::new(&key(point)).unwrap()])]
}

fn expected(issuers: &[TrustedIssuer]) -> TokenExpectations<'_> {
    TokenExpectations {
        issuers,
        token_type: TokenType::AnySdJwt,
        required_claims: &[],
        now: NOW,
        leeway: Duration::ZERO,
    }
}

fn bound<'a>(issuers: &'a [TrustedIssuer], holder: Holder<'a>) -> Expectations<'a> {
    let max_age = Duration::from_secs(600);
    Expectations { token: expected(issuers), audience: AUDIENCE, nonce: NONCE, holder, max_age }
}

fn examples() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sd-jwt/rfc9901");
    let examples: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(examples.len(), 15);
    examples
}

/// The texts are broken into lines, also inside strings.
fn read(path: PathBuf) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.split_whitespace().collect())
}

fn token(example: &std::path::Path, name: &str) -> UnverifiedSdJwt<'static> {
    match read(example.join(format!("{name}.txt"))) {
        Some(text) => UnverifiedSdJwt::parse(text.as_bytes(), &Limits::default()).unwrap().into_owned(),
        None => {
            let text = read(example.join(format!("{name}.json"))).unwrap();
            UnverifiedSdJwt::parse_json(text.as_bytes(), &Limits::default()).unwrap()
        }
    }
}

#[test]
fn every_presentation_gives_its_verified_contents() {
    let issuers = issuers(ISSUER_KEY);
    let mut with_binding = 0;
    for example in examples() {
        let contents = fs::read_to_string(example.join("verified_contents.json")).unwrap();
        let contents: Value = serde_json::from_str(&contents).unwrap();
        let token = token(&example, "sd_jwt_presentation");
        let payload = if token.has_key_binding() {
            with_binding += 1;
            let verified = token.clone().verify(&bound(&issuers, Holder::AnyNamed)).unwrap();
            assert_eq!(*verified.holder(), key(HOLDER_KEY));
            assert_eq!(verified.bound_at(), Timestamp::from_secs(1_795_475_607));
            // Without looking at the binding it is refused.
            let error = token.dangerous_verify_without_key_binding(&expected(&issuers), AUDIENCE).unwrap_err();
            assert_eq!(error, SdJwtError::KeyBinding(KeyBindingError::Unexpected));
            verified.payload().clone()
        } else {
            let error = token.clone().verify(&bound(&issuers, Holder::AnyNamed)).unwrap_err();
            assert_eq!(error, SdJwtError::KeyBinding(KeyBindingError::Missing));
            token.dangerous_verify_without_key_binding(&expected(&issuers), AUDIENCE).unwrap()
        };
        assert_eq!(serde_json::from_str::<Value>(payload.json()).unwrap(), contents, "{}", example.display());
    }
    assert_eq!(with_binding, 6);
}

#[test]
fn every_issued_token_verifies_with_all_its_disclosures() {
    let issuers = issuers(ISSUER_KEY);
    for example in examples() {
        let token = token(&example, "sd_jwt_issuance");
        let count = token.disclosure_count();
        match HeldSdJwt::new(token, &expected(&issuers), &key(HOLDER_KEY)) {
            Ok(held) => assert_eq!(held.pointers().count(), count),
            // Some examples are not bound to a key, and one is bound to an RSA key.
            Err(HoldError::Key(KeyBindingError::NoConfirmationKey | KeyBindingError::ConfirmationKey)) => {}
            Err(error) => panic!("{}: {error}", example.display()),
        }
    }
}

#[test]
fn any_signature_of_the_general_serialization_will_do() {
    let example = examples().into_iter().find(|path| path.ends_with("json_serialization_general")).unwrap();
    for issuer in [ISSUER_KEY, SECOND_ISSUER_KEY] {
        let token = token(&example, "sd_jwt_presentation");
        let verified = token.verify(&bound(&issuers(issuer), Holder::Key(&key(HOLDER_KEY)))).unwrap();
        assert_eq!(verified.payload().text("given_name").as_deref(), Some("John"));
    }
    let token = token(&example, "sd_jwt_presentation");
    let error = token.verify(&bound(&issuers(HOLDER_KEY), Holder::AnyNamed)).unwrap_err();
    assert_eq!(error, SdJwtError::Jwt(mimi_disclosure::sd_jwt::JwtError::Signature));
}
