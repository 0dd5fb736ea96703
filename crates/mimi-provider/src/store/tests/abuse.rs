//! What speaks against users, and what is decided from it.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mimi_abuse::{
    remedy::{RemedyRequestTbs, Wanted},
    signal::{Fact, Remedy as StepRemedy, SignalKind, Source, Step, Table},
};

use super::*;
use crate::store::{Asks, Judge, Verdict};

contract! {
    facts_and_evidence_are_kept_once_and_within_bounds,
    a_decision_is_carried_out_once,
    facts_that_come_at_once_are_decided_from_one_after_the_other,
    a_provider_is_asked_with_the_decision_and_asked_to_reverse_with_the_pardon,
    what_a_message_says_of_its_sender_is_stored_with_it,
}

fn bob() -> UserUri {
    UserUri::new(&domain("b.example"), "bob").unwrap()
}

fn after(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn fact(kind: SignalKind, tag: u8, at: Timestamp) -> Fact {
    let source = Source { domain: domain("b.example"), tag: [tag; 32] };
    Fact { kind, room: Some(room("club")), source, at }
}

fn evidence(number: u8) -> Evidence {
    Evidence {
        reference: [number; 32],
        room: room("club"),
        message: vec![number; 5],
        accepted: after(u64::from(number)),
    }
}

/// Decides this, whatever speaks against whomever.
fn always(remedy: StepRemedy, hours: Option<u32>) -> impl Fn(&UserUri, &[Fact]) -> Option<Verdict> + Send {
    let step = Step { score: 1.0, remedy, hours, related: false };
    move |_, _| Some(Verdict { step, explanation: "because".into(), asks: None })
}

const NOTHING: &Judge<'static> = &|_, _| None;

fn facts_and_evidence_are_kept_once_and_within_bounds(place: &Place) {
    let store = place.open();
    let (bob, club) = (bob(), room("club"));
    let weigh = |fact: &Fact, evidence: &[Evidence]| store.weigh(&bob, &club, fact, evidence, NOTHING).unwrap();
    let [first, later] = [fact(SignalKind::Word, 1, NOW), fact(SignalKind::Word, 1, after(9))];
    assert_eq!(weigh(&first, &[evidence(1)]), None);
    assert_eq!(store.facts(&bob).unwrap(), [first]);
    weigh(&later, &[evidence(1)]);
    assert_eq!(store.facts(&bob).unwrap(), std::slice::from_ref(&later), "in place of the earlier one");
    let other = fact(SignalKind::Mute, 1, after(3));
    let nowhere = Fact { room: None, ..fact(SignalKind::Ban, 2, after(1)) };
    store.note_fact(&bob, &other).unwrap();
    store.note_fact(&bob, &nowhere).unwrap();
    assert_eq!(store.facts(&bob).unwrap(), [nowhere, other, later], "by their times");
    assert!(store.facts(&user("alice")).unwrap().is_empty());
    let many: Vec<_> = (1..60).map(evidence).collect();
    weigh(&fact(SignalKind::VerifiedReport, 1, NOW), &many);
    assert_eq!(store.evidence(&bob, 100).unwrap().len(), 32, "so many are kept");
    assert_eq!(store.evidence(&bob, 2).unwrap(), [vec![32; 5], vec![31; 5]], "the latest first");
    store.forget_abuse(after(4)).unwrap();
    assert_eq!(store.facts(&bob).unwrap().len(), 1);
    assert_eq!(store.evidence(&bob, 100).unwrap().len(), 29);
}

fn a_decision_is_carried_out_once(place: &Place) {
    let store = place.open();
    let (bob, club) = (bob(), room("club"));
    let decide = |judge: &Judge<'_>, at| store.weigh(&bob, &club, &fact(SignalKind::Word, 1, at), &[], judge).unwrap();
    assert_eq!(store.decided_about(&bob, &club).unwrap(), None);
    assert_eq!(decide(&always(StepRemedy::Ban, Some(2)), NOW), Some(StepRemedy::Ban));
    assert_eq!(decide(&always(StepRemedy::Ban, Some(2)), after(5)), None, "once for each step");
    assert_eq!(decide(&always(StepRemedy::Mute, None), NOW), Some(StepRemedy::Mute));
    assert_eq!(store.decided_about(&bob, &club).unwrap(), Some(after(7200)));
    let undone = store.undone_decisions().unwrap();
    let wanted = Decided { subject: bob.clone(), room: club.clone(), remedy: StepRemedy::Ban.name().into(), hours: 2 };
    assert_eq!(undone, std::slice::from_ref(&wanted));
    store.forget_abuse(after(100)).unwrap();
    assert_eq!(store.undone_decisions().unwrap(), undone, "what is not carried out is not forgotten");
    store.decision_done(&wanted, after(1)).unwrap();
    assert!(store.undone_decisions().unwrap().is_empty());
    assert!(!store.pardon(&bob, &asks(&bob, Wanted::Reversal)).unwrap(), "nobody was asked for anything");
    assert_eq!(store.decided_about(&bob, &club).unwrap(), None);
    assert!(store.asked(after(100_000)).unwrap().is_empty());
}

/// Reports and commits about the same user, all at once: each is decided from by itself, whichever comes first.
fn facts_that_come_at_once_are_decided_from_one_after_the_other(place: &Place) {
    const AT_ONCE: u8 = 9;
    let store = place.open();
    let first = alice(&store);
    for number in 0..AT_ONCE {
        assert!(create(&store, &first, &format!("room-{number}")));
    }
    let barrier = std::sync::Arc::new(Barrier::new(AT_ONCE.into()));
    let threads: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let (store, barrier) = (place.other(&store), std::sync::Arc::clone(&barrier));
            std::thread::spawn(move || {
                let (table, score, room) = (Table::default(), AtomicU32::new(0), room(&format!("room-{number}")));
                let source = Source { domain: domain(&format!("{}.example", number / 3)), tag: [number; 32] };
                let fact = Fact { kind: SignalKind::VerifiedReport, room: Some(room.clone()), source, at: NOW };
                let judge = |_: &UserUri, facts: &[Fact]| {
                    let decision = table.decide(facts, NOW);
                    // Sums of ones.
                    score.store(decision.score.to_string().parse().unwrap(), Ordering::SeqCst);
                    Some(Verdict { step: decision.step?, explanation: decision.to_string(), asks: None })
                };
                barrier.wait();
                let decided = if number % 2 == 0 {
                    store.weigh(&bob(), &room, &fact, &[], &judge).unwrap()
                } else {
                    let (body, facts) = (InboxBody::RoomDestroyed { room: room.clone() }, [(bob(), fact)]);
                    let commit = CommitRecord { facts: &facts, judge: &judge, ..empty_commit(&room, 1, &body) };
                    let mut decided = store.accept_commit(&commit).unwrap().1;
                    assert!(decided.len() <= 1);
                    decided.pop()
                };
                (score.into_inner(), decided)
            })
        })
        .collect();
    let mut decided: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    decided.sort_unstable_by_key(|(score, _)| *score);
    let steps = [
        None,
        Some(StepRemedy::Mute),
        Some(StepRemedy::Kick),
        Some(StepRemedy::Ban),
        Some(StepRemedy::Ban),
        Some(StepRemedy::AskSuspend),
    ];
    let steps = steps.into_iter().chain(std::iter::repeat(Some(StepRemedy::AskSuspend)));
    let expected: Vec<_> = (1..=u32::from(AT_ONCE)).zip(steps).collect();
    assert_eq!(decided, expected, "no step is left out, whoever was first");
}

fn asks(subject: &UserUri, wanted: Wanted) -> Asks {
    let suite = CipherSuite::X25519Aes128Ed25519;
    let tbs = RemedyRequestTbs {
        id: crate::OsEntropy.bits128(),
        hub: domain("a.example"),
        subject: subject.clone(),
        wanted,
        related: false,
        made_at: NOW,
        note: String::new(),
        evidence: vec![],
    };
    let key = SigningKey::from_secret(suite.signature_scheme(), &[3; 32]).unwrap();
    Asks { tbs, shows: 4, suite, key, due_at: after(60) }
}

fn a_provider_is_asked_with_the_decision_and_asked_to_reverse_with_the_pardon(place: &Place) {
    let store = place.open();
    let (bob, club) = (bob(), room("club"));
    let step = Step { score: 1.0, remedy: StepRemedy::AskSuspend, hours: None, related: false };
    let judge = |about: &UserUri, _: &[Fact]| {
        Some(Verdict { step, explanation: "because".into(), asks: Some(asks(about, Wanted::Suspend)) })
    };
    for tag in [1, 2] {
        store.weigh(&bob, &club, &fact(SignalKind::Word, tag, NOW), &[], &judge).unwrap();
    }
    assert!(store.asked(after(59)).unwrap().is_empty());
    let due = store.asked(after(60)).unwrap();
    assert_eq!((due.len(), &due[0].peer), (1, &domain("b.example")), "asked once");
    assert!(store.pardon(&bob, &asks(&bob, Wanted::Reversal)).unwrap());
    assert_eq!(store.asked(after(60)).unwrap().len(), 2);
    assert_eq!((store.facts(&bob).unwrap(), store.decided_about(&bob, &club).unwrap()), (vec![], None));
    // About a user of this provider nothing goes out: the request is there already.
    let own = user("alice");
    store.weigh(&own, &club, &fact(SignalKind::Word, 1, NOW), &[], &judge).unwrap();
    assert_eq!(store.asked(after(60)).unwrap().len(), 2);
    let device = alice(&store);
    assert_eq!(store.accounts_asked_about(after(1)).unwrap(), [device.account]);
}

fn what_a_message_says_of_its_sender_is_stored_with_it(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    let (club, sender) = (room("club"), user("alice"));
    let rate = |tag| Fact { kind: SignalKind::MessageRate, ..fact(SignalKind::MessageRate, tag, NOW) };
    let record = |number: u8, epoch| MessageRecord {
        room: club.clone(),
        sender: sender.clone(),
        device: Some(device.clone()),
        hash: [number; 32],
        accepted: NOW,
        epoch,
        outbox: vec![],
        body: InboxBody::RoomDestroyed { room: club.clone() }.encode(),
        receivers: None,
        limit: None,
        version: None,
        too_often: TooOften { sender: Some(rate(number)), account: Some(rate(number + 100)) },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let submit = |record, judge: Box<Judge<'static>>| runtime.block_on(async { store.submit(record, judge).await });
    let nothing = || -> Box<Judge<'static>> { Box::new(|_, _| None) };
    // A message that is not accepted says nothing.
    assert!(submit(record(11, 7), nothing()).unwrap_err().is_stale());
    assert_eq!(store.facts(&sender).unwrap(), []);
    // One that is says it of its sender and of the account, which are the same here; and is decided from.
    let answer = submit(record(11, 0), Box::new(always(StepRemedy::Mute, None))).unwrap();
    assert!(matches!(answer, Submitted::Accepted(_, Some(StepRemedy::Mute))), "{answer:?}");
    let tags: Vec<_> = store.facts(&sender).unwrap().iter().map(|fact| fact.source.tag[0]).collect();
    assert_eq!(tags, [11, 111]);
    // The same once more says nothing more, nor does one that is refused.
    let again = submit(MessageRecord { too_often: record(12, 0).too_often, ..record(11, 0) }, nothing()).unwrap();
    assert_eq!(again, Submitted::Before(NOW));
    let muted = submit(record(13, 0), Box::new(always(StepRemedy::Mute, None))).unwrap();
    assert_eq!(muted, Submitted::NotAllowed);
    assert_eq!(store.facts(&sender).unwrap().len(), 2);
}
