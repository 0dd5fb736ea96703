//! Certificates: as octets, and with an authority that signs whatever it is given.

use std::sync::Arc;

use mimi_credential::{CertificateChain, TrustStore, UnverifiedIdentity, UnverifiedLeaf};
use mimi_pseudonym::{ClaimName, Signer, SigningKey, UserUri, Wire};

use crate::{
    chunks,
    world::{self, NOW, WORLD},
};

/// Certificates, leaf first.
const CHAIN: u8 = 0;
/// What is signed of certificates, leaf first: the last one by the anchor, each other one by the intermediate authority.
const SIGNED: u8 = 1;
/// A certificate that is to be an anchor, then what is signed of a leaf.
const ANCHOR: u8 = 2;

pub fn run(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let parts = chunks::split(rest, 4);
    match kind % 3 {
        CHAIN => verify(parts.into_iter().map(<[u8]>::to_vec).collect(), &WORLD.trust),
        SIGNED => {
            let last = parts.len().saturating_sub(1);
            let key = |at| if at == last { WORLD.issuer_key.clone() } else { world::key(3) };
            verify(parts.iter().enumerate().map(|(at, part)| signed(part, &key(at))).collect(), &WORLD.trust)
        }
        _ => {
            let [anchor, leaf @ ..] = parts.as_slice() else { return false };
            let domain = WORLD.issuer.domain().clone();
            let Ok(trust) = TrustStore::default().with_anchor(anchor, [domain.clone()]) else { return false };
            assert_eq!(TrustStore::decode(&trust.encode()).as_ref(), Ok(&trust));
            assert!(trust.speaks_for(&domain));
            verify(leaf.iter().map(|part| signed(part, &WORLD.issuer_key)).collect(), &trust)
        }
    }
}

fn verify(certificates: Vec<Vec<u8>>, trust: &TrustStore) -> bool {
    let Ok(chain) = CertificateChain::try_from(certificates) else { return false };
    let key = WORLD.holder_key.public_key();
    let identity = UnverifiedIdentity::new(chain.clone());
    let claimed = identity.claimed();
    let _ = (identity.domain(), identity.is_for(key), identity.names_issuer_of(&WORLD.leaf));
    let identity = identity.verify(key, trust, NOW);
    if let Ok(identity) = &identity {
        assert_eq!(claimed.as_ref(), Ok(identity.claims()));
        assert_eq!(identity.claims().value(ClaimName::UserUri), Some(identity.user().as_str()));
        assert!(!identity.user().is_pseudonym());
        assert_eq!(identity.user().domain(), WORLD.issuer.domain());
        assert!(identity.not_after() >= NOW);
        assert!(identity.claims().value(ClaimName::AgeOver18).is_none_or(|value| value == ClaimName::TRUE));
        if let Some(name) = identity.claims().value(ClaimName::DisplayName) {
            assert!((1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control));
        }
    }
    let leaf = UnverifiedLeaf::new(chain).verify(key, trust, NOW);
    if let Ok(leaf) = &leaf {
        assert_eq!(leaf.user().domain(), WORLD.issuer.domain());
        assert_eq!(leaf.user().domain(), leaf.client().domain());
        assert!(leaf.client().is_pseudonym() || !leaf.user().is_pseudonym());
    }
    assert!(identity.is_err() || leaf.is_err(), "one certificate is both leaf and identity");
    identity.is_ok() || leaf.is_ok()
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let head = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [&head, content].concat()
}

/// A certificate with this content, signed with Ed25519.
fn signed(content: &[u8], key: &SigningKey) -> Vec<u8> {
    const ED25519: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    let signature = key.sign(content).expect("a signature");
    let signature = element(0x03, &[&[0], signature.as_slice()].concat());
    element(0x30, &[content, &ED25519, &signature].concat())
}

/// What is signed of a certificate: the first element inside the outer one, both with lengths of two octets.
fn content(certificate: &[u8]) -> Vec<u8> {
    let inside = &certificate[4..];
    assert_eq!((certificate[1], inside[1]), (0x82, 0x82), "certificates of the seeds have 256 octets or more");
    let length = usize::from(u16::from_be_bytes([inside[2], inside[3]]));
    inside[..length + 4].to_vec()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let under = world.issuer.delegate(Arc::new(world::key(3)), [5; 16], world::validity()).expect("an authority");
    let public = world.holder_key.public_key();
    let below = under.issue_identity(&world::alice(), public, [6; 16], world::validity()).expect("an identity");
    let alice: UserUri = world::ALICE.parse().expect("a user");
    let client = mimi_pseudonym::ClientUri::new(alice.domain(), "ClientA1").expect("a client");
    let named = world.issuer.issue_leaf(&alice, &client, public, [7; 16], world::validity()).expect("a leaf");
    let mut seeds = Vec::new();
    for chain in [&world.leaf, &world.identity, &below, &named] {
        let certificates = chain.certificates();
        seeds.push(chunks::join(CHAIN, certificates));
        let contents: Vec<_> = certificates.iter().map(|one| content(one)).collect();
        seeds.push(chunks::join(SIGNED, &contents));
    }
    let anchored = [world.issuer.certificate().to_vec(), content(&world.identity.certificates()[0])];
    seeds.push(chunks::join(ANCHOR, &anchored));
    seeds
}
