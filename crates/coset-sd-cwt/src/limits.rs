/// How much of a token is looked at before it is refused.
///
/// The work of every verb grows in proportion to the size of its input, so these bounds bound time and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest token, in bytes. Default: 1 MiB.
    pub max_bytes: usize,
    /// Deepest level of a value, counted as in the draft's section on the level of nesting: the entries of the claims
    /// map are level 1. Default: 16. Each level costs a stack frame of a few hundred bytes.
    pub max_depth: u8,
    /// Largest number of disclosures, encrypted ones included. Default: 4096.
    pub max_disclosures: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_depth: 16, max_disclosures: 4096 }
    }
}
