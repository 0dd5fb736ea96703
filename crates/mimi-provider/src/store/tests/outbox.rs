//! What waits for other providers, and who brings it.

use super::*;

contract! {
    the_outbox_gives_the_oldest_room_first_within_bounds,
    a_room_that_is_refused_rests_and_it_is_known_since_when,
    couriers_never_get_the_same_room,
    what_a_courier_left_behind_waits_for_another,
}

fn the_outbox_gives_the_oldest_room_first_within_bounds(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "one") && create(&store, &first, "two"));
    for (name, epoch) in [("one", 1), ("two", 1), ("one", 2), ("one", 3)] {
        commit(&store, name, epoch, false, &[]);
    }
    for (count, octets, expected) in [(10, 1000, 3), (2, 1000, 2), (10, 1, 1)] {
        let parcel = take(&store, count, octets).unwrap();
        assert_eq!((&parcel.room, parcel.messages.len()), (&room("one"), expected), "one is always given");
        assert!(parcel.more);
        assert_eq!(super::tests::octets(&parcel), [b"commit 1", b"commit 2", b"commit 3"][..expected]);
        // Without a second room in between, it would be behind it.
        store.outbox_later(&parcel, NOW).unwrap();
    }
    let one = take(&store, 10, 1000).unwrap();
    store.outbox_later(&one, later()).unwrap();
    assert_eq!(take(&store, 10, 1000).unwrap().room, room("two"), "a room that could not be brought is behind others");
    assert_eq!(store.outbox_take(&domain("c.example"), 10, 1000, NOW).unwrap(), None);
    // One of the rooms has no courier, and then none.
    assert_eq!(store.outbox_peers(NOW).unwrap(), [domain("b.example")].into());
    assert!(take(&store, 10, 1000).is_some());
    if store.is_shared() {
        assert!(store.outbox_peers(NOW).unwrap().is_empty());
        let over = NOW.after(std::time::Duration::from_secs(15));
        assert_eq!(store.outbox_peers(over).unwrap(), [domain("b.example")].into(), "a courier that is not heard of");
    }
}

fn a_room_that_is_refused_rests_and_it_is_known_since_when(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    let at = |seconds: u64| NOW.after(Duration::from_secs(seconds));
    assert!(create(&store, &first, "one") && create(&store, &first, "two"));
    commit(&store, "one", 1, false, &[]);
    commit(&store, "one", 2, false, &[]);
    let one = take(&store, 1, 1000).unwrap();
    assert_eq!(store.outbox_refused(&one, at(0)).unwrap(), at(0));
    assert_eq!(take(&place.other(&store), 1, 1000), None, "its courier is away");
    store.outbox_rest(&one, at(0), Duration::from_secs(10)).unwrap();
    commit(&store, "two", 1, false, &[]);
    let peer = domain("b.example");
    let two = place.other(&store).outbox_take(&peer, 1, 1000, at(9)).unwrap().unwrap();
    assert_eq!((&two.room, two.more), (&room("two"), false), "the one rests");
    place.other(&store).outbox_later(&two, at(30)).unwrap();
    store.outbox_rested(&one);
    let take = |seconds| store.outbox_take(&peer, 1, 1000, at(seconds)).unwrap().unwrap();
    let again = take(10);
    assert_eq!(again, Parcel { more: true, ..one.clone() });
    assert_eq!(store.outbox_refused(&again, at(60)).unwrap(), at(0), "and the time is that of the first refusal");
    store.outbox_drop(&again, again.messages[0].0, at(10)).unwrap();
    let again = take(11);
    assert_eq!(octets(&again), [b"commit 2"]);
    assert_eq!(store.outbox_refused(&again, at(70)).unwrap(), at(0), "nothing was taken");
    assert_eq!(
        store.outbox_refused(&again, NOW.before(Duration::from_secs(9))).unwrap(),
        NOW.before(Duration::from_secs(9))
    );
    commit(&store, "one", 3, false, &[]);
    let waits = |since| [Waiting { peer: "b.example".to_owned(), rooms: 2, since }];
    assert_eq!(store.outbox_waiting().unwrap(), waits(NOW), "since the first that is not taken");
    store.outbox_done(&again, again.messages[0].0, at(12)).unwrap();
    let again = take(13);
    assert_eq!(octets(&again), [b"commit 3"]);
    assert_eq!(store.outbox_refused(&again, at(80)).unwrap(), at(80), "something was taken meanwhile");
    store.outbox_done(&again, again.messages[0].0, at(81)).unwrap();
    let two = take(82);
    store.outbox_done(&two, two.messages[0].0, at(83)).unwrap();
    assert_eq!(store.outbox_waiting().unwrap(), []);
    commit(&store, "one", 4, false, &[]);
    let four = take(90);
    commit(&store, "one", 5, false, &[]);
    store.outbox_done(&four, four.messages[0].0, at(91)).unwrap();
    let [waiting] = store.outbox_waiting().unwrap().try_into().unwrap();
    assert_eq!((waiting.rooms, waiting.since), (1, at(91)), "the first of both was taken then");
}

fn couriers_never_get_the_same_room(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    let names: Vec<_> = (0..6).map(|number| format!("room-{number}")).collect();
    for name in &names {
        assert!(create(&store, &first, name));
        for number in 0..20 {
            message(&store, name, 0, number).unwrap();
        }
    }
    let busy = Arc::new(Mutex::new(BTreeSet::new()));
    let couriers: Vec<_> = (0..4)
        .map(|_| {
            let (store, busy) = (place.other(&store), Arc::clone(&busy));
            std::thread::spawn(move || {
                let mut brought = Vec::new();
                while let Some(parcel) = take(&store, 3, 1 << 20) {
                    assert!(busy.lock().unwrap().insert(parcel.room.clone()), "a room has two couriers");
                    brought.extend(parcel.messages.iter().map(|(position, _)| (parcel.room.clone(), *position)));
                    busy.lock().unwrap().remove(&parcel.room);
                    deliver(&store, &parcel);
                }
                brought
            })
        })
        .collect();
    let mut brought: Vec<_> = couriers.into_iter().flat_map(|courier| courier.join().unwrap()).collect();
    brought.sort();
    let expected = names.iter().flat_map(|name| (1..=20).map(|position| (room(name), position)));
    assert_eq!(brought, expected.collect::<Vec<_>>(), "each message once");
    assert_eq!(take(&store, 3, 1 << 20), None);
}

fn what_a_courier_left_behind_waits_for_another(place: &Place) {
    let store = place.open();
    let first = alice(&store);
    assert!(create(&store, &first, "club"));
    message(&store, "club", 0, 1).unwrap();
    let parcel = take(&store, 10, 1000).unwrap();
    assert!(!parcel.more || store.is_shared());
    assert_eq!(take(&store, 10, 1000), None, "its courier is away");
    message(&store, "club", 0, 2).unwrap();
    assert_eq!(take(&place.other(&store), 10, 1000), None);
    // The process of the courier is killed.
    let other = place.open();
    let at = |seconds: u64| {
        other.outbox_take(&domain("b.example"), 10, 1000, Timestamp::from_secs(1_000_000 + seconds)).unwrap()
    };
    if store.is_shared() {
        assert_eq!(at(14), None, "it may still be on its way");
        store.outbox_busy(&parcel, Timestamp::from_secs(1_000_010)).unwrap();
        assert_eq!(at(24), None, "it has said so");
    } else {
        // Nobody else can have been on the way: whoever starts begins with all of it.
        let parcel = at(0).unwrap();
        assert_eq!(octets(&parcel), [b"message 1", b"message 2"]);
        other.outbox_later(&parcel, NOW).unwrap();
    }
    let again = at(25).unwrap();
    assert_eq!(octets(&again), [b"message 1", b"message 2"]);
    // A clock that goes back by days does not make a room wait for days.
    other.outbox_busy(&again, Timestamp::from_secs(2_000_000)).unwrap();
    let back = place.open().outbox_take(&domain("b.example"), 10, 1000, NOW).unwrap();
    assert_eq!(back.map(|parcel| octets(&parcel)), Some(octets(&again)));
    deliver(&other, &again);
    assert_eq!(take(&place.open(), 10, 1000), None);
}
