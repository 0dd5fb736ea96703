use mimi_pseudonym::{RoomUri, UserUri};

use crate::{
    BaseRoomPolicy, Capability, ComponentId, JoinLinkPolicy, Participant, ParticipantList, Role, Roles, RoomPurpose,
    RoomState, StateError,
};

/// What people who talk to each other may do with messages.
const TALK: &[Capability] = &[
    Capability::SendMessage,
    Capability::ReceiveMessage,
    Capability::CopyMessage,
    Capability::ReportAbuse,
    Capability::ReplyToMessage,
    Capability::ReactToMessage,
    Capability::EditReaction,
    Capability::DeleteOwnReaction,
    Capability::EditOwnMessage,
    Capability::DeleteOwnMessage,
    Capability::StartTopic,
    Capability::ReplyInTopic,
    Capability::EditOwnTopic,
    Capability::UploadImage,
    Capability::UploadAudio,
    Capability::UploadVideo,
    Capability::UploadAttachment,
    Capability::DownloadImage,
    Capability::DownloadAudio,
    Capability::DownloadVideo,
    Capability::DownloadAttachment,
    Capability::SendLink,
    Capability::SendLinkPreview,
    Capability::FollowLink,
    Capability::CopyLink,
];

/// What a participant may do with its own place in the room.
const OWN: &[Capability] = &[Capability::AddOwnClient, Capability::RemoveOwnClient, Capability::RemoveSelf];

/// What whoever runs a room may do besides.
const RUN: &[Capability] = &[
    Capability::AddParticipant,
    Capability::RemoveParticipant,
    Capability::Ban,
    Capability::UnBan,
    Capability::Kick,
    Capability::ChangeUserRole,
    Capability::CreateJoinCode,
    Capability::DeleteJoinCode,
    Capability::DeleteOtherReaction,
    Capability::DeleteOtherMessage,
    Capability::EditOtherTopic,
    Capability::ChangeRoomName,
    Capability::ChangeRoomDescription,
    Capability::ChangeRoomAvatar,
    Capability::ChangeRoomSubject,
    Capability::ChangeRoomMood,
    Capability::DestroyRoom,
    Capability::ChangeRoomMembershipStyle,
    Capability::ChangeRoleDefinitions,
    Capability::ChangePreauthorizedUserList,
    Capability::ChangeOtherPolicyAttribute,
    Capability::ChangeMlsOperationalPolicies,
    Capability::SendMlsReinitProposal,
];

fn capabilities(parts: &[&[Capability]]) -> Vec<Capability> {
    let mut all = parts.concat();
    all.sort();
    all
}

/// Roles 0 and 1, which have no holders with clients.
fn outside() -> [Role; 2] {
    let inactive = |index, name| Role { max_active: Some(0), ..Role::new(index, name) };
    [inactive(Role::NONE, "no_role"), inactive(Role::BANNED, Role::BANNED_NAME)]
}

impl RoomState {
    /// The role of the creator in the rooms of [`RoomState::connection`].
    pub const INITIATOR: u32 = 2;
    /// The role of the one to be connected with in the rooms of [`RoomState::connection`].
    pub const RECIPIENT: u32 = 3;
    /// The role of ordinary participants in the rooms of [`RoomState::private`] and [`RoomState::by_link`].
    pub const PARTICIPANT: u32 = 2;
    /// The role of the creator in the rooms of [`RoomState::private`] and [`RoomState::by_link`].
    pub const ADMIN: u32 = 3;

    /// A temporary room of two, in which a connection is made (draft-mahy-mimi-pseudonyms-00, section 3.1): the
    /// creator as initiator, who may do everything, and one recipient, whom the initiator adds and who may send, add
    /// its own clients and leave.
    ///
    /// # Errors
    /// [`StateError`], if the roles above did not fit together: never.
    pub fn connection(room: RoomUri, creator: UserUri) -> Result<Self, StateError> {
        let [none, banned] = outside();
        let initiator = Role { max_participants: Some(1), ..Role::new(Self::INITIATOR, "initiator") }
            .with_capabilities(capabilities(&[TALK, OWN, RUN]))
            .with_role_changes([
                (Role::NONE, [Self::RECIPIENT].as_slice()),
                (Role::BANNED, &[Role::NONE, Self::RECIPIENT]),
                (Self::INITIATOR, &[Role::NONE]),
                (Self::RECIPIENT, &[Role::NONE, Role::BANNED]),
            ]);
        let recipient = Role { max_participants: Some(1), ..Role::new(Self::RECIPIENT, "recipient") }
            .with_capabilities(capabilities(&[TALK, OWN]))
            .with_role_changes([(Self::RECIPIENT, [Role::NONE].as_slice())]);
        let policy = BaseRoomPolicy { max_users: Some(2), ..base() };
        let state = create(room, creator, Self::INITIATOR, vec![none, banned, initiator, recipient], policy)?;
        Ok(state.with_purpose(RoomPurpose::Connection))
    }

    /// An ordinary room between people: every participant may add others, add and remove its own clients, send and
    /// leave; the creator is its administrator.
    ///
    /// # Errors
    /// [`StateError`], if the roles above did not fit together: never.
    pub fn private(room: RoomUri, creator: UserUri) -> Result<Self, StateError> {
        let [none, banned] = outside();
        create(room, creator, Self::ADMIN, vec![none, banned, participant(), admin()], base())
    }

    /// As [`RoomState::private`]; besides, whoever has a valid join code may join as a participant.
    ///
    /// # Errors
    /// [`StateError`], if the roles above did not fit together: never.
    pub fn by_link(room: RoomUri, creator: UserUri, policy: JoinLinkPolicy) -> Result<Self, StateError> {
        let [none, banned] = outside();
        let none = none
            .with_capabilities([Capability::UseJoinCode])
            .with_role_changes([(Role::NONE, [Self::PARTICIPANT].as_slice())]);
        let mut base = base();
        base.policy_components.push(ComponentId::JOIN_LINK_POLICY);
        base.policy_components.sort_unstable();
        let state = create(room, creator, Self::ADMIN, vec![none, banned, participant(), admin()], base)?;
        Ok(state.with_join_link_policy(policy))
    }
}

fn participant() -> Role {
    Role::new(RoomState::PARTICIPANT, "participant")
        .with_capabilities(capabilities(&[TALK, OWN, &[Capability::AddParticipant]]))
        .with_role_changes([(Role::NONE, [RoomState::PARTICIPANT].as_slice()), (RoomState::PARTICIPANT, &[Role::NONE])])
}

fn admin() -> Role {
    Role::new(RoomState::ADMIN, "admin").with_capabilities(capabilities(&[TALK, OWN, RUN])).with_role_changes([
        (Role::NONE, [Role::BANNED, RoomState::PARTICIPANT, RoomState::ADMIN].as_slice()),
        (Role::BANNED, &[Role::NONE, RoomState::PARTICIPANT, RoomState::ADMIN]),
        (RoomState::PARTICIPANT, &[Role::NONE, Role::BANNED, RoomState::ADMIN]),
        (RoomState::ADMIN, &[Role::NONE, Role::BANNED, RoomState::PARTICIPANT]),
    ])
}

fn base() -> BaseRoomPolicy {
    BaseRoomPolicy {
        policy_components: vec![ComponentId::ROLES_LIST, ComponentId::ROOM_PURPOSE],
        ..BaseRoomPolicy::default()
    }
}

fn create(
    room: RoomUri,
    creator: UserUri,
    role: u32,
    roles: Vec<Role>,
    base: BaseRoomPolicy,
) -> Result<RoomState, StateError> {
    let malformed = |component| move |error| StateError::Malformed { component, error };
    let roles = Roles::new(roles).map_err(malformed(ComponentId::ROLES_LIST))?;
    let participants = ParticipantList::new([Participant { user: creator, role }])
        .map_err(malformed(ComponentId::PARTICIPANT_LIST))?;
    RoomState::new(room, participants, roles, base)
}
