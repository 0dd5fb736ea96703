//! What devices wait for. An event of a room is stored once; which of our devices get it follows from when they came into
//! the room and when they left it, and up to where each has taken everything.

use std::collections::BTreeSet;

use mimi_pseudonym::{ClientUri, RoomUri, Timestamp};

use super::{
    DeviceId, Store, StoreError,
    database::{Answer, Db, Isolation, Row, Statement},
    live::Mail,
    millis,
};

/// Instead of a last event: there is none yet.
pub(super) const OPEN: i64 = 1 << 62;
/// Numbers of events for each millisecond.
const PER_MILLI: i64 = 1 << 16;
/// Rooms that are looked at in one transaction.
const SWEEP: usize = 64;

/// Where there may be something that everybody has taken.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    devices: BTreeSet<DeviceId>,
    rooms: BTreeSet<String>,
}

/// A device that looks for what it has not got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) device: DeviceId,
    /// The number of the last event that it has got.
    pub(crate) after: u64,
}

impl Look {
    fn behind(self) -> i64 {
        i64::try_from(self.after).unwrap_or(i64::MAX)
    }
}

/// What waits for a device, or the beginning of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inbox {
    /// Each with its number, oldest first.
    pub(crate) events: Vec<(u64, Vec<u8>)>,
    /// Whether others may have stood behind them.
    pub(crate) more: bool,
}

impl Store {
    /// The events of a device behind a number: at most `count`, and no more than `octets` unless the first alone is longer.
    pub(crate) fn inbox(&self, device: DeviceId, after: u64, count: usize, octets: usize) -> Result<Inbox, StoreError> {
        let look = Look { device, after };
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let first = waiting(SHORT);
        let found = self.look(|db| db.rows(&first, (device.0, look.behind(), limit, share(count, octets))))?;
        self.begun(look, &found, count, octets)
    }

    /// The same for devices that ask at the same time, in their order.
    pub(crate) fn inboxes(&self, looks: &[Look], count: usize, octets: usize) -> Result<Vec<Inbox>, StoreError> {
        if looks.len() == 1 || !self.is_shared() {
            return looks.iter().map(|look| self.inbox(look.device, look.after, count, octets)).collect();
        }
        let devices = listed(looks.iter().map(|look| look.device.0));
        let behind = listed(looks.iter().map(|look| look.behind()));
        let places = listed(0..looks.len());
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        let first = waiting_for_all();
        let rows = self.look(|db| db.rows(&first, (&devices, &behind, limit, share(count, octets), &places)))?;
        let mut found: Vec<Vec<Row>> = looks.iter().map(|_| Vec::new()).collect();
        for row in rows {
            let place = found.get_mut(row.get::<u64>(3)? as usize);
            place.ok_or_else(|| StoreError::damaged("place"))?.push(row);
        }
        looks.iter().zip(found).map(|(look, found)| self.begun(*look, &found, count, octets)).collect()
    }

    /// What waits for a device of which the first rows were found, and those bodies that are short.
    fn begun(&self, look: Look, found: &[Row], count: usize, octets: usize) -> Result<Inbox, StoreError> {
        let events: Vec<_> = if let Some(all) = all_within(found, octets)? {
            all.into_iter().map(|(number, body)| Ok((positive(number)?, body))).collect::<Result<_, StoreError>>()?
        } else {
            let Some(last) = within(found, octets)? else { return Ok(Inbox::default()) };
            let limit = found_up_to(found, last)?;
            let rows = self.look(|db| db.rows(&waiting("e.body"), (look.device.0, look.behind(), limit)))?;
            rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, StoreError>>()?
        };
        Ok(Inbox { more: found.len() == count || events.len() < found.len(), events })
    }

    /// The number of the newest event, and the devices that get one behind a number, if there is such a number.
    pub(crate) fn devices_behind(&self, floor: Option<i64>) -> Result<(i64, BTreeSet<DeviceId>), StoreError> {
        let newest = "SELECT COALESCE(MAX(id), 0) FROM events";
        let devices = "SELECT device FROM events WHERE id > ?1 AND device IS NOT NULL UNION SELECT m.device FROM events e \
                       JOIN mail_rooms m ON m.room = e.room AND m.begins < e.id AND m.ends >= e.id \
                       WHERE e.id > ?1 AND e.device IS NULL";
        self.read(|db| {
            let newest = Statement::new(newest, [0_i64; 0]);
            let Some(floor) = floor else {
                let [newest] = db.last([newest])?;
                return Ok((newest.one()?.get(0)?, BTreeSet::new()));
            };
            let [newest, devices] = db.last([newest, Statement::new(devices, [floor])])?;
            Ok((newest.one()?.get(0)?, devices_of(&devices)?))
        })
    }

    #[cfg(test)]
    pub(crate) fn ack(&self, device: DeviceId, up_to: u64) -> Result<(), StoreError> {
        self.write_holding(|db| ack(db, device, up_to))?;
        self.is_dirty(device);
        Ok(())
    }

    /// A device has taken its events up to and with a number: it does not get them again.
    pub(crate) async fn ack_soon(&self, device: DeviceId, up_to: u64) -> Result<(), StoreError> {
        self.soon(Isolation::Locking, move |db| ack(db, device, up_to)).await?;
        self.is_dirty(device);
        Ok(())
    }

    /// Events are numbered from a time on, unless their numbers are beyond it already. So a database that was restored from a
    /// copy gives no number that was given after the copy was made: devices that have seen those would pass over what is new.
    pub(crate) fn number_from(&self, now: Timestamp) -> Result<(), StoreError> {
        let number = millis(now).saturating_mul(PER_MILLI).min(OPEN / 2);
        self.write_holding(|db| {
            if db.is_shared() {
                // One after the other, so that none sets back what another has said.
                db.rows("SELECT version FROM schema_version FOR UPDATE", [0_i64; 0])?;
                let set = "SELECT setval('events_id_seq', ?1) FROM events_id_seq WHERE last_value < ?1";
                db.rows(set, [number]).map(drop)
            } else {
                let set = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'events' AND seq < ?1";
                db.execute(set, [number]).map(drop)
            }
        })
    }

    fn is_dirty(&self, device: DeviceId) {
        self.dirty().devices.insert(device);
    }

    pub(super) fn is_room_dirty(&self, room: &RoomUri) {
        self.dirty().rooms.insert(room.as_str().to_owned());
    }

    /// Everything may be.
    pub(crate) fn all_may_be_taken(&self) -> Result<(), StoreError> {
        let rooms = "SELECT DISTINCT room FROM events WHERE room IS NOT NULL \
                     UNION SELECT DISTINCT room FROM mail_rooms WHERE ends < ?1";
        let rooms: Vec<String> = self.look(|db| db.column(rooms, [OPEN]))?;
        self.dirty().rooms.extend(rooms);
        Ok(())
    }

    /// Deletes events that all have taken who get them, in rooms where something was taken since the last time.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        let Dirty { devices, mut rooms } = std::mem::take(&mut *self.dirty());
        let touched = "SELECT DISTINCT m.room FROM mail_rooms m JOIN cursors c ON c.device = m.device \
                       WHERE m.device = ?1 AND EXISTS (SELECT 1 FROM events e \
                       WHERE e.room = m.room AND e.id > m.begins AND e.id <= c.taken)";
        for device in devices {
            rooms.extend(self.look(|db| db.column::<String>(touched, [device.0]))?);
        }
        let rooms: Vec<String> = rooms.into_iter().collect();
        for rooms in rooms.chunks(SWEEP) {
            self.write_holding(|db| rooms.iter().try_for_each(|room| sweep(db, room)))?;
        }
        Ok(())
    }
}

/// Columns of an event: its length, and itself unless it is longer than `?4`.
const SHORT: &str = "LENGTH(e.body), CASE WHEN LENGTH(e.body) <= ?4 THEN e.body END";

/// The query for the first `?3` events of a device, `?1`, behind a number, `?2`, that it has not taken.
fn waiting(columns: &str) -> String {
    const NEW: &str = "e.id > COALESCE((SELECT taken FROM cursors WHERE device = ?1), 0)";
    format!(
        "SELECT e.id, {columns} FROM mail_rooms m JOIN events e ON e.room = m.room AND e.device IS NULL \
         AND e.id > CASE WHEN m.begins > ?2 THEN m.begins ELSE ?2 END AND e.id <= m.ends AND {NEW} WHERE m.device = ?1 \
         UNION ALL SELECT e.id, {columns} FROM events e WHERE e.device = ?1 AND e.id > ?2 AND {NEW} \
         ORDER BY 1 LIMIT ?3"
    )
}

/// [`waiting`] for devices, numbers and places that stand in `?1`, `?2` and `?5`, where many write. Room by room the first
/// events are taken, in the order of their numbers: there is one way to do that, whatever is known of the tables.
fn waiting_for_all() -> String {
    format!(
        "SELECT w.id, w.length, w.body, l.place FROM unnest(string_to_array(?1, ' ')::BIGINT[], \
         string_to_array(?2, ' ')::BIGINT[], string_to_array(?5, ' ')::BIGINT[]) AS l (device, after, place) \
         CROSS JOIN LATERAL (SELECT GREATEST(l.after, COALESCE(MAX(taken), 0)) AS id FROM cursors \
         WHERE device = l.device) AS seen CROSS JOIN LATERAL (SELECT * FROM ( \
         SELECT o.* FROM mail_rooms m CROSS JOIN LATERAL (SELECT e.id, {SHORT} FROM events e \
         WHERE e.room = m.room AND e.device IS NULL AND e.id > GREATEST(seen.id, m.begins) AND e.id <= m.ends \
         ORDER BY e.room, e.id LIMIT ?3) AS o WHERE m.device = l.device AND m.ends > seen.id \
         UNION ALL (SELECT e.id, {SHORT} FROM events e \
         WHERE e.device = l.device AND e.id > seen.id ORDER BY e.device, e.id LIMIT ?3)) AS o \
         ORDER BY 1 LIMIT ?3) AS w (id, length, body) ORDER BY 4, 1"
    )
}

/// Numbers as one text.
fn listed(numbers: impl Iterator<Item = impl ToString>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(" ")
}

/// How long each of so many may be if all together are to have no more than so many octets.
pub(super) fn share(count: usize, octets: usize) -> i64 {
    i32::try_from(octets / count.max(1)).unwrap_or(i32::MAX).into()
}

/// Bodies with their numbers.
type Bodies = Vec<(i64, Vec<u8>)>;

/// The first of some rows with numbers, lengths, and what is so long, unless that is too long to have been read at once: no
/// more than so many octets. None if one is missing that belongs to them.
pub(super) fn all_within(rows: &[Row], octets: usize) -> Result<Option<Bodies>, StoreError> {
    let Some(last) = within(rows, octets)? else { return Ok(Some(Vec::new())) };
    let mut all = Vec::new();
    for row in rows {
        let number = row.get(0)?;
        if number > last {
            break;
        }
        let Some(body) = row.get::<Option<Vec<u8>>>(2)? else { return Ok(None) };
        all.push((number, body));
    }
    Ok(Some(all))
}

fn positive(number: i64) -> Result<u64, StoreError> {
    number.try_into().map_err(|_| StoreError::damaged("number"))
}

/// How many of some rows with numbers come up to and with a number.
fn found_up_to(rows: &[Row], last: i64) -> Result<i64, StoreError> {
    let mut count = 0;
    for row in rows {
        count += i64::from(row.get::<i64>(0)? <= last);
    }
    Ok(count)
}

/// The number of the last of some rows with numbers and lengths that are no longer than so many octets together, or the
/// first if that alone is longer.
pub(super) fn within(rows: &[Row], octets: usize) -> Result<Option<i64>, StoreError> {
    let (mut last, mut total) = (None, 0_u64);
    for row in rows {
        total = total.saturating_add(row.get(1)?);
        if last.is_some() && total > octets as u64 {
            break;
        }
        last = Some(row.get(0)?);
    }
    Ok(last)
}

fn ack(db: Db<'_>, device: DeviceId, up_to: u64) -> Result<(), StoreError> {
    // No further than there is something: what comes later has not been taken.
    let up_to = i64::try_from(up_to).unwrap_or(i64::MAX);
    let taken = "INSERT INTO cursors (device, taken) SELECT ?1, COALESCE(MAX(id), 0) FROM events WHERE id <= ?2 \
                 ON CONFLICT (device) DO UPDATE SET taken = excluded.taken WHERE cursors.taken < excluded.taken";
    let delete = "DELETE FROM events WHERE device = ?1 AND id <= ?2";
    db.last([Statement::new(taken, (device.0, up_to)), Statement::new(delete, (device.0, up_to))]).map(drop)
}

fn sweep(db: Db<'_>, room: &str) -> Result<(), StoreError> {
    let events = "DELETE FROM events WHERE room = ?1 AND device IS NULL AND NOT EXISTS (SELECT 1 FROM mail_rooms m \
                  LEFT JOIN cursors c ON c.device = m.device WHERE m.room = ?1 AND m.begins < events.id \
                  AND m.ends >= events.id AND COALESCE(c.taken, 0) < events.id)";
    db.execute(events, [room])?;
    let left = "DELETE FROM mail_rooms WHERE room = ?1 AND ends < ?2 AND NOT EXISTS (SELECT 1 FROM events e \
                WHERE e.room = ?1 AND e.device IS NULL AND e.id > mail_rooms.begins AND e.id <= mail_rooms.ends)";
    db.execute(left, (room, OPEN))?;
    Ok(())
}

/// The number of the newest event of a room, or 0.
fn newest(db: Db<'_>, room: &str) -> Result<i64, StoreError> {
    let newest = "SELECT COALESCE(MAX(id), 0) FROM events WHERE room = ?1";
    db.one(newest, [room])?.get(0)
}

/// A client of ours is in a room from now on.
pub(super) fn join(db: Db<'_>, room: &RoomUri, client: &ClientUri, device: DeviceId) -> Result<bool, StoreError> {
    let known = "SELECT device FROM room_clients WHERE room = ?1 AND client = ?2";
    let known: Option<i64> = db.value(known, (room.as_str(), client.as_str()))?;
    if known == Some(device.0) {
        return Ok(false);
    }
    let insert = "INSERT INTO room_clients (room, client, device) VALUES (?1, ?2, ?3) \
                  ON CONFLICT (room, client) DO UPDATE SET device = excluded.device";
    db.execute(insert, (room.as_str(), client.as_str(), device.0))?;
    if let Some(other) = known {
        end(db, room, DeviceId(other))?;
    }
    let open = "SELECT device FROM mail_rooms WHERE room = ?1 AND device = ?2 AND ends = ?3";
    if db.row(open, (room.as_str(), device.0, OPEN))?.is_none() {
        let begins = newest(db, room.as_str())?;
        let insert = "INSERT INTO mail_rooms (room, device, begins, ends) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT (room, device, begins) DO UPDATE SET ends = excluded.ends";
        db.execute(insert, (room.as_str(), device.0, begins, OPEN))?;
    }
    Ok(known.is_none())
}

/// A client of ours is in a room no longer; `false` if it was not.
pub(super) fn part(db: Db<'_>, room: &RoomUri, client: &ClientUri) -> Result<bool, StoreError> {
    let delete = "DELETE FROM room_clients WHERE room = ?1 AND client = ?2 RETURNING device";
    let Some(device) = db.value(delete, (room.as_str(), client.as_str()))?.map(DeviceId) else { return Ok(false) };
    end(db, room, device)?;
    Ok(true)
}

/// A device has no client in a room any more; `false` if it had none.
pub(super) fn part_device(db: Db<'_>, room: &RoomUri, device: DeviceId) -> Result<bool, StoreError> {
    let delete = "DELETE FROM room_clients WHERE room = ?1 AND device = ?2";
    let was_in = db.execute(delete, (room.as_str(), device.0))? > 0;
    end(db, room, device)?;
    Ok(was_in)
}

/// Nobody of ours is in a room any more.
pub(super) fn part_all(db: Db<'_>, room: &RoomUri) -> Result<(), StoreError> {
    db.execute("DELETE FROM room_clients WHERE room = ?1", [room.as_str()])?;
    let last = newest(db, room.as_str())?;
    db.execute("UPDATE mail_rooms SET ends = ?2 WHERE room = ?1 AND ends = ?3", (room.as_str(), last, OPEN))?;
    Ok(())
}

/// If a device has no client in a room, it gets what has come so far and nothing else.
fn end(db: Db<'_>, room: &RoomUri, device: DeviceId) -> Result<(), StoreError> {
    let other = "SELECT client FROM room_clients WHERE room = ?1 AND device = ?2 LIMIT 1";
    if db.row(other, (room.as_str(), device.0))?.is_none() {
        let last = newest(db, room.as_str())?;
        let end = "UPDATE mail_rooms SET ends = ?3 WHERE room = ?1 AND device = ?2 AND ends = ?4";
        db.execute(end, (room.as_str(), device.0, last, OPEN))?;
    }
    Ok(())
}

/// The devices that have a client in a room.
pub(super) fn devices_in_room(db: Db<'_>, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let devices: Vec<_> = db.column(IN_ROOM, (room.as_str(), OPEN))?;
    Ok(devices.into_iter().map(DeviceId).collect())
}

/// Whether a device has a client in a room.
pub(super) fn is_in_room(db: Db<'_>, room: &RoomUri, device: DeviceId) -> Result<bool, StoreError> {
    let question = "SELECT device FROM mail_rooms WHERE room = ?1 AND device = ?2 AND ends = ?3";
    Ok(db.row(question, (room.as_str(), device.0, OPEN))?.is_some())
}

/// The devices that have not taken everything that came from a room.
pub(super) fn devices_with_mail(db: Db<'_>, room: &RoomUri) -> Result<BTreeSet<DeviceId>, StoreError> {
    let question = "SELECT device FROM mail_rooms WHERE room = ?1 \
                    UNION SELECT device FROM events WHERE room = ?1 AND device IS NOT NULL";
    let devices: Vec<_> = db.column(question, [room.as_str()])?;
    Ok(devices.into_iter().map(DeviceId).collect())
}

/// An event for one device.
pub(super) fn put_in_inbox(
    db: Db<'_>,
    device: DeviceId,
    room: Option<&RoomUri>,
    body: &[u8],
) -> Result<(), StoreError> {
    hold(db, "SELECT id FROM devices WHERE id = ?1 FOR UPDATE", device.0)?;
    let insert = "INSERT INTO events (room, device, body) VALUES (?1, ?2, ?3) RETURNING id";
    let id = db.one(insert, (room.map(RoomUri::as_str), device.0, body))?.get(0)?;
    db.announce(|| Mail::new(id, [device].into(), body));
    Ok(())
}

/// An event for all devices that have a client in a room, which are returned: one row however many there are.
pub(super) fn put_in_inboxes(db: Db<'_>, room: &RoomUri, body: &[u8]) -> Result<BTreeSet<DeviceId>, StoreError> {
    let [.., devices] = db.all(hold_room(room))?;
    let devices = devices_of(&devices)?;
    if devices.is_empty() {
        return Ok(devices);
    }
    let Statement { sql, params, .. } = append(room, body);
    let id = db.one(sql, params.as_slice())?.get(0)?;
    db.announce(|| Mail::new(id, devices.clone(), body));
    Ok(devices)
}

/// Appends an event of a room for all devices in it, if there are any, after [`hold_room`]. Gives its number.
pub(super) fn append<'a>(room: &'a RoomUri, body: &'a [u8]) -> Statement<'a> {
    let append = "INSERT INTO events (room, device, body) SELECT ?1, NULL, ?2 \
                  WHERE EXISTS (SELECT 1 FROM mail_rooms WHERE room = ?1 AND ends = ?3) RETURNING id";
    Statement::new(append, (room.as_str(), body, OPEN))
}

/// What comes before [`append`]: holds the devices in a room, where others write at the same time, and says which they are.
pub(super) fn hold_room(room: &RoomUri) -> [Statement<'_>; 2] {
    let hold =
        "SELECT id FROM devices WHERE id IN (SELECT device FROM mail_rooms WHERE room = ?1) ORDER BY id FOR UPDATE";
    [Statement::hold(hold, [room.as_str()]), Statement::new(IN_ROOM, (room.as_str(), OPEN))]
}

/// From the answer to the second of [`hold_room`].
pub(super) fn devices_of(answer: &Answer) -> Result<BTreeSet<DeviceId>, StoreError> {
    Ok(answer.column::<i64>()?.into_iter().map(DeviceId).collect())
}

const IN_ROOM: &str = "SELECT device FROM mail_rooms WHERE room = ?1 AND ends = ?2";

/// Where others write at the same time, the devices that get an event are held, in the order of their numbers, before it
/// gets its own: so each device finds events in the order of their numbers, and two that write cannot each wait for the
/// other.
fn hold<'p>(db: Db<'_>, statement: &str, value: impl Into<super::database::Param<'p>>) -> Result<(), StoreError> {
    if db.is_shared() {
        db.rows(statement, [value.into()])?;
    }
    Ok(())
}

/// As [`put_in_inboxes`], for these clients alone.
pub(super) fn put_in_inboxes_of(
    db: Db<'_>,
    room: &RoomUri,
    clients: &[ClientUri],
    body: &[u8],
) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut devices = BTreeSet::new();
    for client in clients {
        let question = "SELECT device FROM room_clients WHERE room = ?1 AND client = ?2";
        devices.extend(db.value(question, (room.as_str(), client.as_str()))?.map(DeviceId));
    }
    for device in &devices {
        put_in_inbox(db, *device, Some(room), body)?;
    }
    Ok(devices)
}
