//! Questions about encrypted scores, and what accounts get by their reputation.

use super::*;

contract! {
    a_question_is_kept_with_its_answer_and_what_is_proved_stays,
    a_reputation_lets_an_account_draw_more_and_a_proof_takes_it_back,
    conduct_is_counted_once_by_two_processes,
    questions_go_with_their_account,
}

const QUOTA: Draw = Draw { period: 1, allowed: Some(1) };

fn answered(reached: bool, confirmed: bool) -> Answered {
    Answered { reached, confirmed }
}

fn a_question_is_kept_with_its_answer_and_what_is_proved_stays(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    assert_eq!(store.keep_question(alice.account, About::Complaints, &[7; 66], NOW).unwrap(), 0);
    assert_eq!(store.keep_question(alice.account, About::Reputation, &[8; 66], later()).unwrap(), 1);
    drop(store);
    let store = place.open();
    let kept = store.question(1).unwrap().unwrap();
    assert_eq!((kept.number, kept.account, kept.user.clone()), (1, alice.account, user("alice")));
    assert_eq!((kept.about, kept.question.clone(), kept.asked_at), (About::Reputation, vec![8; 66], later()));
    assert_eq!(kept.answer, None);
    assert_eq!(store.questions().unwrap(), [store.question(0).unwrap().unwrap(), kept]);
    assert_eq!(store.question(2).unwrap(), None);
    assert_eq!(store.question(u64::MAX).unwrap(), None);
    let answer = || store.question(0).unwrap().unwrap().answer;
    store.answer_question(0, answered(true, false), 1).unwrap();
    assert_eq!(answer(), Some(answered(true, false)));
    store.answer_question(0, answered(false, true), 1).unwrap();
    assert_eq!(answer(), Some(answered(false, true)), "the second round goes before the first");
    store.answer_question(0, answered(true, false), 1).unwrap();
    assert_eq!(answer(), Some(answered(false, true)));
    // What is asked about complaints gives nobody more.
    assert_eq!(refused(store.draw_tokens(&alice, 2, &[1; 32], QUOTA)), Some(Problem::OverQuota));
}

fn a_reputation_lets_an_account_draw_more_and_a_proof_takes_it_back(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let number = store.keep_question(alice.account, About::Reputation, &[7; 66], NOW).unwrap();
    store.wants_more(alice.account).unwrap();
    store.wants_more(alice.account).unwrap();
    assert_eq!(store.who_wants_more().unwrap(), [user("alice")]);
    store.answer_question(number, answered(false, false), 2).unwrap();
    assert_eq!(store.who_wants_more().unwrap(), []);
    assert_eq!(refused(store.draw_tokens(&alice, 2, &[1; 32], QUOTA)), Some(Problem::OverQuota));
    store.wants_more(alice.account).unwrap();
    store.answer_question(number, answered(true, false), 2).unwrap();
    assert_eq!(store.who_wants_more().unwrap(), []);
    assert_eq!(refused(store.draw_tokens(&alice, 4, &[2; 32], QUOTA)), Some(Problem::OverQuota), "one, and two more");
    // Of fifty at once just as many get some as there are.
    let drawn: Vec<bool> = std::thread::scope(|scope| {
        let draw = |number: u8| {
            let (store, alice) = (&store, &alice);
            scope.spawn(move || store.draw_tokens(alice, 1, &[number; 32], QUOTA).is_ok())
        };
        let all: Vec<_> = (10..60).map(draw).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(drawn.iter().filter(|drawn| **drawn).count(), 3);
    store.wants_more(alice.account).unwrap();
    assert_eq!(store.who_wants_more().unwrap(), [], "it has what there is");
    store.answer_question(number, answered(false, true), 2).unwrap();
    let next = Draw { period: 2, allowed: Some(1) };
    assert_eq!(refused(store.draw_tokens(&alice, 2, &[3; 32], next)), Some(Problem::OverQuota));
    assert_eq!(refused(store.draw_tokens(&alice, 1, &[3; 32], next)), None);
}

fn conduct_is_counted_once_by_two_processes(place: &Place) {
    let store = place.open();
    let other = place.other(&store);
    assert_eq!(store.conduct_counted().unwrap(), 0);
    assert!(store.count_conduct(0, 5, &[]).unwrap());
    assert!(other.count_conduct(5, 6, &[(0, vec![1; 9]), (3, vec![2; 9])]).unwrap());
    assert!(!store.count_conduct(5, 6, &[(0, vec![9; 9])]).unwrap());
    assert_eq!((store.conduct_counted().unwrap(), store.reputations(0).unwrap()), (6, Some(vec![1; 9])));
    assert_eq!((store.reputations(3).unwrap(), store.reputations(1).unwrap()), (Some(vec![2; 9]), None));
    assert_eq!(store.reputations(u64::MAX).map_err(|_| ()), Err(()));
    assert!(store.count_conduct(6, 7, &[(0, vec![4; 9])]).unwrap());
    assert_eq!(other.reputations(0).unwrap(), Some(vec![4; 9]));
}

fn questions_go_with_their_account(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let number = store.keep_question(alice.account, About::Reputation, &[7; 66], NOW).unwrap();
    store.answer_question(number, answered(true, false), 2).unwrap();
    assert!(store.delete_account(alice.account, by_name).unwrap().is_some());
    assert_eq!((store.questions().unwrap(), store.question(number).unwrap()), (vec![], None));
    let left: i64 = store.read(|db| db.one("SELECT COUNT(*) FROM tie_granted", [0_i64; 0])?.get(0)).unwrap();
    assert_eq!(left, 0);
}
