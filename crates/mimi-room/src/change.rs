use mimi_pseudonym::{ClientUri, UserUri};

use crate::Members;

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Actor {
    /// A user, with one of its clients if it is known which.
    User {
        /// The user, as its credential in this room names it.
        user: UserUri,
        /// The client that sends.
        client: Option<ClientUri>,
    },
    /// The room's hub, as an external sender.
    Hub,
}

impl Actor {
    /// A user's client.
    pub fn client(user: UserUri, client: ClientUri) -> Self {
        Self::User { user, client: Some(client) }
    }

    /// A user, by whichever client.
    pub fn user(user: UserUri) -> Self {
        Self::User { user, client: None }
    }
}

/// By what kind of MLS message a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum How {
    /// Proposals inside a member's own commit.
    Commit,
    /// Proposals that another member commits, or will commit.
    Proposal,
    /// An external commit.
    ExternalCommit,
    /// An external commit of a client that has shown the hub a valid join code. Only the hub can know; a member takes
    /// the hub's acceptance for it.
    JoinCode,
    /// Proposals of the hub.
    Hub,
}

/// What an AppDataUpdate proposal does to a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Updates it with this content.
    Update(Vec<u8>),
    /// Removes it.
    Remove,
}

/// An AppDataUpdate proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentUpdate {
    /// The component.
    pub id: u16,
    /// What is done to it.
    pub operation: Operation,
}

impl ComponentUpdate {
    /// An update with this content.
    pub fn update(id: u16, content: Vec<u8>) -> Self {
        Self { id, operation: Operation::Update(content) }
    }

    /// A removal.
    pub fn remove(id: u16) -> Self {
        Self { id, operation: Operation::Remove }
    }
}

/// A client that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRef {
    /// The client's user, as its credential names it.
    pub user: UserUri,
    /// The client.
    pub client: ClientUri,
    /// Whether its KeyPackage is marked for initial connections only
    /// ([`KeyPackagePurpose::InitialOnly`](crate::KeyPackagePurpose::InitialOnly)).
    pub initial_only: bool,
}

/// What one actor wants to change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change<'a> {
    /// Updates of components, in the order of their proposals.
    pub updates: Vec<ComponentUpdate>,
    /// Clients that are added; in an external commit the client that makes it, and no other.
    pub added: Vec<ClientRef>,
    /// Clients that are removed, by `Remove` or `SelfRemove`; in an external commit at most the earlier leaf of the
    /// client that makes it.
    pub removed: Vec<(UserUri, ClientUri)>,
    /// All clients in the group before the change.
    pub members: &'a Members,
}

/// One actor's part of a commit that holds proposals of several.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Who proposed.
    pub actor: &'a Actor,
    /// How it was proposed.
    pub how: How,
    /// What was proposed.
    pub change: &'a Change<'a>,
}
