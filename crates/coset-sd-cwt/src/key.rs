use ciborium::Value;
use coset::CborSerializable;
use ring::digest;
use thiserror::Error;

use crate::SignatureAlgorithm;
use crate::cbor::{BYTES, CborError, Key, KeySet, MAP, Reader, write_bytes, write_head, write_integer};

/// Why bytes are not a public key that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not well-formed CBOR.
    #[error("malformed key: {0}")]
    Cbor(#[from] CborError),
    /// A coordinate or key of the wrong length, or a compressed point that is not on the curve.
    #[error("not a point in the form of the curve")]
    Point,
    /// A key type, curve or algorithm that is not supported, or that do not fit each other.
    #[error("key type, curve or algorithm not supported")]
    Unsupported,
    /// A parameter is missing.
    #[error("a key parameter is missing")]
    MissingParameter,
    /// The key holds its private part.
    #[error("the key holds its private part")]
    PrivatePart,
    /// The key's operations do not include verification.
    #[error("the key is not for verification")]
    Operations,
    /// An Ed25519 key of small order, or one that is not encoded in the canonical way. Signatures under such a key
    /// prove nothing.
    #[error("an Ed25519 key of small order or not canonical")]
    WeakKey,
    /// Not a SubjectPublicKeyInfo of one of the four algorithms.
    #[error("not a SubjectPublicKeyInfo of a supported algorithm")]
    SubjectPublicKeyInfo,
}

/// A public key, bound to its signature algorithm.
///
/// Ed25519 keys of small order and keys not encoded canonically (RFC 8032, section 5.1.3) cannot be built.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    algorithm: SignatureAlgorithm,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

const KTY: Key<'_> = Key::Uint(1);
const ALG: Key<'_> = Key::Uint(3);
const KEY_OPS: Key<'_> = Key::Uint(4);
const CRV: Key<'_> = Key::Nint(0);
const X: Key<'_> = Key::Nint(1);
const Y: Key<'_> = Key::Nint(2);
const D: Key<'_> = Key::Nint(3);

enum YCoordinate<'a> {
    Whole(&'a [u8]),
    Sign(bool),
}

impl PublicKey {
    /// From the bytes that key formats share: 32 bytes for Ed25519; for the NIST curves an uncompressed SEC 1 point (65,
    /// 97 or 133 bytes). Whether the point is on its curve is found when a signature is verified.
    ///
    /// # Errors
    /// [`KeyError::Point`] and [`KeyError::WeakKey`].
    pub fn from_bytes(algorithm: SignatureAlgorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            SignatureAlgorithm::Ed25519 => {
                let key: &[u8; 32] = bytes.try_into().map_err(|_| KeyError::Point)?;
                if is_weak(key) {
                    return Err(KeyError::WeakKey);
                }
            }
            _ => {
                if bytes.len() != 1 + 2 * coordinate(algorithm) || bytes.first() != Some(&4) {
                    return Err(KeyError::Point);
                }
            }
        }
        Ok(Self { algorithm, bytes: bytes.to_vec() })
    }

    /// From a DER SubjectPublicKeyInfo (RFC 5280), with an uncompressed point.
    ///
    /// # Errors
    /// [`KeyError::SubjectPublicKeyInfo`], [`KeyError::Point`] and [`KeyError::WeakKey`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        use SignatureAlgorithm::{Ed25519, Esp256, Esp384, Esp512};
        const PREFIXES: [(SignatureAlgorithm, &[u8]); 4] = [
            (Ed25519, &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0]),
            (
                Esp256,
                &[
                    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
                    0x3d, 3, 1, 7, 3, 0x42, 0,
                ],
            ),
            (
                Esp384,
                &[
                    0x30, 0x76, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x22, 3,
                    0x62, 0,
                ],
            ),
            (
                Esp512,
                &[
                    0x30, 0x81, 0x9b, 0x30, 0x10, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0,
                    0x23, 3, 0x81, 0x86, 0,
                ],
            ),
        ];
        PREFIXES
            .iter()
            .find_map(|(algorithm, prefix)| der.strip_prefix(*prefix).map(|key| Self::from_bytes(*algorithm, key)))
            .unwrap_or(Err(KeyError::SubjectPublicKeyInfo))
    }

    /// From a COSE_Key (RFC 9052, section 7). Parameters that are not known are passed over.
    ///
    /// # Errors
    /// Every [`KeyError`] but `SubjectPublicKeyInfo`.
    pub fn from_cose_key(key: &coset::CoseKey) -> Result<Self, KeyError> {
        let bytes = key.clone().to_vec().map_err(|_| KeyError::Cbor(CborError::WrongType))?;
        Self::read(&mut Reader::new(&bytes))
    }

    /// The public COSE_Key, with no other parameters than those of the curve.
    #[must_use]
    pub fn to_cose_key(&self) -> coset::CoseKey {
        coset::CoseKey::from_slice(&self.cose_key_bytes()).unwrap_or_default()
    }

    /// The algorithm that the key is bound to.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// 32 bytes for Ed25519, an uncompressed SEC 1 point for the others.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The COSE key thumbprint with SHA-256 (RFC 9679).
    #[must_use]
    pub fn thumbprint(&self) -> [u8; 32] {
        let mut thumbprint = [0; 32];
        thumbprint.copy_from_slice(digest::digest(&digest::SHA256, &self.cose_key_bytes()).as_ref());
        thumbprint
    }

    /// The value of a `cnf` claim that names this key as a COSE_Key (RFC 8747, section 3.2).
    #[must_use]
    pub fn to_cnf(&self) -> Value {
        let (crv, kty) = curve(self.algorithm);
        let mut key = vec![(Value::from(1), Value::from(kty)), (Value::from(-1), Value::from(crv))];
        let (x, y) = self.coordinates();
        key.push((Value::from(-2), Value::from(x)));
        if let Some(y) = y {
            key.push((Value::from(-3), Value::from(y)));
        }
        Value::Map(vec![(Value::from(1), Value::Map(key))])
    }

    /// The value of a `cnf` claim that names this key by its thumbprint (RFC 9679, section 5.6).
    #[must_use]
    pub fn to_cnf_thumbprint(&self) -> Value {
        Value::Map(vec![(Value::from(5), Value::from(self.thumbprint().as_slice()))])
    }

    fn coordinates(&self) -> (&[u8], Option<&[u8]>) {
        if self.algorithm == SignatureAlgorithm::Ed25519 {
            return (&self.bytes, None);
        }
        let point = self.bytes.get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        (x, Some(y))
    }

    /// The required parameters in deterministic encoding, as thumbprints want them.
    fn cose_key_bytes(&self) -> Vec<u8> {
        let (crv, kty) = curve(self.algorithm);
        let (x, y) = self.coordinates();
        let mut out = Vec::with_capacity(self.bytes.len() + 16);
        write_head(&mut out, MAP, if y.is_some() { 4 } else { 3 });
        for (label, value) in [(1, kty), (-1, crv)] {
            write_integer(&mut out, label);
            write_integer(&mut out, value);
        }
        write_integer(&mut out, -2);
        write_bytes(&mut out, x);
        if let Some(y) = y {
            write_integer(&mut out, -3);
            write_bytes(&mut out, y);
        }
        out
    }

    /// Reads a COSE_Key.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, KeyError> {
        let (mut kty, mut crv, mut alg, mut x, mut y) = (None, None, None, None, None);
        let mut keys = KeySet::default();
        for _ in 0..reader.map()? {
            let key = reader.key()?;
            keys.insert(key)?;
            match key {
                KTY => kty = Some(reader.integer()?),
                CRV => crv = Some(reader.integer()?),
                ALG => alg = Some(reader.integer()?),
                X => x = Some(reader.bytes()?),
                Y => y = Some(read_y(reader)?),
                D => return Err(KeyError::PrivatePart),
                KEY_OPS => {
                    let mut verifies = false;
                    for _ in 0..reader.array()? {
                        verifies |= reader.skip()? == [2];
                    }
                    if !verifies {
                        return Err(KeyError::Operations);
                    }
                }
                _ => {
                    reader.skip()?;
                }
            }
        }
        let (kty, crv) = (kty.ok_or(KeyError::MissingParameter)?, crv.ok_or(KeyError::MissingParameter)?);
        let algorithm = match (kty, crv) {
            (2, 1) => SignatureAlgorithm::Esp256,
            (2, 2) => SignatureAlgorithm::Esp384,
            (2, 3) => SignatureAlgorithm::Esp512,
            (1, 6) => SignatureAlgorithm::Ed25519,
            _ => return Err(KeyError::Unsupported),
        };
        if alg.is_some_and(|alg| SignatureAlgorithm::from_id(alg) != Some(algorithm)) {
            return Err(KeyError::Unsupported);
        }
        let x = x.ok_or(KeyError::MissingParameter)?;
        if algorithm == SignatureAlgorithm::Ed25519 {
            return Self::from_bytes(algorithm, x);
        }
        if x.len() != coordinate(algorithm) {
            return Err(KeyError::Point);
        }
        match y.ok_or(KeyError::MissingParameter)? {
            YCoordinate::Whole(y) => Self::from_bytes(algorithm, &[&[4], x, y].concat()),
            YCoordinate::Sign(odd) => {
                let point = decompress(algorithm, &[&[2 + u8::from(odd)], x].concat()).ok_or(KeyError::Point)?;
                Self::from_bytes(algorithm, &point)
            }
        }
    }
}

fn read_y<'a>(reader: &mut Reader<'a>) -> Result<YCoordinate<'a>, KeyError> {
    let head = reader.head()?;
    match (head.major, head.info) {
        (BYTES, _) => Ok(YCoordinate::Whole(reader.take(head.arg)?)),
        (crate::cbor::SIMPLE, 20) => Ok(YCoordinate::Sign(false)),
        (crate::cbor::SIMPLE, 21) => Ok(YCoordinate::Sign(true)),
        _ => Err(KeyError::Cbor(CborError::WrongType)),
    }
}

fn decompress(algorithm: SignatureAlgorithm, point: &[u8]) -> Option<Vec<u8>> {
    use p256::elliptic_curve::sec1::ToEncodedPoint;
    match algorithm {
        SignatureAlgorithm::Esp256 => {
            Some(p256::PublicKey::from_sec1_bytes(point).ok()?.to_encoded_point(false).as_bytes().to_vec())
        }
        SignatureAlgorithm::Esp384 => {
            Some(p384::PublicKey::from_sec1_bytes(point).ok()?.to_encoded_point(false).as_bytes().to_vec())
        }
        SignatureAlgorithm::Esp512 => {
            Some(p521::PublicKey::from_sec1_bytes(point).ok()?.to_encoded_point(false).as_bytes().to_vec())
        }
        SignatureAlgorithm::Ed25519 => None,
    }
}

/// Length of a coordinate, or of an Ed25519 key, in bytes.
pub(crate) fn coordinate(algorithm: SignatureAlgorithm) -> usize {
    match algorithm {
        SignatureAlgorithm::Esp256 | SignatureAlgorithm::Ed25519 => 32,
        SignatureAlgorithm::Esp384 => 48,
        SignatureAlgorithm::Esp512 => 66,
    }
}

/// COSE curve and key type.
fn curve(algorithm: SignatureAlgorithm) -> (i64, i64) {
    match algorithm {
        SignatureAlgorithm::Esp256 => (1, 2),
        SignatureAlgorithm::Esp384 => (2, 2),
        SignatureAlgorithm::Esp512 => (3, 2),
        SignatureAlgorithm::Ed25519 => (6, 1),
    }
}

/// Whether an Ed25519 key is one of the points of order 1, 2, 4 or 8, or its y is not below 2^255 - 19.
fn is_weak(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7f;
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    // Little-endian: the number is compared from its last byte.
    if y.iter().rev().ge(prime.iter().rev()) {
        return true;
    }
    let mut minus_one = prime;
    minus_one[0] = 0xec;
    let mut one = [0; 32];
    one[0] = 1;
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    y == [0; 32] || y == one || y == minus_one || ORDER_8.contains(&y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unhex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    const X256: &str = "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d";
    const Y256: &str = "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c";

    fn cose(pairs: Vec<(i64, Value)>) -> Result<PublicKey, KeyError> {
        let map = Value::Map(pairs.into_iter().map(|(key, value)| (Value::from(key), value)).collect());
        let mut bytes = Vec::new();
        ciborium::into_writer(&map, &mut bytes).unwrap();
        PublicKey::read(&mut Reader::new(&bytes))
    }

    fn p256() -> Vec<(i64, Value)> {
        vec![(1, Value::from(2)), (-1, Value::from(1)), (-2, Value::from(unhex(X256))), (-3, Value::from(unhex(Y256)))]
    }

    #[test]
    fn the_thumbprint_of_rfc_9679() {
        let key = cose(p256()).unwrap();
        assert_eq!(
            key.thumbprint().to_vec(),
            unhex("496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec")
        );
    }

    #[test]
    fn a_compressed_point_is_the_same_key() {
        let mut pairs = p256();
        pairs[3].1 = Value::Bool(false);
        assert_eq!(cose(pairs), cose(p256()));
        let mut other = p256();
        other[3].1 = Value::Bool(true);
        assert_ne!(cose(other), cose(p256()));
        let mut off_curve = p256();
        off_curve[2].1 = Value::from(vec![0xff; 32]);
        off_curve[3].1 = Value::Bool(true);
        assert_eq!(cose(off_curve), Err(KeyError::Point));
    }

    #[test]
    fn every_error() {
        let with = |label: i64, value: Value| {
            let mut pairs = p256();
            pairs.retain(|pair| pair.0 != label);
            pairs.push((label, value));
            cose(pairs)
        };
        let without = |label: i64| {
            let mut pairs = p256();
            pairs.retain(|pair| pair.0 != label);
            cose(pairs)
        };
        for label in [1, -1, -2, -3] {
            assert_eq!(without(label), Err(KeyError::MissingParameter));
        }
        assert_eq!(with(-2, Value::from(vec![1; 31])), Err(KeyError::Point));
        assert_eq!(with(-3, Value::from(vec![1; 33])), Err(KeyError::Point));
        assert_eq!(with(-3, Value::from(1)), Err(KeyError::Cbor(CborError::WrongType)));
        assert_eq!(with(-1, Value::from(8)), Err(KeyError::Unsupported), "secp256k1");
        assert_eq!(with(1, Value::from(4)), Err(KeyError::Unsupported), "symmetric");
        assert_eq!(with(3, Value::from(-35)), Err(KeyError::Unsupported), "ES384 with P-256");
        assert!(with(3, Value::from(-7)).is_ok());
        assert_eq!(with(-4, Value::from(vec![1; 32])), Err(KeyError::PrivatePart));
        assert_eq!(with(4, Value::Array(vec![Value::from(1)])), Err(KeyError::Operations));
        assert!(with(4, Value::Array(vec![Value::from(1), Value::from(2)])).is_ok());
        let mut twice = p256();
        twice.push((1, Value::from(2)));
        assert_eq!(cose(twice), Err(KeyError::Cbor(CborError::DuplicateKey)));
        assert_eq!(PublicKey::from_spki(&[0x30, 0]), Err(KeyError::SubjectPublicKeyInfo));
        assert_eq!(PublicKey::from_bytes(SignatureAlgorithm::Esp256, &[2; 33]), Err(KeyError::Point));
        assert_eq!(PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &[9; 31]), Err(KeyError::Point));
    }

    #[test]
    fn weak_ed25519_keys() {
        let mut weak = vec![[0; 32]];
        let mut one = [0; 32];
        one[0] = 1;
        weak.push(one);
        for low in 0xec..=0xff {
            let mut near_prime = [0xff; 32];
            near_prime[0] = low;
            near_prime[31] = 0x7f;
            weak.push(near_prime);
        }
        for hex in [
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        ] {
            weak.push(unhex(hex).try_into().unwrap());
        }
        for key in weak {
            for sign in [0, 0x80] {
                let mut key = key;
                key[31] |= sign;
                assert_eq!(PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &key), Err(KeyError::WeakKey));
            }
        }
        let mut fine = [0xff; 32];
        (fine[0], fine[31]) = (0xeb, 0x7f);
        assert!(PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &fine).is_ok());
    }

    #[test]
    fn cose_keys_round_trip() {
        let key = cose(p256()).unwrap();
        assert_eq!(PublicKey::from_cose_key(&key.to_cose_key()), Ok(key.clone()));
        let edwards = PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &[9; 32]).unwrap();
        assert_eq!(PublicKey::from_cose_key(&edwards.to_cose_key()), Ok(edwards.clone()));
        assert_eq!(format!("{edwards:?}"), "PublicKey { algorithm: Ed25519, .. }");
    }
}
