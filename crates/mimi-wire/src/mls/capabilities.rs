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

/// Extension and proposal types that every client of MLS has (RFC 9420, section 7.2).
const DEFAULT_MAX: [u16; 2] = [5, 7];

impl Capabilities {
    /// Whether these are all that is required.
    pub fn meet(&self, required: &RequiredCapabilities) -> bool {
        let [_, _, extensions, proposals, credentials] = self.lists();
        let [extension_max, proposal_max] = DEFAULT_MAX;
        let has = |own: &[u16], wanted: &[u16], max: u16| {
            wanted.iter().all(|code| (1..=max).contains(code) || own.contains(code))
        };
        has(&extensions, required.extensions(), extension_max)
            && has(&proposals, required.proposals(), proposal_max)
            && has(&credentials, required.credentials(), 0)
    }

    /// The five lists in order: versions, cipher suites, extensions, proposals, credentials.
    pub fn lists(&self) -> [Vec<u16>; 5] {
        let mut reader = Reader::new(&self.octets);
        std::array::from_fn(|_| reader.list().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::Wire;

    use super::*;

    fn capabilities(lists: [&[u16]; 5]) -> Capabilities {
        let mut writer = Writer::default();
        for list in lists {
            writer.list::<u16>(list);
        }
        Capabilities::decode(&writer.into_octets()).unwrap()
    }

    #[test]
    fn what_is_required_has_to_be_there_unless_everybody_has_it() {
        let own = capabilities([&[1], &[1], &[6], &[8, 10], &[2]]);
        let required = |extensions: &[u16], proposals: &[u16], credentials: &[u16]| {
            RequiredCapabilities::new(extensions.into(), proposals.into(), credentials.into())
        };
        assert!(own.meet(&required(&[], &[], &[])));
        assert!(own.meet(&required(&[6, 1, 5], &[8, 1, 7], &[2])));
        assert!(!own.meet(&required(&[7], &[], &[])));
        assert!(!own.meet(&required(&[], &[9], &[])));
        assert!(!own.meet(&required(&[], &[], &[1])));
        assert!(!own.meet(&required(&[0], &[], &[])), "0 is reserved and nobody has it");
    }
}
