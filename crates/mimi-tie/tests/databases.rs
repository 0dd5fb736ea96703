//! What each way of tying leaves in a database file: the octets are searched for accounts.

#![cfg(feature = "threshold")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{entropy, operators};
use mimi_pseudonym::{AccountLink, UserUri, Wire};
use mimi_tie::{ActKey, Tie, TieRow, Way, score::CohortSize};
use rusqlite::Connection;

const ACCOUNTS: u8 = 12;
const SECRET: [u8; 32] = [0xa7; 32];

fn link(number: u8) -> AccountLink {
    let account: UserUri = format!("mimi://a.example/u/distinct-account-{number:02}").parse().unwrap();
    let pseudonym = UserUri::pseudonym(account.domain(), [number + 1; 16]);
    AccountLink::new(account, pseudonym).unwrap()
}

/// The octets of a database, with its journal, into which twelve accounts have registered a pseudonym each.
fn database(tie: &Tie) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ties.db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    db.execute_batch("CREATE TABLE ties (found_by BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID").unwrap();
    for number in 0..ACCOUNTS {
        let link = link(number);
        let row = tie.bind(&link, number.into(), &mut entropy(number)).unwrap();
        let found_by = match tie {
            Tie::ActOnly(key) => key.tag(link.pseudonym()).to_vec(),
            _ => link.pseudonym().as_str().as_bytes().to_vec(),
        };
        db.execute("INSERT INTO ties (found_by, row) VALUES (?1, ?2)", (found_by, row.encode())).unwrap();
        let read: Vec<u8> = db.query_row("SELECT row FROM ties LIMIT 1", [], |row| row.get(0)).unwrap();
        assert_eq!(TieRow::decode(&read).unwrap().way(), tie.way());
    }
    let mut octets = std::fs::read(&path).unwrap();
    octets.extend(std::fs::read(folder.path().join("ties.db-wal")).unwrap());
    octets
}

fn contains(octets: &[u8], text: &[u8]) -> bool {
    octets.windows(text.len()).any(|window| window == text)
}

#[test]
fn only_the_direct_tie_leaves_accounts_in_the_file() {
    let key = operators(2, 3, 1)[0].key().clone();
    let ties = [
        Tie::Direct,
        Tie::BreakGlass(key.clone()),
        Tie::ActOnly(ActKey::from_secret(&SECRET)),
        Tie::Score(key, CohortSize::new(4).unwrap()),
    ];
    for tie in ties {
        let octets = database(&tie);
        for number in 0..ACCOUNTS {
            let link = link(number);
            let name = contains(&octets, link.account().name().as_bytes());
            assert_eq!(name, tie.way() == Way::Direct, "{} and account {number}", tie.way());
            let pseudonym = contains(&octets, link.pseudonym().as_str().as_bytes());
            assert_eq!(pseudonym, tie.way() != Way::ActOnly, "{} and pseudonym {number}", tie.way());
        }
        assert!(!contains(&octets, &SECRET));
    }
}

#[test]
fn two_rows_of_one_account_have_nothing_in_common() {
    let key = operators(2, 3, 1)[0].key().clone();
    let account: UserUri = "mimi://a.example/u/alice".parse().unwrap();
    for tie in [Tie::BreakGlass(key.clone()), Tie::ActOnly(ActKey::from_secret(&SECRET))] {
        let row = |bits: u8| {
            let pseudonym = UserUri::pseudonym(account.domain(), [bits; 16]);
            let link = AccountLink::new(account.clone(), pseudonym).unwrap();
            tie.bind(&link, 0, &mut entropy(bits)).unwrap().encode()
        };
        let (one, two) = (row(1), row(2));
        assert_eq!(one.len(), two.len());
        assert!(!one[1..].windows(8).any(|window| contains(&two[1..], window)), "{}", tie.way());
    }
}

#[test]
fn the_blind_way_has_no_row() {
    assert_eq!(Tie::Blind.bind(&link(1), 1, &mut entropy(1)).err(), Some(mimi_tie::BindError::NeedsToken));
    assert_eq!(Tie::Blind.way(), Way::Blind);
    assert!(TieRow::decode(&[4]).is_err());
    assert!(TieRow::decode(&[9]).is_err());
}
