//! What comes from the hubs of a device's rooms, through its own provider.

use mimi_disclosure::{Bundle, BundleError};
use mimi_mls::{Opened, Room};
use mimi_pseudonym::{Content, MessageContext, RoomUri, Timestamp};
use mimi_room::RoomPurpose;
use mimi_wire::{
    FanoutEvent, Frank, MlsMessage, RatchetTreeOption, Welcome,
    local::{InboxBody, InboxEvent},
};

use crate::{
    Call, Context, Device, Event, Evidence, FailureReason, PseudonymState, Request, device::Flow, franking,
    notice::Notice, steps::mls_messages,
};

impl Device {
    /// Takes an event from the inbox. Taking it twice does no harm, and one that makes no sense changes nothing.
    pub fn receive(&mut self, event: InboxEvent, cx: &mut Context<'_>) {
        match event.body {
            InboxBody::PseudonymsAssigned { pseudonyms } => self.assigned(pseudonyms, cx),
            InboxBody::RoomDestroyed { room } => self.closed(&room, cx),
            InboxBody::Consent { entry } => self.consent_came(entry, cx),
            InboxBody::KeyPackagesLow { user } => self.key_packages_low(user, cx),
            InboxBody::SiblingReady { user } => self.sibling_ready(&user, cx),
            // A handshake is judged by the time at which the hub accepted it: whoever was away for long still follows, though
            // a certificate that was good then has run out. A hub cannot make a time that has not come.
            InboxBody::Fanout { room, message } => {
                let accepted = message.timestamp.min(cx.now);
                match message.event {
                    FanoutEvent::Welcome { welcome, ratchet_tree: RatchetTreeOption::Full(tree) } => {
                        self.welcomed(&room, &welcome, &tree, cx);
                    }
                    FanoutEvent::RolledBack { rollback } => drop(self.rolled_back(&room, rollback, cx)),
                    event => {
                        let stamp = match &event {
                            FanoutEvent::Application { frank, .. } => frank.clone(),
                            _ => None,
                        };
                        for opened in mls_messages(event) {
                            self.opened(&room, &opened, (stamp.as_ref(), message.timestamp), accepted, cx);
                        }
                        self.look_at_proposals(&room, cx);
                    }
                }
            }
            _ => {}
        }
    }

    fn welcomed(
        &mut self,
        uri: &RoomUri,
        welcome: &Welcome,
        tree: &mimi_wire::RatchetTree,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        if self.rooms.contains_key(uri) {
            return None;
        }
        let mut references = welcome.key_package_refs().iter().map(|reference| reference.as_bytes());
        let (reference, held) =
            references.find_map(|reference| Some((reference.to_vec(), self.wallet.key_package(reference)?)))?;
        let owner = held.owner.clone();
        let let_in = self.is_let_in(&owner, uri).ok()?;
        let own = self.wallet.held(&owner)?;
        let identity = own.identity;
        let room = Room::join(identity, &held.secret, uri, welcome, tree, cx.trust, cx.now).ok()?;
        // A KeyPackage for initial connections leads into connection rooms only.
        if !owner.is_pseudonym() && room.state().purpose() != RoomPurpose::Connection {
            return None;
        }
        // A pseudonym is the name in one room: what leads into a second one leads nowhere, unless the application wants it so,
        // or has it so on another device of the account.
        let only = room.state().participants().iter().all(|(user, _)| *user == owner);
        if owner.is_pseudonym() && own.state == PseudonymState::InRoom && !own.again && !only {
            return None;
        }
        if !held.last_resort {
            self.wallet.forget_key_package(&reference);
        }
        self.wallet.used(&owner, PseudonymState::InRoom);
        self.wallet.change(&owner, |held| held.again = false);
        let others: Vec<_> = room.state().participants().iter().map(|(user, _)| user.clone()).collect();
        let state = room.state().clone();
        self.rooms.insert(uri.clone(), room);
        if let Some(knock) = let_in {
            self.flows.remove(&knock);
            self.forget_timers(knock);
            self.tell(Event::LetIn { knock, room: uri.clone() });
            return Some(());
        }
        match state.purpose() {
            RoomPurpose::Connection => {}
            // Two pseudonyms who were not brought together by a link have been connected.
            RoomPurpose::Ordinary
                if owner.is_pseudonym() && others.len() == 2 && state.join_link_policy().is_none() =>
            {
                self.joined(uri, &owner, &others, cx);
            }
            _ => {
                self.offered.remove(uri);
                self.tell(Event::Joined { room: uri.clone() });
            }
        }
        self.look_who_owes(uri);
        Some(())
    }

    /// A room between pseudonyms has come about: which flow was waiting for it?
    fn joined(
        &mut self,
        uri: &RoomUri,
        own: &mimi_pseudonym::UserUri,
        participants: &[mimi_pseudonym::UserUri],
        cx: &mut Context<'_>,
    ) {
        let Some(peer) = participants.iter().find(|user| *user != own).cloned() else { return };
        // The account's own other device has accepted a request that waits here too, or is not answered yet.
        let asked = |flow: &Flow| match flow {
            Flow::Respond(flow) => flow.asked_by(&peer).map(|from| (from.clone(), flow.is_unanswered())),
            _ => None,
        };
        let known = self.flows.iter().find_map(|(id, flow)| asked(flow).map(|known| (*id, known)));
        let known_as = known.map(|(id, (verified, unanswered))| {
            if unanswered {
                let room = self.flows.remove(&id).and_then(|flow| flow.room().cloned());
                room.iter().for_each(|room| self.give_up(room));
            }
            verified
        });
        self.tell(Event::Connected { room: uri.clone(), peer, known_as });
        let awaited = self.flows.iter().find_map(|(id, flow)| match flow {
            Flow::Connect(flow) if flow.awaits(own) => Some(*id),
            _ => None,
        });
        if let Some(id) = awaited {
            self.connect_answered_by_peer(id, cx);
        }
    }

    fn opened(
        &mut self,
        uri: &RoomUri,
        message: &MlsMessage,
        stamp: (Option<&Frank>, Timestamp),
        accepted: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let Some(room) = self.rooms.get_mut(uri) else { return };
        match room.open(message, cx.trust, accepted) {
            Ok(Opened::Content { content, context, frank_aad }) => {
                let (content, evidence) = franking::received(room, content, frank_aad.as_ref(), stamp, &context);
                self.content(uri, (content, evidence), &context, cx);
            }
            Ok(Opened::Removed { .. }) => {
                self.request(Request { call: Call::DestroyRoom(uri.clone()), body: Vec::new() }, None);
                self.closed(uri, cx);
            }
            Ok(Opened::Commit { .. } | Opened::OwnCommit) => self.moved(uri, cx),
            // Whoever was told that its commit lacks a proposal goes on.
            Ok(Opened::Proposal { .. }) => self.unblock(uri, cx),
            Err(error) => drop(self.not_followed(uri, message, &error)),
            Ok(_) => {}
        }
    }

    /// The room has reached another epoch: whoever waited for that goes on.
    pub(crate) fn moved(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        self.forget_knockers(uri);
        self.look_who_owes(uri);
        self.unblock(uri, cx);
    }

    /// Whoever waits for something in a room looks again.
    fn unblock(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        let waiting: Vec<_> = self.flows.iter_mut().filter_map(|(id, flow)| flow.unblock(uri).then_some(*id)).collect();
        for id in waiting {
            self.advance(id, cx);
        }
    }

    fn content(
        &mut self,
        uri: &RoomUri,
        (content, evidence): (Content, Option<Evidence>),
        context: &MessageContext,
        cx: &mut Context<'_>,
    ) {
        let Some(room) = self.rooms.get(uri) else { return };
        let own = room.identity().user() == context.sender();
        let purpose = room.state().purpose();
        let is_bundle = !matches!(Bundle::try_from(&content), Err(BundleError::MediaType));
        if purpose == RoomPurpose::Connection {
            // Nothing but a bundle that verifies has a meaning here.
            if !own && is_bundle {
                self.asked(&content, context, cx);
            }
            return;
        }
        if purpose == RoomPurpose::Knock {
            self.knock_content(uri, &content, context, cx);
            return;
        }
        if Notice::is_one(&content) {
            self.notice(&content, context, cx);
            return;
        }
        if is_bundle {
            if let Ok(bundle) = Bundle::try_from(&content) {
                self.disclosed(uri, bundle.presentations(), context, cx);
            }
            return;
        }
        if Self::is_presentation(&content) {
            self.disclosed(uri, &[content], context, cx);
            return;
        }
        let (room, from) = (uri.clone(), context.sender().clone());
        // No evidence is kept of what disclosed somebody: a report would show it to the hub.
        let Content { media_type, body } = content;
        self.tell(Event::Message { room, from, media_type, body, evidence });
    }

    pub(crate) fn closed(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        let Some(room) = self.rooms.remove(uri) else { return };
        self.retire(&room);
        self.asked_in.remove(uri);
        let shown = room.state().purpose() != RoomPurpose::Connection;
        self.over_where(uri, shown, cx);
    }

    /// A room that is not kept here any more is over.
    pub(crate) fn over(&mut self, uri: &RoomUri, cx: &mut Context<'_>) {
        self.over_where(uri, true, cx);
    }

    fn over_where(&mut self, uri: &RoomUri, shown: bool, cx: &mut Context<'_>) {
        self.knocked.remove(uri);
        self.refused.remove(uri);
        self.disclosures.forget(uri);
        self.offered.retain(|_, target| target != uri);
        // A connection room was never shown.
        if shown {
            self.tell(Event::Closed { room: uri.clone() });
        }
        let here = self.flows.iter().filter(|(_, flow)| flow.room() == Some(uri));
        let here: Vec<_> = here.map(|(id, _)| *id).collect();
        for id in here {
            match self.flows.get(&id) {
                // Where the disclosure is out, an answer may still come.
                Some(Flow::Connect(flow)) if flow.is_leaving() => self.advance(id, cx),
                Some(Flow::Connect(flow)) if !flow.needs_room() => {}
                Some(Flow::Knocked(_)) => {
                    self.forget_knock(id);
                    self.tell(Event::KnockLapsed { knock: id });
                }
                // This is what it wanted.
                Some(Flow::Destroy(_) | Flow::Leave(_)) => drop(self.flows.remove(&id)),
                // The knock room has done its part.
                Some(Flow::Visit(visit)) if visit.is_waiting() => {}
                Some(Flow::Visit(visit)) if visit.is_leaving() => self.knock_gone(id, cx),
                _ => {
                    let remains = self.remains(id);
                    self.settle(id, remains, Err(FailureReason::RoomClosed), cx);
                }
            }
        }
    }
}
