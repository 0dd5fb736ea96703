//! Which KeyPackage is handed out to whom, and how often.

use super::*;

contract! {
    eight_threads_claim_each_key_package_once,
    the_same_request_gets_the_same_key_package_until_it_is_used,
    only_what_fits_is_handed_out,
}

fn eight_threads_claim_each_key_package_once(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let offered: Vec<_> = (0..64).map(|number| key_package(&device, number, later())).collect();
    assert!(store.upload(&device, &offered, NOW).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let store = place.other(&store);
            std::thread::spawn(move || -> Vec<ClaimedClient> {
                (0..10).flat_map(|_| store.claim(&claim(), NOW).unwrap()).collect()
            })
        })
        .collect();
    let mut given = Vec::new();
    let mut exhausted = 0;
    for claimed in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
        match claimed {
            ClaimedClient::KeyPackage(_, octets) => given.push(octets),
            ClaimedClient::Exhausted(_) => exhausted += 1,
            ClaimedClient::Incompatible(_) => panic!("all are compatible"),
        }
    }
    given.sort();
    assert_eq!(given, offered.into_iter().map(|one| one.octets).collect::<Vec<_>>());
    assert_eq!(exhausted, 16);
}

fn the_same_request_gets_the_same_key_package_until_it_is_used(place: &Place) {
    let store = place.open();
    let device = alice(&store);
    let stock: Vec<_> = [3, 4, 5].map(|number| key_package(&device, number, later())).into();
    assert!(store.upload(&device, &stock, NOW).unwrap());
    let ask = |request: u8| store.claim(&Claim { request: Some([request; 32]), ..claim() }, NOW).unwrap();
    let given = |number: u8| [ClaimedClient::KeyPackage(device.client.clone(), vec![number; 9])];
    assert_eq!(ask(1), given(3));
    assert_eq!(ask(2), given(4));
    assert_eq!(ask(1), given(3), "its answer may have been lost");
    let welcome = Notification {
        hash: [9; 32],
        sent: NOW,
        body: vec![1],
        kind: NotificationKind::Welcome(vec![KeyPackageRef::new(&[3; 32])]),
    };
    let room = RoomUri::new(&domain("b.example"), "club").unwrap();
    assert!(matches!(store.notify(&room, &[welcome]).unwrap(), NotifyOutcome::Taken(_)));
    assert_eq!(ask(1), given(5), "it has been used");
    assert_eq!(ask(2), given(4));
    assert_eq!(ask(3), [ClaimedClient::Exhausted(device.client.clone())]);
    assert!(store.claim(&claim(), later()).unwrap().iter().all(|one| matches!(one, ClaimedClient::Exhausted(_))));
    assert_eq!(store.claim(&Claim { request: Some([2; 32]), ..claim() }, later()).unwrap(), ask(3), "it has ended");
}

fn only_what_fits_is_handed_out(place: &Place) {
    let store = place.open();
    let (first, second) = (alice(&store), second(&store));
    assert!(store.claim(&claim(), NOW).unwrap().is_empty());
    let expired = key_package(&first, 1, NOW);
    let other_suite = StoredKeyPackage { suite: 2, ..key_package(&second, 2, later()) };
    let ordinary = StoredKeyPackage { initial_only: false, ..key_package(&second, 3, later()) };
    assert!(store.upload(&first, &[expired], NOW).unwrap());
    assert!(!store.upload(&first, std::slice::from_ref(&ordinary), NOW).unwrap(), "another device's client");
    assert!(store.upload(&second, &[other_suite, ordinary], NOW).unwrap());
    let (one, two) = (first.client.clone(), second.client.clone());
    let expected = [ClaimedClient::Exhausted(one.clone()), ClaimedClient::Incompatible(two.clone())];
    assert_eq!(store.claim(&claim(), NOW).unwrap(), expected);
    let own = Claim { kind: Kind::Ordinary, except: Some(one), ..claim() };
    assert_eq!(store.claim(&own, NOW).unwrap(), [ClaimedClient::KeyPackage(two.clone(), vec![3; 9])]);
    let except = Claim { kind: Kind::Ordinary, except: Some(two), ..claim() };
    assert!(store.claim(&except, NOW).unwrap().is_empty());
}
