//! What speaks against users of this hub's rooms, the messages that show it, and what was decided.

use mimi_abuse::signal::{Fact, SignalKind, Source, Step};
use mimi_pseudonym::{RoomUri, Timestamp, UserUri};

use super::{
    Hash, Store, StoreError,
    database::{Db, Row},
    parsed, timestamp,
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

impl Store {
    /// Adds a fact and the messages that show it, and gives back every fact about the user. A fact of the same kind and
    /// source takes the place of an earlier one.
    pub(crate) fn note_fact(
        &self,
        subject: &UserUri,
        fact: &Fact,
        evidence: &[Evidence],
    ) -> Result<Vec<Fact>, StoreError> {
        self.write(|db| {
            let Fact { kind, room, source, at } = fact;
            let room = room.as_ref().map(RoomUri::as_str).unwrap_or_default();
            db.execute(
                "INSERT INTO abuse_facts (subject, kind, domain, tag, room, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (subject, kind, domain, tag) DO UPDATE SET room = excluded.room, at = excluded.at",
                (subject.as_str(), kind.name(), source.domain.as_str(), &source.tag, room, *at),
            )?;
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
            facts(db, subject)
        })
    }

    /// Every fact about a user.
    pub(crate) fn facts(&self, subject: &UserUri) -> Result<Vec<Fact>, StoreError> {
        self.read(|db| facts(db, subject))
    }

    /// Writes down a decision, once for each user, room and step. Returns whether it is new.
    pub(crate) fn decide(
        &self,
        subject: &UserUri,
        room: &RoomUri,
        step: &Step,
        explanation: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|db| {
            let new = db.execute(
                "INSERT INTO abuse_decisions (subject, room, remedy, hours, explanation, decided_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (subject, room, remedy, hours) DO NOTHING",
                (subject.as_str(), room.as_str(), step.remedy.name(), step.hours.unwrap_or_default(), explanation, now),
            )?;
            Ok(new > 0)
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

fn facts(db: Db<'_>, subject: &UserUri) -> Result<Vec<Fact>, StoreError> {
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
