//! Encrypted scores of accounts, by cohort.

use mimi_pseudonym::{Domain, Timestamp, UserUri};

use super::{
    AccountId, Store, StoreError,
    database::{Db, Row},
    parsed,
};

/// A hub's request that was not looked at for encrypted scores yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unscored {
    pub(crate) hub: Domain,
    pub(crate) id: [u8; 16],
    pub(crate) subject: UserUri,
    pub(crate) with_evidence: bool,
}

impl Store {
    /// The requests from before a moment, reversals aside, that were not looked at yet.
    pub(crate) fn unscored(&self, before: Timestamp) -> Result<Vec<Unscored>, StoreError> {
        let question = "SELECT hub, id, subject, with_evidence FROM remedy_requests \
                        WHERE scored = 0 AND wanted > 0 AND received_at < ?1 ORDER BY hub, id";
        self.look(|db| db.rows(question, [before])?.iter().map(unscored).collect())
    }

    /// A request does not count in any score.
    pub(crate) fn score_nothing(&self, request: &Unscored) -> Result<(), StoreError> {
        self.write(|db| mark(db, request, 2).map(|_| ()))
    }

    /// Counts a request in the scores of a cohort, once, unless so many of its hub's about this user count already. `add` makes
    /// the new scores from those that are stored, if there are any.
    pub(crate) fn score(
        &self,
        request: &Unscored,
        most: u16,
        cohort: u64,
        mut add: impl FnMut(Option<Vec<u8>>) -> Result<Vec<u8>, StoreError>,
    ) -> Result<(), StoreError> {
        let cohort = i64::try_from(cohort).map_err(|_| StoreError::damaged("cohort"))?;
        self.write(|db| {
            let counted = "SELECT COUNT(*) FROM remedy_requests WHERE hub = ?1 AND subject = ?2 AND scored = 1";
            let counted: i64 = db.one(counted, (request.hub.as_str(), request.subject.as_str()))?.get(0)?;
            let counts = counted < i64::from(most);
            if mark(db, request, if counts { 1 } else { 2 })? && counts {
                let scores = add(db.value("SELECT scores FROM tie_scores WHERE cohort = ?1", [cohort])?)?;
                let insert = "INSERT INTO tie_scores (cohort, scores) VALUES (?1, ?2) \
                              ON CONFLICT (cohort) DO UPDATE SET scores = excluded.scores";
                db.execute(insert, (cohort, &scores))?;
            }
            Ok(())
        })
    }

    /// The scores of a cohort, if anything was added to them.
    pub(crate) fn scores(&self, cohort: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let cohort = i64::try_from(cohort).map_err(|_| StoreError::damaged("cohort"))?;
        self.look(|db| db.value("SELECT scores FROM tie_scores WHERE cohort = ?1", [cohort]))
    }

    /// The number of an account among those whose scores are kept, if it has one.
    pub(crate) fn seat_of(&self, account: AccountId) -> Result<Option<u64>, StoreError> {
        self.look(|db| db.value("SELECT seat FROM tie_seats WHERE account = ?1", [account.number()]))
    }
}

/// Marks a request as looked at; `false` if it was.
fn mark(db: Db<'_>, request: &Unscored, how: i64) -> Result<bool, StoreError> {
    let update = "UPDATE remedy_requests SET scored = ?3 WHERE hub = ?1 AND id = ?2 AND scored = 0";
    Ok(db.execute(update, (request.hub.as_str(), &request.id, how))? > 0)
}

fn unscored(row: &Row) -> Result<Unscored, StoreError> {
    let (hub, subject): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(Unscored {
        hub: parsed(&hub, "hub")?,
        id: row.get(1)?,
        subject: parsed(&subject, "subject")?,
        with_evidence: row.get(3)?,
    })
}
