//! CBOR as MIMI content allows it: deterministic (RFC 8949, section 4.2.1), bounded in depth, nothing behind the item.

use ciborium::{Value, value::Integer};
use mimi_pseudonym::DecodeError;

/// Items within items: a message, and four parts with a list of parts between each. Two more are read, so that a part too
/// many is told apart from an attack on the stack.
const DEPTH: usize = 10;

/// Reads one item from exactly these octets.
pub(crate) fn parse(octets: &[u8]) -> Result<Value, DecodeError> {
    let mut rest = octets;
    let value: Value =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, DEPTH).map_err(|error| match error {
            ciborium::de::Error::Io(_) => DecodeError::Truncated,
            ciborium::de::Error::RecursionLimitExceeded => rule("cbor", "nested too deep"),
            _ => rule("cbor", "not well-formed"),
        })?;
    if !rest.is_empty() {
        return Err(DecodeError::Trailing(rest.len()));
    }
    // Lengths, integers and floating-point numbers have one shortest form, and writing gives that one.
    if write(&value) == octets { Ok(value) } else { Err(rule("cbor", "not in its deterministic form")) }
}

/// The item's encoding.
pub(crate) fn write(value: &Value) -> Vec<u8> {
    let mut octets = Vec::new();
    // Writing into memory does not fail; were it to, what is written reads as truncated.
    let _ = ciborium::into_writer(value, &mut octets);
    octets
}

pub(crate) const fn rule(field: &'static str, rule: &'static str) -> DecodeError {
    DecodeError::Rule { field, rule }
}

pub(crate) fn array(value: Value, field: &'static str) -> Result<std::vec::IntoIter<Value>, DecodeError> {
    match value {
        Value::Array(items) => Ok(items.into_iter()),
        _ => Err(rule(field, "not an array")),
    }
}

/// The next field of an array.
pub(crate) fn next(items: &mut std::vec::IntoIter<Value>, field: &'static str) -> Result<Value, DecodeError> {
    items.next().ok_or(rule(field, "missing"))
}

/// Ends an array.
pub(crate) fn end(mut items: std::vec::IntoIter<Value>, field: &'static str) -> Result<(), DecodeError> {
    if items.next().is_some() { Err(rule(field, "too many fields")) } else { Ok(()) }
}

pub(crate) fn text(value: Value, field: &'static str) -> Result<String, DecodeError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(rule(field, "not a text string")),
    }
}

pub(crate) fn bytes(value: Value, field: &'static str) -> Result<Vec<u8>, DecodeError> {
    match value {
        Value::Bytes(octets) => Ok(octets),
        _ => Err(rule(field, "not a byte string")),
    }
}

/// A byte string of a certain length.
pub(crate) fn fixed<const N: usize>(value: Value, field: &'static str) -> Result<[u8; N], DecodeError> {
    bytes(value, field)?.try_into().map_err(|_| rule(field, "not of the right length"))
}

/// Something, or null.
pub(crate) fn nullable<T>(
    value: Value,
    read: impl FnOnce(Value) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if value.is_null() { Ok(None) } else { read(value).map(Some) }
}

/// An unsigned integer of a certain width.
pub(crate) fn uint<T: TryFrom<Integer>>(value: Value, field: &'static str) -> Result<T, DecodeError> {
    match value {
        Value::Integer(number) => T::try_from(number).map_err(|_| rule(field, "a number out of range")),
        _ => Err(rule(field, "not a number")),
    }
}
