//! Verification of an SD-JWT with its key binding, all claims disclosed, against the two signature checks in it by the
//! same back end, and against `sd-jwt-rs` and `sd-jwt-payload` on the same tokens. `sd-jwt-payload` checks no
//! signatures, so the same two checks are added to it.
//!
//! After the measurements of criterion comes a table, for which they are measured in turns, so that a busy machine
//! changes the ratios little.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use criterion::{BenchmarkId, Criterion};
use jsonwebtoken::DecodingKey;
use mimi_disclosure::sd_jwt::{
    Expectations, HeldSdJwt, Holder, Issuer, IssuerKey, Limits, Object, TokenExpectations, TokenType, TrustedIssuer,
    UnverifiedSdJwt,
};
use mimi_pseudonym::{SeededEntropy, SignatureScheme, Signer, SigningKey, Timestamp};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use sd_jwt_payload::{Hasher, SdJwt, Sha256Hasher};
use sd_jwt_rs::{SDJWTSerializationFormat, SDJWTVerifier};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const AUDIENCE: &str = "mimi://hub.example/r/room1";
const NONCE: &str = "u3oX0m4kQk2m1y7m4C8m2w";
const CLAIMS: [usize; 4] = [10, 100, 300, 900];
const SCHEMES: [(SignatureScheme, &str); 2] =
    [(SignatureScheme::Ed25519, "EdDSA"), (SignatureScheme::EcdsaP256Sha256, "ES256")];

struct Case {
    scheme: SignatureScheme,
    issuer: SigningKey,
    holder: SigningKey,
    issuers: [TrustedIssuer; 1],
    token: String,
    /// What was signed, the key and the signature, of the issuer and of the holder.
    signatures: [(Vec<u8>, Vec<u8>, Vec<u8>); 2],
}

impl Case {
    fn new(scheme: SignatureScheme, count: usize) -> Self {
        let mut entropy = SeededEntropy::new([7; 32]);
        let issuer = SigningKey::generate(scheme, &mut entropy).unwrap();
        let holder = SigningKey::generate(scheme, &mut entropy).unwrap();
        let mut claims = Object::new().plain("iss", "https://issuer.example").plain("exp", 4_102_444_800);
        for index in 0..count {
            claims = claims.hidden(&format!("claim_{index:03}"), format!("value {index}"));
        }
        let issued = Issuer::new(&issuer, "example+sd-jwt").issue(&claims, holder.public_key(), &mut entropy).unwrap();
        let key = IssuerKey::new(issuer.public_key()).unwrap();
        let issuers = [TrustedIssuer::new("https://issuer.example", vec![key])];
        let token = UnverifiedSdJwt::parse(issued.as_bytes(), &Limits::default()).unwrap();
        let held = HeldSdJwt::new(token, &expected(&issuers), holder.public_key()).unwrap();
        let pointers: Vec<_> = held.pointers().collect();
        let token = held.present(&pointers, AUDIENCE, NONCE, NOW, &holder).unwrap();
        let parts = |jwt: &str, key: &SigningKey| {
            let (signed, signature) = jwt.rsplit_once('.').unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            (signed.as_bytes().to_vec(), key.public_key().as_bytes().to_vec(), signature)
        };
        let signatures =
            [parts(token.split('~').next().unwrap(), &issuer), parts(token.rsplit('~').next().unwrap(), &holder)];
        Self { scheme, issuer, holder, issuers, token, signatures }
    }

    fn signatures(&self) {
        let algorithm: &'static dyn VerificationAlgorithm =
            if self.scheme == SignatureScheme::Ed25519 { &ED25519 } else { &ECDSA_P256_SHA256_FIXED };
        for (signed, key, signature) in &self.signatures {
            UnparsedPublicKey::new(algorithm, key).verify(black_box(signed), signature).unwrap();
        }
    }

    fn ours(&self) -> usize {
        let expected = Expectations {
            token: expected(&self.issuers),
            audience: AUDIENCE,
            nonce: NONCE,
            holder: Holder::Key(self.holder.public_key()),
            max_age: Duration::from_secs(300),
        };
        let token = UnverifiedSdJwt::parse(black_box(self.token.as_bytes()), &Limits::default()).unwrap();
        token.verify(&expected).unwrap().payload().json().len()
    }

    fn sd_jwt_rs(&self) -> usize {
        let (key, scheme) = (self.issuer.public_key().as_bytes().to_vec(), self.scheme);
        let resolve = move |_: &str, _: &_| match scheme {
            SignatureScheme::Ed25519 => DecodingKey::from_ed_der(&key),
            _ => DecodingKey::from_ec_der(&key),
        };
        let verifier = SDJWTVerifier::new(
            black_box(self.token.clone()),
            Box::new(resolve),
            Some(AUDIENCE.to_owned()),
            Some(NONCE.to_owned()),
            SDJWTSerializationFormat::Compact,
        );
        verifier.unwrap().verified_claims.as_object().unwrap().len()
    }

    fn sd_jwt_payload(&self) -> usize {
        self.signatures();
        let hasher = Sha256Hasher::new();
        let token = SdJwt::parse(black_box(&self.token)).unwrap();
        let presented = &self.token[..=self.token.rfind('~').unwrap()];
        assert_eq!(token.key_binding_jwt().unwrap().claims().sd_hash, hasher.encoded_digest(presented));
        token.into_disclosed_object(&hasher).unwrap().len()
    }
}

fn expected(issuers: &[TrustedIssuer]) -> TokenExpectations<'_> {
    TokenExpectations {
        issuers,
        token_type: TokenType::AnySdJwt,
        required_claims: &["exp"],
        now: NOW,
        leeway: Duration::ZERO,
    }
}

fn criterion(criterion: &mut Criterion) {
    for (scheme, name) in SCHEMES {
        let mut group = criterion.benchmark_group(format!("sd-jwt/{name}"));
        for count in CLAIMS {
            let case = Case::new(scheme, count);
            let id = |who| BenchmarkId::new(who, count);
            group.bench_function(id("two signatures"), |b| b.iter(|| case.signatures()));
            group.bench_function(id("mimi-disclosure"), |b| b.iter(|| case.ours()));
            group.bench_function(id("sd-jwt-payload"), |b| b.iter(|| case.sd_jwt_payload()));
            group.bench_function(id("sd-jwt-rs"), |b| b.iter(|| case.sd_jwt_rs()));
        }
    }
}

/// Microseconds of one run: the median of many, each measured right after the others.
fn in_turns(runs: usize, measured: &[&dyn Fn()]) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(runs); measured.len()];
    for _ in 0..runs {
        for (times, measured) in times.iter_mut().zip(measured) {
            let start = Instant::now();
            measured();
            times.push(start.elapsed());
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    };
    times.iter_mut().map(median).collect()
}

fn table() {
    println!(
        "| algorithm | claims | two signatures | mimi-disclosure | ratio | beyond them, µs a claim | sd-jwt-payload | sd-jwt-rs |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (scheme, name) in SCHEMES {
        for count in CLAIMS {
            let case = Case::new(scheme, count);
            let ours = in_turns(400, &[&|| case.signatures(), &|| assert!(case.ours() > 0)]);
            let peers = in_turns(50, &[&|| assert!(case.sd_jwt_payload() > 0), &|| assert!(case.sd_jwt_rs() > 0)]);
            let [signatures, ours, payload, rs] = [ours[0], ours[1], peers[0], peers[1]];
            let (ratio, each) = (ours / signatures, (ours - signatures) / count as f64);
            println!(
                "| {name} | {count} | {signatures:.1} | {ours:.1} | {ratio:.2} | {each:.2} | {payload:.1} | {rs:.1} |"
            );
        }
    }
}

fn main() {
    let mut measured = Criterion::default().configure_from_args();
    criterion(&mut measured);
    measured.final_summary();
    // A filter means that only some of the measurements are wanted.
    if !std::env::args().skip(1).any(|argument| argument == "--profile-time" || !argument.starts_with('-')) {
        table();
    }
}
