use mimi_pseudonym::{DecodeError, Reader, Timestamp, Wire, Writer};
use mimi_wire::ProposalMessage;

use crate::known::KnownCommit;

/// What a hub's log keeps of something that it has accepted.
pub(crate) enum LogEntry {
    /// A commit, and the part of its GroupInfo that does not follow from it.
    Commit { known: Box<KnownCommit>, info: Vec<u8> },
    /// Proposals that wait for a commit.
    Proposals { accepted: Timestamp, proposals: Vec<ProposalMessage> },
}

impl Wire for LogEntry {
    const MAX_LEN: usize = 1 << 25;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            1 => Ok(Self::Commit { known: Box::new(Wire::read(reader)?), info: Wire::read(reader)? }),
            2 => Ok(Self::Proposals { accepted: Wire::read(reader)?, proposals: reader.list()? }),
            value => Err(DecodeError::Value { field: "log_entry", value: value.into() }),
        }
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Commit { known, info } => {
                writer.u8(1);
                known.write(writer);
                info.write(writer);
            }
            Self::Proposals { accepted, proposals } => {
                writer.u8(2);
                accepted.write(writer);
                writer.list(proposals);
            }
        }
    }
}
