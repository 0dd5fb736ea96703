use elastic_elgamal::{
    Keypair,
    group::{ElementOps, Ristretto},
};
use mimi_pseudonym::{DecodeError, Entropy, Reader, Writer};

use crate::{
    operators::{Ciphertext, read_ciphertext, write_ciphertext},
    random::Random,
};

/// Multiplies both halves by a secret scalar: a zero stays zero, everything else becomes random.
pub(super) fn scaled(ciphertext: &Ciphertext, by: &Keypair<Ristretto>) -> Ciphertext {
    *ciphertext * by.secret().expose_scalar()
}

/// A secret scalar that is not zero, with its public half.
pub(super) fn factor(entropy: &mut dyn Entropy) -> Keypair<Ristretto> {
    loop {
        let pair = Keypair::generate(&mut Random(entropy));
        if !Ristretto::is_identity(&pair.public().as_element()) {
            return pair;
        }
    }
}

/// Puts values into a random order (Fisher and Yates), all orders alike up to 2^-64.
pub(super) fn shuffle<T>(values: &mut [T], entropy: &mut dyn Entropy) {
    for left in (1..values.len()).rev() {
        let wide = u128::from_be_bytes(entropy.bits128());
        let to = usize::try_from(wide % (left as u128 + 1)).unwrap_or_default();
        values.swap(left, to);
    }
}

pub(super) fn write_list(list: &[Ciphertext], writer: &mut Writer) {
    writer.u16(u16::try_from(list.len()).unwrap_or(u16::MAX));
    for ciphertext in list {
        write_ciphertext(ciphertext, writer);
    }
}

pub(super) fn read_list(reader: &mut Reader<'_>) -> Result<Vec<Ciphertext>, DecodeError> {
    let count = reader.u16()?;
    (0..count).map(|_| read_ciphertext(reader)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimi_pseudonym::SeededEntropy;

    #[test]
    fn a_shuffle_keeps_all_and_favours_no_place() {
        let mut entropy = SeededEntropy::new([3; 32]);
        let mut first = [0_u32; 4];
        for _ in 0..4000 {
            let mut values = [0, 1, 2, 3];
            shuffle(&mut values, &mut entropy);
            let mut sorted = values;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
            first[values[0]] += 1;
        }
        assert!(first.iter().all(|count| (850..1150).contains(count)), "{first:?}");
    }
}
