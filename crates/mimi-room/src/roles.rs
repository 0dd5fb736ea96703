use std::collections::HashMap;

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use crate::Capability;

/// A set of changes of role that the holder of a role may make: from one role to any of some others. Role 0 stands
/// for being no participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleChange {
    /// `from_role_index`
    pub from: u32,
    /// `target_role_indexes`
    pub to: Vec<u32>,
}

impl Wire for RoleChange {
    const MAX_LEN: usize = 1 << 16;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { from: reader.u32()?, to: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u32(self.from);
        writer.list(&self.to);
    }
}

/// A role: what its holders may do, and how many of them there may be (draft-ietf-mimi-room-policy-03, section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// `role_index`, unique in the room. 0 is the role of those who are no participants, 1 that of the banned if it is
    /// named so.
    pub index: u32,
    /// `role_name`, for people.
    pub name: String,
    /// `role_description`, for people; may be empty.
    pub description: String,
    /// `role_capabilities`: codes of [`Capability`]; unknown codes are kept and allow nothing.
    pub capabilities: Vec<u16>,
    /// The fewest participants with this role; 0 is no limit.
    pub min_participants: u32,
    /// The most participants with this role.
    pub max_participants: Option<u32>,
    /// The fewest participants with this role that have clients in the group; 0 is no limit.
    pub min_active: u32,
    /// The most participants with this role that have clients in the group.
    pub max_active: Option<u32>,
    /// `authorized_role_changes`
    pub role_changes: Vec<RoleChange>,
}

impl Role {
    /// The index of the role that is kept for those who are no participants.
    pub const NONE: u32 = 0;
    /// The index of the role of the banned, if it is named [`Role::BANNED_NAME`].
    pub const BANNED: u32 = 1;
    /// The name of the role of the banned.
    pub const BANNED_NAME: &'static str = "banned";

    /// A role that allows nothing and limits nothing.
    pub fn new(index: u32, name: &str) -> Self {
        Self {
            index,
            name: name.to_owned(),
            description: String::new(),
            capabilities: Vec::new(),
            min_participants: 0,
            max_participants: None,
            min_active: 0,
            max_active: None,
            role_changes: Vec::new(),
        }
    }

    /// The same role with these capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        self.capabilities = capabilities.into_iter().map(Capability::code).collect();
        self
    }

    /// The same role with these changes of role: `(from, to)`.
    #[must_use]
    pub fn with_role_changes<'a>(mut self, changes: impl IntoIterator<Item = (u32, &'a [u32])>) -> Self {
        self.role_changes = changes.into_iter().map(|(from, to)| RoleChange { from, to: to.to_vec() }).collect();
        self
    }

    /// Whether the role has a capability.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability.code())
    }

    /// Whether the role's holders may be authorized to bring a user from one role to another.
    pub fn may_change(&self, from: u32, to: u32) -> bool {
        self.role_changes.iter().any(|change| change.from == from && change.to.contains(&to))
    }

    /// Whether the role's holders may be authorized to bring someone onto the list.
    pub(crate) fn may_add(&self) -> bool {
        self.role_changes.iter().any(|change| change.from == Self::NONE && change.to.iter().any(|to| *to != Self::NONE))
    }

    /// Whether this is the role of the banned: index 1 and the name "banned".
    pub fn is_banned(&self) -> bool {
        self.index == Self::BANNED && self.name == Self::BANNED_NAME
    }
}

impl Wire for Role {
    const MAX_LEN: usize = 1 << 18;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            index: reader.u32()?,
            name: reader.text("role_name")?.to_owned(),
            description: reader.text("role_description")?.to_owned(),
            capabilities: reader.list()?,
            min_participants: reader.u32()?,
            max_participants: reader.optional()?,
            min_active: reader.u32()?,
            max_active: reader.optional()?,
            role_changes: reader.list()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u32(self.index);
        writer.vector(self.name.as_bytes());
        writer.vector(self.description.as_bytes());
        writer.list(&self.capabilities);
        writer.u32(self.min_participants);
        writer.optional(self.max_participants.as_ref());
        writer.u32(self.min_active);
        writer.optional(self.max_active.as_ref());
        writer.list(&self.role_changes);
    }
}

/// The roles of a room: `RoleData` and `RoleUpdate`, component 0x0025.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    list: Vec<Role>,
    index: HashMap<u32, usize>,
}

impl Roles {
    /// Roles that fit together.
    ///
    /// # Errors
    /// [`DecodeError::Rule`] if two have the same index, or one other than role 0 has `canOpenJoin`.
    pub fn new(roles: Vec<Role>) -> Result<Self, DecodeError> {
        let mut index = HashMap::new();
        for (at, role) in roles.iter().enumerate() {
            if index.insert(role.index, at).is_some() {
                return Err(DecodeError::Rule { field: "role_index", rule: "two roles have the same" });
            }
            if role.index != Role::NONE && role.can(Capability::OpenJoin) {
                return Err(DecodeError::Rule { field: "role_capabilities", rule: "canOpenJoin is for role 0 only" });
            }
        }
        Ok(Self { list: roles, index })
    }

    /// The role of this index.
    pub fn role(&self, index: u32) -> Option<&Role> {
        self.list.get(*self.index.get(&index)?)
    }

    /// Whether this is the index of the role of the banned.
    pub fn is_banned(&self, index: u32) -> bool {
        index == Role::BANNED && self.role(index).is_some_and(Role::is_banned)
    }

    /// The roles in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.list.iter()
    }
}

impl Wire for Roles {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.list()?)
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(&self.list);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn role()(
            index: u32,
            name in "[a-z_]{0,9}",
            description in ".{0,9}",
            capabilities in prop::collection::vec(6u16.., 0..5),
            limits: (u32, Option<u32>, u32, Option<u32>),
            changes in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u32>(), 0..4)), 0..4),
        ) -> Role {
            Role {
                index,
                name,
                description,
                capabilities,
                min_participants: limits.0,
                max_participants: limits.1,
                min_active: limits.2,
                max_active: limits.3,
                role_changes: changes.into_iter().map(|(from, to)| RoleChange { from, to }).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mut roles in prop::collection::vec(role(), 0..5)) {
            roles.sort_by_key(|role| role.index);
            roles.dedup_by_key(|role| role.index);
            let roles = Roles::new(roles).unwrap();
            prop_assert_eq!(Roles::decode(&roles.encode()).unwrap(), roles);
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = Roles::decode(&octets);
        }
    }

    #[test]
    fn roles_that_do_not_fit_are_refused() {
        let twice = Roles::new(vec![Role::new(2, "a"), Role::new(2, "b")]);
        assert_eq!(twice, Err(DecodeError::Rule { field: "role_index", rule: "two roles have the same" }));
        let open = Role::new(2, "a").with_capabilities([Capability::OpenJoin]);
        assert!(matches!(Roles::new(vec![open]), Err(DecodeError::Rule { field: "role_capabilities", .. })));
        let open = Role::new(0, "no_role").with_capabilities([Capability::OpenJoin]);
        assert!(Roles::new(vec![open]).is_ok());
    }

    #[test]
    fn the_exact_octets_of_a_role() {
        let role = Role {
            max_active: Some(3),
            ..Role::new(2, "a").with_capabilities([Capability::SendMessage]).with_role_changes([(0, [2].as_slice())])
        };
        let octets =
            [0, 0, 0, 2, 1, b'a', 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 9, 0, 0, 0, 0, 4, 0, 0, 0, 2];
        assert_eq!(role.encode(), octets);
    }

    #[test]
    fn only_role_1_by_that_name_is_the_banned_role() {
        let roles = Roles::new(vec![Role::new(1, "banned"), Role::new(2, "banned")]).unwrap();
        assert!(roles.is_banned(1));
        assert!(!roles.is_banned(2));
        assert!(!Roles::new(vec![Role::new(1, "guest")]).unwrap().is_banned(1));
    }
}
