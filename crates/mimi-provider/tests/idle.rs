//! A provider to which nobody says anything asks its database the same few things, however many peers it has.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::{Duration, Instant};

use support::{postgres::Postgres, sites::Sites};

const ALONE: &str = "a.example";
const WITH_PEERS: &str = "b.example";
const PATIENCE: Duration = Duration::from_secs(120);

/// What a server has been asked in a database, by its log.
fn asked(server: &Postgres, database: &str) -> usize {
    let log = std::fs::read(server.folder().join("log")).unwrap();
    let begin = format!("{database}: LOG:  ");
    let text = String::from_utf8_lossy(&log);
    text.lines().filter_map(|line| line.strip_prefix(&begin)).filter(|said| is_statement(said)).count()
}

fn is_statement(said: &str) -> bool {
    said.starts_with("execute ") || said.starts_with("statement: ")
}

#[test]
fn whoever_has_many_peers_asks_no_more_than_one_who_has_none() {
    let options = ["-c", "log_statement=all", "-c", "log_line_prefix=%d: "];
    let Some(server) = Postgres::start_with(false, false, &[], &[], &options) else { return };
    let [alone, peers] = ["alone", "peers"].map(|name| Some(server.create(name)));
    let mut sites = Sites::new("idle", &[(ALONE, alone), (WITH_PEERS, peers)]);
    let config = sites.folder.join(WITH_PEERS).join("provider.toml");
    let mut text = std::fs::read_to_string(&config).unwrap();
    for number in 0..50 {
        text += &format!("\n[[peers]]\ndomain = \"p{number}.example\"\naddress = \"127.0.0.1:1\"\n");
    }
    std::fs::write(&config, text).unwrap();
    // Both make their tables, which is no part of what is counted.
    for site in [ALONE, WITH_PEERS] {
        sites.start(site, 0);
        assert!(sites.end(site, PATIENCE).unwrap().success());
    }
    let before = (asked(&server, "alone"), asked(&server, "peers"));
    assert!(before.0 > 10 && before.1 > 10, "the log says what was asked");
    sites.start(WITH_PEERS, 0);
    sites.start(ALONE, 0);
    // As long as it takes the one that is alone to ask so many things: however long that is.
    let until = Instant::now() + PATIENCE;
    let alone = loop {
        let alone = asked(&server, "alone") - before.0;
        if alone >= 120 {
            break alone;
        }
        assert!(Instant::now() < until, "{alone}");
        std::thread::sleep(Duration::from_millis(100));
    };
    let peers = asked(&server, "peers") - before.1;
    assert!(peers <= alone + 40, "{peers} against {alone}");
}
