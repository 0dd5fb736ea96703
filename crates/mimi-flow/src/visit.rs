//! The side that comes in by itself: by a join link (draft-mahy-mimi-pseudonyms-00, section 3.2), to knock (section 3.3), or
//! again, after the room has gone back behind what this device had followed.

mod group_info;
mod knock;
mod seen;

use mimi_link::{HubFingerprint, RoomLink};
use mimi_mls::{HpkeKeyPair, Room, RoomPreview};
use mimi_pseudonym::{RoomUri, UserUri, Wire};
use mimi_room::{How, RoomPurpose};
use mimi_wire::{UnverifiedGroupInfoResponse, UpdateOutcome, UpdateRoomResponse};
use serde::{Deserialize, Serialize};

pub(crate) use self::knock::Knocking;
pub use self::seen::SeenRoom;
use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId, PseudonymState, Request,
    change::{Change, Then},
    device::Flow,
    steps::send_update,
};

#[derive(Serialize, Deserialize)]
pub(crate) struct Visit {
    step: Step,
    room: RoomUri,
    /// The joining code, if the link has one.
    code: Option<Vec<u8>>,
    /// The role that the link grants, if it says one.
    #[serde(default)]
    role: Option<u32>,
    /// By what the hub is known.
    hub: [u8; 32],
    /// Who is to come in.
    user: UserUri,
    /// The key pair that the answer at hand is sealed to.
    key: Vec<u8>,
    /// What the application was shown.
    seen: Option<SeenRoom>,
    aim: Aim,
    /// How often others were faster.
    lost: u8,
    /// Waits for the room to reach another epoch.
    blocked: bool,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The GroupInfo is asked for, to show the room.
    Look,
    /// The application is to say what it wants.
    Seen,
    /// The GroupInfo is asked for, to join.
    Fetch,
    Commit,
    /// KeyPackages of the pseudonym that is to be let in are asked for.
    ClaimOffer,
    Knock,
    Leave,
    /// The moderators decide.
    Waiting,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Aim {
    /// Nothing yet.
    Look,
    Join,
    /// To be in the room again.
    Return,
    Knock(Box<Knocking>),
}

/// How often a device tries again to be the first with its commit.
const LOST_MAX: u8 = 32;

impl Visit {
    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self.step {
            Step::Look | Step::Fetch => matches!(call, Call::GroupInfo(_)),
            Step::Commit | Step::Leave => matches!(call, Call::Update(_)),
            Step::ClaimOffer => matches!(call, Call::ClaimOwn),
            Step::Knock => matches!(call, Call::SubmitMessage(_)),
            Step::Seen | Step::Waiting => false,
        }
    }

    pub(crate) fn is_timed(&self) -> bool {
        self.step == Step::Waiting
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    pub(crate) fn unblock(&mut self, room: &RoomUri) -> bool {
        let unblocked = self.blocked && self.room == *room;
        self.blocked &= !unblocked;
        unblocked
    }

    /// Whether the hub has not said yet that this device is in the room.
    pub(crate) fn is_entering(&self) -> bool {
        self.step == Step::Commit
    }

    /// Whether it was in the room before.
    pub(crate) fn is_return(&self) -> bool {
        matches!(self.aim, Aim::Return)
    }

    pub(crate) fn user(&self) -> &UserUri {
        &self.user
    }

    /// Whether it has nothing more to do in the room.
    pub(crate) fn is_waiting(&self) -> bool {
        self.step == Step::Waiting
    }

    /// Whether it has nothing left to do in the room but to leave it.
    pub(crate) fn is_leaving(&self) -> bool {
        self.step == Step::Leave
    }

    /// Back to where nothing was sent, for a room that moves faster than this device.
    fn again(mut self: Box<Self>) -> Option<Box<Self>> {
        self.lost = self.lost.checked_add(1).filter(|lost| *lost < LOST_MAX)?;
        self.step = Step::Fetch;
        Some(self)
    }

    fn how(&self) -> How {
        if self.code.is_some() { How::JoinCode } else { How::ExternalCommit }
    }
}

impl Device {
    /// Looks at the room that a link leads to, as a fresh pseudonym or as the account itself.
    pub(crate) fn visit(
        &mut self,
        link: &RoomLink,
        as_account: bool,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let room = link.room().clone();
        let here = |flow: &Flow| matches!(flow, Flow::Visit(visit) if visit.room == room && !visit.is_waiting());
        if self.rooms.contains_key(&room) || self.flows.values().any(here) {
            return Err(CommandError::AlreadyThere);
        }
        let user = match as_account {
            true => Some(self.profile.user.clone()).filter(|user| self.wallet.identity(user).is_some()),
            false => self.wallet.choose(),
        };
        let few = CommandError::TooFewPseudonyms { wanted: 1, fresh: self.wallet.fresh() };
        let (code, role) = match link {
            RoomLink::Join(link) => (Some(link.code.as_bytes().to_vec()), link.role),
            _ => (None, None),
        };
        let visit = Visit {
            step: Step::Look,
            room,
            code,
            role,
            hub: *link.hub().as_bytes(),
            user: user.ok_or(few)?,
            key: Vec::new(),
            seen: None,
            aim: Aim::Look,
            lost: 0,
            blocked: false,
        };
        Ok(self.begin(Flow::Visit(Box::new(visit)), cx))
    }

    /// Comes back into a room whose state this device has lost, as the participant it is.
    pub(crate) fn come_back(&mut self, room: Room, cx: &mut Context<'_>) {
        let Some(hub) = room.hub() else { return };
        let suite = room.identity().suite();
        let visit = Visit {
            step: Step::Fetch,
            room: room.uri().clone(),
            code: None,
            role: None,
            hub: *HubFingerprint::of(suite, &hub.signature_key).as_bytes(),
            user: room.identity().user().clone(),
            key: Vec::new(),
            seen: None,
            aim: Aim::Return,
            lost: 0,
            blocked: false,
        };
        self.begin(Flow::Visit(Box::new(visit)), cx);
    }

    pub(crate) fn join_seen(&mut self, id: FlowId, cx: &mut Context<'_>) -> Result<(), CommandError> {
        let visit = self.seen_visit(id)?;
        if visit.seen.as_ref().is_some_and(|seen| seen.purpose() == RoomPurpose::Knock) {
            return Err(CommandError::NotAllowed);
        }
        (visit.aim, visit.step) = (Aim::Join, Step::Fetch);
        self.advance(id, cx);
        Ok(())
    }

    pub(crate) fn turn_away(&mut self, id: FlowId) -> Result<(), CommandError> {
        self.seen_visit(id)?;
        self.flows.remove(&id);
        Ok(())
    }

    /// A room that was shown, and of which nothing was decided yet.
    fn seen_visit(&mut self, id: FlowId) -> Result<&mut Visit, CommandError> {
        match self.flows.get_mut(&id) {
            Some(Flow::Visit(visit)) if visit.step == Step::Seen => Ok(visit),
            _ => Err(CommandError::NoSuchVisit),
        }
    }

    pub(crate) fn visit_step(
        &mut self,
        id: FlowId,
        mut flow: Box<Visit>,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        match flow.step {
            Step::Look | Step::Fetch => {
                let key = HpkeKeyPair::generate(self.profile.suite, cx.entropy).map_err(|_| FailureReason::Internal)?;
                let body = self.group_info_request(&flow.user, flow.code.clone(), &key)?;
                flow.key = key.encode();
                self.request(Request { call: Call::GroupInfo(flow.room.clone()), body }, Some(id));
            }
            // What was committed is on its way.
            Step::Seen | Step::Commit => {}
            Step::ClaimOffer | Step::Knock | Step::Leave | Step::Waiting => return self.knock_step(id, flow, cx),
        }
        self.flows.insert(id, Flow::Visit(flow));
        Ok(())
    }

    pub(crate) fn visit_answered(
        &mut self,
        id: FlowId,
        mut flow: Box<Visit>,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        match flow.step {
            Step::Look => {
                let preview = self.preview(&flow, body, cx)?;
                self.show(id, flow, &preview, cx)
            }
            Step::Fetch => {
                let preview = self.preview(&flow, body, cx)?;
                // What is joined is what was shown: whoever has changed the rules meanwhile is not agreed with unasked.
                if flow.seen.as_ref().is_some_and(|seen| !seen.has_the_rules_of(&preview)) {
                    return self.show(id, flow, &preview, cx);
                }
                let (room, bundle) = preview.join(flow.how(), cx.trust, cx.now).map_err(|error| match error {
                    mimi_mls::ExternalJoinError::NotAllowed(_) => FailureReason::NotAllowed,
                    _ => FailureReason::Internal,
                })?;
                let request = send_update(&flow.room, bundle).ok_or(FailureReason::Internal)?;
                // From now on: what the others say after the commit may be here before the hub's answer.
                self.rooms.insert(flow.room.clone(), room);
                flow.step = Step::Commit;
                self.request(request, Some(id));
                self.flows.insert(id, Flow::Visit(flow));
                Ok(())
            }
            Step::Commit => self.entered(id, flow, body, cx),
            Step::ClaimOffer | Step::Knock | Step::Leave => self.knock_answered(id, flow, body, cx),
            Step::Seen | Step::Waiting => Err(FailureReason::Internal),
        }
    }

    /// Shows the room to the application, and waits for its decision.
    fn show(
        &mut self,
        id: FlowId,
        mut flow: Box<Visit>,
        preview: &RoomPreview,
        cx: &Context<'_>,
    ) -> Result<(), FailureReason> {
        let role = preview.role(flow.how(), cx.now).map_err(|_| FailureReason::NotAllowed)?;
        let seen = SeenRoom::of(preview, role);
        (flow.step, flow.aim, flow.seen) = (Step::Seen, Aim::Look, Some(seen.clone()));
        self.flows.insert(id, Flow::Visit(flow));
        self.tell(Event::RoomSeen { visit: id, room: seen });
        Ok(())
    }

    /// The hub has answered to the commit by which this device joins.
    fn entered(
        &mut self,
        id: FlowId,
        mut flow: Box<Visit>,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let answer = UpdateRoomResponse::decode(body).map_err(|_| FailureReason::Answer { call: "update".into() })?;
        match answer.outcome {
            UpdateOutcome::Accepted { .. } => {}
            UpdateOutcome::WrongEpoch { .. } => {
                self.rooms.remove(&flow.room);
                let flow = flow.again().ok_or(FailureReason::NotAllowed)?;
                return self.visit_step(id, flow, cx);
            }
            _ => return Err(FailureReason::NotAllowed),
        }
        if let Some(user) = self.rooms.get(&flow.room).map(|room| room.identity().user().clone()) {
            self.wallet.used(&user, PseudonymState::InRoom);
        }
        if matches!(flow.aim, Aim::Knock(_)) {
            flow.step = Step::ClaimOffer;
            return self.visit_step(id, flow, cx);
        }
        if matches!(flow.aim, Aim::Join) {
            self.tell(Event::Joined { room: flow.room.clone() });
            let single = self.rooms.get(&flow.room).is_some_and(|room| !room.state().base().multi_device);
            if !single {
                let change = Change::own_clients(flow.room.clone(), Then::Nothing);
                self.begin(Flow::Change(Box::new(change)), cx);
            }
        }
        self.moved(&flow.room, cx);
        Ok(())
    }

    fn preview(&self, flow: &Visit, body: &[u8], cx: &Context<'_>) -> Result<RoomPreview, FailureReason> {
        let answer = || FailureReason::Answer { call: "groupInfo".into() };
        let response = UnverifiedGroupInfoResponse::decode(body).map_err(|_| answer())?;
        let key = HpkeKeyPair::decode(&flow.key).map_err(|_| FailureReason::Internal)?;
        let identity = self.wallet.identity(&flow.user).ok_or(FailureReason::Internal)?;
        let hub = HubFingerprint::from_bytes(flow.hub);
        Ok(group_info::open(response, &flow.room, &hub, &key, identity, cx)?.in_role(flow.role))
    }
}
