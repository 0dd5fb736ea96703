//! What a hub may ask for, what comes of it, and when that may show.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use mimi_abuse::{
    franking::{UncommittedError, commit},
    remedy::{
        HomePolicy, HomeRemedy, PeerPolicy, Plan, PlanError, PolicyError, Received, RemedyReceipt, RemedyRefusal,
        RemedyRequest, RemedyRequestError, RemedyRequestTbs, RemovalRefusal, RemovalRequest, RemovalRequestError,
        RemovalRequestTbs, UnverifiedRemedyRequest, UnverifiedRemovalRequest, Wanted,
    },
    signal::{Fact, Remedy, SignalKind, Source, Table},
};
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_pseudonym::{CipherSuite, DecodeError, Domain, Entropy, SeededEntropy, Signer, SigningKey, Timestamp, Wire};
use mimi_wire::{AbusiveMessage, Frank};

const NOW: Timestamp = Timestamp::from_secs(10_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn key(suite: CipherSuite, seed: u8) -> SigningKey {
    SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([seed; 32])).unwrap()
}

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn shown(sender: &str, room: &str) -> AbusiveMessage {
    let body = Part::single(Disposition::Render, "text/plain", "spam");
    let content = MimiContent::new(Salt::from_bytes([1; 16]), sender.parse().unwrap(), room.parse().unwrap(), body);
    let suite = CipherSuite::X25519Aes128Ed25519;
    AbusiveMessage {
        message_content: commit(&content.unwrap()).0.encode(),
        frank: Frank { server_frank: [3; 32], cipher_suite: suite, integrity_signature: vec![4; 64] },
        accepted: NOW,
    }
}

const BOB: &str = "mimi://b.example/u/~00000000-0000-0000-0000-000000000001";

fn tbs() -> RemedyRequestTbs {
    RemedyRequestTbs {
        id: [7; 16],
        hub: domain("hub.example"),
        subject: BOB.parse().unwrap(),
        wanted: Wanted::Suspend,
        related: false,
        made_at: NOW,
        note: "spam".into(),
        evidence: vec![shown(BOB, "mimi://hub.example/r/club")],
    }
}

/// What the home provider says to a request with a change.
fn says(suite: CipherSuite, change: impl FnOnce(&mut RemedyRequestTbs)) -> Result<RemedyRequest, RemedyRefusal> {
    let mut tbs = tbs();
    change(&mut tbs);
    let signed = RemedyRequest::sign(tbs, suite, &key(suite, 1)).unwrap();
    let read = UnverifiedRemedyRequest::decode(&signed.encode()).unwrap();
    assert_eq!(read.suite(), suite);
    read.verify(key(suite, 1).public_key(), &domain("hub.example"), &domain("b.example"), NOW)
}

#[test]
fn a_request_in_order_is_believed_and_can_be_verified_again() {
    for suite in CipherSuite::ALL {
        let request = says(suite, |_| {}).unwrap();
        assert_eq!(request.tbs(), &tbs());
        let again = UnverifiedRemedyRequest::decode(&request.encode()).unwrap();
        let later = NOW.after(HOUR);
        let (key, hub, home) = (key(suite, 1), domain("hub.example"), domain("b.example"));
        assert_eq!(again.verify(key.public_key(), &hub, &home, later), Ok(request));
    }
}

#[test]
fn forged_foreign_and_stale_requests_are_refused() {
    for suite in CipherSuite::ALL {
        let refused = |change: fn(&mut RemedyRequestTbs)| says(suite, change).unwrap_err();
        assert_eq!(refused(|tbs| tbs.hub = domain("other.example")), RemedyRefusal::OtherHub);
        assert_eq!(
            refused(|tbs| tbs.subject = "mimi://c.example/u/cathy".parse().unwrap()),
            RemedyRefusal::ForeignUser
        );
        assert_eq!(refused(|tbs| tbs.made_at = NOW.before(HOUR * 169)), RemedyRefusal::Stale);
        assert_eq!(refused(|tbs| tbs.made_at = NOW.after(HOUR * 169)), RemedyRefusal::Stale);
        assert!(says(suite, |tbs| tbs.made_at = NOW.before(HOUR * 167)).is_ok());
        let other = "mimi://b.example/u/innocent";
        assert_eq!(
            says(suite, |tbs| tbs.evidence.push(shown(other, "mimi://hub.example/r/club"))).unwrap_err(),
            RemedyRefusal::OtherEvidence(1)
        );
        assert_eq!(
            says(suite, |tbs| tbs.evidence = vec![shown(BOB, "mimi://c.example/r/club")]).unwrap_err(),
            RemedyRefusal::OtherEvidence(0)
        );
        assert!(matches!(
            refused(|tbs| tbs.evidence[0].message_content = vec![0]),
            RemedyRefusal::Evidence { at: 0, error: UncommittedError::Content(_) }
        ));
        // Each octet of what was signed counts.
        let good = RemedyRequest::sign(tbs(), suite, &key(suite, 1)).unwrap().encode();
        let verify = |octets: &[u8], seed| {
            let read = UnverifiedRemedyRequest::decode(octets).map_err(|_| None)?;
            let key = key(suite, seed);
            read.verify(key.public_key(), &domain("hub.example"), &domain("b.example"), NOW).map(drop).map_err(Some)
        };
        assert_eq!(verify(&good, 1), Ok(()));
        assert_eq!(verify(&good, 2), Err(Some(RemedyRefusal::Signature)));
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(verify(&changed, 1).is_err(), "octet {at}");
        }
        let wrong = CipherSuite::ALL.into_iter().find(|other| *other != suite).unwrap();
        let read = UnverifiedRemedyRequest::decode(&good).unwrap();
        let other_scheme = key(wrong, 1);
        let refused = read.verify(other_scheme.public_key(), &domain("hub.example"), &domain("b.example"), NOW);
        assert_eq!(refused, Err(RemedyRefusal::Signature));
    }
}

#[test]
fn requests_without_shape_are_neither_made_nor_read() {
    let suite = CipherSuite::X25519Aes128Ed25519;
    let made = |change: fn(&mut RemedyRequestTbs)| {
        let mut tbs = tbs();
        change(&mut tbs);
        RemedyRequest::sign(tbs, suite, &key(suite, 1)).unwrap_err()
    };
    let rule = |error| match error {
        RemedyRequestError::Shape(DecodeError::Rule { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(rule(made(|tbs| tbs.note = "x".repeat(1025))), "note");
    assert_eq!(rule(made(|tbs| tbs.evidence = vec![tbs.evidence[0].clone(); 17])), "evidence");
    assert_eq!(rule(made(|tbs| tbs.wanted = Wanted::Reversal)), "evidence");
    let wrong = RemedyRequest::sign(tbs(), CipherSuite::P256Aes128P256, &key(suite, 1));
    assert_eq!(wrong, Err(RemedyRequestError::Key));
    let broken = RemedyRequest::sign(tbs(), suite, &Broken(key(suite, 1).public_key().clone()));
    assert_eq!(broken, Err(RemedyRequestError::Sign(mimi_pseudonym::SignError)));
    let mut octets = tbs().encode();
    octets[0] = 2;
    assert_eq!(RemedyRequestTbs::decode(&octets), Err(DecodeError::Value { field: "version", value: 2 }));
    let shown = format!("{:?}", tbs());
    assert!(!shown.contains("spam") && !shown.contains("000000000001"), "{shown}");
}

struct Broken(mimi_pseudonym::PublicKey);

impl Signer for Broken {
    fn public_key(&self) -> &mimi_pseudonym::PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, mimi_pseudonym::SignError> {
        Err(mimi_pseudonym::SignError)
    }
}

#[test]
fn every_receipt_has_the_same_shape() {
    let receipt = RemedyReceipt { id: [7; 16] };
    assert_eq!(receipt.encode().len(), 17);
    assert_eq!(RemedyReceipt::decode(&receipt.encode()), Ok(receipt));
    assert_eq!(RemedyReceipt::decode(&[0; 17]), Err(DecodeError::Value { field: "version", value: 0 }));
}

fn received(hub: &str, wanted: Wanted, hours_ago: u32) -> Received {
    Received { hub: domain(hub), wanted, related: false, at: NOW.before(HOUR * hours_ago), with_evidence: true }
}

#[test]
fn the_home_provider_decides() {
    let policy = HomePolicy::default();
    let decide = |requests: &[Received]| policy.decide(requests, NOW).remedy;
    assert_eq!(decide(&[]), None);
    let one = received("a.example", Wanted::Delete, 0);
    assert_eq!(decide(std::slice::from_ref(&one)), Some(HomeRemedy::Suspend), "one hub's word does not delete");
    assert_eq!(decide(&vec![one.clone(); 50]), Some(HomeRemedy::Remove), "nor does it if it says so fifty times");
    let bare = Received { with_evidence: false, ..one };
    assert_eq!(decide(std::slice::from_ref(&bare)), None);
    assert_eq!(decide(&vec![bare; 50]), None);
    let three: Vec<_> = ["a.example", "b.example", "c.example"]
        .into_iter()
        .flat_map(|hub| [received(hub, Wanted::Delete, 0), received(hub, Wanted::Suspend, 0)])
        .collect();
    assert_eq!(decide(&three), Some(HomeRemedy::Delete));
    let mild: Vec<_> = three.iter().map(|request| Received { wanted: Wanted::Suspend, ..request.clone() }).collect();
    assert_eq!(decide(&mild), Some(HomeRemedy::Suspend), "nothing is done that nobody has asked for");
    assert_eq!(policy.decide(&three, NOW.after(HOUR * 24 * 365)).remedy, None, "it lapses");
    let explained = policy.decide(&three, NOW).to_string();
    assert_eq!(explained, "delete (weight 6.00); a.example: +2.00; b.example: +2.00; c.example: +2.00");
}

#[test]
fn related_accounts_are_meant_if_a_hub_that_counts_says_so_and_the_operator_lets_it() {
    let policy = HomePolicy::default();
    let own = received("a.example", Wanted::Suspend, 0);
    let all = Received { related: true, ..received("b.example", Wanted::Suspend, 0) };
    let related = |policy: &HomePolicy, requests: &[Received]| policy.decide(requests, NOW).related;
    assert!(!related(&policy, std::slice::from_ref(&own)));
    assert!(related(&policy, &[own.clone(), all.clone()]));
    assert!(!related(&HomePolicy { related: false, ..policy.clone() }, &[own.clone(), all.clone()]));
    let deaf = PeerPolicy { weight: 0.0, count: 1 };
    let deaf = HomePolicy { hubs: [(domain("b.example"), deaf)].into(), ..policy.clone() };
    assert!(!related(&deaf, &[own, all.clone()]), "a hub that does not count");
    let bare = Received { with_evidence: false, ..all };
    assert!(!related(&policy, &[bare]), "nothing is done to anybody");
}

fn removal() -> RemovalRequestTbs {
    RemovalRequestTbs {
        id: [8; 16],
        home: domain("b.example"),
        subject: BOB.parse().unwrap(),
        room: "mimi://hub.example/r/club".parse().unwrap(),
        made_at: NOW,
    }
}

#[test]
fn a_removal_is_the_users_own_providers_and_for_one_room() {
    for suite in CipherSuite::ALL {
        let says = |change: fn(&mut RemovalRequestTbs)| {
            let mut tbs = removal();
            change(&mut tbs);
            let signed = RemovalRequest::sign(tbs, suite, &key(suite, 1)).unwrap();
            let read = UnverifiedRemovalRequest::decode(&signed.encode()).unwrap();
            assert_eq!(read.suite(), suite);
            read.verify(key(suite, 1).public_key(), &domain("b.example"), &removal().room, NOW)
        };
        let good = says(|_| {}).unwrap();
        assert_eq!(good.tbs(), &removal());
        let says = |change| says(change).unwrap_err();
        assert_eq!(says(|tbs| tbs.home = domain("c.example")), RemovalRefusal::ForeignUser);
        assert_eq!(says(|tbs| tbs.subject = "mimi://c.example/u/cathy".parse().unwrap()), RemovalRefusal::ForeignUser);
        assert_eq!(says(|tbs| tbs.room = "mimi://hub.example/r/other".parse().unwrap()), RemovalRefusal::OtherRoom);
        assert_eq!(says(|tbs| tbs.made_at = NOW.before(HOUR * 169)), RemovalRefusal::Stale);
        let good = good.encode();
        let verify = |octets: &[u8], key: &SigningKey| {
            let read = UnverifiedRemovalRequest::decode(octets).map_err(|_| None)?;
            read.verify(key.public_key(), &domain("b.example"), &removal().room, NOW).map(drop).map_err(Some)
        };
        assert_eq!(verify(&good, &key(suite, 2)), Err(Some(RemovalRefusal::Signature)));
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(verify(&changed, &key(suite, 1)).is_err(), "octet {at}");
        }
        let wrong = CipherSuite::ALL.into_iter().find(|other| *other != suite).unwrap();
        let foreign = RemovalRequest::sign(removal(), suite, &key(wrong, 1));
        assert_eq!(foreign, Err(RemovalRequestError::Key));
        let broken = RemovalRequest::sign(removal(), suite, &Broken(key(suite, 1).public_key().clone()));
        assert!(matches!(broken, Err(RemovalRequestError::Sign(_))));
        let shown = format!("{:?}", removal());
        assert!(!shown.contains("~0000") && !shown.contains("club"), "{shown}");
    }
}

/// Three puppets each at thirty providers report messages that an innocent user has sent, and call them abuse. No hub can know
/// better: it asks for the most that its table knows. One hub's word suspends and does no more, and it ends: by a reversal, or
/// when half-lives have passed.
#[test]
fn a_mass_of_false_reports_suspends_an_innocent_user_until_that_is_taken_back() {
    let table = Table::default();
    let campaign: Vec<Fact> = (0..90_u8)
        .map(|puppet| {
            let source = Source { domain: domain(&format!("p{}.example", puppet % 30)), tag: [puppet; 32] };
            Fact { kind: SignalKind::VerifiedReport, room: None, source, at: NOW }
        })
        .collect();
    assert_eq!(table.decide(&campaign, NOW).step.map(|step| step.remedy), Some(Remedy::AskRemove));
    let one_provider: Vec<Fact> = campaign
        .iter()
        .map(|fact| Fact { source: Source { domain: domain("p0.example"), ..fact.source.clone() }, ..fact.clone() })
        .collect();
    assert_eq!(
        table.decide(&one_provider, NOW).step.map(|step| step.remedy),
        Some(Remedy::Kick),
        "ninety of one provider"
    );
    let policy = HomePolicy::default();
    let asked = received("hub.example", Wanted::Remove, 0);
    assert_eq!(policy.decide(std::slice::from_ref(&asked), NOW).remedy, Some(HomeRemedy::Suspend));
    let reversed = [received("hub.example", Wanted::Remove, 1), received("hub.example", Wanted::Reversal, 0)];
    assert_eq!(policy.decide(&reversed, NOW).remedy, None);
    assert_eq!(policy.decide(&[asked], NOW.after(HOUR * 24 * 30)).remedy, None, "a half-life later");
    assert_eq!(table.decide(&campaign, NOW.after(HOUR * 24 * 180)).step, None, "half a year later");
}

#[test]
fn a_hub_takes_back_what_it_has_asked_for_and_nothing_else() {
    let policy = HomePolicy::default();
    let asked = [received("a.example", Wanted::Suspend, 3), received("b.example", Wanted::Suspend, 3)];
    let with = |request: Received| policy.decide(&[asked.to_vec(), vec![request]].concat(), NOW);
    assert_eq!(policy.decide(&asked, NOW).because.len(), 2);
    let reversed = with(received("a.example", Wanted::Reversal, 2));
    assert_eq!(reversed.because.iter().map(|(hub, _)| hub.as_str()).collect::<Vec<_>>(), ["b.example"]);
    assert_eq!(with(received("c.example", Wanted::Reversal, 2)).because.len(), 2, "of another hub");
    assert_eq!(with(received("a.example", Wanted::Reversal, 5)).because.len(), 2, "of an earlier request");
    let alone = policy.decide(&[asked[0].clone(), received("a.example", Wanted::Reversal, 1)], NOW);
    assert_eq!((alone.remedy, alone.weight), (None, 0.0));
}

#[test]
fn an_operator_changes_the_policy() {
    let text = "batch_hours = 6\nbudget_per_day = 10\nhalf_life_hours = 100\nsuspend = 1.0\nremove = 2.0\n\
                delete = 3.0\nothers = { weight = 0.0, count = 1 }\n\
                [hubs]\n\"hub.example\" = { weight = 3.0, count = 1 }\n";
    let policy = HomePolicy::parse(text).unwrap();
    assert_eq!(policy.decide(&[received("x.example", Wanted::Delete, 0)], NOW).remedy, None);
    assert_eq!(policy.decide(&[received("hub.example", Wanted::Delete, 0)], NOW).remedy, Some(HomeRemedy::Delete));
    assert_eq!(policy.hubs[&domain("hub.example")], PeerPolicy { weight: 3.0, count: 1 });
    let with = |from: &str, to: &str| {
        assert!(text.contains(from));
        HomePolicy::parse(&text.replacen(from, to, 1)).unwrap_err()
    };
    for (from, to, name) in [
        ("batch_hours = 6", "batch_hours = 0", "batch_hours"),
        ("budget_per_day = 10", "budget_per_day = 0", "budget_per_day"),
        ("half_life_hours = 100", "half_life_hours = 0", "half_life_hours"),
        ("suspend = 1.0", "suspend = 0.0", "suspend, remove, delete"),
        ("remove = 2.0", "remove = 0.5", "suspend, remove, delete"),
        ("delete = 3.0", "delete = nan", "suspend, remove, delete"),
        ("delete = 3.0", "delete = inf", "suspend, remove, delete"),
        ("suspend = 1.0", "suspend = 1.0\nwindow_days = 0", "window_days"),
        ("suspend = 1.0", "suspend = 1.0\nwindow_days = 366", "window_days"),
        ("weight = 3.0", "weight = 1000000.0", "others or hubs"),
        ("weight = 3.0", "weight = -1.0", "others or hubs"),
        ("count = 1", "count = 0", "others or hubs"),
    ] {
        assert_eq!(with(from, to), PolicyError::Range(name), "{to}");
    }
    assert!(matches!(with("others", "other"), PolicyError::Toml(_)));
}

#[test]
fn decisions_fall_at_moments_that_all_accounts_share() {
    let policy = HomePolicy { batch_hours: 6, ..HomePolicy::default() };
    let next = policy.next_batch(NOW);
    assert_eq!(next.as_millis() % 21_600_000, 0);
    assert!(next > NOW && next <= NOW.after(HOUR * 6));
    assert_eq!(policy.next_batch(next), next.after(HOUR * 6));
}

#[test]
fn moments_are_within_the_window_and_on_a_tick() {
    let plan = Plan::new(HOUR * 48, HOUR).unwrap();
    let mut entropy = SeededEntropy::new([1; 32]);
    let moments = plan.moments(0..1000, NOW, &mut entropy);
    assert_eq!(moments.iter().map(|(which, _)| *which).collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
    assert!(moments.iter().all(|(_, at)| *at > NOW && *at <= NOW.after(HOUR * 49) && at.as_millis() % 3_600_000 == 0));
    let mut hours: Vec<u64> = moments.iter().map(|(_, at)| at.as_millis()).collect();
    hours.sort_unstable();
    hours.dedup();
    assert!(hours.len() >= 45, "all over the window: {}", hours.len());
    assert_eq!(Plan::new(HOUR, Duration::ZERO), Err(PlanError::Tick));
    assert_eq!(Plan::new(HOUR, HOUR * 2), Err(PlanError::Window));
    assert_eq!(Plan::new(HOUR * 24 * 367, HOUR), Err(PlanError::Window));
}

/// The observer guesses that the pseudonym that left nearest in time belongs to the one in question.
fn linked(accounts: usize, plan: Option<Plan>) -> f64 {
    let mut entropy = SeededEntropy::new([9; 32]);
    let mut removals: Vec<(u64, usize)> = Vec::new();
    for account in 0..accounts {
        let mut bits = [0; 8];
        entropy.fill(&mut bits);
        let decided = Timestamp::from_millis(u64::from_be_bytes(bits) % (30 * 86_400_000));
        match plan {
            Some(plan) => {
                let moments = plan.moments([(); 8], decided, &mut entropy);
                removals.extend(moments.into_iter().map(|((), at)| (at.as_millis(), account)));
            }
            None => removals.extend((0..8).map(|at| (decided.as_millis() + at, account))),
        }
    }
    let right: f64 = (0..removals.len())
        .map(|at| {
            let others = || removals.iter().enumerate().filter(move |(other, _)| *other != at);
            let nearest = others().map(|(_, (when, _))| when.abs_diff(removals[at].0)).min().unwrap();
            let near: Vec<_> = others().filter(|(_, (when, _))| when.abs_diff(removals[at].0) == nearest).collect();
            near.iter().filter(|(_, (_, account))| *account == removals[at].1).count() as f64 / near.len() as f64
        })
        .sum();
    right / removals.len() as f64
}

#[test]
fn phases_hide_among_other_accounts_and_only_there() {
    let plan = Some(Plan::default());
    let at_once = linked(200, None);
    assert!(at_once > 0.95, "{at_once}");
    let phased = linked(200, plan);
    assert!(phased < 0.05, "{phased}");
    assert!(linked(1, plan) > 0.999, "who is removed alone hides in nothing");
}
