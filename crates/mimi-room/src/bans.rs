use std::collections::BTreeMap;

use mimi_pseudonym::{DecodeError, Reader, Timestamp, UserUri, Wire, Writer};

/// Bans that end by themselves: our own convention, component 0x8A05. A user in it stands in the participant list with
/// the role "banned"; from the time on that is named here, [`RoomState::at`](crate::RoomState::at) takes it for no
/// participant.
///
/// The encoding is `TemporaryBan bans<V>` with `TemporaryBan = { UserUri user; uint64 until; }`, `until` in
/// milliseconds since 1970 and never 0, in ascending order of users, none twice. An update has the same format and
/// replaces the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TemporaryBans {
    bans: BTreeMap<UserUri, Timestamp>,
}

impl TemporaryBans {
    /// When the ban of a user ends; none if it has no temporary one.
    pub fn until(&self, user: &UserUri) -> Option<Timestamp> {
        self.bans.get(user).copied()
    }

    /// The same bans with one more, or with another end of one.
    #[must_use]
    pub fn with(mut self, user: UserUri, until: Timestamp) -> Self {
        self.bans.insert(user, until.max(Timestamp::from_millis(1)));
        self
    }

    /// The same bans without that of a user.
    #[must_use]
    pub fn without(mut self, user: &UserUri) -> Self {
        self.bans.remove(user);
        self
    }

    /// The users and when their bans end, in ascending order of the users.
    pub fn iter(&self) -> impl Iterator<Item = (&UserUri, Timestamp)> {
        self.bans.iter().map(|(user, until)| (user, *until))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }
}

impl Wire for TemporaryBans {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rule = |rule| DecodeError::Rule { field: "temporary_bans", rule };
        let mut rest = Reader::new(reader.vector()?);
        let mut bans = BTreeMap::new();
        while !rest.is_empty() {
            let (user, until) = (UserUri::read(&mut rest)?, Timestamp::read(&mut rest)?);
            if until == Timestamp::default() {
                return Err(rule("a ban never ends at 0"));
            }
            if bans.last_key_value().is_some_and(|(last, _)| *last >= user) {
                return Err(rule("not in ascending order"));
            }
            bans.insert(user, until);
        }
        Ok(Self { bans })
    }

    fn write(&self, writer: &mut Writer) {
        let mut bans = Writer::default();
        for (user, until) in &self.bans {
            user.write(&mut bans);
            until.write(&mut bans);
        }
        writer.vector(&bans.into_octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(name: &str) -> UserUri {
        format!("mimi://a.example/u/{name}").parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bans in prop::collection::btree_map("[a-z]{1,9}", 1u64.., 0..9)) {
            let bans = bans.iter().fold(TemporaryBans::default(), |bans, (name, until)| {
                bans.with(user(name), Timestamp::from_millis(*until))
            });
            prop_assert_eq!(TemporaryBans::decode(&bans.encode()), Ok(bans));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = TemporaryBans::decode(&octets);
        }
    }

    #[test]
    fn exact_octets_and_bad_ones() {
        let bans = TemporaryBans::default().with(user("b"), Timestamp::from_millis(258));
        let octets = [&[29, 20][..], b"mimi://a.example/u/b", &[0, 0, 0, 0, 0, 0, 1, 2]].concat();
        assert_eq!(bans.encode(), octets);
        let rule = |rule| Err(DecodeError::Rule { field: "temporary_bans", rule });
        let twice = [&[58], &octets[1..], &octets[1..]].concat();
        assert_eq!(TemporaryBans::decode(&twice), rule("not in ascending order"));
        let mut zero = octets;
        zero[22..].fill(0);
        assert_eq!(TemporaryBans::decode(&zero), rule("a ban never ends at 0"));
    }

    #[test]
    fn one_end_for_each_user() {
        let bans = TemporaryBans::default().with(user("b"), Timestamp::from_millis(5));
        let later = bans.clone().with(user("b"), Timestamp::from_millis(9));
        assert_eq!((later.until(&user("b")), later.iter().count()), (Some(Timestamp::from_millis(9)), 1));
        assert!(later.without(&user("b")).is_empty() && !bans.is_empty());
        assert_eq!(bans.until(&user("c")), None);
    }
}
