//! What is remembered so that nothing is done twice, and until when.

use std::time::Duration;

use super::*;

contract! {
    what_was_accepted_is_forgotten_when_it_is_old_and_refused_for_its_epoch,
    messages_of_other_hubs_are_forgotten_when_they_are_too_old_to_be_taken,
}

fn days(days: u64) -> Timestamp {
    NOW.after(Duration::from_secs(days * 86_400))
}

fn what_was_accepted_is_forgotten_when_it_is_old_and_refused_for_its_epoch(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    let body = InboxBody::RoomDestroyed { room: room("club") };
    let lead = |epoch: u64, day: u64, snapshot: bool| {
        let hash = [u8::try_from(epoch).unwrap() + 100; 32];
        let snapshot = snapshot.then_some(b"snapshot".as_slice());
        let club = room("club");
        store
            .accept_commit(&CommitRecord { hash, accepted: days(day), snapshot, ..empty_commit(&club, epoch, &body) })
            .unwrap();
    };
    let count = || store.remembered().unwrap().0;
    let seen = |number: u16| {
        let mut hash = [200; 32];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        store.accepted_at(&room("club"), &hash).unwrap().is_some()
    };
    message(&store, "club", 0, 1).unwrap();
    lead(1, 40, false);
    assert!(seen(1) && count() == 3, "old, and the log leads back to its epoch");
    message(&store, "club", 1, 2).unwrap();
    assert!(matches!(message(&store, "club", 1, 2).unwrap(), Submitted::Before(_)));
    lead(2, 41, true);
    lead(3, 42, true);
    assert_eq!(count(), 3, "the commits; what was sent in the epochs before is gone, and the request for the room");
    assert!(!seen(1) && !seen(2));
    assert!(message(&store, "club", 1, 2).unwrap_err().is_stale(), "it is refused for its epoch");
    message(&store, "club", 3, 3).unwrap();
    lead(4, 43, true);
    assert!(seen(3), "one more may be gone back over");
    lead(5, 90, true);
    lead(6, 91, true);
    assert!(!seen(3));
    let young = |epoch: u64| matches!(message(&store, "club", epoch, 3), Ok(Submitted::Accepted(..)));
    assert!(young(6), "whoever sends what was forgotten, in the epoch that is, sends something new");
    assert!(seen(3) && count() <= 4);
}

fn messages_of_other_hubs_are_forgotten_when_they_are_too_old_to_be_taken(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let other: RoomUri = "mimi://b.example/r/club".parse().unwrap();
    let client = device.client.clone();
    assert!(store.expect_in_room(&device, &other, &client).unwrap());
    let sent = |number: u8, day: u64| Notification { sent: days(day), ..notification(number, None) };
    let notify = |message: Notification| match store.notify(&other, &[message]).unwrap() {
        NotifyOutcome::Taken(wake) => !wake.devices.is_empty(),
        refused => panic!("{refused:?}"),
    };
    assert!(notify(sent(1, 0)) && notify(sent(2, 10)));
    store.forget_notified(days(90)).unwrap();
    assert!(!notify(sent(1, 0)) && !notify(sent(2, 10)), "both may still come once more");
    store.forget_notified(days(91)).unwrap();
    assert_eq!(store.remembered().unwrap().1, 1);
    assert!(!notify(sent(2, 10)));
    // What an older version has stored has no time yet.
    store.write(|db| db.execute("UPDATE notify_seen SET sent_at = 0", [0_i64; 0])).unwrap();
    store.forget_notified(days(100)).unwrap();
    store.forget_notified(days(190)).unwrap();
    assert_eq!(store.remembered().unwrap().1, 1, "it counts from when it was first looked at");
    store.forget_notified(days(191)).unwrap();
    assert_eq!(store.remembered().unwrap().1, 0);
}
