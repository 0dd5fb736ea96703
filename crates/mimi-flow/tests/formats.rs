//! Disclosure in every format: in the connection flow, and in rooms that want to know who is in them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{A1, A2, ALL, B1, B2, SUITES, Trouble, World, provider::claims_of, text};
use mimi_disclosure::{Bundle, MLS_CREDENTIAL, SD_CWT, SD_JWT};
use mimi_flow::{Command, CommandError, Event, FailureReason, NewRoom};
use mimi_mls::Room;
use mimi_pseudonym::{
    CipherSuite, ClaimName, Claims, Content, DisclosureFormat, DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri,
    SeededEntropy, UserUri, Wire,
};
use mimi_room::{ComponentId, ComponentUpdate, JoinLinkPolicy, RoomState};
use mimi_wire::{
    Problem,
    local::{AcquireResponse, IssuedDisclosure},
};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// Everyone is ready, with identity credentials in this format.
fn ready(suite: CipherSuite, format: DisclosureFormat) -> World {
    let mut world = World::new(suite);
    for device in ALL {
        assert_eq!(world.devices[device].format(), DisclosureFormat::X509);
        world.command(device, Command::Prefer { format }).unwrap();
        assert_eq!(world.devices[device].format(), format);
    }
    world.prepare(2);
    world
}

/// A room of Alice's that requires the account, and allows the handle and the name; Bob is in it.
fn room(suite: CipherSuite, format: DisclosureFormat) -> (World, RoomUri, UserUri, UserUri) {
    let mut world = ready(suite, format);
    let allowed = [ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email];
    let disclosure = DisclosurePolicy::new([ClaimName::UserUri], allowed, [ClaimName::AgeOver18]).unwrap();
    let new = NewRoom {
        name: "Choir".into(),
        description: String::new(),
        identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure },
        links: JoinLinkPolicy::default(),
        discoverable: false,
    };
    world.command(A1, Command::CreateRoom { room: new }).unwrap();
    world.run();
    let room = world.room_of(A1);
    let alice = world.devices[A1].clients(&room)[0].0.clone();
    let bob = world.bring_in(A1, &room, B1, RoomState::PARTICIPANT);
    (world, room, alice, bob)
}

fn disclose(world: &mut World, device: usize, room: &RoomUri, claims: &[ClaimName]) {
    let flow = world.command(device, Command::Disclose { room: room.clone(), claims: claims.to_vec() }).unwrap();
    world.run();
    assert_eq!(world.told[device].last(), Some(&Event::Done { flow: flow.unwrap() }));
}

/// All that a certificate of the account shows.
const ALL_CLAIMS: [ClaimName; 4] = [ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email];

/// What can be shown of it in this format, and not all at once where it can be chosen.
fn chosen(format: DisclosureFormat) -> &'static [ClaimName] {
    match format {
        DisclosureFormat::X509 => &ALL_CLAIMS,
        _ => &[ClaimName::UserUri, ClaimName::DisplayName],
    }
}

fn named(user: &str, names: &[ClaimName]) -> Claims {
    let all = claims_of(&user.parse().unwrap());
    all.iter().filter(|(name, _)| names.contains(name)).map(|(name, value)| (name, value.to_owned())).collect()
}

#[test]
fn two_people_connect_with_every_format() {
    for (suite, format) in SUITES.into_iter().flat_map(|suite| DisclosureFormat::ALL.map(|format| (suite, format))) {
        let mut world = ready(suite, format);
        let mut connect = World::connect();
        if let Command::Connect { disclose, .. } = &mut connect {
            *disclose = chosen(format).to_vec();
        }
        world.command(A1, connect).unwrap();
        world.run();
        for bob in [B1, B2] {
            let [Event::ConnectionRequested { from, .. }] = world.told[bob].as_slice() else {
                panic!("{format}: {:?}", world.told[bob]);
            };
            assert_eq!(from.claims, named("mimi://a.example/u/alice", chosen(format)), "{format}");
        }
        world.accept(B1);
        world.run();
        let connected = |event: &Event| matches!(event, Event::Connected { .. });
        assert!(ALL.iter().all(|device| world.told[*device].iter().any(connected)), "{format}");
        assert_eq!(world.refusals, []);
    }
}

#[test]
fn every_format_survives_restarts_losses_and_disorder() {
    for (seed, format) in (0..6).zip(DisclosureFormat::ALL.into_iter().cycle()) {
        let mut world = ready(SUITE, format);
        world.order = Some(SeededEntropy::new([seed; 32]));
        world.trouble =
            Trouble { doubled: true, answered_twice: true, crashes: seed % 2 == 0, restored: seed % 2 == 1 };
        world.command(A1, World::connect()).unwrap();
        world.run();
        world.accept(B2);
        world.run();
        for device in ALL {
            let events = &world.told[device];
            let connected = events.iter().filter(|event| matches!(event, Event::Connected { .. }));
            assert_eq!(connected.count(), 1, "{format}, seed {seed}: {events:?}");
        }
    }
}

#[test]
fn a_credential_that_is_not_what_was_asked_for_is_not_kept() {
    // Alice's device asks, and gets something else than the provider has to give.
    let issued = |wanted, change: &dyn Fn(&mut AcquireResponse)| {
        let mut world = World::new(SUITE);
        world.command(A1, Command::Prefer { format: wanted }).unwrap();
        world.hold_answer = Some((A1, "pseudonyms"));
        world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap();
        world.run();
        let (_, _, answer) = world.answers[A1].front_mut().unwrap();
        let mimi_flow::Answer::Done(body) = answer else { panic!() };
        let mut response = AcquireResponse::decode(body).unwrap();
        change(&mut response);
        *body = response.encode();
        world.hold_answer = None;
        world.run();
        (world.told[A1].clone(), world.devices[A1].fresh_pseudonyms())
    };
    for format in DisclosureFormat::ALL {
        let (told, fresh) = issued(format, &|_| ());
        assert_eq!((told, fresh), (vec![Event::Ready { fresh: 2 }], 2));
        let other = |response: &mut AcquireResponse| {
            for item in &mut response.items {
                let item = &mut item.credential;
                item.disclosure = Some(match item.disclosure.take().unwrap() {
                    IssuedDisclosure::X509(mut chain) => IssuedDisclosure::SdJwt(chain.remove(0)),
                    IssuedDisclosure::SdJwt(token) => IssuedDisclosure::SdCwt(token),
                    _ => IssuedDisclosure::X509(vec![b"not DER".to_vec()]),
                });
            }
        };
        // Each gets what was issued for the other.
        let swapped = |response: &mut AcquireResponse| {
            let first = response.items[0].credential.disclosure.clone();
            response.items[0].credential.disclosure = response.items[1].credential.disclosure.clone();
            response.items[1].credential.disclosure = first;
        };
        // One that is good does not make up for one that is not.
        let second = |response: &mut AcquireResponse| {
            response.items[1].credential.disclosure = response.items[0].credential.disclosure.clone();
        };
        let client = |response: &mut AcquireResponse| {
            response.items[1].credential.client = response.items[0].credential.client.clone();
        };
        let named = |response: &mut AcquireResponse| {
            response.items[1].pseudonym = UserUri::pseudonym(&"a.example".parse().unwrap(), [7; 16]);
        };
        let fewer = |response: &mut AcquireResponse| response.items.truncate(1);
        let cases: [&dyn Fn(&mut AcquireResponse); 6] = [&other, &swapped, &second, &client, &named, &fewer];
        for (number, change) in cases.into_iter().enumerate() {
            let (told, fresh) = issued(format, change);
            let failed = matches!(told.as_slice(), [Event::Failed { reason: FailureReason::Answer { call }, .. }] if call == "pseudonyms");
            assert!(failed && fresh == 0, "{format}, {number}: {told:?}");
        }
    }
}

#[test]
fn a_provider_that_does_not_issue_the_format_says_so() {
    let mut world = World::new(SUITE);
    world.command(A1, Command::Prefer { format: DisclosureFormat::SdCwt }).unwrap();
    world.instead = Some((A1, "pseudonyms", mimi_flow::Answer::Refused(Problem::UnsupportedFormat)));
    let flow = world.command(A1, Command::Prepare { pseudonyms: 2 }).unwrap().unwrap();
    world.run();
    let reason = FailureReason::Refused { call: "pseudonyms".into(), problem: "unsupported-format".into() };
    assert_eq!(world.told[A1], [Event::Failed { flow, reason }]);
}

#[test]
fn who_has_not_disclosed_is_known_until_they_have() {
    for (suite, format) in SUITES.into_iter().flat_map(|suite| DisclosureFormat::ALL.map(|format| (suite, format))) {
        let (mut world, room, alice, bob) = room(suite, format);
        let owes = |user: &UserUri| (user.clone(), vec![ClaimName::UserUri]);
        let mut both = vec![owes(&alice), owes(&bob)];
        both.sort();
        for device in ALL {
            let mut owing = world.devices[device].undisclosed(&room);
            owing.sort();
            assert_eq!(owing, both, "{format}");
            let other = if [A1, A2].contains(&device) { &bob } else { &alice };
            let expected = Event::Undisclosed { room: room.clone(), users: vec![other.clone()] };
            let told = world.told[device].iter().filter(|event| matches!(event, Event::Undisclosed { .. }));
            assert_eq!(told.collect::<Vec<_>>(), [&expected], "{format}: each once");
        }
        world.forget();
        disclose(&mut world, B1, &room, chosen(format));
        for device in ALL {
            assert_eq!(world.devices[device].undisclosed(&room), [owes(&alice)], "{format}");
        }
        for device in [A1, A2, B2] {
            let [Event::Disclosed { room: seen, pseudonym, who }] = world.told[device].as_slice() else {
                panic!("{format}: {:?}", world.told[device]);
            };
            assert_eq!((seen, pseudonym), (&room, &bob));
            assert_eq!(who.claims, named("mimi://b.example/u/bob", chosen(format)));
            assert_eq!(who.issuer.as_str(), "b.example");
        }
        disclose(&mut world, A2, &room, chosen(format));
        for device in ALL {
            assert_eq!(world.devices[device].undisclosed(&room), []);
            let saved = world.devices[device].save();
            world.restore(device, saved);
            assert_eq!(world.devices[device].undisclosed(&room), [], "what was seen is kept");
        }
    }
}

#[test]
fn whoever_leaves_and_comes_back_owes_again() {
    let (mut world, room, alice, bob) = room(SUITE, DisclosureFormat::SdJwt);
    disclose(&mut world, B1, &room, &[ClaimName::UserUri]);
    let owing = |world: &World| world.devices[A1].undisclosed(&room).into_iter().map(|(user, _)| user);
    assert_eq!(owing(&world).collect::<Vec<_>>(), std::slice::from_ref(&alice));
    let kick = Command::Moderate { room: room.clone(), user: bob.clone(), action: mimi_flow::Action::Kick };
    world.command(A1, kick).unwrap();
    world.run();
    assert_eq!(owing(&world).collect::<Vec<_>>(), std::slice::from_ref(&alice));
    assert_eq!(world.devices[B1].undisclosed(&room), [], "a room that the device is not in");
    world.forget();
    // Under another pseudonym.
    let bob = world.bring_in(A1, &room, B1, RoomState::PARTICIPANT);
    assert_eq!(owing(&world).count(), 2);
    assert_eq!(world.told[A1], [Event::Undisclosed { room: room.clone(), users: vec![bob] }]);
    let told = world.told[B1]
        .iter()
        .any(|event| *event == Event::Undisclosed { room: room.clone(), users: vec![alice.clone()] });
    assert!(told, "{:?}", world.told[B1]);
}

#[test]
fn a_room_that_begins_to_require_something_makes_debtors() {
    let (mut world, room, _, bob) = room(SUITE, DisclosureFormat::SdCwt);
    disclose(&mut world, B1, &room, &[ClaimName::UserUri]);
    world.forget();
    let policy = DisclosurePolicy::new([ClaimName::UserUri, ClaimName::Handle], [], []).unwrap();
    let policy = IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: policy };
    let updates = vec![ComponentUpdate::update(ComponentId::IDENTITY_POLICY, policy.encode())];
    world.commit_wanted(A1, &room, mimi_mls::Wanted { updates, ..Default::default() });
    let missing = world.devices[A2].undisclosed(&room).into_iter().find(|(user, _)| *user == bob);
    assert_eq!(missing, Some((bob.clone(), vec![ClaimName::Handle])));
    assert_eq!(world.told[A2], [Event::Undisclosed { room: room.clone(), users: vec![bob] }]);
    disclose(&mut world, B2, &room, &[ClaimName::UserUri, ClaimName::Handle]);
    assert_eq!(world.devices[A2].undisclosed(&room).len(), 1, "Alice alone");
}

#[test]
fn what_the_room_does_not_want_to_know_cannot_be_disclosed() {
    for format in DisclosureFormat::ALL {
        let (mut world, room, ..) = room(SUITE, format);
        let before = world.devices[B1].save();
        for (claims, error) in [
            (vec![], CommandError::Disclosure),
            (vec![ClaimName::DisplayName], CommandError::Disclosure),
            (vec![ClaimName::UserUri, ClaimName::AgeOver18], CommandError::Disclosure),
        ] {
            let command = Command::Disclose { room: room.clone(), claims };
            assert_eq!(world.command(B1, command), Err(error), "{format}");
        }
        let fewer = Command::Disclose { room: room.clone(), claims: vec![ClaimName::UserUri] };
        let outcome = world.command(B1, fewer);
        assert_eq!(outcome.is_ok(), format != DisclosureFormat::X509, "a certificate shows all it has");
        if format == DisclosureFormat::X509 {
            assert!(world.devices[B1].save() == before);
        }
    }
    let mut world = ready(SUITE, DisclosureFormat::SdJwt);
    let nowhere = Command::Disclose { room: "mimi://a.example/r/nowhere".parse().unwrap(), claims: vec![] };
    assert_eq!(world.command(A1, nowhere), Err(CommandError::NoSuchRoom));
    world.command(A1, World::connect()).unwrap();
    world.run();
    let temporary = Command::Disclose { room: world.room_of(A1), claims: chosen(DisclosureFormat::SdJwt).to_vec() };
    assert_eq!(world.command(A1, temporary), Err(CommandError::NotAllowed), "that room has a flow for it");
}

/// A member of the room sends what it likes.
fn sends(world: &mut World, room: &RoomUri, make: impl FnOnce(&Room) -> Content) {
    world.forget();
    world.send_rogue(B1, room, make);
    world.run();
}

#[test]
fn a_presentation_that_does_not_verify_is_nothing() {
    let (mut world, room, alice, bob) = room(SUITE, DisclosureFormat::SdJwt);
    for media_type in [MLS_CREDENTIAL, SD_JWT, SD_CWT, "application/sd+jwt", "application/kb+cwt; x=y"] {
        sends(&mut world, &room, |_| Content { media_type: media_type.into(), body: b"nonsense".to_vec() });
        assert!(world.told.iter().all(Vec::is_empty), "{media_type}: {:?}", world.told);
    }
    let presentation = Content { media_type: SD_JWT.into(), body: b"a.b.c~".to_vec() };
    let bundle = Bundle::new(vec![presentation], None, vec![], "").unwrap();
    sends(&mut world, &room, |_| bundle.into());
    sends(&mut world, &room, |_| Bundle::default().into());
    assert!(world.told.iter().all(Vec::is_empty), "{:?}", world.told);
    for device in ALL {
        assert_eq!(world.devices[device].undisclosed(&room).len(), 2, "{alice} {bob}");
    }
    // What is no presentation is a message, as ever.
    sends(&mut world, &room, |_| text("hello"));
    assert!(matches!(world.told[A1].as_slice(), [Event::Message { .. }]));
}

#[test]
fn a_disclosure_waits_for_the_commit_before_it_and_is_made_anew() {
    for format in DisclosureFormat::ALL {
        let (mut world, room, _, bob) = room(SUITE, format);
        world.forget();
        // Alice's own commit is on its way, and another one comes first.
        world.hold_request = Some((A1, "update"));
        world.command(A1, Command::AddOwnClients { room: room.clone() }).unwrap();
        let mute = |action| Command::Moderate { room: room.clone(), user: bob.clone(), action };
        world.command(A1, mute(mimi_flow::Action::Mute)).unwrap();
        let claims = chosen(format).to_vec();
        world.command(A1, Command::Disclose { room: room.clone(), claims }).unwrap();
        world.command(A2, mute(mimi_flow::Action::Mute)).unwrap();
        world.run();
        world.hold_request = None;
        world.run();
        let disclosed = |event: &Event| matches!(event, Event::Disclosed { .. });
        for device in [A2, B1, B2] {
            assert_eq!(world.told[device].iter().filter(|event| disclosed(event)).count(), 1, "{format} {device}");
        }
        // The message was made in an epoch that is gone when it arrives.
        world.forget();
        world.hold_request = Some((A2, "submitMessage"));
        world.command(A2, Command::Disclose { room: room.clone(), claims: chosen(format).to_vec() }).unwrap();
        world.command(A1, mute(mimi_flow::Action::Unmute)).unwrap();
        world.run();
        world.hold_request = None;
        world.run();
        assert_eq!(world.calls[A2], ["submitMessage", "submitMessage"], "{format}");
        for device in [A1, B1, B2] {
            assert_eq!(world.told[device].iter().filter(|event| disclosed(event)).count(), 1, "{format} {device}");
        }
    }
}
