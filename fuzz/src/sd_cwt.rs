//! SD-CWT: as octets, and with an issuer and a holder that sign whatever they are given.

use coset_sd_cwt::{
    AcceptParams, Limits, NoAeadKeys, PresentParams, PublicKey, Selection, SignatureAlgorithm, Signer as _,
    SoftwareSigner, TrustedIssuer, UnverifiedCredential, UnverifiedPresentation, VerifyParams,
};
use ring::digest::{SHA256, digest};

use crate::{
    chunks,
    world::{ISSUER, NONCE, NOW, ROOM, WORLD},
};

/// The octets of a presentation.
const OCTETS: u8 = 0;
/// The octets of a token as its issuer gives it.
const TOKEN: u8 = 1;
/// The parts of a presentation, to be signed.
const PRESENTED: u8 = 2;
/// The parts of a token, to be signed and held.
const ISSUED: u8 = 3;
/// In the parts, 32 octets that stand for the digest of a disclosure: 31 of these and its place.
const PLACE: u8 = 0xdd;

pub fn run(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    match kind % 4 {
        OCTETS => verify(rest),
        TOKEN => hold(rest),
        PRESENTED => presented(&chunks::split(rest, 24)).is_some_and(|token| verify(&token)),
        _ => issued(&chunks::split(rest, 24)).is_some_and(|token| hold(&token)),
    }
}

fn signer(secret: &[u8]) -> SoftwareSigner {
    SoftwareSigner::new(SignatureAlgorithm::Ed25519, secret).expect("a key")
}

fn issuer() -> SoftwareSigner {
    signer(WORLD.issuer_key.secret())
}

fn holder() -> SoftwareSigner {
    signer(WORLD.holder_key.secret())
}

fn now() -> i64 {
    i64::try_from(NOW.as_secs()).expect("a time")
}

fn issuers() -> [TrustedIssuer; 1] {
    [TrustedIssuer { name: ISSUER.to_owned(), key: issuer().public_key() }]
}

fn verify(octets: &[u8]) -> bool {
    let Ok(presentation) = UnverifiedPresentation::parse(octets, &Limits::default()) else { return false };
    let (issuers, holder_keys) = (issuers(), [holder().public_key()]);
    let params = VerifyParams {
        issuers: &issuers,
        audience: ROOM,
        credential_audiences: &[],
        nonce: &NONCE,
        now: now(),
        leeway: 60,
        holder_keys: &holder_keys,
        aead_keys: &NoAeadKeys,
    };
    let Ok(verified) = presentation.verify(&params) else { return false };
    let _ = verified.claims().to_string();
    let mut labels = Vec::new();
    for (label, claim) in verified.claims().iter() {
        let _ = (claim.as_text(), claim.as_integer(), claim.entries());
        assert!(!labels.contains(&label), "a label twice");
        labels.push(label);
    }
    assert!(presentation.verify(&VerifyParams { audience: "mimi://hub.example/r/other", ..params }).is_err());
    assert!(presentation.verify(&VerifyParams { nonce: b"another one", ..params }).is_err());
    assert!(presentation.verify(&VerifyParams { issuers: &[], ..params }).is_err());
    true
}

fn hold(octets: &[u8]) -> bool {
    let Ok(token) = UnverifiedCredential::parse(octets, &Limits::default()) else { return false };
    let (issuers, holder_key): (_, PublicKey) = (issuers(), holder().public_key());
    let params =
        AcceptParams { issuers: &issuers, holder_key: &holder_key, now: now(), leeway: 60, aead_keys: &NoAeadKeys };
    let Ok(credential) = token.accept(&params) else { return false };
    let params = PresentParams { audience: ROOM, nonce: &NONCE, issued_at: now(), additional: &[] };
    let all = credential.disclosures().iter().fold(Selection::nothing(), Selection::disclose);
    for selection in [all, Selection::nothing()] {
        let mut entropy = |buffer: &mut [u8]| buffer.fill(7);
        // What must be disclosed may be left out, and times may not allow it now.
        if let Ok(shown) = credential.present(&selection, &params, &holder(), &mut entropy) {
            let read = UnverifiedPresentation::parse(&shown, &Limits::default());
            read.expect("what is shown can be read");
            let _ = verify(&shown);
        }
    }
    true
}

fn head(major: u8, number: usize) -> Vec<u8> {
    let major = major << 5;
    match number {
        0..=23 => vec![major | number as u8],
        24..=0xff => vec![major | 24, number as u8],
        0x100..=0xffff => [&[major | 25][..], &(number as u16).to_be_bytes()].concat(),
        _ => [&[major | 26][..], &(number as u32).to_be_bytes()].concat(),
    }
}

fn bstr(octets: &[u8]) -> Vec<u8> {
    [&head(2, octets.len()), octets].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&head(3, text.len()), text.as_bytes()].concat()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len()), items.concat()].concat()
}

/// A map: its first octet says how many entries the rest is.
fn map(entries: &[u8], further: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let (count, entries) = entries.split_first().unwrap_or((&0, &[]));
    let further: Vec<Vec<u8>> = further.iter().map(|(label, value)| [label.clone(), value.clone()].concat()).collect();
    [head(5, usize::from(*count) + further.len()), entries.to_vec(), further.concat()].concat()
}

fn sign1(protected: &[u8], unprotected: &[u8], payload: &[u8], signer: &SoftwareSigner) -> Vec<u8> {
    let signed = array(&[text("Signature1"), bstr(protected), bstr(&[]), bstr(payload)]);
    let signature = signer.sign(&signed).expect("a signature");
    let message = array(&[bstr(protected), unprotected.to_vec(), bstr(payload), bstr(&signature)]);
    [vec![0xd2], message].concat()
}

fn filled(part: &[u8], digests: &[[u8; 32]]) -> Vec<u8> {
    let mut out = part.to_vec();
    for at in 0..out.len().saturating_sub(31) {
        let place = &out[at..at + 32];
        let is_place = place[..31].iter().all(|octet| *octet == PLACE);
        if let Some(digest) = digests.get(usize::from(place[31])).filter(|_| is_place) {
            out[at..at + 32].copy_from_slice(digest);
        }
    }
    out
}

/// Protected and unprotected header, claims, and disclosures, each of which may name those before it.
fn issued(parts: &[&[u8]]) -> Option<Vec<u8>> {
    let [protected, unprotected, claims, disclosures @ ..] = parts else { return None };
    let (mut digests, mut shown) = (Vec::new(), Vec::new());
    for disclosure in disclosures {
        let disclosure = bstr(&filled(disclosure, &digests));
        digests.push(digest(&SHA256, &disclosure).as_ref().try_into().expect("32 octets"));
        shown.push(disclosure);
    }
    let further = (!shown.is_empty()).then(|| (head(0, 17), array(&shown)));
    let (protected, unprotected) = (map(protected, &[]), map(unprotected, further.as_slice()));
    Some(sign1(&protected, &unprotected, &map(&filled(claims, &digests), &[]), &issuer()))
}

/// Protected and unprotected header of the key binding and its claims, and then as for a token.
pub fn presented(parts: &[&[u8]]) -> Option<Vec<u8>> {
    let [protected, unprotected, claims, token @ ..] = parts else { return None };
    let token = issued(token)?;
    Some(sign1(&map(protected, &[(head(0, 13), token)]), &map(unprotected, &[]), &map(claims, &[]), &holder()))
}

fn entries(list: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = vec![u8::try_from(list.len()).expect("few entries")];
    list.iter().for_each(|(label, value)| out.extend([label.as_slice(), value].concat()));
    out
}

fn int(number: i64) -> Vec<u8> {
    if number < 0 { head(1, !number as usize) } else { head(0, number as usize) }
}

fn place(at: u8) -> Vec<u8> {
    [[PLACE; 31].as_slice(), &[at]].concat()
}

/// The parts of tokens and presentations that are accepted.
pub fn parts(claims: &[(Vec<u8>, Vec<u8>)], disclosures: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let cnf = [
        vec![0xa1, 0x01, 0xa3, 0x01, 0x01, 0x20, 0x06, 0x21],
        bstr(mimi_pseudonym::Signer::public_key(&WORLD.holder_key).as_bytes()),
    ]
    .concat();
    let base = [(int(1), text(ISSUER)), (int(4), int(now() + 1000)), (int(6), int(now() - 10)), (int(8), cnf)];
    let mut parts = vec![
        entries(&[(int(1), int(-8)), (int(16), int(294))]),
        entries(&[]),
        entries(&[(int(3), text(ROOM)), (int(6), int(now())), (int(39), bstr(&NONCE))]),
        entries(&[(int(1), int(-8)), (int(16), int(293)), (int(170), int(-16))]),
        entries(&[]),
        entries(&[base.as_slice(), claims].concat()),
    ];
    parts.extend_from_slice(disclosures);
    parts
}

pub fn seeds() -> Vec<Vec<u8>> {
    let redacted = vec![0xf8, 59];
    let subject = (int(2), text("mimi://a.example/u/alice"));
    let hidden =
        |places: &[u8]| (redacted.clone(), array(&places.iter().map(|at| bstr(&place(*at))).collect::<Vec<_>>()));
    // The salt is different for every value, as a holder wants it.
    let salt = |value: &[u8]| bstr(&[value[0]; 16]);
    let disclosure = |label: Vec<u8>, value: Vec<u8>| array(&[salt(&value), value, label]);
    let nested = [vec![0xa2], int(1), text("x"), redacted.clone(), array(&[bstr(&place(0))])].concat();
    let element = [vec![0xd8, 60], bstr(&place(0))].concat();
    let all = [
        parts(&[subject.clone()], &[]),
        parts(&[hidden(&[0, 1])], &[disclosure(int(2), subject.1.clone()), disclosure(text("name"), text("Alice"))]),
        parts(&[subject.clone(), hidden(&[1])], &[disclosure(int(7000), int(-5)), disclosure(text("o"), nested)]),
        parts(&[subject, (text("list"), array(&[element, int(2)]))], &[array(&[salt(&[5]), text("shown")])]),
    ];
    let mut seeds: Vec<_> = all.iter().map(|parts| chunks::join(PRESENTED, parts)).collect();
    seeds.extend(all.iter().map(|parts| chunks::join(ISSUED, &parts[3..])));
    for parts in &all {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        seeds.push([&[OCTETS], presented(&parts).expect("a presentation").as_slice()].concat());
        seeds.push([&[TOKEN], issued(&parts[3..]).expect("a token").as_slice()].concat());
    }
    seeds
}
