//! Makes tokens of any kind, also ones that no issuer or holder would make.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use mimi_disclosure::sd_jwt::{
    Expectations, Holder, IssuerKey, Limits, SdJwtError, TokenExpectations, TokenType, TrustedIssuer, UnverifiedSdJwt,
    VerifiedSdJwt,
};
use mimi_pseudonym::{SeededEntropy, SignatureScheme, Signer, SigningKey, Timestamp};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const AUDIENCE: &str = "mimi://hub.example/r/room1";
pub const NONCE: &str = "bm9uY2U";
pub const ISSUER: &str = "https://issuer.example";
pub const SCHEMES: [SignatureScheme; 2] = [SignatureScheme::Ed25519, SignatureScheme::EcdsaP256Sha256];

pub fn key(scheme: SignatureScheme, seed: u8) -> SigningKey {
    SigningKey::generate(scheme, &mut SeededEntropy::new([seed; 32])).unwrap()
}

pub fn issuer_key(scheme: SignatureScheme) -> SigningKey {
    key(scheme, 1)
}

pub fn holder_key(scheme: SignatureScheme) -> SigningKey {
    key(scheme, 2)
}

pub fn b64(octets: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(octets)
}

pub fn sha256(text: &str) -> String {
    b64(digest(&SHA256, text.as_bytes()))
}

/// A disclosure of any JSON, and its digest.
pub fn disclosure(json: &str) -> (String, String) {
    let disclosure = b64(json);
    let digest = sha256(&disclosure);
    (disclosure, digest)
}

pub fn alg(scheme: SignatureScheme) -> &'static str {
    if scheme == SignatureScheme::Ed25519 { "EdDSA" } else { "ES256" }
}

/// A signature in the form of JWS.
pub fn signature(payload: &str, key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(payload.as_bytes()).unwrap();
    match key.public_key().scheme() {
        SignatureScheme::Ed25519 => signature,
        _ => p256::ecdsa::Signature::from_der(&signature).unwrap().to_bytes().to_vec(),
    }
}

pub fn jwt(header: &str, payload: &str, key: &SigningKey) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = b64(signature(&signed, key));
    format!("{signed}.{signature}")
}

pub fn jwk(key: &SigningKey) -> Value {
    let octets = key.public_key().as_bytes();
    match key.public_key().scheme() {
        SignatureScheme::Ed25519 => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(octets)}),
        _ => json!({"kty": "EC", "crv": "P-256", "x": b64(&octets[1..33]), "y": b64(&octets[33..])}),
    }
}

/// A presentation: the header and claims of both JWTs, and the disclosures. `Default` is accepted.
#[derive(Clone)]
pub struct Forge {
    pub scheme: SignatureScheme,
    pub header: Value,
    pub payload: Value,
    pub disclosures: Vec<String>,
    pub kb_header: Value,
    pub kb_payload: Value,
    pub kb_key: SigningKey,
}

impl Forge {
    pub fn new(scheme: SignatureScheme) -> Self {
        Self {
            scheme,
            header: json!({"alg": alg(scheme), "typ": "example+sd-jwt"}),
            payload: json!({
                "iss": ISSUER, "iat": NOW.as_secs() - 10, "exp": NOW.as_secs() + 1000,
                "cnf": {"jwk": jwk(&holder_key(scheme))},
            }),
            disclosures: Vec::new(),
            kb_header: json!({"alg": alg(scheme), "typ": "kb+jwt"}),
            kb_payload: json!({"iat": NOW.as_secs(), "aud": AUDIENCE, "nonce": NONCE}),
            kb_key: holder_key(scheme),
        }
    }

    /// Sets a top-level claim.
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.payload[name] = value;
        self
    }

    /// Adds disclosures of JSON arrays, and their digests to `_sd`.
    pub fn disclose(mut self, arrays: &[&str]) -> Self {
        let mut digests = Vec::new();
        for array in arrays {
            let (disclosure, digest) = disclosure(array);
            self.disclosures.push(disclosure);
            digests.push(digest);
        }
        self.claim("_sd", json!(digests))
    }

    /// Adds disclosures of JSON arrays without referring to them.
    pub fn attach(mut self, arrays: &[&str]) -> Self {
        self.disclosures.extend(arrays.iter().map(b64));
        self
    }

    /// What the key binding is over.
    pub fn presented(&self) -> String {
        self.presented_as(&self.payload.to_string())
    }

    pub fn presented_as(&self, payload: &str) -> String {
        let jwt = jwt(&self.header.to_string(), payload, &issuer_key(self.scheme));
        self.disclosures.iter().fold(format!("{jwt}~"), |text, disclosure| format!("{text}{disclosure}~"))
    }

    /// The whole presentation.
    pub fn token(&self) -> String {
        self.bind(&self.presented())
    }

    /// The presentation with a payload written in a way of its own.
    pub fn token_as(&self, payload: &str) -> String {
        self.bind(&self.presented_as(payload))
    }

    /// A key binding for what is presented, whatever that is. An `sd_hash` that is there already stays.
    pub fn bind(&self, presented: &str) -> String {
        let mut payload = self.kb_payload.clone();
        if payload.get("sd_hash").is_none() {
            payload["sd_hash"] = json!(sha256(presented));
        }
        let kb = jwt(&self.kb_header.to_string(), &payload.to_string(), &self.kb_key);
        format!("{presented}{kb}")
    }

    pub fn verify(&self) -> Result<VerifiedSdJwt, SdJwtError> {
        verify(&self.token(), self.scheme)
    }

    /// The error, which must be there.
    pub fn fault(&self) -> SdJwtError {
        self.verify().unwrap_err()
    }

    /// The claims that are not registered ones.
    pub fn claims(&self) -> Value {
        rest(self.verify().unwrap().payload().json())
    }
}

/// What is left of the claims without those that every forged token has.
pub fn rest(json: &str) -> Value {
    let mut claims: Value = serde_json::from_str(json).unwrap();
    let object = claims.as_object_mut().unwrap();
    ["iss", "iat", "exp", "cnf"].iter().for_each(|name| drop(object.remove(*name)));
    claims
}

pub fn issuers(scheme: SignatureScheme) -> Vec<TrustedIssuer> {
    let key = IssuerKey::new(issuer_key(scheme).public_key()).unwrap();
    vec![TrustedIssuer::new(ISSUER, vec![key])]
}

pub fn token_expectations(issuers: &[TrustedIssuer]) -> TokenExpectations<'_> {
    TokenExpectations {
        issuers,
        token_type: TokenType::AnySdJwt,
        required_claims: &["exp"],
        now: NOW,
        leeway: Duration::from_secs(30),
    }
}

/// Calls back with what is expected of a forged presentation.
pub fn expecting<T>(scheme: SignatureScheme, call: impl FnOnce(&Expectations<'_>) -> T) -> T {
    let holder = holder_key(scheme);
    call(&Expectations {
        token: token_expectations(&issuers(scheme)),
        audience: AUDIENCE,
        nonce: NONCE,
        holder: Holder::Key(holder.public_key()),
        max_age: Duration::from_secs(300),
    })
}

pub fn verify(token: &str, scheme: SignatureScheme) -> Result<VerifiedSdJwt, SdJwtError> {
    let token = UnverifiedSdJwt::parse(token.as_bytes(), &Limits::default()).unwrap();
    expecting(scheme, |expected| token.verify(expected))
}
