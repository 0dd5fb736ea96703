//! A device of the account that is lost: its provider ends it, and this device removes it from every room, each at a time of
//! its own. Whatever happens in between, what was begun is brought to its end.

use mimi_pseudonym::{ClientUri, RoomUri, UserUri, Wire};
use mimi_wire::local::{DeviceClient, DeviceClientsRequest, DeviceClientsResponse, EnrolmentCode, RemoveDeviceRequest};
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId, Request,
    change::{Change, Then, What},
    device::Flow,
    moderate::client_of,
};

/// The end of a device.
#[derive(Serialize, Deserialize)]
pub(crate) struct Lost {
    client: ClientUri,
    /// What lets the next device in: those that there were may be on the lost one.
    code: [u8; 32],
    step: Step,
}

#[derive(Serialize, Deserialize)]
enum Step {
    /// It is asked as which clients it may be in rooms.
    List,
    /// The provider is to end it; these are its clients.
    Remove(Vec<(UserUri, ClientUri)>),
    /// It is in these rooms still.
    Rooms(Vec<RoomUri>),
}

/// One client that has to go from one room.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) struct Expulsion {
    pub(crate) room: RoomUri,
    client: ClientUri,
    of: FlowId,
}

impl Lost {
    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self.step {
            Step::List => matches!(call, Call::DeviceClients),
            Step::Remove(_) => matches!(call, Call::RemoveDevice),
            Step::Rooms(_) => false,
        }
    }
}

impl Device {
    pub(crate) fn remove_device(&mut self, client: ClientUri, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let own = client == self.profile.client || self.profile.user.is_pseudonym();
        if own || client.domain() != self.profile.user.domain() {
            return Err(CommandError::NoSuchUser);
        }
        let same = |flow: &Flow| matches!(flow, Flow::Lost(lost) if lost.client == client);
        if let Some((id, _)) = self.flows.iter().find(|(_, flow)| same(flow)) {
            return Ok(*id);
        }
        let id = FlowId(self.number());
        let body = DeviceClientsRequest { client: client.clone() }.encode();
        self.flows.insert(id, Flow::Lost(Lost { client, code: cx.entropy.bits256(), step: Step::List }));
        self.request(Request { call: Call::DeviceClients, body }, Some(id));
        Ok(id)
    }

    pub(crate) fn lost_answered(
        &mut self,
        id: FlowId,
        mut flow: Lost,
        body: &[u8],
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        match flow.step {
            Step::List => {
                let answer = || FailureReason::Answer { call: Call::DeviceClients.name().to_owned() };
                let clients = DeviceClientsResponse::decode(body).map_err(|_| answer())?.clients;
                let clients = clients.into_iter().map(|DeviceClient { user, client }| (user, client));
                let body = RemoveDeviceRequest {
                    client: flow.client.clone(),
                    enrolment_code: EnrolmentCode::from_bytes(flow.code),
                };
                flow.step = Step::Remove(clients.collect());
                self.flows.insert(id, Flow::Lost(flow));
                self.request(Request { call: Call::RemoveDevice, body: body.encode() }, Some(id));
            }
            Step::Remove(clients) => {
                let expulsions = self.expulsions(id, clients);
                flow.step = Step::Rooms(expulsions.iter().map(|one| one.room.clone()).collect());
                self.tell(Event::DeviceRemoved { flow: id, enrolment_code: flow.code });
                self.flows.insert(id, Flow::Lost(flow));
                for expulsion in expulsions {
                    let at = cx.now.after(self.profile.delays.removal(cx.entropy));
                    self.expel_at(at, expulsion);
                }
                self.is_lost_gone(id);
            }
            Step::Rooms(_) => return Err(FailureReason::Internal),
        }
        Ok(())
    }

    /// The rooms that have one of these clients in them. Those in which this device has another name are not read.
    fn expulsions(&self, of: FlowId, clients: Vec<(UserUri, ClientUri)>) -> Vec<Expulsion> {
        let mut expulsions = Vec::new();
        for (user, client) in clients {
            for room in self.rooms.of_user(&user) {
                if self.rooms.get(&room).is_some_and(|open| client_of(open, &client).is_some()) {
                    expulsions.push(Expulsion { room, client: client.clone(), of });
                }
            }
        }
        expulsions
    }

    /// The time has come for one room.
    pub(crate) fn expel(&mut self, expulsion: Expulsion, cx: &mut Context<'_>) {
        let there = self.rooms.get(&expulsion.room).is_some_and(|open| !open.is_leaving());
        if !there {
            return self.expelled(&expulsion);
        }
        let what = What::Remove { client: expulsion.client.clone() };
        let change = Change::new(expulsion.room.clone(), what, Then::Expelled(expulsion));
        self.begin(Flow::Change(Box::new(change)), cx);
    }

    /// It was not to be done now: later it is tried again, if the room is still there.
    pub(crate) fn expel_again(&mut self, expulsion: Expulsion, cx: &mut Context<'_>) {
        let there = self.rooms.get_mut(&expulsion.room).map(|open| {
            open.commit_refused();
            client_of(open, &expulsion.client).is_some()
        });
        match there {
            Some(true) => {
                let at = cx.now.after(AGAIN).after(self.profile.delays.removal(cx.entropy));
                self.expel_at(at, expulsion);
            }
            _ => self.expelled(&expulsion),
        }
    }

    /// One room less.
    pub(crate) fn expelled(&mut self, expulsion: &Expulsion) {
        if let Some(Flow::Lost(Lost { step: Step::Rooms(rooms), .. })) = self.flows.get_mut(&expulsion.of) {
            if let Some(at) = rooms.iter().position(|room| *room == expulsion.room) {
                rooms.swap_remove(at);
            }
            self.is_lost_gone(expulsion.of);
        }
    }

    fn is_lost_gone(&mut self, id: FlowId) {
        let gone = |flow: &Flow| matches!(flow, Flow::Lost(Lost { step: Step::Rooms(rooms), .. }) if rooms.is_empty());
        if self.flows.get(&id).is_some_and(gone) {
            self.flows.remove(&id);
            self.tell(Event::Done { flow: id });
        }
    }
}

/// How long after it was refused it is tried again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(3_600);
