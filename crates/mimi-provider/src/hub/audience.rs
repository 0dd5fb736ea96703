//! Who gets the application messages of a room in which not everybody does: those who ask to be let in hear nothing of each
//! other (draft-mahy-mimi-pseudonyms-00, section 3.3).

use std::collections::{BTreeMap, BTreeSet};

use mimi_mls::HubRoom;
use mimi_pseudonym::{ClientUri, Domain, Timestamp, UserUri};
use mimi_wire::{FanoutEvent, FanoutMessage};

use super::for_peers;
use crate::provider::Inner;

/// The clients that get application messages, if not all in the room do.
pub(super) fn receivers(hub: &HubRoom) -> Option<Vec<ClientUri>> {
    let members = hub.members();
    let heard = members.users().filter(|user| hears(hub, user));
    let receivers: Vec<_> = heard.flat_map(|user| members.of(user)).cloned().collect();
    (receivers.len() < members.len()).then_some(receivers)
}

/// The providers that get application messages.
pub(super) fn domains(hub: &HubRoom) -> BTreeSet<Domain> {
    match receivers(hub) {
        Some(receivers) => receivers.iter().map(|client| client.domain().clone()).collect(),
        None => hub.domains(),
    }
}

/// For each provider in a room the users who get application messages, if not all of its users there do.
pub(super) type Audience = BTreeMap<Domain, Option<BTreeSet<UserUri>>>;

pub(super) fn audience(hub: &HubRoom) -> Audience {
    let mut heard: BTreeMap<Domain, (BTreeSet<UserUri>, bool)> = BTreeMap::new();
    for (user, client) in hub.members().iter() {
        let (users, all) = heard.entry(client.domain().clone()).or_insert((BTreeSet::new(), true));
        if hears(hub, user) {
            users.insert(user.clone());
        } else {
            *all = false;
        }
    }
    heard.into_iter().map(|(domain, (users, all))| (domain, (!all).then_some(users))).collect()
}

/// What other providers are told when it is no longer what it was before.
pub(super) fn changes(inner: &Inner, before: &Audience, hub: &HubRoom, now: Timestamp) -> Vec<(Domain, Vec<u8>)> {
    let mut messages = Vec::new();
    for (domain, users) in audience(hub) {
        if before.get(&domain).unwrap_or(&None) != &users {
            let receivers = users.map(|users| users.into_iter().collect());
            let message = FanoutMessage { timestamp: now, event: FanoutEvent::Audience { receivers } };
            messages.extend(for_peers(inner, [&domain], &message));
        }
    }
    messages
}

fn hears(hub: &HubRoom, user: &UserUri) -> bool {
    hub.state().may_receive(user).is_ok() && !hub.is_user_leaving(user)
}
