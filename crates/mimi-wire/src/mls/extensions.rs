use mimi_pseudonym::Reader;

use super::{opaque, scan};

opaque!(
    /// `Extension extensions<V>` (RFC 9420, section 13); at most 1 MiB. No type stands twice.
    Extensions,
    Vec<u16>,
    1 << 20,
    scan::extensions
);

impl Extensions {
    /// No extension.
    pub fn empty() -> Self {
        Self { octets: vec![0], facts: Vec::new() }
    }

    /// The types, sorted.
    pub fn types(&self) -> &[u16] {
        &self.facts
    }

    /// The data of the extension of a type.
    pub fn data(&self, extension_type: u16) -> Option<&[u8]> {
        let mut inner = Reader::new(Reader::new(&self.octets).vector().ok()?);
        while !inner.is_empty() {
            let (found, data) = (inner.u16().ok()?, inner.vector().ok()?);
            if found == extension_type {
                return Some(data);
            }
        }
        None
    }
}
