//! What a home provider has decided about accounts of its own, which of them it knows to be related, and what users say
//! against it.

use mimi_abuse::remedy::HomeRemedy;
use mimi_pseudonym::{Timestamp, UserUri};
use mimi_wire::local::{AppealState, Standing, StandingRemedy};

use super::{
    AccountId, Store, StoreError,
    database::{Db, Row},
    next_number, parsed,
    remedies::names,
    timestamp,
};

/// About whom something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Hubs have asked about this account.
    Asked(AccountId),
    /// The operator has decided about this account.
    Operator(AccountId),
}

impl Cause {
    fn number(self) -> i64 {
        match self {
            Self::Asked(account) => account.number(),
            Self::Operator(_) => 0,
        }
    }
}

/// What is done about an account, and why. The explanation names no user.
#[derive(Clone)]
pub(crate) struct Decision<'a> {
    pub(crate) account: AccountId,
    pub(crate) remedy: HomeRemedy,
    pub(crate) explanation: String,
    /// Draws for each name of the account the moment from which on it shows.
    pub(crate) moments: &'a Moments<'a>,
}

/// Draws a moment for each of some names.
pub(crate) type Moments<'a> = dyn Fn(Vec<UserUri>) -> Vec<(UserUri, Timestamp)> + 'a;

/// A decision or an appeal, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AboutAccount {
    pub(crate) user: UserUri,
    pub(crate) remedy: Option<HomeRemedy>,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

impl Store {
    /// Writes down what was decided for one cause: in place of all that was decided for it before, about whatever accounts.
    /// A name that has its moment already keeps it.
    pub(crate) fn decide_about(
        &self,
        cause: Cause,
        decisions: &[Decision<'_>],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|db| {
            let before = match cause {
                Cause::Operator(account) => vec![account.number()],
                Cause::Asked(account) => caused_by(db, account)?,
            };
            for account in before.into_iter().map(AccountId) {
                let delete = "DELETE FROM account_decisions WHERE account = ?1 AND cause = ?2";
                db.execute(delete, (account.number(), cause.number()))?;
                if !decisions.iter().any(|decision| decision.account == account) {
                    follow(db, account)?;
                }
            }
            for Decision { account, remedy, explanation, moments } in decisions {
                db.execute(
                    "INSERT INTO account_decisions (account, cause, remedy, explanation, decided_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (account, cause) DO UPDATE SET remedy = excluded.remedy, \
                     explanation = excluded.explanation, decided_at = excluded.decided_at",
                    (account.number(), cause.number(), remedy.name(), explanation, now),
                )?;
                // Whatever names it has by now: no more come to it from here on.
                for (name, due_at) in moments(names(db, *account)?) {
                    let insert = "INSERT INTO silenced_users (subject, due_at) VALUES (?1, ?2) \
                                  ON CONFLICT (subject) DO NOTHING";
                    db.execute(insert, (name.as_str(), due_at))?;
                }
                follow(db, *account)?;
            }
            Ok(())
        })
    }

    /// Whether something was decided about an account.
    pub(crate) fn is_suspended(&self, account: AccountId) -> Result<bool, StoreError> {
        self.look(|db| is_suspended(db, account))
    }

    /// The account of this name, if there is one.
    pub(crate) fn account_named(&self, user: &UserUri) -> Result<Option<AccountId>, StoreError> {
        let question = "SELECT id FROM accounts WHERE user_uri = ?1";
        Ok(self.look(|db| db.value(question, [user.as_str()]))?.map(AccountId))
    }

    /// The accounts that the operator knows to be related to one, without itself.
    pub(crate) fn related(&self, account: AccountId) -> Result<Vec<AccountId>, StoreError> {
        let question = "SELECT o.account FROM related_accounts r JOIN related_accounts o ON o.circle = r.circle \
                        WHERE r.account = ?1 AND o.account <> ?1 ORDER BY o.account";
        let others: Vec<i64> = self.look(|db| db.column(question, [account.number()]))?;
        Ok(others.into_iter().map(AccountId).collect())
    }

    /// Marks accounts as related, each with all that one of them was related to before.
    pub(crate) fn relate(&self, accounts: &[AccountId]) -> Result<(), StoreError> {
        self.write(|db| {
            let circle = next_number(db, "circle")?;
            for account in accounts {
                let old = "SELECT circle FROM related_accounts WHERE account = ?1";
                if let Some(old) = db.value::<i64>(old, [account.number()])? {
                    db.execute("UPDATE related_accounts SET circle = ?2 WHERE circle = ?1", (old, circle))?;
                } else {
                    let insert = "INSERT INTO related_accounts (account, circle) VALUES (?1, ?2)";
                    db.execute(insert, (account.number(), circle))?;
                }
            }
            Ok(())
        })
    }

    /// An account is related to no other any more.
    pub(crate) fn unrelate(&self, account: AccountId) -> Result<(), StoreError> {
        let delete = "DELETE FROM related_accounts WHERE account = ?1";
        self.write(|db| db.execute(delete, [account.number()]).map(|_| ()))
    }

    /// Everything that is decided about accounts, by name.
    pub(crate) fn decided(&self) -> Result<Vec<AboutAccount>, StoreError> {
        self.look(|db| {
            let all = "SELECT a.user_uri, d.remedy, d.explanation, d.decided_at FROM account_decisions d \
                       JOIN accounts a ON a.id = d.account ORDER BY a.user_uri, d.decided_at";
            db.rows(all, [0_i64; 0])?.iter().map(decided).collect()
        })
    }

    /// The accounts that are to be deleted and whose last moment has come: none of their names is to go silent later, none
    /// has a client in a room any more, unless their hubs have not answered for months, and no appeal waits.
    pub(crate) fn accounts_at_their_end(
        &self,
        now: Timestamp,
        abandoned: Timestamp,
    ) -> Result<Vec<AccountId>, StoreError> {
        let doomed = "SELECT DISTINCT d.account FROM account_decisions d WHERE d.remedy = 'delete' \
                      AND NOT EXISTS (SELECT 1 FROM appeals p WHERE p.account = d.account AND p.state = 1)";
        self.read(|db| {
            let mut ended = Vec::new();
            for account in db.column::<i64>(doomed, [0_i64; 0])?.into_iter().map(AccountId) {
                let mut last = true;
                for name in names(db, account)? {
                    let later = "SELECT 1 FROM silenced_users WHERE subject = ?1 AND due_at > ?2";
                    let inside = "SELECT 1 FROM removals WHERE subject = ?1 AND begun_at > ?2";
                    last &= db.row(later, (name.as_str(), now))?.is_none()
                        && db.row(inside, (name.as_str(), abandoned))?.is_none();
                }
                if last {
                    ended.push(account);
                }
            }
            Ok(ended)
        })
    }

    /// How an account stands with its provider.
    pub(crate) fn standing(&self, account: AccountId) -> Result<Standing, StoreError> {
        self.read(|db| standing(db, account))
    }

    /// Keeps what a user says against what was decided, in place of what it has said before; nothing, if nothing was decided.
    /// What was refused or granted since the last decision stays so.
    pub(crate) fn appeal(&self, account: AccountId, text: &str, now: Timestamp) -> Result<Standing, StoreError> {
        self.write(|db| {
            let at = standing(db, account)?;
            if at.remedy != StandingRemedy::Nothing && matches!(at.appeal, AppealState::Nothing | AppealState::Open) {
                db.execute(
                    "INSERT INTO appeals (account, appeal, made_at, state) VALUES (?1, ?2, ?3, 1) ON CONFLICT (account) \
                     DO UPDATE SET appeal = excluded.appeal, made_at = excluded.made_at, state = 1",
                    (account.number(), text, now),
                )?;
            }
            standing(db, account)
        })
    }

    /// The appeals that wait, the oldest first.
    pub(crate) fn open_appeals(&self) -> Result<Vec<AboutAccount>, StoreError> {
        self.look(|db| {
            let all = "SELECT a.user_uri, CAST('' AS TEXT), p.appeal, p.made_at FROM appeals p JOIN accounts a ON a.id = p.account \
                       WHERE p.state = 1 ORDER BY p.made_at";
            db.rows(all, [0_i64; 0])?.iter().map(decided).collect()
        })
    }

    /// Answers the appeal of the first of these accounts; `false` if none waits. If it is granted, all that was decided
    /// about them is taken back, on related accounts too; what was asked about them until now weighs nothing any more; and they
    /// are related to no other.
    pub(crate) fn answer_appeal(&self, accounts: &[AccountId], granted: bool) -> Result<bool, StoreError> {
        let Some(own) = accounts.first() else { return Ok(false) };
        self.write(|db| {
            let answer = "UPDATE appeals SET state = ?2 WHERE account = ?1 AND state = 1";
            if db.execute(answer, (own.number(), if granted { 2 } else { 3_i64 }))? == 0 {
                return Ok(false);
            }
            for account in accounts.iter().filter(|_| granted) {
                let mut touched = caused_by(db, *account)?;
                touched.push(account.number());
                db.execute("DELETE FROM account_decisions WHERE account = ?1 OR cause = ?1", [account.number()])?;
                db.execute("DELETE FROM related_accounts WHERE account = ?1", [account.number()])?;
                for name in names(db, *account)? {
                    let aside = "UPDATE remedy_requests SET decided = 2 WHERE subject = ?1";
                    db.execute(aside, [name.as_str()])?;
                }
                touched.into_iter().try_for_each(|account| follow(db, AccountId(account)))?;
            }
            Ok(true)
        })
    }
}

pub(super) fn is_suspended(db: Db<'_>, account: AccountId) -> Result<bool, StoreError> {
    let question = "SELECT 1 FROM account_decisions WHERE account = ?1 LIMIT 1";
    Ok(db.row(question, [account.number()])?.is_some())
}

/// The accounts about which something was decided because of what was asked about one.
fn caused_by(db: Db<'_>, account: AccountId) -> Result<Vec<i64>, StoreError> {
    db.column("SELECT account FROM account_decisions WHERE cause = ?1", [account.number()])
}

/// Makes what shows follow what is decided about an account: its names go silent at their moments, and leave their rooms if
/// that is meant; or they do not any more.
fn follow(db: Db<'_>, account: AccountId) -> Result<(), StoreError> {
    let harshest = harshest(db, account)?;
    for name in names(db, account)? {
        match harshest {
            Some((remedy, _)) => {
                let leaves = remedy >= HomeRemedy::Remove;
                db.execute("UPDATE silenced_users SET leaves = ?2 WHERE subject = ?1", (name.as_str(), leaves))?;
                if leaves {
                    continue;
                }
            }
            None => {
                db.execute("DELETE FROM silenced_users WHERE subject = ?1", [name.as_str()])?;
            }
        }
        db.execute("DELETE FROM removals WHERE subject = ?1", [name.as_str()])?;
    }
    Ok(())
}

/// The harshest of all that is decided about an account, and when the newest of it was.
fn harshest(db: Db<'_>, account: AccountId) -> Result<Option<(HomeRemedy, Timestamp)>, StoreError> {
    let all = "SELECT remedy, decided_at FROM account_decisions WHERE account = ?1";
    let mut harshest: Option<(HomeRemedy, Timestamp)> = None;
    for row in db.rows(all, [account.number()])? {
        let remedy = HomeRemedy::from_name(&row.get::<String>(0)?).ok_or_else(|| StoreError::damaged("remedy"))?;
        let at = timestamp(row.get(1)?);
        harshest = Some(harshest.map_or((remedy, at), |(other, when)| (other.max(remedy), when.max(at))));
    }
    Ok(harshest)
}

fn standing(db: Db<'_>, account: AccountId) -> Result<Standing, StoreError> {
    let decided = harshest(db, account)?;
    let appeal = db.row("SELECT state, made_at FROM appeals WHERE account = ?1", [account.number()])?;
    let appeal = match &appeal {
        Some(row) => match (row.get::<i64>(0)?, decided) {
            (1, _) => AppealState::Open,
            // About something that was decided anew since, an appeal may be made anew.
            (_, Some((_, at))) if at > timestamp(row.get(1)?) => AppealState::Nothing,
            (2, _) => AppealState::Granted,
            _ => AppealState::Refused,
        },
        None => AppealState::Nothing,
    };
    let remedy = match decided {
        None => StandingRemedy::Nothing,
        Some((HomeRemedy::Suspend, _)) => StandingRemedy::Suspended,
        Some((HomeRemedy::Remove, _)) => StandingRemedy::Removed,
        Some((HomeRemedy::Delete, _)) => StandingRemedy::Deleted,
    };
    Ok(Standing { remedy, since: decided.map_or(Timestamp::default(), |(_, at)| at), appeal })
}

fn decided(row: &Row) -> Result<AboutAccount, StoreError> {
    let (user, remedy): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(AboutAccount {
        user: parsed(&user, "user")?,
        remedy: HomeRemedy::from_name(&remedy),
        text: row.get(2)?,
        at: timestamp(row.get(3)?),
    })
}
