use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use crate::Role;

/// A claim that a credential must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `credential_type`: the number of an MLS credential type.
    pub credential_type: u16,
    /// `id`: an OID, a claim's name or a map key, by the type of the credential.
    pub id: Vec<u8>,
    /// `claim_value`: compared octet by octet.
    pub value: Vec<u8>,
}

impl Wire for Claim {
    const MAX_LEN: usize = 1 << 14;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { credential_type: reader.u16()?, id: reader.vector()?.to_vec(), value: reader.vector()?.to_vec() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u16(self.credential_type);
        writer.vector(&self.id);
        writer.vector(&self.value);
    }
}

/// Who has all of the claims may take the role: `PreAuthRoleEntry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreauthEntry {
    /// `claimset`
    pub claims: Vec<Claim>,
    /// `target_role`: the whole role, as the draft has it.
    pub role: Role,
}

impl Wire for PreauthEntry {
    const MAX_LEN: usize = 1 << 19;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { claims: reader.list()?, role: Role::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(&self.claims);
        self.role.write(writer);
    }
}

/// Users who may take a role by their credentials' claims: `PreAuthData`, component 0x0026
/// (draft-ietf-mimi-room-policy-03, section 4). It is kept and changed here; claims are not matched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreauthList {
    /// `preauthorized_entries`: the first that matches counts.
    pub entries: Vec<PreauthEntry>,
}

impl Wire for PreauthList {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { entries: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.list(&self.entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(claims: Vec<(u16, Vec<u8>, Vec<u8>)>, index: u32) {
            let claims = claims.into_iter().map(|(credential_type, id, value)| Claim { credential_type, id, value });
            let list = PreauthList {
                entries: vec![PreauthEntry { claims: claims.collect(), role: Role::new(index, "staff") }],
            };
            prop_assert_eq!(PreauthList::decode(&list.encode()).unwrap(), list);
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = PreauthList::decode(&octets);
        }
    }
}
