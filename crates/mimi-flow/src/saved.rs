use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use mimi_pseudonym::{CipherSuite, ClientUri, DisclosureFormat, RoomUri, Timestamp, UserUri, Wire};
use mimi_wire::ExternalSender;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Delays, Device, Event, EventId, FlowId, Profile, Request, RequestId,
    consent::Consents,
    device::{Flow, Outstanding, Queued},
    disclose::Disclosures,
    franking::Agent,
    keep::read_batch,
    open_rooms::{Rooms, is_room},
    records::{Records, Vault},
    wallet::{Index, Wallet, is_sound},
};

/// One entry of a saved device: entries that did not change need not be written again. Some hold private keys:
/// keep all of them under encryption.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, unique for the device.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}

/// What has changed of a device, to be written in one transaction.
pub struct Changes {
    /// All live entries there are, in place of those there were: an entry that did not change need not be written again.
    pub live: Vec<Entry>,
    /// Records that are new or different, and those that are gone.
    pub records: Vec<(String, Option<Zeroizing<Vec<u8>>>)>,
}

/// Why a saved device cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The entry that holds everything together is missing.
    #[error("there is no saved device")]
    Missing,
    /// It was saved by a later version.
    #[error("the device was saved by a later version ({0})")]
    Version(u32),
    /// An entry of this kind is damaged.
    #[error("an entry of kind {0} is damaged")]
    Damaged(&'static str),
}

const VERSION: u32 = 1;
const CORE: &str = "device";
/// Which rooms there are.
const ROOMS: &str = "rooms";

#[derive(Serialize, Deserialize)]
struct Core {
    version: u32,
    user: UserUri,
    client: ClientUri,
    suite: CipherSuite,
    hub: Vec<u8>,
    delays: Delays,
    format: DisclosureFormat,
    flows: Vec<(FlowId, Flow)>,
    waiting: Vec<(RequestId, Option<FlowId>)>,
    events: Vec<(EventId, Event)>,
    timers: Vec<(Timestamp, FlowId)>,
    asked_in: Vec<RoomUri>,
    knocked: Vec<(RoomUri, BTreeSet<UserUri>)>,
    offered: Vec<(RoomUri, RoomUri)>,
    wallet: Index,
    consents: Consents,
    refused: Vec<(RoomUri, [u8; 32])>,
    disclosures: Disclosures,
    #[serde(default)]
    agent: (Option<Vec<u8>>, Option<Timestamp>),
    next: u64,
}

#[derive(Serialize)]
struct CoreRef<'a> {
    version: u32,
    user: &'a UserUri,
    client: &'a ClientUri,
    suite: CipherSuite,
    hub: Vec<u8>,
    delays: Delays,
    format: DisclosureFormat,
    flows: Vec<(FlowId, &'a Flow)>,
    waiting: Vec<(RequestId, Option<FlowId>)>,
    events: Vec<(EventId, &'a Event)>,
    timers: Vec<(Timestamp, FlowId)>,
    asked_in: Vec<&'a RoomUri>,
    knocked: Vec<(&'a RoomUri, &'a BTreeSet<UserUri>)>,
    offered: Vec<(&'a RoomUri, &'a RoomUri)>,
    wallet: &'a Index,
    consents: &'a Consents,
    refused: Vec<(&'a RoomUri, &'a [u8; 32])>,
    disclosures: &'a Disclosures,
    agent: (Option<Vec<u8>>, Option<Timestamp>),
    next: u64,
}

impl Device {
    /// The whole device as entries; of one with a vault, without the records that are in there.
    pub fn save(&self) -> Vec<Entry> {
        let mut entries = self.live();
        entries.extend(self.wallet.records.entries());
        entries.extend(self.rooms.entries());
        entries
    }

    /// What has to be written, all of it at once, so that the vault and the live entries are the device as it is now.
    pub fn changes(&self) -> Changes {
        let records = self.wallet.records.changes();
        let records = records.map(|(key, value)| (key.to_owned(), value.map(|value| Zeroizing::new(value.to_vec()))));
        Changes { live: self.live(), records: records.chain(self.rooms.changes()).collect() }
    }

    /// What [`Device::changes`] gave has been written.
    pub fn kept(&mut self) {
        self.wallet.records.kept();
        self.rooms.kept();
    }

    /// Whether what was read is what it should be. If not, nothing is to be written: what the device made of that may be wrong.
    ///
    /// # Errors
    /// [`RestoreError::Damaged`]
    pub fn is_sound(&self) -> Result<(), RestoreError> {
        if self.rooms.is_damaged() { Err(RestoreError::Damaged("room")) } else { Ok(()) }
    }

    fn live(&self) -> Vec<Entry> {
        let core = CoreRef {
            version: VERSION,
            user: &self.profile.user,
            client: &self.profile.client,
            suite: self.profile.suite,
            hub: self.profile.hub.encode(),
            delays: self.profile.delays,
            format: self.format,
            flows: self.flows.iter().map(|(id, flow)| (*id, flow)).collect(),
            waiting: self.outstanding.iter().map(|(id, outstanding)| (*id, outstanding.flow)).collect(),
            events: self.events.iter().map(|(id, event)| (*id, event)).collect(),
            timers: self.timers.iter().copied().collect(),
            asked_in: self.asked_in.iter().collect(),
            knocked: self.knocked.iter().collect(),
            offered: self.offered.iter().collect(),
            wallet: &self.wallet.index,
            consents: &self.consents,
            refused: self.refused.iter().collect(),
            disclosures: &self.disclosures,
            agent: self.agent.save(),
            next: self.next,
        };
        // All of it is plain data: writing it as JSON cannot fail.
        let core = serde_json::to_vec(&core).unwrap_or_default();
        let mut entries = vec![Entry { key: CORE.to_owned(), value: core }];
        let mut add = |kind: &str, name: &str, value| entries.push(Entry { key: format!("{kind}/{name}"), value });
        for (id, outstanding) in &self.outstanding {
            add("request", &id.0.to_string(), outstanding.request.encode());
        }
        entries.push(Entry { key: ROOMS.to_owned(), value: self.rooms.index() });
        entries
    }

    /// Reads a saved device, all of it into memory. Requests that were not answered are sent again, events that were not
    /// told are told.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub fn restore(entries: impl IntoIterator<Item = Entry>) -> Result<Self, RestoreError> {
        let is_live = |key: &str| key == CORE || key == ROOMS || key.starts_with("request/");
        let (live, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| is_live(&entry.key));
        let (mut records, mut rooms) = (Records::default(), Records::default());
        for Entry { key, value } in rest {
            let sound = match kind(&key) {
                "batch" => read_batch(&value).is_some(),
                "room" => is_room(&value),
                _ => is_sound(&key, &value),
            };
            if !sound {
                return Err(RestoreError::Damaged(kind(&key)));
            }
            let records = if key.starts_with("room/") { &mut rooms } else { &mut records };
            records.put(key, value);
        }
        Self::read(live, records, rooms)
    }

    /// Reads a saved device whose records stay in a vault until they are needed: what this costs does not depend on how
    /// many pseudonyms or rooms there are. What is in them is not looked at: [`Device::is_sound`] says after each step
    /// whether what was read in it could be.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub fn open(live: impl IntoIterator<Item = Entry>, vault: Arc<dyn Vault>) -> Result<Self, RestoreError> {
        Self::read(live, Records::in_vault(Arc::clone(&vault)), Records::in_vault(vault))
    }

    /// Moves all records that are in memory into a vault with the next [`Device::changes`].
    #[must_use]
    pub fn with_vault(mut self, vault: Arc<dyn Vault>) -> Self {
        self.wallet.records.move_to(Arc::clone(&vault));
        self.rooms.move_to(vault);
        self
    }

    fn read(live: impl IntoIterator<Item = Entry>, records: Records, rooms: Records) -> Result<Self, RestoreError> {
        let mut by_key: BTreeMap<String, Vec<u8>> = live.into_iter().map(|entry| (entry.key, entry.value)).collect();
        let core = by_key.remove(CORE).ok_or(RestoreError::Missing)?;
        // Keys have URIs in them: an error names the kind of entry alone.
        let damaged = |key: &str| RestoreError::Damaged(kind(key));
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let version: Version = serde_json::from_slice(&core).map_err(|_| damaged(CORE))?;
        if version.version > VERSION {
            return Err(RestoreError::Version(version.version));
        }
        let core: Core = serde_json::from_slice(&core).map_err(|_| damaged(CORE))?;
        let hub = ExternalSender::decode(&core.hub).map_err(|_| damaged(CORE))?;
        let known = by_key.remove(ROOMS).ok_or_else(|| damaged(ROOMS))?;
        let known: Vec<(RoomUri, UserUri, Vec<UserUri>)> =
            serde_json::from_slice(&known).map_err(|_| damaged(ROOMS))?;
        let mut requests = BTreeMap::new();
        for (key, value) in &by_key {
            let read = || -> Option<()> {
                match key.split_once('/')? {
                    ("request", id) => {
                        requests.insert(RequestId(id.parse().ok()?), Request::decode(value).ok()?);
                    }
                    _ => return None,
                }
                Some(())
            };
            run(read).ok_or_else(|| damaged(key))?;
        }
        let mut outstanding = BTreeMap::new();
        for (id, flow) in core.waiting {
            let request = requests.remove(&id).ok_or_else(|| damaged("request/"))?;
            outstanding.insert(id, Outstanding { request, flow });
        }
        let events: BTreeMap<_, _> = core.events.into_iter().collect();
        let timers: BTreeSet<_> = core.timers.into_iter().collect();
        let mut queue: VecDeque<_> = outstanding.keys().map(|id| Queued::Send(*id)).collect();
        queue.extend(events.keys().map(|id| Queued::Tell(*id)));
        queue.extend(timers.first().map(|(at, _)| Queued::Wake(*at)));
        let agent = Agent::restore(core.agent).map_err(|_| damaged(CORE))?;
        let (user, client, suite, delays) = (core.user, core.client, core.suite, core.delays);
        let profile = Profile { user, client, suite, hub, franking_agent: agent.known().cloned(), delays };
        let flows = core.flows.into_iter().collect();
        Ok(Self {
            profile,
            agent,
            format: core.format,
            wallet: Wallet { records, index: core.wallet },
            rooms: Rooms::of(known, rooms),
            flows,
            outstanding,
            events,
            timers,
            asked_in: core.asked_in.into_iter().collect(),
            knocked: core.knocked.into_iter().collect(),
            offered: core.offered.into_iter().collect(),
            consents: core.consents,
            refused: core.refused.into_iter().collect(),
            disclosures: core.disclosures,
            next: core.next,
            queue,
        })
    }
}

fn kind(key: &str) -> &'static str {
    let kind = key.split_once('/').map_or(key, |(kind, _)| kind);
    let known = [CORE, ROOMS, "held", "asked", "acquire", "key-package", "fresh", "ends", "batch", "room", "request"];
    known.into_iter().find(|known| *known == kind).unwrap_or("unknown")
}

/// Calls a closure that changes what it captures.
fn run(mut read: impl FnMut() -> Option<()>) -> Option<()> {
    read()
}
