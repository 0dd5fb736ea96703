//! Tokens made to cost much, and signatures made anew from old ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use coset_sd_cwt::{
    CborError, ConfirmationError, DisclosureError, HeaderError, KeyError, Limits, ParseError, PublicKey,
    RegisteredClaimError, SignatureAlgorithm, Signer, UnverifiedPresentation, VerifyError,
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
fn algorithms_cannot_be_confused() {
    // The issuer's public key is no secret for HMAC, whatever the message says that it is.
    let forge = Forge::new();
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, forge.issuer.public_key().as_bytes());
    let protected = map(&[(int(1), int(5)), (int(16), int(293)), (int(170), int(-16))]);
    let payload = map(&forge.claims);
    for (context, number) in [("MAC0", 17), ("Signature1", 18)] {
        let signed = array(&[text(context), bstr(&protected), bstr(&[]), bstr(&payload)]);
        let mac = ring::hmac::sign(&secret, &signed);
        let message = array(&[bstr(&protected), map(&[]), bstr(&payload), bstr(mac.as_ref())]);
        let expected = match number {
            17 => ParseError::Credential(CborError::WrongType),
            _ => ParseError::CredentialHeader(HeaderError::UnsupportedAlgorithm),
        };
        assert_eq!(parse(&forge.token_of(&tag(number, &message))), Err(expected));
    }
    // No signature at all, and one of another algorithm of the same length.
    let (issuer, holder) = (SignatureAlgorithm::Ed25519, SignatureAlgorithm::Esp256);
    let mut forge = Forge::with(issuer, holder);
    Forge::set(&mut forge.protected, 1, int(-9));
    assert_eq!(forge.verify().err(), Some(VerifyError::NoIssuerKey));
    let mut forge = Forge::with(issuer, holder);
    Forge::set(&mut forge.binding_protected, 1, int(-19));
    assert_eq!(forge.verify().err(), Some(VerifyError::BindingAlgorithm));
    for signature in [&[][..], &[0; 64], &[0; 63], &[0xff; 64]] {
        let forge = Forge::new();
        let protected = map(&forge.protected);
        let message = array(&[bstr(&protected), map(&[]), bstr(&map(&forge.claims)), bstr(signature)]);
        let token = forge.token_of(&tag(18, &message));
        let issuers = issuers(&forge.issuer);
        let outcome = UnverifiedPresentation::parse(&token, &Limits::default()).unwrap().verify(&params(&issuers));
        assert_eq!(outcome.err(), Some(VerifyError::IssuerSignature));
    }
}

#[test]
fn header_parameters_that_are_not_understood_change_nothing() {
    let plain = verified(|_| {}).unwrap();
    let attacker = signer(SignatureAlgorithm::Ed25519, 9);
    let key = encoded(&attacker.public_key().to_cnf());
    // kid, IV, content type, x5bag, x5chain, x5t, x5u, kid context, payload hash and location, nonce, and ones that
    // nobody knows.
    let values = [text("a"), int(1), bstr(b"x"), array(&[int(1)]), key, map(&[])];
    for label in [5, 3, 32, 33, 34, 35, 10, 258, 259, 260, 2000, -70_000] {
        for value in &values {
            for at in 0..4 {
                let outcome = verified(|f| {
                    let places =
                        [&mut f.protected, &mut f.unprotected, &mut f.binding_protected, &mut f.binding_unprotected];
                    places.into_iter().nth(at).unwrap().push((int(label), value.clone()));
                });
                assert_eq!(outcome.as_ref(), Ok(&plain), "{label} {at}");
            }
        }
    }
    // A key that a token brings is not used.
    let mut forge = Forge { issuer: attacker, ..Forge::new() };
    let own = encoded(&forge.issuer.public_key().to_cnf());
    forge.protected.push((int(2000), own));
    let trusted = issuers(&Forge::new().issuer);
    assert_eq!(forge.verify_under(&params(&trusted)).err(), Some(VerifyError::IssuerSignature));
}

#[test]
fn whatever_is_critical_and_not_understood_is_refused() {
    for label in [5, 33, 2000] {
        let critical = |entries: &mut Vec<Entry>| {
            entries.push((int(label), int(1)));
            entries.push((int(2), array(&[int(label)])));
        };
        let binding = forged(|f| critical(&mut f.binding_protected));
        assert_eq!(parse(&binding.token()), Err(ParseError::BindingHeader(HeaderError::Critical)));
        let credential = forged(|f| critical(&mut f.protected));
        assert_eq!(parse(&credential.token()), Err(ParseError::CredentialHeader(HeaderError::Critical)));
    }
}

/// Puts an item where a token can hold one: claims, a disclosure, both headers, the claims of the binding.
fn everywhere(item: &[u8]) -> [Result<String, String>; 6] {
    let item = || item.to_vec();
    let (disclosed, digest) = disclosure(&[salt(1), item(), int(501)]);
    let disclosed = Forge::new().redact(&[digest]).disclose(&[disclosed]);
    let forges = [
        forged(|f| f.claims.push((int(501), item()))),
        disclosed,
        forged(|f| f.protected.push((int(2000), item()))),
        forged(|f| f.unprotected.push((int(2000), item()))),
        forged(|f| f.binding_protected.push((int(2000), item()))),
        forged(|f| f.binding_claims.push((int(2000), item()))),
    ];
    forges.map(|forge| {
        let (trusted, token) = (issuers(&forge.issuer), forge.token());
        let parsed = UnverifiedPresentation::parse(&token, &Limits::default()).map_err(|error| format!("{error:?}"))?;
        let verified = parsed.verify(&params(&trusted)).map_err(|error| format!("{error:?}"))?;
        Ok(verified.claims().to_string())
    })
}

#[test]
fn indefinite_lengths_duplicate_keys_and_bad_text_are_refused_everywhere() {
    for (item, error) in [
        (&[0x9f, 0x01, 0xff][..], "IndefiniteLength"),
        (&[0xbf, 0x01, 0x01, 0xff], "IndefiniteLength"),
        (&[0x7f, 0x61, b'a', 0xff], "IndefiniteLength"),
        (&[0x5f, 0x41, b'a', 0xff], "IndefiniteLength"),
        (&[0x81, 0x9f, 0xff], "IndefiniteLength"),
        (&[0xa2, 0x01, 0x01, 0x01, 0x02], "DuplicateKey"),
        (&[0xa2, 0x61, b'a', 0x01, 0x78, 0x01, b'a', 0x02], "DuplicateKey"),
        (&[0x62, 0xc3, 0x28], "NotUtf8"),
        (&[0x63, 0xed, 0xa0, 0x80], "NotUtf8"),
        (&[0xa1, 0x61, 0xff, 0x01], "NotUtf8"),
        (&[0x1c], "Reserved"),
        (&[0xf8, 0x00], "Reserved"),
    ] {
        for (at, outcome) in everywhere(item).into_iter().enumerate() {
            let found = outcome.expect_err("it must be refused");
            assert!(found.contains(error), "{item:02x?} at {at}: {found}");
        }
    }
    for outcome in everywhere(&[0x82, 0x01, 0xa1, 0x61, b'a', 0xf5]) {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[test]
fn keys_of_small_order_are_no_keys() {
    let mut point = [0; 32];
    for first in [0, 1] {
        point[0] = first;
        let key = map(&[(int(1), int(1)), (int(-1), int(6)), (int(-2), bstr(&point))]);
        let outcome = verified(|f| Forge::set(&mut f.claims, 8, map(&[(int(1), key)])));
        assert_eq!(outcome, Err(VerifyError::Confirmation(ConfirmationError::Key(KeyError::WeakKey))));
        assert_eq!(PublicKey::from_bytes(SignatureAlgorithm::Ed25519, &point), Err(KeyError::WeakKey));
    }
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
