//! What `docs/configuration.md` says of keys is what the program reads.

use std::{collections::BTreeMap, path::Path};

use super::{Config, Limits};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
const REQUIRED: &str = "domain = \"a.example\"\nlisten = \"127.0.0.1:1\"\ndata = \"x\"\n";
const TABLES: &str =
    "[tls]\ncertificate = \"x\"\nkey = \"x\"\nroots = \"x\"\n[issuer]\ncertificate = \"x\"\nkey = \"x\"\n";

/// Default and range of a key.
type Row = (String, String);

/// The rows of the page, by table and key. The table of what stands at the top has no name.
fn page() -> BTreeMap<(String, String), Row> {
    let (mut table, mut rows) = (String::new(), BTreeMap::new());
    for line in std::fs::read_to_string(PAGE).unwrap().lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = heading.trim_matches(['`', '[', ']']).replace("Top", "");
        }
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let [_, key, _, _, default, range, _] = cells.as_slice()
            && key.starts_with('`')
        {
            let row = ((*default).to_owned(), (*range).to_owned());
            assert!(rows.insert((table.clone(), key.replace('`', "")), row).is_none(), "{line}");
        }
    }
    rows
}

fn read(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/")).map_err(|error| error.to_string())
}

/// A configuration in which a line stands in a table.
fn with(table: &str, line: &str) -> String {
    let header = match table {
        "" => return format!("{line}{REQUIRED}{TABLES}"),
        "tls" | "issuer" => {
            return format!("{REQUIRED}{TABLES}").replace(&format!("[{table}]\n"), &format!("[{table}]\n{line}"));
        }
        "anchors" => "[[anchors]]\ncertificate = \"x\"\ndomains = []\n",
        "peers" => "[[peers]]\ndomain = \"b.example\"\n",
        "assets" => "[[assets]]\nprovider = \"a.example\"\nhost = \"cdn.example\"\n",
        "database" => "[database]\npostgres = \"\"\n",
        "admin" => "[admin]\nlisten = \"127.0.0.1:2\"\n",
        // What a key stands beside.
        "ties" if line.starts_with("reputation") => "[ties]\nway = \"score\"\nkey = \"x\"\npseudonyms = 1\n",
        "ties" if line.starts_with("period_days") => "[ties]\npseudonyms = 1\n",
        other => return format!("{REQUIRED}{TABLES}[{other}]\n{line}"),
    };
    format!("{REQUIRED}{TABLES}{header}{line}")
}

/// The keys of a table, as the program names them to whoever writes another one.
fn keys(table: &str) -> Vec<String> {
    let error = read(&with(table, "no_such_key = 1\n")).unwrap_err();
    let (_, expected) = error.split_once("expected ").unwrap_or_else(|| panic!("{table}: {error}"));
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn number(text: &str) -> Option<i128> {
    text.replace(',', "").parse().ok()
}

#[test]
fn every_key_is_on_the_page_and_no_other() {
    let page = page();
    let mut read = Vec::new();
    for key in keys("") {
        match key.as_str() {
            "tls" | "issuer" | "anchors" | "peers" | "assets" | "database" | "federation" | "admin" | "log"
            | "rooms" | "abuse" | "ties" | "limits" => {
                read.extend(keys(&key).into_iter().map(|inner| (key.clone(), inner)))
            }
            _ => read.push((String::new(), key)),
        }
    }
    read.sort();
    assert_eq!(read, page.into_keys().collect::<Vec<_>>());
}

#[test]
fn numbers_are_as_the_page_says() {
    let config = read(&format!("{REQUIRED}{TABLES}")).unwrap();
    let mut defaults: BTreeMap<(String, String), i128> = BTreeMap::new();
    let mut is = |table: &str, key: &str, value: i128| defaults.insert((table.to_owned(), key.to_owned()), value);
    for (limit, value) in Limits::default().all() {
        is("limits", limit, value.into());
    }
    is("", "port", config.port.into());
    is("federation", "port", config.federation.port.into());
    is("rooms", "guest_seconds", config.rooms.guest_seconds.into());
    is("rooms", "guests", config.rooms.guests.into());
    is("abuse", "secret_days", config.abuse.secret_days.into());
    is("abuse", "remember_days", config.abuse.remember_days.into());
    is("abuse", "signer_days", config.abuse.signer_days.into());
    is("ties", "more", config.ties.more.into());
    is("ties", "period_days", config.ties.period_days().into());
    is("ties", "cohort", config.ties.cohort_size().into());
    is("peers", "port", read(&with("peers", "")).unwrap().peers.first().unwrap().port.into());
    is("assets", "port", read(&with("assets", "")).unwrap().assets.first().unwrap().port.into());
    is("database", "connections", read(&with("database", "")).unwrap().database.unwrap().connections.into());
    let said: BTreeMap<_, _> =
        page().into_iter().filter_map(|(key, (default, _))| Some((key, number(&default)?))).collect();
    assert_eq!(said, defaults);
}

#[test]
fn ranges_are_as_the_page_says() {
    let mut checked = 0;
    for ((table, key), (_, range)) in page() {
        let taken = |value: i128| read(&with(&table, &format!("{key} = {value}\n"))).map(drop);
        let (least, most) = match range.strip_prefix("from ") {
            Some(least) => (number(least).unwrap(), None),
            None => match range.split_once(" to ") {
                Some((least, most)) => (number(least).unwrap(), number(most)),
                None => continue,
            },
        };
        // A number of TOML has 64 bits, with a sign. What is above cannot be written.
        assert_eq!(taken(least), Ok(()), "{key}");
        assert!(taken(least - 1).is_err(), "{key}");
        if let Some(most) = most {
            assert_eq!(taken(most), Ok(()), "{key}");
            assert!(taken(most + 1).is_err(), "{key}");
        }
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
    for ((table, key), (_, range)) in page() {
        for value in range.split(", ").filter(|value| value.starts_with("`\"")) {
            let with = with(&table, &format!("{key} = {}\n", value.replace('`', "")));
            let read = read(&with);
            // Other ways than `direct` need a key besides.
            assert!(read.as_ref().err().is_none_or(|error| error.contains("needs a key")), "{key}: {read:?}");
        }
    }
}
