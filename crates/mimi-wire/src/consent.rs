use mimi_pseudonym::{DecodeError, Reader, RoomUri, UserUri, Wire, Writer};

use crate::{
    codec::{check_count, wire_struct},
    mls::{AppDataDictionary, KeyPackage},
};

/// `ConsentScope` (draft-ietf-mimi-protocol-06, section 5.7): who may fetch whose key packages, and for what.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConsentScope {
    /// Who asks, or would.
    pub requester: UserUri,
    /// Whose key packages they are.
    pub target: UserUri,
    /// The one room it is for; every room if absent.
    pub room: Option<RoomUri>,
}

wire_struct!(ConsentScope, 4096, { requester, target, room: optional });

/// What is done about consent, with what belongs to it (section 5.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConsentOperation {
    /// The requester takes a request back.
    Cancel,
    /// The requester asks.
    Request,
    /// The target agrees.
    Grant {
        /// Key packages of the target's clients, to add it at once; may be empty, at most 1,000.
        key_packages: Vec<KeyPackage>,
    },
    /// The target does not, or no longer, agree.
    Revoke,
}

/// `ConsentEntry` (section 5.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsentEntry {
    /// What it is about.
    pub scope: ConsentScope,
    /// What is done.
    pub operation: ConsentOperation,
    /// Extensions.
    pub extensions: AppDataDictionary,
}

impl Wire for ConsentEntry {
    const MAX_LEN: usize = 1 << 24;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.u8()?;
        if code > 3 {
            return Err(DecodeError::Value { field: "consentOperation", value: code.into() });
        }
        let scope = Wire::read(reader)?;
        let operation = match code {
            0 => ConsentOperation::Cancel,
            1 => ConsentOperation::Request,
            2 => {
                let key_packages = reader.list()?;
                check_count(&key_packages, 0..=1000, "clientKeyPackages")?;
                ConsentOperation::Grant { key_packages }
            }
            _ => ConsentOperation::Revoke,
        };
        Ok(Self { scope, operation, extensions: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(match self.operation {
            ConsentOperation::Cancel => 0,
            ConsentOperation::Request => 1,
            ConsentOperation::Grant { .. } => 2,
            ConsentOperation::Revoke => 3,
        });
        self.scope.write(writer);
        if let ConsentOperation::Grant { key_packages } = &self.operation {
            writer.list(key_packages);
        }
        self.extensions.write(writer);
    }
}
