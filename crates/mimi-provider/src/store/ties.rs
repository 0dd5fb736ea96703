//! Quotas, spent tokens, and what stands beside pseudonyms that are not tied directly.

use mimi_pseudonym::UserUri;
use mimi_wire::Problem;

use super::{
    AccountId, Device, Hash, NewDevice, Store, StoreError,
    accounts::{insert_account, insert_device, profile},
    database::Db,
    decisions::is_suspended,
    lists::{Listed, add_to_list},
    next_number, parsed,
    questions::granted,
};
use crate::fail::Fail;

/// What an account may draw, and in which period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) period: i64,
    /// How many in the period; `None` if as many as it likes.
    pub(crate) allowed: Option<u32>,
}

/// What stands beside a pseudonym, and where it is found.
#[derive(Debug, Clone)]
pub(crate) struct TieEntry {
    pub(crate) found_by: Vec<u8>,
    pub(crate) tie: Vec<u8>,
    /// What stands beside the account, and is sealed.
    pub(crate) listed: Option<Listed>,
}

impl Store {
    /// Counts tokens that are about to be issued to an account, unless the same request was counted in this period.
    pub(crate) fn draw_tokens(&self, device: &Device, count: u32, request: &Hash, draw: Draw) -> Result<(), Fail> {
        self.write(|db| {
            db.execute(
                "DELETE FROM tie_counted WHERE account = ?1 AND period < ?2",
                (device.account.0, draw.period),
            )?;
            let counted = db.execute(
                "INSERT INTO tie_counted (request, account, period) VALUES (?1, ?2, ?3) ON CONFLICT (request) DO NOTHING",
                (request, device.account.0, draw.period),
            )?;
            if counted == 0 { Ok(()) } else { self::draw(db, device.account, count, draw) }
        })
    }

    /// Marks a token as spent, and stores the pseudonym that was had for it, with its device; `false` if the token had
    /// been spent.
    pub(crate) fn redeem(&self, nonce: &Hash, pseudonym: &UserUri, device: &NewDevice) -> Result<bool, StoreError> {
        self.write(|db| {
            let insert = "INSERT INTO tie_spent (nonce) VALUES (?1) ON CONFLICT (nonce) DO NOTHING";
            if db.execute(insert, [nonce])? == 0 {
                return Ok(false);
            }
            insert_detached(db, pseudonym, device)?;
            Ok(true)
        })
    }

    /// The number of an account among those whose scores are kept encrypted, counted from 0; it is given one if it has none.
    pub(crate) fn seat(&self, account: AccountId) -> Result<u64, StoreError> {
        self.write(|db| {
            let question = "SELECT seat FROM tie_seats WHERE account = ?1";
            if let Some(seat) = db.value(question, [account.0])? {
                return Ok(seat);
            }
            let seat = next_number(db, "seat")?;
            db.execute("INSERT INTO tie_seats (account, seat) VALUES (?1, ?2)", (account.0, seat))?;
            db.one(question, [account.0])?.get(0)
        })
    }

    /// Stores a pseudonym of an account with a device of its own, and what ties them.
    pub(crate) fn detach(
        &self,
        account: AccountId,
        pseudonym: &UserUri,
        device: &NewDevice,
        entry: &TieEntry,
        draw: Draw,
    ) -> Result<(), Fail> {
        self.write(|db| {
            self::draw(db, account, 1, draw)?;
            insert_detached(db, pseudonym, device)?;
            let insert = "INSERT INTO tie_rows (found_by, tie) VALUES (?1, ?2)";
            db.execute(insert, (&entry.found_by, &entry.tie))?;
            if let Some(listed) = &entry.listed {
                add_to_list(db, account, listed)?;
            }
            Ok(())
        })
    }

    /// The pseudonyms that are accounts of their own, in no order that says anything.
    pub(crate) fn pseudonymous_accounts(&self) -> Result<Vec<(UserUri, AccountId)>, StoreError> {
        let all = "SELECT p.pseudonym, a.id FROM pseudonyms p JOIN accounts a ON a.user_uri = p.pseudonym \
                   ORDER BY p.pseudonym";
        self.look(|db| {
            let rows = db.rows(all, [0_i64; 0])?;
            rows.iter().map(|row| Ok((parsed(&row.get::<String>(0)?, "pseudonym")?, AccountId(row.get(1)?)))).collect()
        })
    }

    /// What stands beside a pseudonym.
    pub(crate) fn tie(&self, found_by: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.look(|db| db.value("SELECT tie FROM tie_rows WHERE found_by = ?1", [found_by]))
    }
}

/// Counts what an account draws, if it stays within what is allowed, and what it gets by its reputation. A pseudonym that has a
/// device of its own draws nothing: it would be a way around the quota. Nor does an account about which something was decided,
/// however shortly before: no pseudonym comes to it that was not among its names then.
pub(super) fn draw(db: Db<'_>, account: AccountId, count: u32, draw: Draw) -> Result<(), Fail> {
    if profile(db, account)?.user.is_pseudonym() || is_suspended(db, account)? {
        return Err(Problem::Forbidden.into());
    }
    let Some(allowed) = draw.allowed else { return Ok(()) };
    let allowed = i64::from(allowed).saturating_add(granted(db, account)?);
    db.execute("DELETE FROM tie_quota WHERE account = ?1 AND period < ?2", (account.0, draw.period))?;
    if i64::from(count) > allowed {
        return Err(Problem::OverQuota.into());
    }
    let counted = db.execute(
        "INSERT INTO tie_quota (account, period, drawn) VALUES (?1, ?2, ?3) ON CONFLICT (account, period) \
         DO UPDATE SET drawn = tie_quota.drawn + excluded.drawn WHERE tie_quota.drawn + excluded.drawn <= ?4",
        (account.0, draw.period, count, allowed),
    )?;
    if counted == 1 { Ok(()) } else { Err(Problem::OverQuota.into()) }
}

/// A pseudonym as an account of its own, which cannot be found by anything.
fn insert_detached(db: Db<'_>, pseudonym: &UserUri, device: &NewDevice) -> Result<(), StoreError> {
    let account = insert_account(db, pseudonym, "", "")?;
    db.execute(
        "INSERT INTO pseudonyms (pseudonym, account, request) VALUES (?1, ?2, NULL)",
        (pseudonym.as_str(), account.0),
    )?;
    insert_device(db, account, device).map(drop)
}
