//! The side that knocks (draft-mahy-mimi-pseudonyms-00, section 3.3): one message to the moderators, with a disclosure and with
//! KeyPackages of a second pseudonym, and out again.

use mimi_disclosure::{Bundle, Selection};
use mimi_mls::VerifiedKeyPackage;
use mimi_pseudonym::{ClaimName, Content, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::RoomPurpose;
use mimi_wire::KeyMaterialResponse;
use serde::{Deserialize, Serialize};

use super::{Aim, Step, Visit};
use crate::{
    CommandError, Context, Device, Event, FailureReason, FlowId,
    device::Flow,
    leave::Left,
    say::{Submitted, submitted},
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Knocking {
    /// The room to be let into.
    target: RoomUri,
    /// The pseudonym to be let in.
    second: UserUri,
    disclose: Vec<ClaimName>,
    note: String,
    key_packages: Vec<Vec<u8>>,
    /// When the last KeyPackage expires: nobody can be let in after that.
    expires_at: Option<Timestamp>,
}

impl Visit {
    /// Whether this pseudonym waits to be let into this room.
    pub(crate) fn is_to_enter(&self, user: &UserUri) -> Option<&RoomUri> {
        match &self.aim {
            Aim::Knock(knock) if knock.second == *user => Some(&knock.target),
            _ => None,
        }
    }
}

impl Device {
    pub(crate) fn knock_seen(
        &mut self,
        id: FlowId,
        disclose: Vec<ClaimName>,
        note: String,
        cx: &mut Context<'_>,
    ) -> Result<(), CommandError> {
        if note.len() > Bundle::MAX_NOTE {
            return Err(CommandError::NoteTooLong(note.len()));
        }
        let visit = self.seen_visit(id)?;
        let seen = visit.seen.clone().filter(|seen| seen.purpose() == RoomPurpose::Knock);
        let (seen, user) = (seen.ok_or(CommandError::NotAllowed)?, visit.user.clone());
        let target = seen.knock_for.clone().ok_or(CommandError::NotAllowed)?;
        let policy = seen.identity().disclosure;
        let selection = Selection::new(disclose.iter().copied(), &policy).map_err(|_| CommandError::Disclosure)?;
        let credential = self.wallet.held(&user).and_then(|held| held.credential(cx));
        if !credential.is_some_and(|credential| credential.allows(&selection) == Ok(true)) {
            return Err(CommandError::Disclosure);
        }
        let second = self.wallet.choose().ok_or(CommandError::TooFewPseudonyms { wanted: 1, fresh: 0 })?;
        let knock = Knocking { target, second, disclose, note, key_packages: Vec::new(), expires_at: None };
        let visit = self.seen_visit(id)?;
        (visit.aim, visit.step) = (Aim::Knock(Box::new(knock)), Step::Fetch);
        self.advance(id, cx);
        Ok(())
    }

    pub(super) fn knock_step(
        &mut self,
        id: FlowId,
        mut flow: Box<Visit>,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let Aim::Knock(knock) = &mut flow.aim else { return Err(FailureReason::Internal) };
        match flow.step {
            Step::ClaimOffer => self.send_claim_own(id, &knock.second, None),
            // What others have proposed has to be committed before anything can be said.
            Step::Knock if self.must_wait(&flow.room) => {
                let room = flow.room.clone();
                flow.blocked = true;
                self.flows.insert(id, Flow::Visit(flow));
                self.hasten(&room, cx);
                return Ok(());
            }
            Step::Knock => {
                let (second, offered, note) = (knock.second.clone(), knock.key_packages.clone(), knock.note.clone());
                let request = self.seal_presentation(&flow.room, &knock.disclose, cx, |presentation| {
                    Bundle::new(vec![presentation], Some(second), offered, note).ok().map(Content::from)
                })?;
                self.request(request, Some(id));
            }
            Step::Leave => self.send_leave(id, &flow.room)?,
            _ => {
                let expires_at = knock.expires_at.unwrap_or_default();
                if expires_at <= cx.now {
                    self.forget_timers(id);
                    self.tell(Event::KnockLapsed { knock: id });
                    return Ok(());
                }
                self.wake(expires_at, id);
            }
        }
        self.flows.insert(id, Flow::Visit(flow));
        Ok(())
    }

    pub(super) fn knock_answered(
        &mut self,
        id: FlowId,
        mut flow: Box<Visit>,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let Aim::Knock(knock) = &mut flow.aim else { return Err(FailureReason::Internal) };
        flow.step = match flow.step {
            Step::ClaimOffer => {
                let response =
                    KeyMaterialResponse::decode(body).map_err(|_| FailureReason::Answer { call: "claimOwn".into() })?;
                let usable = self.usable(response, &knock.second, cx)?;
                knock.expires_at = usable.iter().map(VerifiedKeyPackage::not_after).max();
                knock.key_packages = usable.iter().map(|kp| kp.as_key_package().encode()).collect();
                Step::Knock
            }
            Step::Knock => match submitted(body)? {
                Submitted::Accepted => {
                    knock.key_packages.clear();
                    self.tell(Event::KnockSent { knock: id });
                    Step::Leave
                }
                Submitted::Late { current } if self.is_behind(&flow.room, current) => {
                    flow.blocked = true;
                    self.flows.insert(id, Flow::Visit(flow));
                    return Ok(());
                }
                Submitted::Late { .. } => Step::Knock,
            },
            Step::Leave => match self.left(&flow.room, body)? {
                Left::Accepted => Step::Waiting,
                Left::Again => Step::Leave,
                Left::Wait => {
                    flow.blocked = true;
                    self.flows.insert(id, Flow::Visit(flow));
                    return Ok(());
                }
            },
            _ => return Err(FailureReason::Internal),
        };
        self.visit_step(id, flow, cx)
    }

    /// This device has been let go before the hub's answer to that was here.
    pub(crate) fn knock_gone(&mut self, id: FlowId, cx: &mut Context<'_>) {
        if let Some(Flow::Visit(visit)) = self.flows.get_mut(&id) {
            (visit.step, visit.blocked) = (Step::Waiting, false);
        }
        self.advance(id, cx);
    }

    /// Whether somebody who has knocked may come into this room by these KeyPackages: they are for one room only.
    pub(crate) fn is_let_in(&self, owner: &UserUri, room: &RoomUri) -> Result<Option<FlowId>, ()> {
        let knocked = self.flows.iter().find_map(|(id, flow)| match flow {
            Flow::Visit(visit) => visit.is_to_enter(owner).map(|target| (*id, target.clone())),
            _ => None,
        });
        match knocked {
            Some((id, target)) if target == *room => Ok(Some(id)),
            Some(_) => Err(()),
            None => Ok(None),
        }
    }
}
