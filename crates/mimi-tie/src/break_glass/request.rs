use mimi_pseudonym::{DecodeError, Reader, UserUri, Wire, Writer};

use super::{Evidence, SealedAccount};

/// What an operator is given who is asked for its share: the pseudonym, what is sealed beside it, and the evidence that the
/// opening stands in the log. `IdentifierUri pseudonym; SealedAccount sealed; Evidence evidence`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpeningRequest {
    /// The pseudonym whose account is to be opened.
    pub pseudonym: UserUri,
    /// What stands beside it.
    pub sealed: SealedAccount,
    /// The entry, and that the log goes on from what this operator has seen of it.
    pub evidence: Evidence,
}

impl Wire for OpeningRequest {
    const MAX_LEN: usize = 4096 + SealedAccount::MAX_LEN + Evidence::MAX_LEN;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { pseudonym: Wire::read(reader)?, sealed: Wire::read(reader)?, evidence: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.pseudonym.write(writer);
        self.sealed.write(writer);
        self.evidence.write(writer);
    }
}
