//! Every example of the draft is read, is written as it was, and has the identifier that the draft gives it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mimi_content::{
    Body, DerivedValues, Disposition, Expiration, ExternalContent, MessageId, MimiContent, Part, PartSemantics, Salt,
};
use mimi_pseudonym::{RoomUri, Timestamp, UserUri, Wire};

const ROOM: &str = "mimi://example.com/r/engineering_team";

/// Name, who sends it, identifier.
const EXAMPLES: [(&str, &str, &str); 14] = [
    ("original", "alice-smith", "017ce54837404c3696e0c747b985cb172716d0ed0a3d249ca63ace7d82a096f4"),
    ("reply", "bob-jones", "015354973c2b65ca937bf1e035ae53a5ab80e947afa43d46920d4202e5cc0b27"),
    ("reaction", "cathy-washington", "0158c4288911e50a8f6be3f47746b6682f10fd91bc8c05557aa589a3157aff68"),
    ("mention", "cathy-washington", "018d825adf9f6be00dcafc5704c4102f5022e74219d0b603e4ba7622654042af"),
    ("mention-html", "cathy-washington", "01967ff8e9a66819738ad5cf26d2e0388a3b81d86b0f61d129c077d043ee2a4e"),
    ("edit", "bob-jones", "014028c0deddbdea56bec26172f6ede953d11024cb82b8192b5e2aea62d7fb47"),
    ("delete", "bob-jones", "011d9efc78d04d4dcf4d82b07d5199bbef37011c1f0c7e004b6111c6dda504b4"),
    ("unlike", "cathy-washington", "013aadbb8f313253c8930f4e93c6ca54b2ed06d258185bdcec3870534c8a4ec4"),
    ("expiring", "alice-smith", "01e59db8173939facc2c8a4a0f0ae8d0c7a11a81239626630c9464a8d6717a03"),
    ("attachment", "bob-jones", "0176180c7d19a925021fe446d241134d05c38e0d999cdc0f39c391d2377ed9d1"),
    ("conferencing", "alice-smith", "01496d15a8dba28d7397f9868b70768e4a67f765d5b5b1ae9e03848c5fdeb0ba"),
    ("multipart-1", "alice-smith", "01da5a515ec5db42cc4dcc19b90c3c31245d8a1cfcce11318f24eb11dce0990e"),
    ("multipart-2", "alice-smith", "01d65918c6c51c8e76546337276ae6f4bfd873d867d5cb57c76bcdca3d999dd7"),
    ("multipart-3", "alice-smith", "01cfebeadbdb83c1eefb6403ba4852daf8bbbf9cd53bf5035a74d5d741950c9f"),
];

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/vectors/{name}.cbor", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn message(name: &str) -> MimiContent {
    MimiContent::decode(&file(name)).unwrap()
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let octets: Vec<u8> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    octets.try_into().unwrap()
}

fn id(name: &str) -> MessageId {
    MessageId::from_bytes(unhex(EXAMPLES.iter().find(|(example, ..)| *example == name).unwrap().2))
}

fn user(name: &str) -> UserUri {
    format!("mimi://example.com/u/{name}").parse().unwrap()
}

#[test]
fn every_example_is_read_and_written_as_it_was() {
    let files = std::fs::read_dir(format!("{}/tests/vectors", env!("CARGO_MANIFEST_DIR"))).unwrap().count();
    assert_eq!(files, EXAMPLES.len() + 1, "one more holds the derived values");
    for (name, sender, _) in EXAMPLES {
        let message = message(name);
        assert_eq!(message.encode(), file(name), "{name}");
        assert_eq!(message.extensions().sender(), Some(&user(sender)), "{name}");
        assert_eq!(message.extensions().room().map(RoomUri::as_str), Some(ROOM), "{name}");
    }
}

#[test]
fn every_example_has_its_identifier() {
    let room: RoomUri = ROOM.parse().unwrap();
    for (name, sender, _) in EXAMPLES {
        let message = message(name);
        assert_eq!(message.message_id(&user(sender), &room), id(name), "{name}");
        assert_ne!(message.message_id(&user("mallory"), &room), id(name), "{name}");
        assert_ne!(message.message_id(&user(sender), &"mimi://example.com/r/x".parse().unwrap()), id(name), "{name}");
    }
}

#[test]
fn the_fields_are_those_of_the_diagnostic_notation() {
    let original = message("original");
    assert_eq!(original.salt(), &Salt::from_bytes(unhex("5eed9406c2545547ab6f09f20a18b003")));
    assert_eq!((original.replaces(), original.replied_to(), original.expires()), (None, None, None));
    let text = "Hi everyone, we just shipped release 2.0. __Good  work__!";
    assert_eq!(original.body(), &Part::single(Disposition::Render, "text/markdown;variant=GFM-MIMI", text));

    assert_eq!(message("reply").replied_to(), Some(&id("original")));
    let reaction = message("reaction");
    assert_eq!(reaction.body(), &Part::single(Disposition::Reaction, "text/plain;charset=utf-8", "❤"));
    assert_eq!(message("edit").replaces(), Some(&id("reply")));
    assert_eq!(message("delete").body(), &Part::null(Disposition::Render));
    assert_eq!(message("unlike").replaces(), Some(&id("reaction")));
    assert_eq!(message("conferencing").topic(), b"Foo 118");
    let expiring = message("expiring");
    assert_eq!(expiring.expires(), Some(Expiration::At(1_644_390_004)));
    let [early, late] = [1_644_390_003, 1_644_390_004].map(Timestamp::from_secs);
    assert!(!expiring.has_expired(early, early));
    assert!(expiring.has_expired(early, late));

    let attachment = message("attachment");
    let expected = Part {
        disposition: Disposition::Attachment,
        language: "en".into(),
        body: Body::External(Box::new(ExternalContent {
            content_type: "video/mp4".into(),
            url: "https://example.com/storage/8ksB4bSrrRE.mp4".into(),
            expires: 0,
            size: 708_234_961,
            enc_alg: 1,
            key: unhex::<16>("21399320958a6f4c745dde670d95e0d8").into(),
            nonce: unhex::<12>("c86cf2c33f21527d1dd76f5b").into(),
            aad: vec![],
            hash_alg: 1,
            content_hash: unhex::<32>("9ab17a8cf0890baaae7ee016c7312fcc080ba46498389458ee44f0276e783163").into(),
            description: "2 hours of key signing video".into(),
            filename: "bigfile.mp4".into(),
        })),
    };
    assert_eq!(attachment.body(), &expected);
}

#[test]
fn part_indices_are_depth_first() {
    let nested = message("multipart-3");
    let parts: Vec<_> = nested.body().iter().collect();
    assert_eq!(parts.len(), 11);
    let kind = |at: usize| match &parts[at].body {
        Body::Single { content_type, .. } => content_type.as_str(),
        Body::Multi { semantics: PartSemantics::ChooseOne, .. } => "one",
        Body::Multi { semantics: PartSemantics::ProcessAll, .. } => "all",
        _ => "other",
    };
    let html = "text/html;charset=utf-8";
    let kinds: Vec<_> = (0..11).map(kind).collect();
    assert_eq!(kinds, ["one", "all", "one", html, html, "image/gif", "all", "one", html, html, "image/png"]);
    // The HTML parts of the draft name the images by these indices.
    let names = |at: usize, image: &str| match &parts[at].body {
        Body::Single { content, .. } => String::from_utf8_lossy(content).contains(image),
        _ => false,
    };
    assert!(names(3, "cid:5@") && names(4, "cid:5@") && names(8, "cid:10@") && names(9, "cid:10@"));
}

#[test]
fn the_derived_values_are_read_and_written_as_they_were() {
    let octets = file("implied-original");
    let values = DerivedValues::decode(&octets).unwrap();
    assert_eq!(values.encode(), octets);
    // The file of -08 still has the identifier that the message had in an older revision; the draft's diagnostic notation
    // beside it has the new one.
    let old = "01b0084467273cc43d6f0ebeac13eb84229c4fffe8f6c3594c905f47779e5a79";
    assert_eq!(values.message, MessageId::from_bytes(unhex(old)));
    assert_eq!(values.accepted, Timestamp::from_millis(1_644_387_225_019));
    assert_eq!((values.sender_leaf, values.sender), (4, user("alice-smith")));
    assert_eq!(values.room.as_str(), ROOM);
}
