//! What weighs how much, and what is done when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use mimi_abuse::signal::{Fact, RateMeter, Remedy, SignalKind, Source, Table, TableError};
use mimi_pseudonym::{Timestamp, UserUri};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn fact(kind: SignalKind, domain: &str, who: u8, age: Duration) -> Fact {
    let source = Source { domain: domain.parse().unwrap(), tag: [who; 32] };
    Fact { kind, room: None, source, at: NOW.before(age) }
}

fn report(domain: &str, who: u8) -> Fact {
    fact(SignalKind::VerifiedReport, domain, who, Duration::ZERO)
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn a_weight_halves_in_its_half_life() {
    let table = Table::default();
    for (age, left) in [(0, 1.0), (720, 0.5), (1440, 0.25)] {
        let decision = table.decide(&[fact(SignalKind::VerifiedReport, "a.example", 1, HOUR * age)], NOW);
        assert!(close(decision.score, left), "{}", decision.score);
    }
    // A clock that was set back makes nothing heavier.
    let future = Fact { at: NOW.after(HOUR), ..report("a.example", 1) };
    assert!(close(table.decide(&[future], NOW).score, 1.0));
}

#[test]
fn the_same_reporter_counts_once_and_the_freshest_fact_of_it() {
    let table = Table::default();
    let old = Fact { at: NOW.before(HOUR * 720), ..report("a.example", 1) };
    let decision = table.decide(&[old, report("a.example", 1), report("a.example", 1)], NOW);
    assert!(close(decision.score, 1.0));
    assert_eq!(decision.because.iter().filter(|share| share.adds > 0.0).count(), 1);
    assert!(close(table.decide(&[report("a.example", 1), report("b.example", 1)], NOW).score, 2.0));
}

#[test]
fn sock_puppets_of_one_provider_weigh_no_more_than_a_few() {
    let table = Table::default();
    let puppets: Vec<Fact> = (0..200).map(|who| report("evil.example", who)).collect();
    let decision = table.decide(&puppets, NOW);
    assert!(close(decision.score, 3.0));
    assert_eq!(
        decision.step.unwrap().remedy,
        Remedy::Kick,
        "a thousand puppets get somebody out of one room, not more"
    );
    let three: Vec<Fact> =
        ["a.example", "b.example", "c.example"].into_iter().flat_map(|of| [report(of, 1), report(of, 2)]).collect();
    assert_eq!(table.decide(&three, NOW).step.unwrap().remedy, Remedy::AskSuspend);
}

#[test]
fn what_moderators_do_weighs_little() {
    let table = Table::default();
    let moderators = |count| (0..count).map(|who| fact(SignalKind::Ban, "a.example", who, Duration::ZERO));
    let many: Vec<Fact> = moderators(50).collect();
    assert!(close(table.decide(&many, NOW).score, 1.2));
    assert_eq!(table.decide(&many, NOW).step, None);
    let words: Vec<Fact> = (0..50).map(|who| fact(SignalKind::Word, "a.example", who, Duration::ZERO)).collect();
    assert!(close(table.decide(&words, NOW).score, 0.0));
}

#[test]
fn remedies_escalate_and_lapse() {
    let table = Table::default();
    let reporters = |count: usize| -> Vec<Fact> {
        (0..count).map(|at| report(&format!("p{}.example", at / 3), (at % 3) as u8)).collect()
    };
    let expected = [
        (0, None),
        (1, None),
        (2, Some((Remedy::Mute, None))),
        (3, Some((Remedy::Kick, None))),
        (4, Some((Remedy::Ban, Some(168)))),
        (5, Some((Remedy::Ban, None))),
        (6, Some((Remedy::AskSuspend, None))),
        (10, Some((Remedy::AskRemove, None))),
    ];
    for (count, remedy) in expected {
        let step = table.decide(&reporters(count), NOW).step;
        assert_eq!(step.map(|step| (step.remedy, step.hours)), remedy, "{count}");
    }
    let later = NOW.after(HOUR * 24 * 365);
    assert_eq!(table.decide(&reporters(10), later).step, None);
}

#[test]
fn a_decision_explains_itself() {
    let facts = [report("a.example", 1), report("b.example", 1), fact(SignalKind::Kick, "a.example", 9, HOUR * 336)];
    let decision = Table::default().decide(&facts, NOW);
    assert_eq!(
        decision.to_string(),
        "mute (score 2.20, from 1.50 on); verified_report by a.example at 10000000: +1.00; \
         verified_report by b.example at 10000000: +1.00; kick by a.example at 8790400: +0.20"
    );
    let none = Table::default().decide(&[], NOW);
    assert_eq!(none.to_string(), "nothing (score 0.00)");
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    let built_in = Table::built_in();
    assert_eq!(Table::parse(built_in).unwrap(), Table::default());
    let with = |from: &str, to: &str| {
        assert!(built_in.contains(from), "{from}");
        Table::parse(&built_in.replacen(from, to, 1)).unwrap_err()
    };
    for wrong in ["-0.5", "nan", "inf", "1000000"] {
        let error = with("message_rate = { weight = 0.5", &format!("message_rate = {{ weight = {wrong}"));
        assert_eq!(error, TableError::Weight(SignalKind::MessageRate), "{wrong}");
    }
    assert_eq!(with("half_life_hours = 336", "half_life_hours = 0"), TableError::Weight(SignalKind::Kick));
    assert_eq!(with("per_provider = 3", "per_provider = 0"), TableError::Weight(SignalKind::VerifiedReport));
    assert_eq!(with("messages_per_minute = 60", "messages_per_minute = 0"), TableError::Rate);
    assert_eq!(with("score = 2.5", "score = 1.5"), TableError::Step(1));
    assert_eq!(with("score = 1.5", "score = 0.0"), TableError::Step(0));
    assert_eq!(with("score = 1.5", "score = nan"), TableError::Step(0));
    assert_eq!(with("\nhours = 168", "\nhours = 0"), TableError::Step(2));
    assert_eq!(with("remedy = \"kick\"", "remedy = \"kick\"\nhours = 3"), TableError::Step(1));
    assert_eq!(with("kick = {", "# kick = {"), TableError::Missing(SignalKind::Kick));
    assert!(matches!(with("remedy = \"kick\"", "remedy = \"kill\""), TableError::Toml(_)));
    assert!(matches!(with("[rates]", "[rate]"), TableError::Toml(_)));
}

#[test]
fn names_lead_back_to_their_kinds() {
    for kind in SignalKind::ALL {
        assert_eq!(SignalKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(SignalKind::from_name("x"), None);
}

#[test]
fn too_often_is_said_in_each_window_until_it_is_known() {
    let user: UserUri = "mimi://a.example/u/alice".parse().unwrap();
    let mut meter = RateMeter::new(2, HOUR);
    let said: Vec<bool> = (0..5).map(|_| meter.note(&user, NOW)).collect();
    assert_eq!(said, [false, false, true, true, true]);
    meter.known(&user);
    assert!(!meter.note(&user, NOW), "it is known");
    assert!(!meter.note(&"mimi://a.example/u/bob".parse().unwrap(), NOW));
    let later: Vec<bool> = (0..3).map(|_| meter.note(&user, NOW.after(HOUR))).collect();
    assert_eq!(later, [false, false, true]);
    // What did not happen is not counted, and nobody knows of it.
    let mut meter = RateMeter::new(2, HOUR);
    for _ in 0..5 {
        assert!(!meter.note(&user, NOW) && !meter.note(&user, NOW));
        assert!(meter.note(&user, NOW));
        meter.take_back(&user);
        meter.take_back(&user);
        meter.take_back(&user);
    }
    meter.known(&user);
    meter.note(&user, NOW);
    meter.note(&user, NOW);
    assert!(meter.note(&user, NOW), "known was that it is not too often");
}

proptest! {
    #[test]
    fn order_and_repetition_of_facts_do_not_matter(
        facts in proptest::collection::vec((0usize..8, 0u8..3, 0u8..4, 0u64..2000), 0..20),
        seed: u64,
    ) {
        let table = Table::default();
        let facts: Vec<Fact> = facts
            .into_iter()
            .map(|(kind, of, who, age)| {
                fact(SignalKind::ALL[kind], &format!("p{of}.example"), who, Duration::from_secs(age * 3600))
            })
            .collect();
        let mut other = facts.clone();
        other.extend(facts.iter().take(5).cloned());
        let turn = usize::try_from(seed % 20).unwrap() % other.len().max(1);
        other.rotate_left(turn);
        let (one, two) = (table.decide(&facts, NOW), table.decide(&other, NOW));
        prop_assert!(close(one.score, two.score), "{} {}", one.score, two.score);
        prop_assert!(one.score <= 100.0 && one.score >= 0.0);
    }
}
