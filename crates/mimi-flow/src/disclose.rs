//! Disclosure in a room (draft-mahy-mimi-pseudonyms-00, section 4): one's own, and who has not made theirs yet.

use std::collections::{BTreeMap, BTreeSet};

use mimi_disclosure::{Selection, UnverifiedPresentation};
use mimi_mls::SealError;
use mimi_pseudonym::{ClaimName, Content, MessageContext, RoomUri, UserUri, Wire};
use mimi_room::RoomPurpose;
use mimi_wire::{ApplicationMessage, SubmitMessageRequest};
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId, Request,
    device::Flow,
    franking,
    respond::verify_in,
    say::{Submitted, submitted},
};

/// A disclosure that is on its way. It is made anew for every epoch in which it is tried.
#[derive(Serialize, Deserialize)]
pub(crate) struct Disclose {
    room: RoomUri,
    claims: Vec<ClaimName>,
    /// Waits for the room to reach another epoch.
    blocked: bool,
}

/// What is known of the disclosures in rooms: the names of claims, never their values.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Disclosures {
    /// The claims that have been verified.
    verified: BTreeMap<RoomUri, BTreeMap<UserUri, BTreeSet<ClaimName>>>,
    /// Those of whom the application knows that they owe something.
    told: BTreeMap<RoomUri, BTreeSet<UserUri>>,
}

impl Disclosures {
    fn note(&mut self, room: &RoomUri, user: &UserUri, names: impl IntoIterator<Item = ClaimName>) {
        self.verified.entry(room.clone()).or_default().entry(user.clone()).or_default().extend(names);
    }

    pub(crate) fn forget(&mut self, room: &RoomUri) {
        self.verified.remove(room);
        self.told.remove(room);
    }
}

impl Disclose {
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        let unblocked = self.blocked && self.room == *room;
        self.blocked &= !unblocked;
        unblocked
    }
}

/// A failure that can come from sealing.
struct Refused(FailureReason);

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        Self(match error {
            SealError::NotAllowed(_) => FailureReason::NotAllowed,
            _ => FailureReason::Internal,
        })
    }
}

impl Device {
    /// The participants of an ordinary room who have not disclosed yet what it requires, as far as this device has seen,
    /// each with what is missing, in the order of their URIs. This device's own user is one of them until it has disclosed. Whoever comes into a room
    /// has seen nobody's disclosure: what was said before cannot be read by those who come later.
    ///
    /// Empty if the room requires nothing, or the device is in no such room.
    pub fn undisclosed(&self, room: &RoomUri) -> Vec<(UserUri, Vec<ClaimName>)> {
        let Some(open) = self.rooms.get(room) else { return Vec::new() };
        let policy = open.state().identity_policy().disclosure;
        if open.state().purpose() != RoomPurpose::Ordinary || policy.required().is_empty() {
            return Vec::new();
        }
        // Whoever is banned, or listed and not there yet, has no client to disclose with.
        let nothing = BTreeSet::new();
        let known = |user: &UserUri| self.disclosures.verified.get(room).and_then(|users| users.get(user));
        let missing = |user: &UserUri| policy.required().difference(known(user).unwrap_or(&nothing)).copied().collect();
        let all = open.members().users().map(|user| (missing(user), user.clone()));
        all.filter(|(missing, _): &(Vec<_>, _)| !missing.is_empty()).map(|(missing, user)| (user, missing)).collect()
    }

    /// Tells the application of those who owe a disclosure, each once.
    pub(crate) fn look_who_owes(&mut self, uri: &RoomUri) {
        let Some(room) = self.rooms.get(uri) else { return };
        let (own, participants) = (room.identity().user().clone(), room.state().participants());
        if let Some(users) = self.disclosures.verified.get_mut(uri) {
            // Whoever comes back says it again: others may have come meanwhile.
            users.retain(|user, _| participants.role_of(user).is_some());
        }
        let owing: BTreeSet<_> = self.undisclosed(uri).into_iter().map(|(user, _)| user).collect();
        let before = self.disclosures.told.remove(uri).unwrap_or_default();
        let users: Vec<_> = owing.iter().filter(|user| **user != own && !before.contains(*user)).cloned().collect();
        if !owing.is_empty() {
            self.disclosures.told.insert(uri.clone(), owing);
        }
        if !users.is_empty() {
            self.tell(Event::Undisclosed { room: uri.clone(), users });
        }
    }

    /// A presentation came in an ordinary room, alone or in a bundle. The application is told if, and only if, it verifies.
    pub(crate) fn disclosed(
        &mut self,
        uri: &RoomUri,
        presentations: &[Content],
        context: &MessageContext,
        cx: &Context<'_>,
    ) -> Option<()> {
        let who = verify_in(self.rooms.get(uri)?.state(), presentations, context, cx)?;
        self.disclosures.note(uri, context.sender(), who.claims.names());
        self.tell(Event::Disclosed { room: uri.clone(), pseudonym: context.sender().clone(), who });
        self.look_who_owes(uri);
        Some(())
    }

    /// Whether content is a presentation by itself.
    pub(crate) fn is_presentation(content: &Content) -> bool {
        !matches!(UnverifiedPresentation::try_from(content), Err(mimi_disclosure::PresentationError::MediaType))
    }

    /// Seals a message with a presentation of this device's identity in it, made for that message alone. What is sent is
    /// what `wrap` makes of the presentation.
    pub(crate) fn seal_presentation(
        &mut self,
        uri: &RoomUri,
        claims: &[ClaimName],
        cx: &mut Context<'_>,
        wrap: impl FnOnce(Content) -> Option<Content>,
    ) -> Result<Request, FailureReason> {
        let room = self.rooms.get_mut(uri).ok_or(FailureReason::RoomClosed)?;
        let user = room.identity().user().clone();
        let held = self.wallet.held(&user).ok_or(FailureReason::Internal)?;
        let credential = held.credential(cx).ok_or(FailureReason::Disclosure)?;
        let policy = room.state().identity_policy().disclosure;
        let selection = Selection::new(claims.iter().copied(), &policy).map_err(|_| FailureReason::Disclosure)?;
        let (signer, now) = (held.identity.signer(), cx.now);
        let unfit = || Refused(FailureReason::Disclosure);
        let sealed = franking::seal(room, cx.entropy, unfit, |context| {
            let presentation = credential.present(&selection, context, signer, now).ok();
            presentation.and_then(wrap).ok_or_else(unfit)
        });
        let message = ApplicationMessage::try_from(sealed.map_err(|Refused(reason)| reason)?);
        let message = message.map_err(|_| FailureReason::Internal)?;
        let body = SubmitMessageRequest { message, sending_user: user }.encode();
        Ok(Request { call: Call::SubmitMessage(uri.clone()), body })
    }

    pub(crate) fn disclose(
        &mut self,
        room: RoomUri,
        claims: Vec<ClaimName>,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        let user = open.identity().user();
        // In rooms that connect or that people knock in, disclosing is a part of what they are for.
        if open.state().purpose() != RoomPurpose::Ordinary || open.state().may_send(user).is_err() {
            return Err(CommandError::NotAllowed);
        }
        let policy = open.state().identity_policy().disclosure;
        let selection = Selection::new(claims.iter().copied(), &policy).map_err(|_| CommandError::Disclosure)?;
        let credential = self.wallet.held(user).and_then(|held| held.credential(cx));
        if !credential.is_some_and(|credential| credential.allows(&selection) == Ok(true)) {
            return Err(CommandError::Disclosure);
        }
        Ok(self.begin(Flow::Disclose(Disclose { room, claims, blocked: false }), cx))
    }

    pub(crate) fn disclose_step(
        &mut self,
        id: FlowId,
        mut flow: Disclose,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        flow.blocked = self.must_wait(&flow.room);
        if !flow.blocked {
            let request = self.seal_presentation(&flow.room, &flow.claims, cx, Some)?;
            self.request(request, Some(id));
        }
        self.flows.insert(id, Flow::Disclose(flow));
        Ok(())
    }

    pub(crate) fn disclose_answered(
        &mut self,
        id: FlowId,
        mut flow: Disclose,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        match submitted(body)? {
            Submitted::Accepted => {
                let room = self.rooms.get(&flow.room).ok_or(FailureReason::RoomClosed)?;
                let user = room.identity().user().clone();
                self.disclosures.note(&flow.room, &user, flow.claims);
                self.look_who_owes(&flow.room);
                self.tell(Event::Done { flow: id });
                Ok(())
            }
            Submitted::Late { current } if self.is_behind(&flow.room, current) => {
                flow.blocked = true;
                self.flows.insert(id, Flow::Disclose(flow));
                Ok(())
            }
            Submitted::Late { .. } => self.disclose_step(id, flow, cx),
        }
    }
}
