use mimi_pseudonym::Reader;

use super::{KeyPackageRef, opaque, scan};

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Facts {
    cipher_suite: u16,
    new_members: Vec<KeyPackageRef>,
}

opaque!(
    /// `Welcome` (RFC 9420, section 12.4.3.1); at most 4 MiB less the header of a message.
    Welcome,
    Facts,
    (1 << 22) - 4,
    welcome
);

fn welcome(reader: &mut Reader<'_>) -> scan::Scan<Facts> {
    let found = scan::welcome(reader)?;
    let new_members = found.new_members.into_iter().map(KeyPackageRef::new).collect();
    Ok(Facts { cipher_suite: found.cipher_suite, new_members })
}

impl Welcome {
    /// The references of the key packages it is for, in its own order.
    pub fn key_package_refs(&self) -> &[KeyPackageRef] {
        &self.facts.new_members
    }

    /// The code of its cipher suite, which need not be one that is spoken here.
    pub fn cipher_suite_code(&self) -> u16 {
        self.facts.cipher_suite
    }
}
