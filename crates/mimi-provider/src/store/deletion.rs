//! Accounts that are deleted, and what is known of them afterwards.

use std::{collections::BTreeSet, sync::PoisonError};

use mimi_pseudonym::{ClientUri, RoomUri, UserUri};

use super::{
    AccountId, DeviceId, Hash, Store, StoreError,
    consents::account_of,
    database::{Db, Row},
    parsed,
    remedies::names,
};
use crate::hash;

/// What went with an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Its devices: whoever waits for one of their inboxes waits in vain.
    pub(crate) devices: BTreeSet<DeviceId>,
    /// The rooms its clients were in, at this hub and at others. There they stay until somebody removes them.
    pub(crate) rooms: Vec<(RoomUri, ClientUri)>,
}

/// Statements that take an account's number.
const OF_ACCOUNT: [&str; 16] = [
    "DELETE FROM profile_fields WHERE account = ?1",
    "DELETE FROM enrolments WHERE account = ?1",
    "DELETE FROM consent_requests WHERE account = ?1",
    "DELETE FROM tie_quota WHERE account = ?1",
    "DELETE FROM tie_counted WHERE account = ?1",
    "DELETE FROM tie_seats WHERE account = ?1",
    "DELETE FROM tie_lists WHERE account = ?1",
    "DELETE FROM tie_list_marks WHERE account = ?1",
    "DELETE FROM tie_questions WHERE account = ?1",
    "DELETE FROM tie_waiting WHERE account = ?1",
    "DELETE FROM tie_granted WHERE account = ?1",
    "DELETE FROM account_decisions WHERE account = ?1",
    "DELETE FROM related_accounts WHERE account = ?1",
    "DELETE FROM appeals WHERE account = ?1",
    "DELETE FROM pseudonyms WHERE account = ?1",
    "DELETE FROM accounts WHERE id = ?1",
];

/// Statements that take a device's number.
pub(super) const OF_DEVICE: [&str; 7] = [
    "DELETE FROM events WHERE device = ?1",
    "DELETE FROM mail_rooms WHERE device = ?1",
    "DELETE FROM cursors WHERE device = ?1",
    "DELETE FROM room_clients WHERE device = ?1",
    "DELETE FROM key_packages WHERE device = ?1",
    "DELETE FROM client_pseudonyms WHERE device = ?1",
    "DELETE FROM devices WHERE id = ?1",
];

/// Statements that take one of an account's names.
const OF_NAME: [&str; 5] = [
    "DELETE FROM consents WHERE target = ?1",
    "DELETE FROM consent_requests WHERE requester = ?1",
    "DELETE FROM audience_users WHERE hearer = ?1",
    "DELETE FROM silenced_users WHERE subject = ?1",
    "DELETE FROM removals WHERE subject = ?1",
];

impl Store {
    /// The account of a user: itself, or that of a pseudonym. What is done with an answer about a pseudonym must not show.
    pub(crate) fn account_of(&self, user: &UserUri) -> Result<Option<AccountId>, StoreError> {
        self.look(|db| account_of(db, user))
    }

    /// Deletes an account with everything that is its own: devices, pseudonyms, KeyPackages, consent, inboxes, and what stands
    /// beside its names where `found_by` says that it is found. `None` if there is no such account. Its name is never given again.
    pub(crate) fn delete_account(
        &self,
        account: AccountId,
        found_by: impl Fn(&UserUri) -> Vec<u8>,
    ) -> Result<Option<Deleted>, StoreError> {
        let deleted = self.write(|db| {
            if db.row("SELECT id FROM accounts WHERE id = ?1", [account.0])?.is_none() {
                return Ok(None);
            }
            let devices = db.column("SELECT id FROM devices WHERE account = ?1 ORDER BY id", [account.0])?;
            let devices: BTreeSet<_> = devices.into_iter().map(DeviceId).collect();
            let mut rooms = Vec::new();
            for device in &devices {
                let question = "SELECT room, client FROM room_clients WHERE device = ?1 ORDER BY room, client";
                for row in db.rows(question, [device.0])? {
                    rooms.push(room_and_client(&row)?);
                }
            }
            for name in names(db, account)? {
                remember(db, &gone(&name))?;
                let granted = "SELECT DISTINCT requester FROM consents WHERE target = ?1 AND granted = 1";
                for requester in db.column::<String>(granted, [name.as_str()])? {
                    remember(db, &gone_for(&name, &requester))?;
                }
                for statement in OF_NAME {
                    db.execute(statement, [name.as_str()])?;
                }
                // What was bound with an earlier way of tying stands by the name.
                for found_by in [found_by(&name), by_name(&name)] {
                    db.execute("DELETE FROM tie_rows WHERE found_by = ?1", [&found_by])?;
                }
            }
            for device in &devices {
                for statement in OF_DEVICE {
                    db.execute(statement, [device.0])?;
                }
            }
            for statement in OF_ACCOUNT {
                db.execute(statement, [account.0])?;
            }
            db.execute("UPDATE numbers SET newest = newest + 1 WHERE kind = 'deleted'", [0_i64; 0])?;
            Ok::<_, StoreError>(Some(Deleted { devices, rooms }))
        })?;
        if let Some(deleted) = &deleted {
            self.forget_devices();
            self.live().end(&deleted.devices);
            deleted.rooms.iter().for_each(|(room, _)| self.is_room_dirty(room));
        }
        Ok(deleted)
    }

    /// Whether there was such a user, whom somebody has deleted.
    pub(crate) fn was_deleted(&self, user: &UserUri) -> Result<bool, StoreError> {
        self.look(|db| self::was_deleted(db, user))
    }

    /// How many accounts were deleted, by whatever process.
    pub(crate) fn deletions(&self) -> Result<i64, StoreError> {
        self.look(|db| db.one("SELECT newest FROM numbers WHERE kind = 'deleted'", [0_i64; 0])?.get(0))
    }

    /// Has devices show their tokens again.
    pub(crate) fn forget_devices(&self) {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Where what stands beside a pseudonym is found with all ways of tying but *act only*.
pub(crate) fn by_name(pseudonym: &UserUri) -> Vec<u8> {
    pseudonym.as_str().as_bytes().to_vec()
}

fn room_and_client(row: &Row) -> Result<(RoomUri, ClientUri), StoreError> {
    Ok((parsed(&row.get::<String>(0)?, "room")?, parsed(&row.get::<String>(1)?, "client")?))
}

fn remember(db: Db<'_>, hash: &Hash) -> Result<(), StoreError> {
    db.execute("INSERT INTO deleted_users (hash) VALUES (?1) ON CONFLICT (hash) DO NOTHING", [hash]).map(|_| ())
}

/// Names that differ in case alone are one.
fn gone(user: &UserUri) -> Hash {
    hash(&[b"deleted user", user.as_str().to_lowercase().as_bytes()])
}

fn gone_for(user: &UserUri, requester: &str) -> Hash {
    hash(&[b"deleted user for", user.as_str().to_lowercase().as_bytes(), requester.as_bytes()])
}

/// Whether there was such a user, whom somebody has deleted.
pub(super) fn was_deleted(db: Db<'_>, user: &UserUri) -> Result<bool, StoreError> {
    Ok(db.row("SELECT hash FROM deleted_users WHERE hash = ?1", [&gone(user)])?.is_some())
}

/// Whether there was such a user, who had let this requester have KeyPackages.
pub(super) fn was_deleted_for(db: Db<'_>, user: &UserUri, requester: &UserUri) -> Result<bool, StoreError> {
    let hash = gone_for(user, requester.as_str());
    Ok(db.row("SELECT hash FROM deleted_users WHERE hash = ?1", [&hash])?.is_some())
}
