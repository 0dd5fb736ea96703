use mimi_pseudonym::{Reader, Wire};

use super::{Capabilities, Credential, RequiredCapabilities, opaque, scan};

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Facts {
    cipher_suite: u16,
    signature_key: Vec<u8>,
    credential: Credential,
    capabilities: Capabilities,
    lifetime: (u64, u64),
    last_resort: bool,
}

/// The extension type `last_resort` (draft-ietf-mls-extensions).
const LAST_RESORT: u16 = 0x000a;

opaque!(
    /// `KeyPackage` (RFC 9420, section 10); at most 64 KiB.
    KeyPackage,
    Facts,
    1 << 16,
    key_package
);

fn key_package(reader: &mut Reader<'_>) -> scan::Scan<Facts> {
    let found = scan::key_package(reader)?;
    Ok(Facts {
        cipher_suite: found.cipher_suite,
        signature_key: found.leaf.signature_key.to_vec(),
        credential: Credential::decode(found.leaf.credential)?,
        capabilities: Capabilities::decode(found.leaf.capabilities)?,
        lifetime: found.lifetime,
        last_resort: found.extensions.contains(&LAST_RESORT),
    })
}

impl KeyPackage {
    /// The code of its cipher suite, which need not be one that is spoken here.
    pub fn cipher_suite_code(&self) -> u16 {
        self.facts.cipher_suite
    }

    /// The signature key in its leaf node.
    pub fn signature_key(&self) -> &[u8] {
        &self.facts.signature_key
    }

    /// The credential in its leaf node.
    pub fn credential(&self) -> &Credential {
        &self.facts.credential
    }

    /// What its client is capable of.
    pub fn capabilities(&self) -> &Capabilities {
        &self.facts.capabilities
    }

    /// Whether its client is capable of all that is required; what every client of MLS is capable of goes without saying
    /// (RFC 9420, section 7.2).
    pub fn meets(&self, required: &RequiredCapabilities) -> bool {
        self.facts.capabilities.meet(required)
    }

    /// Whether it is meant to be used more than once, where there is no other (the extension `last_resort` of
    /// draft-ietf-mls-extensions).
    pub fn is_last_resort(&self) -> bool {
        self.facts.last_resort
    }

    /// `not_before` and `not_after` of its leaf node, in seconds since the epoch.
    pub fn lifetime(&self) -> (u64, u64) {
        self.facts.lifetime
    }
}
