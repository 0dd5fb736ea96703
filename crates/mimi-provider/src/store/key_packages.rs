use std::collections::{BTreeMap, BTreeSet};

use mimi_pseudonym::{ClientUri, Domain, Timestamp, UserUri, Wire};
use mimi_wire::{KeyPackage, KeyPackageRef, RequiredCapabilities, local::InboxBody};

use super::{
    Device, DeviceId, Hash, Store, StoreError, Wake, accounts::device_of, database::Db, mail::put_in_inbox, millis,
    parsed, siblings,
};

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
    /// Whether it is given when there is no other, and stays.
    pub(crate) last_resort: bool,
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
        Ok(self.upload_with(device, key_packages, Others::Stay, now)?.is_some())
    }

    /// Stores KeyPackages of a device, and forgets those that ended long ago. Returns who has to be told; `None`, and nothing
    /// is stored, if a client is not the device, or an owner not its account's.
    pub(crate) fn upload_with(
        &self,
        device: &Device,
        key_packages: &[StoredKeyPackage],
        others: Others,
        now: Timestamp,
    ) -> Result<Option<Wake>, StoreError> {
        self.write(|db| {
            let clients: BTreeSet<_> = key_packages.iter().map(|key_package| &key_package.client).collect();
            for client in clients {
                if device_of(db, client)? != Some(device.id) {
                    return Ok(None);
                }
            }
            db.execute(
                "DELETE FROM key_packages WHERE not_after < ?1",
                [millis(now).saturating_sub(REMEMBERED_MILLIS)],
            )?;
            // A Welcome may still name one of those that come back: it stays, and is given to nobody.
            for one in key_packages.iter().filter(|one| one.last_resort) {
                let replace = "UPDATE key_packages SET claimed = 1 \
                               WHERE owner = ?1 AND device = ?2 AND last_resort = 1 AND suite = ?3 AND claimed = 0";
                db.execute(replace, (one.owner.as_str(), device.id.0, one.suite))?;
            }
            if others == Others::Withdrawn {
                let owners: BTreeSet<_> = key_packages.iter().map(|key_package| &key_package.owner).collect();
                for owner in owners {
                    let withdraw = "DELETE FROM key_packages \
                                    WHERE owner = ?1 AND device = ?2 AND claimed = 0 AND last_resort = 0";
                    db.execute(withdraw, (owner.as_str(), device.id.0))?;
                }
            }
            for one in key_packages {
                db.execute(
                    "INSERT INTO key_packages \
                     (ref, owner, client, device, suite, initial_only, not_after, octets, last_resort) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (ref) DO NOTHING",
                    (
                        one.reference.as_bytes(),
                        one.owner.as_str(),
                        one.client.as_str(),
                        device.id.0,
                        one.suite,
                        one.initial_only,
                        one.not_after,
                        &one.octets,
                        one.last_resort,
                    ),
                )?;
            }
            let devices = siblings::announce(db, device.id, key_packages)?;
            Ok(Some(Wake { devices, ..Wake::default() }))
        })
    }

    /// Claims one KeyPackage of each device of a user, each of them for one request.
    pub(crate) fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Vec<ClaimedClient>, StoreError> {
        let (from, to) = match claim.kind {
            Kind::Ordinary => (false, false),
            Kind::InitialOnly => (true, true),
            Kind::Either => (false, true),
        };
        self.write(|db| {
            let mut best: BTreeMap<i64, (String, Offer)> = BTreeMap::new();
            let rows = db.rows(
                "SELECT device, client, suite, not_after, claimed, ref, claimed_by, last_resort FROM key_packages \
                 WHERE owner = ?1 AND initial_only >= ?2 AND initial_only <= ?3 \
                 ORDER BY initial_only, last_resort, not_after, ref",
                (claim.owner.as_str(), from, to),
            )?;
            for row in rows {
                let (device, client): (i64, String) = (row.get(0)?, row.get(1)?);
                let unwanted = claim.except.as_ref().is_some_and(|except| except.as_str() == client);
                if unwanted {
                    continue;
                }
                let (suite, not_after, claimed): (u16, i64, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
                let (id, claimed_by): (Vec<u8>, Option<Hash>) = (row.get(5)?, row.get(6)?);
                let again = claimed_by.is_some() && claimed_by == claim.request;
                let known = best.get(&device).map_or(0, |(_, known)| known.rank() + 1);
                let offer = match (claim.suites.contains(&suite), (claimed && !again) || not_after <= millis(now)) {
                    (true, false) if again => Offer::Again(id.clone()),
                    (true, false) if row.get(7)? => Offer::LastResort(id.clone()),
                    (true, false) => Offer::KeyPackage(id.clone()),
                    (true, true) => Offer::Exhausted,
                    (false, _) => Offer::Incompatible,
                };
                // What is required is looked at last: it takes reading the KeyPackage.
                if known > offer.rank() {
                    continue;
                }
                let offer = if meets(db, &id, claim.required.as_ref())? { offer } else { Offer::Incompatible };
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
            for reference in references {
                db.execute(
                    "INSERT INTO hub_kp_routes (ref, domain) VALUES (?1, ?2) \
                     ON CONFLICT (ref) DO UPDATE SET domain = excluded.domain",
                    (reference.as_bytes(), domain.as_str()),
                )?;
            }
            Ok(())
        })
    }

    /// The provider that gave a KeyPackage, if it came through this hub.
    pub(crate) fn route_of(&self, reference: &KeyPackageRef) -> Result<Option<Domain>, StoreError> {
        self.look(|db| {
            let question = "SELECT domain FROM hub_kp_routes WHERE ref = ?1";
            let domain: Option<String> = db.value(question, [reference.as_bytes()])?;
            domain.map(|domain| parsed(&domain, "domain")).transpose()
        })
    }
}

/// Tells a device when few of its KeyPackages are left that nobody has claimed, and once more when none is.
fn tell_if_low(db: Db<'_>, device: DeviceId, claim: &Claim, now: Timestamp) -> Result<(), StoreError> {
    let question = "SELECT COUNT(*) FROM key_packages \
                    WHERE owner = ?1 AND device = ?2 AND claimed = 0 AND last_resort = 0 AND not_after > ?3";
    let left: i64 = db.one(question, (claim.owner.as_str(), device.0, now))?.get(0)?;
    if left == FEW || left == 0 {
        put_in_inbox(db, device, None, &InboxBody::KeyPackagesLow { user: claim.owner.clone() }.encode())?;
    }
    Ok(())
}

/// What a device has, in the order of how good it is.
enum Offer {
    Incompatible,
    Exhausted,
    LastResort(Vec<u8>),
    KeyPackage(Vec<u8>),
    Again(Vec<u8>),
}

impl Offer {
    fn rank(&self) -> u8 {
        match self {
            Self::Incompatible => 0,
            Self::Exhausted => 1,
            Self::LastResort(_) => 2,
            Self::KeyPackage(_) => 3,
            Self::Again(_) => 4,
        }
    }
}

/// Whether the client of a stored KeyPackage is capable of what is required.
fn meets(db: Db<'_>, id: &[u8], required: Option<&RequiredCapabilities>) -> Result<bool, StoreError> {
    let Some(required) = required else { return Ok(true) };
    let octets: Vec<u8> = db.one("SELECT octets FROM key_packages WHERE ref = ?1", [id])?.get(0)?;
    let key_package = KeyPackage::decode(&octets).map_err(|_| StoreError::damaged("KeyPackage"))?;
    Ok(key_package.meets(required))
}

fn take(db: Db<'_>, client: &str, offer: &Offer, request: Option<&Hash>) -> Result<ClaimedClient, StoreError> {
    let client = parsed(client, "client")?;
    Ok(match offer {
        Offer::Incompatible => ClaimedClient::Incompatible(client),
        Offer::Exhausted => ClaimedClient::Exhausted(client),
        Offer::KeyPackage(id) => {
            let claim =
                "UPDATE key_packages SET claimed = 1, claimed_by = ?2 WHERE ref = ?1 AND claimed = 0 RETURNING octets";
            ClaimedClient::KeyPackage(client, db.one(claim, (id, request))?.get(0)?)
        }
        Offer::LastResort(id) | Offer::Again(id) => {
            let octets = db.one("SELECT octets FROM key_packages WHERE ref = ?1", [id])?.get(0)?;
            ClaimedClient::KeyPackage(client, octets)
        }
    })
}
