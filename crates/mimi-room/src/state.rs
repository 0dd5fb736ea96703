use std::{collections::BTreeMap, sync::Arc};

use mimi_pseudonym::{DecodeError, IdentityPolicy, PseudonymUse, RoomUri, TrustAnchors, Wire};

use crate::{
    BaseRoomPolicy, ComponentId, JoinLinkPolicy, ParticipantList, PreauthList, Refusal, Roles, RoomMetadata,
    RoomPurpose, TemporaryBans, component::decode_exact,
};

/// The state of a room in one epoch: what its members agree on through the `app_data_dictionary` of the MLS group.
///
/// It is a value: [`RoomState::apply`] leaves it as it is and makes another. Parts that do not change are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomState {
    pub(crate) room: Arc<RoomUri>,
    pub(crate) participants: Arc<ParticipantList>,
    pub(crate) roles: Arc<Roles>,
    pub(crate) base: Arc<BaseRoomPolicy>,
    pub(crate) metadata: Option<Arc<RoomMetadata>>,
    pub(crate) preauth: Option<Arc<PreauthList>>,
    pub(crate) join_link: Option<Arc<JoinLinkPolicy>>,
    pub(crate) purpose: Option<RoomPurpose>,
    pub(crate) identity: Option<Arc<IdentityPolicy>>,
    pub(crate) anchors: Option<Arc<TrustAnchors>>,
    pub(crate) bans: Option<Arc<TemporaryBans>>,
    pub(crate) knock_target: Option<Arc<RoomUri>>,
    pub(crate) others: Arc<BTreeMap<u16, Vec<u8>>>,
}

/// Why components are no state of a room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A component that every room has is not there.
    #[error("component {0:#06x} is missing")]
    Missing(u16),
    /// A component is there twice.
    #[error("component {0:#06x} is there twice")]
    Repeated(u16),
    /// A component's octets are not a value of it.
    #[error("component {component:#06x} is malformed: {error}")]
    Malformed {
        /// The component.
        component: u16,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The components do not fit together.
    #[error("the components do not fit together: {0}")]
    Inconsistent(#[from] Refusal),
}

impl RoomState {
    /// The state of a room with these components and no others; its purpose is written down as ordinary.
    ///
    /// # Errors
    /// [`StateError::Inconsistent`]
    pub fn new(
        room: RoomUri,
        participants: ParticipantList,
        roles: Roles,
        base: BaseRoomPolicy,
    ) -> Result<Self, StateError> {
        let state = Self {
            room: Arc::new(room),
            participants: Arc::new(participants),
            roles: Arc::new(roles),
            base: Arc::new(base),
            metadata: None,
            preauth: None,
            join_link: None,
            purpose: Some(RoomPurpose::Ordinary),
            identity: None,
            anchors: None,
            bans: None,
            knock_target: None,
            others: Arc::default(),
        };
        state.check_structure()?;
        Ok(state)
    }

    /// Reads the state from the entries of a group's `app_data_dictionary`. Entries of other components are kept as
    /// they are.
    ///
    /// Participant list, roles and base policy must be there; the rest may be missing.
    ///
    /// # Errors
    /// [`StateError`] says which component is wrong, or what does not fit together.
    pub fn from_components<'a>(
        room: RoomUri,
        components: impl IntoIterator<Item = (u16, &'a [u8])>,
    ) -> Result<Self, StateError> {
        let mut entries = BTreeMap::new();
        for (id, data) in components {
            if entries.insert(id, data).is_some() {
                return Err(StateError::Repeated(id));
            }
        }
        let state = Self {
            room: Arc::new(room),
            participants: required(&mut entries, ComponentId::PARTICIPANT_LIST)?,
            roles: required(&mut entries, ComponentId::ROLES_LIST)?,
            base: required(&mut entries, ComponentId::BASE_ROOM_POLICY)?,
            metadata: optional(&mut entries, ComponentId::ROOM_METADATA)?,
            preauth: optional(&mut entries, ComponentId::PREAUTH_LIST)?,
            join_link: optional(&mut entries, ComponentId::JOIN_LINK_POLICY)?,
            purpose: optional(&mut entries, ComponentId::ROOM_PURPOSE)?.as_deref().copied(),
            identity: optional(&mut entries, ComponentId::IDENTITY_POLICY)?,
            anchors: optional(&mut entries, ComponentId::TRUST_ANCHORS)?,
            bans: optional(&mut entries, ComponentId::TEMPORARY_BANS)?,
            knock_target: optional(&mut entries, ComponentId::KNOCK_TARGET)?,
            others: Arc::new(entries.into_iter().map(|(id, data)| (id, data.to_vec())).collect()),
        };
        state.check_structure()?;
        Ok(state)
    }

    /// All components, those that were only kept among them, sorted by their numbers.
    pub fn components(&self) -> Vec<(u16, Vec<u8>)> {
        let mut entries = (*self.others).clone();
        entries.extend(OWN.iter().filter_map(|id| Some((*id, self.component(*id)?))));
        entries.into_iter().collect()
    }

    /// One component, encoded; none if the room has not got it. Cheaper than all of them.
    pub fn component(&self, id: u16) -> Option<Vec<u8>> {
        match id {
            ComponentId::PARTICIPANT_LIST => Some(self.participants.encode()),
            ComponentId::ROOM_METADATA => self.metadata.as_deref().map(Wire::encode),
            ComponentId::ROLES_LIST => Some(self.roles.encode()),
            ComponentId::PREAUTH_LIST => self.preauth.as_deref().map(Wire::encode),
            ComponentId::BASE_ROOM_POLICY => Some(self.base.encode()),
            ComponentId::JOIN_LINK_POLICY => self.join_link.as_deref().map(Wire::encode),
            ComponentId::ROOM_PURPOSE => self.purpose.as_ref().map(Wire::encode),
            ComponentId::IDENTITY_POLICY => self.identity.as_deref().map(Wire::encode),
            ComponentId::TRUST_ANCHORS => self.anchors.as_deref().map(Wire::encode),
            ComponentId::TEMPORARY_BANS => self.bans.as_deref().map(Wire::encode),
            ComponentId::KNOCK_TARGET => self.knock_target.as_deref().map(Wire::encode),
            _ => self.others.get(&id).cloned(),
        }
    }

    /// The room.
    pub fn room(&self) -> &RoomUri {
        &self.room
    }

    /// Its participants.
    pub fn participants(&self) -> &ParticipantList {
        &self.participants
    }

    /// Its roles.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Its base policy.
    pub fn base(&self) -> &BaseRoomPolicy {
        &self.base
    }

    /// Its metadata, if it has any.
    pub fn metadata(&self) -> Option<&RoomMetadata> {
        self.metadata.as_deref()
    }

    /// Its preauthorized users, if it has such a list.
    pub fn preauth(&self) -> Option<&PreauthList> {
        self.preauth.as_deref()
    }

    /// Its policy for join links, if it has one.
    pub fn join_link_policy(&self) -> Option<&JoinLinkPolicy> {
        self.join_link.as_deref()
    }

    /// What the room is for; ordinary if it does not say.
    pub fn purpose(&self) -> RoomPurpose {
        self.purpose.unwrap_or_default()
    }

    /// What it wants to know of its participants. A room that does not say leaves it to them: pseudonyms as the base
    /// policy allows them, every claim may be disclosed and none must be.
    pub fn identity_policy(&self) -> IdentityPolicy {
        let stated = self.identity.as_deref().cloned();
        stated.unwrap_or_else(|| IdentityPolicy::unstated(self.base.pseudonyms_allowed))
    }

    /// Whether its users are pseudonyms: a part of [`RoomState::identity_policy`].
    pub fn pseudonyms(&self) -> PseudonymUse {
        match &self.identity {
            Some(policy) => policy.pseudonyms,
            None if self.base.pseudonyms_allowed => PseudonymUse::Optional,
            None => PseudonymUse::Forbidden,
        }
    }

    /// The issuers it names. Without them, every participant goes by what it trusts itself.
    pub fn trust_anchors(&self) -> Option<&TrustAnchors> {
        self.anchors.as_deref()
    }

    /// The bans that end by themselves, if it has such a list.
    pub fn temporary_bans(&self) -> Option<&TemporaryBans> {
        self.bans.as_deref()
    }

    /// The room that a knock room belongs to; none in other rooms.
    pub fn knock_target(&self) -> Option<&RoomUri> {
        self.knock_target.as_deref()
    }
}

/// The components that are read, in ascending order.
pub(crate) const OWN: [u16; 11] = [
    ComponentId::PARTICIPANT_LIST,
    ComponentId::ROOM_METADATA,
    ComponentId::ROLES_LIST,
    ComponentId::PREAUTH_LIST,
    ComponentId::BASE_ROOM_POLICY,
    ComponentId::JOIN_LINK_POLICY,
    ComponentId::ROOM_PURPOSE,
    ComponentId::IDENTITY_POLICY,
    ComponentId::TRUST_ANCHORS,
    ComponentId::TEMPORARY_BANS,
    ComponentId::KNOCK_TARGET,
];

fn optional<T: Wire>(entries: &mut BTreeMap<u16, &[u8]>, component: u16) -> Result<Option<Arc<T>>, StateError> {
    entries
        .remove(&component)
        .map(|data| decode_exact(data).map(Arc::new).map_err(|error| StateError::Malformed { component, error }))
        .transpose()
}

fn required<T: Wire>(entries: &mut BTreeMap<u16, &[u8]>, component: u16) -> Result<Arc<T>, StateError> {
    optional(entries, component)?.ok_or(StateError::Missing(component))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Participant, PreauthEntry, Role};
    use mimi_pseudonym::{UserUri, Writer};

    fn room() -> RoomUri {
        "mimi://a.example/r/clubhouse".parse().unwrap()
    }

    fn alice() -> UserUri {
        "mimi://a.example/u/alice".parse().unwrap()
    }

    fn full() -> RoomState {
        RoomState::by_link(room(), alice(), JoinLinkPolicy::default())
            .unwrap()
            .with_metadata(RoomMetadata { name: "club".into(), ..RoomMetadata::new(room()) })
            .with_preauth(PreauthList { entries: vec![PreauthEntry { claims: vec![], role: Role::new(2, "x") }] })
    }

    fn read(components: &[(u16, Vec<u8>)]) -> Result<RoomState, StateError> {
        RoomState::from_components(room(), components.iter().map(|(id, data)| (*id, data.as_slice())))
    }

    fn set(components: &mut [(u16, Vec<u8>)], id: u16, data: Vec<u8>) {
        components.iter_mut().find(|component| component.0 == id).unwrap().1 = data;
    }

    #[test]
    fn components_lead_back_to_the_state_and_others_are_kept() {
        let mut components = full().components();
        assert_eq!(read(&components), Ok(full()));
        components.insert(0, (0x0021, vec![1, 2, 3]));
        components.push((0xf123, vec![]));
        let state = read(&components).unwrap();
        assert_eq!(state.components(), components);
        assert!(components.is_sorted_by_key(|(id, _)| *id));
        assert_eq!(state.metadata().unwrap().name, "club");
        assert_eq!(state.preauth().unwrap().entries.len(), 1);
        assert!(state.join_link_policy().is_some());
    }

    #[test]
    fn a_room_without_purpose_is_ordinary_and_stays_without() {
        let mut components = full().components();
        components.retain(|(id, _)| *id != ComponentId::ROOM_PURPOSE);
        let state = read(&components).unwrap();
        assert_eq!(state.purpose(), RoomPurpose::Ordinary);
        assert_eq!(state.components(), components);
        assert_eq!(RoomState::connection(room(), alice()).unwrap().purpose(), RoomPurpose::Connection);
    }

    #[test]
    fn what_a_room_needs_must_be_there_once() {
        for id in [ComponentId::PARTICIPANT_LIST, ComponentId::ROLES_LIST, ComponentId::BASE_ROOM_POLICY] {
            let mut components = full().components();
            components.retain(|component| component.0 != id);
            assert_eq!(read(&components), Err(StateError::Missing(id)));
        }
        let mut components = full().components();
        components.push(components[0].clone());
        assert_eq!(read(&components), Err(StateError::Repeated(ComponentId::PARTICIPANT_LIST)));
    }

    #[test]
    fn malformed_components_are_named() {
        for (id, _) in full().components() {
            let mut components = full().components();
            set(&mut components, id, vec![0xff]);
            assert!(
                matches!(read(&components), Err(StateError::Malformed { component, .. }) if component == id),
                "{id:x}"
            );
        }
        // A domain in upper case is the same domain, but would not be written so.
        let mut entry = Writer::default();
        entry.vector(b"mimi://A.example/u/alice");
        entry.u32(2);
        let mut components = full().components();
        set(&mut components, ComponentId::PARTICIPANT_LIST, entry.into_octets().encode());
        let error = DecodeError::Rule { field: "component", rule: "not in its one canonical form" };
        let component = ComponentId::PARTICIPANT_LIST;
        assert_eq!(read(&components), Err(StateError::Malformed { component, error }));
    }

    #[test]
    fn components_that_do_not_fit_together_are_refused() {
        let with = |id, data: Vec<u8>| {
            let mut components = full().components();
            set(&mut components, id, data);
            read(&components)
        };
        let list = ParticipantList::new([Participant { user: alice(), role: 9 }]).unwrap();
        let error = with(ComponentId::PARTICIPANT_LIST, list.encode());
        assert_eq!(error, Err(StateError::Inconsistent(Refusal::UnknownRole(9))));

        let other = RoomMetadata::new("mimi://a.example/r/other".parse().unwrap());
        let error = with(ComponentId::ROOM_METADATA, other.encode());
        assert_eq!(error, Err(StateError::Inconsistent(Refusal::OtherRoom)));

        let fixed = BaseRoomPolicy { fixed_membership: true, ..BaseRoomPolicy::default() };
        let error = with(ComponentId::BASE_ROOM_POLICY, fixed.encode());
        assert_eq!(error, Err(StateError::Inconsistent(Refusal::FixedMembership)));

        let list = ParticipantList::new([Participant { user: UserUri::pseudonym(alice().domain(), [1; 16]), role: 2 }]);
        let named = BaseRoomPolicy { pseudonyms_allowed: false, ..BaseRoomPolicy::default() };
        let error = RoomState::new(room(), list.unwrap(), (*full().roles).clone(), named);
        assert_eq!(error, Err(StateError::Inconsistent(Refusal::PseudonymForbidden)));
    }
}
