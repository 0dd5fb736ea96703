//! What each way of tying costs, and how many multiplications of a Ristretto point by a scalar that is.
//!
//! After the measurements of criterion comes a table, for which everything is measured in turns, so that a busy machine
//! changes the ratios little. `cargo bench -p mimi-tie -- --table` prints the table alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::Criterion;
use curve25519_dalek::{Scalar, constants::RISTRETTO_BASEPOINT_POINT};
use mimi_pseudonym::{AccountLink, SeededEntropy, UserUri, Wire};
use mimi_tie::{
    ActKey, TieRow,
    blind::{Issuer, TokenChallenge, TokenRequest},
    break_glass::{Entry, Log, SealedAccount, Witness, open},
    score::{CohortSize, Confirmation, Question, Round, Scores, Seat, Weight},
};

#[path = "../tests/common/mod.rs"]
mod common;

use common::{NOW, entropy, link, operators, score_operators};

type Case = (&'static str, Box<dyn FnMut()>);

const THRESHOLD: u16 = 20;

fn case<T>(name: &'static str, mut run: impl FnMut() -> T + 'static) -> Case {
    (name, Box::new(move || drop(black_box(run()))))
}

fn floor() -> Case {
    let scalar = Scalar::from_bytes_mod_order([0x5a; 32]);
    let mut point = RISTRETTO_BASEPOINT_POINT * scalar;
    case("scalar multiplication", move || {
        point = black_box(point) * black_box(scalar);
        point
    })
}

fn blind() -> Vec<Case> {
    let issuer = || Issuer::generate(&mut entropy(1)).unwrap();
    let challenge = TokenChallenge::for_pseudonyms(&"a.example".parse().unwrap());
    let (key, theirs) = (issuer().key().clone(), challenge.clone());
    let ask = move || TokenRequest::new(&key, &theirs, &mut entropy(2)).unwrap();
    let (request, pending) = ask();
    let response = issuer().issue(&request, &mut entropy(3)).unwrap();
    let token = pending.finish(&response).unwrap();
    let (one, two, again) = (issuer(), issuer(), ask.clone());
    vec![
        case("token: request (client)", ask),
        case("token: issue (provider)", move || one.issue(&request, &mut entropy(3)).unwrap()),
        case("token: request and finish (client)", move || again().1.finish(&response).unwrap()),
        case("token: redeem (provider)", move || two.redeem(&token, &challenge).unwrap()),
    ]
}

fn break_glass() -> Vec<Case> {
    let operators = operators(3, 5, 1);
    let key = operators[0].key().clone();
    let alice = link("alice", 1);
    let sealed = SealedAccount::seal(&alice, &key, &mut entropy(2)).unwrap();
    let seal = sealed.check(alice.pseudonym(), &key).unwrap();
    let entry = |reason: String| Entry::new(seal.owner_mark().subject(), "desk", &reason, NOW).unwrap();
    let log = Log::from_entries((0..10_000).map(|at| entry(at.to_string())));
    let evidence = log.evidence(9_000, 5_000).unwrap();
    let before = Log::from_entries((0..5_000).map(|at| entry(at.to_string()))).checkpoint();
    let logged = Witness::restore(before).check(&evidence, NOW).unwrap();
    let shares: Vec<_> =
        operators.iter().take(3).map(|one| one.grant(&seal, &logged, &mut entropy(4)).unwrap()).collect();
    let (key_for_seal, pseudonym) = (key.clone(), alice.pseudonym().clone());
    let granting = seal.clone();
    let operator = operators.into_iter().next().unwrap();
    vec![
        case("break glass: seal", move || SealedAccount::seal(&alice, &key_for_seal, &mut entropy(2)).unwrap()),
        case("break glass: check a seal", move || sealed.check(&pseudonym, &key).unwrap()),
        case("break glass: check an entry of 10,000", move || Witness::restore(before).check(&evidence, NOW).unwrap()),
        case("break glass: share", move || operator.grant(&granting, &logged, &mut entropy(4)).unwrap()),
        case("break glass: open, 3 of 5", move || open(&seal, &shares).unwrap()),
    ]
}

fn score() -> Vec<Case> {
    let operators = score_operators(3, 5, 1);
    let key = operators[0].key().clone();
    let size = CohortSize::new(64).unwrap();
    let hidden = Seat::of(9, size).hide(&key, &mut entropy(1));
    let seat = hidden.check(size, &key).unwrap();
    let mut scores = Scores::new(0, size, &key, &mut entropy(2));
    for _ in 0..THRESHOLD {
        scores.add(&seat, Weight::new(1).unwrap()).unwrap();
    }
    let question = Question::new(&scores, 9, THRESHOLD).unwrap();
    let quorum = || operators.iter().take(3);
    let blinded = quorum().fold(Round::new(&question), |round, one| one.blind(&round, &mut entropy(3)).unwrap());
    let shares: Vec<_> = quorum().map(|one| one.read_round(&blinded, &mut entropy(4)).unwrap()).collect();
    let mut confirmation = Confirmation::new(question.clone());
    for one in quorum() {
        let step = one.step(&confirmation, &mut entropy(5)).unwrap();
        confirmation.add(step, &key).unwrap();
    }
    let first = Confirmation::new(question.clone());
    let step = operators[0].step(&first, &mut entropy(5)).unwrap();
    let begin = Round::new(&question);
    let (hiding, checking, adding, steps) = (key.clone(), key.clone(), seat, key.clone());
    let mut sums = scores;
    let second = common::score_operators(3, 5, 1);
    let third = common::score_operators(3, 5, 1);
    let fourth = common::score_operators(3, 5, 1);
    let unread = blinded.clone();
    let from = first.clone();
    vec![
        case("score: hide a seat among 64", move || Seat::of(9, size).hide(&hiding, &mut entropy(1))),
        case("score: check a seat among 64", move || hidden.check(size, &checking).unwrap()),
        case("score: add a report to 64", move || sums.add(&adding, Weight::new(7).unwrap()).unwrap()),
        case("score: blind, threshold 20", move || second[0].blind(&begin, &mut entropy(3)).unwrap()),
        case("score: shares, threshold 20", move || third[0].read_round(&unread, &mut entropy(4)).unwrap()),
        case("score: answer, threshold 20, 3 of 5", move || blinded.answer(&key, &shares).unwrap()),
        case("score: proved step, threshold 20", move || fourth[0].step(&from, &mut entropy(5)).unwrap()),
        case("score: check a step, threshold 20", move || first.clone().add(step.clone(), &steps).unwrap()),
    ]
}

/// One row of a million, when somebody who may looks for all pseudonyms of one account.
fn search() -> Vec<Case> {
    let key = ActKey::from_secret(&[1; 32]);
    let wanted: UserUri = "mimi://a.example/u/alice".parse().unwrap();
    let rows: Vec<(UserUri, Vec<u8>)> = (0..1000_u16)
        .map(|number| {
            let bits = SeededEntropyBits(number).bits();
            let pseudonym = UserUri::pseudonym(wanted.domain(), bits);
            let account = format!("mimi://a.example/u/user{}", number % 100).parse().unwrap();
            let link = AccountLink::new(account, pseudonym.clone()).unwrap();
            (pseudonym, TieRow::ActOnly(key.bind(&link, &mut entropy(1)).unwrap()).encode())
        })
        .collect();
    let mut at = 0;
    let looked = wanted.clone();
    let act = case("search a row: act only, with its key", move || {
        at = (at + 1) % rows.len();
        let (pseudonym, row) = &rows[at];
        let TieRow::ActOnly(row) = TieRow::decode(row).unwrap() else { unreachable!() };
        let mut found = false;
        key.act(pseudonym, Some(&row), |account| {
            found = *account == looked;
            Ok(())
        })
        .unwrap();
        found
    });
    let direct: Vec<(UserUri, Vec<u8>)> = (0..1000_u16)
        .map(|number| {
            let pseudonym = UserUri::pseudonym(wanted.domain(), SeededEntropyBits(number).bits());
            let account = format!("mimi://a.example/u/user{}", number % 100).parse().unwrap();
            let link = AccountLink::new(account, pseudonym.clone()).unwrap();
            (pseudonym, TieRow::Direct(mimi_tie::DirectRow::new(&link)).encode())
        })
        .collect();
    let mut at = 0;
    let plain = case("search a row: direct, without an index", move || {
        at = (at + 1) % direct.len();
        let (pseudonym, row) = &direct[at];
        let TieRow::Direct(row) = TieRow::decode(row).unwrap() else { unreachable!() };
        row.look_up(pseudonym.clone()).is_some_and(|link| *link.account() == wanted)
    });
    vec![plain, act]
}

struct SeededEntropyBits(u16);

impl SeededEntropyBits {
    fn bits(&self) -> [u8; 16] {
        use mimi_pseudonym::Entropy as _;
        let mut seed = [0; 32];
        seed[..2].copy_from_slice(&self.0.to_be_bytes());
        SeededEntropy::new(seed).bits128()
    }
}

/// In turns, in short stretches; the shortest mean of a stretch is the figure.
fn table(cases: &mut [Case]) {
    let mut best = vec![Duration::MAX; cases.len()];
    for _ in 0..30 {
        for ((_, run), best) in cases.iter_mut().zip(&mut best) {
            let begin = Instant::now();
            let mut times = 0;
            while begin.elapsed() < Duration::from_millis(10) || times == 0 {
                run();
                times += 1;
            }
            *best = (*best).min(begin.elapsed() / times);
        }
    }
    println!("\n{:<44} {:>12} {:>10}", "", "microseconds", "multiples");
    let floor = best[0].as_secs_f64();
    for ((name, _), took) in cases.iter().zip(&best) {
        let took = took.as_secs_f64();
        println!("{name:<44} {:>12.1} {:>10.2}", took * 1e6, took / floor);
        if name.starts_with("search") {
            println!("{:<44} {:>12.2} s for a million, if all rows are in memory", "", took * 1e6);
        }
    }
    let of = |name: &str| cases.iter().zip(&best).find(|((one, _), _)| *one == name).unwrap().1.as_secs_f64();
    let glass = 3.0 * of("break glass: share") + of("break glass: open, 3 of 5") + of("break glass: check a seal");
    println!("{:<44} {:>12.1} {:>10.2}", "search a row: break glass, all opened", glass * 1e6, glass / floor);
    println!("{:<44} {:>12.0} s for a million, and a million entries in the log", "", glass * 1e6);
    let asked = 3.0 * (of("score: blind, threshold 20") + of("score: shares, threshold 20"))
        + of("score: answer, threshold 20, 3 of 5");
    println!("{:<44} {:>12.1} {:>10.2}", "score: whole first round of one account", asked * 1e6, asked / floor);
}

fn main() {
    let mut cases = vec![floor()];
    cases.extend(blind());
    cases.extend(break_glass());
    cases.extend(score());
    cases.extend(search());
    if !std::env::args().any(|argument| argument == "--table") {
        let mut criterion = Criterion::default().configure_from_args();
        for (name, run) in &mut cases {
            criterion.bench_function(name, |bencher| bencher.iter(&mut *run));
        }
        criterion.final_summary();
    }
    table(&mut cases);
}
