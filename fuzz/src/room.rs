//! Rooms: their components as they come in a group's dictionary, and changes to the rooms of the presets.

use mimi_pseudonym::{ClientUri, Reader, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::{
    Actor, Change, ClientRef, ComponentUpdate, How, JoinLinkPolicy, Members, ParticipantListUpdate, RoomState,
};

use crate::world::ROOM;

fn room() -> RoomUri {
    ROOM.parse().expect("a room")
}

fn user(at: u8) -> UserUri {
    let text = match at % 5 {
        0 => "mimi://a.example/u/~07070707-0707-0707-0707-070707070707",
        1 => "mimi://a.example/u/alice",
        2 => "mimi://b.example/u/bob",
        3 => "mimi://b.example/u/~08080808-0808-0808-0808-080808080808",
        _ => "mimi://c.example/u/cathy",
    };
    text.parse().expect("a user")
}

fn client(at: u8) -> ClientUri {
    ClientUri::pseudonym(user(at).domain(), [at % 10; 16])
}

fn preset(at: u8) -> RoomState {
    let state = match at % 4 {
        0 => RoomState::connection(room(), user(0)),
        1 => RoomState::private(room(), user(1)),
        2 => RoomState::by_link(room(), user(0), JoinLinkPolicy::default()),
        _ => RoomState::knock(room(), "mimi://hub.example/r/inside".parse().expect("a room"), user(0)),
    };
    state.expect("a preset")
}

/// What is written is read alike.
fn alike(state: &RoomState) {
    let components = state.components();
    let borrowed = components.iter().map(|(id, octets)| (*id, octets.as_slice()));
    assert_eq!(RoomState::from_components(state.room().clone(), borrowed).as_ref(), Ok(state));
}

pub fn run(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let mut reader = Reader::new(rest);
    match kind % 2 {
        0 => read_state(&mut reader).is_some(),
        _ => change(&mut reader).unwrap_or_default(),
    }
}

fn read_state(reader: &mut Reader<'_>) -> Option<RoomState> {
    let mut components = Vec::new();
    while !reader.is_empty() {
        components.push((reader.u16().ok()?, reader.vector().ok()?));
    }
    let state = RoomState::from_components(room(), components).ok()?;
    alike(&state);
    let members = state.participants().iter().map(|(user, _)| user.clone()).zip((0..5).map(client));
    let _ = state.check(&Members::new(members).unwrap());
    Some(state)
}

/// A preset room, an actor, and what it changes.
fn change(reader: &mut Reader<'_>) -> Option<bool> {
    let mut next = || reader.u8().ok();
    let (before, who, how) = (preset(next()?), next()?, next()?);
    let (added, removed, late) = (next()?, next()?, next()?);
    let mut change = Change::default();
    if added > 0 {
        change.added.push(ClientRef { user: user(added), client: client(added), initial_only: added > 127 });
    }
    if removed > 0 {
        change.removed.push((user(removed), client(removed)));
    }
    while !reader.is_empty() {
        let (id, remove, content) = (reader.u16().ok()?, reader.u8().ok()? == 1, reader.vector().ok()?);
        change.updates.push(match remove {
            true => ComponentUpdate::remove(id),
            false => ComponentUpdate::update(id, content.to_vec()),
        });
    }
    let members = before.participants().iter().map(|(user, _)| user.clone()).zip([client(0)]);
    let members = Members::new(members).unwrap();
    change.members = &members;
    let actor = match who % 6 {
        5 => Actor::Hub,
        who => Actor::client(user(who), client(who)),
    };
    let ways = [How::Commit, How::Proposal, How::ExternalCommit, How::JoinCode, How::Hub];
    let how = ways[usize::from(how) % ways.len()];
    let now = Timestamp::from_secs(u64::from(late));
    let ends = before.at(now).apply(&actor, how, &change);
    assert_eq!(before.at(now).apply(&actor, how, &change), ends);
    let Ok(after) = ends else {
        // Well formed, but not allowed.
        if let Ok(forced) = before.with_updates(&change.updates) {
            let _ = forced.check(&members);
        }
        return Some(false);
    };
    alike(&after);
    assert_eq!(after.room(), before.room());
    let mut remaining = members.clone();
    for (user, client) in &change.removed {
        assert_eq!(remaining.remove(client).as_ref(), Some(user));
    }
    for new in &change.added {
        assert!(remaining.insert(new.user.clone(), new.client.clone()));
    }
    // What is allowed keeps the rules that hold in every state.
    assert_eq!(after.check(&remaining), Ok(()));
    assert!(remaining.iter().all(|(user, _)| !after.at(now).is_banned(user)), "a client of someone banned");
    Some(true)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for at in 0..4 {
        let mut writer = mimi_pseudonym::Writer::default();
        writer.u8(0);
        for (id, octets) in preset(at).components() {
            writer.u16(id);
            writer.vector(&octets);
        }
        seeds.push(writer.into_octets());
    }
    let list = 0x0022;
    let update = |octets: Vec<u8>| (list, octets);
    let add_bob = ParticipantListUpdate::add(user(2), RoomState::RECIPIENT).encode();
    let add_cathy = ParticipantListUpdate::add(user(4), RoomState::PARTICIPANT).encode();
    let own = |at: u8| preset(at).components().into_iter().map(|(id, octets)| (id, octets));
    for (kind, added, updates) in [
        // The creator of a connection adds the other one.
        ([0, 0, 0], 2, vec![update(add_bob)]),
        // The creator of a room between people adds another one.
        ([1, 1, 0], 4, vec![update(add_cathy)]),
        // The creator writes its roles and its policy anew.
        ([1, 1, 0], 0, own(1).filter(|(id, _)| matches!(*id, 0x0025 | 0x0027)).collect()),
    ] {
        let mut writer = mimi_pseudonym::Writer::default();
        writer.u8(1);
        kind.into_iter().chain([added, 0, 0]).for_each(|octet| writer.u8(octet));
        for (id, octets) in updates {
            writer.u16(id);
            writer.u8(0);
            writer.vector(&octets);
        }
        seeds.push(writer.into_octets());
    }
    seeds
}
