//! COSE_Sign1 (RFC 9052, section 4.2) as slices of the token.

use crate::cbor::{CborError, Reader, TAG, write_bytes, write_head, write_text};

/// The parts of a tagged COSE_Sign1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign1<'a> {
    /// Contents of the protected byte string.
    pub(crate) protected: &'a [u8],
    /// The unprotected map.
    pub(crate) unprotected: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Sign1<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let tag = reader.head()?;
        if tag.major != TAG || tag.arg != 18 || reader.array()? != 4 {
            return Err(CborError::WrongType);
        }
        let protected = reader.bytes()?;
        let unprotected = reader.skip()?;
        let payload = reader.bytes()?;
        let signature = reader.bytes()?;
        reader.finish()?;
        Ok(Self { protected, unprotected, payload, signature })
    }

    /// What the signature is made over (RFC 9052, section 4.4), without external data.
    pub(crate) fn to_be_signed(self) -> Vec<u8> {
        to_be_signed(self.protected, self.payload)
    }
}

pub(crate) fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(protected.len() + payload.len() + 32);
    write_head(&mut out, crate::cbor::ARRAY, 4);
    write_text(&mut out, "Signature1");
    write_bytes(&mut out, protected);
    write_bytes(&mut out, &[]);
    write_bytes(&mut out, payload);
    out
}

/// Puts a tagged COSE_Sign1 together. `unprotected` is an encoded map.
pub(crate) fn encode(protected: &[u8], unprotected: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(protected.len() + unprotected.len() + payload.len() + signature.len() + 32);
    write_head(&mut out, TAG, 18);
    write_head(&mut out, crate::cbor::ARRAY, 4);
    write_bytes(&mut out, protected);
    out.extend_from_slice(unprotected);
    write_bytes(&mut out, payload);
    write_bytes(&mut out, signature);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_structure_as_coset() {
        let made = coset::CoseSign1Builder::new()
            .protected(coset::HeaderBuilder::new().algorithm(coset::iana::Algorithm::Ed25519).build())
            .payload(vec![7; 300])
            .signature(vec![1, 2, 3])
            .build();
        let tbs = made.tbs_data(b"");
        let bytes = coset::TaggedCborSerializable::to_tagged_vec(made).unwrap();
        let parsed = Sign1::parse(&bytes).unwrap();
        assert_eq!(parsed.to_be_signed(), tbs);
        assert_eq!(encode(parsed.protected, parsed.unprotected, parsed.payload, parsed.signature), bytes);
    }

    #[test]
    fn what_is_no_tagged_sign1() {
        for bytes in [
            &[0x84, 0x40, 0xa0, 0x40, 0x40][..],         // untagged
            &[0xd8, 0x62, 0x84, 0x40, 0xa0, 0x40, 0x40], // COSE_Sign
            &[0xd2, 0x83, 0x40, 0xa0, 0x40],
            &[0xd2, 0x84, 0x40, 0xa0, 0xf6, 0x40], // detached payload
            &[0xd2, 0x84, 0xa0, 0xa0, 0x40, 0x40],
        ] {
            assert_eq!(Sign1::parse(bytes).err(), Some(CborError::WrongType));
        }
        assert_eq!(Sign1::parse(&[0xd2, 0x84, 0x40, 0xa0, 0x40, 0x40, 0x00]).err(), Some(CborError::TrailingBytes));
    }
}
