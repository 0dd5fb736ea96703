//! The example rooms of draft-ietf-mimi-room-policy-03, appendix A: their roles as facts, and how they behave.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use Capability::*;
use common::{World, lacks, user};
use mimi_pseudonym::Wire;
use mimi_room::{BaseRoomPolicy, Capability, Constraint, How, Refusal, Role, Roles};

type Changes = &'static [(u32, &'static [u32])];

fn role(index: u32, name: &str, parts: &[&[Capability]], changes: Changes) -> Role {
    Role::new(index, name).with_capabilities(parts.concat()).with_role_changes(changes.iter().copied())
}

/// Nobody with this role has clients.
fn inactive(role: Role) -> Role {
    Role { max_active: Some(0), ..role }
}

fn at_least_one(role: Role) -> Role {
    Role { min_participants: 1, ..role }
}

fn enforcer(index: u32, changes: Changes) -> Role {
    let capabilities = [
        RemoveParticipant,
        ChangeUserRole,
        Ban,
        UnBan,
        ChangeRoleDefinitions,
        ChangePreauthorizedUserList,
        ChangeMlsOperationalPolicies,
        DestroyRoom,
        SendMlsReinitProposal,
    ];
    let enforcer = role(index, "policy_enforcer", &[&capabilities], changes);
    Role { min_participants: 1, max_participants: Some(2), ..inactive(enforcer) }
}

const OWN: &[Capability] = &[AddOwnClient, RemoveOwnClient, RemoveSelf];
const TALK: &[Capability] = &[
    SendMessage,
    ReceiveMessage,
    CopyMessage,
    ReportAbuse,
    ReactToMessage,
    DeleteOwnReaction,
    EditOwnMessage,
    DeleteOwnMessage,
    StartTopic,
    ReplyInTopic,
    UploadImage,
    UploadVideo,
    UploadAudio,
    UploadAttachment,
    DownloadImage,
    DownloadVideo,
    DownloadAudio,
    DownloadAttachment,
    SendLink,
    SendLinkPreview,
    FollowLink,
    CopyLink,
    ChangeOwnName,
    ChangeOwnPresence,
    ChangeOwnMood,
    ChangeOwnAvatar,
];
const METADATA: &[Capability] = &[ChangeRoomName, ChangeRoomAvatar, ChangeRoomSubject, ChangeRoomMood];
const MODERATE: &[Capability] = &[Ban, UnBan, Kick, ChangeUserRole, DeleteOtherMessage, EditOtherTopic];
const CODES: &[Capability] = &[CreateJoinCode, DeleteJoinCode];
const SUPER: &[Capability] = &[ChangeRoomMembershipStyle, ChangePreauthorizedUserList, DestroyRoom];
const STRICT_SUPER: &[Capability] = &[ChangeRoleDefinitions, SendMlsReinitProposal];

const ADMIN_CHANGES: Changes = &[(0, &[1, 2, 3]), (1, &[0, 2, 3]), (2, &[0, 1, 3]), (3, &[0, 1, 2])];
const SUPER_CHANGES: Changes =
    &[(0, &[1, 2, 3, 4]), (1, &[0, 2, 3, 4]), (2, &[0, 1, 3, 4]), (3, &[0, 1, 2, 4]), (4, &[0, 1, 2, 3])];
const ENFORCER_CHANGES: Changes = &[(0, &[1]), (1, &[0]), (2, &[0, 1]), (3, &[0, 1]), (4, &[0, 1])];

fn cooperative() -> Vec<Role> {
    let user: &[&[Capability]] =
        &[OWN, TALK, METADATA, &[AddParticipant, RemoveParticipant, ReplyToMessage, EditOwnTopic]];
    let admin = [user, &[MODERATE, &[ChangeRoomDescription]]].concat();
    let top = [&admin[..], &[SUPER]].concat();
    vec![
        inactive(role(0, "no_role", &[], &[])),
        inactive(role(1, "banned", &[], &[])),
        role(2, "ordinary_user", user, &[(0, &[2]), (2, &[0])]),
        at_least_one(role(3, "group_admin", &admin, ADMIN_CHANGES)),
        role(4, "super_admin", &top, SUPER_CHANGES),
        enforcer(5, ENFORCER_CHANGES),
    ]
}

fn strict() -> Vec<Role> {
    let user: &[&[Capability]] = &[OWN, TALK, &[JoinIfPreauthorized, ChangeOwnRole]];
    let more: &[Capability] =
        &[AddParticipant, RemoveParticipant, DeleteOtherReaction, EditOwnTopic, ChangeRoomDescription];
    let admin = [user, &[MODERATE, METADATA, CODES, more]].concat();
    let top = [&admin[..], &[SUPER, STRICT_SUPER]].concat();
    vec![
        inactive(role(0, "no_role", &[&[UseJoinCode]], &[(0, &[2])])),
        inactive(role(1, "banned", &[], &[])),
        role(2, "ordinary_user", user, &[(0, &[2]), (2, &[0])]),
        at_least_one(role(3, "group_admin", &admin, ADMIN_CHANGES)),
        role(4, "super_admin", &top, SUPER_CHANGES),
        enforcer(5, ENFORCER_CHANGES),
    ]
}

fn moderated() -> Vec<Role> {
    let guest: &[Capability] = &[
        RemoveSelf,
        ReceiveMessage,
        CopyMessage,
        ReactToMessage,
        DeleteOwnReaction,
        FollowLink,
        CopyLink,
        DownloadImage,
        DownloadVideo,
        DownloadAudio,
    ];
    let attendee: &[Capability] = &[
        AddOwnClient,
        JoinIfPreauthorized,
        RemoveOwnClient,
        ChangeOwnRole,
        ReportAbuse,
        ReplyInTopic,
        DownloadAttachment,
        ChangeOwnName,
        ChangeOwnPresence,
        ChangeOwnAvatar,
    ];
    let speaker: &[Capability] = &[
        SendMessage,
        EditOwnMessage,
        DeleteOwnMessage,
        StartTopic,
        UploadImage,
        UploadVideo,
        UploadAudio,
        UploadAttachment,
        SendLink,
        SendLinkPreview,
    ];
    let more: &[Capability] = &[AddParticipant, RemoveParticipant, DeleteOtherReaction, EditOwnTopic];
    let moderator = [guest, attendee, speaker, MODERATE, METADATA, CODES, more];
    let top = [&moderator[..], &[SUPER, STRICT_SUPER, &[ChangeRoomDescription]]].concat();
    vec![
        role(0, "no_role", &[&[UseJoinCode]], &[(0, &[2, 3])]),
        inactive(role(1, "banned", &[], &[])),
        role(2, "guest", &[guest], &[(0, &[2]), (2, &[0])]),
        role(3, "attendee", &[guest, attendee], &[(0, &[3]), (3, &[0])]),
        role(4, "speaker", &[guest, attendee, speaker], &[(0, &[4]), (4, &[0])]),
        at_least_one(role(
            5,
            "moderator",
            &moderator,
            &[
                (0, &[1, 2, 3, 4, 5]),
                (1, &[0, 2, 3, 4, 5]),
                (2, &[0, 1, 3, 4, 5]),
                (3, &[0, 1, 2, 4, 5]),
                (4, &[0, 1, 2, 3, 5]),
                (5, &[0, 1, 2, 3, 4]),
            ],
        )),
        role(
            6,
            "super_admin",
            &top,
            &[
                (0, &[1, 2, 3, 4, 5, 6]),
                (1, &[0, 2, 3, 4, 5, 6]),
                (2, &[0, 1, 3, 4, 5, 6]),
                (3, &[0, 1, 2, 4, 5, 6]),
                (4, &[0, 1, 2, 3, 5, 6]),
                (5, &[0, 1, 2, 3, 4, 6]),
                (6, &[0, 1, 2, 3, 4, 5]),
            ],
        ),
        enforcer(7, &[(0, &[1]), (1, &[0]), (2, &[0, 1]), (3, &[0, 1]), (4, &[0, 1]), (5, &[0, 1]), (6, &[0, 1])]),
    ]
}

#[test]
fn their_roles_are_read_as_they_were_written() {
    for roles in [cooperative(), strict(), moderated()] {
        let roles = Roles::new(roles).unwrap();
        assert_eq!(Roles::decode(&roles.encode()), Ok(roles));
    }
}

fn three(roles: Vec<Role>) -> World {
    let world =
        World::new(roles, BaseRoomPolicy::default(), &[("alice", 3), ("bob", 2), ("cathy", 2), ("sue", 4), ("law", 5)]);
    assert_eq!(world.state.check(&world.members), Ok(()));
    world
}

#[test]
fn in_a_cooperative_room_every_user_adds_and_removes_users() {
    let world = three(cooperative());
    assert!(world.want().add("dora", 2).client("dora", 1).commit("bob").is_ok());
    assert!(world.want().remove("cathy").drop("cathy", 1).commit("bob").is_ok());
    let refusal = Refusal::RoleChange { from: 3, to: 0 };
    assert_eq!(world.want().remove("alice").drop("alice", 1).commit("bob"), Err(refusal));
    assert_eq!(world.want().role("cathy", 1).drop("cathy", 1).commit("bob"), Err(lacks(Ban)));
    assert!(world.want().role("cathy", 1).drop("cathy", 1).commit("alice").is_ok());
    assert!(world.state.may_destroy(&user("sue")).is_ok());
    assert_eq!(world.state.may_destroy(&user("alice")), Err(lacks(DestroyRoom)));
}

#[test]
fn in_a_strict_room_only_admins_add_users_and_others_come_by_code() {
    let world = three(strict());
    assert_eq!(world.want().add("dora", 2).commit("bob"), Err(lacks(AddParticipant)));
    assert!(world.want().add("dora", 2).client("dora", 1).commit("alice").is_ok());
    let refusal = Refusal::RoleChange { from: 0, to: 4 };
    assert_eq!(world.want().add("dora", 4).commit("alice"), Err(refusal));
    assert!(world.want().add("dora", 2).client("dora", 1).by("dora", How::JoinCode).is_ok());
    let refusal = Refusal::RoleChange { from: 0, to: 3 };
    assert_eq!(world.want().add("dora", 3).client("dora", 1).by("dora", How::JoinCode), Err(refusal));
    assert_eq!(world.want().add("dora", 2).client("dora", 1).by("dora", How::ExternalCommit), Err(lacks(OpenJoin)));
}

#[test]
fn an_admin_and_an_enforcer_always_remain() {
    for roles in [cooperative(), strict()] {
        let world = three(roles);
        let last = |role| Refusal::Constraint { role, constraint: Constraint::MinParticipants, limit: 1 };
        assert_eq!(world.want().remove("alice").drop("alice", 1).commit("sue"), Err(last(3)));
        assert!(world.want().remove("alice").drop("alice", 1).role("bob", 3).commit("sue").is_ok());
        // A super admin has no way to an enforcer, who has no clients.
        assert_eq!(world.want().remove("law").commit("sue"), Err(Refusal::RoleChange { from: 5, to: 0 }));
        // An enforcer acts from outside the group: it removes and bans, and adds nobody.
        assert!(world.want().role("bob", 1).drop("bob", 1).propose("law").is_ok());
        assert!(world.want().remove("sue").drop("sue", 1).propose("law").is_ok());
        assert!(world.want().add("dora", 1).propose("law").is_ok());
        assert_eq!(world.want().add("dora", 2).propose("law"), Err(lacks(AddParticipant)));
    }
}

#[test]
fn in_a_moderated_room_speakers_speak() {
    let list = [("gus", 2), ("bob", 3), ("cathy", 4), ("alice", 5), ("sue", 6), ("law", 7)];
    let world = World::new(moderated(), BaseRoomPolicy::default(), &list);
    assert_eq!(world.state.check(&world.members), Ok(()));
    assert_eq!(world.state.may_send(&user("gus")), Err(lacks(SendMessage)));
    assert_eq!(world.state.may_send(&user("bob")), Err(lacks(SendMessage)));
    assert!(world.state.may_send(&user("cathy")).is_ok());

    let voiced = world.want().role("bob", 4).committed("alice");
    assert!(voiced.state.may_send(&user("bob")).is_ok());
    assert_eq!(world.want().role("bob", 4).commit("cathy"), Err(lacks(ChangeUserRole)));
    assert_eq!(world.want().client("gus", 2).commit("gus"), Err(lacks(AddOwnClient)));
    assert!(world.want().client("bob", 2).commit("bob").is_ok());
    for role in [2, 3] {
        assert!(world.want().add("dora", role).client("dora", 1).by("dora", How::JoinCode).is_ok());
    }
    let refusal = Refusal::RoleChange { from: 0, to: 4 };
    assert_eq!(world.want().add("dora", 4).client("dora", 1).by("dora", How::JoinCode), Err(refusal));
    let refusal = Refusal::RoleChange { from: 6, to: 1 };
    assert_eq!(world.want().role("sue", 1).drop("sue", 1).commit("alice"), Err(refusal));
}
