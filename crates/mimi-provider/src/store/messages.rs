//! A message on its way into a room of this hub: everything that is looked up about it and everything that is stored of it
//! is one transition.

use mimi_abuse::signal::{Fact, Remedy as StepRemedy};
use mimi_pseudonym::{ClientUri, Domain, RoomUri, Timestamp, UserUri};

use super::{
    Device, Hash, Store, StoreError, Wake,
    abuse::{Judge, decided_about, facts, note, note_and_decide},
    accounts::{owns, profile},
    database::{Db, Isolation},
    delivery::put_in_outbox,
    mail::{is_in_room, put_in_inboxes, put_in_inboxes_of},
    remedies::is_silenced,
    rooms::{advance, see},
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
        self.look(|db| speaks(db, device, room, sender, now))
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

fn speaks(
    db: Db<'_>,
    device: &Device,
    room: &RoomUri,
    sender: &UserUri,
    now: Timestamp,
) -> Result<Option<Submitted>, StoreError> {
    if !is_in_room(db, room, device.id)? {
        return Ok(Some(Submitted::UnknownRoom));
    }
    if !owns(db, device.account, sender)? {
        return Ok(Some(Submitted::ForeignUser));
    }
    Ok(is_silenced(db, sender, now)?.then_some(Submitted::Silenced))
}

fn submit(db: Db<'_>, record: &MessageRecord, judge: &Judge<'_>) -> Result<Submitted, StoreError> {
    let MessageRecord { room, sender, accepted, .. } = record;
    if let Some(device) = &record.device
        && let Some(refused) = speaks(db, device, room, sender, *accepted)?
    {
        return Ok(refused);
    }
    // One statement, whether each part finds something or not: every statement is a way to the server and back, where there is
    // one. A remedy mutes or bans: both keep the user from sending.
    let question = "SELECT (SELECT accepted_at FROM hub_seen WHERE room = ?1 AND hash = ?2), \
                    (SELECT COUNT(*) FROM hub_remedies WHERE room = ?1 AND name = ?3 AND until_at > ?4), \
                    (SELECT COUNT(*) FROM abuse_decisions WHERE subject = ?3 AND room = ?1)";
    let row = db.one(question, (room.as_str(), &record.hash, sender.as_str(), *accepted))?;
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
    let epoch = i64::try_from(record.epoch).map_err(|_| StoreError::damaged("epoch"))?;
    let position = advance(db, room, epoch, epoch, record.outbox.len())?;
    see(db, room, &record.hash, *accepted)?;
    let peers = put_in_outbox(db, room, position, &record.outbox, *accepted)?;
    let devices = match &record.receivers {
        Some(receivers) => put_in_inboxes_of(db, room, receivers, &record.body)?,
        None => put_in_inboxes(db, room, &record.body)?,
    };
    let TooOften { sender: against_sender, account: against_account } = &record.too_often;
    let decided = match against_sender {
        Some(fact) => note_and_decide(db, sender, room, fact, judge)?,
        None => None,
    };
    if let (Some(device), Some(fact)) = (&record.device, against_account) {
        note(db, &profile(db, device.account)?.user, fact)?;
    }
    Ok(Submitted::Accepted(Wake { devices, peers }, decided))
}
