//! What is no message in this format is refused, and says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use ciborium::{Value, cbor};
use mimi_content::{
    Body, DerivedValues, Disposition, ExtensionError, ExtensionKey, Extensions, ExternalContent, MimiContent, Part,
    PartError, PartSemantics, Salt,
};
use mimi_pseudonym::{DecodeError, Wire};
use proptest::prelude::*;

const SALT: Salt = Salt::from_bytes([7; 16]);

fn octets(value: &Value) -> Vec<u8> {
    let mut octets = Vec::new();
    ciborium::into_writer(value, &mut octets).unwrap();
    octets
}

/// A good message as its seven fields.
fn fields() -> Vec<Value> {
    vec![
        Value::Bytes(vec![7; 16]),
        Value::Null,
        Value::Bytes(vec![]),
        Value::Null,
        Value::Null,
        cbor!({1 => "mimi://a.example/u/alice", 2 => "mimi://a.example/r/x"}).unwrap(),
        cbor!([1, "", 1, "text/plain", Value::Bytes(vec![1])]).unwrap(),
    ]
}

/// What reading says when a field is another.
fn with(at: usize, value: Value) -> Result<MimiContent, DecodeError> {
    let mut fields = fields();
    fields[at] = value;
    MimiContent::decode(&octets(&Value::Array(fields)))
}

fn rule(result: Result<MimiContent, DecodeError>) -> (&'static str, &'static str) {
    match result {
        Err(DecodeError::Rule { field, rule }) => (field, rule),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_good_message_is_good() {
    let good = octets(&Value::Array(fields()));
    assert_eq!(MimiContent::decode(&good).unwrap().encode(), good);
}

#[test]
fn fields_of_another_shape_are_refused() {
    let bytes = |length| Value::Bytes(vec![1; length]);
    let cases = [
        (0, bytes(15), ("salt", "not of the right length")),
        (0, Value::Null, ("salt", "not a byte string")),
        (1, bytes(31), ("replaces", "not of the right length")),
        (2, Value::Text("x".into()), ("topicId", "not a byte string")),
        (3, cbor!([1, 5]).unwrap(), ("relative", "neither true nor false")),
        (3, cbor!([true, 0x1_0000_0000u64]).unwrap(), ("time", "a number out of range")),
        (3, cbor!([true, (-1)]).unwrap(), ("time", "a number out of range")),
        (3, cbor!([true]).unwrap(), ("time", "missing")),
        (3, cbor!([true, 1, 1]).unwrap(), ("expires", "too many fields")),
        (3, Value::Bool(true), ("expires", "not an array")),
        (4, bytes(33), ("inReplyTo", "not of the right length")),
        (5, cbor!([]).unwrap(), ("mimiExtensions", "not a map")),
        (6, Value::Null, ("NestedPart", "not an array")),
        (6, cbor!([256, "", 0]).unwrap(), ("disposition", "a number out of range")),
        (6, cbor!([1, 5, 0]).unwrap(), ("language", "not a text string")),
        (6, cbor!([1, "", "0"]).unwrap(), ("cardinality", "not a number")),
        (6, cbor!([1, "", 0, 0]).unwrap(), ("NestedPart", "too many fields")),
        (6, cbor!([1, "", 1, "text/plain"]).unwrap(), ("content", "missing")),
        (6, cbor!([1, "", 2, "text/plain", ""]).unwrap(), ("expires", "missing")),
        (6, cbor!([1, "", 3, 0, [[1, "", 0]]]).unwrap(), ("parts", "fewer than two")),
    ];
    for (at, value, expected) in cases {
        assert_eq!(rule(with(at, value.clone())), expected, "{value:?}");
    }
    let value = |field, value| Err(DecodeError::Value { field, value });
    assert_eq!(with(6, cbor!([1, "", 4]).unwrap()), value("cardinality", 4));
    assert_eq!(with(6, cbor!([1, "", 3, 3, []]).unwrap()), value("partSemantics", 3));
}

#[test]
fn sender_and_room_are_uris_in_one_spelling() {
    assert_eq!(
        rule(with(5, cbor!({1 => "mimi://A.example/u/alice"}).unwrap())),
        ("senderUri", "not in its canonical spelling")
    );
    assert!(matches!(with(5, cbor!({1 => "mimi://a.example/r/x"}).unwrap()), Err(DecodeError::Uri(_))));
    assert!(matches!(with(5, cbor!({2 => "https://a.example/"}).unwrap()), Err(DecodeError::Uri(_))));
    assert_eq!(rule(with(5, cbor!({2 => 5}).unwrap())), ("roomUri", "not a text string"));
    let without = with(5, cbor!({}).unwrap()).unwrap();
    assert_eq!((without.extensions().sender(), without.extensions().room()), (None, None));
}

#[test]
fn extensions_keep_the_rules_for_keys_order_depth_and_size() {
    let map = |entries: &[(Value, Value)]| with(5, Value::Map(entries.to_vec()));
    let key = "a key is no number within 2^53 and no text of 1 to 255 octets";
    let order = "keys out of order, or one of them twice";
    let text = |length| Value::Text("x".repeat(length));
    let null = || Value::Null;
    assert_eq!(rule(map(&[(text(0), null())])).1, key);
    assert_eq!(rule(map(&[(text(256), null())])).1, key);
    assert_eq!(rule(map(&[(Value::from(1u64 << 53), null())])).1, key);
    assert_eq!(rule(map(&[(Value::from(-(1i64 << 53)), null())])).1, key);
    assert_eq!(rule(map(&[(Value::Bytes(vec![1]), null())])).1, key);
    assert_eq!(rule(map(&[(Value::from(300), null()), (Value::from(4), null())])).1, order);
    assert_eq!(rule(map(&[(Value::from(4), null()), (Value::from(4), null())])).1, order);
    assert_eq!(rule(map(&[(text(1), null()), (Value::from(-1), null())])).1, order);
    // The older "canonical" order has short keys first.
    assert!(map(&[(Value::from(300), null()), (Value::from(-1), null()), (text(255), null())]).is_ok());
    assert!(map(&[(Value::from((1i64 << 53) - 1), null()), (Value::from(1 - (1i64 << 53)), null())]).is_ok());

    let deep = |levels: usize| (0..levels).fold(null(), |inner, _| Value::Array(vec![inner]));
    assert!(map(&[(Value::from(256), deep(3))]).is_ok(), "the draft's own example has four levels");
    assert_eq!(rule(map(&[(Value::from(256), deep(4))])).1, "more than four levels deep");
    let tagged = (0..4).fold(null(), |inner, _| Value::Tag(32, Box::new(inner)));
    assert_eq!(rule(map(&[(Value::from(256), tagged)])).1, "more than four levels deep");
    let inner = |key: Value| Value::Map(vec![(key, null())]);
    assert!(map(&[(Value::from(256), inner(Value::Bytes(vec![])))]).is_ok());
    assert_eq!(rule(map(&[(Value::from(256), inner(null()))])).1, "a map's key is no number, text or byte string");
    let twice = Value::Map(vec![(Value::from(1), null()), (Value::from(1), null())]);
    assert_eq!(rule(map(&[(Value::from(256), twice)])).1, order);
    assert!(map(&[(Value::from(256), Value::Bytes(vec![0; 4092]))]).is_ok());
    assert_eq!(rule(map(&[(Value::from(256), Value::Bytes(vec![0; 4093]))])).1, "a value of more than 4095 octets");
}

#[test]
fn extensions_are_made_under_the_same_rules() {
    let mut extensions = Extensions::default();
    let long = [vec![0x59, 0x0f, 0xfd], vec![0; 4093]].concat();
    assert_eq!(extensions.insert(ExtensionKey::Number(2), &[0xf6]), Err(ExtensionError::Reserved));
    assert_eq!(extensions.insert(ExtensionKey::Number(1 << 53), &[0xf6]), Err(ExtensionError::Key));
    assert_eq!(extensions.insert(ExtensionKey::Text(String::new()), &[0xf6]), Err(ExtensionError::Key));
    assert_eq!(extensions.insert(ExtensionKey::Number(7), &long), Err(ExtensionError::TooLong));
    for value in [&[0x18, 1][..], &[0x81, 0x81, 0x81, 0x81, 1], &[0xf6, 0xf6], &[]] {
        assert_eq!(extensions.insert(ExtensionKey::Number(7), value), Err(ExtensionError::Value), "{value:?}");
    }
    for key in [ExtensionKey::Text("x".into()), ExtensionKey::Number(-1), ExtensionKey::Number(0)] {
        extensions.insert(key, &[0x81, 1]).unwrap();
    }
    let message = MimiContent::with_extensions(SALT, extensions, Part::null(Disposition::Render)).unwrap();
    let read = MimiContent::decode(&message.encode()).unwrap();
    assert_eq!(read, message);
    let keys: Vec<_> = read.extensions().others().cloned().collect();
    assert_eq!(keys, [ExtensionKey::Number(0), ExtensionKey::Number(-1), ExtensionKey::Text("x".into())]);
    assert_eq!(read.extensions().other(&ExtensionKey::Number(-1)), Some(&[0x81, 1][..]));
}

#[test]
fn another_encoding_of_the_same_message_is_refused() {
    let good = octets(&Value::Array(fields()));
    let rest = &good[1..];
    let other = |front: &[u8], back: &[u8]| MimiContent::decode(&[front, rest, back].concat());
    let not_deterministic = ("cbor", "not in its deterministic form");
    assert_eq!(rule(other(&[0x98, 7], &[])), not_deterministic, "a longer length");
    assert_eq!(rule(other(&[0x9f], &[0xff])), not_deterministic, "an indefinite length");
    assert_eq!(rule(other(&[0xd9, 0xd9, 0xf7, 0x87], &[])).0, "mimiContent", "a tag in front");
    assert_eq!(other(&[0x87], &[0]), Err(DecodeError::Trailing(1)));
    assert_eq!(MimiContent::decode(&good[..good.len() - 1]), Err(DecodeError::Truncated));
    assert_eq!(MimiContent::decode(&[]), Err(DecodeError::Truncated));
    assert_eq!(rule(MimiContent::decode(&[0x87, 0xff])).1, "not well-formed");
    assert_eq!(
        MimiContent::decode(&vec![0; (1 << 20) + 1]),
        Err(DecodeError::TooLong { found: (1 << 20) + 1, limit: 1 << 20 })
    );
    // An extension: 5 in two octets, 1.0 in four, a number as a tagged byte string, `undefined`.
    let value = |octets: &[u8]| {
        let mut message = [&[0x87][..], &rest[..17 + 1 + 1 + 1 + 1], &[0xa1, 0x19, 1, 0]].concat();
        message.extend_from_slice(octets);
        message.extend_from_slice(&[0x83, 1, 0x60, 0]);
        MimiContent::decode(&message)
    };
    assert!(value(&[5]).is_ok());
    assert!(value(&[0xf9, 0x3c, 0]).is_ok());
    assert!(value(&[0xf9, 0x7e, 0]).is_ok(), "not a number, in its one form");
    for octets in [&[0x18, 5][..], &[0xfa, 0x3f, 0x80, 0, 0], &[0xc2, 0x41, 5], &[0xf7]] {
        assert_eq!(rule(value(octets)), not_deterministic, "{octets:?}");
    }
    assert_eq!(rule(value(&[0xf9, 0x7e, 1])), ("mimiExtensions", "a NaN that is not the quiet one"));
}

#[test]
fn what_is_nested_without_end_is_refused_and_overflows_nothing() {
    for octet in [0x81, 0xa1, 0xc1, 0xd8, 0xdf] {
        let deep = vec![octet; 100_000];
        assert!(MimiContent::decode(&deep).is_err());
    }
    let long = [&[0x9b][..], &[0xff; 8]].concat();
    assert!(MimiContent::decode(&long).is_err(), "an array as long as no memory");
    assert!(MimiContent::decode(&[&[0x5b][..], &[0x7f; 8]].concat()).is_err(), "octets as long as no memory");
}

fn multi(parts: Vec<Part>) -> Part {
    let body = Body::Multi { semantics: PartSemantics::ProcessAll, parts };
    Part { disposition: Disposition::Render, language: String::new(), body }
}

fn levels(count: usize) -> Part {
    let leaf = || Part::null(Disposition::Render);
    (1..count).fold(leaf(), |inner, _| multi(vec![inner, leaf()]))
}

#[test]
fn a_body_is_made_under_the_rules_it_is_read_under() {
    let make = |body| MimiContent::with_extensions(SALT, Extensions::default(), body);
    let four = make(levels(4)).unwrap();
    assert_eq!(MimiContent::decode(&four.encode()), Ok(four));
    assert_eq!(make(levels(5)), Err(PartError::TooDeep));
    assert_eq!(make(multi(vec![Part::null(Disposition::Render)])), Err(PartError::TooFew));
    let external = ExternalContent { key: vec![1], ..ExternalContent::default() };
    let body = Part { body: Body::External(Box::new(external)), ..Part::null(Disposition::Attachment) };
    assert_eq!(make(body), Err(PartError::KeyWithoutAlgorithm));

    let empty = || Value::Bytes(vec![]);
    let key = cbor!([6, "", 2, "", "", 0, 0, 0, Value::Bytes(vec![1]), empty(), empty(), 0, empty(), "", ""]).unwrap();
    assert_eq!(rule(with(6, key)), ("encAlg", "none, though there is a key, a nonce or aad"));
    let part = |count| {
        (1..count).fold(cbor!([1, "", 0]).unwrap(), |inner, _| cbor!([1, "", 3, 0, [inner, [1, "", 0]]]).unwrap())
    };
    assert!(with(6, part(4)).is_ok());
    assert_eq!(rule(with(6, part(5))), ("NestedPart", "more than four levels deep"));
    assert!(MimiContent::decode(&octets(&Value::Array([fields()[..6].to_vec(), vec![part(50)]].concat()))).is_err());
}

#[test]
fn other_media_types_are_other_formats() {
    let message = MimiContent::with_extensions(SALT, Extensions::default(), levels(1)).unwrap();
    let mut content = message.to_content();
    assert_eq!(MimiContent::from_content(&content), Ok(message));
    content.media_type = "text/plain".into();
    assert_eq!(rule(MimiContent::from_content(&content)), ("media_type", "not application/mimi-content"));
}

#[test]
fn debug_shows_no_content_salt_or_sender() {
    let body = Part::single(Disposition::Render, "text/plain", "secret");
    let [sender, room] = ["mimi://a.example/u/alice", "mimi://a.example/r/x"];
    let message = MimiContent::new(SALT, sender.parse().unwrap(), room.parse().unwrap(), body).unwrap();
    let shown = format!("{message:?}");
    assert!(shown.contains("text/plain, 6 octets"), "{shown}");
    for hidden in ["alice", "secret", "115", "[7"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(octets: Vec<u8>) {
        if let Ok(message) = MimiContent::decode(&octets) {
            prop_assert_eq!(message.encode(), octets.clone());
        }
        let _ = DerivedValues::decode(&octets);
    }

    #[test]
    fn a_changed_octet_is_another_message_or_none(at in 0usize..100, flip in 1u8..) {
        let mut changed = octets(&Value::Array(fields()));
        let at = at % changed.len();
        let good = MimiContent::decode(&changed).unwrap();
        changed[at] ^= flip;
        if let Ok(message) = MimiContent::decode(&changed) {
            prop_assert_ne!(message, good);
        }
    }
}
