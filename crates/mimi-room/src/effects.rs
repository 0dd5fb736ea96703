//! What a change does to clients and limits, whoever makes it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use mimi_pseudonym::{ClientUri, UserUri};

use crate::{Members, Refusal, Role, RoomPurpose, RoomState, Step, participants::Edit};

/// The clients of one user, before a change and after it.
struct Clients {
    before: usize,
    after: usize,
}

/// What a change does to clients and limits, whoever makes it.
pub(crate) struct Effects<'a> {
    before: &'a RoomState,
    after: &'a RoomState,
    steps: &'a [Step<'a>],
    edits: &'a [Edit<'a>],
    members: &'a Members,
    removed: HashSet<(&'a UserUri, &'a ClientUri)>,
    /// Of every user whom the change touches.
    clients: HashMap<&'a UserUri, Clients>,
    added: usize,
}

impl<'a> Effects<'a> {
    pub(crate) fn new(
        before: &'a RoomState,
        after: &'a RoomState,
        steps: &'a [Step<'a>],
        edits: &'a [Edit<'a>],
    ) -> Result<Self, Refusal> {
        let members: &Members = steps.first().map(|step| step.change.members).unwrap_or_default();
        let mut added = HashSet::new();
        let mut removed = HashSet::new();
        for change in steps.iter().map(|step| step.change) {
            if !change.added.iter().all(|new| added.insert(&new.client)) {
                return Err(Refusal::ClientTwice);
            }
            if !change.removed.iter().all(|(user, client)| removed.insert((user, client))) {
                return Err(Refusal::ClientTwice);
            }
        }
        let stays = |client: &ClientUri| members.user_of(client).is_some_and(|user| !removed.contains(&(user, client)));
        if added.iter().any(|client| stays(client)) {
            return Err(Refusal::ClientTwice);
        }
        if removed.iter().any(|(user, client)| members.user_of(client) != Some(*user)) {
            return Err(Refusal::UnknownClient);
        }

        let mut clients: HashMap<&UserUri, Clients> = HashMap::new();
        let new = || steps.iter().flat_map(|step| &step.change.added);
        let edited = edits.iter().map(|edit| edit.user);
        for user in edited.chain(removed.iter().map(|(user, _)| *user)).chain(new().map(|new| &new.user)) {
            let before = members.count(user);
            clients.entry(user).or_insert(Clients { before, after: before });
        }
        for (user, _) in &removed {
            clients.entry(user).and_modify(|clients| clients.after -= 1);
        }
        for new in new() {
            clients.entry(&new.user).and_modify(|clients| clients.after += 1);
        }
        Ok(Self { before, after, steps, edits, members, removed, clients, added: added.len() })
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.clients()?;
        self.users()?;
        self.limits()?;
        self.bans()?;
        let base_changed = self.before.base != self.after.base;
        let roles_changed = !Arc::ptr_eq(&self.before.roles, &self.after.roles);
        let identity_changed = self.before.identity != self.after.identity;
        if !base_changed && !roles_changed && !identity_changed {
            return Ok(());
        }
        self.after.check_structure()?;
        let members = self.members_after();
        members.iter().try_for_each(|(user, client)| self.after.check_client(user, client))?;
        if base_changed {
            self.after.check_base(&members)?;
        }
        if roles_changed { self.after.check_roles(&members) } else { Ok(()) }
    }

    /// Whoever is not banned any more has no ban that would end.
    fn bans(&self) -> Result<(), Refusal> {
        if self.before.bans != self.after.bans {
            return self.after.check_bans();
        }
        let Some(bans) = &self.after.bans else { return Ok(()) };
        let freed = |edit: &&Edit<'_>| bans.until(edit.user).is_some() && !self.after.is_banned(edit.user);
        if self.edits.iter().any(|edit| freed(&edit)) { Err(Refusal::TemporaryBan) } else { Ok(()) }
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
            let counted = counted.get_or_insert_with(|| self.before.active(self.members));
            let before = counted.get(&index).copied().unwrap_or_default();
            let count = u32::try_from(i64::from(before) + active).unwrap_or_default();
            if active > 0 { role.allows_more_active(count)? } else { role.allows_fewer_active(count)? }
        }
        Ok(())
    }

    /// Who is in the group then; what is added has been checked to be new.
    fn members_after(&self) -> Members {
        let mut members = self.members.clone();
        for (_, client) in &self.removed {
            members.remove(client);
        }
        for new in self.steps.iter().flat_map(|step| &step.change.added) {
            members.insert(new.user.clone(), new.client.clone());
        }
        members
    }
}
