//! What rooms cost that nobody uses at the moment.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use mimi_wire::{
    SubmitMessageResponse,
    directory::percent_encode,
    local::{self},
};
use rusqlite::{Connection, Transaction, params};

use super::{Load, Prepared, drive::sealed, site::Sites};

/// Rooms that clients make; the others are copies of these.
const REAL: usize = 100;

/// What a provider with many rooms takes of the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Idle {
    /// Rooms of two clients each.
    pub rooms: usize,
    /// KiB that are resident when the provider has started and has not been asked for anything.
    pub started_kib: u64,
    /// KiB that are resident when this many of the rooms have been used, and are all in memory.
    pub used_kib: (usize, u64),
    /// From the start to the first answer.
    pub start: Duration,
    /// Octets of the database.
    pub disk: u64,
}

impl Load {
    /// Makes rooms, copies them until there are so many, starts the provider on all of them, and uses some.
    ///
    /// # Errors
    /// If it cannot be run to its end.
    pub async fn idle(&self, rooms: usize) -> Result<Idle> {
        let mut sites = Sites::start("idle", &["a.example"], self.store, 1).await?;
        let real = REAL.min(rooms);
        eprintln!("load: making {real} rooms");
        let made = Self { providers: 1, size: 2, rooms: real, ..self.clone() }.prepare(&sites).await?;
        let site = sites.sites.first_mut().context("no provider runs")?;
        site.stop();
        eprintln!("load: copying them until there are {rooms}");
        let names: Vec<_> = made.iter().filter_map(Prepared::uri).collect();
        let (database, stop) = (site.data().join("provider.sqlite"), Stop::default());
        let stopped = Arc::clone(&stop.0);
        tokio::task::spawn_blocking(move || copies(&database, &names, rooms - real, &stopped)).await??;
        let begun = std::time::Instant::now();
        sites.restart().await?;
        let start = begun.elapsed();
        // What is done once at the start is over by then.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (started_kib, disk) = (sites.resident(), sites.octets()?);
        let mut used = 0;
        for (number, mut room) in made.into_iter().enumerate() {
            let connection = sites.reconnect(number).await?;
            let sender = room.senders.first_mut().context("nobody sends")?;
            sender.connection = connection.with_token_of(&sender.connection);
            let path = format!("{}/{}", local::SUBMIT_MESSAGE_PATH, percent_encode(sender.room.uri().as_str()));
            let request = sealed(sender)?;
            let answer: SubmitMessageResponse = sender.connection.post(&path, &request).await?;
            ensure!(matches!(answer, SubmitMessageResponse::Accepted { .. }), "{answer:?}");
            used += 1;
        }
        Ok(Idle { rooms, started_kib, used_kib: (used, sites.resident()), start, disk })
    }
}

/// Says to somebody who works on another thread that nobody waits any longer.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The tables with what stands in the database about a room and the accounts in it.
const OF_ROOM: [&str; 5] = ["hub_rooms", "hub_snapshots", "hub_past", "hub_log", "hub_seen"];
const OF_CLIENTS: [&str; 6] = ["accounts", "devices", "pseudonyms", "client_pseudonyms", "room_clients", "mail_rooms"];
/// After how many copies it is said how far it is.
const TOLD: usize = 10_000;

/// Copies rooms with everything that stands in the database about them and the accounts in them. A copy's snapshot is that of
/// the room it comes from, octet by octet: a room that nobody uses is not read.
fn copies(database: &Path, names: &[String], count: usize, stop: &AtomicBool) -> Result<()> {
    let mut connection = Connection::open(database)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // Everything that is written stays in memory until the end: half a GiB (the number is in KiB, with a minus).
    connection.pragma_update(None, "cache_size", -524_288)?;
    let transaction = connection.transaction()?;
    // What is copied is looked for among a few rows, however many there are of copies.
    for table in OF_ROOM.iter().chain(&OF_CLIENTS) {
        transaction.execute(&format!("CREATE TEMP TABLE old_{table} AS SELECT * FROM {table}"), [])?;
    }
    let first: i64 = transaction.query_row("SELECT MAX(id) + 1 FROM devices", [], |row| row.get(0))?;
    let of_room = OF_ROOM.iter().map(|table| copy_of(&transaction, table)).collect::<Result<Vec<_>>>()?;
    for (number, name) in (0..count).zip(names.iter().cycle()) {
        ensure!(!stop.load(Ordering::Relaxed), "nobody waits for the copies any longer");
        let id = first + 2 * i64::try_from(number)?;
        copy(&transaction, &of_room, name, number, id).with_context(|| name.clone())?;
        if (number + 1) % TOLD == 0 {
            eprintln!("load: {} of {count} copied", number + 1);
        }
    }
    let newest = "UPDATE numbers SET newest = (SELECT MAX(id) FROM devices)";
    transaction.execute(newest, [])?;
    transaction.commit()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// The statement that copies what a table has of a room.
fn copy_of(transaction: &Transaction<'_>, table: &str) -> Result<String> {
    let columns: Vec<String> = transaction
        .prepare(&format!("SELECT name FROM pragma_table_info('{table}') WHERE name <> 'room'"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let columns = columns.join(", ");
    Ok(format!("INSERT INTO {table} (room, {columns}) SELECT room || ?2, {columns} FROM old_{table} WHERE room = ?1"))
}

fn copy(transaction: &Transaction<'_>, of_room: &[String], room: &str, number: usize, id: i64) -> Result<()> {
    let suffix = format!("-{number}");
    for insert in of_room {
        transaction.prepare_cached(insert)?.execute(params![room, suffix])?;
    }
    let clients: Vec<(String, i64)> = transaction
        .prepare_cached("SELECT client, device FROM old_room_clients WHERE room = ?1 ORDER BY client")?
        .query_map([room], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for ((client, device), id) in clients.into_iter().zip(id..) {
        let statements = [
            "INSERT INTO accounts (id, user_uri, user_folded, display_name, email) SELECT ?3, user_uri || ?2, user_folded || ?2, \
             display_name, email FROM old_accounts WHERE id = (SELECT account FROM old_devices WHERE id = ?1)",
            "INSERT INTO devices (id, account, client, token_hash, name) SELECT ?3, ?3, client || ?2, \
             CAST(token_hash || ?2 AS BLOB), name FROM old_devices WHERE id = ?1",
            "INSERT INTO pseudonyms (pseudonym, account) SELECT pseudonym || ?2, ?3 FROM old_pseudonyms \
             WHERE account = (SELECT account FROM old_devices WHERE id = ?1)",
            "INSERT INTO client_pseudonyms (client, device, user_uri, public_key) SELECT client || ?2, ?3, \
             user_uri || ?2, CAST(public_key || ?2 AS BLOB) FROM old_client_pseudonyms WHERE device = ?1",
        ];
        for statement in statements {
            transaction.prepare_cached(statement)?.execute(params![device, suffix, id])?;
        }
        transaction
            .prepare_cached("INSERT INTO room_clients (room, client, device) VALUES (?1 || ?2, ?3 || ?2, ?4)")?
            .execute(params![room, suffix, client, id])?;
        transaction
            .prepare_cached(
                "INSERT INTO mail_rooms (room, device, begins, ends) SELECT room || ?2, ?4, begins, ends \
                 FROM old_mail_rooms WHERE room = ?1 AND device = ?3",
            )?
            .execute(params![room, suffix, device, id])?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
impl std::fmt::Display for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (used, used_kib) = self.used_kib;
        write!(
            f,
            "{} rooms of two clients: {:.1} MiB resident after the start, which took {:.2} s; {:.1} MiB with {used} of the rooms \
             in memory; {:.0} octets on disk for each room with its two accounts",
            self.rooms,
            mib(self.started_kib),
            self.start.as_secs_f64(),
            mib(used_kib),
            self.disk as f64 / self.rooms as f64,
        )
    }
}
