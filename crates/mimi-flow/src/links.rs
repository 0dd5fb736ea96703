//! Join links: made, shown and taken back (draft-mahy-mimi-pseudonyms-00, section 3.2; draft-ietf-mimi-room-policy-03,
//! section 6.2). The hub is told the hash of a code, and sees the code when somebody shows it.

use std::time::Duration;

use mimi_link::{HubFingerprint, JoinCode, JoinLink, KnockLink};
use mimi_mls::Room;
use mimi_pseudonym::{RoomUri, Timestamp, Wire};
use mimi_room::{NewLink, RoomPurpose, RoomState};
use mimi_wire::local::{JoinLinkOperation, JoinLinksRequest, JoinLinksResponse};
use serde::{Deserialize, Serialize};

use crate::{Call, CommandError, Context, Device, Event, FailureReason, FlowId, Request, device::Flow};

/// A question about join links, until the hub has answered.
#[derive(Serialize, Deserialize)]
pub(crate) struct Links {
    room: RoomUri,
    what: What,
}

#[derive(Serialize, Deserialize)]
enum What {
    /// The link as text.
    Create(String),
    List,
    Revoke([u8; 32]),
}

/// A join link as the hub knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkState {
    /// SHA-256 of the code.
    pub code_hash: [u8; 32],
    /// The role of those who join by it.
    pub role: u32,
    /// How many more may join by it; none for any number.
    pub uses_left: Option<u32>,
    /// When it ends; none for never.
    pub expires: Option<Timestamp>,
}

impl Links {
    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }

    pub(crate) fn expects(call: &Call) -> bool {
        matches!(call, Call::JoinLinks(_))
    }
}

impl Device {
    /// The link by which people knock in a knock room that this device keeps order in.
    pub fn knock_link(&self, room: &RoomUri) -> Option<KnockLink> {
        let open = self.rooms.get(room)?;
        let state = open.state();
        let moderator = state.may_receive(open.identity().user()).is_ok();
        (state.purpose() == RoomPurpose::Knock && moderator).then_some(())?;
        Some(KnockLink { room: room.clone(), hub: fingerprint(open)? })
    }

    pub(crate) fn create_link(
        &mut self,
        room: RoomUri,
        granted: Option<u32>,
        uses: Option<u32>,
        lifetime: Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        let role = granted.unwrap_or(RoomState::PARTICIPANT);
        let new = NewLink { role, multiuser: uses != Some(1), lifetime };
        let lifetime_secs = lifetime.map(|lifetime| u32::try_from(lifetime.as_secs())).transpose();
        let allowed = open.state().may_create_link(open.identity().user(), &new).is_ok() && uses != Some(0);
        let (Ok(lifetime_secs), true) = (lifetime_secs, allowed) else { return Err(CommandError::NotAllowed) };
        let hub = fingerprint(open).ok_or(CommandError::NotAllowed)?;
        let code = JoinCode::generate(cx.entropy);
        let operation = JoinLinkOperation::Create { code_hash: *code.hash().as_bytes(), role, uses, lifetime_secs };
        let link = JoinLink { room: room.clone(), code, hub, role: granted };
        self.ask_links(room, What::Create(link.reveal()), operation)
    }

    pub(crate) fn list_links(&mut self, room: RoomUri) -> Result<FlowId, CommandError> {
        self.ask_links(room, What::List, JoinLinkOperation::List)
    }

    pub(crate) fn revoke_link(&mut self, room: RoomUri, code_hash: [u8; 32]) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        open.state().may_delete_link(open.identity().user()).map_err(|_| CommandError::NotAllowed)?;
        self.ask_links(room, What::Revoke(code_hash), JoinLinkOperation::Revoke { code_hash })
    }

    fn ask_links(&mut self, room: RoomUri, what: What, operation: JoinLinkOperation) -> Result<FlowId, CommandError> {
        let open = self.rooms.get(&room).ok_or(CommandError::NoSuchRoom)?;
        let participant = open.identity().user().clone();
        let body = JoinLinksRequest { participant, operation }.encode();
        let id = FlowId(self.number());
        self.request(Request { call: Call::JoinLinks(room.clone()), body }, Some(id));
        self.flows.insert(id, Flow::Links(Links { room, what }));
        Ok(id)
    }

    pub(crate) fn links_answered(&mut self, id: FlowId, flow: Links, body: &[u8]) -> Result<(), FailureReason> {
        let answer = || FailureReason::Answer { call: "joinLinks".to_owned() };
        let links = JoinLinksResponse::decode(body).map_err(|_| answer())?.links;
        let event = match flow.what {
            What::Create(link) => Event::LinkCreated { flow: id, room: flow.room, link },
            What::Revoke(code_hash) if links.iter().all(|link| link.code_hash != code_hash) => Event::Done { flow: id },
            What::Revoke(_) => return Err(answer()),
            What::List => {
                let links = links.into_iter().map(|link| LinkState {
                    code_hash: link.code_hash,
                    role: link.role,
                    uses_left: link.uses_left,
                    expires: link.expires,
                });
                Event::Links { flow: id, room: flow.room, links: links.collect() }
            }
        };
        self.tell(event);
        Ok(())
    }
}

/// By what others can know the hub of a room.
fn fingerprint(room: &Room) -> Option<HubFingerprint> {
    Some(HubFingerprint::of(room.identity().suite(), &room.hub()?.signature_key))
}
