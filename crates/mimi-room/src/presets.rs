use std::sync::Arc;

use mimi_pseudonym::{DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri, UserUri};

use crate::{
    BaseRoomPolicy, Capability, ComponentId, JoinLinkPolicy, Participant, ParticipantList, Refusal, Role, Roles,
    RoomPurpose, RoomState, StateError,
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

/// What people who only listen may do with messages.
const LISTEN: &[Capability] = &[
    Capability::ReceiveMessage,
    Capability::CopyMessage,
    Capability::ReportAbuse,
    Capability::DownloadImage,
    Capability::DownloadAudio,
    Capability::DownloadVideo,
    Capability::DownloadAttachment,
    Capability::FollowLink,
    Capability::CopyLink,
];

/// What a participant may do with its own place in the room.
const OWN: &[Capability] = &[Capability::AddOwnClient, Capability::RemoveOwnClient, Capability::RemoveSelf];

/// What whoever keeps order in a room may do besides.
const MODERATE: &[Capability] = &[
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
];

/// What whoever runs a room may do besides.
const RUN: &[Capability] = &[
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
    /// The role of those who keep order: in the rooms of [`RoomState::private`] and [`RoomState::by_link`] they may mute,
    /// remove and ban ordinary participants; in the rooms of [`RoomState::knock`] they run the room.
    pub const MODERATOR: u32 = 4;
    /// The role of those who may listen but not send, in the rooms of [`RoomState::private`] and
    /// [`RoomState::by_link`].
    pub const MUTED: u32 = 5;
    /// The role of those who ask to be let in, in the rooms of [`RoomState::knock`].
    pub const KNOCKER: u32 = 6;

    /// A temporary room of two, in which a connection is made (draft-mahy-mimi-pseudonyms-00, section 3.1): the
    /// creator as initiator, who may do everything, and one recipient, whom the initiator adds and who may send, add
    /// its own clients and leave. The recipient comes under its account, so pseudonyms are optional; who discloses
    /// itself says which account it is.
    ///
    /// # Errors
    /// [`StateError`], if the roles above did not fit together: never.
    pub fn connection(room: RoomUri, creator: UserUri) -> Result<Self, StateError> {
        let [none, banned] = outside();
        let initiator = Role { max_participants: Some(1), ..Role::new(Self::INITIATOR, "initiator") }
            .with_capabilities(capabilities(&[TALK, OWN, MODERATE, RUN]))
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
        state.with_purpose(RoomPurpose::Connection).with_identity_policy(IdentityPolicy::connection())
    }

    /// An ordinary room between people: every participant may add others, add and remove its own clients, send and
    /// leave; the creator is its administrator, and may make others moderators or mute them. Pseudonyms are optional, and
    /// so is every claim: [`RoomState::with_identity_policy`] sets another policy.
    ///
    /// # Errors
    /// [`StateError`], if the roles above did not fit together: never.
    pub fn private(room: RoomUri, creator: UserUri) -> Result<Self, StateError> {
        let [none, banned] = outside();
        let state = create(room, creator, Self::ADMIN, with_people(none, banned), base())?;
        state.with_identity_policy(IdentityPolicy::unstated(true))
    }

    /// As [`RoomState::private`]; besides, whoever has a valid join code may join as a participant, or as one who may listen
    /// but not send: a link is for one of the two roles. Administrators and moderators may make links, and for no other role.
    /// [`RoomState::with_link_roles`] says otherwise.
    ///
    /// # Errors
    /// [`StateError`], if the roles above did not fit together: never.
    pub fn by_link(room: RoomUri, creator: UserUri, policy: JoinLinkPolicy) -> Result<Self, StateError> {
        let [none, banned] = outside();
        let none = none
            .with_capabilities([Capability::UseJoinCode])
            .with_role_changes([(Role::NONE, [Self::PARTICIPANT, Self::MUTED].as_slice())]);
        let state = create(room, creator, Self::ADMIN, with_people(none, banned), base())?;
        Ok(state.with_identity_policy(IdentityPolicy::unstated(true))?.with_join_link_policy(policy))
    }

    /// The room where join links may be for these roles and no others. The hub alone knows for which role a code is: whoever
    /// runs it could let somebody in with any of these, and members would go along. So they are best roles without power over
    /// others.
    ///
    /// # Errors
    /// [`StateError::Inconsistent`] with [`Refusal::UnknownRole`](crate::Refusal::UnknownRole) if there is no such role, or it
    /// is that of nobody or of the banned.
    pub fn with_link_roles(mut self, granted: impl IntoIterator<Item = u32>) -> Result<Self, StateError> {
        let granted: Vec<u32> = granted.into_iter().collect();
        let known = |role: u32| role != Role::NONE && !self.roles.is_banned(role) && self.roles.role(role).is_some();
        if let Some(unknown) = granted.iter().find(|role| !known(**role)) {
            return Err(Refusal::UnknownRole(*unknown).into());
        }
        let all = self.roles.iter().map(|role| match role.index {
            Role::NONE => role.clone().with_role_changes([(Role::NONE, granted.as_slice())]),
            _ => role.clone(),
        });
        let malformed = |error| StateError::Malformed { component: ComponentId::ROLES_LIST, error };
        self.roles = Arc::new(Roles::new(all.collect()).map_err(malformed)?);
        Ok(self)
    }

    /// A room in which people ask the moderators of another room to be let in there
    /// (draft-mahy-mimi-pseudonyms-00, section 3.3). Its creator is a moderator. Anyone may join as a knocker, by an
    /// external commit and with one client; a knocker may send [`RoomState::messages_per_joiner`] messages and leave,
    /// receives no application messages, and may do nothing else. Everyone is under a pseudonym; every claim may be
    /// disclosed.
    ///
    /// # Errors
    /// [`StateError::Inconsistent`] with [`Refusal::PseudonymRequired`](crate::Refusal::PseudonymRequired) if the creator
    /// is no pseudonym, with [`Refusal::KnockTarget`](crate::Refusal::KnockTarget) if the target is the room itself.
    pub fn knock(room: RoomUri, target: RoomUri, creator: UserUri) -> Result<Self, StateError> {
        let [none, banned] = outside();
        let none = none
            .with_capabilities([Capability::OpenJoin])
            .with_role_changes([(Role::NONE, [Self::KNOCKER].as_slice())]);
        let moderator = Role::new(Self::MODERATOR, "moderator")
            .with_capabilities(capabilities(&[TALK, OWN, MODERATE, RUN]))
            .with_role_changes([
                (Role::NONE, [Role::BANNED, Self::MODERATOR].as_slice()),
                (Role::BANNED, &[Role::NONE]),
                (Self::MODERATOR, &[Role::NONE]),
                (Self::KNOCKER, &[Role::NONE, Role::BANNED]),
            ]);
        let knocker = Role::new(Self::KNOCKER, "knocker")
            .with_capabilities([Capability::RemoveSelf, Capability::SendMessage])
            .with_role_changes([(Self::KNOCKER, [Role::NONE].as_slice())]);
        let state = create(room, creator, Self::MODERATOR, vec![none, banned, moderator, knocker], base())?;
        let policy = IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: DisclosurePolicy::open() };
        state.with_knock_target(target)?.with_identity_policy(policy)
    }

    /// How many messages someone may send who joined a knock room to ask for something; none in other rooms, which set
    /// no such limit.
    pub fn messages_per_joiner(&self) -> Option<u32> {
        (self.purpose() == RoomPurpose::Knock).then_some(1)
    }

    /// How many messages a user may send during its stay; none for any number. In a knock room it is
    /// [`RoomState::messages_per_joiner`] for every participant who does not receive messages. The hub counts and
    /// refuses; the members count too, and take no more.
    pub fn message_limit(&self, user: &UserUri) -> Option<u32> {
        self.messages_per_joiner().filter(|_| self.may_receive(user).is_err())
    }
}

/// The roles of rooms between people.
fn with_people(none: Role, banned: Role) -> Vec<Role> {
    vec![none, banned, participant(), admin(), moderator(), muted()]
}

fn participant() -> Role {
    Role::new(RoomState::PARTICIPANT, "participant")
        .with_capabilities(capabilities(&[TALK, OWN, &[Capability::AddParticipant]]))
        .with_role_changes([(Role::NONE, [RoomState::PARTICIPANT].as_slice()), (RoomState::PARTICIPANT, &[Role::NONE])])
}

fn muted() -> Role {
    Role::new(RoomState::MUTED, "muted")
        .with_capabilities(capabilities(&[LISTEN, OWN]))
        .with_role_changes([(RoomState::MUTED, [Role::NONE].as_slice())])
}

/// Moderators may leave, which by the rules of `canRemoveSelf` lets them remove each other too.
fn moderator() -> Role {
    Role::new(RoomState::MODERATOR, "moderator")
        .with_capabilities(capabilities(&[TALK, OWN, MODERATE]))
        .with_role_changes([
            (Role::NONE, [Role::BANNED, RoomState::PARTICIPANT, RoomState::MUTED].as_slice()),
            (Role::BANNED, &[Role::NONE, RoomState::PARTICIPANT, RoomState::MUTED]),
            (RoomState::PARTICIPANT, &[Role::NONE, Role::BANNED, RoomState::MUTED]),
            (RoomState::MODERATOR, &[Role::NONE]),
            (RoomState::MUTED, &[Role::NONE, Role::BANNED, RoomState::PARTICIPANT]),
        ])
}

fn admin() -> Role {
    use RoomState as R;
    let changes: [(u32, &[u32]); 6] = [
        (Role::NONE, &[Role::BANNED, R::PARTICIPANT, R::ADMIN, R::MODERATOR, R::MUTED]),
        (Role::BANNED, &[Role::NONE, R::PARTICIPANT, R::ADMIN, R::MODERATOR, R::MUTED]),
        (R::PARTICIPANT, &[Role::NONE, Role::BANNED, R::ADMIN, R::MODERATOR, R::MUTED]),
        (R::ADMIN, &[Role::NONE, Role::BANNED, R::PARTICIPANT, R::MODERATOR, R::MUTED]),
        (R::MODERATOR, &[Role::NONE, Role::BANNED, R::PARTICIPANT, R::ADMIN, R::MUTED]),
        (R::MUTED, &[Role::NONE, Role::BANNED, R::PARTICIPANT, R::ADMIN, R::MODERATOR]),
    ];
    Role::new(R::ADMIN, "admin").with_capabilities(capabilities(&[TALK, OWN, MODERATE, RUN])).with_role_changes(changes)
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
