//! Inputs that have several parts: each part follows its length in two octets. What is cut short is as long as it is.

/// The parts of an input, at most so many.
pub fn split(mut data: &[u8], most: usize) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        if parts.len() == most {
            break;
        }
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (part, rest) = rest.split_at(length);
        parts.push(part);
        data = rest;
    }
    parts
}

/// The input with these parts, behind a first octet that says what they are.
pub fn join(kind: u8, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut data = vec![kind];
    for part in parts {
        let part = part.as_ref();
        let length = u16::try_from(part.len()).expect("seeds are small");
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}
