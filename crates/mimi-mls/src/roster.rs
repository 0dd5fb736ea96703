//! Which client sits at which leaf: every credential is verified once, when it enters the group.

use std::collections::BTreeMap;

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, DecodeError, Reader, Timestamp, UserUri, Wire, Writer};
use mimi_room::{Members, RoomState};
use openmls::prelude::{Credential, Member};

use crate::identity::{Leaf, certificates};

#[derive(Debug, Clone, Default)]
pub(crate) struct Roster {
    leaves: BTreeMap<u32, Leaf>,
    /// Who sits at the leaves, for the room's policy.
    members: Members,
    /// Leaves that are gone, for messages of past epochs: the newest last.
    former: Vec<Leaf>,
}

/// How many leaves that are gone stay known, so that their last messages can be attributed.
const FORMER_MAX: usize = 64;

/// Why the leaves of a group cannot be those of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RosterError {
    /// A credential does not hold.
    Credential(CredentialError),
    /// A client sits at two leaves.
    ClientTwice,
    /// A user is no participant of the room.
    NotParticipant,
}

impl Roster {
    /// The clients at these leaves: each credential holds, no client sits at two, and each user is a participant.
    pub(crate) fn verify(
        members: impl Iterator<Item = Member>,
        state: &RoomState,
        suite: CipherSuite,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Self, RosterError> {
        let mut roster = Self::default();
        for member in members {
            let leaf = Leaf::verify(&member.credential, &member.signature_key, suite, trust, now)
                .map_err(RosterError::Credential)?;
            if state.participants().role_of(&leaf.user).is_none() {
                return Err(RosterError::NotParticipant);
            }
            if !roster.insert(member.index.u32(), leaf) {
                return Err(RosterError::ClientTwice);
            }
        }
        Ok(roster)
    }

    /// One client alone.
    pub(crate) fn of_one(index: u32, leaf: Leaf) -> Self {
        let members = Members::new([(leaf.user.clone(), leaf.client.clone())]).unwrap_or_default();
        Self { leaves: BTreeMap::from([(index, leaf)]), members, former: Vec::new() }
    }

    pub(crate) fn leaf(&self, index: u32) -> Option<&Leaf> {
        self.leaves.get(&index)
    }

    /// The leaf with this credential, now or formerly.
    pub(crate) fn by_credential(&self, credential: &Credential) -> Option<&Leaf> {
        let certificates = certificates(credential)?;
        self.leaves.values().chain(self.former.iter().rev()).find(|leaf| leaf.certificates == certificates)
    }

    /// Puts a client at a leaf; false, and nothing is changed, if it sits at another.
    #[must_use]
    pub(crate) fn insert(&mut self, index: u32, leaf: Leaf) -> bool {
        let earlier = self.leaves.get(&index).map(|earlier| &earlier.client);
        if self.members.user_of(&leaf.client).is_some() && earlier != Some(&leaf.client) {
            return false;
        }
        if let Some(earlier) = earlier {
            self.members.remove(earlier);
        }
        self.members.insert(leaf.user.clone(), leaf.client.clone());
        self.leaves.insert(index, leaf);
        true
    }

    pub(crate) fn remove(&mut self, index: u32) {
        if let Some(leaf) = self.leaves.remove(&index) {
            self.members.remove(&leaf.client);
            self.former.push(leaf);
            if self.former.len() > FORMER_MAX {
                self.former.remove(0);
            }
        }
    }

    pub(crate) fn members(&self) -> &Members {
        &self.members
    }

    /// Users and clients in the order of their leaves.
    pub(crate) fn clients(&self) -> Vec<(UserUri, ClientUri)> {
        self.leaves.values().map(|leaf| (leaf.user.clone(), leaf.client.clone())).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Leaf)> {
        self.leaves.iter().map(|(index, leaf)| (*index, leaf))
    }
}

impl Wire for Roster {
    const MAX_LEN: usize = 1 << 28;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut inner = Reader::new(reader.vector()?);
        let mut roster = Self::default();
        while !inner.is_empty() {
            let index = inner.u32()?;
            if !roster.insert(index, Leaf::read(&mut inner)?) {
                return Err(DecodeError::Rule { field: "roster", rule: "a client sits at two leaves" });
            }
        }
        roster.former = reader.list()?;
        Ok(roster)
    }

    fn write(&self, writer: &mut Writer) {
        let mut inner = Writer::default();
        for (index, leaf) in &self.leaves {
            inner.u32(*index);
            leaf.write(&mut inner);
        }
        writer.vector(&inner.into_octets());
        writer.list(&self.former);
    }
}
