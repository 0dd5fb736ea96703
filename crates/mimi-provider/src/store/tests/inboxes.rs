//! What waits for devices.

use super::*;

contract! {
    notifications_are_taken_once_and_all_or_none,
    a_device_gets_what_comes_while_it_is_in_a_room,
    who_has_got_a_part_hears_that_there_may_be_more,
    devices_that_look_at_the_same_time_get_each_its_own,
    an_event_goes_when_all_have_taken_it,
    whoever_gets_a_new_event_is_found_at_once,
    events_are_numbered_from_the_time_at_which_a_provider_starts,
}

fn notifications_are_taken_once_and_all_or_none(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(store.upload(&device, &[key_package(&device, 5, later())], NOW).unwrap());
    let other: RoomUri = "mimi://b.example/r/club".parse().unwrap();
    let notify = |messages: &[Notification]| store.notify(&other, messages).unwrap();
    let inbox = || store.inbox(device.id, 0, 10, 1000).unwrap().events;
    assert_eq!(notify(&[notification(1, None)]), NotifyOutcome::UnknownRoom);
    let unknown = [notification(2, Some(5)), notification(3, Some(6))];
    assert_eq!(notify(&unknown), NotifyOutcome::UnknownKeyPackageRef);
    assert!(inbox().is_empty() && !store.is_in_room(&device, &other).unwrap(), "nothing was taken");
    let wake = Wake { devices: [device.id].into(), ..Wake::default() };
    assert_eq!(notify(&[notification(2, Some(5)), notification(1, None)]), NotifyOutcome::Taken(wake));
    assert_eq!(notify(&[notification(1, None)]), NotifyOutcome::Taken(Wake::default()), "a repetition");
    let again = notify(&[notification(7, Some(5))]);
    assert_eq!(again, NotifyOutcome::UnknownKeyPackageRef, "another Welcome for a KeyPackage that was used");
    let bodies: Vec<_> = inbox().into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, [[2], [1]]);
    assert!(store.leave_room(&device, &other).unwrap() && !store.leave_room(&device, &other).unwrap());
    assert_eq!(notify(&[notification(4, None)]), NotifyOutcome::UnknownRoom);
}

fn a_device_gets_what_comes_while_it_is_in_a_room(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(create(&store, &first, "club"));
    message(&store, "club", 0, 1).unwrap();
    expect(&store, &second, "club");
    assert!(!store.expect_in_room(&second, &room("club"), &second.client).unwrap(), "it is in there already");
    message(&store, "club", 0, 2).unwrap();
    assert!(store.leave_room(&second, &room("club")).unwrap());
    message(&store, "club", 0, 3).unwrap();
    let all = mail(&store, &first);
    assert_eq!(all.len(), 3);
    assert_eq!(mail(&store, &second), [all[1]], "what has come before it left still waits");
    expect(&store, &second, "club");
    message(&store, "club", 0, 4).unwrap();
    let all = mail(&store, &first);
    assert_eq!(mail(&store, &second), [all[1], all[3]]);
    store.not_in_room(&room("club"), &second.client).unwrap();
    message(&store, "club", 0, 5).unwrap();
    assert_eq!(mail(&store, &second), [all[1], all[3]]);
    store.ack(second.id, all[1]).unwrap();
    assert_eq!(mail(&store, &second), [all[3]]);
    store.ack(second.id, all[0]).unwrap();
    assert_eq!(mail(&store, &second), [all[3]], "what was acknowledged stays so");
}

fn who_has_got_a_part_hears_that_there_may_be_more(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    assert!(create(&store, &device, "club"));
    let inbox = |after, count, octets| {
        let Inbox { events, more } = store.inbox(device.id, after, count, octets).unwrap();
        (events.len(), more)
    };
    assert_eq!(inbox(0, 10, 1000), (0, false));
    for number in 1..=5 {
        message(&store, "club", 0, number).unwrap();
    }
    let stored = store.inbox(device.id, 0, 10, 1000).unwrap().events;
    let octets: usize = stored.iter().take(3).map(|(_, body)| body.len()).sum();
    assert_eq!(inbox(0, 10, 1000), (5, false));
    assert_eq!(inbox(0, 5, 1000), (5, true), "as many as were asked for: whether there are others was not looked at");
    assert_eq!(inbox(0, 4, 1000), (4, true));
    assert_eq!(inbox(0, 10, octets), (3, true));
    assert_eq!(inbox(0, 10, 0), (1, true), "one is always given");
    assert_eq!(inbox(stored[2].0, 10, octets), (2, false));
    assert_eq!(inbox(stored[4].0, 10, octets), (0, false));
}

fn devices_that_look_at_the_same_time_get_each_its_own(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(create(&store, &first, "club") && create(&store, &first, "other"));
    expect(&store, &second, "other");
    for (number, room) in (1..).zip(["club", "other", "club", "other", "other"]) {
        message(&store, room, 0, number).unwrap();
    }
    let all = mail(&store, &first);
    store.ack(second.id, all[1]).unwrap();
    let nobody = DeviceId(1 << 40);
    let looks =
        [(first.id, 0), (nobody, 0), (second.id, 0), (first.id, all[3]), (second.id, all[4]), (first.id, all[0])];
    let looks = looks.map(|(device, after)| Look { device, after });
    let octets: usize = store.inbox(first.id, 0, 10, 1000).unwrap().events.iter().map(|(_, body)| body.len()).sum();
    // All of it, fewer events, and fewer octets than there are; the last so few that no body is read at once.
    for (count, octets) in [(10, 1000), (2, 1000), (10, octets - 1), (10, 1)] {
        let alone = looks.map(|Look { device, after }| store.inbox(device, after, count, octets).unwrap());
        assert_eq!(store.inboxes(&looks, count, octets).unwrap(), alone, "{count}, {octets}");
    }
    let counts: Vec<_> = store.inboxes(&looks, 10, 1000).unwrap().iter().map(|inbox| inbox.events.len()).collect();
    assert_eq!(counts, [5, 0, 2, 1, 0, 4]);
    assert_eq!(store.inboxes(&[], 10, 1000).unwrap(), []);
}

fn an_event_goes_when_all_have_taken_it(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(create(&store, &first, "club") && create(&store, &first, "other"));
    expect(&store, &second, "club");
    for number in 1..=3 {
        message(&store, "club", 0, number).unwrap();
    }
    message(&store, "other", 0, 9).unwrap();
    let all = mail(&store, &first);
    assert_eq!((all.len(), events(&store)), (4, 4));
    store.ack(first.id, all[1]).unwrap();
    assert_eq!(events(&store), 4, "the other one has taken nothing");
    store.ack(second.id, all[0]).unwrap();
    assert_eq!(events(&store), 3);
    assert!(store.leave_room(&second, &room("club")).unwrap());
    assert_eq!(events(&store), 3, "what it was to get before it left is kept for it");
    // Also by a provider that was started again in between.
    let store = place.open();
    store.ack(second.id, u64::MAX).unwrap();
    assert_eq!(events(&store), 2);
    store.ack(first.id, u64::MAX).unwrap();
    assert_eq!(events(&store), 0);
    let left = "SELECT COUNT(*) FROM mail_rooms WHERE device = ?1";
    let left: i64 = store.look(|db| db.one(left, [second.id.0])?.get(0)).unwrap();
    assert_eq!(left, 0, "of a room that a device has left nothing is kept");
    message(&store, "club", 0, 5).unwrap();
    let (new, last) = (mail(&store, &first), all.last().unwrap());
    assert!(new.len() == 1 && new[0] > *last, "no number is given twice");
}

fn whoever_gets_a_new_event_is_found_at_once(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    let (before, nobody) = store.devices_behind(None).unwrap();
    assert!(nobody.is_empty());
    assert!(create(&store, &first, "club"));
    message(&store, "club", 0, 1).unwrap();
    let (newest, devices) = store.devices_behind(Some(before)).unwrap();
    assert!(newest > before && devices == [first.id].into(), "an event of a room: {devices:?}");
    assert_eq!(store.devices_behind(Some(newest)).unwrap(), (newest, BTreeSet::new()));
    store.write(|db| mail::put_in_inbox(db, second.id, None, b"for one")).unwrap();
    let (last, devices) = store.devices_behind(Some(newest)).unwrap();
    assert!(last > newest && devices == [second.id].into(), "an event for one: {devices:?}");
    assert_eq!(store.devices_behind(Some(before)).unwrap().1, [first.id, second.id].into());
}

fn events_are_numbered_from_the_time_at_which_a_provider_starts(place: &Place) {
    let store = place.open();
    let device = alice(&store).id;
    let next = || {
        store.write(|db| mail::put_in_inbox(db, device, None, b"event")).unwrap();
        store.inbox(device, 0, 100, 10_000).unwrap().events.last().unwrap().0
    };
    let number = |time: Timestamp| time.as_millis() << 16;
    let first = next();
    assert!(first < number(NOW));
    let start = |time| place.other(&store).number_from(time).unwrap();
    start(NOW);
    assert_eq!(next(), number(NOW) + 1);
    start(NOW.before(Duration::from_secs(86_400)));
    assert_eq!(next(), number(NOW) + 2, "a clock that was set back");
    let later = NOW.after(Duration::from_millis(1));
    start(later);
    assert_eq!(next(), number(later) + 1);
    // However wrong a clock is, there are numbers left.
    start(Timestamp::from_secs(u64::MAX / 1000));
    assert!(next() < 1 << 62);
    assert!(next() < 1 << 62);
    store.ack(device, first).unwrap();
    assert_eq!(store.inbox(device, first, 100, 10_000).unwrap().events.len(), 5);
}
