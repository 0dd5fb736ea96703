//! Who has learned what, found in what each provider was sent, has stored and has logged.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use mimi_pseudonym::{UserUri, Wire};
use mimi_tie::{ActKey, TieRow};
use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::Case;
use crate::{
    fixture::{Fixture, Site},
    record::{Line, client_tag, read},
    sight::Search,
};

/// Octets by which somebody is recognised wherever they stand: names, and numbers that stand for nothing else.
type Marks = BTreeSet<Vec<u8>>;

/// What one provider has of it all.
pub(super) struct Files {
    /// Each row of its database, with its columns.
    rows: Vec<Vec<Vec<u8>>>,
    log: Vec<u8>,
    lines: Vec<Line>,
}

impl Files {
    pub(super) fn of(site: &Site) -> Result<Self> {
        let rows = rows(&database(site))?;
        Ok(Self { rows, log: fs::read(site.log())?, lines: read(&site.exchanges())? })
    }

    /// Whether anything holds one of these, in whatever form.
    pub(super) fn have(&self, marks: &[&str]) -> bool {
        let search = Search::new(marks.iter().map(|mark| mark.as_bytes()));
        let holds = |octets: &[u8]| !search.find(octets).is_empty();
        self.rows.iter().flatten().any(|column| holds(column))
            || holds(&self.log)
            || self.lines.iter().any(|line| {
                let received = if line.server { &line.request } else { &line.response };
                holds(received) || holds(line.path.as_bytes())
            })
    }

    /// The same with exchanges with one other provider alone, and nothing else.
    fn with(&self, provider: &str) -> Self {
        let lines = self.lines.iter().filter(|line| line.peer == provider).cloned().collect();
        Self { rows: Vec::new(), log: Vec::new(), lines }
    }

    /// Whether a row of the database has marks of both.
    fn row_ties(&self, one: &Marks, other: &Marks) -> bool {
        let has =
            |row: &[Vec<u8>], marks: &Marks| row.iter().any(|column| marks.iter().any(|mark| holds(column, mark)));
        self.rows.iter().any(|row| has(row, one) && has(row, other))
    }

    fn log_ties(&self, one: &Marks, other: &Marks) -> bool {
        let has = |line: &[u8], marks: &Marks| marks.iter().any(|mark| contains(line, mark));
        self.log.split(|octet| *octet == b'\n').any(|line| has(line, one) && has(line, other))
    }

    /// Whether an exchange has marks of both: in the request, in the answer, or in who has asked.
    fn exchange_ties(&self, one: &Marks, other: &Marks) -> bool {
        let has = |line: &Line, marks: &Marks| {
            let parts = [&line.request, &line.response];
            marks.iter().any(|mark| {
                parts.iter().any(|part| contains(part, mark))
                    || contains(line.path.as_bytes(), mark)
                    || line.peer.as_bytes() == mark.as_slice()
            })
        };
        self.lines.iter().any(|line| has(line, one) && has(line, other))
    }
}

/// The marks of an account or a pseudonym at its own provider: its name, its number, those of its devices.
fn marks(site: &Site, user: &UserUri, tags: &[String]) -> Result<Marks> {
    let db = connect(&database(site))?;
    let mut marks: Marks = [user.as_str().as_bytes().to_vec()].into();
    marks.extend(tags.iter().map(|tag| tag.as_bytes().to_vec()));
    let mut numbers = Vec::new();
    let account: Result<i64, _> =
        db.query_row("SELECT id FROM accounts WHERE user_uri = ?1", [user.as_str()], |row| row.get(0));
    if let Ok(account) = account {
        numbers.push(account);
        let mut devices = db.prepare("SELECT id FROM devices WHERE account = ?1")?;
        let found = devices.query_map([account], |row| row.get(0))?;
        numbers.extend(found.collect::<Result<Vec<i64>, _>>()?);
    }
    marks.extend(numbers.into_iter().map(number));
    Ok(marks)
}

/// A number as it stands in [`Files`].
fn number(value: i64) -> Vec<u8> {
    format!("#{value}").into_bytes()
}

/// What is learned of the spammer of a home, line by line of the table.
pub(super) fn learned(fixture: &Fixture, case: &Case, reporters: &[String]) -> Result<Vec<(&'static str, bool)>> {
    let hub = Files::of(fixture.site(super::homes::HUB)?)?;
    let site = fixture.site(case.home.domain)?;
    let home = Files::of(site)?;
    let tags: Vec<_> = case.token.iter().map(client_tag).collect();
    let account = marks(site, &case.account, &tags)?;
    let [first, second] = [&case.first, &case.second].map(|name| marks(site, name, &[]));
    let (first, second) = (first?, second?);
    let named = |user: &UserUri| -> Marks { [user.as_str().as_bytes().to_vec()].into() };
    let (one, other) = (named(&case.first), named(&case.second));
    // Alice's device is in both rooms, and is sent both names: what counts is what the home has to do with it.
    let hub_ties = hub.row_ties(&one, &other)
        || hub.log_ties(&one, &other)
        || hub.with(case.home.domain).exchange_ties(&one, &other);
    let together =
        home.row_ties(&first, &second) || (home.row_ties(&account, &first) && home.row_ties(&account, &second));
    let reporters: Vec<&str> = reporters.iter().map(String::as_str).collect();
    Ok(vec![
        ("the hub: the account behind the pseudonym", hub.have(&[case.account.as_str(), &case.handle])),
        ("the hub: that two pseudonyms are one account's", hub_ties),
        (
            "the hub: accounts of other providers' reporters",
            hub.have(&reporters_elsewhere(&reporters, super::homes::HUB)),
        ),
        ("the home provider: the words that were reported", home.have(&[super::SPAM])),
        (
            "the home provider: who has reported them, if it is not its own user",
            home.have(&reporters_elsewhere(&reporters, case.home.domain)),
        ),
        ("whoever reads its database: the account behind the pseudonym", home.row_ties(&account, &first)),
        ("whoever reads its database: that two pseudonyms are one account's", together),
        ("whoever reads its log: the account behind the pseudonym", home.log_ties(&account, &first)),
        ("its process, when the pseudonym was drawn: the account", home.exchange_ties(&account, &one)),
    ])
}

fn reporters_elsewhere<'a>(reporters: &[&'a str], domain: &str) -> Vec<&'a str> {
    let own = format!("mimi://{domain}/");
    reporters.iter().copied().filter(|reporter| !reporter.starts_with(&own)).collect()
}

/// Whether the process that acts finds the account behind a pseudonym, with its key and the row.
pub(super) fn acts(site: &Site, case: &Case) -> Result<bool> {
    let octets = super::operators::octets(&site.config().with_file_name("act.key"))?;
    let key = ActKey::from_secret(&octets.try_into().map_err(|_| anyhow::anyhow!("a key of 32 octets"))?);
    let TieRow::ActOnly(row) = tie(site, &key.tag(&case.first))? else { return Ok(false) };
    let mut acted = None;
    key.act(&case.first, Some(&row), |account: &UserUri| {
        acted = Some(account.clone());
        Ok(())
    })?;
    Ok(acted.as_ref() == Some(&case.account))
}

fn tie(site: &Site, found_by: &[u8]) -> Result<TieRow> {
    let query = "SELECT tie FROM tie_rows WHERE found_by = ?1";
    let row: Vec<u8> = connect(&database(site))?.query_row(query, [found_by], |row| row.get(0))?;
    Ok(TieRow::decode(&row)?)
}

/// One column of a table, for rows in which another has this value.
pub(super) fn column(site: &Site, query: &str, value: &str) -> Result<Vec<String>> {
    let db = connect(&database(site))?;
    let mut statement = db.prepare(query)?;
    let rows = statement.query_map([value], |row| row.get::<_, String>(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn database(site: &Site) -> std::path::PathBuf {
    site.data().join("provider.sqlite")
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Connection::open_with_flags(path, flags).with_context(|| format!("{} cannot be opened", path.display()))
}

fn rows(path: &Path) -> Result<Vec<Vec<Vec<u8>>>> {
    let db = connect(path)?;
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for table in tables {
        let mut statement = db.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let column = |at| -> Result<Vec<u8>> {
                Ok(match row.get_ref(at)? {
                    ValueRef::Integer(value) => number(value),
                    ValueRef::Text(octets) | ValueRef::Blob(octets) => octets.to_vec(),
                    ValueRef::Null | ValueRef::Real(_) => Vec::new(),
                })
            };
            found.push((0..columns).map(column).collect::<Result<_>>()?);
        }
    }
    Ok(found)
}

/// A number is the whole column; a name stands anywhere in it.
fn holds(column: &[u8], mark: &[u8]) -> bool {
    if mark.starts_with(b"#") { column == mark } else { contains(column, mark) }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{record::sample::line, sight::base64};

    fn files(rows: &[&[&[u8]]], log: &str, lines: Vec<Line>) -> Files {
        let rows = rows.iter().map(|row| row.iter().map(|column| column.to_vec()).collect()).collect();
        Files { rows, log: log.as_bytes().to_vec(), lines }
    }

    fn one(mark: &str) -> Marks {
        [mark.as_bytes().to_vec()].into()
    }

    #[test]
    fn what_stands_in_one_row_is_tied_and_what_stands_in_two_is_not() {
        let tied = files(&[&[b"#7000001", b"..mimi://b.example/u/~1.."]], "", vec![]);
        assert!(tied.row_ties(&one("#7000001"), &one("mimi://b.example/u/~1")));
        assert!(!tied.row_ties(&one("#700000"), &one("mimi://b.example/u/~1")), "a number is a whole one");
        let apart = files(&[&[b"#7000001"], &[b"mimi://b.example/u/~1"]], "", vec![]);
        assert!(!apart.row_ties(&one("#7000001"), &one("mimi://b.example/u/~1")));
    }

    #[test]
    fn a_log_is_read_by_lines_and_an_exchange_as_a_whole() {
        let log = files(&[], "one two\nthree\n", vec![]);
        assert!(log.log_ties(&one("one"), &one("two")) && !log.log_ties(&one("one"), &one("three")));
        let mut asked = line(1, true, "client:01020304", "/client/v1/pseudonyms", 200, b"");
        asked.response = b"..canary".to_vec();
        let exchange = files(&[], "", vec![asked]);
        assert!(exchange.exchange_ties(&one("client:01020304"), &one("canary")));
        assert!(!exchange.exchange_ties(&one("client:01020305"), &one("canary")));
        assert!(!exchange.have(&["canary"]), "it was the provider's own answer");
    }

    #[test]
    fn what_is_had_is_found_as_octets_and_in_base64() {
        let encoded = base64(b"buy this canary");
        assert!(files(&[&[b"..buy this canary.."]], "", vec![]).have(&["buy this canary"]));
        assert!(files(&[], &encoded, vec![]).have(&["buy this canary"]));
        assert!(!files(&[&[b"nothing"]], "nothing", vec![]).have(&["buy this canary"]));
    }
}
