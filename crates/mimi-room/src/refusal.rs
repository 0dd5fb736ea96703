use mimi_pseudonym::DecodeError;

use crate::Capability;

/// A limit of a role that a change would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Constraint {
    /// `minimum_participants_constraint`
    MinParticipants,
    /// `maximum_participants_constraint`
    MaxParticipants,
    /// `minimum_active_participants_constraint`
    MinActive,
    /// `maximum_active_participants_constraint`
    MaxActive,
}

/// Why a change of a room is not allowed. It names rules and numbers, never a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The actor is not in the participant list.
    #[error("the actor is no participant")]
    NotParticipant,
    /// The actor, or the user of a client to be added, is banned.
    #[error("the user is banned")]
    Banned,
    /// The actor's role lacks a capability.
    #[error("the actor's role has not {0}")]
    Capability(Capability),
    /// The actor's role is not authorized to bring a user from one role to another; 0 is not being in the list.
    #[error("the actor may not change role {from} to {to}")]
    RoleChange {
        /// The user's role before.
        from: u32,
        /// The user's role after.
        to: u32,
    },
    /// A role that the room does not have, or 0 where a participant's role belongs.
    #[error("no participant can have role {0} in this room")]
    UnknownRole(u32),
    /// A change of one's own role, for which no preauthorization was found.
    #[error("the change of the actor's own role is not preauthorized")]
    NotPreauthorized,
    /// Such an actor cannot act in such a way: a hub does not commit, a user is not the hub.
    #[error("such an actor cannot act in such a way")]
    Sender,
    /// A hub may only propose to remove clients.
    #[error("a hub may only propose to remove clients")]
    Hub,
    /// An external commit adds the client that makes it, with its user if that is new, and does nothing else.
    #[error("an external commit does nothing but add the client that makes it")]
    ExternalCommit,
    /// A commit cannot remove the client that makes it.
    #[error("a commit cannot remove the client that makes it")]
    CommitterLeaves,
    /// A component's new value or update is malformed.
    #[error("the update of component {component:#06x} is malformed: {error}")]
    Malformed {
        /// The component.
        component: u16,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// A component that cannot be changed by these rules.
    #[error("component {0:#06x} cannot be changed")]
    UnknownComponent(u16),
    /// A component that a room cannot be without.
    #[error("component {0:#06x} cannot be removed")]
    NotRemovable(u16),
    /// A component that is to be removed is not there.
    #[error("component {0:#06x} is not there")]
    AbsentComponent(u16),
    /// A component is changed twice where once is allowed.
    #[error("component {0:#06x} is changed more than once")]
    RepeatedUpdate(u16),
    /// A component cannot change together with the participant list in such a way.
    #[error("component {0:#06x} cannot change together with the participant list")]
    WithParticipants(u16),
    /// The purpose of a room, and the room that a knock room belongs to, never change.
    #[error("the purpose of a room never changes")]
    PurposeFixed,
    /// A knock room names no other room, or a room that is no knock room names one.
    #[error("a knock room, and no other, names the room that it belongs to")]
    KnockTarget,
    /// The metadata name another room.
    #[error("the metadata name another room")]
    OtherRoom,
    /// No participant stands at this place of the list.
    #[error("no participant stands at {0}")]
    UserIndex(u32),
    /// A user to be added is in the list already.
    #[error("the user is a participant already")]
    AlreadyParticipant,
    /// One user is added, removed or given a role more than once.
    #[error("one user is changed more than once")]
    UserTwice,
    /// A user is removed or banned, but one of its clients stays.
    #[error("a client of a removed or banned user stays in the group")]
    ClientsRemain,
    /// A client's user is not in the resulting participant list.
    #[error("a client's user is no participant")]
    UserNotInList,
    /// A client is added though it is in the group, or is named twice.
    #[error("a client is in the group already, or named twice")]
    ClientTwice,
    /// A client to be removed is not in the group.
    #[error("a client to be removed is not in the group")]
    UnknownClient,
    /// A KeyPackage for initial connections only, in a room that is not for that.
    #[error("the KeyPackage is for initial connections only, the room is not")]
    InitialOnly,
    /// The room wants lasting identifiers.
    #[error("the room does not allow pseudonyms")]
    PseudonymForbidden,
    /// The room wants every participant under a pseudonym.
    #[error("the room is for pseudonyms only")]
    PseudonymRequired,
    /// Identity policy and base policy say different things about pseudonyms.
    #[error("the room's policies disagree about pseudonyms")]
    PseudonymPolicy,
    /// A temporary ban of a user who is not banned.
    #[error("a temporary ban is of a user who is not banned")]
    TemporaryBan,
    /// A join link is for one user in this room.
    #[error("a join link is for one user in this room")]
    LinkMultiuser,
    /// A join link would be valid for longer than the room allows, in seconds.
    #[error("a join link is valid for at most {0} seconds")]
    LinkLifetime(u32),
    /// The parent room is another one, at another hub, or none.
    #[error("the room does not depend on that room")]
    OtherParent,
    /// A participant is none in the parent room.
    #[error("a participant is no participant of the parent room")]
    NotInParent,
    /// All participants of the parent room are here: the rule is a strict subset.
    #[error("the participants are all those of the parent room")]
    WholeParent,
    /// The room's participants are fixed.
    #[error("the room's membership is fixed")]
    FixedMembership,
    /// More clients than the room may have.
    #[error("more than {0} clients")]
    MaxClients(u32),
    /// More participants than the room may have.
    #[error("more than {0} participants")]
    MaxUsers(u32),
    /// More than one client of a user in a room of single devices.
    #[error("more than one client of a user")]
    SingleDevice,
    /// A role's limit is broken.
    #[error("role {role} breaks {constraint:?} {limit}")]
    Constraint {
        /// The role.
        role: u32,
        /// Which of its limits.
        constraint: Constraint,
        /// The limit.
        limit: u32,
    },
}
