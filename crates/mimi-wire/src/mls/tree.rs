use super::{opaque, scan};

opaque!(
    /// The vector of optional nodes that is the `ratchet_tree` extension (RFC 9420, section 12.4.3.3); at most
    /// 16 MiB.
    RatchetTree,
    usize,
    1 << 24,
    scan::ratchet_tree
);

impl RatchetTree {
    /// How many nodes there are, blank ones included.
    pub fn node_count(&self) -> usize {
        self.facts
    }
}
