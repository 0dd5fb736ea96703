use mimi_pseudonym::{DecodeError, Reader, RoomUri, Wire, Writer};

/// The top rules of a room: `BaseRoomPolicy`, component 0x0027 (draft-ietf-mimi-room-policy-03, section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseRoomPolicy {
    /// The participants are those the room was created with.
    pub fixed_membership: bool,
    /// `parent_dependant` and `parent_room`: the participants are a strict subset of those of this room. It takes the
    /// state of both rooms to judge: [`RoomState::check_subset_of`](crate::RoomState::check_subset_of).
    pub parent_room: Option<RoomUri>,
    /// A user may have more than one client in the group.
    pub multi_device: bool,
    /// The most clients in the group.
    pub max_clients: Option<u32>,
    /// The most participants who are not banned.
    pub max_users: Option<u32>,
    /// Users and clients may be pseudonyms.
    pub pseudonyms_allowed: bool,
    /// The room outlives its MLS group.
    pub persistent_room: bool,
    /// The room can be searched for.
    pub discoverable: bool,
    /// `policy_component_ids`: the other policy components of the room.
    pub policy_components: Vec<u16>,
}

impl Default for BaseRoomPolicy {
    /// No limits, pseudonyms allowed; neither fixed, dependent, persistent nor discoverable.
    fn default() -> Self {
        Self {
            fixed_membership: false,
            parent_room: None,
            multi_device: true,
            max_clients: None,
            max_users: None,
            pseudonyms_allowed: true,
            persistent_room: false,
            discoverable: false,
            policy_components: Vec::new(),
        }
    }
}

impl Wire for BaseRoomPolicy {
    const MAX_LEN: usize = 1 << 16;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let fixed_membership = reader.flag("fixed_membership")?;
        let dependent = reader.flag("parent_dependant")?;
        let parents = reader.list::<RoomUri>()?;
        if parents.len() != usize::from(dependent) {
            return Err(DecodeError::Rule { field: "parent_room", rule: "set if and only if parent_dependant is" });
        }
        Ok(Self {
            fixed_membership,
            parent_room: parents.into_iter().next(),
            multi_device: reader.flag("multi_device")?,
            max_clients: reader.optional()?,
            max_users: reader.optional()?,
            pseudonyms_allowed: reader.flag("pseudonyms_allowed")?,
            persistent_room: reader.flag("persistent_room")?,
            discoverable: reader.flag("discoverable")?,
            policy_components: reader.list()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.flag(self.fixed_membership);
        writer.flag(self.parent_room.is_some());
        writer.list(&self.parent_room);
        writer.flag(self.multi_device);
        writer.optional(self.max_clients.as_ref());
        writer.optional(self.max_users.as_ref());
        writer.flag(self.pseudonyms_allowed);
        writer.flag(self.persistent_room);
        writer.flag(self.discoverable);
        writer.list(&self.policy_components);
    }
}

/// How join links come to be: `JoinLinkPolicy`, component 0x0029 (draft-ietf-mimi-room-policy-03, section 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinLinkPolicy {
    /// At most one link is kept in the room; others are asked for.
    pub on_request: bool,
    /// Where a link is asked for; may be empty.
    pub join_link: String,
    /// A link may be for many users; else each is for one.
    pub multiuser: bool,
    /// The most seconds for which a new link is valid; 0 is no limit.
    pub expiration: u32,
}

impl Wire for JoinLinkPolicy {
    const MAX_LEN: usize = 1 << 12;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            on_request: reader.flag("on_request")?,
            join_link: reader.text("join_link")?.to_owned(),
            multiuser: reader.flag("multiuser")?,
            expiration: reader.u32()?,
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.flag(self.on_request);
        self.join_link.write(writer);
        writer.flag(self.multiuser);
        writer.u32(self.expiration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            flags: [bool; 8],
            limits: (Option<u32>, Option<u32>, u32),
            policy_components: Vec<u16>,
            join_link in ".{0,20}",
        ) {
            let base = BaseRoomPolicy {
                fixed_membership: flags[0],
                parent_room: flags[1].then(|| "mimi://a.example/r/parent".parse().unwrap()),
                multi_device: flags[2],
                max_clients: limits.0,
                max_users: limits.1,
                pseudonyms_allowed: flags[3],
                persistent_room: flags[4],
                discoverable: flags[5],
                policy_components,
            };
            prop_assert_eq!(BaseRoomPolicy::decode(&base.encode()).unwrap(), base);
            let link = JoinLinkPolicy { on_request: flags[6], join_link, multiuser: flags[7], expiration: limits.2 };
            prop_assert_eq!(JoinLinkPolicy::decode(&link.encode()).unwrap(), link);
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = BaseRoomPolicy::decode(&octets);
            let _ = JoinLinkPolicy::decode(&octets);
        }
    }

    #[test]
    fn a_parent_is_named_if_and_only_if_the_room_depends_on_it() {
        let error = DecodeError::Rule { field: "parent_room", rule: "set if and only if parent_dependant is" };
        let mut octets = BaseRoomPolicy::default().encode();
        assert_eq!(octets, [0, 0, 0, 1, 0, 0, 1, 0, 0, 0]);
        octets[1] = 1;
        assert_eq!(BaseRoomPolicy::decode(&octets), Err(error));
        octets[1] = 2;
        assert_eq!(BaseRoomPolicy::decode(&octets), Err(DecodeError::Value { field: "parent_dependant", value: 2 }));
    }
}
