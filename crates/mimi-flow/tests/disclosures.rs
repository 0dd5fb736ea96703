//! Until a disclosure has verified, the application is told nothing and nothing is kept.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    A1, B1, B2, DAY, SUITES, World,
    provider::{claims_of, issuer, serial},
    text,
};
use mimi_credential::{Issuer, Validity};
use mimi_disclosure::{Bundle, MLS_CREDENTIAL};
use mimi_flow::{Command, CommandError, Entry, Event};
use mimi_mls::Room;
use mimi_pseudonym::{
    CipherSuite, ClaimName, Claims, Content, Entropy, PublicKey, RoomUri, SeededEntropy, Signer, SigningKey, UserUri,
    Writer,
};

const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

/// What a rogue Alice may do differently.
struct Rogue {
    other: Issuer,
    untrusted: Issuer,
    foreign: Issuer,
    key: PublicKey,
}

impl Rogue {
    fn new(world: &mut World) -> Self {
        let mut entropy = SeededEntropy::new([77; 32]);
        let mut made = || issuer("a.example", &mut entropy, world.now);
        let (other, untrusted, foreign) = (made(), made(), made());
        world.trust = world.trust.clone().with_anchor(other.certificate(), ["a.example".parse().unwrap()]).unwrap();
        world.trust = world.trust.clone().with_anchor(foreign.certificate(), ["c.example".parse().unwrap()]).unwrap();
        let key = SigningKey::generate(world.suite.signature_scheme(), &mut entropy).unwrap();
        Self { other, untrusted, foreign, key: key.public_key().clone() }
    }
}

/// A temporary room with everyone in it, where Alice's device has not said anything yet.
fn silent(suite: CipherSuite) -> (World, RoomUri) {
    let mut world = World::ready(suite);
    world.hold_request = Some((A1, "submitMessage"));
    world.command(A1, World::connect()).unwrap();
    world.run();
    let room = world.room_of(A1);
    assert_eq!(world.outline()[B1], [("Connection".to_owned(), 2, 2, 4)]);
    (world, room)
}

fn alice() -> Claims {
    claims_of(&"mimi://a.example/u/alice".parse().unwrap())
}

fn presentation(issuer: &Issuer, claims: &Claims, key: &PublicKey, validity: Validity) -> Content {
    let mut entropy = SeededEntropy::new([6; 32]);
    let chain = issuer.issue_identity(claims, key, serial(&mut entropy), validity).unwrap();
    let mut certificates = Writer::default();
    for certificate in chain.certificates() {
        certificates.vector(certificate);
    }
    let mut body = Writer::default();
    body.u16(2);
    body.vector(&certificates.into_octets());
    Content { media_type: MLS_CREDENTIAL.into(), body: body.into_octets() }
}

fn reply_to(domain: &str) -> UserUri {
    UserUri::pseudonym(&domain.parse().unwrap(), [42; 16])
}

fn bundle(presentations: Vec<Content>, reply_to: Option<UserUri>) -> Content {
    Bundle::new(presentations, reply_to, Vec::new(), "note").unwrap().into()
}

/// Everything that a device keeps, but the keys of its rooms, which every message uses up.
fn kept(world: &World, device: usize) -> Vec<Entry> {
    world.devices[device].save().into_iter().filter(|entry| !entry.key.starts_with("room/")).collect()
}

fn says_nothing(world: &mut World, room: &RoomUri, what: &str, make: impl FnOnce(&Room) -> Content) {
    let before = (kept(world, B1), kept(world, B2), world.outline());
    world.send_rogue(A1, room, make);
    world.run();
    assert!(world.told.iter().all(Vec::is_empty), "{what}: {:?}", world.told);
    assert!(before == (kept(world, B1), kept(world, B2), world.outline()), "{what}");
}

#[test]
fn what_does_not_verify_is_as_if_it_had_never_come() {
    for suite in SUITES {
        let (mut world, room) = silent(suite);
        let rogue = Rogue::new(&mut world);
        let hour = DAY / 24;
        let validity = Validity { not_before: world.now.before(hour), not_after: world.now.after(DAY) };
        let past = Validity { not_before: world.now.before(hour * 2), not_after: world.now.before(hour) };
        let own_key = |room: &Room| room.identity().signer().public_key().clone();
        let issuers = [("another issuer", &rogue.other), ("an untrusted issuer", &rogue.untrusted)];
        let issuers = issuers.into_iter().chain([("an issuer of another domain", &rogue.foreign)]);
        for (what, issuer) in issuers {
            says_nothing(&mut world, &room, what, |room| {
                bundle(vec![presentation(issuer, &alice(), &own_key(room), validity)], Some(reply_to("a.example")))
            });
        }
        let a = "a.example".parse().unwrap();
        let certified = |world: &World, claims: &Claims, key: &PublicKey, validity| {
            presentation(&world.providers[&a].issuer, claims, key, validity)
        };
        let key = world.with_room(A1, &room, |room| own_key(room));
        let good = certified(&world, &alice(), &key, validity);
        let mut fewer = Claims::default();
        fewer.insert(ClaimName::UserUri, "mimi://a.example/u/alice");
        let mut someone_else = alice();
        someone_else.insert(ClaimName::UserUri, "mimi://a.example/u/cathy");
        let first = world.with_room(A1, &room, |room| room.identity().user().clone());
        let answer = Some(reply_to("a.example"));
        let mut truncated = bundle(vec![good.clone()], answer.clone());
        truncated.body.pop();
        let typed =
            |media_type: &str| Content { media_type: media_type.into(), ..bundle(vec![good.clone()], answer.clone()) };
        let token = Content { media_type: "application/sd-jwt".into(), body: good.body.clone() };
        let cases = [
            ("another key", bundle(vec![certified(&world, &alice(), &rogue.key, validity)], answer.clone())),
            ("expired", bundle(vec![certified(&world, &alice(), &key, past)], answer.clone())),
            ("no presentation", bundle(vec![], answer.clone())),
            ("two that differ", bundle(vec![good.clone(), certified(&world, &fewer, &key, validity)], answer.clone())),
            (
                "two people",
                bundle(vec![good.clone(), certified(&world, &someone_else, &key, validity)], answer.clone()),
            ),
            ("an unknown format", bundle(vec![good.clone(), token], answer.clone())),
            ("nobody to answer to", bundle(vec![good.clone()], None)),
            ("the first pseudonym", bundle(vec![good.clone()], Some(first))),
            ("another provider's pseudonym", bundle(vec![good.clone()], Some(reply_to("b.example")))),
            ("truncated", truncated),
            ("no bundle", typed("application/octet-stream")),
            ("no media type", typed("")),
            ("garbage", Content { media_type: Bundle::MEDIA_TYPE.into(), body: vec![0xff; 99] }),
            ("a presentation alone", good.clone()),
            ("text", text("hello Bob, it is Alice")),
        ];
        for (what, content) in cases {
            says_nothing(&mut world, &room, what, |_| content);
        }
        // The same with nothing wrong is told.
        world.send_rogue(A1, &room, |_| bundle(vec![good.clone()], answer.clone()));
        world.run();
        for bob in [B1, B2] {
            let [Event::ConnectionRequested { from, .. }] = world.told[bob].as_slice() else { panic!() };
            assert_eq!(from.claims, alice());
        }
        // Nobody asks twice in one room, whether declined or not.
        world.command(B1, Command::Decline { request: world.request(B1) }).unwrap();
        world.forget();
        let mut entropy = SeededEntropy::new([8; 32]);
        for answer in [reply_to("a.example"), UserUri::pseudonym(&a, entropy.bits128())] {
            says_nothing(&mut world, &room, "once more", |_| bundle(vec![good.clone()], Some(answer)));
        }
    }
}

#[test]
fn what_bob_sends_into_the_temporary_room_says_nothing_to_alice() {
    let (mut world, room) = silent(SUITE);
    world.send_rogue(B1, &room, |_| text("who is there?"));
    world.run();
    assert!(world.told.iter().all(Vec::is_empty));
}

#[test]
fn declining_sends_nothing() {
    let mut world = World::ready(SUITE);
    world.command(A1, World::connect()).unwrap();
    world.run();
    let request = world.request(B1);
    world.forget();
    assert_eq!(world.command(B1, Command::Decline { request }), Ok(None));
    world.run();
    assert!(world.told.iter().all(Vec::is_empty) && world.calls.iter().all(Vec::is_empty));
    let accept = Command::Accept { request, greeting: text("hello") };
    for command in [Command::Decline { request }, accept] {
        assert_eq!(world.command(B1, command), Err(CommandError::NoSuchRequest));
    }
    // The other device may still accept.
    world.told[B2].push(Event::ConnectionRequested {
        request,
        from: mimi_flow::Verified { claims: alice(), issuer: "a.example".parse().unwrap() },
        note: String::new(),
    });
    world.accept(B2);
    world.run();
    assert!(matches!(world.told[A1].as_slice(), [Event::Connected { .. }, Event::Message { .. }]));
}

/// The command is refused for this reason, and nothing has changed.
fn refused(world: &mut World, device: usize, command: Command, error: CommandError) {
    let before = world.devices[device].save();
    assert_eq!(world.command(device, command), Err(error));
    assert!(world.devices[device].save() == before);
    assert!(world.sending[device].is_empty());
}

#[test]
fn a_command_that_cannot_be_carried_out_changes_nothing() {
    let mut world = World::new(SUITE);
    refused(&mut world, A1, World::connect(), CommandError::TooFewPseudonyms { wanted: 2, fresh: 0 });
    world.prepare(1);
    refused(&mut world, A1, World::connect(), CommandError::TooFewPseudonyms { wanted: 2, fresh: 1 });
    let connect = |disclose: &[ClaimName], note: usize| Command::Connect {
        handle: "im:bob@b.example".into(),
        domain: "b.example".parse().unwrap(),
        disclose: disclose.to_vec(),
        note: "n".repeat(note),
    };
    refused(&mut world, A1, connect(&ClaimName::ALL, 1_025), CommandError::NoteTooLong(1_025));
    for count in [0, 1_001] {
        refused(&mut world, A1, Command::Prepare { pseudonyms: count }, CommandError::Count(count));
        refused(&mut world, A1, Command::Publish { key_packages: count }, CommandError::Count(count));
    }
    world.command(A1, Command::Prepare { pseudonyms: 3 }).unwrap();
    world.run();
    for disclose in [&[][..], &[ClaimName::UserUri], &[ClaimName::Handle, ClaimName::DisplayName]] {
        refused(&mut world, A1, connect(disclose, 0), CommandError::Disclosure);
    }
    let nowhere = "mimi://a.example/r/nowhere".parse().unwrap();
    refused(&mut world, A1, Command::Send { room: nowhere, content: text("hello") }, CommandError::NoSuchRoom);

    world.command(A1, World::connect()).unwrap();
    world.run();
    world.accept(B1);
    let request = world.request(B1);
    refused_after(&mut world, request);
    world.run();
    // Bob has used his only pseudonym: the next request waits until there is another.
    world.command(A1, World::connect()).unwrap();
    world.run();
    let next = world.request(B1);
    assert_ne!(next, request);
    let accept = Command::Accept { request: next, greeting: text("hello") };
    refused(&mut world, B1, accept, CommandError::TooFewPseudonyms { wanted: 1, fresh: 0 });
    world.command(B1, Command::Prepare { pseudonyms: 1 }).unwrap();
    world.run();
    world.forget_calls();
    let accept = Command::Accept { request: next, greeting: text("hello again") };
    assert_eq!(world.command(B1, accept), Ok(Some(next)));
    world.run();
    assert_eq!(world.calls[B1], ["createRoom", "claimOwn", "update", "submitMessage"]);
}

/// What is accepted can be neither accepted again nor declined.
fn refused_after(world: &mut World, request: mimi_flow::FlowId) {
    let before = world.devices[B1].save();
    let accept = Command::Accept { request, greeting: text("hello") };
    for command in [accept, Command::Decline { request }] {
        assert_eq!(world.command(B1, command), Err(CommandError::NoSuchRequest));
    }
    assert!(world.devices[B1].save() == before);
}
