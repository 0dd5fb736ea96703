use mimi_pseudonym::{DecodeError, Reader};

use super::{opaque, scan};

const RATCHET_TREE: u16 = 2;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Facts {
    cipher_suite: u16,
    group_id: Vec<u8>,
    epoch: u64,
    has_ratchet_tree: bool,
}

opaque!(
    /// `GroupInfo` (RFC 9420, section 12.4.3); at most 1 MiB.
    GroupInfo,
    Facts,
    1 << 20,
    group_info
);

fn group_info(reader: &mut Reader<'_>) -> scan::Scan<Facts> {
    let found = scan::group_info(reader)?;
    Ok(Facts {
        cipher_suite: found.cipher_suite,
        group_id: found.group_id.to_vec(),
        epoch: found.epoch,
        has_ratchet_tree: found.extension_types.contains(&RATCHET_TREE),
    })
}

impl GroupInfo {
    /// The code of its cipher suite, which need not be one that is spoken here.
    pub fn cipher_suite_code(&self) -> u16 {
        self.facts.cipher_suite
    }

    /// The group.
    pub fn group_id(&self) -> &[u8] {
        &self.facts.group_id
    }

    /// The epoch.
    pub fn epoch(&self) -> u64 {
        self.facts.epoch
    }

    /// Whether the ratchet tree stands in its extensions. MIMI sends it apart.
    pub fn has_ratchet_tree(&self) -> bool {
        self.facts.has_ratchet_tree
    }

    /// Refuses a group info with the tree inside, where MIMI wants it apart.
    pub(crate) fn check_without_tree(&self) -> Result<(), DecodeError> {
        if self.facts.has_ratchet_tree {
            return Err(DecodeError::Rule { field: "groupInfo", rule: "a ratchet tree stands inside" });
        }
        Ok(())
    }
}
