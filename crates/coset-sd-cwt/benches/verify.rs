//! Verification of presentations with 10 to 900 disclosed claims, next to its own two signature checks by the same
//! backend, and to the `sd-cwt` crate over the same backend and tokens.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/peer.rs"]
mod peer;

use std::hint::black_box;
use std::time::{Duration, Instant};

use ciborium::Value;
use common::*;
use coset::TaggedCborSerializable;
use coset_sd_cwt::*;
use criterion::{BenchmarkId, Criterion, Throughput};

struct Subject {
    token: Vec<u8>,
    issuers: [TrustedIssuer; 1],
    issuer: peer::TheirVerifier,
    holder: peer::TheirVerifier,
    messages: [(PublicKey, Vec<u8>, Vec<u8>); 2],
}

impl Subject {
    fn new(algorithm: SignatureAlgorithm, count: usize) -> Self {
        let (issuer, holder) = (signer(algorithm, 1), signer(algorithm, 2));
        let (key, issuers) = (holder.public_key(), issuers(&issuer));
        let further = (0..count).map(|i| (redact(1000 + i as i64), Value::from(format!("value {i}")))).collect();
        let token = issue(&claims(&key, further), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
        let credential = accept(&token, &issuers, &key);
        let params = PresentParams { audience: AUDIENCE, nonce: NONCE, issued_at: NOW, additional: &[] };
        let token = credential.present(&Selection::everything(&credential), &params, &holder, &mut entropy()).unwrap();
        let binding = coset::CoseSign1::from_tagged_slice(&token).unwrap();
        let kcwt = binding.protected.header.rest.iter().find(|entry| entry.0 == coset::Label::Int(13)).unwrap();
        let inner = coset::CoseSign1::from_tagged_slice(&encoded(&kcwt.1)).unwrap();
        let messages = [
            (issuer.public_key(), inner.tbs_data(b""), inner.signature),
            (holder.public_key(), binding.tbs_data(b""), binding.signature),
        ];
        let (issuer, holder) = (peer::TheirVerifier(issuer.public_key()), peer::TheirVerifier(holder.public_key()));
        Self { token, issuers, issuer, holder, messages }
    }

    fn ours(&self) -> Verified {
        UnverifiedPresentation::parse(&self.token, &Limits::default()).unwrap().verify(&params(&self.issuers)).unwrap()
    }

    fn signatures(&self) {
        for (key, message, signature) in &self.messages {
            Backend.verify(key, black_box(message), signature).unwrap();
        }
    }

    fn theirs(&self) -> cbor2::Value {
        peer::verify(&self.token, &self.issuer, &self.holder).unwrap()
    }
}

const SUITES: [(&str, SignatureAlgorithm); 2] =
    [("EdDSA", SignatureAlgorithm::Ed25519), ("ES256", SignatureAlgorithm::Esp256)];
const COUNTS: [usize; 4] = [10, 100, 300, 900];

/// The median of many runs, taken in turns so that a busy machine slows all three alike, in microseconds.
fn medians(subject: &Subject) -> [f64; 3] {
    let mut times: [Vec<Duration>; 3] = Default::default();
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let start = Instant::now();
        subject.signatures();
        times[0].push(start.elapsed());
        let start = Instant::now();
        black_box(subject.ours());
        times[1].push(start.elapsed());
        let start = Instant::now();
        black_box(subject.theirs());
        times[2].push(start.elapsed());
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_nanos() as f64 / 1000.0
    })
}

fn table() {
    println!(
        "| suite | claims | two signature checks µs | verify µs | ratio | beyond them, µs a claim | sd-cwt crate µs |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, algorithm) in SUITES {
        for count in COUNTS {
            let [signatures, ours, theirs] = medians(&Subject::new(algorithm, count));
            let (ratio, each) = (ours / signatures, (ours - signatures) / count as f64);
            println!("| {name} | {count} | {signatures:.1} | {ours:.1} | {ratio:.3} | {each:.3} | {theirs:.1} |");
        }
    }
}

fn main() {
    // Cargo passes `--bench`; under `cargo test` each part runs once. A profile wants nothing but what it names.
    let given = |name: &str| std::env::args().any(|argument| argument == name);
    if given("--bench") && !given("--profile-time") {
        table();
    }
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    for (name, algorithm) in SUITES {
        let mut group = criterion.benchmark_group(name);
        for count in COUNTS {
            let subject = Subject::new(algorithm, count);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::new("verify", count), |bencher| bencher.iter(|| subject.ours()));
            group
                .bench_function(BenchmarkId::new("signatures", count), |bencher| bencher.iter(|| subject.signatures()));
            group.bench_function(BenchmarkId::new("sd-cwt", count), |bencher| bencher.iter(|| subject.theirs()));
        }
        group.finish();
    }
    criterion.final_summary();
}
