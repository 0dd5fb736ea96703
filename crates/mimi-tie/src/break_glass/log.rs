use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};
use sha2_log::Sha256;

use super::Entry;

/// The most octets of a proof: 64 hashes.
const PROOF: usize = 64 * 32;

/// The log of openings. Entries are only ever appended; whoever keeps it keeps the entries, in their order, and makes the
/// log anew from them.
#[derive(Clone, Default)]
pub struct Log {
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
    entries: Vec<Entry>,
}

/// The log at some moment: how many entries there were, and the root of their tree (RFC 6962, section 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub(super) size: u64,
    pub(super) root: [u8; 32],
}

/// An entry with the proofs that it stands in the log, and that the log goes on from an earlier checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    pub(super) entry: Entry,
    pub(super) position: u64,
    pub(super) inclusion: Vec<u8>,
    pub(super) checkpoint: Checkpoint,
    pub(super) consistency: Vec<u8>,
}

/// The log cannot give evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no entry at this position.
    #[error("no entry at this position")]
    NoEntry,
    /// The log was never as long as the checkpoint to go on from.
    #[error("the log is shorter than the checkpoint")]
    Shorter,
}

impl Log {
    /// The log of these entries.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut log = Self::default();
        for entry in entries {
            log.append(entry);
        }
        log
    }

    /// Appends an entry; returns its position, counted from 0.
    pub fn append(&mut self, entry: Entry) -> u64 {
        self.tree.push(entry.encode());
        self.entries.push(entry);
        self.tree.len() - 1
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The log as it is.
    pub fn checkpoint(&self) -> Checkpoint {
        let root = self.tree.root();
        Checkpoint { size: root.num_leaves(), root: hash_octets(root.as_bytes()) }
    }

    /// The entry at a position, with what an operator checks who has seen the log when it had `seen` entries.
    ///
    /// # Errors
    /// [`LogError`]
    pub fn evidence(&self, position: u64, seen: u64) -> Result<Evidence, LogError> {
        let at = usize::try_from(position).map_err(|_| LogError::NoEntry)?;
        let entry = self.entries.get(at).ok_or(LogError::NoEntry)?.clone();
        let checkpoint = self.checkpoint();
        let added = checkpoint.size.checked_sub(seen).ok_or(LogError::Shorter)?;
        let added = usize::try_from(added).map_err(|_| LogError::Shorter)?;
        let consistency = if seen == 0 { Vec::new() } else { self.tree.prove_consistency(added).as_bytes().to_vec() };
        Ok(Evidence {
            entry,
            position,
            inclusion: self.tree.prove_inclusion(at).as_bytes().to_vec(),
            checkpoint,
            consistency,
        })
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({} entries)", self.entries.len())
    }
}

impl Checkpoint {
    /// The log before its first entry.
    pub const EMPTY: Self = Self { size: 0, root: [0; 32] };

    /// How many entries there were.
    pub const fn size(self) -> u64 {
        self.size
    }

    /// The root of their tree (RFC 6962, section 2.1).
    pub const fn root_hash(self) -> [u8; 32] {
        self.root
    }

    fn root(self) -> RootHash<Sha256> {
        RootHash::new(self.root.into(), self.size)
    }

    /// Whether an entry stands at a position.
    pub(super) fn includes(self, entry: &Entry, position: u64, proof: &[u8]) -> bool {
        let Ok(proof) = InclusionProof::try_from_bytes(proof.to_vec()) else { return false };
        self.root().verify_inclusion(&entry.encode(), position, &proof).is_ok()
    }

    /// Whether the log at this checkpoint goes on from an earlier one.
    pub(super) fn continues(self, earlier: Self, proof: &[u8]) -> bool {
        if earlier.size == 0 {
            return proof.is_empty();
        }
        if earlier.size == self.size {
            return proof.is_empty() && earlier == self;
        }
        let Ok(proof) = ConsistencyProof::try_from_bytes(proof.to_vec()) else { return false };
        self.root().verify_consistency(&earlier.root(), &proof).is_ok()
    }
}

fn hash_octets(hash: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    for (to, from) in octets.iter_mut().zip(hash) {
        *to = *from;
    }
    octets
}

impl Wire for Checkpoint {
    const MAX_LEN: usize = 40;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { size: reader.u64()?, root: reader.array()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.size);
        writer.raw(&self.root);
    }
}

impl Wire for Evidence {
    const MAX_LEN: usize = Entry::MAX_LEN + 8 + Checkpoint::MAX_LEN + 2 * (PROOF + 4);

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            entry: Entry::read(reader)?,
            position: reader.u64()?,
            inclusion: reader.vector()?.to_vec(),
            checkpoint: Checkpoint::read(reader)?,
            consistency: reader.vector()?.to_vec(),
        })
    }

    fn write(&self, writer: &mut Writer) {
        self.entry.write(writer);
        writer.u64(self.position);
        writer.vector(&self.inclusion);
        self.checkpoint.write(writer);
        writer.vector(&self.consistency);
    }
}
