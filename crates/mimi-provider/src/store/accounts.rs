use std::sync::PoisonError;

use mimi_pseudonym::{ClientUri, PublicKey, UserUri, Wire};
use mimi_wire::local::InboxBody;
use rusqlite::{Connection, Transaction};

use super::{
    AccountId, Device, DeviceId, Hash, MaybeRow, Store, StoreError, Wake, delivery::put_in_inbox, parsed,
    profiles::insert_default,
};

/// How many devices are kept in memory besides.
const KNOWN_DEVICES: usize = 1 << 16;

/// A device that is about to be stored.
#[derive(Debug, Clone)]
pub(crate) struct NewDevice {
    pub(crate) client: ClientUri,
    pub(crate) token_hash: Hash,
    pub(crate) name: String,
    /// Of the code that lets the next device in.
    pub(crate) enrolment_hash: Hash,
}

/// What an account says about itself.
#[derive(Clone)]
pub(crate) struct AccountProfile {
    pub(crate) user: UserUri,
    pub(crate) display_name: String,
    pub(crate) email: String,
}

impl Store {
    /// Stores an account and its first device; `false` if the name is taken.
    pub(crate) fn register(&self, profile: &AccountProfile, device: &NewDevice) -> Result<bool, StoreError> {
        self.write(|db| {
            let inserted = db.execute(
                "INSERT OR IGNORE INTO accounts (user, display_name, email) VALUES (?1, ?2, ?3)",
                (profile.user.as_str(), &profile.display_name, &profile.email),
            )?;
            if inserted == 1 {
                let account = AccountId(db.last_insert_rowid());
                insert_default(db, account, &profile.user)?;
                insert_device(db, account, device)?;
            }
            Ok(inserted == 1)
        })
    }

    /// Uses up an enrolment code and stores a device of its account; `None` if there is no such code.
    pub(crate) fn add_device(&self, code: &Hash, device: &NewDevice) -> Result<Option<UserUri>, StoreError> {
        self.write(|db| {
            let account = db
                .query_row("DELETE FROM enrolments WHERE code_hash = ?1 RETURNING account", [code], |row| row.get(0))
                .maybe()?;
            let Some(account) = account.map(AccountId) else { return Ok(None) };
            insert_device(db, account, device)?;
            Ok(Some(profile(db, account)?.user))
        })
    }

    /// The device with this token, if it has shown it before: known without a look at the disk.
    pub(crate) fn known_device(&self, token: &Hash) -> Option<Device> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// The device with this token.
    pub(crate) fn device_by_token(&self, token: &Hash) -> Result<Option<Device>, StoreError> {
        let device: Option<Device> = self.read(|db| {
            let mut query = db.prepare_cached("SELECT id, account, client FROM devices WHERE token_hash = ?1")?;
            let row =
                query.query_row([token], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?))).maybe()?;
            let device = |(id, account, client): (i64, i64, String)| {
                let client = parsed(&client, "client")?;
                Ok(Device { id: DeviceId(id), account: AccountId(account), client })
            };
            row.map(device).transpose()
        })?;
        if let Some(device) = &device {
            let mut known = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN_DEVICES {
                known.clear();
            }
            known.insert(*token, device.clone());
        }
        Ok(device)
    }

    /// What an account says about itself.
    pub(crate) fn profile(&self, account: AccountId) -> Result<AccountProfile, StoreError> {
        self.read(|db| profile(db, account))
    }

    /// Ties fresh pseudonyms to the device's account, and tells the account's other devices. If the same request has done
    /// so before, nothing happens. Returns those that the request stands for, in ascending order.
    pub(crate) fn assign_pseudonyms(
        &self,
        device: &Device,
        fresh: &[UserUri],
        request: Option<&Hash>,
    ) -> Result<(Vec<UserUri>, Wake), StoreError> {
        let mut fresh = fresh.to_vec();
        fresh.sort();
        let body = InboxBody::PseudonymsAssigned { pseudonyms: fresh.clone() }.encode();
        self.write(|db| {
            let mut query =
                db.prepare_cached("SELECT pseudonym FROM pseudonyms WHERE request = ?1 ORDER BY pseudonym")?;
            let before: Vec<String> = query.query_map([request], |row| row.get(0))?.collect::<Result<_, _>>()?;
            if !before.is_empty() {
                let before: Result<_, _> = before.iter().map(|text| parsed(text, "pseudonym")).collect();
                return Ok((before?, Wake::default()));
            }
            let mut insert =
                db.prepare_cached("INSERT INTO pseudonyms (pseudonym, account, request) VALUES (?1, ?2, ?3)")?;
            for pseudonym in &fresh {
                insert.execute((pseudonym.as_str(), device.account.0, request))?;
            }
            let mut query = db.prepare_cached("SELECT id FROM devices WHERE account = ?1 AND id <> ?2")?;
            let others = query.query_map([device.account.0, device.id.0], |row| row.get(0))?;
            let mut wake = Wake::default();
            for other in others {
                let other = DeviceId(other?);
                put_in_inbox(db, other, None, &body)?;
                wake.devices.insert(other);
            }
            Ok((fresh, wake))
        })
    }

    /// Whether a user is the account itself or one of its pseudonyms.
    pub(crate) fn owns(&self, account: AccountId, user: &UserUri) -> Result<bool, StoreError> {
        self.read(|db| owns(db, account, user))
    }

    /// The client that a device is for a subject and key: its own one for the account, and for a pseudonym the one it was
    /// given before or else `fresh`. `None` if the subject is not the account's.
    pub(crate) fn client_for(
        &self,
        device: &Device,
        subject: &UserUri,
        key: &PublicKey,
        fresh: &ClientUri,
    ) -> Result<Option<ClientUri>, StoreError> {
        self.write(|db| {
            if !owns(db, device.account, subject)? {
                return Ok(None);
            }
            if !subject.is_pseudonym() {
                return Ok(Some(device.client.clone()));
            }
            db.execute(
                "INSERT OR IGNORE INTO client_pseudonyms (client, device, user, public_key) VALUES (?1, ?2, ?3, ?4)",
                (fresh.as_str(), device.id.0, subject.as_str(), key.as_bytes()),
            )?;
            let client: String = db.query_row(
                "SELECT client FROM client_pseudonyms WHERE device = ?1 AND user = ?2 AND public_key = ?3",
                (device.id.0, subject.as_str(), key.as_bytes()),
                |row| row.get(0),
            )?;
            parsed(&client, "client").map(Some)
        })
    }

    /// Whether a client is this device, by its own URI or one under a pseudonym.
    pub(crate) fn is_client_of(&self, device: &Device, client: &ClientUri) -> Result<bool, StoreError> {
        self.read(|db| Ok(device_of(db, client)? == Some(device.id)))
    }
}

fn insert_device(db: &Transaction<'_>, account: AccountId, device: &NewDevice) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO devices (account, client, token_hash, name) VALUES (?1, ?2, ?3, ?4)",
        (account.0, device.client.as_str(), &device.token_hash, &device.name),
    )?;
    db.execute("INSERT INTO enrolments (code_hash, account) VALUES (?1, ?2)", (&device.enrolment_hash, account.0))?;
    Ok(())
}

fn profile(db: &Connection, account: AccountId) -> Result<AccountProfile, StoreError> {
    let (user, display_name, email): (String, _, _) =
        db.query_row("SELECT user, display_name, email FROM accounts WHERE id = ?1", [account.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    Ok(AccountProfile { user: parsed(&user, "user")?, display_name, email })
}

fn owns(db: &Connection, account: AccountId, user: &UserUri) -> Result<bool, StoreError> {
    let question = if user.is_pseudonym() {
        "SELECT EXISTS (SELECT 1 FROM pseudonyms WHERE pseudonym = ?1 AND account = ?2)"
    } else {
        "SELECT EXISTS (SELECT 1 FROM accounts WHERE user = ?1 COLLATE BINARY AND id = ?2)"
    };
    Ok(db.query_row(question, (user.as_str(), account.0), |row| row.get(0))?)
}

/// The device behind a client URI.
pub(super) fn device_of(db: &Connection, client: &ClientUri) -> Result<Option<DeviceId>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id FROM devices WHERE client = ?1 UNION ALL SELECT device FROM client_pseudonyms WHERE client = ?1",
    )?;
    Ok(query.query_row([client.as_str()], |row| row.get(0)).maybe()?.map(DeviceId))
}
