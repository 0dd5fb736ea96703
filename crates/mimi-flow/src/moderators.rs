//! How the moderators of a room come into its knock room. Whoever made it says so in the room; whoever keeps order there
//! answers with KeyPackages for a fresh pseudonym, and is brought in by those who are in already.

use std::time::Duration;

use mimi_disclosure::Bundle;
use mimi_pseudonym::{Content, MessageContext, RoomUri, UserUri, Wire};
use mimi_room::RoomState;
use mimi_wire::KeyMaterialResponse;
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId,
    change::{Change, Then},
    device::Flow,
    moderate::keeps_order,
    notice::Notice,
};

/// An offer to keep order in a knock room, until its KeyPackages are out.
#[derive(Serialize, Deserialize)]
pub(crate) struct Volunteer {
    knock_room: RoomUri,
    /// The room in which it is said.
    room: RoomUri,
    pseudonym: UserUri,
}

impl Volunteer {
    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn expects(call: &Call) -> bool {
        matches!(call, Call::ClaimOwn)
    }
}

impl Device {
    /// Tells those who keep order in a room that there is a knock room.
    pub(crate) fn offer_knock_room(&mut self, room: &RoomUri, target: RoomUri, cx: &mut Context<'_>) {
        // Where the target is no more, there is nobody to be told.
        let _ = self.say(target, Notice::KnockRoom { room: room.clone() }.content(), cx);
    }

    /// A notice came in an ordinary room.
    pub(crate) fn notice(&mut self, content: &Content, context: &MessageContext, cx: &mut Context<'_>) -> Option<()> {
        let target = context.room();
        let room = self.rooms.get(target)?;
        let own = room.identity().user();
        if !keeps_order(room.state(), context.sender()) || !keeps_order(room.state(), own) {
            return None;
        }
        match Notice::read(content).ok()? {
            Notice::KnockRoom { room } => {
                let known = self.rooms.contains_key(&room) || self.offered.contains_key(&room);
                // The account's own other device has made it: this one is brought in by that.
                if !known && context.sender() != own {
                    self.offered.insert(room.clone(), target.clone());
                    self.tell(Event::KnockRoomOffered { target: target.clone(), room });
                }
            }
            Notice::Moderator { room, bundle } => self.volunteered(room, target.clone(), &bundle, cx)?,
            Notice::Decision { .. } => {}
        }
        Some(())
    }

    /// Someone who keeps order in the target offers to do so in its knock room.
    fn volunteered(&mut self, room: RoomUri, target: RoomUri, bundle: &Bundle, cx: &mut Context<'_>) -> Option<()> {
        let open = self.rooms.get(&room)?;
        let user = bundle.reply_to()?.clone();
        let same = |flow: &Flow| matches!(flow, Flow::Change(change) if *change.room() == room && change.adds() == Some(&user));
        if open.state().knock_target() != Some(&target) || self.wallet.holds(&user) || self.flows.values().any(same) {
            return None;
        }
        let newcomer = (user, RoomState::MODERATOR);
        let change = Change::add(room, newcomer, bundle.key_packages().to_vec(), Then::Nothing);
        self.check(&change, cx).ok()?;
        // Every moderator's devices have heard it: not all of them are to commit at once.
        let wait: Duration = self.profile.delays.commit(cx.entropy);
        self.begin(Flow::Change(Box::new(change.after(cx.now.after(wait)))), cx);
        Some(())
    }

    pub(crate) fn volunteer(&mut self, room: RoomUri, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let target = self.offered.get(&room).cloned().ok_or(CommandError::NoSuchRoom)?;
        let open = self.rooms.get(&target).ok_or(CommandError::NoSuchRoom)?;
        if !keeps_order(open.state(), open.identity().user()) {
            return Err(CommandError::NotAllowed);
        }
        let pseudonym = self.wallet.choose().ok_or(CommandError::TooFewPseudonyms { wanted: 1, fresh: 0 })?;
        self.offered.remove(&room);
        Ok(self.begin(Flow::Volunteer(Volunteer { knock_room: room, room: target, pseudonym }), cx))
    }

    pub(crate) fn volunteer_step(&mut self, id: FlowId, flow: Volunteer) -> Result<(), FailureReason> {
        self.send_claim_own(id, &flow.pseudonym, None);
        self.flows.insert(id, Flow::Volunteer(flow));
        Ok(())
    }

    pub(crate) fn volunteer_answered(
        &mut self,
        flow: &Volunteer,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        let response =
            KeyMaterialResponse::decode(body).map_err(|_| FailureReason::Answer { call: "claimOwn".into() })?;
        let usable = self.usable(response, &flow.pseudonym, cx)?;
        let key_packages = usable.iter().map(|key_package| key_package.as_key_package().encode()).collect();
        let bundle = Bundle::new(Vec::new(), Some(flow.pseudonym.clone()), key_packages, "");
        let bundle = bundle.map_err(|_| FailureReason::Internal)?;
        let notice = Notice::Moderator { room: flow.knock_room.clone(), bundle };
        self.say(flow.room.clone(), notice.content(), cx).map(drop).map_err(|_| FailureReason::NotAllowed)
    }
}
