//! Messages are stamped by the hub in every room that a flow founds, and can be reported; what was changed proves nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{A1, A2, ALL, B1, B2, DAY, SUITES, Trouble, World, text};
use mimi_flow::{Answer, Command, CommandError, Event, Evidence, FailureReason, FlowId, NewRoom, Report};
use mimi_link::RoomLink;
use mimi_pseudonym::{
    CipherSuite, ClaimName, Content, DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri, SeededEntropy, UserUri,
    Wire,
};
use mimi_room::{JoinLinkPolicy, RoomPurpose};
use mimi_wire::{FanoutEvent, Problem, local::InboxBody};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;
const ALL_CLAIMS: [ClaimName; 4] = [ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email];

fn club() -> NewRoom {
    NewRoom {
        name: "Chess".into(),
        description: String::new(),
        identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: DisclosurePolicy::open() },
        links: JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() },
        discoverable: false,
    }
}

fn link_into(world: &mut World, room: &RoomUri) -> RoomLink {
    world.command(A1, Command::CreateLink { room: room.clone(), role: None, uses: None, lifetime: None }).unwrap();
    world.run();
    match world.told[A1].last() {
        Some(Event::LinkCreated { link, .. }) => link.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn look(world: &mut World, link: RoomLink) -> FlowId {
    let visit = world.command(B1, Command::Look { link, as_account: false }).unwrap().unwrap();
    world.run();
    visit
}

fn ordinary(world: &World, device: usize) -> RoomUri {
    let mut rooms = world.devices[device].rooms().filter(|(_, state)| state.purpose() == RoomPurpose::Ordinary);
    rooms.next().unwrap().0.clone()
}

/// The second room of a connection.
fn connection(world: &mut World) -> RoomUri {
    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    world.run();
    ordinary(world, A1)
}

/// A room that Bob has joined by a link.
fn joined(world: &mut World) -> RoomUri {
    world.command(A1, Command::CreateRoom { room: club() }).unwrap();
    world.run();
    let room = world.room_of(A1);
    let link = link_into(world, &room);
    let visit = look(world, link);
    world.command(B1, Command::JoinSeen { visit }).unwrap();
    world.run();
    room
}

/// A room that Bob was let into.
fn knocked(world: &mut World) -> RoomUri {
    world.command(A1, Command::CreateRoom { room: club() }).unwrap();
    world.run();
    let target = world.room_of(A1);
    let disclosure = DisclosurePolicy::connection();
    world.command(A1, Command::CreateKnockRoom { target: target.clone(), disclosure }).unwrap();
    world.run();
    let door = world.devices[A1].knock_rooms(&target).next().unwrap().clone();
    let link = RoomLink::Knock(world.devices[A1].knock_link(&door).unwrap());
    let visit = look(world, link);
    world.command(B1, Command::Knock { visit, disclose: ALL_CLAIMS.to_vec(), note: String::new() }).unwrap();
    world.run();
    let knock = world.told[A1].iter().find_map(|event| match event {
        Event::Knocked { knock, .. } => Some(*knock),
        _ => None,
    });
    world.command(A1, Command::AdmitKnock { knock: knock.unwrap() }).unwrap();
    world.run();
    target
}

fn say(world: &mut World, from: usize, room: &RoomUri, content: Content) {
    world.command(from, Command::Send { room: room.clone(), content }).unwrap();
    world.run();
}

/// The last message that the device was told: who it is from, what it is, and what shows it.
fn last(world: &World, device: usize) -> (UserUri, String, Option<Evidence>) {
    let found = world.told[device].iter().rev().find_map(|event| match event {
        Event::Message { from, media_type, body, evidence, .. } => {
            Some((from.clone(), format!("{media_type}: {}", String::from_utf8_lossy(body)), evidence.clone()))
        }
        _ => None,
    });
    found.unwrap()
}

fn about(evidence: &Evidence) -> Report {
    Report {
        room: evidence.room().clone(),
        user: evidence.sender().clone(),
        evidence: vec![evidence.clone()],
        reason: 0,
        note: "spam".into(),
        named: false,
    }
}

/// Spam from this device to that one, and what shows it.
fn spam(world: &mut World, from: usize, to: usize, room: &RoomUri) -> Evidence {
    say(world, from, room, text("buy this"));
    last(world, to).2.unwrap()
}

fn report(world: &mut World, device: usize, report: Report) -> Event {
    let flow = world.command(device, Command::Report(report)).unwrap().unwrap();
    world.run();
    let of = |event: &&Event| matches!(event, Event::Done { flow: of } | Event::Failed { flow: of, .. } if *of == flow);
    let told: Vec<_> = world.told[device].iter().filter(of).cloned().collect();
    assert_eq!(told.len(), 1, "told once");
    told[0].clone()
}

/// Whether each application message that ever reached a device in a room had the hub's stamp.
fn stamps(world: &World, device: usize, room: &RoomUri) -> Vec<bool> {
    let stamp = |body: &InboxBody| match body {
        InboxBody::Fanout { room: of, message } if of == room => match &message.event {
            FanoutEvent::Application { frank, .. } => Some(frank.is_some()),
            _ => None,
        },
        _ => None,
    };
    world.history[device].iter().filter_map(|event| stamp(&event.body)).collect()
}

#[test]
fn messages_in_the_rooms_of_every_flow_are_stamped_and_can_be_reported() {
    for suite in SUITES {
        for found in [connection, joined, knocked] {
            let mut world = World::ready(suite);
            let room = found(&mut world);
            let hub = room.domain().clone();
            for (from, to) in [(B1, A1), (A1, B2), (B2, B1)] {
                say(&mut world, from, &room, text("buy this"));
                let (sender, shown, evidence) = last(&world, to);
                assert_eq!(shown, "text/plain: buy this", "the wrapping is not shown");
                let evidence = evidence.unwrap();
                assert_eq!((evidence.room(), evidence.sender(), evidence.accepted()), (&room, &sender, world.now));
                let named = evidence.message().unwrap();
                assert_eq!(named.extensions().sender(), Some(&sender));
                assert!(matches!(report(&mut world, to, about(&evidence)), Event::Done { .. }));
                let taken = world.providers[&hub].abuse.last().unwrap();
                assert_eq!((&taken.alleged_abuser, taken.messages.len()), (&sender, 1));
            }
            assert_eq!(world.providers[&hub].abuse.len(), 3);
        }
    }
}

#[test]
fn a_disclosure_is_stamped_like_any_message_and_leaves_no_evidence() {
    let mut world = World::ready(SUITE);
    let room = joined(&mut world);
    say(&mut world, B1, &room, text("hello"));
    world.command(B1, Command::Disclose { room: room.clone(), claims: ALL_CLAIMS.to_vec() }).unwrap();
    world.run();
    assert_eq!(stamps(&world, A1, &room), [true, true], "the hub cannot tell one from the other by the stamp");
    assert!(matches!(world.told[A1].last(), Some(Event::Disclosed { .. })), "{:?}", world.told[A1]);
    let evidence = |event: &&Event| matches!(event, Event::Message { evidence: Some(_), .. });
    assert_eq!(world.told[A1].iter().filter(evidence).count(), 1);
}

#[test]
fn what_was_changed_proves_nothing_to_the_hub() {
    let mut world = World::ready(SUITE);
    let room = joined(&mut world);
    let good = spam(&mut world, B1, A1, &room);
    let octets = good.encode();
    let refused = |world: &mut World, octets: &[u8]| {
        let evidence = Evidence::decode(octets).unwrap();
        match report(world, A1, about(&evidence)) {
            Event::Failed { reason: FailureReason::Refused { call, problem }, .. } => {
                assert_eq!((call.as_str(), problem.as_str()), ("reportAbuse", "signature-invalid"));
            }
            other => panic!("{other:?}"),
        }
    };
    // The message.
    let at = octets.windows(8).position(|window| window == b"buy this").unwrap();
    let mut words = octets.clone();
    words[at] ^= 1;
    refused(&mut world, &words);
    // The time.
    let mut time = octets.clone();
    *time.last_mut().unwrap() ^= 1;
    refused(&mut world, &time);
    // The sender: the same message as if Alice had sent it.
    let alice =
        world.devices[A1].clients(&room).into_iter().find(|(user, _)| user.domain() == room.domain()).unwrap().0;
    let framed =
        [room.encode(), alice.encode(), octets[good.room().encode().len() + good.sender().encode().len()..].to_vec()];
    refused(&mut world, &framed.concat());
    // The room.
    let other: RoomUri = "mimi://a.example/r/other".parse().unwrap();
    let moved = [other.encode(), octets[good.room().encode().len()..].to_vec()];
    refused(&mut world, &moved.concat());
    assert_eq!(world.providers[room.domain()].abuse.len(), 0);
    assert!(matches!(report(&mut world, A1, about(&good)), Event::Done { .. }));
    assert_eq!(world.providers[room.domain()].abuse.len(), 1);
}

#[test]
fn what_does_not_fit_is_not_reported() {
    let mut world = World::ready(SUITE);
    let room = joined(&mut world);
    let evidence = spam(&mut world, B1, A1, &room);
    let good = about(&evidence);
    let other: RoomUri = "mimi://a.example/r/other".parse().unwrap();
    let somebody: UserUri = "mimi://b.example/u/bob".parse().unwrap();
    for (bad, error) in [
        (Report { room: other.clone(), ..good.clone() }, CommandError::Evidence),
        (Report { user: somebody, ..good.clone() }, CommandError::Evidence),
        (Report { evidence: vec![evidence.clone(); 65], ..good.clone() }, CommandError::Evidence),
        (Report { note: "n".repeat(4_097), ..good.clone() }, CommandError::NoteTooLong(4_097)),
        (Report { room: other, evidence: vec![], ..good.clone() }, CommandError::NoSuchRoom),
    ] {
        assert_eq!(world.command(A1, Command::Report(bad)), Err(error));
    }
    // One person's word is taken, with a name or without.
    let word = Report { evidence: vec![], named: true, ..good };
    assert!(matches!(report(&mut world, A1, word), Event::Done { .. }));
    assert_eq!(world.providers[room.domain()].abuse[0].messages.len(), 0);
}

#[test]
fn whoever_was_removed_can_still_report_what_it_has_received() {
    let mut world = World::ready(SUITE);
    let room = joined(&mut world);
    let evidence = spam(&mut world, A1, B1, &room);
    world.command(B1, Command::Leave { room: room.clone() }).unwrap();
    world.run();
    world.advance(DAY);
    assert!(world.devices[B1].rooms().all(|(uri, _)| *uri != room));
    let named = Report { named: true, ..about(&evidence) };
    assert_eq!(world.command(B1, Command::Report(named)), Err(CommandError::NoSuchRoom));
    assert!(matches!(report(&mut world, B1, about(&evidence)), Event::Done { .. }));
}

#[test]
fn a_message_whose_stamp_is_gone_is_shown_without_evidence() {
    let mut world = World::ready(SUITE);
    let room = joined(&mut world);
    world.providers.get_mut(room.domain()).unwrap().strips = true;
    say(&mut world, B1, &room, text("hello"));
    let (_, shown, evidence) = last(&world, A1);
    assert_eq!((shown.as_str(), evidence), ("text/plain: hello", None));
}

#[test]
fn rooms_of_a_hub_that_stamps_nothing_work_without_evidence() {
    let mut world = World::new(SUITE);
    for provider in world.providers.values_mut() {
        provider.stamps = false;
    }
    for device in ALL {
        let profile = world.devices[device].profile().clone();
        world.devices[device] = mimi_flow::Device::new(mimi_flow::Profile { franking_agent: None, ..profile });
    }
    world.prepare(2);
    let room = joined(&mut world);
    say(&mut world, B1, &room, text("hello"));
    let (_, shown, evidence) = last(&world, A1);
    assert_eq!((shown.as_str(), evidence), ("text/plain: hello", None));
    assert_eq!(stamps(&world, A1, &room), [false]);
}

#[test]
fn a_hub_that_changes_its_keys_is_followed_in_new_rooms_and_recognises_old_messages() {
    for suite in SUITES {
        let mut world = World::ready(suite);
        let first = joined(&mut world);
        let old = spam(&mut world, B1, A1, &first);
        let (domain, now) = (first.domain().clone(), world.now);
        let mut entropy = SeededEntropy::new([9; 32]);
        let before = world.providers[&domain].agent();
        world.providers.get_mut(&domain).unwrap().turn(suite, &mut entropy, now.after(DAY / 2));
        assert_ne!(world.providers[&domain].agent(), before);
        world.advance(DAY);
        world.forget();
        // In the old room nothing changes but the secret.
        let late = spam(&mut world, B1, A1, &first);
        // The device has learned of the new key, and asks for it once a day.
        world.command(A1, Command::Prepare { pseudonyms: 1 }).unwrap();
        world.run();
        world.command(A1, Command::Prepare { pseudonyms: 1 }).unwrap();
        world.run();
        assert_eq!(world.calls[A1].iter().filter(|call| **call == "info").count(), 1, "{:?}", world.calls[A1]);
        let saved = world.devices[A1].save();
        world.restore(A1, saved);
        world.command(A1, Command::CreateRoom { room: club() }).unwrap();
        world.run();
        let second = world.devices[A1].rooms().map(|(uri, _)| uri.clone()).find(|uri| *uri != first).unwrap();
        let agent = |room: &RoomUri| world.providers[&domain].rooms[room].franking_agent();
        assert_eq!((agent(&first), agent(&second)), (before, world.providers[&domain].agent()));
        for evidence in [old, late] {
            assert!(matches!(report(&mut world, A1, about(&evidence)), Event::Done { .. }));
        }
        let words = spam(&mut world, A1, A2, &second);
        assert!(matches!(report(&mut world, A2, about(&words)), Event::Done { .. }));
    }
}

#[test]
fn an_application_that_writes_the_content_format_itself_names_itself_rightly() {
    let mut world = World::ready(SUITE);
    let room = joined(&mut world);
    let bob = spam(&mut world, B1, A1, &room);
    let message = bob.message().unwrap();
    let reply = message.clone().in_reply_to(message.message_id(bob.sender(), &room));
    // It is Bob's: Alice cannot send it.
    let stolen = Command::Send { room: room.clone(), content: reply.to_content() };
    assert_eq!(world.command(A1, stolen), Err(CommandError::Content));
    say(&mut world, B1, &room, reply.to_content());
    let told = world.told[A1].last().cloned();
    let Some(Event::Message { media_type, body, evidence: Some(_), .. }) = told else { panic!("{told:?}") };
    assert_eq!((media_type.as_str(), body), ("application/mimi-content", reply.encode()));
}

#[test]
fn reporting_survives_restarts_losses_and_disorder() {
    for seed in 0..6 {
        let mut world = World::ready(SUITE);
        let room = joined(&mut world);
        world.order = Some(SeededEntropy::new([seed; 32]));
        world.trouble =
            Trouble { doubled: true, answered_twice: true, crashes: seed % 2 == 0, restored: seed % 3 == 0 };
        let evidence = spam(&mut world, B1, A1, &room);
        assert!(matches!(report(&mut world, A1, about(&evidence)), Event::Done { .. }), "seed {seed}");
        world.instead = Some((A1, "reportAbuse", Answer::Refused(Problem::SignatureInvalid)));
        let refused = report(&mut world, A1, about(&evidence));
        assert!(matches!(refused, Event::Failed { reason: FailureReason::Refused { .. }, .. }), "seed {seed}");
    }
}
