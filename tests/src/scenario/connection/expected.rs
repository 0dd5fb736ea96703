use anyhow::Result;
use mimi_pseudonym::{ClientUri, RoomUri, UserUri};

use crate::{
    people::{alice, bob},
    sight::{
        Canary,
        Expectation::{self, Allowed, Forbidden, OpenDifference},
        Sight,
    },
};

/// What only a run can tell of those who met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// Alice's account.
    pub alice: UserUri,
    /// Her clients, by their accounts' names for them.
    pub alice_clients: [ClientUri; 2],
    /// Her pseudonym in the first room.
    pub p1: UserUri,
    /// Her pseudonym in the second room.
    pub p2: UserUri,
    /// Bob's account.
    pub bob: UserUri,
    /// His clients, by their account's names for them.
    pub bob_clients: [ClientUri; 2],
    /// His pseudonym in the second room.
    pub q1: UserUri,
    /// The first room, whose hub is Alice's provider.
    pub room_1: RoomUri,
    /// The second room, whose hub is Bob's provider.
    pub room_2: RoomUri,
}

/// The table for the flow, with what each provider may see of each value. `a` is Alice's provider and `b` Bob's.
///
/// # Errors
/// If a value is too short to be searched for.
pub fn sight([a, b]: [String; 2], met: &Met) -> Result<Sight> {
    let rows = rows(met);
    let canaries = rows.iter().map(|(name, octets, ..)| Canary::new(name, octets)).collect();
    let mut sight = Sight::new(&[&a, &b], canaries)?;
    for (name, _, at_a, at_b) in rows {
        sight.expect(&a, &name, at_a)?;
        sight.expect(&b, &name, at_b)?;
    }
    Ok(sight)
}

/// A value's name, the value, and what is expected at Alice's and at Bob's provider.
type Row = (String, String, Expectation, Expectation);

fn rows(met: &Met) -> Vec<Row> {
    let allowed = |why: &str| Allowed(why.to_owned());
    let own = || allowed("its own user");
    let issued = || allowed("its own pseudonym");
    let linked = || Forbidden("section 1: the account behind a pseudonym".to_owned());
    let sealed = || Forbidden("RFC 9420: sealed for the room's members".to_owned());
    let elsewhere = || Forbidden("section 1: another provider's user".to_owned());
    let follower = |why: &str| OpenDifference(why.to_owned());
    let row = |name: &str, value: &str, at_a, at_b| -> Row { (name.to_owned(), value.to_owned(), at_a, at_b) };
    let mut rows = vec![
        row("Alice's handle", alice::HANDLE, own(), linked()),
        row("Alice's account", met.alice.as_str(), own(), linked()),
        row("Alice's display name", alice::DISPLAY_NAME, own(), linked()),
        row("Alice's e-mail address", alice::EMAIL, own(), linked()),
        row("what Alice says", alice::NOTE, sealed(), sealed()),
    ];
    for (at, client) in met.alice_clients.iter().enumerate() {
        rows.push(row(&format!("Alice's client {}", at + 1), client.as_str(), own(), linked()));
    }
    rows.extend([
        row("Bob's handle", bob::HANDLE, allowed("Alice looked for it"), own()),
        row("Bob's account", met.bob.as_str(), allowed("hub of room 1, where he has no pseudonym"), own()),
        row("Bob's display name", bob::DISPLAY_NAME, elsewhere(), own()),
        row("Bob's e-mail address", bob::EMAIL, elsewhere(), own()),
        row("what Bob says", bob::GREETING, sealed(), sealed()),
    ]);
    for (at, client) in met.bob_clients.iter().enumerate() {
        let at_a = allowed("hub of room 1, where his clients are members");
        rows.push(row(&format!("Bob's client {}", at + 1), client.as_str(), at_a, own()));
    }
    rows.extend([
        row(
            "P1, Alice in room 1",
            met.p1.as_str(),
            issued(),
            follower("keyMaterial names who asks, and a follower sees who else is in the room"),
        ),
        row("P2, Alice in room 2", met.p2.as_str(), issued(), allowed("hub of room 2")),
        row("Q1, Bob in room 2", met.q1.as_str(), follower("a follower sees who else is in the room"), issued()),
        row("room 1", met.room_1.as_str(), allowed("its hub"), allowed("its user is in it")),
        row("room 2", met.room_2.as_str(), allowed("its user is in it"), allowed("its hub")),
    ]);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sample::line;

    fn met() -> Met {
        let user = |text: &str| text.parse().unwrap();
        let client = |text: &str| text.parse().unwrap();
        let domain = |text: &str| text.parse().unwrap();
        let room = |text: &str| text.parse().unwrap();
        let (a, b) = (domain("a.example"), domain("b.example"));
        Met {
            alice: user(alice::URI),
            alice_clients: [client("mimi://a.example/d/one-of-alice"), client("mimi://a.example/d/two-of-alice")],
            p1: UserUri::pseudonym(&a, [1; 16]),
            p2: UserUri::pseudonym(&a, [2; 16]),
            bob: user(bob::URI),
            bob_clients: [client("mimi://b.example/d/one-of-bob"), client("mimi://b.example/d/two-of-bob")],
            q1: UserUri::pseudonym(&b, [3; 16]),
            room_1: room("mimi://a.example/r/one"),
            room_2: room("mimi://b.example/r/two"),
        }
    }

    #[test]
    fn a_table_of_nothing_fails_in_every_row_where_something_must_be_seen() {
        let sight = sight(["a.example".into(), "b.example".into()], &met()).unwrap();
        let failures = sight.failures().unwrap();
        assert!(failures.iter().all(|failure| failure.starts_with("not seen: ")), "{failures:?}");
        assert!(failures.len() > rows(&met()).len());
    }

    #[test]
    fn alice_at_bobs_provider_is_a_leak() {
        for seen in [alice::HANDLE, alice::DISPLAY_NAME, alice::NOTE, "mimi://a.example/d/two-of-alice"] {
            let mut sight = sight(["a.example".into(), "b.example".into()], &met()).unwrap();
            let request = line(1, true, "a.example", "/mimi/v1/notify/x", 201, seen.as_bytes());
            sight.look_at_exchanges("b.example", &[request]);
            let leaks: Vec<_> = sight
                .failures()
                .unwrap()
                .into_iter()
                .filter(|failure| failure.starts_with("LEAK: b.example"))
                .collect();
            assert_eq!(leaks.len(), 1, "{seen}: {leaks:?}");
        }
    }

    #[test]
    fn no_value_is_part_of_another_unless_it_is_meant() {
        let rows = rows(&met());
        for (name, value, ..) in &rows {
            let inside: Vec<_> =
                rows.iter().filter(|(other, text, ..)| other != name && text.contains(value)).collect();
            let meant = name.ends_with("handle");
            assert_eq!(inside.is_empty(), !meant, "{name}: {inside:?}");
        }
    }
}
