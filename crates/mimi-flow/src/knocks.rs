//! The side that is knocked at (draft-mahy-mimi-pseudonyms-00, section 3.3): what the moderators of a room do.

use mimi_disclosure::Bundle;
use mimi_pseudonym::{Content, MessageContext, RoomUri, Timestamp, UserUri, Wire};
use mimi_room::{RoomPurpose, RoomState};
use mimi_wire::KeyPackage;
use serde::{Deserialize, Serialize};

use crate::{
    CommandError, Context, Device, Event, FailureReason, FlowId, Verified,
    change::{Change, Then},
    device::Flow,
    moderate::keeps_order,
    notice::Notice,
    respond::verify_in,
};

pub(crate) use crate::notice::Decision;

/// How many knocks wait for a decision at most. Where so many wait, another is not shown: those who came first keep
/// their place, and strangers cannot push them out.
const MAX_WAITING: usize = 256;

/// Someone who has knocked and waits for a decision.
#[derive(Serialize, Deserialize)]
pub(crate) struct Knocked {
    /// The knock room.
    room: RoomUri,
    target: RoomUri,
    /// The pseudonym that is to be let in.
    user: UserUri,
    /// KeyPackages for it.
    offered: Vec<Vec<u8>>,
    /// When the last of the KeyPackages expires.
    expires_at: Timestamp,
}

impl Knocked {
    pub(crate) fn room(&self) -> &RoomUri {
        &self.room
    }
}

impl Device {
    /// A message came in a knock room: a moderator's decision, or a knock.
    pub(crate) fn knock_content(
        &mut self,
        uri: &RoomUri,
        content: &Content,
        context: &MessageContext,
        cx: &mut Context<'_>,
    ) -> Option<()> {
        let room = self.rooms.get(uri)?;
        // Whoever only knocks is sent nothing; if the hub sends it all the same, it has no meaning.
        room.state().may_receive(room.identity().user()).ok()?;
        if room.state().may_receive(context.sender()).is_ok() {
            if let Ok(Notice::Decision { user, admitted }) = Notice::read(content) {
                self.decided(uri, &user, admitted);
            }
            return Some(());
        }
        // One message each, whatever is in it.
        let first = self.knocked.entry(uri.clone()).or_default().insert(context.sender().clone());
        if first { self.knock(content, context, cx) } else { None }
    }

    /// Someone knocks. The application is told if, and only if, everything in the message holds.
    fn knock(&mut self, content: &Content, context: &MessageContext, cx: &mut Context<'_>) -> Option<()> {
        let state = self.rooms.get(context.room())?.state();
        let target = state.knock_target()?.clone();
        let bundle = Bundle::try_from(content).ok()?;
        let user = bundle.reply_to()?.clone();
        let sender = context.sender();
        let inside = self.rooms.get(&target)?;
        if user == *sender
            || user.domain() != sender.domain()
            || self.wallet.holds(&user)
            || !keeps_order(inside.state(), inside.identity().user())
            || inside.state().participants().role_of(&user).is_some()
        {
            return None;
        }
        let from = verify_in(state, bundle.presentations(), context, cx)?;
        let usable = self.verified(read(bundle.key_packages()), &user, cx).ok()?;
        let expires_at = usable.iter().map(|key_package| key_package.not_after()).max()?;
        let offered = usable.iter().map(|key_package| key_package.as_key_package().encode()).collect();
        let knocked = Knocked { room: context.room().clone(), target, user, offered, expires_at };
        self.queue_up(knocked, from, bundle.note().to_owned(), cx)
    }

    /// Puts a knock that holds behind those that wait, if there is a place left, and tells the application.
    fn queue_up(&mut self, knocked: Knocked, from: Verified, note: String, cx: &mut Context<'_>) -> Option<()> {
        let waiting = || {
            self.flows.values().filter_map(|flow| match flow {
                Flow::Knocked(knock) => Some(knock),
                _ => None,
            })
        };
        let mut same = waiting().filter(|knock| knock.target == knocked.target && knock.user == knocked.user);
        if waiting().count() >= MAX_WAITING || same.next().is_some() {
            return None;
        }
        let room = knocked.target.clone();
        let knock = self.begin(Flow::Knocked(Box::new(knocked)), cx);
        self.tell(Event::Knocked { knock, room, from, note });
        Some(())
    }

    pub(crate) fn knocked_step(
        &mut self,
        id: FlowId,
        flow: Box<Knocked>,
        cx: &mut Context<'_>,
    ) -> Result<(), FailureReason> {
        if flow.expires_at <= cx.now {
            self.forget_knock(id);
            self.tell(Event::KnockLapsed { knock: id });
            return Ok(());
        }
        self.wake(flow.expires_at, id);
        self.flows.insert(id, Flow::Knocked(flow));
        Ok(())
    }

    pub(crate) fn admit_knock(&mut self, id: FlowId, cx: &mut Context<'_>) -> Result<FlowId, CommandError> {
        let Some(Flow::Knocked(knock)) = self.flows.get(&id) else { return Err(CommandError::NoSuchKnock) };
        let decision = Decision { room: knock.room.clone(), user: knock.user.clone(), admitted: true };
        let newcomer = (knock.user.clone(), RoomState::PARTICIPANT);
        let change = Change::add(knock.target.clone(), newcomer, knock.offered.clone(), Then::Decide(decision));
        self.check(&change, cx)?;
        self.forget_timers(id);
        self.flows.insert(id, Flow::Change(Box::new(change)));
        self.advance(id, cx);
        Ok(id)
    }

    pub(crate) fn decline_knock(&mut self, id: FlowId, cx: &mut Context<'_>) -> Result<(), CommandError> {
        let Some(Flow::Knocked(knock)) = self.flows.get(&id) else { return Err(CommandError::NoSuchKnock) };
        let decision = Decision { room: knock.room.clone(), user: knock.user.clone(), admitted: false };
        self.decide(id, decision, cx);
        Ok(())
    }

    /// What was decided here: the other moderators are told, so that the knock vanishes there.
    pub(crate) fn decide(&mut self, id: FlowId, decision: Decision, cx: &mut Context<'_>) {
        let Decision { room, user, admitted } = decision;
        self.forget_knock(id);
        self.tell(Event::KnockDecided { knock: id, admitted });
        // Where the knock room is no more, nobody waits to be told.
        let _ = self.say(room, Notice::Decision { user, admitted }.content(), cx);
    }

    /// Another device of a moderator has decided.
    fn decided(&mut self, room: &RoomUri, user: &UserUri, admitted: bool) {
        let of = |flow: &Flow| matches!(flow, Flow::Knocked(knock) if knock.room == *room && knock.user == *user);
        let Some(id) = self.flows.iter().find(|(_, flow)| of(flow)).map(|(id, _)| *id) else { return };
        self.forget_knock(id);
        self.tell(Event::KnockDecided { knock: id, admitted });
    }

    /// Takes a knock away, together with what the application was not told of it yet.
    pub(crate) fn forget_knock(&mut self, id: FlowId) {
        self.flows.remove(&id);
        self.forget_timers(id);
        self.events.retain(|_, event| !matches!(event, Event::Knocked { knock, .. } if *knock == id));
    }

    /// Whoever has left a knock room may knock again if it comes back.
    pub(crate) fn forget_knockers(&mut self, uri: &RoomUri) {
        let Some(knocked) = self.knocked.get_mut(uri) else { return };
        let Some(room) = self.rooms.get(uri) else { return };
        knocked.retain(|user| room.state().participants().role_of(user).is_some());
        if knocked.is_empty() {
            self.knocked.remove(uri);
        }
    }

    /// The knock rooms of a room that this device keeps order in.
    pub fn knock_rooms<'a>(&'a self, target: &'a RoomUri) -> impl Iterator<Item = &'a RoomUri> {
        let of = move |state: &RoomState| state.purpose() == RoomPurpose::Knock && state.knock_target() == Some(target);
        self.rooms.iter().filter(move |(_, room)| of(room.state())).map(|(uri, _)| uri)
    }
}

fn read(key_packages: &[Vec<u8>]) -> impl Iterator<Item = KeyPackage> {
    key_packages.iter().filter_map(|octets| KeyPackage::decode(octets).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Delays, Profile};
    use mimi_credential::TrustStore;
    use mimi_pseudonym::{CipherSuite, Claims, Domain, SeededEntropy};
    use mimi_wire::{Credential, ExternalSender};

    fn device() -> Device {
        Device::new(Profile {
            user: "mimi://a.example/u/alice".parse().unwrap(),
            client: "mimi://a.example/d/1".parse().unwrap(),
            suite: CipherSuite::X25519Aes128Ed25519,
            hub: ExternalSender { signature_key: vec![7; 32], credential: Credential::basic(b"a.example") },
            franking_agent: None,
            delays: Delays::default(),
        })
    }

    /// So many knocks, each of another pseudonym; how many were shown.
    fn knock_at(device: &mut Device, numbers: std::ops::Range<u32>, now: Timestamp) -> usize {
        let (mut entropy, trust) = (SeededEntropy::new([1; 32]), TrustStore::default());
        let domain: Domain = "c.example".parse().unwrap();
        let before = device.events.len();
        for number in numbers {
            let mut name = [0; 16];
            name[..4].copy_from_slice(&number.to_be_bytes());
            let knocked = Knocked {
                room: "mimi://a.example/r/knock".parse().unwrap(),
                target: "mimi://a.example/r/club".parse().unwrap(),
                user: UserUri::pseudonym(&domain, name),
                offered: Vec::new(),
                expires_at: Timestamp::from_secs(100),
            };
            let from = Verified { claims: Claims::default(), issuer: domain.clone() };
            let mut cx = Context { now, entropy: &mut entropy, trust: &trust };
            device.queue_up(knocked, from, String::new(), &mut cx);
        }
        device.events.len() - before
    }

    #[test]
    fn a_thousand_knocks_do_not_flood_those_who_keep_order() {
        let (mut device, now) = (device(), Timestamp::from_secs(1));
        assert_eq!(knock_at(&mut device, 0..1_000, now), MAX_WAITING, "those who came first");
        assert_eq!(device.flows.len(), MAX_WAITING);
        assert_eq!(knock_at(&mut device, 0..1, now), 0, "nor is anybody shown twice");
        // One is declined: there is a place again.
        let (mut entropy, trust) = (SeededEntropy::new([1; 32]), TrustStore::default());
        let first = *device.flows.keys().next().unwrap();
        let mut cx = Context { now, entropy: &mut entropy, trust: &trust };
        device.command(Command::DeclineKnock { knock: first }, &mut cx).unwrap();
        assert_eq!(device.flows.values().filter(|flow| matches!(flow, Flow::Knocked(_))).count(), MAX_WAITING - 1);
        assert_eq!(knock_at(&mut device, 2_000..2_010, now), 1);
        // And when their time is over, all are gone by themselves.
        let mut cx = Context { now: Timestamp::from_secs(101), entropy: &mut entropy, trust: &trust };
        device.tick(&mut cx);
        assert!(device.flows.is_empty() && device.timers.is_empty());
        let lapsed = device.events.values().filter(|event| matches!(event, Event::KnockLapsed { .. })).count();
        assert_eq!(lapsed, MAX_WAITING);
        assert!(
            !device.events.values().any(|event| matches!(event, Event::Knocked { .. })),
            "nobody is told of them now"
        );
    }

    #[test]
    fn a_knock_that_is_forgotten_is_not_told_any_more() {
        let domain: Domain = "a.example".parse().unwrap();
        let mut device = device();
        let (room, target): (RoomUri, RoomUri) =
            ("mimi://a.example/r/knock".parse().unwrap(), "mimi://a.example/r/club".parse().unwrap());
        let users = [1, 2].map(|number| UserUri::pseudonym(&domain, [number; 16]));
        for (number, user) in users.iter().enumerate() {
            let knock = FlowId(number as u64);
            let knocked = Knocked {
                room: room.clone(),
                target: target.clone(),
                user: user.clone(),
                offered: Vec::new(),
                expires_at: Timestamp::from_secs(9),
            };
            device.flows.insert(knock, Flow::Knocked(Box::new(knocked)));
            let from = Verified { claims: Claims::default(), issuer: domain.clone() };
            device.tell(Event::Knocked { knock, room: target.clone(), from, note: String::new() });
        }
        device.decided(&target, &users[0], true);
        assert_eq!((device.flows.len(), device.events.len()), (2, 2), "another room's decision");
        device.decided(&room, &users[0], true);
        assert_eq!(device.flows.len(), 1);
        let told: Vec<_> = device.events.values().cloned().collect();
        assert!(matches!(&told[0], Event::Knocked { knock: FlowId(1), .. }));
        assert_eq!(told[1], Event::KnockDecided { knock: FlowId(0), admitted: true });
    }
}
