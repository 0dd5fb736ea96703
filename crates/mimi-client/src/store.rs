use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mimi_flow::{Changes, Entry, Vault};
use mimi_pseudonym::Entropy;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{SHA256, digest},
    hmac,
};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

/// The key a device's store is encrypted under; the application keeps it, for example in the platform's key store.
#[derive(Clone)]
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl StoreKey {
    /// A key from 32 octets.
    pub fn from_bytes(octets: [u8; 32]) -> Self {
        Self(Zeroizing::new(octets))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(redacted)")
    }
}

/// Why a device's store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// SQLite says no, for example because the disk is full or the file is none of its own.
    #[error("the device's store: {0}")]
    Database(#[source] DatabaseError),
    /// The store is encrypted under another key, or damaged. Nothing was written.
    #[error("the device's store is encrypted under another key, or damaged")]
    Key,
    /// The store was written by a later version of this program. Nothing was written.
    #[error("the device's store was written by a later version ({0})")]
    Version(u32),
    /// The store was written before the first release of this program. Nothing was written.
    #[error("the device's store was written before the first release ({0})")]
    Old(u32),
}

/// What SQLite said.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DatabaseError(#[from] rusqlite::Error);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(DatabaseError(error))
    }
}

const VERSION: u32 = 2;
const CHECK: &str = "check";

/// A device on disk: entries, each encrypted under the store's key with its own name as associated data, so that no
/// two can be swapped. Names of entries are hashed: they would tell rooms and pseudonyms.
///
/// Live entries are read when the device is opened, records when they are needed.
pub(crate) struct Store {
    file: Arc<File>,
    /// The live entries that were written last, by a hash of their content.
    written: HashMap<String, [u8; 32]>,
}

/// The file and the keys to it.
pub(crate) struct File {
    connection: Mutex<Connection>,
    key: LessSafeKey,
    hash_key: hmac::Key,
    /// Why a record could not be read, if one could not.
    broken: Mutex<Option<StoreError>>,
}

impl Vault for File {
    fn read(&self, key: &str) -> Option<Zeroizing<Vec<u8>>> {
        match self.read_from("records", &device_entry(key)) {
            Ok(found) => found,
            Err(error) => {
                self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                None
            }
        }
    }
}

impl Store {
    /// Opens a store, or makes an empty one.
    pub(crate) fn open(path: &Path, key: &StoreKey, entropy: &mut dyn Entropy) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        private(path);
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            VERSION => {}
            0 => connection.execute_batch(
                "BEGIN;
                 CREATE TABLE IF NOT EXISTS entries (name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
                 CREATE TABLE IF NOT EXISTS records (name BLOB PRIMARY KEY, value BLOB NOT NULL);
                 PRAGMA user_version = 2;
                 COMMIT;",
            )?,
            1 => return Err(StoreError::Old(version)),
            _ => return Err(StoreError::Version(version)),
        }
        // One key for the values, another for the names, both from the application's.
        let root = hmac::Key::new(hmac::HMAC_SHA256, key.0.as_slice());
        let values = hmac::sign(&root, b"mimi-client store values");
        let hash_key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, b"mimi-client store names").as_ref());
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, values.as_ref()).map_err(|_| StoreError::Key)?;
        let (connection, broken) = (Mutex::new(connection), Mutex::new(None));
        let file = Arc::new(File { connection, key: LessSafeKey::new(unbound), hash_key, broken });
        let mut store = Self { file, written: HashMap::new() };
        match store.read(CHECK)? {
            Some(_) => {}
            None if store.is_empty()? => store.put(&[(CHECK, b"mimi-client")], entropy)?,
            None => return Err(StoreError::Key),
        }
        Ok(store)
    }

    fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.file.connection().query_row("SELECT COUNT(*) = 0 FROM entries", [], |row| row.get(0))?)
    }

    /// The records, for the device to read.
    pub(crate) fn vault(&self) -> Arc<dyn Vault> {
        Arc::<File>::clone(&self.file)
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        self.file.read_from("entries", name)
    }

    /// Writes entries in one transaction.
    pub(crate) fn put(&mut self, entries: &[(&str, &[u8])], entropy: &mut dyn Entropy) -> Result<(), StoreError> {
        let sealed = entries.iter().map(|(name, value)| self.file.seal(name, value, entropy));
        let sealed: Vec<_> = sealed.collect::<Result<_, _>>()?;
        self.file.write(&sealed, &[], &[], &[])
    }

    /// Brings the device on disk up to date, in one transaction: only what changed is written. If a record could not be read
    /// meanwhile, nothing is written: what the device made of that may be wrong.
    pub(crate) fn save(&mut self, changes: &Changes, entropy: &mut dyn Entropy) -> Result<(), StoreError> {
        self.save_with(changes, &[], entropy)
    }

    /// As [`Store::save`], with entries besides those of the device.
    pub(crate) fn save_with(
        &mut self,
        changes: &Changes,
        more: &[(&str, &[u8])],
        entropy: &mut dyn Entropy,
    ) -> Result<(), StoreError> {
        if let Some(error) = self.file.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        let mut present = HashMap::with_capacity(changes.live.len());
        let more = more.iter().map(|(name, value)| self.file.seal(name, value, entropy));
        let mut entries: Vec<_> = more.collect::<Result<_, _>>()?;
        for entry in &changes.live {
            let hash = hash(&entry.value);
            if self.written.get(&entry.key) != Some(&hash) {
                entries.push(self.file.seal(&device_entry(&entry.key), &entry.value, entropy)?);
            }
            present.insert(entry.key.clone(), hash);
        }
        let gone = self.written.keys().filter(|key| !present.contains_key(*key));
        let gone: Vec<_> = gone.map(|key| self.file.hashed(&device_entry(key))).collect();
        let (mut records, mut gone_records) = (Vec::new(), Vec::new());
        for (key, value) in &changes.records {
            match value {
                Some(value) => records.push(self.file.seal(&device_entry(key), value, entropy)?),
                None => gone_records.push(self.file.hashed(&device_entry(key))),
            }
        }
        if entries.is_empty() && gone.is_empty() && records.is_empty() && gone_records.is_empty() {
            return Ok(());
        }
        self.file.write(&entries, &gone, &records, &gone_records)?;
        self.written = present;
        Ok(())
    }

    /// How many entries and records there are and how many octets they take, sealed, by kind. Reads all of them.
    pub(crate) fn usage(&self) -> Result<BTreeMap<String, (usize, u64)>, StoreError> {
        let connection = self.file.connection();
        let mut statement =
            connection.prepare("SELECT name, value FROM entries UNION ALL SELECT name, value FROM records")?;
        let mut rows = statement.query([])?;
        let mut usage: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (name, value): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let octets = name.len() + value.len();
            let (name, _) = self.file.unseal(&name, value)?;
            let name = name.strip_prefix(DEVICE_PREFIX).unwrap_or(&name);
            let kind = name.split_once('/').map_or(name, |(kind, _)| kind);
            let (count, sum) = usage.entry(kind.to_owned()).or_default();
            *count += 1;
            *sum += u64::try_from(octets).unwrap_or(u64::MAX);
        }
        Ok(usage)
    }

    /// The device's live entries.
    pub(crate) fn load(&mut self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        {
            let connection = self.file.connection();
            let mut statement = connection.prepare("SELECT name, value FROM entries")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (name, value) = self.file.unseal(&row.get::<_, Vec<u8>>(0)?, row.get(1)?)?;
                if let Some(key) = name.strip_prefix(DEVICE_PREFIX) {
                    entries.push(Entry { key: key.to_owned(), value: value.to_vec() });
                }
            }
        }
        self.written = entries.iter().map(|entry| (entry.key.clone(), hash(&entry.value))).collect();
        Ok(entries)
    }
}

fn hash(value: &[u8]) -> [u8; 32] {
    digest(&SHA256, value).as_ref().try_into().unwrap_or_default()
}

type Sealed = (Vec<u8>, Vec<u8>);

impl File {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_from(&self, table: &str, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let hashed = self.hashed(name);
        let sealed: Option<Vec<u8>> = self
            .connection()
            .prepare_cached(&format!("SELECT value FROM {table} WHERE name = ?1"))?
            .query_row([&hashed], |row| row.get(0))
            .optional()?;
        sealed.map(|sealed| self.unseal(&hashed, sealed).map(|(_, value)| value)).transpose()
    }

    /// Writes and deletes entries and records in one transaction.
    fn write(
        &self,
        entries: &[Sealed],
        gone: &[Vec<u8>],
        records: &[Sealed],
        gone_records: &[Vec<u8>],
    ) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        for (table, put, gone) in [("entries", entries, gone), ("records", records, gone_records)] {
            let mut insert =
                transaction.prepare_cached(&format!("INSERT OR REPLACE INTO {table} (name, value) VALUES (?1, ?2)"))?;
            for (name, value) in put {
                insert.execute(params![name, value])?;
            }
            let mut delete = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE name = ?1"))?;
            for name in gone {
                delete.execute([name])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn hashed(&self, name: &str) -> Vec<u8> {
        hmac::sign(&self.hash_key, name.as_bytes()).as_ref().to_vec()
    }

    /// Nonce, then the sealed name and value.
    fn seal(&self, name: &str, value: &[u8], entropy: &mut dyn Entropy) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        let hashed = self.hashed(name);
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let length = u16::try_from(name.len()).map_err(|_| StoreError::Key)?;
        let mut sealed = Vec::with_capacity(name.len() + value.len() + 32);
        sealed.extend_from_slice(&length.to_be_bytes());
        sealed.extend_from_slice(name.as_bytes());
        sealed.extend_from_slice(value);
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&hashed), &mut sealed)
            .map_err(|_| StoreError::Key)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok((hashed, [nonce.as_slice(), &sealed].concat()))
    }

    fn unseal(&self, hashed: &[u8], sealed: Vec<u8>) -> Result<(String, Zeroizing<Vec<u8>>), StoreError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(StoreError::Key)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(hashed), &mut sealed)
            .map_err(|_| StoreError::Key)?;
        let (length, rest) = plain.split_first_chunk::<2>().ok_or(StoreError::Key)?;
        let (name, value) = rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(StoreError::Key)?;
        let name = std::str::from_utf8(name).map_err(|_| StoreError::Key)?;
        Ok((name.to_owned(), Zeroizing::new(value.to_vec())))
    }
}

const DEVICE_PREFIX: &str = "device:";

fn device_entry(key: &str) -> String {
    format!("{DEVICE_PREFIX}{key}")
}

/// Only the owner may read the file, where the platform knows owners.
fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A file system without permissions is the application's choice; the content is encrypted.
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600));
    }
    #[cfg(not(unix))]
    let _ = path;
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi_pseudonym::SeededEntropy;

    fn entry(key: &str, value: &[u8]) -> Entry {
        Entry { key: key.to_owned(), value: value.to_vec() }
    }

    fn live(live: Vec<Entry>) -> Changes {
        Changes { live, records: Vec::new() }
    }

    fn record(key: &str, value: Option<&[u8]>) -> Changes {
        let live = vec![entry("device", b"core")];
        Changes { live, records: vec![(key.to_owned(), value.map(|value| Zeroizing::new(value.to_vec())))] }
    }

    fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries
    }

    #[test]
    fn what_is_saved_is_loaded_and_nothing_is_readable_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.sqlite");
        let key = StoreKey::from_bytes([1; 32]);
        let mut entropy = SeededEntropy::new([2; 32]);
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        let entries = vec![entry("room/mimi://a.example/r/club", b"the secret"), entry("device", b"core")];
        store.save(&live(entries.clone()), &mut entropy).unwrap();
        drop(store);
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        assert_eq!(sorted(store.load().unwrap()), sorted(entries));
        store.save(&live(vec![entry("device", b"later")]), &mut entropy).unwrap();
        assert_eq!(store.load().unwrap(), [entry("device", b"later")]);
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for canary in [b"a.example".as_slice(), b"the secret", b"club"] {
                assert!(!bytes.windows(canary.len()).any(|window| window == canary));
            }
        }
    }

    #[test]
    fn another_key_and_a_later_version_are_refused_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.sqlite");
        let key = StoreKey::from_bytes([1; 32]);
        let mut entropy = SeededEntropy::new([2; 32]);
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        store.save(&live(vec![entry("device", b"core")]), &mut entropy).unwrap();
        drop(store);
        let other = Store::open(&path, &StoreKey::from_bytes([9; 32]), &mut entropy);
        assert!(matches!(other.err(), Some(StoreError::Key)));
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        assert_eq!(store.load().unwrap(), [entry("device", b"core")]);
        let (other, old) = (Some(StoreError::Version(7)), Some(StoreError::Old(1)));
        for (version, expected) in [(7, other), (1, old)] {
            store.file.connection().pragma_update(None, "user_version", version).unwrap();
            let before = std::fs::read(&path).unwrap();
            let refused = Store::open(&path, &key, &mut entropy).err();
            assert_eq!(refused.map(|error| error.to_string()), expected.map(|error| error.to_string()));
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn a_damaged_entry_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.sqlite");
        let key = StoreKey::from_bytes([1; 32]);
        let mut entropy = SeededEntropy::new([2; 32]);
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        store.save(&live(vec![entry("device", b"core")]), &mut entropy).unwrap();
        let name = store.file.hashed(&device_entry("device"));
        store.file.connection().execute("UPDATE entries SET value = zeroblob(64) WHERE name = ?1", [name]).unwrap();
        assert!(matches!(store.load(), Err(StoreError::Key)));
    }

    #[test]
    fn records_are_read_one_at_a_time_and_nothing_is_written_over_one_that_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.sqlite");
        let key = StoreKey::from_bytes([1; 32]);
        let mut entropy = SeededEntropy::new([2; 32]);
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        store.save(&record("held/one", Some(b"1")), &mut entropy).unwrap();
        store.save(&record("held/two", Some(b"2")), &mut entropy).unwrap();
        store.save(&record("held/one", None), &mut entropy).unwrap();
        let mut store = Store::open(&path, &key, &mut entropy).unwrap();
        assert_eq!(store.load().unwrap(), [entry("device", b"core")], "records are not loaded");
        let vault = store.vault();
        assert_eq!(vault.read("held/two").unwrap().as_slice(), b"2");
        assert_eq!(vault.read("held/one"), None);
        store.save(&record("held/three", Some(b"3")), &mut entropy).unwrap();
        let name = store.file.hashed(&device_entry("held/two"));
        store.file.connection().execute("UPDATE records SET value = zeroblob(64) WHERE name = ?1", [name]).unwrap();
        assert_eq!(vault.read("held/two"), None);
        let refused = store.save(&record("held/three", Some(b"4")), &mut entropy);
        assert!(matches!(refused, Err(StoreError::Key)));
        assert_eq!(vault.read("held/three").unwrap().as_slice(), b"3");
    }
}
