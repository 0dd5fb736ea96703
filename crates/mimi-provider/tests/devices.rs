//! The devices of an account over real TLS: listed, and ended when one is lost.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use http::Method;
use mimi_mls::NewKeyPackage;
use mimi_room::KeyPackagePurpose;
use mimi_wire::{
    Problem, Wire,
    local::{self, *},
};
use support::{Shown, World, identity, problem};

const DAY: Duration = Duration::from_secs(86_400);

fn device(token: &DeviceToken) -> Shown<'_> {
    Shown { token: Some(token), ..Shown::default() }
}

/// What a request is refused with. Nothing has changed then.
async fn refused(world: &World, shown: Shown<'_>, path: &str, request: &impl Wire) -> Problem {
    let before = world.dump();
    let (status, answer) = world.send(shown, Method::POST, path, request.encode()).await;
    assert_eq!(world.dump(), before);
    problem(status, &answer)
}

async fn listed(world: &World, shown: Shown<'_>) -> Vec<DeviceEntry> {
    let (_, answer) = world.send(shown, Method::GET, local::DEVICES_PATH, vec![]).await;
    DevicesResponse::decode(&answer).unwrap().devices
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_device_is_ended_with_all_that_it_has_and_no_other_one_is() {
    let world = World::start("devices-lost").await;
    let phone = world.register("alice").await;
    let request = AddDeviceRequest { enrolment_code: phone.enrolment_code.clone(), device_name: "the tablet".into() };
    let tablet: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &request).await.unwrap();
    let bob = world.register("bob").await;
    let (shown, lost) = (device(&phone.device_token), device(&tablet.device_token));
    let given: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await.unwrap();
    let pseudonym = given.pseudonyms[0].clone();
    let held = identity(&world, lost, &pseudonym).await;
    let (not_before, not_after) = (world.now.before(DAY / 24), world.now.after(DAY * 20));
    let new = NewKeyPackage::create(&held, KeyPackagePurpose::Any, not_before, not_after).unwrap();
    let upload = UploadKeyPackages { owner: pseudonym.clone(), key_packages: vec![new.key_package] };
    world.post::<UploadResponse>(lost, local::KEY_PACKAGES_PATH, &upload).await.unwrap();

    let devices = listed(&world, shown).await;
    let clients: Vec<_> = devices.iter().map(|device| &device.client).collect();
    assert_eq!(clients, [&phone.client, &tablet.client]);
    assert_eq!(devices[1].name, "the tablet");
    let ask = DeviceClientsRequest { client: tablet.client.clone() };
    let answer: DeviceClientsResponse = world.post(shown, local::DEVICE_CLIENTS_PATH, &ask).await.unwrap();
    let named: Vec<_> = answer.clients.iter().map(|one| (&one.user, &one.client)).collect();
    let mut expected = vec![(&phone.user, &tablet.client), (&pseudonym, held.client())];
    expected.sort();
    assert_eq!(named, expected);

    // Nobody ends another account's device, or the one that asks.
    let code = EnrolmentCode::from_bytes([7; 32]);
    let remove = |client: &mimi_pseudonym::ClientUri| RemoveDeviceRequest {
        client: client.clone(),
        enrolment_code: code.clone(),
    };
    let others = device(&bob.device_token);
    assert_eq!(refused(&world, others, local::DEVICE_CLIENTS_PATH, &ask).await, Problem::ForeignUser);
    let stranger = refused(&world, others, local::REMOVE_DEVICE_PATH, &remove(&tablet.client)).await;
    let itself = refused(&world, shown, local::REMOVE_DEVICE_PATH, &remove(&phone.client)).await;
    assert_eq!((stranger, itself), (Problem::ForeignUser, Problem::ForeignUser));

    let rows = |of: &str| world.dump().iter().filter(|row| row.starts_with(of)).count();
    assert_eq!(rows("key_packages:"), 1);
    let (status, answer) =
        world.send(shown, Method::POST, local::REMOVE_DEVICE_PATH, remove(&tablet.client).encode()).await;
    assert!((200..300).contains(&status) && answer.is_empty(), "{status}");
    assert_eq!(rows("key_packages:"), 0);
    assert_eq!(listed(&world, shown).await.len(), 1);
    let again = refused(&world, shown, local::REMOVE_DEVICE_PATH, &remove(&tablet.client)).await;
    assert_eq!(again, Problem::ForeignUser, "it is no more");
    // Neither its token nor the codes that may be on it are of any use; the new one is.
    let token = refused(&world, lost, local::DEVICE_CLIENTS_PATH, &ask).await;
    let add = |code: &EnrolmentCode| AddDeviceRequest { enrolment_code: code.clone(), device_name: "next".into() };
    let codes = refused(&world, Shown::default(), local::DEVICE_PATH, &add(&tablet.enrolment_code)).await;
    assert_eq!((token, codes), (Problem::Unauthorized, Problem::Unauthorized));
    let next: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &add(&code)).await.unwrap();
    assert_eq!(next.user, phone.user);
    assert_eq!(listed(&world, device(&next.device_token)).await.len(), 2);
}
