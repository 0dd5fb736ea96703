use mimi_pseudonym::{ClientUri, DecodeError, Reader, UserUri, Wire, Writer};

use crate::{Role, RoomState};

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

impl Claim {
    /// `x509`, the credential type (RFC 9420, section 17.5).
    pub const X509: u16 = 2;
    /// `id-ce-subjectAltName` (2.5.29.17), as the content octets of its OBJECT IDENTIFIER.
    pub const ALTERNATIVE_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

    /// What a leaf credential of ours claims: an X.509 certificate whose alternative names are these two URIs. A
    /// pseudonym's leaf states nothing else; what an account's certificate may say besides does not count.
    pub fn of_leaf(user: &UserUri, client: &ClientUri) -> [Self; 2] {
        [user.as_str(), client.as_str()].map(|uri| Self {
            credential_type: Self::X509,
            id: Self::ALTERNATIVE_NAME.to_vec(),
            value: uri.as_bytes().to_vec(),
        })
    }
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
/// (draft-ietf-mimi-room-policy-03, section 4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreauthList {
    /// `preauthorized_entries`: the first that matches counts.
    pub entries: Vec<PreauthEntry>,
}

impl PreauthList {
    /// The role for whoever has these claims, which must be those of a credential that was verified: that of the first
    /// entry all of whose claims are among them, octet by octet. An entry without claims is for nobody, and one for role
    /// 0 gives nothing.
    pub fn role_for(&self, claims: &[Claim]) -> Option<u32> {
        let fits = |entry: &&PreauthEntry| {
            entry.role.index != Role::NONE
                && !entry.claims.is_empty()
                && entry.claims.iter().all(|claim| claims.contains(claim))
        };
        self.entries.iter().find(fits).map(|entry| entry.role.index)
    }
}

impl RoomState {
    /// The role for which a client is preauthorized by its leaf credential ([`Claim::of_leaf`]). Hub and members see that
    /// credential, and so agree. What someone disclosed to the members does not count: the hub cannot see it.
    pub fn preauthorized(&self, user: &UserUri, client: &ClientUri) -> Option<u32> {
        self.preauth.as_ref()?.role_for(&Claim::of_leaf(user, client))
    }
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

    #[test]
    fn the_first_entry_whose_claims_are_all_there_counts() {
        let (user, client): (UserUri, ClientUri) =
            ("mimi://a.example/u/alice".parse().unwrap(), "mimi://a.example/d/phone".parse().unwrap());
        let claims = Claim::of_leaf(&user, &client);
        let other = Claim { value: b"mimi://a.example/u/bob".to_vec(), ..claims[0].clone() };
        let entry = |claims: &[Claim], role| PreauthEntry { claims: claims.to_vec(), role: Role::new(role, "staff") };
        let list = |entries: &[PreauthEntry]| PreauthList { entries: entries.to_vec() }.role_for(&claims);
        assert_eq!(list(&[entry(&claims, 2), entry(&claims[..1], 3)]), Some(2));
        assert_eq!(list(&[entry(&[claims[0].clone(), other.clone()], 2), entry(&claims[1..], 3)]), Some(3));
        assert_eq!(list(&[entry(&[other], 2)]), None);
        assert_eq!(list(&[entry(&[], 2)]), None, "no claims are nobody's");
        assert_eq!(list(&[entry(&claims, Role::NONE), entry(&claims, 4)]), Some(4));
        let typed = Claim { credential_type: 1, ..claims[0].clone() };
        assert_eq!(list(&[entry(&[typed], 2)]), None);
    }
}
