use std::fmt;

use ciborium::Value;

use crate::cbor::{Key, Reader};
use crate::diagnostic;

/// The name of a claim, or another map key: an integer or a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// An integer, from -2^64 to 2^64 - 1.
    Int(i128),
    /// A text of at most 255 bytes.
    Text(String),
}

impl Label {
    pub(crate) fn from_key(key: &Key<'_>) -> Self {
        match key {
            Key::Uint(value) => Self::Int(i128::from(*value)),
            Key::Nint(value) => Self::Int(-1 - i128::from(*value)),
            Key::Text(text) => Self::Text((*text).to_owned()),
        }
    }

    fn is(&self, key: &Key<'_>) -> bool {
        match (self, key) {
            (Self::Int(label), Key::Uint(value)) => *label == i128::from(*value),
            (Self::Int(label), Key::Nint(value)) => *label == -1 - i128::from(*value),
            (Self::Text(label), Key::Text(text)) => label == text,
            _ => false,
        }
    }
}

impl From<i64> for Label {
    fn from(label: i64) -> Self {
        Self::Int(label.into())
    }
}

impl From<&str> for Label {
    fn from(label: &str) -> Self {
        Self::Text(label.to_owned())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) => diagnostic::text(f, text),
        }
    }
}

/// A map of claims in which nothing is redacted any more. `Display` is CBOR diagnostic notation.
///
/// It is held as CBOR of definite lengths, with the shortest heads and in the order of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    cbor: Vec<u8>,
}

impl Claims {
    /// Takes one map that has been checked and written by this crate.
    pub(crate) fn new(cbor: Vec<u8>) -> Self {
        Self { cbor }
    }

    /// The encoded map.
    #[must_use]
    pub fn as_cbor(&self) -> &[u8] {
        &self.cbor
    }

    /// The claim of that name. Each call reads the map from its start; to see all claims use [`Claims::iter`].
    #[must_use]
    pub fn claim(&self, label: impl Into<Label>) -> Option<Claim<'_>> {
        let label = label.into();
        let mut entries = self.entries();
        std::iter::from_fn(|| entries.next_pair()).find(|(key, _)| label.is(key)).map(|(_, claim)| claim)
    }

    /// All claims, in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = (Label, Claim<'_>)> {
        let mut entries = self.entries();
        std::iter::from_fn(move || entries.next_pair()).map(|(key, claim)| (Label::from_key(&key), claim))
    }

    /// Number of claims.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(Reader::new(&self.cbor).map().unwrap_or_default()).unwrap_or_default()
    }

    /// Whether there is no claim.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The map as a tree; none if it holds a simple value that `ciborium` has no form for.
    #[must_use]
    pub fn to_value(&self) -> Option<Value> {
        ciborium::from_reader(self.cbor.as_slice()).ok()
    }

    fn entries(&self) -> Entries<'_> {
        let mut reader = Reader::new(&self.cbor);
        let _count = reader.map();
        Entries { reader }
    }
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        diagnostic::item(f, &mut Reader::new(&self.cbor))
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
}

impl<'a> Entries<'a> {
    fn next_pair(&mut self) -> Option<(Key<'a>, Claim<'a>)> {
        if self.reader.is_empty() {
            return None;
        }
        Some((self.reader.key().ok()?, Claim { cbor: self.reader.skip().ok()? }))
    }
}

/// The value of a claim. `Display` is CBOR diagnostic notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim<'a> {
    cbor: &'a [u8],
}

impl<'a> Claim<'a> {
    /// The encoded value.
    #[must_use]
    pub fn as_cbor(&self) -> &'a [u8] {
        self.cbor
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&'a str> {
        Reader::new(self.cbor).text().ok()
    }

    /// The bytes, if it is a byte string.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        Reader::new(self.cbor).bytes().ok()
    }

    /// The number, if it is an integer.
    #[must_use]
    pub fn as_integer(&self) -> Option<i128> {
        Reader::new(self.cbor).integer().ok()
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.cbor {
            [0xf4] => Some(false),
            [0xf5] => Some(true),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<Claim<'a>>> {
        let mut reader = Reader::new(self.cbor);
        let count = reader.array().ok()?;
        (0..count).map(|_| reader.skip().ok().map(|cbor| Claim { cbor })).collect()
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn entries(&self) -> Option<Vec<(Label, Claim<'a>)>> {
        let mut reader = Reader::new(self.cbor);
        reader.map().ok()?;
        let mut entries = Entries { reader };
        Some(std::iter::from_fn(|| entries.next_pair()).map(|(key, claim)| (Label::from_key(&key), claim)).collect())
    }

    /// The value as a tree; none if it holds a simple value that `ciborium` has no form for.
    #[must_use]
    pub fn to_value(&self) -> Option<Value> {
        ciborium::from_reader(self.cbor).ok()
    }

    pub(crate) fn new(cbor: &'a [u8]) -> Self {
        Self { cbor }
    }
}

impl fmt::Display for Claim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        diagnostic::item(f, &mut Reader::new(self.cbor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(pairs: Vec<(Value, Value)>) -> Claims {
        let mut cbor = Vec::new();
        ciborium::into_writer(&Value::Map(pairs), &mut cbor).unwrap();
        Claims::new(cbor)
    }

    #[test]
    fn claims_are_found_and_printed() {
        let claims = claims(vec![
            (Value::from(1), Value::from("iss\"\n")),
            (Value::from(-7), Value::from(vec![1, 255])),
            (Value::from("a"), Value::Array(vec![Value::Bool(true), Value::Null, Value::from(-3), Value::from(1.5)])),
            (Value::from(9), Value::Map(vec![(Value::from("k"), Value::Tag(1, Box::new(Value::from(5))))])),
        ]);
        assert_eq!(claims.to_string(), r#"{1:"iss\"\n",-7:h'01ff',"a":[true,null,-3,1.5],9:{"k":1(5)}}"#);
        assert_eq!(claims.claim(1).unwrap().as_text(), Some("iss\"\n"));
        assert_eq!(claims.claim(-7).unwrap().as_bytes(), Some(&[1, 255][..]));
        assert_eq!(claims.claim("a").unwrap().elements().unwrap()[2].as_integer(), Some(-3));
        assert_eq!(claims.claim("a").unwrap().elements().unwrap()[0].as_bool(), Some(true));
        assert_eq!(claims.claim(9).unwrap().entries().unwrap()[0].0, Label::from("k"));
        assert_eq!(claims.claim(9).unwrap().to_string(), r#"{"k":1(5)}"#);
        assert_eq!((claims.claim(2), claims.claim("1"), claims.len()), (None, None, 4));
        assert_eq!(claims.iter().map(|(label, _)| label.to_string()).collect::<Vec<_>>(), ["1", "-7", "\"a\"", "9"]);
    }
}
