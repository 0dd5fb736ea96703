use std::{collections::BTreeMap, fmt};

use ciborium::Value;
use mimi_pseudonym::{DecodeError, RoomUri, UserUri};

use crate::cbor::{parse, rule, text, write};

/// Keys of the extensions that franking needs (draft-ietf-mimi-content, section 8.3).
const SENDER: i128 = 1;
const ROOM: i128 = 2;

/// The largest integer key: what a double holds without loss (section 6.2).
const KEY_MAX: i128 = (1 << 53) - 1;
/// Octets of a text key.
const TEXT_MAX: usize = 255;
/// Octets of a value (section 4.3).
const VALUE_MAX: usize = 4095;
/// Levels of maps, arrays and tags, the extensions map counted (section 6.3).
const LEVELS: usize = 4;

/// Under what an extension stands: a positive integer by registration, a negative one or a text for private use.
#[derive(Clone, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum ExtensionKey {
    /// From -(2^53 - 1) to 2^53 - 1.
    Number(i64),
    /// 1 to 255 octets.
    Text(String),
}

/// Why something is no extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// The number is out of range, or the text is empty or longer than 255 octets.
    #[error("a key is a number within 2^53, or a text of 1 to 255 octets")]
    Key,
    /// Keys 1 and 2 are sender and room, which have fields of their own.
    #[error("keys 1 and 2 are the sender and the room")]
    Reserved,
    /// The value is not deterministic CBOR, is nested too deep, or has a map with a key that is not allowed.
    #[error("the value is no CBOR that an extension may hold")]
    Value,
    /// The value has more than 4,095 octets.
    #[error("the value has more than 4095 octets")]
    TooLong,
}

/// The extensions of a message (draft-ietf-mimi-content, section 4.3): who the sender says it is, in which room, and
/// whatever else there is. `Debug` shows neither sender nor values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    pub(crate) sender: Option<UserUri>,
    pub(crate) room: Option<RoomUri>,
    /// By the encoding of the key, which is the order they are written in.
    pub(crate) others: BTreeMap<Vec<u8>, (ExtensionKey, Vec<u8>)>,
}

impl Extensions {
    /// Who the sender says it is. Nothing vouches for it but a comparison with the leaf that sent the message.
    pub fn sender(&self) -> Option<&UserUri> {
        self.sender.as_ref()
    }

    /// The room the sender says the message is for.
    pub fn room(&self) -> Option<&RoomUri> {
        self.room.as_ref()
    }

    /// The value of another extension, as CBOR.
    pub fn other(&self, key: &ExtensionKey) -> Option<&[u8]> {
        self.others.get(&write(&key.to_value())).map(|(_, value)| value.as_slice())
    }

    /// The keys of the other extensions, in the order they are written.
    pub fn others(&self) -> impl Iterator<Item = &ExtensionKey> {
        self.others.values().map(|(key, _)| key)
    }

    /// Sets another extension to a value in CBOR.
    ///
    /// # Errors
    /// [`ExtensionError`]
    pub fn insert(&mut self, key: ExtensionKey, value: &[u8]) -> Result<(), ExtensionError> {
        key.check()?;
        if matches!(key, ExtensionKey::Number(1 | 2)) {
            return Err(ExtensionError::Reserved);
        }
        if value.len() > VALUE_MAX {
            return Err(ExtensionError::TooLong);
        }
        let parsed = parse(value).map_err(|_| ExtensionError::Value)?;
        check_value(&parsed, LEVELS - 1).map_err(|_| ExtensionError::Value)?;
        self.others.insert(write(&key.to_value()), (key, value.to_vec()));
        Ok(())
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Value::Map(entries) = value else { return Err(rule("mimiExtensions", "not a map")) };
        check_order(&entries)?;
        let mut extensions = Self::default();
        for (key, value) in entries {
            match key {
                Value::Integer(number) if i128::from(number) == SENDER => {
                    extensions.sender = Some(uri(value, "senderUri", UserUri::as_str)?);
                }
                Value::Integer(number) if i128::from(number) == ROOM => {
                    extensions.room = Some(uri(value, "roomUri", RoomUri::as_str)?);
                }
                key => {
                    check_value(&value, LEVELS - 1)?;
                    let octets = write(&value);
                    if octets.len() > VALUE_MAX {
                        return Err(rule("mimiExtensions", "a value of more than 4095 octets"));
                    }
                    let (order, key) = (write(&key), ExtensionKey::from_value(key)?);
                    extensions.others.insert(order, (key, octets));
                }
            }
        }
        Ok(extensions)
    }

    pub(crate) fn to_value(&self) -> Value {
        let sender = self.sender.iter().map(|sender| (write(&SENDER_KEY.into()), Value::from(sender.as_str())));
        let room = self.room.iter().map(|room| (write(&ROOM_KEY.into()), Value::from(room.as_str())));
        let others = self.others.iter().map(|(order, (_, value))| (order.clone(), parse(value).unwrap_or(Value::Null)));
        // Zero comes before one and two.
        let mut entries: Vec<(Vec<u8>, Value)> = sender.chain(room).chain(others).collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Value::Map(
            entries.into_iter().map(|(key, value)| (parse(&key).unwrap_or(Value::Null), value)).collect::<Vec<_>>(),
        )
    }
}

const SENDER_KEY: u8 = 1;
const ROOM_KEY: u8 = 2;

impl ExtensionKey {
    fn check(&self) -> Result<(), ExtensionError> {
        let allowed = match self {
            Self::Number(number) => i128::from(*number).abs() <= KEY_MAX,
            Self::Text(text) => (1..=TEXT_MAX).contains(&text.len()),
        };
        if allowed { Ok(()) } else { Err(ExtensionError::Key) }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let key = match value {
            Value::Integer(number) => i64::try_from(number).ok().map(Self::Number),
            Value::Text(text) => Some(Self::Text(text)),
            _ => None,
        };
        let key = key.filter(|key| key.check().is_ok());
        key.ok_or(rule("mimiExtensions", "a key is no number within 2^53 and no text of 1 to 255 octets"))
    }
}

/// A URI in its one spelling: two spellings of one sender would be two commitments.
fn uri<T: std::str::FromStr>(value: Value, field: &'static str, as_str: impl Fn(&T) -> &str) -> Result<T, DecodeError>
where
    DecodeError: From<T::Err>,
{
    let text = text(value, field)?;
    let uri: T = text.parse()?;
    if as_str(&uri) == text { Ok(uri) } else { Err(rule(field, "not in its canonical spelling")) }
}

/// Strictly ascending by encoding: sorted, and none twice.
fn check_order(entries: &[(Value, Value)]) -> Result<(), DecodeError> {
    let keys: Vec<Vec<u8>> = entries.iter().map(|(key, _)| write(key)).collect();
    let ascending = keys.iter().zip(keys.iter().skip(1)).all(|(one, next)| one < next);
    if ascending { Ok(()) } else { Err(rule("mimiExtensions", "keys out of order, or one of them twice")) }
}

/// What a value within the extensions may be made of.
fn check_value(value: &Value, left: usize) -> Result<(), DecodeError> {
    let deeper = || left.checked_sub(1).ok_or(rule("mimiExtensions", "more than four levels deep"));
    match value {
        Value::Array(items) => {
            let left = deeper()?;
            items.iter().try_for_each(|item| check_value(item, left))
        }
        Value::Tag(_, item) => check_value(item, deeper()?),
        Value::Map(entries) => {
            let left = deeper()?;
            check_order(entries)?;
            entries.iter().try_for_each(|(key, item)| match key {
                Value::Integer(_) | Value::Text(_) | Value::Bytes(_) => check_value(item, left),
                _ => Err(rule("mimiExtensions", "a map's key is no number, text or byte string")),
            })
        }
        // Of the many values that are not a number, one may be written.
        Value::Float(number) if number.is_nan() && number.to_bits() != f64::NAN.to_bits() => {
            Err(rule("mimiExtensions", "a NaN that is not the quiet one"))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions")
            .field("sender", &self.sender.is_some())
            .field("room", &self.room)
            .field("others", &self.others.len())
            .finish()
    }
}
