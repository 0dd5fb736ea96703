//! Every refusal by its name, and beside it what is allowed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Member, Want, World, client, lacks, member, room, user};
use mimi_pseudonym::{DecodeError, UserUri, Wire};
use mimi_room::{
    Actor, BaseRoomPolicy, Capability, Change, ClientRef, ComponentId, ComponentUpdate, Constraint, How,
    JoinLinkPolicy, Members, Participant, ParticipantListUpdate, PreauthList, Refusal, RichDescription, Role, Roles,
    RoomMetadata, RoomPurpose, RoomState, Step,
};

const BANNED: u32 = 1;
const MEMBER: u32 = 2;
const ADMIN: u32 = 3;
const POOR: u32 = 40;

fn roles() -> Vec<Role> {
    let mut roles: Vec<Role> = RoomState::private(room(), user("alice")).unwrap().roles().iter().cloned().collect();
    roles.push(Role::new(POOR, "poor"));
    roles
}

fn base() -> BaseRoomPolicy {
    BaseRoomPolicy::default()
}

/// Alice administers, Bob and Cathy are members, `poor` may do nothing, `bad` is banned.
fn world_with(base: BaseRoomPolicy) -> World {
    let list = [("alice", ADMIN), ("bob", MEMBER), ("cathy", MEMBER), ("poor", POOR), ("bad", BANNED)];
    World::new(roles(), base, &list)
}

fn world() -> World {
    world_with(base())
}

/// The same with a role changed.
fn world_where(index: u32, change: impl Fn(&mut Role)) -> World {
    let mut roles = roles();
    roles.iter_mut().filter(|role| role.index == index).for_each(change);
    World::new(roles, base(), &[("alice", ADMIN), ("bob", MEMBER), ("cathy", MEMBER), ("poor", POOR), ("bad", BANNED)])
}

#[test]
fn an_actor_is_a_participant_that_is_not_banned() {
    let world = world();
    assert_eq!(world.want().commit("stranger"), Err(Refusal::NotParticipant));
    assert_eq!(world.want().client("stranger", 1).by("stranger", How::ExternalCommit), Err(Refusal::NotParticipant));
    assert_eq!(world.want().commit("bad"), Err(Refusal::Banned));
    assert_eq!(world.want().client("bad", 1).by("bad", How::ExternalCommit), Err(Refusal::Banned));
    assert_eq!(world.want().client("bad", 1).by("bad", How::JoinCode), Err(Refusal::Banned));
    assert_eq!(world.want().commit("poor"), Ok(world.state.clone()), "an empty commit is always allowed");
}

#[test]
fn a_hub_proposes_removals_and_nothing_else() {
    let world = world();
    assert!(world.want().drop("bob", 1).by_hub().is_ok());
    assert_eq!(world.want().client("bob", 2).by_hub(), Err(Refusal::Hub));
    assert_eq!(world.want().remove("bob").drop("bob", 1).by_hub(), Err(Refusal::Hub));
    assert_eq!(world.want().by("alice", How::Hub), Err(Refusal::Sender));
    assert_eq!(world.state.apply(&Actor::Hub, How::Commit, &Change::default()), Err(Refusal::Sender));
    let limited = world_where(MEMBER, |role| role.min_active = 2);
    let constraint = Constraint::MinActive;
    let refusal = Refusal::Constraint { role: MEMBER, constraint, limit: 2 };
    assert_eq!(limited.want().drop("bob", 1).by_hub(), Err(refusal));
}

#[test]
fn adding_needs_the_capability_and_the_change_of_role() {
    let world = world();
    let added = world.want().add("dora", MEMBER).client("dora", 1).client("dora", 2).committed("bob");
    assert_eq!(added.state.participants().role_of(&user("dora")), Some(MEMBER));
    assert_eq!(added.state.check(&added.members), Ok(()));
    assert!(added.state.may_send(&user("dora")).is_ok());

    assert_eq!(world.want().add("dora", MEMBER).commit("poor"), Err(lacks(Capability::AddParticipant)));
    assert_eq!(world.want().add("dora", ADMIN).commit("bob"), Err(Refusal::RoleChange { from: 0, to: ADMIN }));
    assert!(world.want().add("dora", ADMIN).commit("alice").is_ok());
    assert_eq!(world.want().add("dora", 77).commit("alice"), Err(Refusal::RoleChange { from: 0, to: 77 }));
    let generous = world_where(ADMIN, |role| role.role_changes[0].to.push(77));
    assert_eq!(generous.want().add("dora", 77).commit("alice"), Err(Refusal::UnknownRole(77)));
    assert_eq!(world.want().add("bob", MEMBER).commit("alice"), Err(Refusal::AlreadyParticipant));
    assert_eq!(world.want().add("dora", MEMBER).add("dora", MEMBER).commit("alice"), Err(Refusal::UserTwice));
    assert_eq!(world.want().client("dora", 1).commit("alice"), Err(Refusal::UserNotInList));
}

#[test]
fn a_banned_user_has_no_clients() {
    let world = world();
    assert_eq!(world.want().client("bad", 1).commit("alice"), Err(Refusal::Banned));
    assert_eq!(world.want().role("bob", BANNED).commit("alice"), Err(Refusal::ClientsRemain));
    assert!(world.want().role("bob", BANNED).drop("bob", 1).commit("alice").is_ok());
    assert_eq!(world.want().role("bob", BANNED).drop("bob", 1).commit("cathy"), Err(lacks(Capability::Ban)));
    assert!(world.want().add("dora", BANNED).commit("alice").is_ok(), "who is no participant can be banned too");
    assert_eq!(world.want().add("dora", BANNED).client("dora", 1).commit("alice"), Err(Refusal::Banned));

    // Without canBan the same takes canChangeUserRole and canKick.
    let without = |gone: &'static [Capability]| {
        world_where(ADMIN, |role| role.capabilities.retain(|code| !gone.iter().any(|gone| gone.code() == *code)))
    };
    let ban = |world: World| world.want().role("bob", BANNED).drop("bob", 1).commit("alice").map(|_| ());
    assert_eq!(ban(without(&[Capability::Ban])), Ok(()));
    assert_eq!(ban(without(&[Capability::ChangeUserRole, Capability::Kick])), Ok(()));
    assert_eq!(ban(without(&[Capability::Ban, Capability::ChangeUserRole])), Err(lacks(Capability::Ban)));
    assert_eq!(ban(without(&[Capability::Ban, Capability::Kick])), Err(lacks(Capability::Kick)));
}

#[test]
fn lifting_a_ban() {
    let world = world();
    assert!(world.want().role("bad", MEMBER).commit("alice").is_ok());
    assert!(world.want().remove("bad").commit("alice").is_ok());
    assert_eq!(world.want().role("bad", MEMBER).commit("bob"), Err(lacks(Capability::UnBan)));
    let only_unban = world_where(ADMIN, |role| role.capabilities = vec![Capability::UnBan.code()]);
    assert!(only_unban.want().role("bad", MEMBER).commit("alice").is_ok());
    assert_eq!(
        only_unban.want().role("bad", MEMBER).client("bad", 1).commit("alice"),
        Err(lacks(Capability::AddParticipant)),
        "lifting a ban does not allow to add clients"
    );
    assert_eq!(only_unban.want().role("bob", ADMIN).commit("alice"), Err(lacks(Capability::ChangeUserRole)));
}

#[test]
fn removing_takes_all_clients_along() {
    let world = world().want().client("bob", 2).committed("bob");
    assert_eq!(world.want().remove("bob").commit("alice"), Err(Refusal::ClientsRemain));
    assert_eq!(world.want().remove("bob").drop("bob", 1).commit("alice"), Err(Refusal::ClientsRemain));
    let removed = world.want().remove("bob").drop("bob", 1).drop("bob", 2).committed("alice");
    assert_eq!(removed.state.participants().role_of(&user("bob")), None);
    assert_eq!(removed.state.check(&removed.members), Ok(()));
    let all = || world.want().remove("bob").drop("bob", 1).drop("bob", 2);
    assert_eq!(all().commit("cathy"), Err(lacks(Capability::RemoveParticipant)));
    assert_eq!(all().client("bob", 3).commit("alice"), Err(Refusal::UserNotInList));
    assert_eq!(world.want().role("bob", 0).commit("alice"), Err(Refusal::UnknownRole(0)));
    let narrow = world_where(ADMIN, |role| role.role_changes.retain(|change| change.from != MEMBER));
    let refusal = Refusal::RoleChange { from: MEMBER, to: 0 };
    assert_eq!(narrow.want().remove("bob").drop("bob", 1).commit("alice"), Err(refusal));
}

#[test]
fn one_leaves_by_proposal() {
    let world = world();
    let leaving = || world.want().remove("bob").drop("bob", 1);
    assert!(leaving().propose("bob").is_ok());
    assert_eq!(leaving().commit("bob"), Err(Refusal::CommitterLeaves));
    assert_eq!(world.want().drop("bob", 1).commit("bob"), Err(Refusal::CommitterLeaves));
    assert!(world.want().drop("bob", 1).propose("bob").is_ok(), "a client goes, its user stays");
    assert_eq!(world.want().remove("poor").drop("poor", 1).propose("poor"), Err(lacks(Capability::RemoveSelf)));
    assert_eq!(world.want().drop("poor", 1).propose("poor"), Err(lacks(Capability::RemoveOwnClient)));
    assert_eq!(world.want().remove("bob").propose("bob"), Err(Refusal::ClientsRemain));
    let leaves_only = world_where(POOR, |role| {
        role.capabilities = vec![Capability::RemoveSelf.code()];
        role.role_changes = vec![];
    });
    let refusal = Refusal::RoleChange { from: POOR, to: 0 };
    assert_eq!(leaves_only.want().remove("poor").drop("poor", 1).propose("poor"), Err(refusal));
}

#[test]
fn own_clients_and_those_of_others() {
    let world = world();
    let two = world.want().client("bob", 2).committed("bob");
    assert!(two.want().drop("bob", 2).commit("bob").is_ok());
    assert_eq!(world.want().client("poor", 2).commit("poor"), Err(lacks(Capability::AddOwnClient)));
    assert!(world.want().client("bob", 2).commit("cathy").is_ok(), "who could have added Bob may add his clients");
    assert_eq!(world.want().client("bob", 2).commit("poor"), Err(lacks(Capability::AddParticipant)));
    assert_eq!(world.want().client("alice", 2).commit("bob"), Err(Refusal::RoleChange { from: 0, to: ADMIN }));
    assert!(world.want().drop("bob", 1).commit("alice").is_ok());
    assert_eq!(world.want().drop("bob", 1).commit("cathy"), Err(lacks(Capability::Kick)));
    assert_eq!(world.want().drop("bob", 2).commit("alice"), Err(Refusal::UnknownClient));
    assert_eq!(world.want().client("bob", 1).commit("bob"), Err(Refusal::ClientTwice));
    assert_eq!(world.want().client("bob", 2).client("bob", 2).commit("bob"), Err(Refusal::ClientTwice));
    assert_eq!(two.want().drop("bob", 2).drop("bob", 2).commit("bob"), Err(Refusal::ClientTwice));

    // The client of one user cannot come in as another's.
    let mut stolen = world.want();
    stolen.added.push(ClientRef { user: user("bob"), client: client("cathy", 1), initial_only: false });
    assert_eq!(stolen.commit("bob"), Err(Refusal::ClientTwice));
}

#[test]
fn an_external_commit_adds_its_client_only() {
    let world = world();
    let external = |want: Want<'_>, number| {
        world.state.apply(&Actor::client(user("bob"), client("bob", number)), How::ExternalCommit, &want.change())
    };
    assert!(external(world.want().client("bob", 2), 2).is_ok());
    assert!(external(world.want().client("bob", 1).drop("bob", 1), 1).is_ok(), "a client that lost its state");
    assert_eq!(external(world.want().client("bob", 2).drop("bob", 1), 2), Err(Refusal::ExternalCommit));
    assert_eq!(external(world.want().client("bob", 2), 3), Err(Refusal::ExternalCommit));
    assert_eq!(external(world.want(), 2), Err(Refusal::ExternalCommit));
    assert_eq!(external(world.want().client("cathy", 2), 2), Err(Refusal::ExternalCommit));
    assert_eq!(external(world.want().client("bob", 2).drop("cathy", 1), 2), Err(Refusal::ExternalCommit));
    assert_eq!(external(world.want().client("bob", 2).add("dora", MEMBER), 2), Err(Refusal::ExternalCommit));
    let policy = JoinLinkPolicy::default();
    let also = world.want().client("bob", 2).update(ComponentId::JOIN_LINK_POLICY, &policy);
    assert_eq!(external(also, 2), Err(Refusal::ExternalCommit));
    assert_eq!(
        world.want().client("poor", 2).by("poor", How::ExternalCommit),
        Err(Refusal::ExternalCommit),
        "not the client that sends"
    );
    let poor =
        world.state.apply(&Actor::user(user("poor")), How::ExternalCommit, &world.want().client("poor", 2).change());
    assert_eq!(poor, Err(lacks(Capability::AddOwnClient)));
}

#[test]
fn joining_by_open_door_or_by_code() {
    let closed = world();
    let join = |world: &World, role, how| world.want().add("dora", role).client("dora", 1).by("dora", how);
    assert_eq!(join(&closed, MEMBER, How::ExternalCommit), Err(lacks(Capability::OpenJoin)));
    assert_eq!(join(&closed, MEMBER, How::JoinCode), Err(lacks(Capability::UseJoinCode)));
    assert_eq!(join(&closed, MEMBER, How::Proposal), Err(Refusal::NotParticipant));

    let with = |capability: Capability| {
        world_where(0, |role| {
            *role = role.clone().with_capabilities([capability]).with_role_changes([(0, [MEMBER, BANNED].as_slice())]);
        })
    };
    let open = with(Capability::OpenJoin);
    let joined = join(&open, MEMBER, How::ExternalCommit).unwrap();
    assert_eq!(joined.participants().role_of(&user("dora")), Some(MEMBER));
    assert!(join(&open, MEMBER, How::JoinCode).is_ok());
    assert_eq!(join(&open, ADMIN, How::ExternalCommit), Err(Refusal::RoleChange { from: 0, to: ADMIN }));
    assert_eq!(join(&open, BANNED, How::ExternalCommit), Err(Refusal::Banned));
    let two = open.want().add("dora", MEMBER).add("eve", MEMBER).client("dora", 1);
    assert_eq!(two.by("dora", How::ExternalCommit), Err(Refusal::ExternalCommit));
    let other = open.want().add("eve", MEMBER).client("dora", 1);
    assert_eq!(other.by("dora", How::ExternalCommit), Err(Refusal::ExternalCommit));
    let again = open.want().add("bob", MEMBER).client("bob", 1).drop("bob", 1);
    assert_eq!(again.by("bob", How::ExternalCommit), Err(Refusal::AlreadyParticipant));

    let code = with(Capability::UseJoinCode);
    assert!(join(&code, MEMBER, How::JoinCode).is_ok());
    assert_eq!(join(&code, MEMBER, How::ExternalCommit), Err(lacks(Capability::OpenJoin)));
}

#[test]
fn changing_roles() {
    let world = world();
    let promoted = world.want().role("bob", ADMIN).committed("alice");
    assert!(promoted.state.may_destroy(&user("bob")).is_ok());
    assert_eq!(world.want().role("bob", ADMIN).commit("cathy"), Err(lacks(Capability::ChangeUserRole)));
    assert_eq!(world.want().role("bob", ADMIN).role("bob", ADMIN).commit("alice"), Err(Refusal::UserTwice));
    let refusal = Refusal::RoleChange { from: MEMBER, to: POOR };
    assert_eq!(world.want().role("bob", POOR).commit("alice"), Err(refusal));
    assert_eq!(world.want().role("alice", MEMBER).commit("alice"), Err(lacks(Capability::ChangeOwnRole)));
    let own = world_where(ADMIN, |role| role.capabilities.push(Capability::ChangeOwnRole.code()));
    assert_eq!(own.want().role("alice", MEMBER).commit("alice"), Err(Refusal::NotPreauthorized));
    let mut nobody = world.want();
    nobody.list.removed.push(99);
    assert_eq!(nobody.commit("alice"), Err(Refusal::UserIndex(99)));
}

#[test]
fn limits_of_roles() {
    let refusal = |constraint, limit| Err(Refusal::Constraint { role: MEMBER, constraint, limit });
    let few = world_where(MEMBER, |role| role.min_participants = 2);
    assert_eq!(few.want().remove("bob").drop("bob", 1).commit("alice"), refusal(Constraint::MinParticipants, 2));
    assert_eq!(few.want().role("bob", ADMIN).commit("alice"), refusal(Constraint::MinParticipants, 2));
    let swap = few.want().remove("bob").drop("bob", 1).add("dora", MEMBER);
    assert!(swap.commit("alice").is_ok(), "the result counts, not the way");

    let many = world_where(MEMBER, |role| role.max_participants = Some(2));
    assert_eq!(many.want().add("dora", MEMBER).commit("alice"), refusal(Constraint::MaxParticipants, 2));
    let inactive = world_where(MEMBER, |role| role.min_active = 2);
    assert_eq!(inactive.want().drop("bob", 1).commit("alice"), refusal(Constraint::MinActive, 2));
    let active = world_where(MEMBER, |role| role.max_active = Some(2));
    assert!(active.want().add("dora", MEMBER).commit("alice").is_ok(), "without a client she is not active");
    let both = active.want().add("dora", MEMBER).client("dora", 1);
    assert_eq!(both.commit("alice"), refusal(Constraint::MaxActive, 2));

    // A limit that is broken already does not stand in the way of other changes, nor of mending.
    let broken = world_where(MEMBER, |role| role.min_participants = 9);
    assert!(broken.want().add("dora", MEMBER).commit("alice").is_ok());
    assert!(broken.want().drop("bob", 1).commit("alice").is_ok());
    assert_eq!(broken.state.check(&broken.members), refusal(Constraint::MinParticipants, 9).map(|_| ()));
}

#[test]
fn limits_of_the_base_policy() {
    let users = world_with(BaseRoomPolicy { max_users: Some(4), ..base() });
    assert_eq!(users.want().add("dora", MEMBER).commit("alice"), Err(Refusal::MaxUsers(4)));
    assert!(users.want().add("dora", BANNED).commit("alice").is_ok(), "the banned do not count");
    assert_eq!(users.want().role("bad", MEMBER).commit("alice"), Err(Refusal::MaxUsers(4)));
    let clients = world_with(BaseRoomPolicy { max_clients: Some(4), ..base() });
    assert_eq!(clients.want().client("bob", 2).commit("bob"), Err(Refusal::MaxClients(4)));
    assert!(clients.want().client("bob", 2).drop("cathy", 1).commit("alice").is_ok());
    let single = world_with(BaseRoomPolicy { multi_device: false, ..base() });
    assert_eq!(single.want().client("bob", 2).commit("bob"), Err(Refusal::SingleDevice));
    let swap = Actor::client(user("bob"), client("bob", 1));
    let change = single.want().client("bob", 1).drop("bob", 1).change();
    assert!(single.state.apply(&swap, How::ExternalCommit, &change).is_ok());
}

#[test]
fn fixed_membership() {
    let mut roles = roles();
    for role in &mut roles {
        role.capabilities.retain(|code| *code != Capability::AddParticipant.code());
    }
    let fixed = BaseRoomPolicy { fixed_membership: true, ..base() };
    let world = World::new(roles, fixed, &[("alice", ADMIN), ("bob", MEMBER)]);
    assert_eq!(world.want().add("dora", MEMBER).commit("alice"), Err(Refusal::FixedMembership));
    assert_eq!(world.want().remove("bob").drop("bob", 1).commit("alice"), Err(Refusal::FixedMembership));
    assert_eq!(world.want().remove("bob").drop("bob", 1).propose("bob"), Err(Refusal::FixedMembership));
    let joins = world.want().add("dora", MEMBER).client("dora", 1);
    assert_eq!(joins.by("dora", How::ExternalCommit), Err(Refusal::FixedMembership));
    assert!(world.want().drop("bob", 1).propose("bob").is_ok());
    assert!(world.want().client("bob", 2).commit("bob").is_ok());
}

#[test]
fn pseudonyms() {
    let pseudonym = UserUri::pseudonym(user("x").domain(), [7; 16]);
    let add = |world: &World, user: UserUri, client| {
        let mut want = world.want();
        want.list.added.push(Participant { user: user.clone(), role: MEMBER });
        want.added.push(ClientRef { user, client, initial_only: false });
        want.commit("alice").map(|_| ())
    };
    let own = mimi_pseudonym::ClientUri::pseudonym(user("x").domain(), [8; 16]);
    assert_eq!(add(&world(), pseudonym.clone(), own.clone()), Ok(()));
    let named = world_with(BaseRoomPolicy { pseudonyms_allowed: false, ..base() });
    assert_eq!(add(&named, pseudonym, client("dora", 1)), Err(Refusal::PseudonymForbidden));
    assert_eq!(add(&named, user("dora"), own), Err(Refusal::PseudonymForbidden));
    assert_eq!(add(&named, user("dora"), client("dora", 1)), Ok(()));
}

#[test]
fn a_key_package_for_initial_connections_is_for_connection_rooms() {
    let ordinary = world();
    assert_eq!(ordinary.want().add("dora", MEMBER).initial_client("dora").commit("alice"), Err(Refusal::InitialOnly));
    let state = RoomState::connection(room(), user("alice")).unwrap();
    let world = World { state, members: Members::new([member("alice", 1)]).unwrap() };
    assert_eq!(world.state.check(&world.members), Ok(()));
    let invited = world.want().add("bob", RoomState::RECIPIENT).initial_client("bob").committed("alice");
    assert_eq!(invited.state.check(&invited.members), Ok(()));
    assert!(invited.state.may_send(&user("bob")).is_ok());
    assert_eq!(invited.state.may_destroy(&user("bob")), Err(lacks(Capability::DestroyRoom)));
    assert!(invited.state.may_destroy(&user("alice")).is_ok());
    assert!(invited.want().remove("bob").drop("bob", 1).propose("bob").is_ok());
    assert!(invited.want().client("bob", 2).commit("bob").is_ok());
    assert_eq!(invited.want().add("cathy", RoomState::RECIPIENT).commit("bob"), Err(lacks(Capability::AddParticipant)));
    assert_eq!(invited.want().add("cathy", RoomState::RECIPIENT).commit("alice"), Err(Refusal::MaxUsers(2)));
}

#[test]
fn the_purpose_never_changes() {
    let id = ComponentId::ROOM_PURPOSE;
    let world = world();
    assert_eq!(world.want().update(id, &RoomPurpose::Connection).commit("alice"), Err(Refusal::PurposeFixed));
    assert_eq!(world.want().update(id, &RoomPurpose::Ordinary).commit("alice"), Err(Refusal::PurposeFixed));
    assert_eq!(world.want().raw(ComponentUpdate::remove(id)).commit("alice"), Err(Refusal::PurposeFixed));
}

#[test]
fn metadata_field_by_field() {
    let world = world();
    let id = ComponentId::ROOM_METADATA;
    let none = RoomMetadata::new(room());
    let fields = [
        (Capability::ChangeRoomName, RoomMetadata { name: "x".into(), ..none.clone() }),
        (
            Capability::ChangeRoomDescription,
            RoomMetadata { descriptions: vec![RichDescription::default()], ..none.clone() },
        ),
        (Capability::ChangeRoomAvatar, RoomMetadata { avatar: "https://a.example/x".into(), ..none.clone() }),
        (Capability::ChangeRoomSubject, RoomMetadata { subject: "x".into(), ..none.clone() }),
        (Capability::ChangeRoomMood, RoomMetadata { mood: "x".into(), ..none.clone() }),
    ];
    for (capability, metadata) in fields {
        assert_eq!(world.want().update(id, &metadata).commit("bob"), Err(lacks(capability)));
        let only = world_where(MEMBER, |role| role.capabilities = vec![capability.code()]);
        let after = only.want().update(id, &metadata).committed("bob");
        assert_eq!(after.state.metadata(), Some(&metadata));
        assert!(after.want().update(id, &metadata).commit("poor").is_ok(), "nothing differs");
    }
    let twice = world.want().update(id, &none).update(id, &none);
    assert_eq!(twice.commit("alice"), Err(Refusal::RepeatedUpdate(id)));
    let other = RoomMetadata::new("mimi://a.example/r/other".parse().unwrap());
    assert_eq!(world.want().update(id, &other).commit("alice"), Err(Refusal::OtherRoom));
    assert_eq!(world.want().raw(ComponentUpdate::remove(id)).commit("alice"), Err(Refusal::NotRemovable(id)));
    let error = DecodeError::Truncated;
    let malformed = world.want().raw(ComponentUpdate::update(id, vec![]));
    assert_eq!(malformed.commit("alice"), Err(Refusal::Malformed { component: id, error }));
}

#[test]
fn policy_components() {
    let world = world();
    let roles = Roles::new(roles()).unwrap();
    let cases = [
        (ComponentId::ROLES_LIST, roles.encode(), Capability::ChangeRoleDefinitions),
        (ComponentId::PREAUTH_LIST, PreauthList::default().encode(), Capability::ChangePreauthorizedUserList),
        (ComponentId::BASE_ROOM_POLICY, base().encode(), Capability::ChangeRoomMembershipStyle),
        (ComponentId::JOIN_LINK_POLICY, JoinLinkPolicy::default().encode(), Capability::ChangeOtherPolicyAttribute),
    ];
    for (id, content, capability) in cases {
        let update = || world.want().raw(ComponentUpdate::update(id, content.clone()));
        let after = update().commit("alice").unwrap();
        assert!(after.components().contains(&(id, content.clone())));
        assert_eq!(update().commit("bob"), Err(lacks(capability)));
        assert_eq!(update().raw(ComponentUpdate::remove(id)).commit("alice").unwrap_err(), {
            if matches!(id, ComponentId::PREAUTH_LIST | ComponentId::JOIN_LINK_POLICY) {
                Refusal::AbsentComponent(id)
            } else {
                Refusal::NotRemovable(id)
            }
        });
        let malformed = world.want().raw(ComponentUpdate::update(id, vec![0xff]));
        assert!(matches!(malformed.commit("alice"), Err(Refusal::Malformed { component, .. }) if component == id));
    }
    let link = world.want().update(ComponentId::JOIN_LINK_POLICY, &JoinLinkPolicy::default()).committed("alice");
    let gone = link.want().raw(ComponentUpdate::remove(ComponentId::JOIN_LINK_POLICY));
    assert_eq!(gone.commit("alice").unwrap().join_link_policy(), None);
    for id in [ComponentId::KEY_PACKAGE_PURPOSE, 0x0021, 0x0024, 0xf000] {
        let unknown = world.want().raw(ComponentUpdate::update(id, vec![1]));
        assert_eq!(unknown.commit("alice"), Err(Refusal::UnknownComponent(id)));
    }
}

#[test]
fn disruptive_changes_come_alone() {
    let world = world();
    let roles = Roles::new(roles()).unwrap();
    let both = world.want().update(ComponentId::ROLES_LIST, &roles).add("dora", MEMBER);
    assert_eq!(both.commit("alice"), Err(Refusal::WithParticipants(ComponentId::ROLES_LIST)));
    let preauth = || world.want().update(ComponentId::PREAUTH_LIST, &PreauthList::default());
    let both = preauth().role("bob", ADMIN);
    assert_eq!(both.commit("alice"), Err(Refusal::WithParticipants(ComponentId::PREAUTH_LIST)));
    assert!(preauth().remove("bob").drop("bob", 1).commit("alice").is_ok(), "removals are allowed with it");
}

#[test]
fn new_roles_and_policies_fit_the_room_as_it_is() {
    let world = world();
    let change = |index, change: fn(&mut Role)| {
        let mut roles = roles();
        roles.iter_mut().filter(|role| role.index == index).for_each(change);
        world.want().update(ComponentId::ROLES_LIST, &Roles::new(roles).unwrap()).commit("alice").map(|_| ())
    };
    assert_eq!(change(MEMBER, |role| role.max_participants = Some(2)), Ok(()));
    assert_eq!(
        change(MEMBER, |role| role.max_participants = Some(1)),
        Err(Refusal::Constraint { role: MEMBER, constraint: Constraint::MaxParticipants, limit: 1 })
    );
    assert_eq!(change(POOR, |role| role.index = 9), Err(Refusal::UnknownRole(POOR)));

    let policy = |base: BaseRoomPolicy| {
        let world = world.want().client("bob", 2).committed("bob");
        world.want().update(ComponentId::BASE_ROOM_POLICY, &base).commit("alice").map(|_| ())
    };
    assert_eq!(policy(BaseRoomPolicy { max_users: Some(3), ..base() }), Err(Refusal::MaxUsers(3)));
    assert_eq!(policy(BaseRoomPolicy { max_clients: Some(4), ..base() }), Err(Refusal::MaxClients(4)));
    assert_eq!(policy(BaseRoomPolicy { multi_device: false, ..base() }), Err(Refusal::SingleDevice));
    assert_eq!(policy(BaseRoomPolicy { fixed_membership: true, ..base() }), Err(Refusal::FixedMembership));
    assert_eq!(policy(BaseRoomPolicy { max_users: Some(4), max_clients: Some(5), ..base() }), Ok(()));
}

#[test]
fn proposals_of_several_in_one_commit() {
    let world = world();
    let alice = Actor::client(user("alice"), client("alice", 1));
    let (bob, cathy) = (Actor::user(user("bob")), Actor::user(user("cathy")));
    let leave_bob = world.want().remove("bob").drop("bob", 1).change();
    let leave_cathy = world.want().remove("cathy").drop("cathy", 1).change();
    let add = world.want().add("dora", MEMBER).client("dora", 1).change();
    let steps = [
        Step { actor: &bob, how: How::Proposal, change: &leave_bob },
        Step { actor: &cathy, how: How::Proposal, change: &leave_cathy },
        Step { actor: &alice, how: How::Commit, change: &add },
    ];
    let after = world.state.apply_together(&steps).unwrap();
    let left: Vec<_> = after.participants().iter().map(|(user, _)| user.name()).collect();
    assert_eq!(left, ["alice", "poor", "bad", "dora"], "places refer to the list before the commit");

    let twice = [steps[0], Step { actor: &alice, how: How::Commit, change: &leave_bob }];
    assert_eq!(world.state.apply_together(&twice), Err(Refusal::UserTwice));
    let clients = world.want().drop("bob", 1).change();
    let list = world.want().remove("bob").change();
    let split = [
        Step { actor: &Actor::Hub, how: How::Hub, change: &clients },
        Step { actor: &bob, how: How::Proposal, change: &list },
    ];
    assert!(world.state.apply_together(&split).is_ok(), "the hub removes the clients of one who leaves");
    let wrong = [Step { actor: &cathy, how: How::Proposal, change: &leave_bob }, steps[2]];
    assert_eq!(world.state.apply_together(&wrong), Err(lacks(Capability::RemoveParticipant)));
    let name = world.want().update(ComponentId::ROOM_METADATA, &RoomMetadata::new(room())).change();
    let names = [steps[0], Step { actor: &bob, how: How::Proposal, change: &name }, Step { change: &name, ..steps[2] }];
    let refusal = Refusal::RepeatedUpdate(ComponentId::ROOM_METADATA);
    assert_eq!(world.state.apply_together(&names), Err(refusal));
    assert_eq!(world.state.apply_together(&[]), Ok(world.state.clone()));
}

#[test]
fn sending_and_destroying() {
    let state = world().state;
    assert_eq!(state.may_send(&user("bob")), Ok(()));
    assert_eq!(state.may_send(&user("poor")), Err(lacks(Capability::SendMessage)));
    assert_eq!(state.may_send(&user("bad")), Err(Refusal::Banned));
    assert_eq!(state.may_send(&user("stranger")), Err(Refusal::NotParticipant));
    assert_eq!(state.may_destroy(&user("alice")), Ok(()));
    assert_eq!(state.may_destroy(&user("bob")), Err(lacks(Capability::DestroyRoom)));
    assert_eq!(state.may_destroy(&user("stranger")), Err(Refusal::NotParticipant));
}

#[test]
fn a_whole_room_is_checked_at_its_creation() {
    let world = world();
    let check = |members: &[Member]| world.state.check(&Members::new(members.iter().cloned())?);
    assert_eq!(world.state.check(&world.members), Ok(()));
    assert_eq!(check(&[member("stranger", 1)]), Err(Refusal::UserNotInList));
    assert_eq!(check(&[member("bad", 1)]), Err(Refusal::Banned));
    assert_eq!(check(&[member("bob", 1), member("bob", 1)]), Err(Refusal::ClientTwice));
    for state in [
        RoomState::private(room(), user("alice")).unwrap(),
        RoomState::by_link(room(), user("alice"), JoinLinkPolicy::default()).unwrap(),
    ] {
        let members = Members::new([member("alice", 1)]).unwrap();
        assert_eq!(state.check(&members), Ok(()));
        let world = World { state, members };
        let joins = world.want().add("bob", RoomState::PARTICIPANT).client("bob", 1).by("bob", How::JoinCode);
        assert_eq!(joins.is_ok(), world.state.join_link_policy().is_some());
    }
}

#[test]
fn refusals_name_no_user() {
    let list = ParticipantListUpdate::add(user("bob"), MEMBER);
    let refusal = world().want().update(ComponentId::PARTICIPANT_LIST, &list).commit("alice").unwrap_err();
    assert!(!refusal.to_string().contains("bob"));
    assert_eq!(lacks(Capability::Ban).to_string(), "the actor's role has not canBan");
}
