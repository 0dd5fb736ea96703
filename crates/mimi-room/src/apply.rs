use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use mimi_pseudonym::{ClientUri, UserUri, Wire};

use crate::{
    Actor, BaseRoomPolicy, Change, ComponentId, ComponentUpdate, How, JoinLinkPolicy, Operation, ParticipantListUpdate,
    PreauthList, Refusal, Role, Roles, RoomMetadata, RoomPurpose, RoomState, Step,
    authorise::{Wanted, authorise, standing},
    component::decode_exact,
    participants::Edit,
};

/// An update of a component that has been read.
pub(crate) enum Update {
    Participants(ParticipantListUpdate),
    Metadata(RoomMetadata),
    Roles(Roles),
    Preauth(Option<PreauthList>),
    Base(BaseRoomPolicy),
    JoinLink(Option<JoinLinkPolicy>),
}

impl RoomState {
    /// The state after an actor's change, if the actor may make it and the result keeps the room's rules.
    ///
    /// Total and deterministic: the hub and every member come to the same result from the same arguments. A commit that
    /// also holds proposals of others is for [`RoomState::apply_together`].
    ///
    /// # Errors
    /// [`Refusal`] names the first rule that is broken.
    pub fn apply(&self, actor: &Actor, how: How, change: &Change<'_>) -> Result<Self, Refusal> {
        self.apply_together(&[Step { actor, how, change }])
    }

    /// The state after one commit with proposals of several actors, each judged by its own role before the commit. The
    /// limits of the room are those of the result. Places in the participant list refer to the list before the commit,
    /// for all steps. All steps have the same `members`; those of the first are taken.
    ///
    /// # Errors
    /// As [`RoomState::apply`].
    pub fn apply_together(&self, steps: &[Step<'_>]) -> Result<Self, Refusal> {
        for step in steps {
            standing(self, step.actor, step.how)?;
        }
        let updates = steps.iter().map(|step| self.read(&step.change.updates)).collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        let ids = steps.iter().flat_map(|step| &step.change.updates).map(|update| update.id);
        if let Some(id) = ids.filter(|id| *id != ComponentId::PARTICIPANT_LIST).find(|id| !seen.insert(*id)) {
            return Err(Refusal::RepeatedUpdate(id));
        }

        let mut edits = Vec::new();
        let mut wanted = Vec::new();
        for (step, updates) in steps.iter().zip(&updates) {
            let mut ordered = Vec::new();
            for update in updates {
                if let Update::Participants(update) = update {
                    ordered.extend(self.participants.edits(update)?);
                }
            }
            edits.extend_from_slice(&ordered);
            let by_user = ordered.iter().map(|edit| (edit.user, *edit)).collect();
            wanted.push(Wanted { step: *step, updates, edits: by_user, ordered });
        }
        let mut users = HashSet::new();
        if edits.iter().any(|edit| !users.insert(edit.user)) {
            return Err(Refusal::UserTwice);
        }
        compatible(updates.iter().flatten(), &edits)?;

        let after = self.result(updates.iter().flatten(), &edits);
        for wanted in &wanted {
            authorise(self, &after, wanted)?;
        }
        Effects::new(self, &after, steps, &edits)?.check()?;
        Ok(after)
    }
    /// The state behind these updates, if they are well formed, whoever makes them. A party that has to compute the new
    /// components of a commit before it can see the rest of it needs this; [`RoomState::apply`] must still allow it.
    ///
    /// # Errors
    /// A [`Refusal`] for an update that is malformed or cannot be made of this state.
    pub fn with_updates(&self, updates: &[ComponentUpdate]) -> Result<Self, Refusal> {
        let updates = self.read(updates)?;
        let mut edits = Vec::new();
        for update in &updates {
            if let Update::Participants(update) = update {
                edits.extend(self.participants.edits(update)?);
            }
        }
        let mut users = HashSet::new();
        if edits.iter().any(|edit| !users.insert(edit.user)) {
            return Err(Refusal::UserTwice);
        }
        Ok(self.result(updates.iter(), &edits))
    }

    fn read(&self, updates: &[ComponentUpdate]) -> Result<Vec<Update>, Refusal> {
        updates
            .iter()
            .map(|ComponentUpdate { id, operation }| match (*id, operation) {
                (ComponentId::ROOM_PURPOSE, _) => Err(Refusal::PurposeFixed),
                (ComponentId::PARTICIPANT_LIST, Operation::Update(content)) => {
                    decode(*id, content).map(Update::Participants)
                }
                (ComponentId::ROOM_METADATA, Operation::Update(content)) => {
                    let metadata: RoomMetadata = decode(*id, content)?;
                    if metadata.room == self.room { Ok(Update::Metadata(metadata)) } else { Err(Refusal::OtherRoom) }
                }
                (ComponentId::ROLES_LIST, Operation::Update(content)) => decode(*id, content).map(Update::Roles),
                (ComponentId::BASE_ROOM_POLICY, Operation::Update(content)) => decode(*id, content).map(Update::Base),
                (ComponentId::PREAUTH_LIST, Operation::Update(content)) => {
                    decode(*id, content).map(|list| Update::Preauth(Some(list)))
                }
                (ComponentId::JOIN_LINK_POLICY, Operation::Update(content)) => {
                    decode(*id, content).map(|policy| Update::JoinLink(Some(policy)))
                }
                (ComponentId::PREAUTH_LIST, Operation::Remove) if self.preauth.is_some() => Ok(Update::Preauth(None)),
                (ComponentId::JOIN_LINK_POLICY, Operation::Remove) if self.join_link.is_some() => {
                    Ok(Update::JoinLink(None))
                }
                (ComponentId::PREAUTH_LIST | ComponentId::JOIN_LINK_POLICY, Operation::Remove) => {
                    Err(Refusal::AbsentComponent(*id))
                }
                (
                    ComponentId::PARTICIPANT_LIST
                    | ComponentId::ROOM_METADATA
                    | ComponentId::ROLES_LIST
                    | ComponentId::BASE_ROOM_POLICY,
                    Operation::Remove,
                ) => Err(Refusal::NotRemovable(*id)),
                _ => Err(Refusal::UnknownComponent(*id)),
            })
            .collect()
    }

    /// The state that results, whether allowed or not.
    fn result<'a>(&self, updates: impl Iterator<Item = &'a Update>, edits: &[Edit<'_>]) -> Self {
        let mut after = self.clone();
        for update in updates {
            match update {
                Update::Participants(_) => {}
                Update::Metadata(metadata) => after.metadata = Some(metadata.clone()),
                Update::Roles(roles) => after.roles = Arc::new(roles.clone()),
                Update::Preauth(list) => after.preauth = list.clone().map(Arc::new),
                Update::Base(base) => after.base = base.clone(),
                Update::JoinLink(policy) => after.join_link.clone_from(policy),
            }
        }
        if !edits.is_empty() {
            after.participants = Arc::new(self.participants.edited(edits));
        }
        after
    }
}

fn decode<T: Wire>(component: u16, content: &[u8]) -> Result<T, Refusal> {
    decode_exact(content).map_err(|error| Refusal::Malformed { component, error })
}

/// Changes too disruptive to come together with changes of the participant list.
fn compatible<'a>(updates: impl Iterator<Item = &'a Update> + Clone, edits: &[Edit<'_>]) -> Result<(), Refusal> {
    let list = updates.clone().any(|update| matches!(update, Update::Participants(_)));
    for update in updates {
        match update {
            Update::Roles(_) if list => return Err(Refusal::WithParticipants(ComponentId::ROLES_LIST)),
            Update::Preauth(_) if edits.iter().any(|edit| edit.to != Role::NONE) => {
                return Err(Refusal::WithParticipants(ComponentId::PREAUTH_LIST));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The clients of one user, before a change and after it.
#[derive(Default)]
struct Clients {
    before: usize,
    after: usize,
}

/// What a change does to clients and limits, whoever makes it.
struct Effects<'a> {
    before: &'a RoomState,
    after: &'a RoomState,
    steps: &'a [Step<'a>],
    edits: &'a [Edit<'a>],
    members: &'a [(UserUri, ClientUri)],
    removed: HashSet<(&'a UserUri, &'a ClientUri)>,
    /// Of every user whom the change touches.
    clients: HashMap<&'a UserUri, Clients>,
    added: usize,
}

impl<'a> Effects<'a> {
    fn new(
        before: &'a RoomState,
        after: &'a RoomState,
        steps: &'a [Step<'a>],
        edits: &'a [Edit<'a>],
    ) -> Result<Self, Refusal> {
        let members = steps.first().map_or(&[][..], |step| step.change.members);
        let mut added = HashSet::new();
        let mut removed = HashSet::new();
        let mut clients: HashMap<&UserUri, Clients> = HashMap::new();
        for change in steps.iter().map(|step| step.change) {
            for new in &change.added {
                if !added.insert(&new.client) {
                    return Err(Refusal::ClientTwice);
                }
                clients.entry(&new.user).or_default().after += 1;
            }
            for (user, client) in &change.removed {
                if !removed.insert((user, client)) {
                    return Err(Refusal::ClientTwice);
                }
                clients.entry(user).or_default();
            }
        }
        for edit in edits {
            clients.entry(edit.user).or_default();
        }

        let mut found = 0;
        if !clients.is_empty() {
            for (user, client) in members {
                let goes = removed.contains(&(user, client));
                found += usize::from(goes);
                if !goes && added.contains(client) {
                    return Err(Refusal::ClientTwice);
                }
                if let Some(clients) = clients.get_mut(user) {
                    clients.before += 1;
                    clients.after += usize::from(!goes);
                }
            }
        }
        if found != removed.len() {
            return Err(Refusal::UnknownClient);
        }
        Ok(Self { before, after, steps, edits, members, removed, clients, added: added.len() })
    }

    fn check(&self) -> Result<(), Refusal> {
        self.clients()?;
        self.users()?;
        self.limits()?;
        let base_changed = self.before.base != self.after.base;
        let roles_changed = !Arc::ptr_eq(&self.before.roles, &self.after.roles);
        if base_changed || roles_changed {
            self.after.check_structure()?;
            let members = self.members_after();
            if base_changed {
                self.after.check_base(&members)?;
            }
            if roles_changed {
                members.iter().try_for_each(|(user, client)| self.after.check_client(user, client))?;
                self.after.check_roles(&members)?;
            }
        }
        Ok(())
    }

    fn users(&self) -> Result<(), Refusal> {
        for edit in self.edits {
            if edit.to != Role::NONE {
                self.after.check_user(edit.user, edit.to)?;
            }
            let out = edit.to == Role::NONE || self.after.roles.is_banned(edit.to);
            if out && self.clients.get(edit.user).is_some_and(|clients| clients.after > 0) {
                return Err(Refusal::ClientsRemain);
            }
        }
        if self.after.users() > self.before.users() { self.after.check_users() } else { Ok(()) }
    }

    fn clients(&self) -> Result<(), Refusal> {
        for new in self.steps.iter().flat_map(|step| &step.change.added) {
            self.after.check_client(&new.user, &new.client)?;
            if new.initial_only && self.after.purpose() != RoomPurpose::Connection {
                return Err(Refusal::InitialOnly);
            }
            let several = self.clients.get(&new.user).is_some_and(|clients| clients.after > 1);
            if several && !self.after.base.multi_device {
                return Err(Refusal::SingleDevice);
            }
        }
        let clients = (self.members.len() + self.added).saturating_sub(self.removed.len());
        if clients > self.members.len() { self.after.check_clients(clients) } else { Ok(()) }
    }

    /// The limits of roles that gain or lose holders. A role that already breaks a limit is no obstacle to a change
    /// that leaves its numbers as they are, or mends them.
    fn limits(&self) -> Result<(), Refusal> {
        let mut deltas: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
        for (user, clients) in &self.clients {
            if let Some(role) = self.before.participants.role_of(user) {
                let (all, active) = deltas.entry(role).or_default();
                *all -= 1;
                *active -= i64::from(clients.before > 0);
            }
            if let Some(role) = self.after.participants.role_of(user) {
                let (all, active) = deltas.entry(role).or_default();
                *all += 1;
                *active += i64::from(clients.after > 0);
            }
        }
        let mut counted = None;
        for (index, (all, active)) in deltas {
            let Some(role) = self.after.roles.role(index) else { continue };
            let count = self.after.participants.count(index);
            match all {
                1.. => role.allows_more(count)?,
                ..0 => role.allows_fewer(count)?,
                0 => {}
            }
            if active == 0 || (role.max_active.is_none() && role.min_active == 0) {
                continue;
            }
            let counted = counted.get_or_insert_with(|| self.before.active(self.members.iter().map(|(user, _)| user)));
            let before = counted.get(&index).copied().unwrap_or_default();
            let count = u32::try_from(i64::from(before) + active).unwrap_or_default();
            if active > 0 { role.allows_more_active(count)? } else { role.allows_fewer_active(count)? }
        }
        Ok(())
    }

    fn members_after(&self) -> Vec<(&'a UserUri, &'a ClientUri)> {
        let stay = self.members.iter().map(|(user, client)| (user, client));
        let new = self.steps.iter().flat_map(|step| &step.change.added).map(|new| (&new.user, &new.client));
        stay.filter(|member| !self.removed.contains(member)).chain(new).collect()
    }
}
