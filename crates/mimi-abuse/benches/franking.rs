//! What evidence costs: `cargo bench -p mimi-abuse --bench franking`.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use mimi_abuse::{
    franking::{HubKeys, MacKey, commit},
    signal::{Fact, SignalKind, Source, Table},
};
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_pseudonym::{CipherSuite, SeededEntropy, Signer, SigningKey, Timestamp, UserUri, Wire};
use mimi_wire::{AbuseReport, AbusiveMessage, AppDataDictionary, ServerFrankingContext};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn evidence(criterion: &mut Criterion) {
    let sender: UserUri = "mimi://b.example/u/~00000000-0000-0000-0000-000000000001".parse().unwrap();
    let room: mimi_pseudonym::RoomUri = "mimi://hub.example/r/club".parse().unwrap();
    let body = Part::single(Disposition::Render, "text/plain;charset=utf-8", "x".repeat(200));
    let message = MimiContent::new(Salt::from_bytes([1; 16]), sender.clone(), room.clone(), body).unwrap();
    criterion.bench_function("commit to a message of 200 octets", |bencher| bencher.iter(|| commit(&message)));
    let (content, frank_aad) = commit(&message);
    for suite in CipherSuite::ALL {
        let signer = SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([1; 32])).unwrap();
        let secrets = vec![(Timestamp::default(), MacKey::from_bytes([7; 32]))];
        let keys = HubKeys::new(secrets, vec![signer.public_key().clone()]);
        let context = || ServerFrankingContext { sender: sender.clone(), room: room.clone(), accepted: NOW };
        let name = format!("frank in suite {}", suite.code());
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| keys.frank(&frank_aad, context(), suite, &signer).unwrap());
        });
        let frank = keys.frank(&frank_aad, context(), suite, &signer).unwrap();
        let report = AbuseReport {
            reporting_user: None,
            alleged_abuser: sender.clone(),
            reason_code: 0,
            note: String::new(),
            messages: vec![AbusiveMessage { message_content: content.encode(), frank, accepted: NOW }],
            extensions: AppDataDictionary::default(),
        };
        let name = format!("verify a report of one message in suite {}", suite.code());
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| keys.verify_report(&room, &report).unwrap());
        });
    }
}

fn decision(criterion: &mut Criterion) {
    let table = Table::default();
    let fact = |at: u8| Fact {
        kind: SignalKind::VerifiedReport,
        room: None,
        source: Source { domain: format!("p{}.example", at % 10).parse().unwrap(), tag: [at; 32] },
        at: NOW,
    };
    let facts: Vec<Fact> = (0..100).map(fact).collect();
    criterion.bench_function("decide from 100 facts", |bencher| bencher.iter(|| table.decide(&facts, NOW)));
}

criterion_group!(benches, evidence, decision);
criterion_main!(benches);
