//! CBOR diagnostic notation (RFC 8949, section 8), without spaces.

use std::fmt::{self, Write};

use crate::cbor::{ARRAY, BYTES, MAP, NINT, Reader, TAG, TEXT, UINT};

/// Writes one item that has been checked.
pub(crate) fn item(f: &mut fmt::Formatter<'_>, reader: &mut Reader<'_>) -> fmt::Result {
    let head = reader.head().map_err(|_| fmt::Error)?;
    match head.major {
        UINT => write!(f, "{}", head.arg),
        NINT => write!(f, "{}", -1 - i128::from(head.arg)),
        BYTES => {
            f.write_str("h'")?;
            for byte in reader.take(head.arg).map_err(|_| fmt::Error)? {
                write!(f, "{byte:02x}")?;
            }
            f.write_char('\'')
        }
        TEXT => text(f, reader.text_body(head.arg).map_err(|_| fmt::Error)?),
        ARRAY => {
            f.write_char('[')?;
            for index in 0..head.arg {
                separate(f, index)?;
                item(f, reader)?;
            }
            f.write_char(']')
        }
        MAP => {
            f.write_char('{')?;
            for index in 0..head.arg {
                separate(f, index)?;
                item(f, reader)?;
                f.write_char(':')?;
                item(f, reader)?;
            }
            f.write_char('}')
        }
        TAG => {
            write!(f, "{}(", head.arg)?;
            item(f, reader)?;
            f.write_char(')')
        }
        _ => match head.info {
            20 => f.write_str("false"),
            21 => f.write_str("true"),
            22 => f.write_str("null"),
            23 => f.write_str("undefined"),
            25..=27 => float(f, as_float(head.info, head.arg)),
            _ => write!(f, "simple({})", head.arg),
        },
    }
}

fn separate(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    if index > 0 { f.write_char(',') } else { Ok(()) }
}

fn float(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_nan() {
        f.write_str("NaN")
    } else if value.is_infinite() {
        f.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        write!(f, "{value:?}")
    }
}

/// The number that the argument of a floating-point head stands for.
pub(crate) fn as_float(info: u8, bits: u64) -> f64 {
    match info {
        25 => {
            let (exponent, mantissa) = ((bits >> 10 & 0x1f) as i32, (bits & 0x3ff) as f64);
            let size = match exponent {
                0 => mantissa * 2f64.powi(-24),
                31 if mantissa == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
            };
            if bits & 0x8000 == 0 { size } else { -size }
        }
        26 => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

pub(crate) fn text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if control.is_control() => write!(f, "\\u{:04x}", control as u32)?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats() {
        for (bits, value) in [(0x3c00, 1.0), (0xc400, -4.0), (0x7bff, 65504.0), (0x0001, 5.960464477539063e-8)] {
            assert_eq!(as_float(25, bits), value);
        }
        assert!(as_float(25, 0x7e00).is_nan());
        assert_eq!(as_float(25, 0xfc00), f64::NEG_INFINITY);
        assert_eq!(as_float(26, 0x47c35000), 100000.0);
    }
}
