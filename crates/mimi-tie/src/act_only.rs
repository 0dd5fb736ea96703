use mimi_pseudonym::{AccountLink, DecodeError, Entropy, Reader, UserUri, Wire, Writer};
use zeroize::Zeroizing;

use crate::keys::{SEALED, mac, open_name, seal_name};

/// The key of the one process that acts on accounts by their pseudonyms. Nobody can look an account up without it, and
/// the one method that uses it for an account gives nothing back.
///
/// A row is found by a tag, HMAC-SHA-256 of the pseudonym, so that the table does not name the pseudonyms either. The
/// account's name in it is sealed by ChaCha20-Poly1305 under a key for that tag, bound to the pseudonym, in one length.
pub struct ActKey {
    finding: Zeroizing<[u8; 32]>,
    sealing: Zeroizing<[u8; 32]>,
}

/// What is stored for a pseudonym: without the key, random octets of the same length for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    nonce: [u8; 12],
    sealed: Vec<u8>,
}

/// Nothing could be done about the account behind a pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The row was not made with this key for this pseudonym.
    #[error("the row does not belong to this key and pseudonym")]
    NotOurs,
    /// What was to be done failed.
    #[error("the remedy failed")]
    Remedy,
}

impl ActKey {
    /// The key from 32 secret octets, which are kept apart from the database.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let key = |purpose: &[u8]| Zeroizing::new(mac(secret, purpose));
        Self { finding: key(b"mimi-tie act only 1, finding"), sealing: key(b"mimi-tie act only 1, sealing") }
    }

    /// Where the row of a pseudonym is found.
    pub fn tag(&self, pseudonym: &UserUri) -> [u8; 32] {
        mac(&self.finding, pseudonym.as_str().as_bytes())
    }

    /// The row for a pseudonym and its account.
    ///
    /// # Errors
    /// [`ActError::NotOurs`] if the account's name is too long to be sealed, which that of a parsed URI is not.
    pub fn bind(&self, link: &AccountLink, entropy: &mut dyn Entropy) -> Result<ActRow, ActError> {
        let tag = self.tag(link.pseudonym());
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce);
        let key = self.row_key(&tag);
        let sealed = seal_name(&key, nonce, link.pseudonym().as_str().as_bytes(), link.account());
        Ok(ActRow { nonce, sealed: sealed.map_err(|_| ActError::NotOurs)? })
    }

    /// Does something to the account behind a pseudonym, and says nothing about it: not which it is, nor whether there is
    /// one. For a pseudonym without a row nothing is done, with the same answer.
    ///
    /// # Errors
    /// [`ActError::NotOurs`] if the row is of another key or pseudonym, [`ActError::Remedy`] if what was to be done
    /// failed.
    pub fn act(
        &self,
        pseudonym: &UserUri,
        row: Option<&ActRow>,
        remedy: impl FnOnce(&UserUri) -> Result<(), ActError>,
    ) -> Result<(), ActError> {
        let Some(row) = row else { return Ok(()) };
        let key = self.row_key(&self.tag(pseudonym));
        let account = open_name(&key, row.nonce, pseudonym.as_str().as_bytes(), &row.sealed, pseudonym);
        remedy(&account.map_err(|_| ActError::NotOurs)?)
    }

    fn row_key(&self, tag: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(mac(&self.sealing, tag))
    }
}

impl std::fmt::Debug for ActKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ActKey(..)")
    }
}

impl Wire for ActRow {
    const MAX_LEN: usize = 12 + SEALED;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { nonce: reader.array()?, sealed: reader.take(SEALED)?.to_vec() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.nonce);
        writer.raw(&self.sealed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi_pseudonym::SeededEntropy;

    fn link(name: &str, bits: u8) -> AccountLink {
        let account: UserUri = format!("mimi://a.example/u/{name}").parse().unwrap();
        let pseudonym = UserUri::pseudonym(account.domain(), [bits; 16]);
        AccountLink::new(account, pseudonym).unwrap()
    }

    #[test]
    fn the_right_account_is_acted_on_and_nothing_comes_back() {
        let key = ActKey::from_secret(&[1; 32]);
        let link = link("alice", 1);
        let row = key.bind(&link, &mut SeededEntropy::new([2; 32])).unwrap();
        let row = ActRow::decode(&row.encode()).unwrap();
        let mut suspended = Vec::new();
        let done = key.act(link.pseudonym(), Some(&row), |account| {
            suspended.push(account.clone());
            Ok(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(suspended, [link.account().clone()]);
        assert_eq!(key.act(link.pseudonym(), Some(&row), |_| Err(ActError::Remedy)), Err(ActError::Remedy));
        assert_eq!(format!("{key:?}"), "ActKey(..)");
    }

    #[test]
    fn an_unknown_pseudonym_gets_the_answer_of_a_known_one() {
        let key = ActKey::from_secret(&[1; 32]);
        assert_eq!(key.act(link("alice", 1).pseudonym(), None, |_| Err(ActError::Remedy)), Ok(()));
    }

    #[test]
    fn rows_are_of_one_pseudonym_one_key_and_one_length() {
        let key = ActKey::from_secret(&[1; 32]);
        let mut entropy = SeededEntropy::new([2; 32]);
        let (alice, bob) = (link("alice", 1), link("a-much-longer-name-than-alice", 2));
        let row = key.bind(&alice, &mut entropy).unwrap();
        assert_eq!(row.encode().len(), key.bind(&bob, &mut entropy).unwrap().encode().len());
        assert_ne!(row, key.bind(&alice, &mut entropy).unwrap());
        let not_reached = |_: &UserUri| -> Result<(), ActError> { unreachable!() };
        assert_eq!(key.act(bob.pseudonym(), Some(&row), not_reached), Err(ActError::NotOurs));
        let other = ActKey::from_secret(&[2; 32]);
        assert_eq!(other.act(alice.pseudonym(), Some(&row), not_reached), Err(ActError::NotOurs));
        assert_ne!(other.tag(alice.pseudonym()), key.tag(alice.pseudonym()));
        let mut junk = row;
        if let Some(octet) = junk.sealed.first_mut() {
            *octet ^= 1;
        }
        assert_eq!(key.act(alice.pseudonym(), Some(&junk), not_reached), Err(ActError::NotOurs));
    }
}
