use std::collections::{BTreeMap, BTreeSet};

use mimi_pseudonym::{ClientUri, Domain, Timestamp, UserUri, Wire};
use mimi_wire::{KeyPackage, KeyPackageRef, RequiredCapabilities, local::InboxBody};
use rusqlite::Transaction;

use super::{Device, DeviceId, Hash, MaybeRow, Store, StoreError, accounts::device_of, delivery::put_in_inbox, millis, parsed};

/// How long after its end a KeyPackage is remembered, so that a late Welcome still finds its way: 30 days.
const REMEMBERED_MILLIS: i64 = 30 * 86_400_000;

/// With so many left, a device is told that they are few.
const FEW: i64 = 2;

/// A KeyPackage that has been verified, as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredKeyPackage {
    pub(crate) reference: KeyPackageRef,
    pub(crate) owner: UserUri,
    pub(crate) client: ClientUri,
    pub(crate) suite: u16,
    pub(crate) initial_only: bool,
    pub(crate) not_after: Timestamp,
    pub(crate) octets: Vec<u8>,
}

/// Which KeyPackages are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) owner: UserUri,
    pub(crate) kind: Kind,
    pub(crate) suites: Vec<u16>,
    /// What a KeyPackage's client has to be capable of.
    pub(crate) required: Option<RequiredCapabilities>,
    /// A client whose KeyPackages are not wanted.
    pub(crate) except: Option<ClientUri>,
    /// Of the request. The same one once more gets the same KeyPackages, unless they have been used meanwhile.
    pub(crate) request: Option<Hash>,
}

/// For which rooms a KeyPackage is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any room.
    Ordinary,
    /// Rooms in which a connection is made, and no other.
    InitialOnly,
    /// Any room if there is one, else rooms in which a connection is made.
    Either,
}

/// What becomes of KeyPackages of the same users and device that nobody has claimed, when others come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    Stay,
    Withdrawn,
}

/// What one device had to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimedClient {
    KeyPackage(ClientUri, Vec<u8>),
    Exhausted(ClientUri),
    Incompatible(ClientUri),
}

impl Store {
    /// Stores KeyPackages of a device beside those that are there.
    #[cfg(test)]
    pub(crate) fn upload(
        &self,
        device: &Device,
        key_packages: &[StoredKeyPackage],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.upload_with(device, key_packages, Others::Stay, now)
    }

    /// Stores KeyPackages of a device, and forgets those that ended long ago. `false`, and nothing is stored, if a
    /// client is not the device, or an owner not its account's.
    pub(crate) fn upload_with(
        &self,
        device: &Device,
        key_packages: &[StoredKeyPackage],
        others: Others,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let clients: BTreeSet<_> = key_packages.iter().map(|key_package| &key_package.client).collect();
            for client in clients {
                if device_of(db, client)? != Some(device.id) {
                    return Ok(false);
                }
            }
            db.execute("DELETE FROM key_packages WHERE not_after < ?1", [millis(now).saturating_sub(REMEMBERED_MILLIS)])?;
            if others == Others::Withdrawn {
                let owners: BTreeSet<_> = key_packages.iter().map(|key_package| &key_package.owner).collect();
                let mut withdraw = db
                    .prepare_cached("DELETE FROM key_packages WHERE owner = ?1 AND device = ?2 AND claimed = 0")?;
                for owner in owners {
                    withdraw.execute((owner.as_str(), device.id.0))?;
                }
            }
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO key_packages (ref, owner, client, device, suite, initial_only, not_after, octets) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for one in key_packages {
                insert.execute((
                    one.reference.as_bytes(),
                    one.owner.as_str(),
                    one.client.as_str(),
                    device.id.0,
                    one.suite,
                    one.initial_only,
                    millis(one.not_after),
                    &one.octets,
                ))?;
            }
            Ok(true)
        })
    }

    /// Claims one KeyPackage of each device of a user, each of them for one request.
    pub(crate) fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Vec<ClaimedClient>, StoreError> {
        self.write(|db| {
            let mut best: BTreeMap<i64, (String, Offer)> = BTreeMap::new();
            let mut query = db.prepare_cached(
                "SELECT device, client, suite, not_after, claimed, rowid, ?3 IS NOT NULL AND claimed_by IS ?3 \
                 FROM key_packages WHERE owner = ?1 AND (initial_only = ?2 OR ?4) ORDER BY initial_only, not_after, rowid",
            )?;
            let (initial_only, either) = (claim.kind == Kind::InitialOnly, claim.kind == Kind::Either);
            let mut rows = query.query((claim.owner.as_str(), initial_only, claim.request, either))?;
            while let Some(row) = rows.next()? {
                let (device, client): (i64, String) = (row.get(0)?, row.get(1)?);
                let unwanted = claim.except.as_ref().is_some_and(|except| except.as_str() == client);
                if unwanted {
                    continue;
                }
                let (suite, not_after, claimed): (u16, i64, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
                let (id, again): (i64, bool) = (row.get(5)?, row.get(6)?);
                let known = best.get(&device).map_or(0, |(_, known)| known.rank() + 1);
                let offer = match (claim.suites.contains(&suite), (claimed && !again) || not_after <= millis(now)) {
                    (true, false) if again => Offer::Again(id),
                    (true, false) => Offer::KeyPackage(id),
                    (true, true) => Offer::Exhausted,
                    (false, _) => Offer::Incompatible,
                };
                // What is required is looked at last: it takes reading the KeyPackage.
                if known > offer.rank() {
                    continue;
                }
                let offer = if meets(db, id, claim.required.as_ref())? { offer } else { Offer::Incompatible };
                if known <= offer.rank() {
                    best.insert(device, (client, offer));
                }
            }
            let mut claimed = Vec::new();
            for (device, (client, offer)) in best {
                claimed.push(take(db, &client, &offer, claim.request.as_ref())?);
                // Whoever claims the account's own knows what is left.
                if matches!(offer, Offer::KeyPackage(_)) && claim.kind != Kind::Ordinary {
                    tell_if_low(db, DeviceId(device), claim, now)?;
                }
            }
            Ok(claimed)
        })
    }

    /// Remembers which provider gave KeyPackages.
    pub(crate) fn record_routes(&self, domain: &Domain, references: &[KeyPackageRef]) -> Result<(), StoreError> {
        self.write(|db| {
            let mut insert = db.prepare_cached("INSERT OR REPLACE INTO hub_kp_routes (ref, domain) VALUES (?1, ?2)")?;
            for reference in references {
                insert.execute((reference.as_bytes(), domain.as_str()))?;
            }
            Ok(())
        })
    }

    /// The provider that gave a KeyPackage, if it came through this hub.
    pub(crate) fn route_of(&self, reference: &KeyPackageRef) -> Result<Option<Domain>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT domain FROM hub_kp_routes WHERE ref = ?1")?;
            let domain: Option<String> = query.query_row([reference.as_bytes()], |row| row.get(0)).maybe()?;
            domain.map(|domain| parsed(&domain, "domain")).transpose()
        })
    }
}

/// Tells a device when few of its KeyPackages are left that nobody has claimed, and once more when none is.
fn tell_if_low(db: &Transaction<'_>, device: DeviceId, claim: &Claim, now: Timestamp) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT COUNT(*) FROM key_packages WHERE owner = ?1 AND device = ?2 AND claimed = 0 AND not_after > ?3",
    )?;
    let left: i64 = query.query_row((claim.owner.as_str(), device.0, millis(now)), |row| row.get(0))?;
    if left == FEW || left == 0 {
        let body = InboxBody::KeyPackagesLow { user: claim.owner.clone() }.encode();
        put_in_inbox(db, device, None, &body)?;
    }
    Ok(())
}

/// What a device has, in the order of how good it is.
enum Offer {
    Incompatible,
    Exhausted,
    KeyPackage(i64),
    Again(i64),
}

impl Offer {
    fn rank(&self) -> u8 {
        match self {
            Self::Incompatible => 0,
            Self::Exhausted => 1,
            Self::KeyPackage(_) => 2,
            Self::Again(_) => 3,
        }
    }
}

/// Whether the client of a stored KeyPackage is capable of what is required.
fn meets(db: &Transaction<'_>, id: i64, required: Option<&RequiredCapabilities>) -> Result<bool, StoreError> {
    let Some(required) = required else { return Ok(true) };
    let mut query = db.prepare_cached("SELECT octets FROM key_packages WHERE rowid = ?1")?;
    let octets: Vec<u8> = query.query_row([id], |row| row.get(0))?;
    let key_package = KeyPackage::decode(&octets).map_err(|_| StoreError::damaged("KeyPackage"))?;
    Ok(key_package.meets(required))
}

fn take(
    db: &Transaction<'_>,
    client: &str,
    offer: &Offer,
    request: Option<&Hash>,
) -> Result<ClaimedClient, StoreError> {
    let client = parsed(client, "client")?;
    Ok(match offer {
        Offer::Incompatible => ClaimedClient::Incompatible(client),
        Offer::Exhausted => ClaimedClient::Exhausted(client),
        Offer::KeyPackage(row) => {
            let octets = db.query_row(
                "UPDATE key_packages SET claimed = 1, claimed_by = ?2 WHERE rowid = ?1 AND claimed = 0 RETURNING octets",
                (row, request),
                |row| row.get(0),
            )?;
            ClaimedClient::KeyPackage(client, octets)
        }
        Offer::Again(row) => {
            let octets = db.query_row("SELECT octets FROM key_packages WHERE rowid = ?1", [row], |row| row.get(0))?;
            ClaimedClient::KeyPackage(client, octets)
        }
    })
}
