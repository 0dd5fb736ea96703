//! The hub of this provider's rooms: checks, orders, stores, fans out.

mod audience;
mod create;
mod floor;
mod group_info;
pub(crate) mod guests;
mod links;
mod page;
mod propose;
mod recovery;
mod remedies;
mod rooms;
mod submit;
mod update;

use std::sync::Arc;

use mimi_pseudonym::{Domain, RoomUri, UserUri};
use mimi_wire::{FanoutMessage, Problem, Wire, local::InboxBody};

pub(crate) use create::{create, destroy};
pub(crate) use floor::{Floor, measure};
pub(crate) use group_info::{Visit, group_info, identity};
pub(crate) use links::links;
pub(crate) use page::page;
pub(crate) use recovery::report;
pub use remedies::Order;
pub(crate) use remedies::order;
pub(crate) use rooms::Rooms;
pub(crate) use submit::{problem, submit};
pub(crate) use update::update;

use crate::{fail::Fail, provider::Inner, server::Peer};

/// Who wants something of a room.
#[derive(Debug, Clone)]
pub(crate) enum Requester {
    /// Another provider, for one of its users.
    Peer(Peer),
    /// A device of this provider, of which it is known that it has a client in the room, or is the one that joins it.
    Own,
}

impl Requester {
    /// The provider whose users the requester may speak for.
    fn domain<'a>(&'a self, inner: &'a Inner) -> &'a Domain {
        match self {
            Self::Peer(peer) => peer.domain(),
            Self::Own => inner.domain(),
        }
    }
}

/// Refuses a user who is no participant of a room of this hub.
pub(crate) async fn check_participant(inner: &Arc<Inner>, room: RoomUri, user: UserUri) -> Result<(), Fail> {
    rooms::with(inner, room, move |_, slot| {
        let hub = slot.as_ref().ok_or(Problem::UnknownRoom)?;
        if hub.state().participants().role_of(&user).is_some() {
            Ok(())
        } else if hub.domains().contains(user.domain()) {
            Err(Problem::Forbidden.into())
        } else {
            Err(Problem::UnknownRoom.into())
        }
    })
    .await
}

/// Refuses a provider that has no client in a room of this hub, and a user that is no participant of it.
pub(crate) async fn check_both_in(inner: &Arc<Inner>, room: RoomUri, from: Domain, user: UserUri) -> Result<(), Fail> {
    rooms::with(inner, room, move |_, slot| {
        let hub = slot.as_ref().filter(|hub| hub.domains().contains(&from)).ok_or(Problem::UnknownRoom)?;
        if hub.state().participants().role_of(&user).is_some() { Ok(()) } else { Err(Problem::Malformed.into()) }
    })
    .await
}

/// Whether a user has a client in a room of this hub.
pub(crate) async fn is_inside(inner: &Arc<Inner>, room: RoomUri, user: UserUri) -> Result<bool, Fail> {
    let inside = move |hub: &mimi_mls::HubRoom| hub.members().count(&user) > 0;
    rooms::with(inner, room, move |_, slot| Ok(slot.as_ref().is_some_and(inside))).await
}

/// Proposes to remove every client of a user from a room of this hub; nothing if there is no such room any more.
pub(crate) async fn remove_user(inner: &Arc<Inner>, room: RoomUri, user: UserUri) -> Result<(), Fail> {
    rooms::with(inner, room, move |inner, slot| {
        let Some(hub) = slot.as_mut() else { return Ok(()) };
        let clients: Vec<_> = hub.members().of(&user).cloned().collect();
        let done = propose::by_hub(inner, hub, &clients);
        if done.is_err() {
            // The room in memory may be ahead of the one in the store.
            *slot = None;
        }
        done
    })
    .await
}

/// A message for each of these providers but this one. A provider that is not configured gets nothing.
fn for_peers<'a>(
    inner: &Inner,
    domains: impl IntoIterator<Item = &'a Domain>,
    message: &FanoutMessage,
) -> Vec<(Domain, Vec<u8>)> {
    let others = domains.into_iter().filter(|domain| *domain != inner.domain() && inner.peers.knows(domain));
    let octets = message.encode();
    others.map(|domain| (domain.clone(), octets.clone())).collect()
}

fn for_inbox(room: &RoomUri, message: FanoutMessage) -> InboxBody {
    InboxBody::Fanout { room: room.clone(), message }
}
