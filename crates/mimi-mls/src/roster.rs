//! Which client sits at which leaf: every credential is verified once, when it enters the group.

use std::collections::BTreeMap;

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, DecodeError, Reader, Timestamp, UserUri, Wire, Writer};
use mimi_room::RoomState;
use openmls::prelude::{Credential, Member};

use crate::identity::{Leaf, certificates};

#[derive(Debug, Clone, Default)]
pub(crate) struct Roster {
    leaves: BTreeMap<u32, Leaf>,
    /// Leaves that are gone, for messages of past epochs: the newest last.
    former: Vec<Leaf>,
}

/// How many leaves that are gone stay known, so that their last messages can be attributed.
const FORMER_MAX: usize = 64;

impl Roster {
    pub(crate) fn verify(
        members: impl Iterator<Item = Member>,
        suite: CipherSuite,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Self, CredentialError> {
        let leaves = members
            .map(|member| {
                let leaf = Leaf::verify(&member.credential, &member.signature_key, suite, trust, now)?;
                Ok((member.index.u32(), leaf))
            })
            .collect::<Result<_, CredentialError>>()?;
        Ok(Self { leaves, former: Vec::new() })
    }

    /// Verifies the members of a group that is a room's; none if one of them is no participant of the room.
    pub(crate) fn of_participants(
        members: impl Iterator<Item = Member>,
        state: &RoomState,
        suite: CipherSuite,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Option<Self>, CredentialError> {
        let roster = Self::verify(members, suite, trust, now)?;
        let all = roster.leaves.values().all(|leaf| state.participants().role_of(&leaf.user).is_some());
        Ok(all.then_some(roster))
    }

    pub(crate) fn leaf(&self, index: u32) -> Option<&Leaf> {
        self.leaves.get(&index)
    }

    /// The leaf with this credential, now or formerly.
    pub(crate) fn by_credential(&self, credential: &Credential) -> Option<&Leaf> {
        let certificates = certificates(credential)?;
        self.leaves.values().chain(self.former.iter().rev()).find(|leaf| leaf.certificates == certificates)
    }

    pub(crate) fn insert(&mut self, index: u32, leaf: Leaf) {
        self.leaves.insert(index, leaf);
    }

    pub(crate) fn remove(&mut self, index: u32) {
        if let Some(leaf) = self.leaves.remove(&index) {
            self.former.push(leaf);
            if self.former.len() > FORMER_MAX {
                self.former.remove(0);
            }
        }
    }

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
        let mut leaves = BTreeMap::new();
        while !inner.is_empty() {
            leaves.insert(inner.u32()?, Leaf::read(&mut inner)?);
        }
        Ok(Self { leaves, former: reader.list()? })
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
