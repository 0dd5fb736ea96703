use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mimi_mls::Room;
use mimi_pseudonym::{
    CipherSuite, ClientUri, DecodeError, DisclosureFormat, Reader, RoomUri, SignError, SigningKey, Timestamp, UserUri,
    Wire, Writer,
};
use mimi_wire::ExternalSender;
use serde::{Deserialize, Serialize};

use crate::{
    Delays, Device, Event, EventId, FlowId, Profile, Request, RequestId,
    device::{Flow, Outstanding, Queued},
    disclose::Disclosures,
    wallet::{Held, HeldKeyPackage, Wallet},
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
    refused: Vec<(RoomUri, [u8; 32])>,
    disclosures: Disclosures,
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
    refused: Vec<(&'a RoomUri, &'a [u8; 32])>,
    disclosures: &'a Disclosures,
    next: u64,
}

impl Device {
    /// The whole device as entries.
    pub fn save(&self) -> Vec<Entry> {
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
            refused: self.refused.iter().collect(),
            disclosures: &self.disclosures,
            next: self.next,
        };
        // All of it is plain data: writing it as JSON cannot fail.
        let core = serde_json::to_vec(&core).unwrap_or_default();
        let mut entries = vec![Entry { key: CORE.to_owned(), value: core }];
        let mut add = |kind: &str, name: &str, value| entries.push(Entry { key: format!("{kind}/{name}"), value });
        for (user, held) in &self.wallet.held {
            add("held", user.as_str(), held.save());
        }
        for (user, key) in &self.wallet.asked {
            let mut writer = Writer::default();
            self.profile.suite.write(&mut writer);
            writer.raw(key.secret());
            add("asked", user.as_str(), writer.into_octets());
        }
        for (reference, held) in &self.wallet.key_packages {
            add("key-package", &hex(reference), held.encode());
        }
        for (uri, room) in &self.rooms {
            add("room", uri.as_str(), room.save());
        }
        for (id, outstanding) in &self.outstanding {
            add("request", &id.0.to_string(), outstanding.request.encode());
        }
        entries
    }

    /// Reads a saved device. Requests that were not answered are sent again, events that were not told are told.
    ///
    /// # Errors
    /// [`RestoreError`]
    pub fn restore(entries: impl IntoIterator<Item = Entry>) -> Result<Self, RestoreError> {
        let mut by_key: BTreeMap<String, Vec<u8>> = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
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
        let mut requests = BTreeMap::new();
        let (mut wallet, mut rooms) = (Wallet::default(), BTreeMap::new());
        for (key, value) in &by_key {
            let read = || -> Option<()> {
                match key.split_once('/')? {
                    ("held", user) => drop(wallet.held.insert(user.parse().ok()?, Held::restore(value).ok()?)),
                    ("asked", user) => drop(wallet.asked.insert(user.parse().ok()?, signing_key(value)?)),
                    ("key-package", reference) => {
                        wallet.key_packages.insert(unhex(reference)?, HeldKeyPackage::decode(value).ok()?);
                    }
                    ("room", uri) => {
                        rooms.insert(uri.parse::<RoomUri>().ok()?, Room::restore(value).ok()?);
                    }
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
        let profile = Profile { user: core.user, client: core.client, suite: core.suite, hub, delays: core.delays };
        let flows = core.flows.into_iter().collect();
        Ok(Self {
            profile,
            format: core.format,
            wallet,
            rooms,
            flows,
            outstanding,
            events,
            timers,
            asked_in: core.asked_in.into_iter().collect(),
            knocked: core.knocked.into_iter().collect(),
            offered: core.offered.into_iter().collect(),
            refused: core.refused.into_iter().collect(),
            disclosures: core.disclosures,
            next: core.next,
            queue,
        })
    }
}

fn kind(key: &str) -> &'static str {
    let kind = key.split_once('/').map_or(key, |(kind, _)| kind);
    let known = [CORE, "held", "asked", "key-package", "room", "request"];
    known.into_iter().find(|known| *known == kind).unwrap_or("unknown")
}

/// Calls a closure that changes what it captures.
fn run(mut read: impl FnMut() -> Option<()>) -> Option<()> {
    read()
}

fn signing_key(value: &[u8]) -> Option<SigningKey> {
    let mut reader = Reader::new(value);
    let suite: Result<CipherSuite, DecodeError> = CipherSuite::read(&mut reader);
    let secret = reader.array().ok()?;
    let key: Result<SigningKey, SignError> = SigningKey::from_secret(suite.ok()?.signature_scheme(), &secret);
    key.ok()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect()
}
