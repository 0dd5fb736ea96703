//! Whoever changes a message, its time, its sender or its room on the way to a report gains nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mimi_abuse::franking::{
    Committed, EvidenceError, FrankError, FrankedMessage, HubKeys, MacKey, ReceiveError, ReportError, UncommittedError,
    commit, verify_received,
};
use mimi_content::{Disposition, Extensions, MimiContent, Part, Salt};
use mimi_pseudonym::{
    CipherSuite, Content, MessageContext, Nonce, RoomUri, SeededEntropy, Signer, SigningKey, Timestamp, UserUri, Wire,
};
use mimi_wire::{
    AbuseReport, AbusiveMessage, AppDataDictionary, Credential, Frank, FrankAad, FrankingAgentData,
    ServerFrankingContext,
};

const SENT: Timestamp = Timestamp::from_secs(1_000_000);

struct World {
    suite: CipherSuite,
    signer: SigningKey,
    keys: HubKeys,
    agent: FrankingAgentData,
    sender: UserUri,
    room: RoomUri,
}

/// What reaches the receiver.
#[derive(Clone)]
struct Sent {
    content: Content,
    frank_aad: FrankAad,
    frank: Frank,
    accepted: Timestamp,
    context: MessageContext,
}

fn key(suite: CipherSuite, seed: u8) -> SigningKey {
    SigningKey::generate(suite.signature_scheme(), &mut SeededEntropy::new([seed; 32])).unwrap()
}

fn message(text: &str, sender: &UserUri, room: &RoomUri) -> MimiContent {
    let body = Part::single(Disposition::Render, "text/plain;charset=utf-8", text);
    MimiContent::new(Salt::from_bytes([9; 16]), sender.clone(), room.clone(), body).unwrap()
}

impl World {
    fn new(suite: CipherSuite) -> Self {
        let signer = key(suite, 1);
        let secrets = vec![(Timestamp::from_secs(500_000), MacKey::generate(&mut SeededEntropy::new([2; 32])))];
        Self {
            suite,
            keys: HubKeys::new(secrets, vec![signer.public_key().clone()]),
            agent: FrankingAgentData {
                franking_signature_key: signer.public_key().as_bytes().to_vec(),
                credential: Credential::basic(b"mimi://hub.example"),
            },
            signer,
            sender: "mimi://b.example/u/~00000000-0000-0000-0000-000000000001".parse().unwrap(),
            room: "mimi://hub.example/r/club".parse().unwrap(),
        }
    }

    fn context(&self, sender: &UserUri, room: &RoomUri) -> MessageContext {
        let client = "mimi://b.example/d/x".parse().unwrap();
        let key = key(self.suite, 5).public_key().clone();
        MessageContext::dangerous_new(
            room.clone(),
            3,
            (sender.clone(), client),
            key,
            vec![],
            Nonce::from_bytes([0; 32]),
        )
    }

    fn send(&self, content: &MimiContent) -> Sent {
        let (content, frank_aad) = commit(content);
        let context = ServerFrankingContext { sender: self.sender.clone(), room: self.room.clone(), accepted: SENT };
        let frank = self.keys.frank(&frank_aad, context, self.suite, &self.signer).unwrap();
        let context = self.context(&self.sender, &self.room);
        Sent { content, frank_aad, frank, accepted: SENT, context }
    }

    fn receive(&self, sent: &Sent) -> Result<FrankedMessage, ReceiveError> {
        let Sent { content, frank_aad, frank, accepted, context } = sent;
        verify_received(content, frank_aad, frank, *accepted, context, self.suite, &self.agent)
    }

    fn report(&self, messages: Vec<AbusiveMessage>) -> AbuseReport {
        AbuseReport {
            reporting_user: None,
            alleged_abuser: self.sender.clone(),
            reason_code: 0,
            note: String::new(),
            messages,
            extensions: AppDataDictionary::default(),
        }
    }

    fn hub_says(&self, message: &AbusiveMessage) -> Result<(), EvidenceError> {
        match self.keys.verify_report(&self.room, &self.report(vec![message.clone()])) {
            Ok(_) => Ok(()),
            Err(ReportError::Evidence { at, error }) => {
                assert_eq!(at, 0);
                Err(error)
            }
            Err(other) => panic!("{other}"),
        }
    }
}

fn worlds() -> impl Iterator<Item = World> {
    CipherSuite::ALL.into_iter().map(World::new)
}

#[test]
fn what_was_sent_is_received_reported_and_recognised() {
    for world in worlds() {
        let sent = world.send(&message("buy this", &world.sender, &world.room));
        let received = world.receive(&sent).unwrap();
        assert_eq!(received.evidence.encode(), AbusiveMessage::decode(&received.evidence.encode()).unwrap().encode());
        let report = world.report(vec![received.evidence.clone(), received.evidence.clone()]);
        let report = AbuseReport::decode(&report.encode()).unwrap();
        let verified = world.keys.verify_report(&world.room, &report).unwrap();
        assert_eq!(verified.alleged_abuser, world.sender);
        assert_eq!(verified.messages.len(), 1, "the same message twice is one");
        assert_eq!((&verified.messages[0].message, verified.messages[0].accepted), (&received.message, SENT));
        assert_eq!(world.keys.verify_report(&world.room, &world.report(vec![])).unwrap().messages, []);
    }
}

#[test]
fn a_receiver_notices_every_change_on_the_way() {
    for world in worlds() {
        let good = world.send(&message("hello", &world.sender, &world.room));
        assert!(world.receive(&good).is_ok());
        let with = |change: &dyn Fn(&mut Sent)| {
            let mut sent = good.clone();
            change(&mut sent);
            world.receive(&sent).unwrap_err()
        };
        assert_eq!(
            with(&|sent| sent.accepted = SENT.after(std::time::Duration::from_millis(1))),
            ReceiveError::Signature
        );
        assert_eq!(with(&|sent| sent.frank.server_frank[0] ^= 1), ReceiveError::Signature);
        assert_eq!(with(&|sent| sent.frank.integrity_signature[9] ^= 1), ReceiveError::Signature);
        assert_eq!(with(&|sent| sent.frank_aad.franking_tag[31] ^= 1), ReceiveError::Tag);
        assert_eq!(
            with(&|sent| sent.content = commit(&message("hallo", &world.sender, &world.room)).0),
            ReceiveError::Tag
        );
        // The hub was told another sender than the one MLS knows; or the message is shown in another room of the hub.
        let other: UserUri = "mimi://b.example/u/mallory".parse().unwrap();
        assert_eq!(with(&|sent| sent.context = world.context(&other, &world.room)), ReceiveError::Signature);
        let elsewhere: RoomUri = "mimi://hub.example/r/other".parse().unwrap();
        assert_eq!(with(&|sent| sent.context = world.context(&world.sender, &elsewhere)), ReceiveError::Signature);
        let suite = CipherSuite::ALL.into_iter().find(|suite| *suite != world.suite).unwrap();
        assert_eq!(with(&|sent| sent.frank.cipher_suite = suite), ReceiveError::Suite);
        let text = Content { media_type: "text/plain".into(), body: b"hello".to_vec() };
        assert!(matches!(
            with(&|sent| sent.content = text.clone()),
            ReceiveError::Uncommitted(UncommittedError::Content(_))
        ));
    }
}

#[test]
fn a_sender_cannot_name_another_or_nobody() {
    for world in worlds() {
        let other: UserUri = "mimi://b.example/u/mallory".parse().unwrap();
        let elsewhere: RoomUri = "mimi://hub.example/r/other".parse().unwrap();
        let receive = |content: MimiContent| world.receive(&world.send(&content)).unwrap_err();
        assert_eq!(receive(message("x", &other, &world.room)), ReceiveError::Sender);
        assert_eq!(receive(message("x", &world.sender, &elsewhere)), ReceiveError::Room);
        let body = Part::null(Disposition::Render);
        let bare = MimiContent::with_extensions(Salt::from_bytes([1; 16]), Extensions::default(), body).unwrap();
        assert_eq!(receive(bare), ReceiveError::Uncommitted(UncommittedError::NoSender));
        let no_room = unnamed_room(&world);
        assert_eq!(Committed::read(&no_room.encode()), Err(UncommittedError::NoRoom));
    }
}

/// Application data that names a sender alone. No function of ours makes it.
fn unnamed_room(world: &World) -> Content {
    let mut content = message("x", &world.sender, &world.room).to_content();
    let room = [&[2, 0x78, 25][..], world.room.as_str().as_bytes()].concat();
    let at = content.body.windows(room.len()).position(|window| window == room).unwrap();
    content.body.drain(at..at + room.len());
    let map = content.body.iter().position(|octet| *octet == 0xa2).unwrap();
    content.body[map] = 0xa1;
    content
}

#[test]
fn only_an_agent_of_the_hub_counts() {
    for world in worlds() {
        let sent = world.send(&message("hello", &world.sender, &world.room));
        let with = |agent: FrankingAgentData| World { agent, ..World::new(world.suite) }.receive(&sent).unwrap_err();
        let key = || world.agent.franking_signature_key.clone();
        for credential in [Credential::basic(b"mimi://evil.example"), Credential::x509(vec![vec![1]])] {
            assert_eq!(with(FrankingAgentData { franking_signature_key: key(), credential }), ReceiveError::Agent);
        }
        let credential = || world.agent.credential.clone();
        let short = FrankingAgentData { franking_signature_key: vec![4; 9], credential: credential() };
        assert_eq!(with(short), ReceiveError::Key);
        let other = crate::key(world.suite, 77).public_key().as_bytes().to_vec();
        let other = FrankingAgentData { franking_signature_key: other, credential: credential() };
        assert_eq!(with(other), ReceiveError::Signature);
    }
}

#[test]
fn a_report_with_a_changed_message_time_sender_or_room_is_refused() {
    for world in worlds() {
        let sent = world.send(&message("hello", &world.sender, &world.room));
        let good = world.receive(&sent).unwrap().evidence;
        assert_eq!(world.hub_says(&good), Ok(()));
        let with = |change: &dyn Fn(&mut AbusiveMessage)| {
            let mut message = good.clone();
            change(&mut message);
            world.hub_says(&message).unwrap_err()
        };
        let worse = commit(&message("worse", &world.sender, &world.room)).0.encode();
        assert_eq!(with(&|shown| shown.message_content = worse.clone()), EvidenceError::NotStamped);
        assert_eq!(
            with(&|shown| shown.accepted = SENT.after(std::time::Duration::from_millis(1))),
            EvidenceError::NotStamped
        );
        assert_eq!(with(&|shown| shown.frank.server_frank[5] ^= 1), EvidenceError::NotStamped);
        assert_eq!(with(&|shown| shown.frank.integrity_signature[5] ^= 1), EvidenceError::Signature);
        let other: UserUri = "mimi://b.example/u/innocent".parse().unwrap();
        let framed = commit(&message("hello", &other, &world.room)).0.encode();
        assert_eq!(with(&|shown| shown.message_content = framed.clone()), EvidenceError::OtherSender);
        // Even who reports the other user is told no more than that this was never stamped.
        let report = AbuseReport {
            alleged_abuser: other.clone(),
            ..world.report(vec![AbusiveMessage { message_content: framed, ..good.clone() }])
        };
        let refused = world.keys.verify_report(&world.room, &report);
        assert_eq!(refused, Err(ReportError::Evidence { at: 0, error: EvidenceError::NotStamped }));
        let elsewhere: RoomUri = "mimi://hub.example/r/other".parse().unwrap();
        let moved = commit(&message("hello", &world.sender, &elsewhere)).0.encode();
        assert_eq!(with(&|shown| shown.message_content = moved.clone()), EvidenceError::OtherRoom);
        let refused = world.keys.verify_report(&elsewhere, &world.report(vec![good.clone()]));
        assert_eq!(refused, Err(ReportError::Evidence { at: 0, error: EvidenceError::OtherRoom }));
        assert!(matches!(
            with(&|shown| shown.message_content.truncate(20)),
            EvidenceError::Uncommitted(UncommittedError::Content(_))
        ));
        // One bad message among good ones, and nothing of the report is believed.
        let bad = AbusiveMessage { accepted: SENT.after(std::time::Duration::from_secs(9)), ..good.clone() };
        let refused = world.keys.verify_report(&world.room, &world.report(vec![good.clone(), bad]));
        assert_eq!(refused, Err(ReportError::Evidence { at: 1, error: EvidenceError::NotStamped }));
    }
}

#[test]
fn stamps_outlive_the_change_of_keys_until_the_old_secret_is_thrown_away() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    let good = world.receive(&world.send(&message("hello", &world.sender, &world.room))).unwrap().evidence;
    let old = (Timestamp::from_secs(500_000), MacKey::generate(&mut SeededEntropy::new([2; 32])));
    let new = (Timestamp::from_secs(2_000_000), MacKey::generate(&mut SeededEntropy::new([3; 32])));
    let (old_signer, new_signer) = (world.signer.public_key().clone(), key(world.suite, 8));
    let says = |secrets: Vec<(Timestamp, MacKey)>, keys: Vec<mimi_pseudonym::PublicKey>| {
        World { keys: HubKeys::new(secrets, keys), ..World::new(world.suite) }.hub_says(&good)
    };
    let both = || vec![new.clone(), old.clone()];
    let [before, after] = [old_signer.clone(), new_signer.public_key().clone()];
    assert_eq!(says(both(), vec![before.clone(), after.clone()]), Ok(()));
    assert_eq!(says(vec![new.clone()], vec![before.clone()]), Err(EvidenceError::Forgotten));
    assert_eq!(says(both(), vec![after.clone()]), Err(EvidenceError::Signature));
    // What is sent after the change is stamped with the new secret alone.
    let keys = HubKeys::new(both(), vec![before, after.clone()]);
    let context = |accepted| ServerFrankingContext { sender: world.sender.clone(), room: world.room.clone(), accepted };
    let tag = FrankAad { franking_tag: [1; 32] };
    let stamp = |keys: &HubKeys, at: u64| {
        keys.frank(&tag, context(Timestamp::from_secs(at)), world.suite, &new_signer).map(|frank| frank.server_frank)
    };
    let new_alone = HubKeys::new(vec![new], vec![after]);
    assert_eq!(stamp(&keys, 2_000_000), stamp(&new_alone, 2_000_000));
    assert_ne!(stamp(&keys, 1_999_999), stamp(&keys, 2_000_000));
    assert_eq!(stamp(&new_alone, 1_999_999), Err(FrankError::NoSecret));
}

#[test]
fn a_hub_signs_with_its_own_key_for_the_suite_alone() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    let context = || ServerFrankingContext { sender: world.sender.clone(), room: world.room.clone(), accepted: SENT };
    let tag = FrankAad { franking_tag: [1; 32] };
    let stranger = key(world.suite, 40);
    assert_eq!(world.keys.frank(&tag, context(), world.suite, &stranger), Err(FrankError::Key));
    let other = CipherSuite::P256Aes128P256;
    assert_eq!(world.keys.frank(&tag, context(), other, &world.signer), Err(FrankError::Key));
    let broken = Broken(world.signer.public_key().clone());
    assert_eq!(
        world.keys.frank(&tag, context(), world.suite, &broken),
        Err(FrankError::Sign(mimi_pseudonym::SignError))
    );
    assert_eq!(format!("{:?}", MacKey::from_bytes([7; 32])), "MacKey(..)");
}

/// A key that has gone away.
struct Broken(mimi_pseudonym::PublicKey);

impl Signer for Broken {
    fn public_key(&self) -> &mimi_pseudonym::PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, mimi_pseudonym::SignError> {
        Err(mimi_pseudonym::SignError)
    }
}
