//! base64url without padding (RFC 7515, section 2), in its one canonical form: no padding, no line breaks, and the
//! bits that are left over are zero. So two texts are equal exactly when the octets are.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const INVALID: u8 = 0x80;

static SEXTETS: [u8; 256] = {
    let mut table = [INVALID; 256];
    let mut value = 0;
    while value < 64 {
        #[expect(clippy::indexing_slicing, reason = "runs in the compiler, which checks it")]
        {
            table[ALPHABET[value] as usize] = value as u8;
        }
        value += 1;
    }
    table
};

/// The text is not base64url, or not in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Decodes and appends to `out`, which holds garbage at its end if that fails.
pub(super) fn decode_into(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (quads, tail) = text.as_chunks::<4>();
    let start = out.len();
    out.resize(start + quads.len() * 3, 0);
    let (triples, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<3>();
    let mut seen = 0;
    for (quad, triple) in quads.iter().zip(triples) {
        let [a, b, c, d] = quad.map(sextet);
        seen |= a | b | c | d;
        *triple = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    }
    match *tail {
        [] => {}
        [a, b] => {
            let (a, b) = (sextet(a), sextet(b));
            seen |= a | b | left_over(b & 0x0f);
            out.push(a << 2 | b >> 4);
        }
        [a, b, c] => {
            let (a, b, c) = (sextet(a), sextet(b), sextet(c));
            seen |= a | b | c | left_over(c & 0x03);
            out.extend([a << 2 | b >> 4, b << 4 | c >> 2]);
        }
        _ => return Err(Malformed),
    }
    if seen & INVALID == 0 { Ok(()) } else { Err(Malformed) }
}

/// Decodes.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Malformed> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    decode_into(text.as_bytes(), &mut out)?;
    Ok(out)
}

/// Encodes and appends to `out`.
pub(super) fn encode_into(octets: &[u8], out: &mut Vec<u8>) {
    let (triples, tail) = octets.as_chunks::<3>();
    let start = out.len();
    out.resize(start + triples.len() * 4, 0);
    let (quads, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>();
    for (&[a, b, c], quad) in triples.iter().zip(quads) {
        *quad = [a >> 2, a << 4 | b >> 4, b << 2 | c >> 6, c].map(letter);
    }
    match *tail {
        [a] => out.extend_from_slice(&[a >> 2, a << 4].map(letter)),
        [a, b] => out.extend_from_slice(&[a >> 2, a << 4 | b >> 4, b << 2].map(letter)),
        _ => {}
    }
}

/// Encodes.
pub(super) fn encode(octets: &[u8]) -> String {
    let mut out = Vec::with_capacity(octets.len().div_ceil(3) * 4);
    encode_into(octets, &mut out);
    // The alphabet is ASCII.
    String::from_utf8(out).unwrap_or_default()
}

fn sextet(letter: u8) -> u8 {
    SEXTETS.get(usize::from(letter)).copied().unwrap_or(INVALID)
}

fn letter(sextet: u8) -> u8 {
    ALPHABET.get(usize::from(sextet & 0x3f)).copied().unwrap_or(b'A')
}

fn left_over(bits: u8) -> u8 {
    if bits == 0 { 0 } else { INVALID }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_4648_hold() {
        for (octets, text) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")] {
            assert_eq!(encode(octets.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), octets.as_bytes());
        }
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for text in ["Z", "Zh", "Zm9", "Zg==", "Zm8=", "Zm 9v", "Zm9v\n", "Zm+v", "Zm/v", "Zm9vY", "Zmöv"] {
            assert_eq!(decode(text), Err(Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn octets_come_back(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(decode(&encode(&octets)).unwrap(), octets);
        }

        #[test]
        fn a_text_that_decodes_is_the_one_that_is_encoded(text in "[A-Za-z0-9_-]{0,12}") {
            if let Ok(octets) = decode(&text) {
                prop_assert_eq!(encode(&octets), text);
            }
        }
    }
}
