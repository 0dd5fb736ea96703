use std::{
    fmt,
    path::{Path, PathBuf},
};

use mimi_pseudonym::Domain;
use toml::{Spanned, de::DeTable, de::DeValue};

/// Where in a configuration something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, if it was read from one.
    file: Option<PathBuf>,
    /// The line, counted from 1; none if it is not there.
    line: Option<usize>,
    /// The key on that line, or the line itself.
    key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        f.write_str(&self.key)
    }
}

/// Why a value is refused that is one of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// A peer is listed twice, or is this provider itself.
    #[error("{0} is listed twice or is this provider itself")]
    Peer(Domain),
    /// A place for files is listed twice, or is that of a provider that this one does not talk with.
    #[error("{0} is listed twice or its provider is none of the peers")]
    Asset(Domain),
    /// The way of tying pseudonyms to accounts lacks something.
    #[error("{0}")]
    Ties(&'static str),
    /// A number of days is out of range.
    #[error("days are 1 to 3650")]
    Days,
    /// The memory for bodies is less than one of them may have.
    #[error("it must be at least body")]
    Memory,
    /// A limit or port is zero.
    #[error("it must not be 0")]
    Zero,
    /// A folder without a name.
    #[error("it must not be empty")]
    Empty,
    /// Too few connections to the database.
    #[error("it must be at least 2")]
    Connections,
}

/// A step from the top of a configuration to one of its values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Key(&'static str),
    /// Of several tables of the same name.
    Entry(usize),
}

impl Place {
    /// Where in the text an error is.
    pub(super) fn of_error(text: &str, file: Option<&Path>, error: &toml::de::Error) -> Self {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        let content = text.lines().nth(line).unwrap_or_default();
        let key = content.split_once('=').map_or(content, |(key, _)| key).trim().to_owned();
        Self { file: file.map(Path::to_owned), line: Some(line + 1), key }
    }

    /// Where in the text a key stands; the table in which it would stand if it is not there.
    pub(super) fn of_key(text: &str, file: Option<&Path>, steps: &[Step]) -> Self {
        let names = steps.iter().filter_map(|step| match step {
            Step::Key(name) => Some(*name),
            Step::Entry(_) => None,
        });
        let names: Vec<_> = names.collect();
        let (key, tables) = names.split_last().unwrap_or((&"", &[]));
        let table = if tables.is_empty() { String::new() } else { format!("[{}] ", tables.join(".")) };
        let (start, found) = match DeTable::parse(text) {
            Ok(top) => find(top.get_ref(), steps),
            Err(_) => (None, false),
        };
        let key = if found { (*key).to_owned() } else { format!("{table}{key}") };
        Self { file: file.map(Path::to_owned), line: start.map(|start| line_of(text, start) + 1), key }
    }
}

/// The lines before an octet.
fn line_of(text: &str, octet: usize) -> usize {
    text.bytes().take(octet).filter(|octet| *octet == b'\n').count()
}

/// How far the steps lead, and whether it is to their end.
fn find(top: &DeTable<'_>, steps: &[Step]) -> (Option<usize>, bool) {
    let mut start = None;
    let mut table = Some(top);
    let mut value: Option<&Spanned<DeValue<'_>>> = None;
    for step in steps {
        let next = match step {
            Step::Key(name) => {
                let found = table.and_then(|table| table.get_key_value(*name));
                found.map(|(key, value)| (key.span().start, value))
            }
            Step::Entry(at) => {
                let entries = value.and_then(|value| value.get_ref().as_array());
                entries.and_then(|entries| entries.get(*at)).map(|value| (value.span().start, value))
            }
        };
        let Some((at, found)) = next else { return (start, false) };
        (start, value, table) = (Some(at), Some(found), found.get_ref().as_table());
    }
    (start, true)
}
