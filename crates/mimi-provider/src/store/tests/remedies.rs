use std::time::Duration;

use mimi_abuse::{
    remedy::{HomeRemedy, RemedyRequest, RemedyRequestTbs, Wanted},
    signal::{Fact, SignalKind, Source},
};
use mimi_wire::local::{AppealState, StandingRemedy};

use super::*;
use crate::store::{Cause, Decision, Moments};

contract! {
    a_name_that_came_meanwhile_has_its_moment_and_none_comes_afterwards,
    a_decision_goes_with_its_cause_and_what_shows_follows,
    rooms_to_leave_are_found_at_their_moment_and_taken_once,
    an_appeal_that_is_granted_takes_back_what_was_decided,
    an_account_ends_when_its_last_moment_has_come,
    what_a_commit_says_of_users_is_stored_with_it,
}

const LATER: Timestamp = Timestamp::from_secs(2_000_000);

fn person(store: &Store, name: &str, number: u8) -> (Device, UserUri) {
    assert!(store.register(&profile(name), &new_device(number)).unwrap());
    let device = store.device_by_token(&[number; 32]).unwrap().unwrap();
    store.assign_pseudonyms(&device, &[pseudonym(number)], None, ANY).unwrap();
    (device, pseudonym(number))
}

/// Every name at the same moment: now, or later.
const AT_ONCE: &Moments<'static> = &|names| names.into_iter().map(|name| (name, NOW)).collect();
const IN_THE_END: &Moments<'static> = &|names| names.into_iter().map(|name| (name, LATER)).collect();

fn decision(account: AccountId, remedy: HomeRemedy, due: Timestamp) -> Decision<'static> {
    let moments = if due == NOW { AT_ONCE } else { IN_THE_END };
    assert!(due == NOW || due == LATER);
    Decision { account, remedy, explanation: "why".into(), moments }
}

fn ask_about(store: &Store, subject: &UserUri, wanted: Wanted) {
    let key = SigningKey::generate(CipherSuite::X25519Aes128Ed25519.signature_scheme(), &mut crate::OsEntropy).unwrap();
    let tbs = RemedyRequestTbs {
        id: crate::OsEntropy.bits128(),
        hub: domain("hub.example"),
        subject: subject.clone(),
        wanted,
        related: true,
        made_at: NOW,
        note: String::new(),
        evidence: vec![],
    };
    let request = RemedyRequest::sign(tbs, CipherSuite::X25519Aes128Ed25519, &key).unwrap();
    store.requested(&request, 100, NOW).unwrap();
}

fn a_decision_goes_with_its_cause_and_what_shows_follows(place: &Place) {
    let store = place.open();
    let (alice, at_alice) = person(&store, "alice", 1);
    let (bob, at_bob) = person(&store, "bob", 2);
    let (cathy, _) = person(&store, "cathy", 3);
    let (a, b, c) = (alice.account, bob.account, cathy.account);
    assert_eq!(store.related(a).unwrap(), []);
    store.relate(&[a, b]).unwrap();
    store.relate(&[b, c]).unwrap();
    assert_eq!(store.related(a).unwrap(), [b, c], "related with all that one of them was related to");
    store.unrelate(c).unwrap();
    assert_eq!((store.related(a).unwrap(), store.related(c).unwrap()), (vec![b], vec![]));
    assert_eq!(store.account_named(&user("alice")).unwrap(), Some(a));
    assert_eq!(store.account_named(&at_alice).unwrap(), None, "a pseudonym is no account's name");

    let both = [decision(a, HomeRemedy::Remove, NOW), decision(b, HomeRemedy::Suspend, NOW)];
    store.decide_about(Cause::Asked(a), &both, NOW).unwrap();
    let own = decision(b, HomeRemedy::Delete, LATER);
    store.decide_about(Cause::Operator(b), std::slice::from_ref(&own), NOW).unwrap();
    assert!(store.is_suspended(a).unwrap() && store.is_suspended(b).unwrap() && !store.is_suspended(c).unwrap());
    assert!(store.is_silenced(&at_alice, NOW).unwrap());
    assert!(store.is_silenced(&at_bob, NOW).unwrap(), "a name keeps the moment it has");
    let decided = store.decided().unwrap();
    assert_eq!(decided.len(), 3);
    assert!(decided.iter().all(|one| !one.text.contains("mimi:")));
    assert_eq!(store.standing(b).unwrap().remedy, StandingRemedy::Deleted, "the harshest of what is decided");
    // What was decided for one cause goes; what was decided for another stays.
    store.decide_about(Cause::Asked(a), &[], NOW).unwrap();
    assert!(!store.is_suspended(a).unwrap() && !store.is_silenced(&at_alice, LATER).unwrap());
    assert!(store.is_suspended(b).unwrap() && store.is_silenced(&at_bob, NOW).unwrap());
    store.decide_about(Cause::Operator(b), &[], NOW).unwrap();
    assert!(!store.is_suspended(b).unwrap() && !store.is_silenced(&at_bob, LATER).unwrap());
}

fn rooms_to_leave_are_found_at_their_moment_and_taken_once(place: &Place) {
    let store = place.open();
    let (alice, at_alice) = person(&store, "alice", 1);
    let scheme = CipherSuite::X25519Aes128Ed25519.signature_scheme();
    let key = SigningKey::generate(scheme, &mut SeededEntropy::new([5; 32])).unwrap();
    let fresh = ClientUri::pseudonym(&domain("a.example"), [77; 16]);
    let client = store.client_for(&alice, &at_alice, key.public_key(), &fresh).unwrap().unwrap();
    let club: RoomUri = "mimi://hub.example/r/club".parse().unwrap();
    let pub_room: RoomUri = "mimi://other.example/r/pub".parse().unwrap();
    store.expect_in_room(&alice, &club, &client).unwrap();
    store.expect_in_room(&alice, &pub_room, &alice.client).unwrap();
    let ids = std::cell::Cell::new(0_u8);
    let due = |store: &Store, now| {
        let fresh = || {
            ids.set(ids.get() + 1);
            [ids.get(); 16]
        };
        store.due_removals(now, fresh).unwrap()
    };
    assert_eq!(due(&store, LATER), [], "nothing was decided");
    let suspend = decision(alice.account, HomeRemedy::Suspend, LATER);
    store.decide_about(Cause::Asked(alice.account), &[suspend], NOW).unwrap();
    assert_eq!(due(&store, LATER), [], "who is suspended stays in its rooms");
    let remove = decision(alice.account, HomeRemedy::Remove, LATER);
    store.decide_about(Cause::Asked(alice.account), &[remove], NOW).unwrap();
    assert_eq!(due(&store, NOW), [], "not yet");
    let taken = due(&store, LATER);
    let mut pairs: Vec<_> = taken.iter().map(|one| (one.subject.clone(), one.room.clone())).collect();
    pairs.sort();
    let mut wanted = vec![(at_alice.clone(), club.clone()), (user("alice"), pub_room.clone())];
    wanted.sort();
    assert_eq!(pairs, wanted);
    assert_eq!(due(&place.other(&store), LATER), [], "nobody else gets them meanwhile");
    let again = due(&store, LATER.after(Duration::from_secs(601)));
    assert_eq!(again, taken, "with the same ids");
    store.removal_asked(&again[0].id, LATER.after(Duration::from_secs(86_400))).unwrap();
    assert_eq!(due(&store, LATER.after(Duration::from_secs(1300))), again[1..]);
    // Whoever is out is asked for no more, and whoever is not to leave any more.
    store.out_of_room(&at_alice, &club).unwrap();
    assert!(store.expect_in_room(&alice, &club, &client).unwrap(), "it was out");
    store.not_in_room(&club, &client).unwrap();
    let left = due(&store, LATER.after(Duration::from_secs(100_000)));
    assert_eq!(left.iter().map(|one| &one.room).collect::<Vec<_>>(), [&pub_room]);
    store.decide_about(Cause::Asked(alice.account), &[], NOW).unwrap();
    assert_eq!(due(&store, LATER.after(Duration::from_secs(200_000))), []);
}

fn an_appeal_that_is_granted_takes_back_what_was_decided(place: &Place) {
    let store = place.open();
    let (alice, at_alice) = person(&store, "alice", 1);
    let (bob, at_bob) = person(&store, "bob", 2);
    let (a, b) = (alice.account, bob.account);
    let standing = store.appeal(a, "why?", NOW).unwrap();
    assert_eq!(
        (standing.remedy, standing.appeal),
        (StandingRemedy::Nothing, AppealState::Nothing),
        "nothing to appeal"
    );
    assert!(store.open_appeals().unwrap().is_empty() && !store.answer_appeal(&[a], true).unwrap());
    store.relate(&[a, b]).unwrap();
    ask_about(&store, &at_alice, Wanted::Suspend);
    assert_eq!(store.accounts_asked_about(LATER).unwrap(), [a]);
    let (asked, _) = store.asked_about(a, LATER).unwrap();
    assert!(asked.len() == 1 && asked[0].related && !asked[0].with_evidence);
    let both = [decision(a, HomeRemedy::Remove, NOW), decision(b, HomeRemedy::Remove, NOW)];
    store.decide_about(Cause::Asked(a), &both, NOW).unwrap();

    assert_eq!(store.appeal(a, "not I", NOW).unwrap().appeal, AppealState::Open);
    assert_eq!(store.appeal(a, "really not I", NOW).unwrap().appeal, AppealState::Open);
    let waits = store.open_appeals().unwrap();
    assert_eq!((waits.len(), waits[0].text.as_str(), &waits[0].user), (1, "really not I", &user("alice")));
    assert!(store.answer_appeal(&[a], false).unwrap() && !store.answer_appeal(&[a], true).unwrap(), "once");
    let refused = store.appeal(a, "again", NOW).unwrap();
    assert_eq!((refused.remedy, refused.appeal), (StandingRemedy::Removed, AppealState::Refused));
    // What is decided anew may be appealed anew.
    store.decide_about(Cause::Asked(a), &both, LATER).unwrap();
    assert_eq!(store.appeal(a, "again", LATER).unwrap().appeal, AppealState::Open);
    assert!(store.answer_appeal(&[a], true).unwrap());
    let granted = store.standing(a).unwrap();
    assert_eq!((granted.remedy, granted.appeal), (StandingRemedy::Nothing, AppealState::Granted));
    assert_eq!(store.asked_about(a, LATER).unwrap().0, [], "what was asked weighs nothing any more");
    for name in [&at_alice, &at_bob] {
        assert!(!store.is_silenced(name, LATER).unwrap(), "of related accounts too");
    }
    assert_eq!(store.related(b).unwrap(), []);
}

fn an_account_ends_when_its_last_moment_has_come(place: &Place) {
    let store = place.open();
    let (alice, at_alice) = person(&store, "alice", 1);
    let long_ago = Timestamp::default();
    let ended = |now| store.accounts_at_their_end(now, long_ago).unwrap();
    let mut doomed = decision(alice.account, HomeRemedy::Remove, NOW);
    store.decide_about(Cause::Asked(alice.account), std::slice::from_ref(&doomed), NOW).unwrap();
    assert_eq!(ended(LATER), [], "it is to be removed, not deleted");
    store.decide_about(Cause::Asked(alice.account), &[], NOW).unwrap();
    doomed.remedy = HomeRemedy::Delete;
    let moments = |names: Vec<UserUri>| {
        let of = |name: UserUri| if name == at_alice { (name, LATER) } else { (name, NOW) };
        names.into_iter().map(of).collect()
    };
    let doomed = Decision { moments: &moments, ..doomed };
    store.decide_about(Cause::Asked(alice.account), &[doomed], NOW).unwrap();
    assert_eq!(ended(NOW), [], "one name's moment is to come");
    assert_eq!(ended(LATER), [alice.account]);
    // As long as a client is in a room, its hub is asked; but not for ever.
    let room: RoomUri = "mimi://hub.example/r/club".parse().unwrap();
    store.expect_in_room(&alice, &room, &alice.client).unwrap();
    assert_eq!(store.due_removals(LATER, || [9; 16]).unwrap().len(), 1);
    assert_eq!(ended(LATER), []);
    assert_eq!(store.accounts_at_their_end(LATER, LATER).unwrap(), [alice.account]);
    store.not_in_room(&room, &alice.client).unwrap();
    assert_eq!(store.due_removals(LATER, || [8; 16]).unwrap(), []);
    // An appeal that waits holds it up.
    store.appeal(alice.account, "no", LATER).unwrap();
    assert_eq!(ended(LATER), []);
    store.answer_appeal(&[alice.account], false).unwrap();
    assert_eq!(ended(LATER), [alice.account]);
    // It goes with all that was decided about it.
    store.delete_account(alice.account, by_name).unwrap().unwrap();
    assert_eq!((store.decided().unwrap(), store.open_appeals().unwrap()), (vec![], vec![]));
    assert_eq!(store.device_by_token(&[1; 32]).unwrap().map(|device| device.account), None);
}

fn what_a_commit_says_of_users_is_stored_with_it(place: &Place) {
    let store = place.open();
    let source = Source { domain: domain("a.example"), tag: [3; 32] };
    let fact = Fact { kind: SignalKind::Kick, room: Some(room("club")), source, at: NOW };
    let facts = [(user("bob"), fact.clone())];
    assert!(create(&store, &alice(&store), "club"));
    let club = room("club");
    let body = InboxBody::RoomDestroyed { room: club.clone() };
    let accept = |epoch| store.accept_commit(&CommitRecord { facts: &facts, ..empty_commit(&club, epoch, &body) });
    assert!(accept(5).is_err(), "what is not accepted says nothing");
    assert_eq!(store.facts(&user("bob")).unwrap(), []);
    accept(1).unwrap();
    assert_eq!(store.facts(&user("bob")).unwrap(), [fact]);
}

fn a_name_that_came_meanwhile_has_its_moment_and_none_comes_afterwards(place: &Place) {
    let store = place.open();
    let (alice, at_alice) = person(&store, "alice", 1);
    // As if it was drawn between the decision and its being written down: those who decide have not seen it.
    let suspend = decision(alice.account, HomeRemedy::Suspend, NOW);
    store.assign_pseudonyms(&alice, &[pseudonym(7)], None, ANY).unwrap();
    store.decide_about(Cause::Operator(alice.account), &[suspend], NOW).unwrap();
    for name in [at_alice, pseudonym(7), user("alice")] {
        assert!(store.is_silenced(&name, NOW).unwrap());
    }
    // As if it was asked for before the decision and is drawn after it.
    let refusal = |drawn: Result<(), Fail>| drawn.map_err(|fail| fail.problem()).unwrap_err();
    let late = store.assign_pseudonyms(&alice, &[pseudonym(8)], None, ANY).map(drop);
    assert_eq!(refusal(late), Problem::Forbidden);
    let entry = TieEntry { found_by: vec![1; 32], tie: vec![2; 9], listed: None };
    let detached = store.detach(alice.account, &pseudonym(9), &new_device(9), &entry, ANY);
    assert_eq!(refusal(detached), Problem::Forbidden);
    assert_eq!(refusal(store.draw_tokens(&alice, 1, &[1; 32], ANY)), Problem::Forbidden);
    store.decide_about(Cause::Operator(alice.account), &[], NOW).unwrap();
    store.assign_pseudonyms(&alice, &[pseudonym(8)], None, ANY).unwrap();
}
