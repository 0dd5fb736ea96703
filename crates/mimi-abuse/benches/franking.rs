//! What evidence costs, and how many multiplications of a Ristretto point by a scalar that is.
//!
//! After the measurements of criterion comes a table, for which everything is measured in turns, so that a busy machine
//! changes the ratios little. `cargo bench -p mimi-abuse --bench franking -- --table` prints the table alone.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::Criterion;
use curve25519_dalek::{Scalar, constants::RISTRETTO_BASEPOINT_POINT};
use mimi_abuse::{
    franking::{HubKeys, MacKey, commit, verify_received},
    signal::{Fact, SignalKind, Source, Table},
};
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_pseudonym::{CipherSuite, MessageContext, Nonce, SeededEntropy, Signer, SigningKey, Timestamp, UserUri, Wire};
use mimi_wire::{AbuseReport, AbusiveMessage, AppDataDictionary, Credential, FrankingAgentData, ServerFrankingContext};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

type Case = (String, Box<dyn FnMut()>);

fn case<T>(name: impl Into<String>, mut run: impl FnMut() -> T + 'static) -> Case {
    (name.into(), Box::new(move || drop(black_box(run()))))
}

fn floor() -> Case {
    let scalar = Scalar::from_bytes_mod_order([0x5a; 32]);
    let mut point = RISTRETTO_BASEPOINT_POINT * scalar;
    case("scalar multiplication", move || {
        point = black_box(point) * black_box(scalar);
        point
    })
}

fn message() -> MimiContent {
    let sender: UserUri = "mimi://b.example/u/~00000000-0000-0000-0000-000000000001".parse().unwrap();
    let body = Part::single(Disposition::Render, "text/plain;charset=utf-8", "x".repeat(200));
    MimiContent::new(Salt::from_bytes([1; 16]), sender, "mimi://hub.example/r/club".parse().unwrap(), body).unwrap()
}

/// What sender, hub and receiver do with a message of 200 octets, and the hub with a report of it.
fn evidence(suite: CipherSuite) -> Vec<Case> {
    let message = message();
    let (sender, room) =
        (message.extensions().sender().cloned().unwrap(), message.extensions().room().cloned().unwrap());
    let (content, frank_aad) = commit(&message);
    let signer = SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([1; 32])).unwrap();
    let secrets = vec![(Timestamp::default(), MacKey::from_bytes([7; 32]))];
    let keys = HubKeys::new(secrets, vec![signer.public_key().clone()]);
    let context = ServerFrankingContext { sender: sender.clone(), room: room.clone(), accepted: NOW };
    let frank = keys.frank(&frank_aad, context.clone(), suite, &signer).unwrap();
    let agent = FrankingAgentData {
        franking_signature_key: signer.public_key().as_bytes().to_vec(),
        credential: Credential::basic(b"mimi://hub.example"),
    };
    let client = "mimi://b.example/d/1".parse().unwrap();
    let (leaf, nonce) = (signer.public_key().clone(), Nonce::from_bytes([0; 32]));
    let known = MessageContext::dangerous_new(room.clone(), 1, (sender.clone(), client), leaf, Vec::new(), nonce);
    let shown = AbusiveMessage { message_content: content.encode(), frank: frank.clone(), accepted: NOW };
    let report = AbuseReport {
        reporting_user: None,
        alleged_abuser: sender,
        reason_code: 0,
        note: String::new(),
        messages: vec![shown],
        extensions: AppDataDictionary::default(),
    };
    let suited = |what: &str| format!("{what}, suite {}", suite.code());
    let stamping = keys.clone();
    vec![
        case(suited("stamp (hub)"), move || stamping.frank(&frank_aad, context.clone(), suite, &signer).unwrap()),
        case(suited("check a stamp (receiver)"), move || {
            verify_received(&content, &frank_aad, &frank, NOW, &known, suite, &agent).unwrap()
        }),
        case(suited("verify a report (hub)"), move || keys.verify_report(&room, &report).unwrap()),
    ]
}

fn decision() -> Case {
    let table = Table::default();
    let fact = |at: u8| Fact {
        kind: SignalKind::VerifiedReport,
        room: None,
        source: Source { domain: format!("p{}.example", at % 10).parse().unwrap(), tag: [at; 32] },
        at: NOW,
    };
    let facts: Vec<Fact> = (0..100).map(fact).collect();
    case("decide from 100 facts (hub)", move || table.decide(&facts, NOW))
}

fn table(cases: &mut [Case]) {
    let mut best = vec![Duration::MAX; cases.len()];
    for _ in 0..30 {
        for ((_, run), best) in cases.iter_mut().zip(&mut best) {
            let begin = Instant::now();
            let mut times = 0;
            while begin.elapsed() < Duration::from_millis(10) {
                run();
                times += 1;
            }
            *best = (*best).min(begin.elapsed() / times);
        }
    }
    println!("\n{:<36} {:>12} {:>10}", "", "microseconds", "multiples");
    let floor = best.first().unwrap().as_secs_f64();
    for ((name, _), took) in cases.iter().zip(&best) {
        let took = took.as_secs_f64();
        println!("{name:<36} {:>12.1} {:>10.2}", took * 1e6, took / floor);
    }
}

fn main() {
    let words = message();
    let mut cases = vec![floor(), case("commit to 200 octets (sender)", move || commit(&words))];
    cases.extend(CipherSuite::ALL.into_iter().flat_map(evidence));
    cases.push(decision());
    if !std::env::args().any(|argument| argument == "--table") {
        let mut criterion = Criterion::default().configure_from_args();
        for (name, run) in &mut cases {
            criterion.bench_function(name, |bencher| bencher.iter(&mut *run));
        }
        criterion.final_summary();
    }
    table(&mut cases);
}
