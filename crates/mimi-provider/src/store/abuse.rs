//! What speaks against users of this hub's rooms, the messages that show it, and what was decided.

use mimi_abuse::signal::{Fact, SignalKind, Source, Step};
use mimi_pseudonym::{RoomUri, Timestamp, UserUri};
use rusqlite::{Connection, Row};

use super::{Hash, Store, StoreError, millis, parsed, timestamp};

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

/// Something that was decided and waits to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decided {
    pub(crate) subject: UserUri,
    pub(crate) room: RoomUri,
    pub(crate) remedy: String,
    pub(crate) hours: u32,
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
                (subject.as_str(), kind.name(), source.domain.as_str(), &source.tag, room, millis(*at)),
            )?;
            for Evidence { reference, room, message, accepted } in evidence {
                db.execute(
                    "INSERT INTO abuse_evidence (reference, subject, room, message, at) SELECT ?1, ?2, ?3, ?4, ?5 \
                     WHERE (SELECT COUNT(*) FROM abuse_evidence WHERE subject = ?2) < ?6 \
                     ON CONFLICT (reference) DO NOTHING",
                    (reference, subject.as_str(), room.as_str(), message, millis(*accepted), EVIDENCE_MAX),
                )?;
            }
            facts(db, subject)
        })
    }

    /// Every fact about a user.
    pub(crate) fn facts(&self, subject: &UserUri) -> Result<Vec<Fact>, StoreError> {
        self.read(|db| facts(db, subject))
    }

    /// The messages that are kept of a user as evidence, the latest first; at most so many.
    pub(crate) fn evidence(&self, subject: &UserUri, most: u16) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT message FROM abuse_evidence WHERE subject = ?1 ORDER BY at DESC LIMIT ?2")?;
            Ok(query.query_map((subject.as_str(), most), |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
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
                (
                    subject.as_str(),
                    room.as_str(),
                    step.remedy.name(),
                    step.hours.unwrap_or_default(),
                    explanation,
                    millis(now),
                ),
            )?;
            Ok(new > 0)
        })
    }

    /// What was decided and has not been carried out.
    pub(crate) fn undone_decisions(&self) -> Result<Vec<Decided>, StoreError> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT subject, room, remedy, hours FROM abuse_decisions WHERE done_at = 0 ORDER BY decided_at",
            )?;
            let rows: Vec<(String, String, String, u32)> = query
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                .collect::<Result<_, _>>()?;
            let decided = |(subject, room, remedy, hours): (String, String, String, u32)| {
                Ok(Decided { subject: parsed(&subject, "user")?, room: parsed(&room, "room")?, remedy, hours })
            };
            rows.into_iter().map(decided).collect()
        })
    }

    /// A decision was carried out.
    pub(crate) fn decision_done(&self, decided: &Decided, now: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute(
                "UPDATE abuse_decisions SET done_at = ?5 WHERE subject = ?1 AND room = ?2 AND remedy = ?3 AND hours = ?4",
                (decided.subject.as_str(), decided.room.as_str(), &decided.remedy, decided.hours, millis(now)),
            )?;
            Ok(())
        })
    }

    /// Forgets facts, evidence and decisions from before a time.
    pub(crate) fn forget_abuse(&self, before: Timestamp) -> Result<(), StoreError> {
        self.write(|db| {
            db.execute("DELETE FROM abuse_facts WHERE at < ?1", [millis(before)])?;
            db.execute("DELETE FROM abuse_evidence WHERE at < ?1", [millis(before)])?;
            db.execute("DELETE FROM abuse_decisions WHERE done_at > 0 AND decided_at < ?1", [millis(before)])?;
            Ok(())
        })
    }
}

fn facts(db: &Connection, subject: &UserUri) -> Result<Vec<Fact>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT kind, domain, tag, room, at FROM abuse_facts WHERE subject = ?1 ORDER BY at")?;
    let rows: Vec<_> = query.query_map([subject.as_str()], row)?.collect::<Result<_, _>>()?;
    let fact = |(kind, domain, tag, room, at): (String, String, Hash, String, i64)| {
        Ok(Fact {
            kind: SignalKind::from_name(&kind).ok_or(StoreError::damaged("kind"))?,
            room: if room.is_empty() { None } else { Some(parsed(&room, "room")?) },
            source: Source { domain: parsed(&domain, "domain")?, tag },
            at: timestamp(at),
        })
    };
    rows.into_iter().map(fact).collect()
}

fn row(row: &Row<'_>) -> rusqlite::Result<(String, String, Hash, String, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}
