use std::{sync::mpsc, thread};

use super::*;

const NONE: [Param<'static>; 0] = [];

fn open(name: &str) -> (PathBuf, Arc<Sqlite>) {
    let folder = std::env::temp_dir().join(format!("mimi-provider-sqlite-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let database = Sqlite::open(&folder.join("test.sqlite"), Arc::default(), true).unwrap();
    database.write(Isolation::Locking, &mut |db| db.execute("CREATE TABLE t (n BIGINT)", NONE).is_ok()).unwrap();
    (folder, Arc::new(database))
}

fn rows(database: &Sqlite) -> Vec<i64> {
    let mut rows = Vec::new();
    database
        .look(&mut |db| {
            rows = db.column("SELECT n FROM t ORDER BY n", NONE).unwrap();
            true
        })
        .unwrap();
    rows
}

fn insert(database: &Sqlite, number: i64, keep: bool) -> Result<(), StoreError> {
    database.write(Isolation::Locking, &mut |db| db.execute("INSERT INTO t (n) VALUES (?1)", [number]).is_ok() && keep)
}

/// One begins, and does not end before so many others wait behind it.
fn begin(database: &Arc<Sqlite>, others: usize) -> thread::JoinHandle<Result<(), StoreError>> {
    let (begun, has_begun) = mpsc::channel();
    let first = Arc::clone(database);
    let thread = thread::spawn(move || {
        first.write(Isolation::Locking, &mut |db| {
            begun.send(()).unwrap();
            while first.waiting.load(Ordering::SeqCst) < others {
                thread::yield_now();
            }
            db.execute("INSERT INTO t (n) VALUES (0)", NONE).is_ok()
        })
    });
    has_begun.recv().unwrap();
    thread
}

#[test]
fn those_who_wait_share_a_flush_and_fail_alone() {
    let (folder, database) = open("group");
    let before = database.flushes.load(Ordering::SeqCst);
    let first = begin(&database, 8);
    let others: Vec<_> = (1..=8)
        .map(|number| {
            let database = Arc::clone(&database);
            thread::spawn(move || insert(&database, number, number % 4 != 0))
        })
        .collect();
    first.join().unwrap().unwrap();
    for other in others {
        other.join().unwrap().unwrap();
    }
    assert_eq!(rows(&database), [0, 1, 2, 3, 5, 6, 7], "what 4 and 8 did is undone, and nothing else");
    assert_eq!(database.flushes.load(Ordering::SeqCst) - before, 1);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn whoever_panics_leaves_nothing_and_holds_up_nobody() {
    let (folder, database) = open("panic");
    let first = begin(&database, 1);
    let other = Arc::clone(&database);
    let panics = thread::spawn(move || {
        other.write(Isolation::Locking, &mut |db| {
            db.execute("INSERT INTO t (n) VALUES (1)", NONE).unwrap();
            panic!("on purpose");
        })
    });
    assert!(panics.join().is_err());
    first.join().unwrap().unwrap();
    insert(&database, 2, true).unwrap();
    assert_eq!(rows(&database), [0, 2]);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn nobody_is_told_of_success_when_the_disk_is_full() {
    let (folder, database) = open("full");
    database.alone(|connection| Ok(connection.pragma_update(None, "max_page_count", 40)?)).unwrap();
    let large = vec![7; 8192];
    let mut stored = 0;
    let error = loop {
        let done = database.write(Isolation::Locking, &mut |db| {
            let insert = "INSERT INTO t (n) VALUES (?1)";
            db.execute(insert, [&large]).is_ok()
                && matches!(db.rows("SELECT n FROM t", NONE), Ok(rows) if rows.len() == stored + 1)
        });
        let mut count = 0_i64;
        database
            .look(&mut |db| {
                count = db.value("SELECT COUNT(*) FROM t", NONE).unwrap().unwrap();
                true
            })
            .unwrap();
        match done {
            Ok(()) if count == i64::try_from(stored).unwrap() + 1 => stored += 1,
            // SQLite has undone the statement, and our answer is to undo the rest.
            other => break (other, usize::try_from(count).unwrap()),
        }
        assert!(stored < 100, "the disk is never full");
    };
    assert_eq!(error.1, stored, "what failed is not there, what was acknowledged is");
    database.alone(|connection| Ok(connection.pragma_update(None, "max_page_count", 4000)?)).unwrap();
    insert(&database, 1, true).unwrap();
    let _ = std::fs::remove_dir_all(folder);
}
