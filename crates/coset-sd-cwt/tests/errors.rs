//! Every rule of parsing and verifying, broken alone, names its error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use coset_sd_cwt::{
    CborError, ConfirmationError, DisclosureError, HeaderError, KeyError, Limits, ParseError, PublicKey,
    RegisteredClaimError, SignatureAlgorithm, Signer, TimeError, TrustedIssuer, UnverifiedPresentation, VerifyError,
    VerifyParams,
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
fn the_forge_makes_valid_tokens() {
    for issuer in ALGORITHMS {
        for holder in ALGORITHMS {
            let verified = Forge::with(issuer, holder).verify().unwrap();
            assert_eq!(verified.claims().claim(2).unwrap().as_text(), Some("https://device.example"));
            assert_eq!((verified.hidden(), verified.sealed()), (0, 0));
            assert_eq!(verified.holder_key(), &signer(holder, 2).public_key());
        }
    }
}

#[test]
fn older_algorithm_identifiers() {
    for (algorithm, old) in ALGORITHMS.into_iter().zip([-8, -7, -35, -36]) {
        let mut forge = Forge::with(algorithm, algorithm);
        Forge::set(&mut forge.protected, 1, int(old));
        Forge::set(&mut forge.binding_protected, 1, int(old));
        assert!(forge.verify().is_ok(), "{old}");
    }
}

#[test]
fn malformed_messages() {
    let token = Forge::new().token();
    assert_eq!(parse(&token), Ok(()));
    for end in 0..token.len() {
        assert_eq!(parse(&token[..end]), Err(ParseError::Message(CborError::Truncated)), "cut at {end}");
    }
    let trailing = [&token[..], &[0]].concat();
    assert_eq!(parse(&trailing), Err(ParseError::Message(CborError::TrailingBytes)));
    assert_eq!(parse(&token[1..]), Err(ParseError::Message(CborError::WrongType)), "untagged");
    assert_eq!(parse(&tag(61, &token)), Err(ParseError::Message(CborError::WrongType)));
    assert_eq!(parse(&tag(17, &token[1..])), Err(ParseError::Message(CborError::WrongType)), "COSE_Mac0");
    assert_eq!(parse(&[0xd2, 0x9f, 0xff]), Err(ParseError::Message(CborError::IndefiniteLength)));
    let forge = Forge::new();
    let credential = forge.credential();
    assert_eq!(
        parse(&forge.token_of(&bstr(&credential))),
        Err(ParseError::BindingHeader(HeaderError::Cbor(CborError::WrongType))),
        "kcwt as a byte string"
    );
    assert_eq!(parse(&forge.token_of(&tag(61, &credential))), Err(ParseError::Credential(CborError::WrongType)));
    let mut open = vec![0xd2, 0x9f];
    open.extend_from_slice(&credential[2..]);
    open.push(0xff);
    assert_eq!(
        parse(&forge.token_of(&open)),
        Err(ParseError::BindingHeader(HeaderError::Cbor(CborError::IndefiniteLength)))
    );
}

#[test]
fn headers_of_the_binding() {
    let error = |change: &dyn Fn(&mut Forge)| match parse(&forged(|forge| change(forge)).token()) {
        Err(ParseError::BindingHeader(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(&|f| Forge::remove(&mut f.binding_protected, 1)), HeaderError::MissingAlgorithm);
    for alg in [int(5), int(-53), int(-47), int(-257), int(0), text("none"), text("ES256")] {
        assert_eq!(error(&|f| Forge::set(&mut f.binding_protected, 1, alg.clone())), HeaderError::UnsupportedAlgorithm);
    }
    assert_eq!(error(&|f| Forge::remove(&mut f.binding_protected, 16)), HeaderError::Type);
    for typ in [int(293), text("application/sd-cwt"), text("JWT"), bstr(b"x")] {
        assert_eq!(error(&|f| Forge::set(&mut f.binding_protected, 16, typ.clone())), HeaderError::Type);
    }
    for label in [15, 17, 170, 171, 172] {
        assert_eq!(error(&|f| Forge::set(&mut f.binding_protected, label, int(1))), HeaderError::Misplaced);
    }
    for label in [1, 13, 15, 16, 17, 170, 171, 172] {
        assert_eq!(
            error(&|f| {
                Forge::remove(&mut f.binding_protected, label);
                Forge::set(&mut f.binding_unprotected, label, int(1));
            }),
            if label == 13 { HeaderError::Cbor(CborError::DuplicateKey) } else { HeaderError::Misplaced }
        );
    }
    assert_eq!(error(&|f| Forge::set(&mut f.binding_unprotected, 2, array(&[int(1)]))), HeaderError::Critical);
    for crit in [array(&[]), array(&[int(99)]), array(&[text("x")]), array(&[int(4)])] {
        assert_eq!(error(&|f| Forge::set(&mut f.binding_protected, 2, crit.clone())), HeaderError::Critical);
    }
    assert!(verified(|f| Forge::set(&mut f.binding_protected, 2, array(&[int(1), int(16)]))).is_ok());
    let both = |f: &mut Forge| {
        f.binding_protected.push((int(99), int(1)));
        f.binding_unprotected.push((int(99), int(1)));
    };
    assert_eq!(error(&both), HeaderError::Cbor(CborError::DuplicateKey));
    assert_eq!(
        error(&|f| f.binding_protected.push((REDACTED.to_vec(), array(&[])))),
        HeaderError::Cbor(CborError::MisplacedMarker)
    );
    assert_eq!(
        error(&|f| f.binding_unprotected.push((int(99), tag(60, &bstr(&[0; 32]))))),
        HeaderError::Cbor(CborError::MisplacedMarker)
    );
    assert_eq!(error(&|f| f.binding_unprotected.push((bstr(b"k"), int(1)))), HeaderError::Cbor(CborError::KeyType));

    let forge = Forge::new();
    let no_kcwt = Forge::sign1(&map(&forge.binding_protected), &map(&[]), &map(&forge.binding_claims), &forge.holder);
    assert_eq!(parse(&no_kcwt), Err(ParseError::BindingHeader(HeaderError::MissingCredential)));
}

#[test]
fn headers_of_the_credential() {
    let error = |change: &dyn Fn(&mut Forge)| match parse(&forged(|forge| change(forge)).token()) {
        Err(ParseError::CredentialHeader(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error(&|f| Forge::remove(&mut f.protected, 1)), HeaderError::MissingAlgorithm);
    assert_eq!(error(&|f| Forge::set(&mut f.protected, 1, int(5))), HeaderError::UnsupportedAlgorithm);
    for typ in [int(294), text("application/kb+cwt"), text("application/cwt")] {
        assert_eq!(error(&|f| Forge::set(&mut f.protected, 16, typ.clone())), HeaderError::Type);
    }
    for typ in ["application/sd-cwt", "application/example+sd-cwt", "Application/SD-CWT"] {
        assert!(verified(|f| Forge::set(&mut f.protected, 16, text(typ))).is_ok(), "{typ}");
    }
    assert!(verified(|f| Forge::set(&mut f.binding_protected, 16, text("application/kb+cwt"))).is_ok());
    for hash in [-15, -17, -10, 1] {
        assert_eq!(error(&|f| Forge::set(&mut f.protected, 170, int(hash))), HeaderError::UnsupportedHash);
    }
    for aead in [3, 14, 18, 33] {
        assert_eq!(error(&|f| Forge::set(&mut f.protected, 172, int(aead))), HeaderError::UnsupportedAead);
    }
    for label in [13, 17, 171] {
        assert_eq!(error(&|f| Forge::set(&mut f.protected, label, array(&[bstr(b"x")]))), HeaderError::Misplaced);
    }
    assert_eq!(error(&|f| Forge::set(&mut f.unprotected, 170, int(-16))), HeaderError::Cbor(CborError::DuplicateKey));
    for label in [13, 15, 172] {
        assert_eq!(error(&|f| Forge::set(&mut f.unprotected, label, int(1))), HeaderError::Misplaced);
    }
    for label in [17, 171] {
        assert_eq!(error(&|f| Forge::set(&mut f.unprotected, label, array(&[]))), HeaderError::EmptyDisclosures);
        assert_eq!(error(&|f| Forge::set(&mut f.unprotected, label, int(1))), HeaderError::Cbor(CborError::WrongType));
        assert_eq!(
            error(&|f| Forge::set(&mut f.unprotected, label, array(&[int(1)]))),
            HeaderError::Cbor(CborError::WrongType)
        );
    }
    let many = vec![bstr(b"x"); Limits::default().max_disclosures + 1];
    assert_eq!(error(&|f| Forge::set(&mut f.unprotected, 17, array(&many))), HeaderError::TooManyDisclosures);
    let sealed = array(&[bstr(b"n"), bstr(b"c"), bstr(b"t")]);
    let half = vec![bstr(b"x"); Limits::default().max_disclosures];
    assert_eq!(
        error(&|f| {
            Forge::set(&mut f.unprotected, 17, array(&half));
            Forge::set(&mut f.unprotected, 171, array(std::slice::from_ref(&sealed)));
        }),
        HeaderError::TooManyDisclosures,
        "both lists count together"
    );
}

#[test]
fn issuer_and_algorithm() {
    let forge = Forge::new();
    let (issuer, other) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 7));
    let named = |name: &str, key: PublicKey| TrustedIssuer { name: name.to_owned(), key };
    let verify = |issuers: &[TrustedIssuer]| forge.verify_under(&params(issuers)).map(|verified| verified.hidden());
    assert_eq!(verify(&[]), Err(VerifyError::NoIssuerKey));
    for algorithm in [SignatureAlgorithm::Esp256, SignatureAlgorithm::Esp384, SignatureAlgorithm::Esp512] {
        let wrong = named(ISSUER, signer(algorithm, 1).public_key());
        assert_eq!(verify(&[wrong]), Err(VerifyError::NoIssuerKey));
    }
    assert_eq!(verify(&[named(ISSUER, other.public_key())]), Err(VerifyError::IssuerSignature));
    assert_eq!(verify(&[named("https://other.example", issuer.public_key())]), Err(VerifyError::IssuerName));
    let both = [named("https://other.example", other.public_key()), named(ISSUER, issuer.public_key())];
    assert_eq!(verify(&both), Ok(0));
    // The algorithm is bound to the key: a token cannot name another for it.
    let mut confused = Forge::new();
    Forge::set(&mut confused.binding_protected, 1, int(-19));
    assert_eq!(confused.verify().err(), Some(VerifyError::BindingAlgorithm));
    Forge::set(&mut confused.binding_protected, 1, int(-51));
    assert_eq!(confused.verify().err(), Some(VerifyError::BindingAlgorithm));
    // Unprotected parameters are not signed by the issuer, and none of them can change what was signed.
    let unsigned = verified(|f| f.unprotected.push((int(4), bstr(b"another key"))));
    assert!(unsigned.is_ok());
}

#[test]
fn confirmation() {
    let error = |cnf: Vec<u8>| match verified(|f| Forge::set(&mut f.claims, 8, cnf)) {
        Err(VerifyError::Confirmation(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        verified(|f| Forge::remove(&mut f.claims, 8)),
        Err(VerifyError::Confirmation(ConfirmationError::Missing))
    );
    // A key of small order: whoever presents the token could sign for it without any secret.
    let identity: Vec<u8> = [vec![1], vec![0; 31]].concat();
    let weak = map(&[(int(1), map(&[(int(1), int(1)), (int(-1), int(6)), (int(-2), bstr(&identity))]))]);
    assert_eq!(error(weak), ConfirmationError::Key(KeyError::WeakKey));
    let symmetric = map(&[(int(1), map(&[(int(1), int(4)), (int(-1), bstr(&[7; 32]))]))]);
    assert!(matches!(error(symmetric), ConfirmationError::Key(_)));
    assert_eq!(error(map(&[(int(3), bstr(b"kid"))])), ConfirmationError::Unsupported);
    assert_eq!(error(map(&[(int(5), bstr(&[0; 32]))])), ConfirmationError::UnknownThumbprint);
    let other = signer(SignatureAlgorithm::Esp256, 9).public_key().to_cnf();
    assert_eq!(verified(|f| Forge::set(&mut f.claims, 8, encoded(&other))), Err(VerifyError::HolderSignature));
    let off_curve = map(&[(
        int(1),
        map(&[(int(1), int(2)), (int(-1), int(1)), (int(-2), bstr(&[5; 32])), (int(-3), bstr(&[5; 32]))]),
    )]);
    assert_eq!(verified(|f| Forge::set(&mut f.claims, 8, off_curve)), Err(VerifyError::HolderSignature));
    // Nothing within cnf may be redacted.
    let redacted = map(&[
        (int(1), encoded(&signer(SignatureAlgorithm::Esp256, 2).public_key().to_cnf())[2..].to_vec()),
        (int(9), array(&[tag(60, &bstr(&[0; 32]))])),
    ]);
    assert_eq!(
        verified(|f| Forge::set(&mut f.claims, 8, redacted)),
        disclosure_error(DisclosureError::Cbor(CborError::MisplacedMarker))
    );
}

#[test]
fn a_thumbprint_names_a_known_key() {
    let mut forge = Forge::new();
    let key = forge.holder.public_key();
    Forge::set(&mut forge.claims, 8, encoded(&key.to_cnf_thumbprint()));
    let trusted = issuers(&forge.issuer);
    let keys = [signer(SignatureAlgorithm::Esp256, 5).public_key(), key.clone()];
    let verified = forge.verify_under(&VerifyParams { holder_keys: &keys, ..params(&trusted) }).unwrap();
    assert_eq!(verified.holder_key(), &key);
    assert_eq!(forge.verify().err(), Some(VerifyError::Confirmation(ConfirmationError::UnknownThumbprint)));
}

#[test]
fn claims_of_the_binding() {
    let binding = |change: &dyn Fn(&mut Vec<Entry>)| verified(|forge| change(&mut forge.binding_claims));
    for label in [1, 2] {
        assert_eq!(binding(&|c| Forge::set(c, label, text("x"))), Err(VerifyError::BindingSubject));
    }
    assert_eq!(binding(&|c| Forge::remove(c, 3)), Err(VerifyError::BindingAudience));
    assert_eq!(binding(&|c| Forge::set(c, 3, text("https://verifier.example/"))), Err(VerifyError::BindingAudience));
    assert_eq!(binding(&|c| Forge::remove(c, 39)), Err(VerifyError::MissingNonce));
    assert_eq!(binding(&|c| Forge::set(c, 39, bstr(&NONCE[1..]))), Err(VerifyError::Nonce));
    assert_eq!(
        binding(&|c| Forge::set(c, 39, text("text"))),
        Err(VerifyError::BindingClaims(RegisteredClaimError::Type(39)))
    );
    assert_eq!(
        binding(&|c| Forge::set(c, 6, vec![0xf9, 0x7e, 0x00])),
        Err(VerifyError::BindingClaims(RegisteredClaimError::Date(6)))
    );
    assert_eq!(
        binding(&|c| c.push((int(3), text(AUDIENCE)))),
        Err(VerifyError::BindingClaims(RegisteredClaimError::Cbor(CborError::DuplicateKey)))
    );
    assert_eq!(
        binding(&|c| c.extend([(int(99), int(1)), (int(99), int(1))])),
        Err(VerifyError::BindingCbor(CborError::DuplicateKey))
    );
    assert_eq!(
        binding(&|c| c.push((REDACTED.to_vec(), array(&[bstr(&[0; 32])])))),
        Err(VerifyError::BindingCbor(CborError::MisplacedMarker))
    );
    assert_eq!(
        binding(&|c| c.push((int(99), array(&[tag(60, &bstr(&[0; 32]))])))),
        Err(VerifyError::BindingCbor(CborError::MisplacedMarker))
    );
    assert!(
        binding(&|c| {
            Forge::remove(c, 6);
            Forge::set(c, 7, bstr(b"id"));
        })
        .is_ok()
    );
    assert_eq!(binding(&|c| Forge::remove(c, 6)), Err(VerifyError::Time(TimeError::BindingWithoutIatAndCti)));
    for (label, time, error) in [
        (6, NOW - 101, TimeError::BindingIatBeforeCredentialIat),
        (6, NOW + 11, TimeError::BindingFromFuture),
        (5, NOW + 20, TimeError::BindingNbfAfterIat),
        (4, NOW - 5, TimeError::BindingIatNotBeforeExp),
        (4, NOW + 1001, TimeError::BindingExpAfterCredentialExp),
    ] {
        assert_eq!(binding(&|c| Forge::set(c, label, int(time))), Err(VerifyError::Time(error)));
    }
}

#[test]
fn claims_of_the_credential() {
    let claims = |change: &dyn Fn(&mut Vec<Entry>)| verified(|forge| change(&mut forge.claims));
    for (label, time, error) in [
        (4, NOW - 10, TimeError::CredentialExpired),
        (5, NOW + 11, TimeError::CredentialNbfAfterIat),
        (6, NOW + 11, TimeError::CredentialFromFuture),
        (6, NOW + 1000, TimeError::CredentialIatNotBeforeExp),
        (5, NOW + 1000, TimeError::CredentialNbfAfterIat),
    ] {
        assert_eq!(claims(&|c| Forge::set(c, label, int(time))), Err(VerifyError::Time(error)), "{label}");
    }
    let without_iat = |nbf| {
        claims(&|c| {
            Forge::remove(c, 6);
            Forge::set(c, 5, int(nbf));
        })
    };
    assert_eq!(without_iat(NOW + 11), Err(VerifyError::Time(TimeError::CredentialNotYetValid)));
    assert_eq!(without_iat(NOW + 1000), Err(VerifyError::Time(TimeError::CredentialNbfNotBeforeExp)));
    assert_eq!(claims(&|c| Forge::set(c, 3, text("https://someone.else"))), Err(VerifyError::CredentialAudience));
    assert!(claims(&|c| Forge::set(c, 3, text(AUDIENCE))).is_ok());
    let mut elsewhere = Forge::new();
    Forge::set(&mut elsewhere.claims, 3, text("https://verifier.example"));
    let trusted = issuers(&elsewhere.issuer);
    let wider = VerifyParams { credential_audiences: &["https://verifier.example"], ..params(&trusted) };
    assert!(elsewhere.verify_under(&wider).is_ok());
    assert_eq!(claims(&|c| Forge::set(c, 4, int(1))), Err(VerifyError::Time(TimeError::CredentialIatNotBeforeExp)));
    assert_eq!(
        claims(&|c| Forge::set(c, 4, text("never"))),
        Err(VerifyError::CredentialClaims(RegisteredClaimError::Type(4)))
    );
    assert_eq!(
        claims(&|c| Forge::set(c, 3, array(&[text(AUDIENCE)]))),
        Err(VerifyError::CredentialClaims(RegisteredClaimError::Type(3)))
    );
    assert_eq!(claims(&|c| Forge::remove(c, 2)), Err(VerifyError::MissingSubject));
    let redacted_subject = forged(|f| Forge::remove(&mut f.claims, 2)).redact(&[vec![7; 32]]).verify().unwrap();
    assert_eq!(redacted_subject.claims().claim(2), None);
    for (entry, error) in [
        ((tag(58, &int(501)), text("Alice")), CborError::MisplacedMarker),
        ((tag(62, &int(1)), vec![0xf6]), CborError::MisplacedMarker),
        ((tag(58, &tag(58, &int(501))), text("Alice")), CborError::MisplacedMarker),
        ((tag(1, &int(501)), text("Alice")), CborError::KeyType),
        ((bstr(b"k"), int(1)), CborError::KeyType),
        ((vec![0xf5], int(1)), CborError::KeyType),
        ((text(&"k".repeat(256)), int(1)), CborError::KeyTooLong),
        ((int(501), vec![0x62, 0xc3, 0x28]), CborError::NotUtf8),
        ((int(501), vec![0x1c]), CborError::Reserved),
        ((int(501), vec![0x9f, 0xff]), CborError::IndefiniteLength),
        ((int(501), vec![0x7f, 0xff]), CborError::IndefiniteLength),
    ] {
        let outcome = claims(&|c| c.push(entry.clone()));
        let early = Err(VerifyError::CredentialClaims(RegisteredClaimError::Cbor(error)));
        assert!(outcome == early || outcome == disclosure_error(error.into()), "{entry:02x?}: {outcome:?}");
    }
    for value in [tag(58, &int(1)), tag(60, &bstr(&[0; 32])), tag(62, &int(1)), REDACTED.to_vec()] {
        assert_eq!(
            claims(&|c| c.push((int(501), value.clone()))),
            disclosure_error(CborError::MisplacedMarker.into()),
            "{value:02x?}"
        );
    }
}

#[test]
fn duplicate_keys() {
    let nested = |entries: &[Entry]| verified(|f| f.claims.push((int(503), map(entries))));
    let duplicate = disclosure_error(CborError::DuplicateKey.into());
    assert_eq!(nested(&[(int(1), int(1)), (int(1), int(2))]), duplicate);
    assert_eq!(nested(&[(int(1), int(1)), (vec![0x19, 0, 1], int(2))]), duplicate, "however long it is encoded");
    assert_eq!(nested(&[(REDACTED.to_vec(), array(&[])), (REDACTED.to_vec(), array(&[]))]), duplicate);
    let (disclosed, digest) = disclosure(&[salt(1), int(2), int(501)]);
    let shadow = Forge::new().redact(&[digest]).disclose(&[disclosed]);
    let mut shadow_plain = shadow;
    shadow_plain.claims.push((int(501), int(1)));
    assert_eq!(shadow_plain.verify().err(), Some(VerifyError::Disclosure(CborError::DuplicateKey.into())));
    let (one, first) = disclosure(&[salt(1), int(2), int(501)]);
    let (two, second) = disclosure(&[salt(2), int(3), int(501)]);
    let twice = Forge::new().redact(&[first, second]).disclose(&[one, two]).verify();
    assert_eq!(twice.err(), Some(VerifyError::Disclosure(CborError::DuplicateKey.into())));
}

#[test]
fn disclosures() {
    let with = |digests: &[Vec<u8>], disclosures: &[Vec<u8>]| {
        let forge = Forge::new().redact(digests);
        let forge = if disclosures.is_empty() { forge } else { forge.disclose(disclosures) };
        forge.verify().map(|verified| verified.claims().to_string())
    };
    let (good, digest) = disclosure(&[salt(1), text("Alice"), int(501)]);
    assert!(with(std::slice::from_ref(&digest), std::slice::from_ref(&good)).unwrap().ends_with("501:\"Alice\"}"));
    assert_eq!(with(&[], std::slice::from_ref(&good)), disclosure_error(DisclosureError::Unreferenced));
    assert_eq!(
        with(std::slice::from_ref(&digest), &[good.clone(), good.clone()]),
        disclosure_error(DisclosureError::DuplicateDisclosure)
    );
    for disclosed in [&[][..], std::slice::from_ref(&good)] {
        assert_eq!(
            with(&[digest.clone(), digest.clone()], disclosed),
            disclosure_error(DisclosureError::DuplicateDigest)
        );
    }
    assert_eq!(with(&[vec![0; 31]], &[]), disclosure_error(DisclosureError::DigestLength));
    assert_eq!(with(&[vec![0; 48]], &[]), disclosure_error(DisclosureError::DigestLength));
    // The same disclosure, its byte string with a longer head: another digest.
    let longer = [&[0x59, 0][..], &good[1..]].concat();
    assert_eq!(with(&[digest], &[longer]), disclosure_error(DisclosureError::Unreferenced));

    let single = |items: &[Vec<u8>]| {
        let (disclosure, digest) = disclosure(items);
        with(&[digest], &[disclosure])
    };
    for items in [
        &[][..],
        &[salt(1), int(1), int(2), int(3)],
        &[int(1), int(1), int(2)],
        &[bstr(&[1; 15]), int(1), int(2)],
        &[bstr(&[1; 17]), int(1), int(2)],
    ] {
        assert_eq!(single(items), disclosure_error(DisclosureError::Shape));
    }
    assert_eq!(single(&[salt(1), text("FR")]), disclosure_error(DisclosureError::ElementInMap));
    assert!(single(&[salt(1)]).is_ok(), "a decoy adds nothing");
    assert_eq!(single(&[salt(1), int(1), bstr(b"k")]), disclosure_error(CborError::KeyType.into()));
    assert_eq!(single(&[salt(1), int(1), REDACTED.to_vec()]), disclosure_error(CborError::MisplacedMarker.into()));
    assert_eq!(single(&[salt(1), vec![0x9f, 0xff], int(501)]), disclosure_error(CborError::IndefiniteLength.into()));
    assert_eq!(single(&[salt(1), vec![0x61, 0xff], int(501)]), disclosure_error(CborError::NotUtf8.into()));
    for label in [1, 3, 4, 5, 6, 7, 8, 39] {
        assert_eq!(single(&[salt(1), int(1), int(label)]), disclosure_error(DisclosureError::NeverRedacted(label)));
    }
    for bytes in [bstr(&[&array(&[salt(1)])[..], &[0]].concat()), bstr(&[]), bstr(&[0x9f, 0xff]), bstr(&int(1))] {
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref().to_vec();
        let outcome = with(&[digest], &[bytes]);
        let errors = [
            disclosure_error(CborError::TrailingBytes.into()),
            disclosure_error(CborError::Truncated.into()),
            disclosure_error(CborError::IndefiniteLength.into()),
            disclosure_error(DisclosureError::Shape),
        ];
        assert!(errors.contains(&outcome), "{outcome:?}");
    }

    let in_array = |items: &[Vec<u8>]| {
        let (disclosure, digest) = disclosure(items);
        let mut forge = Forge::new().disclose(&[disclosure]);
        forge.claims.push((int(502), array(&[text("DE"), tag(60, &bstr(&digest)), tag(60, &bstr(&[9; 32]))])));
        forge.verify().map(|verified| verified.claims().claim(502).unwrap().to_string())
    };
    assert_eq!(in_array(&[salt(1), text("FR")]).unwrap(), r#"["DE","FR"]"#);
    assert_eq!(in_array(&[salt(1)]).unwrap(), r#"["DE"]"#);
    assert_eq!(
        in_array(&[salt(1), text("FR"), int(1)]).err(),
        Some(VerifyError::Disclosure(DisclosureError::ClaimInArray))
    );
}

#[test]
fn claims_in_the_protected_header() {
    let with = |header: Vec<Entry>| verified(|f| f.protected.push((int(15), map(&header))));
    assert!(with(vec![(int(1), text(ISSUER)), (int(600), int(7))]).unwrap().ends_with("600:7}"));
    assert_eq!(with(vec![(int(2), text("someone else"))]), disclosure_error(DisclosureError::Conflict));
    assert_eq!(with(vec![(int(1), text("someone else"))]), disclosure_error(DisclosureError::Conflict));
    let expired = verified(|f| {
        f.protected.push((int(15), map(&[(int(4), int(NOW - 20))])));
        Forge::remove(&mut f.claims, 4);
    });
    assert_eq!(expired, Err(VerifyError::Time(TimeError::CredentialExpired)));
    let (disclosed, digest) = disclosure(&[salt(1), int(7), int(600)]);
    let mut forge = Forge::new().disclose(&[disclosed]);
    forge.protected.push((int(15), map(&[(REDACTED.to_vec(), array(&[bstr(&digest)]))])));
    assert_eq!(forge.verify().unwrap().claims().claim(600).unwrap().as_integer(), Some(7));
}
