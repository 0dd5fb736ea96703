/// Where salts and nonces come from: the caller's generator. It must be cryptographically secure.
///
/// Every `FnMut(&mut [u8])` is one.
pub trait Entropy {
    /// Fills the whole buffer with random bytes.
    fn fill(&mut self, buffer: &mut [u8]);
}

impl<F: FnMut(&mut [u8])> Entropy for F {
    fn fill(&mut self, buffer: &mut [u8]) {
        self(buffer);
    }
}
