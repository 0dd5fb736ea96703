//! Writes CBOR with the shortest heads.

use crate::cbor::{BYTES, CborError, NINT, TAG, TEXT, UINT, is_marker};

pub(crate) fn write_tag(out: &mut Vec<u8>, tag: u64) -> Result<(), CborError> {
    if is_marker(tag) {
        return Err(CborError::MisplacedMarker);
    }
    write_head(out, TAG, tag);
    Ok(())
}

#[inline]
pub(crate) fn write_head(out: &mut Vec<u8>, major: u8, arg: u64) {
    let major = major << 5;
    match arg {
        0..=23 => out.push(major | arg as u8),
        24..=0xff => out.extend_from_slice(&[major | 24, arg as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend_from_slice(&(arg as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend_from_slice(&(arg as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&arg.to_be_bytes());
        }
    }
}

pub(crate) fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_head(out, BYTES, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[inline]
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    write_head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn write_integer(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) => write_head(out, UINT, value),
        Err(_) => write_head(out, NINT, !value as u64),
    }
}

/// Writes the last `length` bytes of a floating-point number after its first byte.
pub(crate) fn write_bits(out: &mut Vec<u8>, first: u8, bits: u64, length: usize) {
    out.push(first);
    out.extend(bits.to_be_bytes().iter().skip(8 - length));
}
