//! Tokens made to cost much, and signatures made anew from old ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use coset_sd_cwt::{
    CborError, DisclosureError, HeaderError, Limits, ParseError, RegisteredClaimError, SignatureAlgorithm,
    UnverifiedPresentation, VerifyError,
};

fn parse(token: &[u8]) -> Result<(), ParseError> {
    UnverifiedPresentation::parse(token, &Limits::default()).map(|_| ())
}

fn forged(change: impl FnOnce(&mut Forge)) -> Forge {
    let mut forge = Forge::new();
    change(&mut forge);
    forge
}

fn verified(change: impl FnOnce(&mut Forge)) -> Result<String, VerifyError> {
    forged(change).verify().map(|verified| verified.claims().to_string())
}

fn disclosure_error(error: DisclosureError) -> Result<String, VerifyError> {
    Err(VerifyError::Disclosure(error))
}

#[test]
fn no_bit_of_a_signature_can_change() {
    for algorithm in [SignatureAlgorithm::Ed25519, SignatureAlgorithm::Esp256] {
        let forge = Forge::with(algorithm, algorithm);
        let token = forge.token();
        let length = token.len();
        let issuers = issuers(&forge.issuer);
        for bit in (0..512).step_by(7) {
            let mut changed = token.clone();
            changed[length - 64 + bit / 8] ^= 1 << (bit % 8);
            let outcome =
                UnverifiedPresentation::parse(&changed, &Limits::default()).unwrap().verify(&params(&issuers));
            assert_eq!(outcome.err(), Some(VerifyError::HolderSignature), "bit {bit}");
        }
    }
}

#[test]
fn malleable_signatures() {
    // Ed25519: s + L is the same number modulo L, and is refused.
    let forge = Forge::with(SignatureAlgorithm::Ed25519, SignatureAlgorithm::Ed25519);
    let mut token = forge.token();
    let order = pem::unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let start = token.len() - 32;
    let mut carry = 0u16;
    for (byte, add) in token[start..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let issuers_edwards = issuers(&forge.issuer);
    let outcome = UnverifiedPresentation::parse(&token, &Limits::default()).unwrap().verify(&params(&issuers_edwards));
    assert_eq!(outcome.err(), Some(VerifyError::HolderSignature));

    // ECDSA: n - s is a signature as good as s, by definition of the algorithm.
    let forge = Forge::with(SignatureAlgorithm::Esp256, SignatureAlgorithm::Esp256);
    let mut token = forge.token();
    let order = pem::unhex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let start = token.len() - 32;
    let mut borrow = 0i16;
    for (byte, order) in token[start..].iter_mut().zip(order).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = difference.rem_euclid(256) as u8;
    }
    let issuers_nist = issuers(&forge.issuer);
    let outcome = UnverifiedPresentation::parse(&token, &Limits::default()).unwrap().verify(&params(&issuers_nist));
    assert!(outcome.is_ok());
}

#[test]
fn nesting_bombs() {
    let nested = |depth: usize| [vec![0x81; depth], int(1)].concat();
    assert!(verified(|f| f.claims.push((int(501), nested(15)))).is_ok());
    let too_deep = disclosure_error(CborError::TooDeep.into());
    for depth in [16, 1_000, 500_000] {
        assert_eq!(verified(|f| f.claims.push((int(501), nested(depth)))), too_deep, "{depth}");
        let maps = [[0xa1, 0x01].repeat(depth), int(1)].concat();
        assert_eq!(verified(|f| f.claims.push((int(501), maps))), too_deep);
        let tags = [vec![0xc1; depth], int(1)].concat();
        assert_eq!(verified(|f| f.claims.push((int(501), tags))), too_deep);
        assert_eq!(
            parse(&forged(|f| f.unprotected.push((int(99), nested(depth)))).token()),
            Err(ParseError::CredentialHeader(HeaderError::Cbor(CborError::TooDeep)))
        );
        assert_eq!(
            verified(|f| f.binding_claims.push((int(99), nested(depth)))),
            Err(VerifyError::BindingCbor(CborError::TooDeep))
        );
    }
    // Each disclosure holds the next: the levels add up.
    let (mut inner, mut digest) = disclosure(&[salt(0), int(1)]);
    let mut all = vec![inner];
    for number in 1..20 {
        (inner, digest) = disclosure(&[salt(number), array(&[tag(60, &bstr(&digest))])]);
        all.push(inner);
    }
    let mut forge = Forge::new().disclose(&all);
    forge.claims.push((int(502), array(&[tag(60, &bstr(&digest))])));
    assert_eq!(forge.verify().err(), Some(VerifyError::Disclosure(CborError::TooDeep.into())));
}

#[test]
fn large_tokens() {
    let large = forged(|f| f.claims.push((int(501), bstr(&vec![0; 10_000_000])))).token();
    assert_eq!(parse(&large), Err(ParseError::TooLarge));
    let wide = Limits { max_bytes: 20_000_000, ..Limits::default() };
    assert!(UnverifiedPresentation::parse(&large, &wide).is_ok());
    // Millions of empty items are passed over without a tree being built.
    let items = forged(|f| f.claims.push((int(501), array(&vec![vec![0xa0]; 3_000_000]))));
    let trusted = issuers(&items.issuer);
    let token = items.token();
    let verified = UnverifiedPresentation::parse(&token, &wide).unwrap().verify(&params(&trusted)).unwrap();
    assert!(verified.claims().as_cbor().len() > 3_000_000);
    // A length alone reserves nothing.
    for promise in [
        vec![0x9b, 0, 0, 0, 0xff, 0, 0, 0, 0],
        vec![0xbb, 0, 0, 0, 0xff, 0, 0, 0, 0],
        vec![0x5b, 0, 0, 0, 0xff, 0, 0, 0, 0],
    ] {
        let mut forge = Forge::new();
        forge.claims.push((int(501), promise));
        assert_eq!(
            forge.verify().err(),
            Some(VerifyError::CredentialClaims(RegisteredClaimError::Cbor(CborError::Truncated)))
        );
    }
}

#[test]
fn many_digests_and_disclosures() {
    let hidden: Vec<_> = (0..20_000u32).map(|number| [number.to_be_bytes(); 8].concat()).collect();
    let (mut shown, mut digests) = (Vec::new(), hidden);
    for number in 0..4096 {
        let (disclosed, digest) = disclosure(&[salt(1), int(number), int(1000 + number)]);
        shown.push(disclosed);
        digests.push(digest);
    }
    let verified = Forge::new().redact(&digests).disclose(&shown).verify().unwrap();
    assert_eq!((verified.hidden(), verified.claims().len()), (20_000, 4096 + 5));
    assert_eq!(verified.claims().claim(1000 + 4095).unwrap().as_integer(), Some(4095));
}

#[test]
fn encodings_that_are_not_the_shortest_are_read() {
    let verified = forged(|f| {
        f.claims.push((vec![0x1a, 0, 0, 1, 0xf5], vec![0x78, 1, b'A']));
    })
    .verify()
    .unwrap();
    assert_eq!(verified.claims().claim(501).unwrap().as_cbor(), [0x61, b'A']);
}
