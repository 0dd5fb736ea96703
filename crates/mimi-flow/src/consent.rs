//! Consent (draft-ietf-mimi-protocol-06, sections 5.7 and 8; draft-mahy-mimi-pseudonyms-00, section 6): asking for it, giving
//! it, taking it back; and the fresh KeyPackages that a flow needs when those it was given have ended.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    time::Duration,
};

use mimi_pseudonym::{RoomUri, Timestamp, UserUri, Wire};
use mimi_wire::{
    AppDataDictionary, ConsentEntry, ConsentOperation, ConsentScope, KeyMaterialResponse, KeyPackage,
    local::{ConsentSettings, UploadKeyPackages, UploadResponse},
};
use serde::{Deserialize, Serialize};

use crate::{
    Call, CommandError, Context, Device, Event, FailureReason, FlowId, PseudonymState, Request, device::Flow,
    prepare::Purpose, wallet::Held,
};

/// Who may have KeyPackages of whom, and for what. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Consent {
    /// Who asks for KeyPackages, or may.
    pub requester: UserUri,
    /// Whose KeyPackages they are.
    pub target: UserUri,
    /// The one room that it is for; any room, if absent.
    pub room: Option<RoomUri>,
}

impl Consent {
    fn scope(&self) -> ConsentScope {
        let Self { requester, target, room } = self.clone();
        ConsentScope { requester, target, room }
    }

    /// Whether consent to this is consent to another as well.
    fn covers(&self, other: &Self) -> bool {
        let same = self.requester == other.requester && self.target == other.target;
        same && (self.room.is_none() || self.room == other.room)
    }
}

impl From<ConsentScope> for Consent {
    fn from(ConsentScope { requester, target, room }: ConsentScope) -> Self {
        Self { requester, target, room }
    }
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.room.is_some() { "Consent(one room)" } else { "Consent(any room)" })
    }
}

/// How many requests wait for a decision at most. Where so many wait, another is not shown: strangers cannot push out
/// those who came first.
const WAITING_MAX: usize = 256;
/// How many grants that nobody asked for are told at most before the application has taken them.
const UNASKED_MAX: usize = 16;

/// A grant that comes once more within this time is the same one: its answer was lost, and it was sent again.
const AGAIN: Duration = Duration::from_secs(7 * 86_400);
/// So many grants are remembered for that. Who sends more may have one told twice.
const REMEMBERED_MAX: usize = 64;

/// What is open about consent.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Consents {
    /// What the application has asked for.
    pub(crate) asked: BTreeSet<Consent>,
    /// What others ask the application for.
    pub(crate) waiting: BTreeSet<Consent>,
    /// Grants that have been taken, in order, and when.
    #[serde(default)]
    taken: VecDeque<(Timestamp, Consent)>,
}

impl Consents {
    /// Remembers a grant; `false` if it has been taken a short time ago.
    fn is_new(&mut self, consent: &Consent, now: Timestamp) -> bool {
        self.taken.retain(|(at, _)| now < at.after(AGAIN));
        if self.taken.iter().any(|(_, taken)| taken == consent) {
            return false;
        }
        self.taken.push_back((now, consent.clone()));
        while self.taken.len() > REMEMBERED_MAX {
            self.taken.pop_front();
        }
        true
    }
}

/// What the application, or another flow, says about consent.
#[derive(Serialize, Deserialize)]
pub(crate) struct Say {
    consent: Consent,
    what: What,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq)]
enum What {
    Request,
    Cancel,
    Revoke,
    /// A grant begins with a KeyPackage for it.
    Upload,
    /// Then those of the account's other devices are taken as well.
    Claim,
    Grant,
    Settings,
}

impl Say {
    pub(crate) fn expects(&self, call: &Call) -> bool {
        match self.what {
            What::Upload => matches!(call, Call::UploadKeyPackages),
            What::Claim => matches!(call, Call::ClaimOwn),
            What::Settings => matches!(call, Call::ConsentSettings),
            What::Request | What::Cancel | What::Revoke | What::Grant => matches!(call, Call::Consent),
        }
    }
}

fn entry(consent: &Consent, operation: ConsentOperation) -> Vec<u8> {
    ConsentEntry { scope: consent.scope(), operation, extensions: AppDataDictionary::default() }.encode()
}

impl Device {
    pub(crate) fn request_consent(&mut self, consent: Consent) -> Result<FlowId, CommandError> {
        self.check_own(&consent.requester, &consent.target)?;
        self.consents.asked.insert(consent.clone());
        Ok(self.say_consent(consent, What::Request, ConsentOperation::Request))
    }

    pub(crate) fn cancel_consent(&mut self, consent: Consent) -> Result<FlowId, CommandError> {
        if !self.consents.asked.remove(&consent) {
            return Err(CommandError::NoSuchRequest);
        }
        Ok(self.say_consent(consent, What::Cancel, ConsentOperation::Cancel))
    }

    pub(crate) fn revoke_consent(&mut self, consent: Consent) -> Result<FlowId, CommandError> {
        self.check_own(&consent.target, &consent.requester)?;
        self.consent_decided(&consent);
        Ok(self.say_consent(consent, What::Revoke, ConsentOperation::Revoke))
    }

    pub(crate) fn grant_consent(&mut self, consent: Consent, cx: &Context<'_>) -> Result<FlowId, CommandError> {
        self.check_own(&consent.target, &consent.requester)?;
        if self.wallet.state(&consent.target) == Some(PseudonymState::Retired) {
            return Err(CommandError::NoSuchUser);
        }
        // This is how an application says that a pseudonym may be in one more room.
        self.wallet.change(&consent.target, |held| held.again = held.state == PseudonymState::InRoom);
        self.consent_decided(&consent);
        self.grant(consent, cx).ok_or(CommandError::KeyPackages)
    }

    pub(crate) fn consent_to_connections(&mut self, allowed: bool) -> FlowId {
        let id = FlowId(self.number());
        let own = self.profile.user.clone();
        let consent = Consent { requester: own.clone(), target: own, room: None };
        self.flows.insert(id, Flow::Consent(Say { consent, what: What::Settings }));
        let body = ConsentSettings { initial_connections: allowed }.encode();
        self.request(Request { call: Call::ConsentSettings, body }, Some(id));
        id
    }

    /// The first is one of the account's own users, the second is none.
    fn check_own(&self, own: &UserUri, other: &UserUri) -> Result<(), CommandError> {
        let is_own = |user: &UserUri| *user == self.profile.user || self.wallet.holds(user);
        if is_own(own) && !is_own(other) { Ok(()) } else { Err(CommandError::NoSuchUser) }
    }

    fn consent_decided(&mut self, consent: &Consent) {
        self.consents.waiting.retain(|waiting| !consent.covers(waiting));
        let covered =
            |event: &Event| matches!(event, Event::ConsentRequested { consent: other } if consent.covers(other));
        self.events.retain(|_, event| !covered(event));
    }

    fn say_consent(&mut self, consent: Consent, what: What, operation: ConsentOperation) -> FlowId {
        let id = FlowId(self.number());
        let body = entry(&consent, operation);
        self.flows.insert(id, Flow::Consent(Say { consent, what }));
        self.request(Request { call: Call::Consent, body }, Some(id));
        id
    }

    /// Grants consent: for the account without KeyPackages, which the requester's hub then fetches; for a pseudonym with one of
    /// each device.
    fn grant(&mut self, consent: Consent, cx: &Context<'_>) -> Option<FlowId> {
        let target = consent.target.clone();
        if !target.is_pseudonym() {
            return Some(self.say_consent(consent, What::Grant, ConsentOperation::Grant { key_packages: Vec::new() }));
        }
        let identity = self.wallet.identity(&target)?;
        let key_packages = self.new_key_packages(&identity, Purpose::Any, 1, cx).ok()?;
        let id = FlowId(self.number());
        self.flows.insert(id, Flow::Consent(Say { consent, what: What::Upload }));
        let body = UploadKeyPackages { owner: target, key_packages }.encode();
        self.request(Request { call: Call::UploadKeyPackages, body }, Some(id));
        Some(id)
    }

    pub(crate) fn consent_answered(
        &mut self,
        id: FlowId,
        mut flow: Say,
        call: &Call,
        body: &[u8],
        cx: &Context<'_>,
    ) -> Result<(), FailureReason> {
        let answer = || FailureReason::Answer { call: call.name().to_owned() };
        match flow.what {
            What::Upload => {
                UploadResponse::decode(body).map_err(|_| answer())?;
                flow.what = What::Claim;
                self.send_claim_own(id, &flow.consent.target, None);
                self.flows.insert(id, Flow::Consent(flow));
            }
            What::Claim => {
                let response = KeyMaterialResponse::decode(body).map_err(|_| answer())?;
                let usable = self.usable(response, &flow.consent.target, cx)?;
                let key_packages = usable.iter().map(|kp| kp.as_key_package().clone()).collect();
                let body = entry(&flow.consent, ConsentOperation::Grant { key_packages });
                flow.what = What::Grant;
                self.request(Request { call: Call::Consent, body }, Some(id));
                self.flows.insert(id, Flow::Consent(flow));
            }
            What::Request | What::Cancel | What::Revoke | What::Grant | What::Settings => {
                self.tell(Event::Done { flow: id });
            }
        }
        Ok(())
    }

    /// Someone asks for consent, takes that back, or gives it; or the account has said something by another device.
    pub(crate) fn consent_came(&mut self, entry: ConsentEntry, cx: &mut Context<'_>) {
        let consent = Consent::from(entry.scope);
        let is_own = |user: &UserUri| *user == self.profile.user || self.wallet.holds(user);
        let (asks_us, answers_us) = (is_own(&consent.target), is_own(&consent.requester));
        match entry.operation {
            ConsentOperation::Request if asks_us && !answers_us => self.consent_asked(consent, cx),
            ConsentOperation::Cancel if asks_us => self.consent_cancelled(consent),
            ConsentOperation::Grant { key_packages } if answers_us && !asks_us => {
                self.consent_granted(consent, key_packages, cx);
            }
            ConsentOperation::Grant { .. } if asks_us => self.decided_elsewhere(consent, true),
            ConsentOperation::Revoke if asks_us => self.decided_elsewhere(consent, false),
            _ => {}
        }
    }

    /// Of a pseudonym that is the name in no room only the device that it is of knows what it was given for.
    fn is_known_here(&self, user: &UserUri) -> bool {
        let known = |held: Held| held.own || held.state == PseudonymState::InRoom;
        !user.is_pseudonym() || self.wallet.held(user).is_some_and(known)
    }

    fn consent_cancelled(&mut self, consent: Consent) {
        if self.consents.waiting.remove(&consent) {
            self.consent_decided(&consent);
            self.tell(Event::ConsentCancelled { consent });
        }
    }

    fn decided_elsewhere(&mut self, consent: Consent, granted: bool) {
        let waiting = self.consents.waiting.len();
        self.consent_decided(&consent);
        if self.consents.waiting.len() == waiting {
            return;
        }
        self.tell(Event::ConsentDecided { consent, granted });
    }

    fn consent_asked(&mut self, consent: Consent, cx: &mut Context<'_>) {
        // Who was given this pseudonym to answer to asks for fresh KeyPackages of it: that was decided when it was given.
        let offered = |flow: &Flow| match flow {
            Flow::Connect(flow) => flow.offers(&consent.target) && flow.is_to(consent.requester.domain()),
            _ => false,
        };
        if consent.requester.is_pseudonym()
            && let Some(Flow::Connect(flow)) = self.flows.values_mut().find(|flow| offered(flow))
        {
            if flow.gives() {
                self.grant(consent, cx);
            }
            return;
        }
        let known = self.wallet.state(&consent.target);
        if !self.is_known_here(&consent.target) {
            return;
        }
        let full = self.consents.waiting.len() >= WAITING_MAX;
        if known == Some(PseudonymState::Retired) || full || !self.consents.waiting.insert(consent.clone()) {
            return;
        }
        self.tell(Event::ConsentRequested { consent });
    }

    fn consent_granted(&mut self, consent: Consent, key_packages: Vec<KeyPackage>, cx: &mut Context<'_>) {
        let needs = |flow: &Flow| match flow {
            Flow::Connect(flow) => flow.needs_consent().is_some_and(|needed| consent.covers(&needed)),
            Flow::Respond(flow) => flow.needs_consent().is_some_and(|needed| consent.covers(&needed)),
            _ => false,
        };
        if let Some(id) = self.flows.iter().find(|(_, flow)| needs(flow)).map(|(id, _)| *id) {
            match self.flows.get_mut(&id) {
                Some(Flow::Connect(flow)) => flow.has_consent(),
                Some(Flow::Respond(flow)) => flow.has_consent(&key_packages),
                _ => {}
            }
            self.consents.is_new(&consent, cx.now);
            self.forget_timers(id);
            self.advance(id, cx);
            return;
        }
        if !self.is_known_here(&consent.requester) {
            return;
        }
        let asked: Vec<_> = self.consents.asked.iter().filter(|asked| consent.covers(asked)).cloned().collect();
        for asked in &asked {
            self.consents.asked.remove(asked);
        }
        let unasked = |event: &&Event| matches!(event, Event::ConsentGranted { asked: false, .. });
        let full = self.events.values().filter(unasked).count() >= UNASKED_MAX;
        // What is not told is not remembered either: it may be told when it comes again.
        let told = if asked.is_empty() {
            !full && self.consents.is_new(&consent, cx.now)
        } else {
            self.consents.is_new(&consent, cx.now);
            true
        };
        if told {
            self.tell(Event::ConsentGranted { consent, asked: !asked.is_empty() });
        }
    }

    /// Asks for consent as part of a flow.
    pub(crate) fn ask_consent(&mut self, id: FlowId, consent: &Consent) {
        let body = entry(consent, ConsentOperation::Request);
        self.request(Request { call: Call::Consent, body }, Some(id));
    }
}
