//! A room with its clients, and short ways to change it.
#![allow(dead_code, unused_imports, reason = "every test file uses a part of it")]

use mimi_pseudonym::{ClientUri, RoomUri, UserUri, Wire};
use mimi_room::{
    Actor, BaseRoomPolicy, Capability, Change, ClientRef, ComponentId, ComponentUpdate, How, Members, Participant,
    ParticipantList, ParticipantListUpdate, Refusal, Role, RoleAssignment, Roles, RoomState,
};

pub type Member = (UserUri, ClientUri);

pub fn room() -> RoomUri {
    "mimi://a.example/r/clubhouse".parse().unwrap()
}

pub fn user(name: &str) -> UserUri {
    format!("mimi://a.example/u/{name}").parse().unwrap()
}

/// A client of a user: `alice`, 1 is `mimi://a.example/d/alice-1`.
pub fn client(name: &str, number: u8) -> ClientUri {
    format!("mimi://a.example/d/{name}-{number}").parse().unwrap()
}

pub fn member(name: &str, number: u8) -> Member {
    (user(name), client(name, number))
}

/// A room in which every participant has client number 1, unless it is banned.
#[derive(Clone, Debug)]
pub struct World {
    pub state: RoomState,
    pub members: Members,
}

impl World {
    pub fn new(roles: Vec<Role>, base: BaseRoomPolicy, participants: &[(&str, u32)]) -> Self {
        let list = participants.iter().map(|(name, role)| Participant { user: user(name), role: *role });
        let state =
            RoomState::new(room(), ParticipantList::new(list).unwrap(), Roles::new(roles).unwrap(), base).unwrap();
        let active = participants.iter().filter(|(_, role)| state.roles().role(*role).unwrap().max_active != Some(0));
        let members = Members::new(active.map(|(name, _)| member(name, 1))).unwrap();
        Self { state, members }
    }

    pub fn want(&self) -> Want<'_> {
        Want { world: self, list: ParticipantListUpdate::default(), updates: vec![], added: vec![], removed: vec![] }
    }

    pub fn index(&self, name: &str) -> u32 {
        self.state.participants().index_of(&user(name)).unwrap()
    }
}

/// A change in the making.
#[derive(Clone)]
pub struct Want<'a> {
    world: &'a World,
    pub list: ParticipantListUpdate,
    pub updates: Vec<ComponentUpdate>,
    pub added: Vec<ClientRef>,
    pub removed: Vec<Member>,
}

impl<'a> Want<'a> {
    pub fn add(mut self, name: &str, role: u32) -> Self {
        self.list.added.push(Participant { user: user(name), role });
        self
    }

    pub fn remove(mut self, name: &str) -> Self {
        self.list.removed.push(self.world.index(name));
        self
    }

    pub fn role(mut self, name: &str, role: u32) -> Self {
        self.list.changed.push(RoleAssignment { index: self.world.index(name), role });
        self
    }

    pub fn client(mut self, name: &str, number: u8) -> Self {
        self.added.push(ClientRef { user: user(name), client: client(name, number), initial_only: false });
        self
    }

    pub fn initial_client(mut self, name: &str) -> Self {
        self.added.push(ClientRef { user: user(name), client: client(name, 1), initial_only: true });
        self
    }

    pub fn drop(mut self, name: &str, number: u8) -> Self {
        self.removed.push(member(name, number));
        self
    }

    pub fn update<T: Wire>(mut self, id: u16, value: &T) -> Self {
        self.updates.push(ComponentUpdate::update(id, value.encode()));
        self
    }

    pub fn raw(mut self, update: ComponentUpdate) -> Self {
        self.updates.push(update);
        self
    }

    pub fn change(&self) -> Change<'a> {
        let mut updates = self.updates.clone();
        if self.list != ParticipantListUpdate::default() {
            updates.push(ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, self.list.encode()));
        }
        Change { updates, added: self.added.clone(), removed: self.removed.clone(), members: &self.world.members }
    }

    /// By client 1 of this user.
    pub fn by(&self, name: &str, how: How) -> Result<RoomState, Refusal> {
        self.world.state.apply(&Actor::client(user(name), client(name, 1)), how, &self.change())
    }

    pub fn commit(&self, name: &str) -> Result<RoomState, Refusal> {
        self.by(name, How::Commit)
    }

    pub fn propose(&self, name: &str) -> Result<RoomState, Refusal> {
        self.by(name, How::Proposal)
    }

    pub fn by_hub(&self) -> Result<RoomState, Refusal> {
        self.world.state.apply(&Actor::Hub, How::Hub, &self.change())
    }

    /// The room after a commit that must be allowed.
    pub fn committed(&self, name: &str) -> World {
        let state = self.commit(name).unwrap();
        World { state, members: members_after(&self.world.members, &self.removed, &self.added) }
    }
}

pub fn lacks(capability: Capability) -> Refusal {
    Refusal::Capability(capability)
}

/// Who is in the group after a change that was allowed.
pub fn members_after(before: &Members, removed: &[Member], added: &[ClientRef]) -> Members {
    let mut members = before.clone();
    for (user, client) in removed {
        assert_eq!(members.remove(client).as_ref(), Some(user));
    }
    for new in added {
        assert!(members.insert(new.user.clone(), new.client.clone()));
    }
    members
}
