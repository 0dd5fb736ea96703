use ring::digest::{Context, SHA256};

/// Where random bytes come from. Libraries of this workspace take it as an argument and have no generator
/// of their own.
pub trait Entropy: Send {
    /// Fills the buffer with random bytes.
    fn fill(&mut self, buffer: &mut [u8]);

    /// 128 random bits, as an identifier wants.
    fn bits128(&mut self) -> [u8; 16] {
        let mut bits = [0; 16];
        self.fill(&mut bits);
        bits
    }

    /// 256 random bits, as a key wants.
    fn bits256(&mut self) -> [u8; 32] {
        let mut bits = [0; 32];
        self.fill(&mut bits);
        bits
    }
}

/// Repeatable bytes from a seed: SHA-256 in counter mode. For tests and simulations; as secret as its seed.
#[derive(Debug, Clone)]
pub struct SeededEntropy {
    seed: [u8; 32],
    counter: u64,
}

impl SeededEntropy {
    /// Begins at this seed.
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let mut hash = Context::new(&SHA256);
            hash.update(&self.seed);
            hash.update(&self.counter.to_be_bytes());
            self.counter += 1;
            let block = hash.finish();
            for (to, from) in chunk.iter_mut().zip(block.as_ref()) {
                *to = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_they_go_on() {
        let mut one = SeededEntropy::new([1; 32]);
        let mut two = SeededEntropy::new([1; 32]);
        let first = one.bits256();
        assert_eq!(first, two.bits256());
        assert_ne!(first, one.bits256());
        assert_ne!(first, SeededEntropy::new([2; 32]).bits256());
    }
}
