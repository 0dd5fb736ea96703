//! How many pseudonyms an account gets, and by what.

use super::*;

contract! {
    a_quota_is_exact_when_fifty_draw_at_once,
    a_quota_is_for_a_period_and_a_request_for_tokens_counts_once,
    a_token_is_spent_once_whoever_asks,
    a_pseudonym_with_its_own_device_draws_nothing,
}

fn a_quota_is_exact_when_fifty_draw_at_once(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let draw = Draw { period: 3, allowed: Some(7) };
    let drawn: Vec<_> = std::thread::scope(|scope| {
        let draws: Vec<_> = (0..50_u8)
            .map(|number| {
                let (store, alice) = (&store, &alice);
                scope.spawn(move || refused(store.assign_pseudonyms(alice, &[pseudonym(number)], None, draw)))
            })
            .collect();
        draws.into_iter().map(|draw| draw.join().unwrap()).collect()
    });
    assert_eq!(drawn.iter().filter(|refusal| refusal.is_none()).count(), 7);
    assert_eq!(drawn.iter().filter(|refusal| **refusal == Some(Problem::OverQuota)).count(), 43);
    let owned = (0..50_u8).filter(|number| store.owns(alice.account, &pseudonym(*number)).unwrap());
    assert_eq!(owned.count(), 7);
}

fn a_quota_is_for_a_period_and_a_request_for_tokens_counts_once(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let draw = |period: i64| Draw { period, allowed: Some(5) };
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[1; 32], draw(1))), None);
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[1; 32], draw(1))), None, "the same request");
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[2; 32], draw(1))), Some(Problem::OverQuota));
    assert_eq!(refused(store.draw_tokens(&alice, 3, &[2; 32], draw(1))), Some(Problem::OverQuota), "not as known");
    assert_eq!(refused(store.draw_tokens(&alice, 2, &[3; 32], draw(1))), None);
    assert_eq!(refused(store.assign_pseudonyms(&alice, &[pseudonym(1)], None, draw(1))), Some(Problem::OverQuota));
    assert_eq!(refused(store.draw_tokens(&alice, 6, &[4; 32], draw(2))), Some(Problem::OverQuota), "more than all");
    assert_eq!(refused(store.draw_tokens(&alice, 5, &[4; 32], draw(2))), None, "a new period");
    assert_eq!(refused(store.draw_tokens(&alice, 100, &[5; 32], ANY)), None, "no quota");
}

fn a_token_is_spent_once_whoever_asks(place: &Place) {
    let store = place.open();
    let redeemed: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..50_u8)
            .map(|number| {
                let store = &store;
                scope.spawn(move || store.redeem(&[9; 32], &pseudonym(number), &new_device(number)).unwrap())
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(redeemed.iter().filter(|won| **won).count(), 1);
    drop(store);
    let store = place.open();
    assert!(!store.redeem(&[9; 32], &pseudonym(60), &new_device(60)).unwrap(), "not after a restart either");
    assert!(store.redeem(&[8; 32], &pseudonym(61), &new_device(61)).unwrap());
}

fn a_pseudonym_with_its_own_device_draws_nothing(place: &Place) {
    let store = place.open();
    let alice = alice(&store);
    let entry = TieEntry { found_by: vec![1; 32], tie: vec![2; 9], listed: None };
    let draw = Draw { period: 1, allowed: Some(1) };
    assert_eq!(refused(store.detach(alice.account, &pseudonym(2), &new_device(2), &entry, draw)), None);
    assert_eq!(store.tie(&[1; 32]).unwrap(), Some(vec![2; 9]));
    assert_eq!(store.tie(&[2; 32]).unwrap(), None);
    let detached = store.device_by_token(&[2; 32]).unwrap().unwrap();
    assert!(detached.account != alice.account);
    assert!(store.owns(detached.account, &pseudonym(2)).unwrap());
    assert!(!store.owns(alice.account, &pseudonym(2)).unwrap());
    assert_eq!(refused(store.draw_tokens(&detached, 1, &[1; 32], ANY)), Some(Problem::Forbidden));
    assert_eq!(refused(store.assign_pseudonyms(&detached, &[pseudonym(3)], None, ANY)), Some(Problem::Forbidden));
    let other = TieEntry { found_by: vec![3; 32], tie: vec![], listed: None };
    let over = store.detach(alice.account, &pseudonym(4), &new_device(4), &other, draw);
    assert_eq!(refused(over), Some(Problem::OverQuota));
    assert!(store.device_by_token(&[4; 32]).unwrap().is_none(), "nothing of it was stored");
    assert_eq!(store.seat(alice.account).unwrap(), 0);
    assert_eq!((store.seat(detached.account).unwrap(), store.seat(alice.account).unwrap()), (1, 0));
}
