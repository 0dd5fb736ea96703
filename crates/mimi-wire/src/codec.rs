//! Macros that spell out a `Wire` implementation from a list of fields, and the few readings that more than one
//! message shares.

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

/// An enum of `uint8` codes; a code that is not listed is an error.
macro_rules! codes {
    ($(#[$doc:meta])* pub enum $name:ident: $field:literal { $($(#[$variant_doc:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every value there is, in order of the codes.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code on the wire.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }

        impl mimi_pseudonym::Wire for $name {
            const MAX_LEN: usize = 1;

            fn read(reader: &mut mimi_pseudonym::Reader<'_>) -> Result<Self, mimi_pseudonym::DecodeError> {
                match reader.u8()? {
                    $($code => Ok(Self::$variant),)*
                    value => Err(mimi_pseudonym::DecodeError::Value { field: $field, value: value.into() }),
                }
            }

            fn write(&self, writer: &mut mimi_pseudonym::Writer) {
                writer.u8(self.code());
            }
        }
    };
}
pub(crate) use codes;

/// How one field is read and written.
macro_rules! field {
    (@read $reader:ident) => {
        mimi_pseudonym::Wire::read($reader)
    };
    (@read $reader:ident list) => {
        $reader.list()
    };
    (@read $reader:ident optional) => {
        $reader.optional()
    };
    (@read $reader:ident array) => {
        $reader.array()
    };
    (@read $reader:ident or_empty) => {
        crate::codec::read_or_empty($reader)
    };
    (@write $writer:ident $value:expr) => {
        mimi_pseudonym::Wire::write(&$value, $writer)
    };
    (@write $writer:ident $value:expr, list) => {
        $writer.list(&$value)
    };
    (@write $writer:ident $value:expr, optional) => {
        $writer.optional($value.as_ref())
    };
    (@write $writer:ident $value:expr, array) => {
        $writer.raw(&$value)
    };
    (@write $writer:ident $value:expr, or_empty) => {
        crate::codec::write_or_empty($writer, $value.as_ref())
    };
}
pub(crate) use field;

/// A struct whose encoding is that of its fields in order. With `checked`, its `check` has the last word on
/// what was read.
macro_rules! wire_struct {
    ($type:ty, $max:expr, { $($field:ident $(: $mode:ident)?),* $(,)? }) => {
        wire_struct!($type, $max, { $($field $(: $mode)?),* }, |_| Ok(()));
    };
    ($type:ty, $max:expr, { $($field:ident $(: $mode:ident)?),* $(,)? }, $check:expr) => {
        impl mimi_pseudonym::Wire for $type {
            const MAX_LEN: usize = $max;

            fn read(reader: &mut mimi_pseudonym::Reader<'_>) -> Result<Self, mimi_pseudonym::DecodeError> {
                $(let $field = crate::codec::field!(@read reader $($mode)?)?;)*
                let value = Self { $($field),* };
                let check: fn(&Self) -> Result<(), mimi_pseudonym::DecodeError> = $check;
                check(&value)?;
                Ok(value)
            }

            fn write(&self, writer: &mut mimi_pseudonym::Writer) {
                $(crate::codec::field!(@write writer self.$field $(, $mode)?);)*
            }
        }
    };
}
pub(crate) use wire_struct;

/// `Protocol`: 1 for MLS 1.0, and nothing else yet.
pub(crate) fn read_protocol(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.u8()? {
        1 => Ok(()),
        value => Err(DecodeError::Value { field: "protocol", value: value.into() }),
    }
}

pub(crate) fn write_protocol(writer: &mut Writer) {
    writer.u8(1);
}

/// A URI that may be absent, which is written as an empty vector.
pub(crate) fn read_or_empty<T: Wire>(reader: &mut Reader<'_>) -> Result<Option<T>, DecodeError> {
    if reader.rest().first() == Some(&0) { reader.vector().map(|_| None) } else { T::read(reader).map(Some) }
}

pub(crate) fn write_or_empty<T: Wire>(writer: &mut Writer, value: Option<&T>) {
    match value {
        Some(value) => value.write(writer),
        None => writer.vector(&[]),
    }
}

/// Refuses a list whose count is not in a range.
pub(crate) fn check_count<T>(
    list: &[T],
    allowed: std::ops::RangeInclusive<usize>,
    field: &'static str,
) -> Result<(), DecodeError> {
    match list.len() {
        count if allowed.contains(&count) => Ok(()),
        0 => Err(DecodeError::Rule { field, rule: "empty" }),
        _ => Err(DecodeError::Rule { field, rule: "too many elements" }),
    }
}

/// Codes in a vector of `uint16`.
pub(crate) fn read_u16s(reader: &mut Reader<'_>) -> Result<Vec<u16>, DecodeError> {
    reader.list()
}
