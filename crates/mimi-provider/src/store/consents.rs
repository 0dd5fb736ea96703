//! Who may have KeyPackages of whom.

use mimi_pseudonym::{RoomUri, Timestamp, UserUri, Wire};
use mimi_wire::{
    ConsentEntry, ConsentOperation, ConsentScope,
    local::{ConsentSettings, InboxBody},
};

use super::{
    AccountId, DeviceId, Store, StoreError, Wake,
    database::Db,
    deletion::{was_deleted, was_deleted_for},
    mail::put_in_inbox,
};

/// The most requests that wait for one account's decision; more of them are received and forgotten.
const WAITING_MAX: i64 = 100;

/// What a user has said of a requester, for a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// For this room, or for any.
    Granted,
    /// For another room alone.
    ElsewhereOnly,
    /// Taken back, or denied before anybody asked.
    Revoked,
    /// Nothing: what counts is what the account lets anybody have.
    Unsaid {
        /// Whether that is KeyPackages for initial connections.
        initial_connections: bool,
    },
    /// The provider has no such user.
    Nobody {
        /// There was one, and it was deleted.
        deleted: Option<Gone>,
    },
}

/// A user that was deleted, as a requester may know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It had let this requester have KeyPackages, and so was known to it.
    Known,
    /// It never had.
    Unknown,
}

fn room_of(scope: &ConsentScope) -> &str {
    scope.room.as_ref().map(RoomUri::as_str).unwrap_or_default()
}

impl Store {
    /// Sets what an account consents to without being asked.
    pub(crate) fn set_consent(&self, account: AccountId, settings: ConsentSettings) -> Result<(), StoreError> {
        self.write(|db| {
            let set = "UPDATE accounts SET initial_connections = ?2 WHERE id = ?1";
            db.execute(set, (account.0, settings.initial_connections))?;
            Ok(())
        })
    }

    /// Takes a request for consent, or takes one back, and tells the target's devices. Says to nobody whether there is such
    /// a user, whether it was told, or whether too many requests wait for it already. The same request is told once.
    pub(crate) fn consent_asked(&self, entry: &ConsentEntry, asks: bool, now: Timestamp) -> Result<Wake, StoreError> {
        let scope = &entry.scope;
        self.write(|db| {
            let Some(account) = account_of(db, &scope.target)? else { return nothing(db, scope, now) };
            let keys = (scope.target.as_str(), scope.requester.as_str(), room_of(scope));
            if !asks {
                let delete = "DELETE FROM consent_requests WHERE target = ?1 AND requester = ?2 AND room = ?3";
                let gone = db.execute(delete, keys)?;
                return if gone > 0 { tell(db, account, None, entry) } else { nothing(db, scope, now) };
            }
            if matches!(said(db, scope)?, Some(Consent::Revoked)) {
                return nothing(db, scope, now);
            }
            let waiting: i64 =
                db.one("SELECT COUNT(*) FROM consent_requests WHERE account = ?1", [account.0])?.get(0)?;
            if waiting >= WAITING_MAX {
                return nothing(db, scope, now);
            }
            let new = db.execute(
                "INSERT INTO consent_requests (target, requester, room, account, asked_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (target, requester, room) DO NOTHING",
                (keys.0, keys.1, keys.2, account.0, now),
            )?;
            if new > 0 { tell(db, account, None, entry) } else { nothing(db, scope, now) }
        })
    }

    /// What one of our users says by one of its devices, as the target: later words replace earlier ones for the same scope,
    /// and answer the requests they cover. The user's other devices are told.
    pub(crate) fn consent_given(
        &self,
        entry: &ConsentEntry,
        speaker: DeviceId,
        now: Timestamp,
    ) -> Result<Wake, StoreError> {
        let scope = &entry.scope;
        let granted = matches!(entry.operation, ConsentOperation::Grant { .. });
        self.write(|db| {
            let keys = (scope.target.as_str(), scope.requester.as_str(), room_of(scope));
            db.execute(
                "INSERT INTO consents (target, requester, room, granted, said_at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (target, requester, room) \
                 DO UPDATE SET granted = excluded.granted, said_at = excluded.said_at",
                (keys.0, keys.1, keys.2, granted, now),
            )?;
            // Whoever takes consent back for any room takes it back for every room.
            if scope.room.is_none() && !granted {
                let gone = "DELETE FROM consents WHERE target = ?1 AND requester = ?2 AND room <> ''";
                db.execute(gone, (keys.0, keys.1))?;
            }
            db.execute(
                "DELETE FROM consent_requests WHERE target = ?1 AND requester = ?2 AND (?3 = '' OR room = ?3)",
                keys,
            )?;
            match account_of(db, &scope.target)? {
                Some(account) => tell(db, account, Some(speaker), entry),
                None => Ok(Wake::default()),
            }
        })
    }

    /// Tells the devices of one of our users that consent was granted to it; nobody if there is no such user.
    pub(crate) fn consent_received(&self, entry: &ConsentEntry, now: Timestamp) -> Result<Wake, StoreError> {
        self.write(|db| match account_of(db, &entry.scope.requester)? {
            Some(account) => tell(db, account, None, entry),
            None => nothing(db, &entry.scope, now),
        })
    }

    /// What a user has said of a requester.
    pub(crate) fn consent(&self, scope: &ConsentScope) -> Result<Consent, StoreError> {
        self.read(|db| {
            let Some(account) = account_of(db, &scope.target)? else {
                let known = was_deleted_for(db, &scope.target, &scope.requester)?;
                let gone = if known { Gone::Known } else { Gone::Unknown };
                let deleted = was_deleted(db, &scope.target)?.then_some(gone);
                return Ok(Consent::Nobody { deleted });
            };
            if let Some(said) = said(db, scope)? {
                return Ok(said);
            }
            let question = "SELECT initial_connections FROM accounts WHERE id = ?1";
            let initial_connections = db.one(question, [account.0])?.get(0)?;
            Ok(Consent::Unsaid { initial_connections })
        })
    }
}

/// What was said for this room counts before what was said for any.
fn said(db: Db<'_>, scope: &ConsentScope) -> Result<Option<Consent>, StoreError> {
    let question = "SELECT room, granted FROM consents WHERE target = ?1 AND requester = ?2 ORDER BY room DESC";
    let rows = db.rows(question, (scope.target.as_str(), scope.requester.as_str()))?;
    let words: Vec<(String, bool)> =
        rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, StoreError>>()?;
    let of = |room: &str| words.iter().find(|(of, _)| of == room).map(|(_, granted)| *granted);
    let here = (!room_of(scope).is_empty()).then(|| of(room_of(scope))).flatten();
    Ok(match here.or_else(|| of("")) {
        Some(true) => Some(Consent::Granted),
        Some(false) => Some(Consent::Revoked),
        None if words.iter().any(|(_, granted)| *granted) => Some(Consent::ElsewhereOnly),
        None => None,
    })
}

/// The account behind one of our users: itself, or that of a pseudonym.
pub(super) fn account_of(db: Db<'_>, user: &UserUri) -> Result<Option<AccountId>, StoreError> {
    let account = if user.is_pseudonym() {
        db.value("SELECT account FROM pseudonyms WHERE pseudonym = ?1", [user.as_str()])
    } else {
        db.value("SELECT id FROM accounts WHERE user_folded = ?1", [&user.as_str().to_lowercase()])
    };
    Ok(account?.map(AccountId))
}

/// Changes nothing, and writes to the disk all the same: whoever waits for the answer cannot tell by its time whether
/// somebody was told.
fn nothing(db: Db<'_>, scope: &ConsentScope, now: Timestamp) -> Result<Wake, StoreError> {
    db.execute(
        "INSERT INTO consents (target, requester, room, granted, said_at) VALUES ('', ?1, ?2, 0, ?3) \
         ON CONFLICT (target, requester, room) DO NOTHING",
        (scope.requester.as_str(), room_of(scope), now),
    )?;
    let keys = (scope.requester.as_str(), room_of(scope));
    db.execute("DELETE FROM consents WHERE target = '' AND requester = ?1 AND room = ?2", keys)?;
    Ok(Wake::default())
}

fn tell(db: Db<'_>, account: AccountId, speaker: Option<DeviceId>, entry: &ConsentEntry) -> Result<Wake, StoreError> {
    let body = InboxBody::Consent { entry: entry.clone() }.encode();
    let devices = db.column("SELECT id FROM devices WHERE account = ?1 ORDER BY id", [account.0])?;
    let mut wake = Wake::default();
    for device in devices.into_iter().map(DeviceId).filter(|device| Some(*device) != speaker) {
        put_in_inbox(db, device, None, &body)?;
        wake.devices.insert(device);
    }
    Ok(wake)
}
