//! What the operator of a hub does to a room or a user in it, without any member (draft-mahy-mimi-pseudonyms-00, section
//! 5.2): mute, kick, ban for a while or for ever, take back, destroy. The hub enforces it at once at the wire, and proposes
//! to the members what only they can do.

use std::{sync::Arc, time::Duration};

use mimi_mls::HubRoom;
use mimi_pseudonym::{RoomUri, UserUri};
use mimi_wire::Problem;
use serde::{Deserialize, Serialize};

use super::{propose::by_hub, rooms};
use crate::{fail::Fail, provider::Inner, server::Reply, store::Remedy};

/// What the operator of a hub wants done in a room (draft-mahy-mimi-pseudonyms-00, section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "do")]
#[non_exhaustive]
pub enum Order {
    /// The user sends nothing.
    Mute {
        /// Who.
        user: UserUri,
        /// For so many seconds; none for ever.
        seconds: Option<u64>,
    },
    /// It may send again.
    Unmute {
        /// Who.
        user: UserUri,
    },
    /// Every client of the user is removed; it may come back.
    Kick {
        /// Who.
        user: UserUri,
    },
    /// Every client of the user is removed and none comes in.
    Ban {
        /// Who.
        user: UserUri,
        /// For so many seconds; none for ever.
        seconds: Option<u64>,
    },
    /// It may come in again.
    Unban {
        /// Who.
        user: UserUri,
    },
    /// The room is no more.
    Destroy,
}

impl Order {
    /// The order as JSON.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Nothing in it cannot be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads an order from JSON.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body).map_err(|_| Problem::Malformed)
    }
}

/// Carries out an order in a room of this hub.
pub(crate) async fn order(inner: &Arc<Inner>, room: RoomUri, order: Order) -> Result<Reply, Fail> {
    rooms::with(inner, room.clone(), move |inner, slot| {
        let hub = slot.as_mut().ok_or(Problem::UnknownRoom)?;
        let done = carry_out(inner, hub, &room, &order);
        if done.is_err() || order == Order::Destroy {
            *slot = None;
        }
        done.map(|()| Reply::Nothing)
    })
    .await
}

fn carry_out(inner: &Inner, hub: &mut HubRoom, room: &RoomUri, order: &Order) -> Result<(), Fail> {
    let until = |seconds: &Option<u64>| seconds.map(|seconds| inner.now().after(Duration::from_secs(seconds)));
    match order {
        Order::Mute { user, seconds } => Ok(inner.store.apply(room, user, Remedy::Mute, until(seconds))?),
        Order::Unmute { user } => lifted(inner.store.lift(room, user, Remedy::Mute)?),
        Order::Kick { user } => remove(inner, hub, user),
        Order::Ban { user, seconds } => {
            inner.store.apply(room, user, Remedy::Ban, until(seconds))?;
            remove(inner, hub, user)
        }
        Order::Unban { user } => lifted(inner.store.lift(room, user, Remedy::Ban)?),
        Order::Destroy => {
            inner.wake(&inner.store.destroy_room(room, inner.now())?);
            Ok(())
        }
    }
}

fn lifted(there: bool) -> Result<(), Fail> {
    if there { Ok(()) } else { Err(Problem::NotFound.into()) }
}

fn remove(inner: &Inner, hub: &mut HubRoom, user: &UserUri) -> Result<(), Fail> {
    let clients: Vec<_> = hub.members().of(user).cloned().collect();
    by_hub(inner, hub, &clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_others_refused() {
        let user: UserUri = "mimi://b.example/u/bob".parse().unwrap();
        let read = |text: &str| Order::parse(text.as_bytes());
        let ban = read(r#"{"do":"ban","user":"mimi://b.example/u/bob","seconds":60}"#);
        assert_eq!(ban, Ok(Order::Ban { user: user.clone(), seconds: Some(60) }));
        assert_eq!(read(r#"{"do":"kick","user":"mimi://b.example/u/bob"}"#), Ok(Order::Kick { user }));
        assert_eq!(read(r#"{"do":"destroy"}"#), Ok(Order::Destroy));
        for bad in ["", "{}", r#"{"do":"dance"}"#, r#"{"do":"kick"}"#, r#"{"do":"kick","user":"bob"}"#] {
            assert_eq!(read(bad), Err(Problem::Malformed), "{bad}");
        }
        let mute = Order::Mute { user: "mimi://b.example/u/bob".parse().unwrap(), seconds: None };
        for order in [mute, Order::Destroy] {
            assert_eq!(Order::parse(&order.to_json()), Ok(order));
        }
    }
}
