use std::sync::PoisonError;

use mimi_pseudonym::{ClientUri, PublicKey, UserUri, Wire};
use mimi_wire::local::InboxBody;

use super::{
    AccountId, Device, DeviceId, Draw, Hash, Store, StoreError, Wake,
    database::{Db, Row},
    deletion::was_deleted,
    mail::put_in_inbox,
    next_number, parsed,
    profiles::insert_default,
    siblings,
};
use crate::fail::Fail;

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
            let Some(account) = insert_unless_taken(db, profile)? else { return Ok(false) };
            insert_device(db, account, device)?;
            Ok(true)
        })
    }

    /// Uses up an enrolment code and stores a device of its account; `None` if there is no such code.
    pub(crate) fn add_device(&self, code: &Hash, device: &NewDevice) -> Result<Option<UserUri>, StoreError> {
        self.write(|db| {
            let account = db.value("DELETE FROM enrolments WHERE code_hash = ?1 RETURNING account", [code])?;
            let Some(account) = account.map(AccountId) else { return Ok(None) };
            let added = insert_device(db, account, device)?;
            siblings::greet(db, account, added)?;
            Ok(Some(profile(db, account)?.user))
        })
    }

    /// The device with this token, if it has shown it before: known without a look at the disk.
    pub(crate) fn known_device(&self, token: &Hash) -> Option<Device> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// The device with this token.
    pub(crate) fn device_by_token(&self, token: &Hash) -> Result<Option<Device>, StoreError> {
        let device: Option<Device> = self.look(|db| {
            let row = db.row("SELECT id, account, client FROM devices WHERE token_hash = ?1", [token])?;
            let device = |row: Row| {
                let client = parsed(&row.get::<String>(2)?, "client")?;
                Ok(Device { id: DeviceId(row.get(0)?), account: AccountId(row.get(1)?), client })
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
        self.look(|db| profile(db, account))
    }

    /// Ties fresh pseudonyms to the device's account, and tells the account's other devices. If the same request has done
    /// so before, nothing happens. Returns those that the request stands for, in ascending order. Fails if the account may
    /// not draw so many.
    pub(crate) fn assign_pseudonyms(
        &self,
        device: &Device,
        fresh: &[UserUri],
        request: Option<&Hash>,
        draw: Draw,
    ) -> Result<(Vec<UserUri>, Wake), Fail> {
        let mut fresh = fresh.to_vec();
        fresh.sort();
        let body = InboxBody::PseudonymsAssigned { pseudonyms: fresh.clone() }.encode();
        self.write(|db| {
            if let Some(request) = request {
                let before = "SELECT pseudonym FROM pseudonyms WHERE request = ?1 ORDER BY pseudonym";
                let before: Vec<String> = db.column(before, [request])?;
                if !before.is_empty() {
                    let before: Result<Vec<_>, _> = before.iter().map(|text| parsed(text, "pseudonym")).collect();
                    return Ok((before?, Wake::default()));
                }
            }
            let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
            super::ties::draw(db, device.account, count, draw)?;
            for pseudonym in &fresh {
                let insert = "INSERT INTO pseudonyms (pseudonym, account, request) VALUES (?1, ?2, ?3)";
                db.execute(insert, (pseudonym.as_str(), device.account.0, request))?;
            }
            let others = "SELECT id FROM devices WHERE account = ?1 AND id <> ?2 ORDER BY id";
            let mut wake = Wake::default();
            for other in db.column(others, [device.account.0, device.id.0])?.into_iter().map(DeviceId) {
                put_in_inbox(db, other, None, &body)?;
                wake.devices.insert(other);
            }
            Ok((fresh.clone(), wake))
        })
    }

    /// Whether a user is the account itself or one of its pseudonyms.
    pub(crate) fn owns(&self, account: AccountId, user: &UserUri) -> Result<bool, StoreError> {
        self.look(|db| owns(db, account, user))
    }

    /// The client that a device is for a subject and key: its own one for the account, and for a pseudonym the one it was
    /// given before or else `fresh`. `None` if the subject is not the account's, or if the key is that of another pseudonym
    /// or of another device: a key is for one leaf.
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
                "INSERT INTO client_pseudonyms (client, device, user_uri, public_key) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (public_key) DO NOTHING",
                (fresh.as_str(), device.id.0, subject.as_str(), key.as_bytes()),
            )?;
            let given = "SELECT client FROM client_pseudonyms WHERE device = ?1 AND user_uri = ?2 AND public_key = ?3";
            let client: Option<String> = db.value(given, (device.id.0, subject.as_str(), key.as_bytes()))?;
            client.map(|client| parsed(&client, "client")).transpose()
        })
    }

    /// Whether a client is this device, by its own URI or one under a pseudonym.
    pub(crate) fn is_client_of(&self, device: &Device, client: &ClientUri) -> Result<bool, StoreError> {
        self.look(|db| Ok(device_of(db, client)? == Some(device.id)))
    }
}

/// Stores an account, unless its name is taken.
pub(super) fn insert_unless_taken(db: Db<'_>, profile: &AccountProfile) -> Result<Option<AccountId>, StoreError> {
    let AccountProfile { user, display_name, email } = profile;
    let folded = user.as_str().to_lowercase();
    let taken = db.row("SELECT id FROM accounts WHERE user_folded = ?1", [&folded])?.is_some();
    // Whoever had the name of somebody who is gone would be taken for them.
    if taken || was_deleted(db, user)? {
        return Ok(None);
    }
    let account = insert_account(db, user, display_name, email)?;
    insert_default(db, account, user)?;
    Ok(Some(account))
}

pub(super) fn insert_account(
    db: Db<'_>,
    user: &UserUri,
    display_name: &str,
    email: &str,
) -> Result<AccountId, StoreError> {
    let account = AccountId(next_number(db, "account")?);
    let folded = user.as_str().to_lowercase();
    db.execute(
        "INSERT INTO accounts (id, user_uri, user_folded, display_name, email) VALUES (?1, ?2, ?3, ?4, ?5)",
        (account.0, user.as_str(), &folded, display_name, email),
    )?;
    Ok(account)
}

pub(super) fn insert_device(db: Db<'_>, account: AccountId, device: &NewDevice) -> Result<DeviceId, StoreError> {
    let id = next_number(db, "device")?;
    db.execute(
        "INSERT INTO devices (id, account, client, token_hash, name) VALUES (?1, ?2, ?3, ?4, ?5)",
        (id, account.0, device.client.as_str(), &device.token_hash, &device.name),
    )?;
    db.execute("INSERT INTO enrolments (code_hash, account) VALUES (?1, ?2)", (&device.enrolment_hash, account.0))?;
    Ok(DeviceId(id))
}

pub(super) fn profile(db: Db<'_>, account: AccountId) -> Result<AccountProfile, StoreError> {
    let row = db.one("SELECT user_uri, display_name, email FROM accounts WHERE id = ?1", [account.0])?;
    let user = parsed(&row.get::<String>(0)?, "user")?;
    Ok(AccountProfile { user, display_name: row.get(1)?, email: row.get(2)? })
}

pub(super) fn owns(db: Db<'_>, account: AccountId, user: &UserUri) -> Result<bool, StoreError> {
    let question = if user.is_pseudonym() {
        "SELECT account FROM pseudonyms WHERE pseudonym = ?1"
    } else {
        "SELECT id FROM accounts WHERE user_uri = ?1"
    };
    Ok(db.value(question, [user.as_str()])?.map(AccountId) == Some(account))
}

/// The device behind a client URI.
pub(super) fn device_of(db: Db<'_>, client: &ClientUri) -> Result<Option<DeviceId>, StoreError> {
    let question =
        "SELECT id FROM devices WHERE client = ?1 UNION ALL SELECT device FROM client_pseudonyms WHERE client = ?1";
    Ok(db.value(question, [client.as_str()])?.map(DeviceId))
}
