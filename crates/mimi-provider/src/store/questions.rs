//! Questions about encrypted scores of accounts, what came of them, and what accounts get by their reputation.

use std::collections::BTreeSet;

use mimi_pseudonym::{Timestamp, UserUri};

use super::{
    AccountId, Store, StoreError,
    database::{Db, Row},
    next_number, parsed, timestamp,
};

/// What a score is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Complaints,
    Reputation,
}

/// A question that operators were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asking {
    pub(crate) number: u64,
    pub(crate) account: AccountId,
    pub(crate) user: UserUri,
    pub(crate) about: About,
    pub(crate) question: Vec<u8>,
    pub(crate) asked_at: Timestamp,
    pub(crate) answer: Option<Answered>,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) reached: bool,
    /// In the round in which everything is proved.
    pub(crate) confirmed: bool,
}

impl About {
    const fn code(self) -> i64 {
        match self {
            Self::Complaints => 1,
            Self::Reputation => 2,
        }
    }
}

const ASKING: &str = "SELECT q.number, q.account, a.user_uri, q.about, q.question, q.asked_at, q.answer, q.round \
                      FROM tie_questions q JOIN accounts a ON a.id = q.account";

impl Store {
    /// Keeps a question; returns its number, counted from 0.
    pub(crate) fn keep_question(
        &self,
        account: AccountId,
        about: About,
        question: &[u8],
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write(|db| {
            let number = next_number(db, "question")?;
            let insert =
                "INSERT INTO tie_questions (number, account, about, question, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)";
            db.execute(insert, (number, account.0, about.code(), question, now))?;
            u64::try_from(number).map_err(|_| StoreError::damaged("number"))
        })
    }

    /// All questions, in the order in which they were asked.
    pub(crate) fn questions(&self) -> Result<Vec<Asking>, StoreError> {
        self.look(|db| db.rows(&format!("{ASKING} ORDER BY q.number"), [0_i64; 0])?.iter().map(asking).collect())
    }

    /// The question of a number.
    pub(crate) fn question(&self, number: u64) -> Result<Option<Asking>, StoreError> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        self.look(|db| db.row(&format!("{ASKING} WHERE q.number = ?1"), [number])?.as_ref().map(asking).transpose())
    }

    /// Keeps what came of a question. What was proved is not replaced by what was not. Where it was asked about a reputation,
    /// the account does not wait any more, and gets so many `more` if the threshold is reached.
    pub(crate) fn answer_question(&self, number: u64, answer: Answered, more: u32) -> Result<(), StoreError> {
        let number = i64::try_from(number).map_err(|_| StoreError::damaged("number"))?;
        self.write(|db| {
            let update = "UPDATE tie_questions SET answer = ?2, round = ?3 WHERE number = ?1 AND round <= ?3";
            let (reached, round) = (1 + i64::from(answer.reached), 1 + i64::from(answer.confirmed));
            if db.execute(update, (number, reached, round))? == 0 {
                return Ok(());
            }
            let row = db.one("SELECT account, about FROM tie_questions WHERE number = ?1", [number])?;
            let (account, about): (i64, i64) = (row.get(0)?, row.get(1)?);
            if about != About::Reputation.code() {
                return Ok(());
            }
            db.execute("DELETE FROM tie_waiting WHERE account = ?1", [account])?;
            if answer.reached {
                let insert = "INSERT INTO tie_granted (account, more) VALUES (?1, ?2) \
                              ON CONFLICT (account) DO UPDATE SET more = excluded.more";
                db.execute(insert, (account, more))?;
            } else {
                db.execute("DELETE FROM tie_granted WHERE account = ?1", [account])?;
            }
            Ok(())
        })
    }

    /// Notes that an account has asked for more than its quota, unless it gets more already.
    pub(crate) fn wants_more(&self, account: AccountId) -> Result<(), StoreError> {
        self.write(|db| {
            if granted(db, account)? == 0 {
                let insert = "INSERT INTO tie_waiting (account) VALUES (?1) ON CONFLICT (account) DO NOTHING";
                db.execute(insert, [account.0])?;
            }
            Ok(())
        })
    }

    /// The accounts that wait until their reputation was asked about, by name.
    pub(crate) fn who_wants_more(&self) -> Result<Vec<UserUri>, StoreError> {
        let question = "SELECT a.user_uri FROM tie_waiting w JOIN accounts a ON a.id = w.account ORDER BY 1";
        self.look(|db| {
            let names: Vec<String> = db.column(question, [0_i64; 0])?;
            names.iter().map(|name| parsed(name, "user")).collect()
        })
    }

    /// The encrypted reputations of a cohort, if anything was counted.
    pub(crate) fn reputations(&self, cohort: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let cohort = i64::try_from(cohort).map_err(|_| StoreError::damaged("cohort"))?;
        self.look(|db| db.value("SELECT scores FROM tie_reputations WHERE cohort = ?1", [cohort]))
    }

    /// The period up to whose beginning conduct was counted; 0 if it never was.
    pub(crate) fn conduct_counted(&self) -> Result<u64, StoreError> {
        self.look(|db| db.one("SELECT newest FROM numbers WHERE kind = 'conduct'", [0_i64; 0])?.get(0))
    }

    /// Stores the reputations of cohorts with what was counted from the beginning of one period to that of another; `false`,
    /// with nothing stored, if another process has counted meanwhile.
    pub(crate) fn count_conduct(&self, from: u64, to: u64, counted: &[(u64, Vec<u8>)]) -> Result<bool, StoreError> {
        let number = |number: u64| i64::try_from(number).map_err(|_| StoreError::damaged("period"));
        let (from, to) = (number(from)?, number(to)?);
        self.write(|db| {
            let update = "UPDATE numbers SET newest = ?2 WHERE kind = 'conduct' AND newest = ?1";
            if db.execute(update, (from, to))? == 0 {
                return Ok(false);
            }
            for (cohort, scores) in counted {
                let insert = "INSERT INTO tie_reputations (cohort, scores) VALUES (?1, ?2) \
                              ON CONFLICT (cohort) DO UPDATE SET scores = excluded.scores";
                db.execute(insert, (number(*cohort)?, scores))?;
            }
            Ok(true)
        })
    }

    /// The users about whom hubs have asked for something between two moments, reversals aside.
    pub(crate) fn complained_about(&self, from: Timestamp, to: Timestamp) -> Result<BTreeSet<UserUri>, StoreError> {
        let question = "SELECT DISTINCT subject FROM remedy_requests \
                        WHERE wanted > 0 AND received_at >= ?1 AND received_at < ?2";
        self.look(|db| {
            let names: Vec<String> = db.column(question, (from, to))?;
            names.iter().map(|name| parsed(name, "subject")).collect()
        })
    }
}

/// What an account gets beyond its quota in each period.
pub(super) fn granted(db: Db<'_>, account: AccountId) -> Result<i64, StoreError> {
    Ok(db.value("SELECT more FROM tie_granted WHERE account = ?1", [account.0])?.unwrap_or_default())
}

fn asking(row: &Row) -> Result<Asking, StoreError> {
    let (user, about): (String, i64) = (row.get(2)?, row.get(3)?);
    let about = [About::Complaints, About::Reputation].into_iter().find(|one| one.code() == about);
    let (answer, round): (i64, i64) = (row.get(6)?, row.get(7)?);
    Ok(Asking {
        number: row.get(0)?,
        account: AccountId(row.get(1)?),
        user: parsed(&user, "user")?,
        about: about.ok_or_else(|| StoreError::damaged("about"))?,
        question: row.get(4)?,
        asked_at: timestamp(row.get(5)?),
        answer: (answer > 0).then_some(Answered { reached: answer == 2, confirmed: round == 2 }),
    })
}
