//! Requests for remedies, on their way to a user's provider and at that provider, and what it has decided.

use std::time::Duration;

use mimi_abuse::remedy::{Received, RemedyRequest, Wanted};
use mimi_pseudonym::{Domain, Timestamp, UserUri};

use super::{
    AccountId, Store, StoreError,
    database::{Db, Row},
    parsed, timestamp,
};

const DAY: Duration = Duration::from_secs(86_400);

/// A request that waits to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: [u8; 16],
    pub(crate) peer: Domain,
    pub(crate) body: Vec<u8>,
}

/// What became of a request that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is kept, or was kept before.
    Kept,
    /// Its hub has asked for too much today.
    OverBudget,
}

impl Store {
    /// Puts a request where it waits to be sent.
    #[cfg(test)]
    pub(crate) fn ask(&self, request: &RemedyRequest, due_at: Timestamp) -> Result<(), StoreError> {
        self.write(|db| ask(db, request, due_at))
    }

    /// The requests whose time has come, at most 64.
    pub(crate) fn asked(&self, now: Timestamp) -> Result<Vec<Asked>, StoreError> {
        self.look(|db| {
            let due = "SELECT id, peer, body FROM remedy_outbox WHERE due_at <= ?1 ORDER BY due_at LIMIT 64";
            let asked = |row: &Row| {
                let peer: String = row.get(1)?;
                Ok(Asked { id: row.get(0)?, peer: parsed(&peer, "peer")?, body: row.get(2)? })
            };
            db.rows(due, [now])?.iter().map(asked).collect()
        })
    }

    /// A request needs not be sent any more; or, with a time, not before that.
    pub(crate) fn asked_until(&self, id: &[u8; 16], again: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(|db| {
            match again {
                Some(again) => db.execute("UPDATE remedy_outbox SET due_at = ?2 WHERE id = ?1", (id, again))?,
                None => db.execute("DELETE FROM remedy_outbox WHERE id = ?1", [id])?,
            };
            Ok(())
        })
    }

    /// Keeps a request that came in, once; whether there is such a user is not looked at. Of a hub that has sent more than
    /// `budget` within a day nothing more is kept.
    pub(crate) fn requested(&self, request: &RemedyRequest, budget: u32, now: Timestamp) -> Result<Taken, StoreError> {
        self.write(|db| requested(db, request, budget, now))
    }

    /// The accounts about which something was asked before a moment that has not been decided.
    pub(crate) fn accounts_asked_about(&self, before: Timestamp) -> Result<Vec<AccountId>, StoreError> {
        self.read(|db| {
            let behind_pseudonyms = "SELECT DISTINCT p.account FROM remedy_requests r \
                JOIN pseudonyms p ON p.pseudonym = r.subject WHERE r.decided = 0 AND r.received_at < ?1";
            let named = "SELECT DISTINCT a.id FROM remedy_requests r \
                JOIN accounts a ON a.user_uri = r.subject WHERE r.decided = 0 AND r.received_at < ?1";
            let mut accounts: Vec<i64> = db.column(behind_pseudonyms, [before])?;
            accounts.extend(db.column::<i64>(named, [before])?);
            accounts.sort_unstable();
            accounts.dedup();
            Ok(accounts.into_iter().map(AccountId).collect())
        })
    }

    /// Everything that was asked about an account before a moment, under whatever name, and was not set aside by an appeal;
    /// and the names it has.
    pub(crate) fn asked_about(
        &self,
        account: AccountId,
        before: Timestamp,
    ) -> Result<(Vec<Received>, Vec<UserUri>), StoreError> {
        self.read(|db| {
            let names = names(db, account)?;
            let mut requests = Vec::new();
            for name in &names {
                requests.extend(asked_about_name(db, name, before)?);
            }
            Ok((requests, names))
        })
    }

    /// Everything that was asked before a moment has been decided.
    pub(crate) fn all_decided(&self, before: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("UPDATE remedy_requests SET decided = 1 WHERE decided = 0 AND received_at < ?1", [before])?;
            Ok(())
        })
    }
}

pub(super) fn ask(db: Db<'_>, request: &RemedyRequest, due_at: Timestamp) -> Result<(), StoreError> {
    let tbs = request.tbs();
    db.execute(
        "INSERT INTO remedy_outbox (id, peer, body, due_at) VALUES (?1, ?2, ?3, ?4)",
        (&tbs.id, tbs.subject.domain().as_str(), &request.encode(), due_at),
    )?;
    Ok(())
}

pub(super) fn requested(db: Db<'_>, request: &RemedyRequest, budget: u32, now: Timestamp) -> Result<Taken, StoreError> {
    let tbs = request.tbs();
    let known = "SELECT 1 FROM remedy_requests WHERE hub = ?1 AND id = ?2";
    if db.row(known, (tbs.hub.as_str(), &tbs.id))?.is_some() {
        return Ok(Taken::Kept);
    }
    let today = "SELECT COUNT(*) FROM remedy_requests WHERE hub = ?1 AND received_at > ?2";
    if db.one(today, (tbs.hub.as_str(), now.before(DAY)))?.get::<i64>(0)? >= i64::from(budget) {
        return Ok(Taken::OverBudget);
    }
    db.execute(
        "INSERT INTO remedy_requests (hub, id, subject, wanted, with_evidence, received_at, body, related) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            tbs.hub.as_str(),
            &tbs.id,
            tbs.subject.as_str(),
            tbs.wanted.code(),
            !tbs.evidence.is_empty(),
            now,
            &request.encode(),
            tbs.related,
        ),
    )?;
    Ok(Taken::Kept)
}

/// Whether the moment of a name has come from which on nothing is sent under it.
pub(super) fn is_silenced(db: Db<'_>, user: &UserUri, now: Timestamp) -> Result<bool, StoreError> {
    let question = "SELECT 1 FROM silenced_users WHERE subject = ?1 AND due_at <= ?2";
    Ok(db.row(question, (user.as_str(), now))?.is_some())
}

/// The names of an account: its own, and its pseudonyms.
pub(super) fn names(db: Db<'_>, account: AccountId) -> Result<Vec<UserUri>, StoreError> {
    let names = "SELECT pseudonym FROM pseudonyms WHERE account = ?1 \
                 UNION SELECT user_uri FROM accounts WHERE id = ?1 ORDER BY 1";
    let names: Vec<String> = db.column(names, [account.number()])?;
    names.iter().map(|name| parsed(name, "user")).collect()
}

/// Everything that was asked about a name before a moment, and was not set aside.
pub(super) fn asked_about_name(db: Db<'_>, name: &UserUri, before: Timestamp) -> Result<Vec<Received>, StoreError> {
    let question = "SELECT hub, wanted, received_at, with_evidence, related FROM remedy_requests \
                    WHERE subject = ?1 AND received_at < ?2 AND decided < 2";
    db.rows(question, (name.as_str(), before))?.iter().map(received).collect()
}

fn received(row: &Row) -> Result<Received, StoreError> {
    let (hub, wanted): (String, u16) = (row.get(0)?, row.get(1)?);
    let wanted = u8::try_from(wanted).ok().and_then(Wanted::from_code);
    Ok(Received {
        hub: parsed(&hub, "hub")?,
        wanted: wanted.ok_or_else(|| StoreError::damaged("wanted"))?,
        related: row.get(4)?,
        at: timestamp(row.get(2)?),
        with_evidence: row.get(3)?,
    })
}
