use std::collections::BTreeSet;

use mimi_wire::directory::percent_encode;

/// Looks for many values at once, each in every form it could have been written in.
pub(crate) struct Search {
    needles: Vec<(usize, Vec<u8>)>,
    /// The needles that begin with these two octets.
    by_start: Vec<Vec<usize>>,
}

impl Search {
    pub(crate) fn new<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut search = Self { needles: Vec::new(), by_start: vec![Vec::new(); 1 << 16] };
        for (value, octets) in values.into_iter().enumerate() {
            for form in forms(octets) {
                let slot = start(&form).and_then(|start| search.by_start.get_mut(start));
                if let Some(slot) = slot {
                    slot.push(search.needles.len());
                    search.needles.push((value, form));
                }
            }
        }
        search
    }

    /// Which of the values are in there.
    pub(crate) fn find(&self, octets: &[u8]) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut rest = octets;
        while let Some(start) = start(rest) {
            for needle in self.by_start.get(start).into_iter().flatten() {
                if let Some((value, form)) = self.needles.get(*needle)
                    && rest.starts_with(form)
                {
                    found.insert(*value);
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        found
    }
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Search({} needles)", self.needles.len())
    }
}

fn start(octets: &[u8]) -> Option<usize> {
    let (first, _) = octets.split_first_chunk()?;
    Some(usize::from(u16::from_be_bytes(*first)))
}

/// The octets as they are, in hexadecimal, in both alphabets of Base64 wherever in a longer text they stand, percent
/// encoded, and as JSON writes octets: a list of numbers.
fn forms(octets: &[u8]) -> BTreeSet<Vec<u8>> {
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let mut forms = BTreeSet::from([octets.to_vec(), hex.to_uppercase().into(), hex.into()]);
    for alphabet in [STANDARD, URL] {
        forms.extend((0..3).map(|before| base64_inside(octets, before, alphabet)));
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        forms.insert(percent_encode(text).into());
    }
    let numbers: Vec<String> = octets.iter().map(u8::to_string).collect();
    forms.insert(numbers.join(",").into());
    forms.insert(numbers.join(", ").into());
    forms
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 of octets, as it stands in a text that has `before` octets (0 to 2) more in front, and any behind: only those
/// characters that depend on nothing else.
fn base64_inside(octets: &[u8], before: usize, alphabet: &[u8; 64]) -> Vec<u8> {
    let mut whole = vec![0; before];
    whole.extend_from_slice(octets);
    let first = (before * 8).div_ceil(6);
    let last = whole.len() * 8 / 6;
    digits(&whole, alphabet).into_iter().take(last).skip(first).collect()
}

/// Base64 without padding.
fn digits(octets: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let digit = |group: u32, shift: u32| alphabet.get(((group >> shift) & 63) as usize).copied().unwrap_or_default();
    let mut text = Vec::new();
    for chunk in octets.chunks(3) {
        let octet = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let group = octet(0) << 16 | octet(1) << 8 | octet(2);
        text.extend([18, 12, 6, 0].map(|shift| digit(group, shift)).into_iter().take(chunk.len() + 1));
    }
    text
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(octets: &[u8]) -> String {
    let mut text: String = digits(octets, STANDARD).into_iter().map(char::from).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &[u8] = b"mimi://a.example/u/alice";

    fn finds(octets: &[u8]) -> bool {
        let search = Search::new([&b"something else"[..], ALICE]);
        let found = search.find(octets);
        assert!(!found.contains(&0));
        found.contains(&1)
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn every_form_is_found_wherever_it_stands() {
        assert!(finds(ALICE));
        for before in 0..7 {
            for after in 0..7 {
                let inside = [&vec![0xfb; before][..], ALICE, &vec![0xef; after]].concat();
                assert!(finds(&inside));
                assert!(finds(base64(&inside).as_bytes()), "{before} {after}");
                let url = base64(&inside).replace('+', "-").replace('/', "_");
                assert!(finds(url.trim_end_matches('=').as_bytes()), "{before} {after}");
                let hex: String = inside.iter().map(|octet| format!("{octet:02x}")).collect();
                assert!(finds(hex.as_bytes()) && finds(hex.to_uppercase().as_bytes()));
                assert!(finds(serde_json::to_string(&inside).unwrap().as_bytes()));
                assert!(finds(format!("{inside:?}").as_bytes()));
            }
        }
        assert!(finds(b"/v1/notify/mimi%3A%2F%2Fa.example%2Fu%2Falice"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(!finds(b""));
        assert!(!finds(b"m"));
        assert!(!finds(b"mimi://a.example/u/alic"));
        assert!(!finds(b"mimi://a.example/u/Alice"));
        assert!(!finds(base64(b"mimi://a.example/u/alicf").as_bytes()));
    }
}
