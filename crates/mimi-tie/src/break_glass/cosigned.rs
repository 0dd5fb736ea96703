use elastic_elgamal::{Keypair, ProofOfPossession, group::Ristretto};
use merlin::Transcript;
use mimi_pseudonym::{DecodeError, Entropy, Reader, Wire, Writer};

use super::{Checkpoint, Log, LoggedEntry};
use crate::{
    operators::{Operator, OperatorIndex, OperatorsKey, Purpose},
    random::Random,
};

/// The most octets of a signature.
const SIGNATURE: usize = 256;

/// A checkpoint of the log, signed by an operator who has found it to go on from what it had seen before. Not checked yet.
///
/// The signature is Schnorr's, by the operator's share of the key: a proof of possession of `elastic-elgamal` over a transcript
/// that has the key, the operator, and the checkpoint in it. So it is checked with nothing but the operators' key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    key: [u8; 32],
    by: OperatorIndex,
    checkpoint: Checkpoint,
    signature: Vec<u8>,
}

/// Why checkpoints do not fit each other, or the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogFault {
    /// A checkpoint was signed with another key.
    #[error("{0} has signed with another key")]
    OtherKey(OperatorIndex),
    /// A signature is not that of the operator that it says.
    #[error("the signature of {0} does not hold")]
    Signature(OperatorIndex),
    /// Two operators have signed different logs of the same length. Their two signatures prove it to anybody.
    #[error("{one} and {other} have signed different logs of {size} entries")]
    Forked {
        /// One of them.
        one: OperatorIndex,
        /// The other one.
        other: OperatorIndex,
        /// How many entries both logs have.
        size: u64,
    },
    /// An operator has signed a log that does not begin as this one, or this one does not go on as that.
    #[error("{by} has signed another log of {size} entries")]
    Another {
        /// The operator.
        by: OperatorIndex,
        /// How many entries it had.
        size: u64,
    },
    /// An operator has signed a log that is longer than this one.
    #[error("{by} has signed a log of {size} entries, and there are fewer")]
    Truncated {
        /// The operator.
        by: OperatorIndex,
        /// How many entries it had.
        size: u64,
    },
}

fn transcript(key: &[u8; 32], by: OperatorIndex, checkpoint: Checkpoint) -> Transcript {
    let mut transcript = Transcript::new(b"mimi-tie checkpoint 1");
    transcript.append_message(b"key", key);
    transcript.append_message(b"by", &[by.number()]);
    transcript.append_message(b"checkpoint", &checkpoint.encode());
    transcript
}

impl Operator {
    /// Signs the checkpoint at which an entry was found in the log, which goes on from what this operator had seen before.
    pub fn sign_checkpoint(&self, entry: &LoggedEntry, entropy: &mut dyn Entropy) -> SignedCheckpoint {
        let (key, by, checkpoint) = (*self.key().id(), self.index(), entry.checkpoint());
        let mut transcript = transcript(&key, by, checkpoint);
        let pair = Keypair::<Ristretto>::from(self.secret_key().clone());
        let proof = ProofOfPossession::new(std::slice::from_ref(&pair), &mut transcript, &mut Random(entropy));
        let mut signature = Vec::new();
        // Into memory, where nothing can fail; an empty one would not hold.
        let _ = ciborium::into_writer(&proof, &mut signature);
        SignedCheckpoint { key, by, checkpoint, signature }
    }
}

impl SignedCheckpoint {
    /// Whose signature it is.
    pub fn by(&self) -> OperatorIndex {
        self.by
    }

    /// The name of the key with which it was signed.
    pub fn key_id(&self) -> &[u8; 32] {
        &self.key
    }

    /// What was signed, as long as nobody has checked it.
    pub(super) fn unchecked(&self) -> Checkpoint {
        self.checkpoint
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`LogFault::OtherKey`], [`LogFault::Signature`]
    pub fn check(&self, key: &OperatorsKey) -> Result<Checkpoint, LogFault> {
        if self.key != *key.id() || key.purpose() != Purpose::Opening {
            return Err(LogFault::OtherKey(self.by));
        }
        let wrong = LogFault::Signature(self.by);
        let share = key.share_of(self.by).ok_or(wrong)?;
        let mut rest = self.signature.as_slice();
        let proof: ProofOfPossession<Ristretto> =
            ciborium::de::from_reader_with_recursion_limit(&mut rest, 8).map_err(|_| wrong)?;
        let mut transcript = transcript(&self.key, self.by, self.checkpoint);
        let holds = rest.is_empty() && proof.verify(std::iter::once(share), &mut transcript).is_ok();
        if holds { Ok(self.checkpoint) } else { Err(wrong) }
    }
}

impl Log {
    /// Checks that checkpoints which operators have signed are all of this log, the newest of which may be shorter than it is now.
    /// Whoever was shown another one is found out, whenever that was.
    ///
    /// # Errors
    /// [`LogFault`]
    pub fn audit(&self, signed: &[SignedCheckpoint], key: &OperatorsKey) -> Result<(), LogFault> {
        let mut checked = signed.iter().map(|one| one.check(key).map(|checkpoint| (one.by, checkpoint)));
        let mut checked = checked.by_ref().collect::<Result<Vec<_>, _>>()?;
        checked.sort_by_key(|(by, checkpoint)| (checkpoint.size, *by));
        for pair in checked.windows(2) {
            if let [(one, first), (other, second)] = pair
                && first.size == second.size
                && first != second
            {
                return Err(LogFault::Forked { one: *one, other: *other, size: first.size });
            }
        }
        let mut checked = checked.into_iter().peekable();
        let (mut grown, mut entries) = (Self::default(), self.entries().iter());
        loop {
            while let Some((by, checkpoint)) = checked.next_if(|(_, one)| one.size == grown.entries().len() as u64) {
                if checkpoint != grown.checkpoint() {
                    return Err(LogFault::Another { by, size: checkpoint.size });
                }
            }
            match (entries.next(), checked.peek()) {
                (_, None) => return Ok(()),
                (Some(entry), _) => grown.append(entry.clone()),
                (None, Some((by, checkpoint))) => {
                    return Err(LogFault::Truncated { by: *by, size: checkpoint.size });
                }
            };
        }
    }
}

/// `opaque key[32]; uint8 by; uint64 size; opaque root[32]; opaque signature<V>`, the signature in CBOR.
impl Wire for SignedCheckpoint {
    const MAX_LEN: usize = 32 + 1 + Checkpoint::MAX_LEN + 4 + SIGNATURE;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let signed = Self {
            key: reader.array()?,
            by: OperatorIndex::read(reader)?,
            checkpoint: Checkpoint::read(reader)?,
            signature: reader.vector()?.to_vec(),
        };
        let fits = signed.signature.len() <= SIGNATURE;
        if fits { Ok(signed) } else { Err(DecodeError::Rule { field: "signature", rule: "longer than any" }) }
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.key);
        self.by.write(writer);
        self.checkpoint.write(writer);
        writer.vector(&self.signature);
    }
}

/// The log as it is passed on, with the checkpoints that operators have signed: `Entry entries<V>; SignedCheckpoint signed<V>`.
#[derive(Debug, Clone)]
pub struct PublishedLog {
    /// The log.
    pub log: Log,
    /// What was signed of it.
    pub signed: Vec<SignedCheckpoint>,
}

impl Wire for PublishedLog {
    const MAX_LEN: usize = 1 << 28;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { log: Log::from_entries(reader.list()?), signed: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(self.log.entries());
        writer.list(&self.signed);
    }
}
