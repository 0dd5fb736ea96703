#![doc = include_str!("../README.md")]

mod abuse;
mod admin;
mod assets;
mod chain;
mod clock;
mod config;
mod consent;
mod counts;
mod couriers;
mod credentials;
mod devices;
mod events;
mod fail;
mod forget;
mod franking;
mod gate;
mod hub;
mod identifier;
mod inbox;
mod key_material;
mod keys;
mod limiter;
mod local;
mod lock;
mod log;
mod looks;
mod metrics;
mod news;
pub mod operate;
mod options;
mod outbox;
mod pace;
mod page;
mod peers;
mod private;
mod provider;
mod record;
mod server;
mod stamper;
mod store;
mod ties;
mod wake;

pub use abuse::{explain, pardon};
pub use clock::{OffsetClock, OsEntropy};
pub use config::{Config, ConfigError, Place, Setting, Unfit};
pub use keys::KeyFileError;
pub use options::Options;
pub use provider::{Provider, Reloader, StartError};
pub use store::StoreError;

use ring::digest::{SHA256, digest};

/// SHA-256 of parts, each behind its length.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut octets = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        octets.extend_from_slice(&(part.len() as u64).to_be_bytes());
        octets.extend_from_slice(part);
    }
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, &octets).as_ref()) {
        *to = *from;
    }
    hash
}

/// Octets as hexadecimal digits.
fn hex(octets: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

/// Undoes [`hex`] for 32 octets.
fn unhex32(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    let octets: Vec<u8> =
        digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |sum, digit| sum << 4 | digit)).collect();
    if digits.len() == 64 { octets.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_read_back() {
        let octets = hash(&[b"a"]);
        assert_eq!(unhex32(&hex(&octets)), Some(octets));
        assert_eq!(unhex32("zz"), None);
        assert_eq!(unhex32(&"0".repeat(63)), None);
        assert_eq!(unhex32(&"0".repeat(66)), None);
    }

    #[test]
    fn parts_cannot_flow_into_each_other() {
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
    }
}
