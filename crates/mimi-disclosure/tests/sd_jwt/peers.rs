//! Tokens of `sd-jwt-rs` and `sd-jwt-payload`, and ours in their hands. What they accept beyond RFC 9901 is their own
//! matter: here it is shown that the formats are the same.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use jsonwebtoken::{DecodingKey, EncodingKey, jwk::Jwk};
use mimi_disclosure::sd_jwt::{
    Array, Expectations, HeldSdJwt, Holder, Issuer, IssuerKey, Limits, Object, TokenExpectations, TokenType,
    TrustedIssuer, UnverifiedSdJwt,
};
use mimi_pseudonym::{PublicKey, SeededEntropy, SignatureScheme, Signer, SigningKey, Timestamp};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use sd_jwt_payload::{Hasher, JwsSigner, KeyBindingJwt, RequiredKeyBinding, SdJwt, SdJwtBuilder, Sha256Hasher};
use sd_jwt_rs::{
    ClaimsForSelectiveDisclosureStrategy, SDJWTHolder, SDJWTIssuer, SDJWTSerializationFormat, SDJWTVerifier,
};
use serde_json::{Value, json};

use crate::forge::{
    AUDIENCE, ISSUER, NONCE, NOW, SCHEMES, alg, b64, holder_key, issuer_key, issuers, jwk, rest, signature,
    token_expectations, verify,
};

fn user_claims() -> Value {
    json!({
        "iss": ISSUER, "exp": 4_102_444_800_u64, "name": "Alice", "nationalities": ["DE", "FR"],
        "address": {"country": "NL", "street": "x"},
    })
}

/// The same claims, hidden.
fn ours(scheme: SignatureScheme) -> String {
    let claims = Object::new()
        .plain("iss", ISSUER)
        .plain("exp", 4_102_444_800)
        .hidden("name", "Alice")
        .hidden("address", Object::new().plain("country", "NL").hidden("street", "x").decoys(1))
        .plain("nationalities", Array::new().hidden("DE").hidden("FR").decoy());
    let (signer, holder) = (issuer_key(scheme), holder_key(scheme));
    let issuer = Issuer::new(&signer, "example+sd-jwt");
    issuer.issue(&claims, holder.public_key(), &mut SeededEntropy::new([4; 32])).unwrap()
}

fn present(token: &str, scheme: SignatureScheme) -> String {
    let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
    let holder = holder_key(scheme);
    let held = HeldSdJwt::new(token, &token_expectations(&issuers(scheme)), holder.public_key()).unwrap();
    let pointers: Vec<_> = held.pointers().collect();
    held.present(&pointers, AUDIENCE, NONCE, NOW, &holder).unwrap()
}

fn decoding_key(key: &PublicKey) -> DecodingKey {
    match key.scheme() {
        SignatureScheme::Ed25519 => DecodingKey::from_ed_der(key.as_bytes()),
        _ => DecodingKey::from_ec_der(key.as_bytes()),
    }
}

#[test]
fn sd_jwt_rs_reads_what_we_issue_and_present() {
    for scheme in SCHEMES {
        let key = issuer_key(scheme).public_key().clone();
        let verifier = SDJWTVerifier::new(
            present(&ours(scheme), scheme),
            Box::new(move |_, _| decoding_key(&key)),
            Some(AUDIENCE.to_owned()),
            Some(NONCE.to_owned()),
            SDJWTSerializationFormat::Compact,
        );
        let claims = verifier.unwrap().verified_claims;
        assert_eq!(rest(&claims.to_string()), rest(&user_claims().to_string()));
    }
}

/// A key in PKCS #8, and the same as a public key.
fn pkcs8(scheme: SignatureScheme) -> (EncodingKey, PublicKey) {
    let random = SystemRandom::new();
    match scheme {
        SignatureScheme::Ed25519 => {
            let der = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
            let public = PublicKey::new(scheme, pair.public_key().as_ref()).unwrap();
            (EncodingKey::from_ed_der(der.as_ref()), public)
        }
        _ => {
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
            let public = PublicKey::new(scheme, pair.public_key().as_ref()).unwrap();
            (EncodingKey::from_ec_der(der.as_ref()), public)
        }
    }
}

fn public_jwk(key: &PublicKey) -> Jwk {
    let octets = key.as_bytes();
    let jwk = match key.scheme() {
        SignatureScheme::Ed25519 => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(octets)}),
        _ => json!({"kty": "EC", "crv": "P-256", "x": b64(&octets[1..33]), "y": b64(&octets[33..])}),
    };
    serde_json::from_value(jwk).unwrap()
}

#[test]
fn we_read_what_sd_jwt_rs_issues_and_presents() {
    for scheme in SCHEMES {
        let ((issuer, issuer_public), (holder, holder_public)) = (pkcs8(scheme), pkcs8(scheme));
        let strategy = ClaimsForSelectiveDisclosureStrategy::AllLevels;
        let issued = SDJWTIssuer::new(issuer, Some(alg(scheme).to_owned())).issue_sd_jwt(
            user_claims(),
            strategy,
            Some(public_jwk(&holder_public)),
            true,
            SDJWTSerializationFormat::Compact,
        );
        let mut held = SDJWTHolder::new(issued.unwrap(), SDJWTSerializationFormat::Compact).unwrap();
        let shown = json!({"name": true, "nationalities": [true, false], "address": {"street": true}});
        let token = held.create_presentation(
            shown.as_object().unwrap().clone(),
            Some(NONCE.to_owned()),
            Some(AUDIENCE.to_owned()),
            Some(holder),
            Some(alg(scheme).to_owned()),
        );
        let issuers = [TrustedIssuer::new(ISSUER, vec![IssuerKey::new(&issuer_public).unwrap()])];
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let expected = Expectations {
            token: TokenExpectations {
                issuers: &issuers,
                // It writes no type.
                token_type: TokenType::DangerousAny,
                required_claims: &["exp"],
                now: Timestamp::from_secs(since.as_secs()),
                leeway: Duration::from_secs(5),
            },
            audience: AUDIENCE,
            nonce: NONCE,
            holder: Holder::Key(&holder_public),
            max_age: Duration::from_secs(60),
        };
        let token = token.unwrap();
        let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
        let claims = rest(token.verify(&expected).unwrap().payload().json());
        assert_eq!(claims, json!({"name": "Alice", "nationalities": ["DE"], "address": {"street": "x"}}));
    }
}

#[test]
fn sd_jwt_payload_reads_what_we_issue_and_present() {
    for scheme in SCHEMES {
        let token = present(&ours(scheme), scheme);
        let parsed = SdJwt::parse(&token).unwrap();
        let hasher = Sha256Hasher::new();
        let binding = parsed.key_binding_jwt().unwrap().claims().clone();
        assert_eq!((binding.aud.as_str(), binding.nonce.as_str()), (AUDIENCE, NONCE));
        assert_eq!(binding.sd_hash, hasher.encoded_digest(&token[..=token.rfind('~').unwrap()]));
        let claims = Value::Object(parsed.into_disclosed_object(&hasher).unwrap());
        assert_eq!(rest(&claims.to_string()), rest(&user_claims().to_string()));
    }
}

struct Jws(SigningKey);

#[async_trait]
impl JwsSigner for Jws {
    type Error = String;

    async fn sign(
        &self,
        header: &sd_jwt_payload::JsonObject,
        payload: &sd_jwt_payload::JsonObject,
    ) -> Result<Vec<u8>, String> {
        let json = |object: &sd_jwt_payload::JsonObject| b64(serde_json::to_string(object).unwrap());
        let signed = format!("{}.{}", json(header), json(payload));
        let signature = b64(signature(&signed, &self.0));
        Ok(format!("{signed}.{signature}").into_bytes())
    }
}

/// Nothing here waits for anything.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn we_read_what_sd_jwt_payload_issues_and_presents() {
    for scheme in SCHEMES {
        let holder = jwk(&holder_key(scheme)).as_object().unwrap().clone();
        let builder = SdJwtBuilder::new(user_claims())
            .and_then(|builder| builder.make_concealable("/address/street"))
            .and_then(|builder| builder.make_concealable("/address"))
            .and_then(|builder| builder.make_concealable("/nationalities/1"))
            .and_then(|builder| builder.make_concealable("/name"))
            .and_then(|builder| builder.add_decoys("", 2))
            .unwrap();
        let builder = builder.require_key_binding(RequiredKeyBinding::Jwk(holder));
        let issued = now(builder.finish(&Jws(issuer_key(scheme)), alg(scheme))).unwrap();
        let hasher = Sha256Hasher::new();
        let (mut shown, hidden) = issued.into_presentation(&hasher).unwrap().conceal("/name").unwrap().finish();
        assert_eq!(hidden.len(), 1);
        let binding = KeyBindingJwt::builder().iat(NOW.as_secs() as i64).aud(AUDIENCE).nonce(NONCE);
        let binding = now(binding.finish(&shown, &hasher, alg(scheme), &Jws(holder_key(scheme)))).unwrap();
        shown.attach_key_binding_jwt(binding);
        let verified = verify(&shown.presentation(), scheme).unwrap();
        let expected = json!({"nationalities": ["DE", "FR"], "address": {"country": "NL", "street": "x"}});
        assert_eq!(rest(verified.payload().json()), expected);
    }
}
