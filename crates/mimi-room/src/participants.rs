use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use mimi_pseudonym::{DecodeError, Reader, UserUri, Wire, Writer};

use crate::{Refusal, Role, roll::Roll};

/// A user and its role: `UserRolePair`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The user, by its account or by a pseudonym.
    pub user: UserUri,
    /// The index of its role.
    pub role: u32,
}

impl Wire for Participant {
    const MAX_LEN: usize = UserUri::MAX_LEN + 4;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user: UserUri::read(reader)?, role: reader.u32()? })
    }

    fn write(&self, writer: &mut Writer) {
        self.user.write(writer);
        writer.u32(self.role);
    }
}

/// A new role for the user at an index of the list: `UserindexRolePair`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleAssignment {
    /// The user's place in the list before the update, from 0.
    pub index: u32,
    /// The index of its new role.
    pub role: u32,
}

impl Wire for RoleAssignment {
    const MAX_LEN: usize = 8;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { index: reader.u32()?, role: reader.u32()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u32(self.index);
        writer.u32(self.role);
    }
}

/// A change of the participant list: the contents of an AppDataUpdate of component 0x0022. All indices refer to the
/// list as it is before the commit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParticipantListUpdate {
    /// `changedRoleParticipants`: done first.
    pub changed: Vec<RoleAssignment>,
    /// `removedIndices`: done second.
    pub removed: Vec<u32>,
    /// `addedParticipants`: put at the end of the list, in this order.
    pub added: Vec<Participant>,
}

impl ParticipantListUpdate {
    /// Adds one user.
    pub fn add(user: UserUri, role: u32) -> Self {
        Self { added: vec![Participant { user, role }], ..Self::default() }
    }
}

impl Wire for ParticipantListUpdate {
    const MAX_LEN: usize = 1 << 22;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { changed: reader.list()?, removed: reader.list()?, added: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(&self.changed);
        writer.list(&self.removed);
        writer.list(&self.added);
    }
}

/// The participants of a room and their roles: `ParticipantListData`, component 0x0022. No user stands in it twice,
/// none has role 0. Looking up a user, copying the list and changing a participant take little more time in a large room
/// than in a small one.
#[derive(Clone, Default)]
pub struct ParticipantList {
    roll: Roll,
    per_role: HashMap<u32, u32>,
}

/// One user's way from a role to another; 0 stands for not being in the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit<'a> {
    pub(crate) user: &'a UserUri,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl ParticipantList {
    /// A list of these participants, in this order.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] if a user stands in it twice, or has role 0.
    pub fn new(participants: impl IntoIterator<Item = Participant>) -> Result<Self, DecodeError> {
        let mut list = Self::default();
        for Participant { user, role } in participants {
            if role == Role::NONE {
                return Err(DecodeError::Rule { field: "role_index", rule: "a participant never has role 0" });
            }
            if !list.push(Arc::new(user), role) {
                return Err(DecodeError::Rule { field: "participants", rule: "a user stands in the list twice" });
            }
        }
        Ok(list)
    }

    /// Whether it could be put at the end; false if it is in the list already.
    fn push(&mut self, user: Arc<UserUri>, role: u32) -> bool {
        let new = self.roll.push(user, role);
        if new {
            *self.per_role.entry(role).or_default() += 1;
        }
        new
    }

    /// How many participants there are, the banned among them.
    pub fn len(&self) -> usize {
        self.roll.len()
    }

    /// Whether there is no participant.
    pub fn is_empty(&self) -> bool {
        self.roll.len() == 0
    }

    /// The participants and their roles, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&UserUri, u32)> {
        self.roll.iter()
    }

    /// The role of a user; none if it is no participant.
    pub fn role_of(&self, user: &UserUri) -> Option<u32> {
        self.roll.role_of(user)
    }

    /// The place of a user in the list, from 0, as an update wants it.
    pub fn index_of(&self, user: &UserUri) -> Option<u32> {
        self.roll.place_of(user).and_then(|at| u32::try_from(at).ok())
    }

    /// The participant at a place in the list, from 0.
    pub fn at(&self, index: u32) -> Option<(&UserUri, u32)> {
        self.roll.at(usize::try_from(index).ok()?)
    }

    /// How many participants have a role.
    pub fn count(&self, role: u32) -> u32 {
        self.per_role.get(&role).copied().unwrap_or_default()
    }

    /// What an update does to each user.
    ///
    /// # Errors
    /// [`Refusal::UserIndex`], [`Refusal::UnknownRole`] for role 0, [`Refusal::AlreadyParticipant`].
    pub(crate) fn edits<'a>(&'a self, update: &'a ParticipantListUpdate) -> Result<Vec<Edit<'a>>, Refusal> {
        let mut edits = Vec::with_capacity(update.changed.len() + update.removed.len() + update.added.len());
        for RoleAssignment { index, role } in &update.changed {
            let (user, from) = self.at(*index).ok_or(Refusal::UserIndex(*index))?;
            edits.push(Edit { user, from, to: nonzero(*role)? });
        }
        for index in &update.removed {
            let (user, from) = self.at(*index).ok_or(Refusal::UserIndex(*index))?;
            edits.push(Edit { user, from, to: Role::NONE });
        }
        for Participant { user, role } in &update.added {
            if self.roll.contains(user) {
                return Err(Refusal::AlreadyParticipant);
            }
            edits.push(Edit { user, from: Role::NONE, to: nonzero(*role)? });
        }
        Ok(edits)
    }

    /// The list after these updates of one commit, whoever may make them: roles changed, then users removed, then users
    /// added; every index refers to this list.
    ///
    /// # Errors
    /// [`Refusal::UserIndex`], [`Refusal::UnknownRole`] for role 0, [`Refusal::AlreadyParticipant`],
    /// [`Refusal::UserTwice`].
    pub fn updated(&self, updates: &[ParticipantListUpdate]) -> Result<Self, Refusal> {
        let mut edits = Vec::new();
        for update in updates {
            edits.extend(self.edits(update)?);
        }
        let mut seen = HashSet::new();
        if edits.iter().any(|edit| !seen.insert(edit.user)) {
            return Err(Refusal::UserTwice);
        }
        Ok(self.edited(&edits))
    }

    /// The list after edits that were made from it, no two of one user.
    pub(crate) fn edited(&self, edits: &[Edit<'_>]) -> Self {
        let mut list = self.clone();
        for edit in edits.iter().filter(|edit| edit.from != Role::NONE) {
            if let Some(count) = list.per_role.get_mut(&edit.from) {
                *count = count.saturating_sub(1);
            }
            match edit.to {
                Role::NONE => list.roll.remove(edit.user),
                to => {
                    list.roll.set_role(edit.user, to);
                    *list.per_role.entry(to).or_default() += 1;
                }
            }
        }
        for edit in edits.iter().filter(|edit| edit.from == Role::NONE) {
            list.push(Arc::new(edit.user.clone()), edit.to);
        }
        list
    }
}

fn nonzero(role: u32) -> Result<u32, Refusal> {
    if role == Role::NONE { Err(Refusal::UnknownRole(role)) } else { Ok(role) }
}

impl fmt::Debug for ParticipantList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for ParticipantList {
    fn eq(&self, other: &Self) -> bool {
        self.roll == other.roll
    }
}

impl Eq for ParticipantList {}

impl Wire for ParticipantList {
    const MAX_LEN: usize = 1 << 24;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.list::<Participant>()?)
    }

    fn write(&self, writer: &mut Writer) {
        let mut inner = Writer::default();
        for (user, role) in self.iter() {
            user.write(&mut inner);
            inner.u32(role);
        }
        writer.vector(&inner.into_octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(name: &str) -> UserUri {
        format!("mimi://a.example/u/{name}").parse().unwrap()
    }

    fn list(roles: &[u32]) -> ParticipantList {
        let participants = roles.iter().enumerate();
        ParticipantList::new(participants.map(|(at, role)| Participant { user: user(&format!("u{at}")), role: *role }))
            .unwrap()
    }

    fn names(list: &ParticipantList) -> Vec<(String, u32)> {
        list.iter().map(|(user, role)| (user.name().to_owned(), role)).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(roles in prop::collection::vec(1u32.., 0..80)) {
            let list = list(&roles);
            prop_assert_eq!(ParticipantList::decode(&list.encode()).unwrap(), list);
        }

        #[test]
        fn an_update_that_is_written_is_read(
            changed: Vec<(u32, u32)>, removed: Vec<u32>, added in prop::collection::vec(("[a-z]{1,9}", any::<u32>()), 0..9),
        ) {
            let update = ParticipantListUpdate {
                changed: changed.into_iter().map(|(index, role)| RoleAssignment { index, role }).collect(),
                removed,
                added: added.into_iter().map(|(name, role)| Participant { user: user(&name), role }).collect(),
            };
            prop_assert_eq!(ParticipantListUpdate::decode(&update.encode()).unwrap(), update);
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = ParticipantList::decode(&octets);
            let _ = ParticipantListUpdate::decode(&octets);
        }

        /// The index is what it would be if the list were made anew.
        #[test]
        fn an_update_keeps_the_index(
            roles in prop::collection::vec(1u32..4, 1..20),
            fates in prop::collection::vec(0u32..6, 20),
            more in 0usize..3,
        ) {
            let before = list(&roles);
            let mut update = ParticipantListUpdate::default();
            for (index, fate) in (0..).zip(fates.iter().take(roles.len())) {
                match fate {
                    0 => update.removed.push(index),
                    1..4 => update.changed.push(RoleAssignment { index, role: *fate }),
                    _ => {}
                }
            }
            update.added.extend((0..more).map(|n| Participant { user: user(&format!("new{n}")), role: 3 }));
            let after = before.updated(&[update]).unwrap();
            let anew = ParticipantList::decode(&after.encode()).unwrap();
            prop_assert_eq!(&anew, &after);
            for role in 0..5 {
                prop_assert_eq!(anew.count(role), after.count(role));
            }
            for (at, (user, role)) in (0..).zip(after.iter()) {
                prop_assert_eq!(after.role_of(user), Some(role));
                prop_assert_eq!(after.index_of(user), Some(at));
                prop_assert_eq!(after.at(at), Some((user, role)));
            }
        }
    }

    #[test]
    fn indices_refer_to_the_list_before_the_commit() {
        let first = ParticipantListUpdate { removed: vec![0], ..Default::default() };
        let second = ParticipantListUpdate {
            changed: vec![RoleAssignment { index: 2, role: 9 }],
            removed: vec![1],
            added: vec![Participant { user: user("new"), role: 4 }],
        };
        let after = list(&[2, 2, 2, 3]).updated(&[first, second]).unwrap();
        assert_eq!(names(&after), [("u2".into(), 9), ("u3".into(), 3), ("new".into(), 4)]);
    }

    #[test]
    fn the_exact_octets_of_an_update() {
        let update = ParticipantListUpdate {
            changed: vec![RoleAssignment { index: 1, role: 2 }],
            removed: vec![3],
            added: vec![],
        };
        assert_eq!(update.encode(), [8, 0, 0, 0, 1, 0, 0, 0, 2, 4, 0, 0, 0, 3, 0]);
        assert_eq!(list(&[]).encode(), [0]);
    }

    #[test]
    fn updates_that_make_no_sense_are_refused() {
        let list = list(&[2, 2]);
        let update = |changed: &[(u32, u32)], removed: &[u32], added: &[(&str, u32)]| {
            list.updated(&[ParticipantListUpdate {
                changed: changed.iter().map(|(index, role)| RoleAssignment { index: *index, role: *role }).collect(),
                removed: removed.to_vec(),
                added: added.iter().map(|(name, role)| Participant { user: user(name), role: *role }).collect(),
            }])
        };
        assert_eq!(update(&[(0, 3), (0, 3)], &[], &[]), Err(Refusal::UserTwice));
        assert_eq!(update(&[(0, 3)], &[0], &[]), Err(Refusal::UserTwice));
        assert_eq!(update(&[], &[1, 1], &[]), Err(Refusal::UserTwice));
        assert_eq!(update(&[], &[], &[("x", 2), ("x", 2)]), Err(Refusal::UserTwice));
        assert_eq!(update(&[], &[0], &[("u0", 2)]), Err(Refusal::AlreadyParticipant));
        assert_eq!(update(&[], &[2], &[]), Err(Refusal::UserIndex(2)));
        assert_eq!(update(&[(2, 1)], &[], &[]), Err(Refusal::UserIndex(2)));
        assert_eq!(update(&[(0, 0)], &[], &[]), Err(Refusal::UnknownRole(0)));
        assert_eq!(update(&[], &[], &[("x", 0)]), Err(Refusal::UnknownRole(0)));
        assert_eq!(update(&[], &[], &[]), Ok(list.clone()));
    }

    #[test]
    fn a_list_has_no_user_twice_and_no_role_0() {
        let alice = |role| Participant { user: user("alice"), role };
        let twice = ParticipantList::new([alice(2), alice(3)]);
        assert_eq!(twice, Err(DecodeError::Rule { field: "participants", rule: "a user stands in the list twice" }));
        let none = ParticipantList::new([alice(0)]);
        assert_eq!(none, Err(DecodeError::Rule { field: "role_index", rule: "a participant never has role 0" }));
        let octets = [alice(2).encode(), alice(2).encode()].concat().encode();
        assert!(matches!(ParticipantList::decode(&octets), Err(DecodeError::Rule { field: "participants", .. })));
        assert!(ParticipantList::new([]).unwrap().is_empty());
    }
}
