//! What speaks against users of this hub's rooms, the messages that show it, and what was decided.

use std::time::Duration;

use mimi_abuse::{
    remedy::{RemedyRequest, RemedyRequestTbs},
    signal::{Fact, Remedy as StepRemedy, SignalKind, Source, Step},
};
use mimi_pseudonym::{CipherSuite, RoomUri, SigningKey, Timestamp, UserUri};
use mimi_wire::{AbusiveMessage, Wire};

use super::{
    Hash, Store, StoreError,
    database::{Db, Row},
    parsed,
    remedies::{ask, requested},
    timestamp,
};

/// Messages that are kept of one user as evidence.
const EVIDENCE_MAX: i64 = 32;

/// A message as evidence: what makes it that message, and the message as a report shows it.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    pub(crate) reference: Hash,
    pub(crate) room: RoomUri,
    pub(crate) message: Vec<u8>,
    pub(crate) accepted: Timestamp,
}

/// What is to be decided about a user, by all that speaks against it.
pub(crate) struct Verdict {
    pub(crate) step: Step,
    pub(crate) explanation: String,
    /// What the user's provider is asked for, if that is part of it.
    pub(crate) asks: Option<Asks>,
}

/// Says what is to be decided about a user. It is asked in the transaction in which a fact is stored, perhaps several times.
pub(crate) type Judge<'a> = dyn Fn(&UserUri, &[Fact]) -> Option<Verdict> + Send + 'a;

/// A request for a remedy that is to be signed, once the messages are known that it shows.
pub(crate) struct Asks {
    pub(crate) tbs: RemedyRequestTbs,
    /// So many messages at most.
    pub(crate) shows: u16,
    pub(crate) suite: CipherSuite,
    pub(crate) key: SigningKey,
    /// When it goes out.
    pub(crate) due_at: Timestamp,
}

/// Something that was decided and waits to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided {
    pub(crate) subject: UserUri,
    pub(crate) room: RoomUri,
    pub(crate) remedy: String,
    pub(crate) hours: u32,
}

impl Store {
    /// Adds a fact that nothing is decided from. A fact of the same kind and source takes the place of an earlier one.
    pub(crate) fn note_fact(&self, subject: &UserUri, fact: &Fact) -> Result<(), StoreError> {
        self.write(|db| note(db, subject, fact))
    }

    /// Adds a fact and the messages that show it, and decides in the same transaction from all that speaks against the user: of
    /// two facts that come at once, one is decided from before the other is known. Gives what was decided that was not before.
    pub(crate) fn weigh(
        &self,
        subject: &UserUri,
        room: &RoomUri,
        fact: &Fact,
        evidence: &[Evidence],
        judge: &Judge<'_>,
    ) -> Result<Option<StepRemedy>, StoreError> {
        self.write(|db| {
            for Evidence { reference, room, message, accepted } in evidence {
                let kept = "SELECT COUNT(*) FROM abuse_evidence WHERE subject = ?1";
                if db.one(kept, [subject.as_str()])?.get::<i64>(0)? >= EVIDENCE_MAX {
                    break;
                }
                db.execute(
                    "INSERT INTO abuse_evidence (reference, subject, room, message, at) VALUES (?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT (reference) DO NOTHING",
                    (reference, subject.as_str(), room.as_str(), message, *accepted),
                )?;
            }
            note_and_decide(db, subject, room, fact, judge)
        })
    }

    /// Every fact about a user.
    pub(crate) fn facts(&self, subject: &UserUri) -> Result<Vec<Fact>, StoreError> {
        self.read(|db| facts(db, subject))
    }

    /// The messages that are kept of a user as evidence, the latest first; at most so many.
    #[cfg(test)]
    pub(crate) fn evidence(&self, subject: &UserUri, most: u16) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|db| evidence(db, subject, most))
    }

    /// What was decided and has not been carried out.
    pub(crate) fn undone_decisions(&self) -> Result<Vec<Decided>, StoreError> {
        self.read(|db| {
            let undone =
                "SELECT subject, room, remedy, hours FROM abuse_decisions WHERE done_at = 0 AND remedy <> 'mute' \
                 ORDER BY decided_at LIMIT 64";
            db.rows(undone, [0_i64; 0])?.iter().map(decided).collect()
        })
    }

    /// A decision was carried out.
    pub(crate) fn decision_done(&self, decided: &Decided, now: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute(
                "UPDATE abuse_decisions SET done_at = ?5 WHERE subject = ?1 AND room = ?2 AND remedy = ?3 AND hours = ?4",
                (decided.subject.as_str(), decided.room.as_str(), &decided.remedy, decided.hours, now),
            )?;
            Ok(())
        })
    }

    /// Whether anything was decided about a user in a room, and until when a ban for a time lasts, if there is one.
    pub(crate) fn decided_about(&self, subject: &UserUri, room: &RoomUri) -> Result<Option<Timestamp>, StoreError> {
        self.look(|db| decided_about(db, subject, room))
    }

    /// Whether it was decided to ban a user from a room, or more than that.
    pub(crate) fn decided_to_ban(&self, subject: &UserUri, room: &RoomUri) -> Result<bool, StoreError> {
        let question =
            "SELECT 1 FROM abuse_decisions WHERE subject = ?1 AND room = ?2 AND remedy NOT IN ('mute', 'kick')";
        self.look(|db| Ok(db.row(question, (subject.as_str(), room.as_str()))?.is_some()))
    }

    /// Forgets all that speaks against a user and all that was decided. If its provider was asked for anything, it is asked to
    /// take that back. Returns whether it was.
    pub(crate) fn pardon(&self, subject: &UserUri, reversal: &Asks) -> Result<bool, StoreError> {
        self.write(|db| {
            let asked = "SELECT 1 FROM abuse_decisions WHERE subject = ?1 AND remedy LIKE 'ask%'";
            let asked = db.row(asked, [subject.as_str()])?.is_some();
            for table in ["abuse_facts", "abuse_evidence", "abuse_decisions"] {
                db.execute(&format!("DELETE FROM {table} WHERE subject = ?1"), [subject.as_str()])?;
            }
            if asked {
                put(db, reversal)?;
            }
            Ok(asked)
        })
    }

    /// Forgets facts, evidence and decisions from before a time.
    pub(crate) fn forget_abuse(&self, before: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("DELETE FROM abuse_facts WHERE at < ?1", [before])?;
            db.execute("DELETE FROM abuse_evidence WHERE at < ?1", [before])?;
            db.execute("DELETE FROM abuse_decisions WHERE done_at > 0 AND decided_at < ?1", [before])?;
            Ok(())
        })
    }
}

/// Until when a decision about a user in a room holds, if there is one.
pub(super) fn decided_about(db: Db<'_>, subject: &UserUri, room: &RoomUri) -> Result<Option<Timestamp>, StoreError> {
    let all = "SELECT decided_at, hours FROM abuse_decisions WHERE subject = ?1 AND room = ?2";
    let mut until = None;
    for row in db.rows(all, (subject.as_str(), room.as_str()))? {
        let hours = Duration::from_secs(row.get::<u64>(1)?.saturating_mul(3600));
        until = until.max(Some(timestamp(row.get(0)?).after(hours)));
    }
    Ok(until)
}

/// Adds a fact about a user, in the transaction of what it is about, and decides from all that speaks against the user: each
/// step once for each user and room. Gives what was decided that was not before.
pub(super) fn note_and_decide(
    db: Db<'_>,
    subject: &UserUri,
    room: &RoomUri,
    fact: &Fact,
    judge: &Judge<'_>,
) -> Result<Option<StepRemedy>, StoreError> {
    note(db, subject, fact)?;
    let Some(Verdict { step, explanation, asks }) = judge(subject, &facts(db, subject)?) else { return Ok(None) };
    let (remedy, hours) = (step.remedy.name(), step.hours.unwrap_or_default());
    let new = db.execute(
        "INSERT INTO abuse_decisions (subject, room, remedy, hours, explanation, decided_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (subject, room, remedy, hours) DO NOTHING",
        (subject.as_str(), room.as_str(), remedy, hours, &explanation, fact.at),
    )?;
    if new == 0 {
        return Ok(None);
    }
    if let Some(asks) = asks {
        put(db, &asks)?;
    }
    Ok(Some(step.remedy))
}

/// Signs a request with the messages that are kept, and puts it on its way; if the user is one of ours, where it arrives.
fn put(db: Db<'_>, asks: &Asks) -> Result<(), StoreError> {
    let mut tbs = asks.tbs.clone();
    let shown = evidence(db, &tbs.subject, asks.shows)?;
    tbs.evidence = shown.iter().filter_map(|message| AbusiveMessage::decode(message).ok()).collect();
    let (own, at) = (tbs.subject.domain() == &tbs.hub, tbs.made_at);
    let request = RemedyRequest::sign(tbs, asks.suite, &asks.key);
    let request = request.map_err(|_| StoreError::damaged("a request for a remedy"))?;
    if own { requested(db, &request, u32::MAX, at).map(drop) } else { ask(db, &request, asks.due_at) }
}

fn evidence(db: Db<'_>, subject: &UserUri, most: u16) -> Result<Vec<Vec<u8>>, StoreError> {
    let latest = "SELECT message FROM abuse_evidence WHERE subject = ?1 ORDER BY at DESC LIMIT ?2";
    db.column(latest, (subject.as_str(), most))
}

/// Adds a fact about a user, in the transaction of what it is about.
pub(super) fn note(db: Db<'_>, subject: &UserUri, fact: &Fact) -> Result<(), StoreError> {
    let Fact { kind, room, source, at } = fact;
    let room = room.as_ref().map(RoomUri::as_str).unwrap_or_default();
    db.execute(
        "INSERT INTO abuse_facts (subject, kind, domain, tag, room, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (subject, kind, domain, tag) DO UPDATE SET room = excluded.room, at = excluded.at",
        (subject.as_str(), kind.name(), source.domain.as_str(), &source.tag, room, *at),
    )?;
    Ok(())
}

pub(super) fn facts(db: Db<'_>, subject: &UserUri) -> Result<Vec<Fact>, StoreError> {
    let all = "SELECT kind, domain, tag, room, at FROM abuse_facts WHERE subject = ?1 ORDER BY at";
    db.rows(all, [subject.as_str()])?.iter().map(fact).collect()
}

fn fact(row: &Row) -> Result<Fact, StoreError> {
    let (kind, domain, room): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
    Ok(Fact {
        kind: SignalKind::from_name(&kind).ok_or_else(|| StoreError::damaged("kind"))?,
        room: if room.is_empty() { None } else { Some(parsed(&room, "room")?) },
        source: Source { domain: parsed(&domain, "domain")?, tag: row.get(2)? },
        at: timestamp(row.get(4)?),
    })
}

fn decided(row: &Row) -> Result<Decided, StoreError> {
    let (subject, room): (String, String) = (row.get(0)?, row.get(1)?);
    let hours = u32::try_from(row.get::<u64>(3)?).map_err(|_| StoreError::damaged("hours"))?;
    Ok(Decided { subject: parsed(&subject, "user")?, room: parsed(&room, "room")?, remedy: row.get(2)?, hours })
}
