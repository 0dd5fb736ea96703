use mimi_pseudonym::{Reader, Writer};

use super::{opaque, scan};

opaque!(
    /// `Capabilities` of a leaf node (RFC 9420, section 7.2); at most 16 KiB.
    Capabilities,
    (),
    1 << 14,
    scan::capabilities
);

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Required {
    extensions: Vec<u16>,
    proposals: Vec<u16>,
    credentials: Vec<u16>,
}

opaque!(
    /// `RequiredCapabilities` (RFC 9420, section 11.1); at most 16 KiB.
    RequiredCapabilities,
    Required,
    1 << 14,
    required
);

fn required(reader: &mut Reader<'_>) -> scan::Scan<Required> {
    Ok(Required { extensions: reader.list()?, proposals: reader.list()?, credentials: reader.list()? })
}

impl RequiredCapabilities {
    /// Puts the three lists together: code points of RFC 9420, section 17.
    pub fn new(extensions: Vec<u16>, proposals: Vec<u16>, credentials: Vec<u16>) -> Self {
        let mut writer = Writer::default();
        for list in [&extensions, &proposals, &credentials] {
            writer.list::<u16>(list);
        }
        Self { octets: writer.into_octets(), facts: Required { extensions, proposals, credentials } }
    }

    /// Extension types that are required.
    pub fn extensions(&self) -> &[u16] {
        &self.facts.extensions
    }

    /// Proposal types that are required.
    pub fn proposals(&self) -> &[u16] {
        &self.facts.proposals
    }

    /// Credential types that are required.
    pub fn credentials(&self) -> &[u16] {
        &self.facts.credentials
    }
}

impl Capabilities {
    /// The five lists in order: versions, cipher suites, extensions, proposals, credentials.
    pub fn lists(&self) -> [Vec<u16>; 5] {
        let mut reader = Reader::new(&self.octets);
        std::array::from_fn(|_| reader.list().unwrap_or_default())
    }
}
