use std::{fs, io::Write as _, path::Path};

use mimi_pseudonym::{Domain, Entropy, Wire};
use mimi_tie::{
    ActKey, Tie, Way,
    blind::{Issuer, TokenChallenge},
    operators::{OperatorsKey, Purpose},
};

use super::{Ties, TiesConfig};
use crate::{KeyFileError, clock::OsEntropy, hex, private};

impl Ties {
    /// As [`Ties::load`], and makes nothing: a key that this provider would make may be missing.
    pub(crate) fn check(config: &TiesConfig, domain: &Domain) -> Result<(), KeyFileError> {
        match (&config.key, config.way) {
            (Some(path), Way::ActOnly | Way::Blind) if !path.exists() => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                fs::read_dir(folder).map(drop).map_err(|error| KeyFileError::Read { path: folder.to_owned(), error })
            }
            _ => Self::load(config, domain).map(drop),
        }
    }

    /// Reads the key, or makes it where it is this provider's alone.
    pub(crate) fn load(config: &TiesConfig, domain: &Domain) -> Result<Self, KeyFileError> {
        let quota = config.quota();
        let Some(path) = &config.key else {
            return Ok(Self { tie: Tie::Direct, quota, lists: None, tokens: None, reputation: None });
        };
        let unusable = || KeyFileError::Tie(path.clone());
        let operators = |purpose: Purpose| operators(path, purpose);
        let (tie, tokens) = match config.way {
            Way::Direct => (Tie::Direct, None),
            Way::ActOnly => {
                let secret = read_or_make(path, || OsEntropy.bits256().to_vec())?;
                (Tie::ActOnly(ActKey::from_secret(&secret.try_into().map_err(|_| unusable())?)), None)
            }
            Way::Blind => {
                let fresh = Issuer::generate(&mut OsEntropy).map_err(|_| unusable())?;
                let secret = read_or_make(path, || fresh.secret().to_vec())?;
                let issuer = Issuer::from_secret(&secret.try_into().map_err(|_| unusable())?);
                (Tie::Blind, Some((issuer.map_err(|_| unusable())?, TokenChallenge::for_pseudonyms(domain))))
            }
            Way::BreakGlass => (Tie::BreakGlass(operators(Purpose::Opening)?), None),
            Way::Score => (Tie::Score(operators(Purpose::Scores)?, config.cohort().ok_or_else(unusable)?), None),
        };
        let lists = match (&tie, &config.lists) {
            (Tie::BreakGlass(key), _) => Some(key.clone()),
            (_, Some(path)) => Some(self::operators(path, Purpose::Opening)?),
            (_, None) => None,
        };
        Ok(Self { tie, quota, lists, tokens, reputation: config.reputation() })
    }
}

/// A key that operators share, for one purpose.
fn operators(path: &Path, purpose: Purpose) -> Result<OperatorsKey, KeyFileError> {
    let unusable = || KeyFileError::Tie(path.to_owned());
    let key = OperatorsKey::decode(&read(path)?).map_err(|_| unusable())?;
    if key.purpose() == purpose { Ok(key) } else { Err(unusable()) }
}

/// Octets from a file of hexadecimal digits.
fn read(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    let text = fs::read_to_string(path).map_err(|error| KeyFileError::Read { path: path.to_owned(), error })?;
    octets(text.trim()).ok_or_else(|| KeyFileError::Tie(path.to_owned()))
}

pub(crate) fn octets(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = digits.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}

/// As [`read`]; if there is no file, one is made that nobody else can read.
fn read_or_make(path: &Path, fresh: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, KeyFileError> {
    if path.exists() {
        return read(path);
    }
    let fresh = fresh();
    write_new(path, &fresh).map_err(|error| KeyFileError::NewTie { path: path.to_owned(), error })?;
    Ok(fresh)
}

/// Octets as hexadecimal digits, in the place of a file: either the old octets stand in it or the new ones.
pub(crate) fn rewrite(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write_new(&new, octets)?;
    fs::rename(new, path)
}

/// Octets as hexadecimal digits, into a file that there is not yet, and that nobody else can read.
pub(crate) fn write_new(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut file = private::new_file(path)?;
    file.write_all(format!("{}\n", hex(octets)).as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_there_is_made_or_it_is_said_why_not() {
        let folder = std::env::temp_dir().join(format!("mimi-provider-tie-key-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let path = folder.join("ties.key");
        let said = read_or_make(&path, || vec![7; 2]).unwrap_err().to_string();
        let expected = format!("{}: there is no key for this way of tying, and none can be written: ", path.display());
        assert!(said.starts_with(&expected), "{said}");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(read_or_make(&path, || vec![7; 2]).unwrap(), [7; 2]);
        assert_eq!(read_or_make(&path, || vec![8; 2]).unwrap(), [7; 2], "it is made once");
        fs::write(&path, "no digits").unwrap();
        let said = read_or_make(&path, || vec![7; 2]).unwrap_err().to_string();
        assert_eq!(said, format!("{}: not the key that this way of tying needs", path.display()));
        let _ = fs::remove_dir_all(folder);
    }

    #[test]
    fn digits_are_read_in_pairs() {
        assert_eq!(octets("00ff7A"), Some(vec![0, 255, 0x7a]));
        assert_eq!(octets("0"), None);
        assert_eq!(octets("0g"), None);
        assert_eq!(octets(""), Some(vec![]));
    }
}
