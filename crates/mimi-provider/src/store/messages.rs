//! A message on its way into a room of this hub: everything that is looked up about it and everything that is stored of it
//! is one transition.

use std::collections::BTreeSet;

use mimi_abuse::signal::{Fact, Remedy as StepRemedy};
use mimi_pseudonym::{ClientUri, Domain, RoomUri, Timestamp, UserUri};

use super::{
    AccountId, Device, Hash, Store, StoreError, Wake,
    abuse::{Judge, decided_about, facts, note, note_and_decide},
    accounts::profile,
    database::{Db, Isolation, Row, Statement},
    delivery::WAITS,
    live::Mail,
    mail::{OPEN, append, devices_of, hold_room, put_in_inboxes_of},
    remedies::is_silenced,
    timestamp,
    waiting::{count_message, sent_by_guest},
};

/// What has to be stored before a message is acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct MessageRecord {
    pub(crate) room: RoomUri,
    pub(crate) sender: UserUri,
    /// The device that sends it, if it is one of ours.
    pub(crate) device: Option<Device>,
    pub(crate) hash: Hash,
    pub(crate) accepted: Timestamp,
    /// The room's epoch in which it was judged.
    pub(crate) epoch: u64,
    pub(crate) outbox: Vec<(Domain, Vec<u8>)>,
    /// What our devices get.
    pub(crate) body: Vec<u8>,
    /// Those of our clients in the room who get it, if not all do.
    pub(crate) receivers: Option<Vec<ClientUri>>,
    /// How many messages the sender may send, if it is a guest.
    pub(crate) limit: Option<u32>,
    /// How many times proposals were added in the epoch, and how often the room has gone back, if it has to be the same still:
    /// where other processes write, too.
    pub(crate) version: Option<(i64, i64)>,
    /// What it says about users that there is one message more.
    pub(crate) too_often: TooOften,
}

/// That users send faster than people do: noted with the message by which they do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TooOften {
    /// Against the sender, as the rooms of this hub know it.
    pub(crate) sender: Option<Fact>,
    /// Against the account of the device that sends it.
    pub(crate) account: Option<Fact>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Submitted {
    /// It is stored; and perhaps it was decided to do something about its sender.
    Accepted(Wake, Option<StepRemedy>),
    /// It was accepted before, at that time.
    Before(Timestamp),
    /// The device is not in the room.
    UnknownRoom,
    /// The sender is not the device's.
    ForeignUser,
    /// The sender's provider lets nothing out under this name any more.
    Silenced,
    /// The sender may not send to the room at this moment.
    NotAllowed,
}

impl Store {
    /// Stores an application message that a hub takes, if what is known of its sender does not stand against it. Handed over
    /// before this returns.
    ///
    /// # Errors
    /// [`StoreError::is_stale`] if the room is no longer in that epoch, or another process has accepted this message at the
    /// same time: nothing is stored then.
    pub(crate) fn submit(
        &self,
        record: MessageRecord,
        judge: Box<Judge<'static>>,
    ) -> impl Future<Output = Result<Submitted, StoreError>> + Send + 'static {
        // The message alone holds what it depends on. From what is said of users is decided as if nothing else went on.
        let alone = record.too_often.sender.is_some();
        let isolation = if alone { Isolation::Serializable } else { Isolation::Locking };
        self.soon(isolation, move |db| submit(db, &record, &*judge))
    }

    /// What stands against it that a device of ours sends something to a room of another hub.
    pub(crate) fn may_speak(
        &self,
        device: &Device,
        room: &RoomUri,
        sender: &UserUri,
        now: Timestamp,
    ) -> Result<Option<Submitted>, StoreError> {
        let Statement { sql, params, .. } = standing(device, room, sender, now);
        self.look(|db| against(device, &db.one(sql, params.as_slice())?))
    }

    /// Whether the moment has come from which on nothing is sent under a name.
    pub(crate) fn is_silenced(&self, user: &UserUri, now: Timestamp) -> Result<bool, StoreError> {
        self.look(|db| is_silenced(db, user, now))
    }

    #[cfg(test)]
    pub(crate) fn submit_now(&self, record: &MessageRecord) -> Result<Submitted, StoreError> {
        self.write_holding(|db| submit(db, record, &|_: &UserUri, _: &[Fact]| None))
    }
}

#[cfg(test)]
impl Store {
    pub(crate) fn sent_by_guest(&self, room: &RoomUri, user: &UserUri) -> Result<Option<u64>, StoreError> {
        self.look(|db| sent_by_guest(db, room, user))
    }
}

/// What is asked about a device that sends something under a name, in one question.
fn standing<'a>(device: &Device, room: &'a RoomUri, sender: &'a UserUri, now: Timestamp) -> Statement<'a> {
    macro_rules! question {
        ($owner:literal) => {
            concat!(
                "SELECT (SELECT COUNT(*) FROM mail_rooms WHERE room = ?1 AND device = ?2 AND ends = ?3), (",
                $owner,
                "), (SELECT COUNT(*) FROM silenced_users WHERE subject = ?4 AND due_at <= ?5)"
            )
        };
    }
    let question = if sender.is_pseudonym() {
        question!("SELECT account FROM pseudonyms WHERE pseudonym = ?4")
    } else {
        question!("SELECT id FROM accounts WHERE user_uri = ?4")
    };
    Statement::new(question, (room.as_str(), device.id.0, OPEN, sender.as_str(), now))
}

/// What stands against it, from the answer to [`standing`].
fn against(device: &Device, answer: &Row) -> Result<Option<Submitted>, StoreError> {
    let (inside, silenced) = (answer.get::<bool>(0)?, answer.get::<bool>(2)?);
    let owner = answer.get::<Option<i64>>(1)?.map(AccountId);
    Ok(match (inside, owner, silenced) {
        (false, ..) => Some(Submitted::UnknownRoom),
        (_, owner, _) if owner != Some(device.account) => Some(Submitted::ForeignUser),
        (.., true) => Some(Submitted::Silenced),
        (.., false) => None,
    })
}

fn submit(db: Db<'_>, record: &MessageRecord, judge: &Judge<'_>) -> Result<Submitted, StoreError> {
    let MessageRecord { room, sender, accepted, .. } = record;
    // A remedy mutes or bans: both keep the user from sending.
    let question = "SELECT (SELECT accepted_at FROM hub_seen WHERE room = ?1 AND hash = ?2), \
                    (SELECT COUNT(*) FROM hub_remedies WHERE room = ?1 AND name = ?3 AND until_at > ?4), \
                    (SELECT COUNT(*) FROM abuse_decisions WHERE subject = ?3 AND room = ?1)";
    let mut asked = vec![Statement::new(question, (room.as_str(), &record.hash, sender.as_str(), *accepted))];
    asked.extend(record.device.iter().map(|device| standing(device, room, sender, *accepted)));
    let answers = db.list(&asked, false)?;
    let missing = || StoreError::damaged("an answer is missing");
    if let Some(device) = &record.device
        && let Some(refused) = against(device, answers.get(1).ok_or_else(missing)?.one()?)?
    {
        return Ok(refused);
    }
    let row = answers.first().ok_or_else(missing)?.one()?;
    if let Some(before) = row.get::<Option<i64>>(0)? {
        return Ok(Submitted::Before(timestamp(before)));
    }
    if row.get::<i64>(1)? > 0 {
        return Ok(Submitted::NotAllowed);
    }
    if row.get::<i64>(2)? > 0
        && let Some(until) = decided_about(db, sender, room)?
        && (*accepted < until || judge(sender, &facts(db, sender)?).is_some())
    {
        return Ok(Submitted::NotAllowed);
    }
    if let Some(limit) = record.limit {
        if sent_by_guest(db, room, sender)?.is_some_and(|sent| sent >= u64::from(limit)) {
            return Ok(Submitted::NotAllowed);
        }
        count_message(db, room, sender, limit)?;
    }
    let TooOften { sender: against_sender, account: against_account } = &record.too_often;
    let decided = match against_sender {
        Some(fact) => note_and_decide(db, sender, room, fact, judge)?,
        None => None,
    };
    if let (Some(device), Some(fact)) = (&record.device, against_account) {
        note(db, &profile(db, device.account)?.user, fact)?;
    }
    store(db, record).map(|wake| Submitted::Accepted(wake, decided)).map_err(|error| {
        // What [`place`] leaves to the table.
        if error.is_of_a_constraint() { StoreError::stale() } else { error }
    })
}

/// Stores a message that may be sent.
fn store(db: Db<'_>, record: &MessageRecord) -> Result<Wake, StoreError> {
    let MessageRecord { room, outbox, body, .. } = record;
    let peers: BTreeSet<Domain> = outbox.iter().map(|(peer, _)| peer.clone()).collect();
    let mut statements = place(record)?;
    statements.extend(for_peers(record, &peers)?);
    if let Some(receivers) = &record.receivers {
        db.list(&statements, false)?;
        return Ok(Wake { devices: put_in_inboxes_of(db, room, receivers, body)?, peers });
    }
    statements.extend(hold_room(room));
    statements.push(append(room, body));
    let answers = db.list(&statements, true)?;
    let [.., devices, event] = answers.as_slice() else { return Err(StoreError::damaged("an answer is missing")) };
    let devices = devices_of(devices)?;
    if let Some(row) = event.row() {
        let id = row.get(0)?;
        db.announce(|| Mail::new(id, devices.clone(), body));
    }
    Ok(Wake { devices, peers })
}

/// Gives a message its place in the room, and remembers it. If the room is in another state than the one in which the message
/// was judged, there is no epoch to be stored, and the table refuses that there is none; as it does a message that is there.
fn place(record: &MessageRecord) -> Result<Vec<Statement<'_>>, StoreError> {
    let room = record.room.as_str();
    let epoch = i64::try_from(record.epoch).map_err(|_| StoreError::damaged("epoch"))?;
    let events = i64::try_from(record.outbox.len()).map_err(|_| StoreError::damaged("position"))?;
    let (waiting, branch) = record.version.unwrap_or((ANY, ANY));
    let advance = "UPDATE hub_rooms SET position = position + ?3 WHERE room = ?1 AND epoch = ?2";
    let see = "INSERT INTO hub_seen (room, hash, accepted_at, epoch) VALUES (?1, ?2, ?3, (SELECT epoch FROM hub_rooms \
               WHERE room = ?1 AND epoch = ?4 AND (?5 < 0 OR (waiting = ?5 AND branch = ?6))))";
    Ok(vec![
        Statement::new(advance, (room, epoch, events)),
        Statement::new(see, (room, &record.hash, record.accepted, epoch, waiting, branch)),
    ])
}

/// In place of a number that is not compared.
const ANY: i64 = -1;

/// What goes to other providers, at the positions that [`place`] has made.
fn for_peers<'a>(record: &'a MessageRecord, peers: &'a BTreeSet<Domain>) -> Result<Vec<Statement<'a>>, StoreError> {
    let room = record.room.as_str();
    let insert = "INSERT INTO outbox (peer, room, position, message) \
                  VALUES (?1, ?2, (SELECT position FROM hub_rooms WHERE room = ?2) - ?3, ?4)";
    let last = i64::try_from(record.outbox.len()).map_err(|_| StoreError::damaged("position"))? - 1;
    let messages = record.outbox.iter().zip(0_i64..);
    let messages =
        messages.map(|((peer, message), number)| Statement::new(insert, (peer.as_str(), room, last - number, message)));
    let waits = peers.iter().map(|peer| Statement::new(WAITS, (peer.as_str(), room, record.accepted)));
    Ok(messages.chain(waits).collect())
}
