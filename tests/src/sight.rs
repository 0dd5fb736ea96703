//! What each provider could see, found by searching every octet it received, stored or logged.

mod print;
mod search;
mod sqlite;
mod uris;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use mimi_wire::directory::percent_decode;

pub(crate) use self::search::{Search, base64};
pub use self::uris::Names;
use crate::{call::Call, record::Line};

/// A value that is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// What it is, for the table: `Alice's handle`.
    pub name: String,
    /// Its octets; at least four, so that it is not found by chance.
    pub octets: Vec<u8>,
}

impl Canary {
    /// A value and what it is.
    pub fn new(name: &str, octets: impl AsRef<[u8]>) -> Self {
        Self { name: name.to_owned(), octets: octets.as_ref().to_vec() }
    }
}

/// What a provider is expected to see of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expectation {
    /// It may, and in this scenario it must, for this reason: if it is not found, the search is broken.
    Allowed(String),
    /// It must not, by this section.
    Forbidden(String),
    /// It must not, but today it does: why. If it no longer does, the expectation has to be changed.
    OpenDifference(String),
}

/// How what was found compares with what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// As it is known to be, and should not be.
    Open,
    /// Found where it must not be.
    Leak,
    /// Not found where it is known to be.
    NotSeen,
}

/// Where a provider saw a canary.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// In what it received.
    pub received: bool,
    /// In a file of its data.
    pub stored: bool,
    /// In its log.
    pub logged: bool,
    /// The first place: an endpoint or a file.
    pub first: Option<String>,
}

impl Cell {
    /// Whether it was seen at all.
    pub fn seen(&self) -> bool {
        self.received || self.stored || self.logged
    }
}

/// The table of what each provider could see.
#[derive(Debug)]
pub struct Sight {
    providers: Vec<String>,
    canaries: Vec<Canary>,
    expectations: BTreeMap<(String, String), Expectation>,
    search: Search,
    cells: BTreeMap<(String, String), Cell>,
    names: BTreeMap<String, Names>,
    octets: BTreeMap<String, usize>,
}

/// How a provider came by some octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Received,
    Stored,
    Logged,
}

impl Sight {
    /// A table for these providers and canaries, with nothing looked at yet.
    ///
    /// # Errors
    /// If there is no canary, one is shorter than four octets, or two have the same name.
    pub fn new(providers: &[&str], canaries: Vec<Canary>) -> Result<Self> {
        if canaries.is_empty() {
            bail!("there is nothing to search for");
        }
        for (at, canary) in canaries.iter().enumerate() {
            if canary.octets.len() < 4 {
                bail!("{}: a canary has at least four octets", canary.name);
            }
            if canaries.iter().take(at).any(|other| other.name == canary.name) {
                bail!("there are two canaries with the name {}", canary.name);
            }
        }
        let search = Search::new(canaries.iter().map(|canary| canary.octets.as_slice()));
        Ok(Self {
            providers: providers.iter().map(|provider| (*provider).to_owned()).collect(),
            canaries,
            expectations: BTreeMap::new(),
            search,
            cells: BTreeMap::new(),
            names: BTreeMap::new(),
            octets: BTreeMap::new(),
        })
    }

    /// Says what a provider is expected to see of a canary. Every pair needs one.
    ///
    /// # Errors
    /// If there is no such provider or canary.
    pub fn expect(&mut self, provider: &str, canary: &str, expectation: Expectation) -> Result<()> {
        let known = self.providers.iter().any(|name| name == provider)
            && self.canaries.iter().any(|known| known.name == canary);
        if !known {
            bail!("there is no provider {provider} or no canary {canary}");
        }
        self.expectations.insert((provider.to_owned(), canary.to_owned()), expectation);
        Ok(())
    }

    /// Looks at what a provider received: requests that were made to it, and answers to its own.
    pub fn look_at_exchanges(&mut self, provider: &str, lines: &[Line]) {
        for line in lines {
            let place = Call::of(&line.method, &line.path).name();
            if line.server {
                self.look(provider, Way::Received, place, &line.request);
                self.look(provider, Way::Received, place, line.path.as_bytes());
                let decoded = percent_decode(&line.path).unwrap_or_default();
                self.look(provider, Way::Received, place, decoded.as_bytes());
            } else {
                self.look(provider, Way::Received, place, &line.response);
            }
        }
    }

    /// Looks at every file in the folder of a provider's data, and at its log. May be done several times, also while
    /// the provider runs: what was once seen stays.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn look_at_files(&mut self, provider: &str, data: &Path, log: &Path) -> Result<()> {
        let mut folders = vec![data.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
            for entry in entries {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                // A database in use may lose a file between the listing and the reading.
                let Ok(octets) = fs::read(&path) else { continue };
                let place = path.strip_prefix(data).unwrap_or(&path).display().to_string();
                self.look(provider, Way::Stored, &place, &octets);
                if let Some(joined) = sqlite::pages_joined(&octets) {
                    self.look(provider, Way::Stored, &place, &joined);
                }
            }
        }
        let octets = fs::read(log).with_context(|| format!("{} cannot be read", log.display()))?;
        self.look(provider, Way::Logged, "log", &octets);
        Ok(())
    }

    fn look(&mut self, provider: &str, way: Way, place: &str, octets: &[u8]) {
        *self.octets.entry(provider.to_owned()).or_default() += octets.len();
        self.names.entry(provider.to_owned()).or_default().scan(octets);
        for found in self.search.find(octets) {
            let Some(canary) = self.canaries.get(found) else { continue };
            let cell = self.cells.entry((provider.to_owned(), canary.name.clone())).or_default();
            match way {
                Way::Received => cell.received = true,
                Way::Stored => cell.stored = true,
                Way::Logged => cell.logged = true,
            }
            cell.first.get_or_insert_with(|| place.to_owned());
        }
    }

    /// Where a provider saw a canary.
    pub fn cell(&self, provider: &str, canary: &str) -> Cell {
        self.cells.get(&(provider.to_owned(), canary.to_owned())).cloned().unwrap_or_default()
    }

    /// The pseudonyms, accounts, rooms and domains that a provider met, read from the octets.
    pub fn names(&self, provider: &str) -> Names {
        self.names.get(provider).cloned().unwrap_or_default()
    }

    /// How what a provider saw of a canary compares with what was expected.
    ///
    /// # Errors
    /// If nothing was said about this pair.
    pub fn verdict(&self, provider: &str, canary: &str) -> Result<Verdict> {
        let expectation = self.expectation(provider, canary)?;
        Ok(match (expectation, self.cell(provider, canary).seen()) {
            (Expectation::Allowed(_), true) | (Expectation::Forbidden(_), false) => Verdict::Ok,
            (Expectation::OpenDifference(_), true) => Verdict::Open,
            (Expectation::Forbidden(_), true) => Verdict::Leak,
            (Expectation::Allowed(_) | Expectation::OpenDifference(_), false) => Verdict::NotSeen,
        })
    }

    fn expectation(&self, provider: &str, canary: &str) -> Result<&Expectation> {
        let expectation = self.expectations.get(&(provider.to_owned(), canary.to_owned()));
        expectation.ok_or_else(|| anyhow!("nothing was said about {canary} at {provider}"))
    }

    /// What is wrong, each as a line; empty if the table is as it should be.
    ///
    /// # Errors
    /// If a pair of provider and canary has no expectation.
    pub fn failures(&self) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        for (provider, canary, expectation) in self.pairs()? {
            let place = self.cell(provider, canary).first.unwrap_or_default();
            match (self.verdict(provider, canary)?, expectation) {
                (Verdict::Leak, Expectation::Forbidden(section)) => {
                    failures.push(format!("LEAK: {provider} saw {canary} ({place}), against {section}"));
                }
                (Verdict::NotSeen, Expectation::OpenDifference(_)) => {
                    failures.push(format!("not seen: {provider} no longer sees {canary}: the difference is gone"));
                }
                (Verdict::NotSeen, Expectation::Allowed(reason)) => {
                    failures.push(format!("not seen: {provider} must have seen {canary} ({reason})"));
                }
                _ => {}
            }
        }
        Ok(failures)
    }

    /// Where the draft and what happens differ today, each as a line.
    ///
    /// # Errors
    /// If a pair of provider and canary has no expectation.
    pub fn open_differences(&self) -> Result<Vec<String>> {
        let open = self.pairs()?.into_iter().filter_map(|(provider, canary, expectation)| match expectation {
            Expectation::OpenDifference(why) => Some(format!("{provider} sees {canary}: {why}")),
            _ => None,
        });
        Ok(open.collect())
    }

    fn pairs(&self) -> Result<Vec<(&str, &str, &Expectation)>> {
        let mut pairs = Vec::new();
        for canary in &self.canaries {
            for provider in &self.providers {
                pairs.push((provider.as_str(), canary.name.as_str(), self.expectation(provider, &canary.name)?));
            }
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{
        fixture::{Fixture, Keep},
        record::sample::line,
    };

    const A: &str = "a.example";
    const B: &str = "b.example";
    const HANDLE: &str = "Alice's handle";

    fn sight() -> Sight {
        Sight::new(&[A, B], vec![Canary::new(HANDLE, "alice")]).unwrap()
    }

    /// A provider's files, with one of them filled.
    fn files(fixture: &Fixture, name: &str, octets: &[u8]) -> (PathBuf, PathBuf) {
        let site = fixture.site(A).unwrap();
        fs::write(site.log(), "nothing\n").unwrap();
        fs::create_dir_all(site.data().join("deep")).unwrap();
        fs::write(site.data().join(name), octets).unwrap();
        (site.data(), site.log())
    }

    #[test]
    fn a_canary_in_a_wal_file_is_found_and_once_found_stays() {
        let fixture = Fixture::create("wal", &[A], Keep::No).unwrap();
        let mut sight = sight();
        let (data, log) = files(&fixture, "deep/mimi.sqlite-wal", b"\x00\x01frame\xffalice\x00");
        sight.look_at_files(A, &data, &log).unwrap();
        fs::remove_file(data.join("deep/mimi.sqlite-wal")).unwrap();
        sight.look_at_files(A, &data, &log).unwrap();
        let cell = Cell { stored: true, first: Some("deep/mimi.sqlite-wal".into()), ..Cell::default() };
        assert_eq!(sight.cell(A, HANDLE), cell);
        assert_eq!(sight.cell(B, HANDLE), Cell::default());
    }

    #[test]
    fn a_canary_in_a_log_in_base64_is_found() {
        let fixture = Fixture::create("log", &[A], Keep::No).unwrap();
        let mut sight = sight();
        let (data, log) = files(&fixture, "mimi.sqlite", b"");
        fs::write(&log, format!("1.000 note {}\n", base64(b"?alice?"))).unwrap();
        sight.look_at_files(A, &data, &log).unwrap();
        assert_eq!(sight.cell(A, HANDLE), Cell { logged: true, first: Some("log".into()), ..Cell::default() });
        assert!(sight.look_at_files(A, &data, &data.join("nowhere")).is_err());
    }

    #[test]
    fn received_is_what_others_sent_and_not_what_it_sent() {
        let mut sight = sight();
        sight.look_at_exchanges(A, &[line(1, false, B, "/v1/notify/alice", 200, b"alice")]);
        assert!(!sight.cell(A, HANDLE).seen());
        let mut answered = line(1, false, B, "/v1/identifierQuery/b.example", 200, b"");
        answered.response = b"..alice".to_vec();
        sight.look_at_exchanges(A, &[answered]);
        assert_eq!(sight.cell(A, HANDLE).first.unwrap(), "identifierQuery");
        let mut response = line(1, true, A, "/v1/notify/x", 200, b"");
        response.response = b"alice".to_vec();
        sight.look_at_exchanges(B, &[response]);
        assert!(!sight.cell(B, HANDLE).seen());
        sight.look_at_exchanges(B, &[line(1, true, A, "/v1/notify/x%2Falice", 200, b"")]);
        assert!(sight.cell(B, HANDLE).received);
    }

    #[test]
    fn a_leak_and_a_search_that_finds_nothing_are_failures() {
        let mut sight = sight();
        assert!(
            sight.failures().unwrap_err().to_string().contains("nothing was said about Alice's handle at a.example")
        );
        sight.expect(A, HANDLE, Expectation::Allowed("her own provider".into())).unwrap();
        sight.expect(B, HANDLE, Expectation::Forbidden("section 3.1".into())).unwrap();
        assert_eq!(sight.failures().unwrap(), ["not seen: a.example must have seen Alice's handle (her own provider)"]);
        sight.look_at_exchanges(A, &[line(1, true, "client", "/client/v1/register", 200, b"alice")]);
        assert_eq!(sight.failures().unwrap(), [""; 0]);
        assert_eq!(sight.verdict(A, HANDLE).unwrap(), Verdict::Ok);
        sight.look_at_exchanges(B, &[line(1, true, A, "/v1/notify/x", 200, b"alice")]);
        assert_eq!(sight.verdict(B, HANDLE).unwrap(), Verdict::Leak);
        assert_eq!(sight.failures().unwrap(), ["LEAK: b.example saw Alice's handle (notify), against section 3.1"]);
    }

    #[test]
    fn an_open_difference_is_listed_and_fails_once_it_is_gone() {
        let mut sight = sight();
        sight.expect(A, HANDLE, Expectation::Forbidden("section 1".into())).unwrap();
        sight.expect(B, HANDLE, Expectation::OpenDifference("handshakes are public".into())).unwrap();
        assert!(sight.failures().unwrap().first().unwrap().ends_with("the difference is gone"));
        sight.look_at_exchanges(B, &[line(1, true, A, "/v1/notify/x", 200, b"alice")]);
        assert_eq!(sight.failures().unwrap(), [""; 0]);
        assert_eq!(sight.verdict(B, HANDLE).unwrap(), Verdict::Open);
        let open = sight.open_differences().unwrap();
        assert_eq!(open, ["b.example sees Alice's handle: handshakes are public"]);
        assert!(sight.to_string().contains("handshakes are public"));
    }

    #[test]
    fn a_table_that_cannot_be_trusted_is_refused() {
        assert!(Sight::new(&[A], vec![]).is_err());
        assert!(Sight::new(&[A], vec![Canary::new("short", "abc")]).is_err());
        assert!(Sight::new(&[A], vec![Canary::new("x", "abcd"), Canary::new("x", "efgh")]).is_err());
        assert!(sight().expect("c.example", HANDLE, Expectation::Allowed(String::new())).is_err());
        assert!(sight().expect(A, "Bob's handle", Expectation::Allowed(String::new())).is_err());
    }
}
