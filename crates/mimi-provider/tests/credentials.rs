//! Credentials over real TLS: which formats are issued, for which keys, and what ties two of them together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use http::Method;
use mimi_credential::{CertificateChain, UnverifiedLeaf};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{CipherSuite, ClaimName, DisclosureFormat, Signer, SigningKey, UserUri};
use mimi_wire::{
    Problem, Wire,
    local::{self, *},
};
use support::{Shown, World, problem};

fn key(suite: CipherSuite) -> SigningKey {
    SigningKey::generate(suite.signature_scheme(), &mut OsEntropy).unwrap()
}

fn item(
    subject: &UserUri,
    suite: CipherSuite,
    key: &SigningKey,
    disclose: &[ClaimName],
    format: DisclosureFormat,
) -> UnverifiedCredentialItem {
    let (subject, public_key, disclose) = (subject.clone(), key.public_key().clone(), disclose.to_vec());
    let tbs = CredentialItemTbs { subject, cipher_suite: suite, public_key, disclose, format };
    CredentialItem::sign(tbs, key).unwrap().into()
}

/// Alice and so many pseudonyms of hers, in the order of their URIs.
async fn alice(world: &World, count: u16) -> (RegisterResponse, Vec<UserUri>) {
    let registered = world.register("alice").await;
    let shown = Shown { token: Some(&registered.device_token), ..Shown::default() };
    let given: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count }).await.unwrap();
    (registered, given.pseudonyms)
}

async fn refused(world: &World, token: &DeviceToken, items: Vec<UnverifiedCredentialItem>) -> Problem {
    let shown = Shown { token: Some(token), ..Shown::default() };
    let before = world.dump();
    let body = CredentialsRequest { items }.encode();
    let (status, answer) = world.send(shown, Method::POST, local::CREDENTIALS_PATH, body).await;
    assert_eq!(world.dump(), before);
    problem(status, &answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_for_one_subject() {
    let world = World::start("credentials-key").await;
    let (alice, pseudonyms) = alice(&world, 2).await;
    let (suite, one, x509) = (CipherSuite::X25519Aes128Ed25519, key(support::SUITE), DisclosureFormat::X509);
    for subjects in [[&pseudonyms[0], &pseudonyms[1]], [&pseudonyms[0], &alice.user]] {
        let items = subjects.map(|subject| item(subject, suite, &one, &[], x509));
        assert_eq!(refused(&world, &alice.device_token, items.into()).await, Problem::Forbidden);
    }
    // Nor in two requests.
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let items = vec![item(&pseudonyms[0], suite, &one, &[], x509)];
    let request = CredentialsRequest { items };
    for _ in 0..2 {
        let issued: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &request).await.unwrap();
        assert_eq!(issued.items.len(), 1);
    }
    let items = vec![item(&pseudonyms[1], suite, &one, &[], x509)];
    assert_eq!(refused(&world, &alice.device_token, items).await, Problem::Forbidden);
}

fn new(suite: CipherSuite, key: &SigningKey, disclose: &[ClaimName], format: DisclosureFormat) -> NewPseudonymTbs {
    let (public_key, disclose) = (key.public_key().clone(), disclose.to_vec());
    NewPseudonymTbs { cipher_suite: suite, public_key, disclose, format }
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_come_with_their_credentials_in_one_request() {
    let world = World::start("credentials-acquire").await;
    let alice = world.register("alice").await;
    let shown = Shown { token: Some(&alice.device_token), key: Some("\"7\""), ..Shown::default() };
    for suite in CipherSuite::ALL {
        let keys: Vec<_> = (0..5).map(|_| key(suite)).collect();
        let items = keys.iter().map(|key| {
            let wanted = new(suite, key, &[ClaimName::Handle], DisclosureFormat::X509);
            NewPseudonym::sign(wanted, key).unwrap().into()
        });
        let request = AcquireRequest { items: items.collect() };
        let first: AcquireResponse = world.post(shown, local::ACQUIRE_PATH, &request).await.unwrap();
        let again: AcquireResponse = world.post(shown, local::ACQUIRE_PATH, &request).await.unwrap();
        let names = |response: &AcquireResponse| -> Vec<_> {
            let items = response.items.iter();
            items.map(|item| (item.pseudonym.clone(), item.credential.client.clone())).collect()
        };
        assert_eq!(names(&first), names(&again), "the same request gets the same ones");
        assert_eq!(first.items.len(), 5);
        for (item, key) in first.items.iter().zip(&keys) {
            let chain = CertificateChain::try_from(item.credential.leaf.clone()).unwrap();
            let leaf = UnverifiedLeaf::new(chain).verify(key.public_key(), &world.trust, world.now).unwrap();
            assert_eq!((leaf.user(), leaf.client()), (&item.pseudonym, &item.credential.client));
            assert!(matches!(item.credential.disclosure, Some(IssuedDisclosure::X509(_))));
            // It is the account's, as one that was asked for alone would be, and its key is for no other.
            let again = self::item(&item.pseudonym, suite, key, &[], DisclosureFormat::X509);
            let request = CredentialsRequest { items: vec![again] };
            let renewed: CredentialsResponse = world.post(shown, local::CREDENTIALS_PATH, &request).await.unwrap();
            assert_eq!(renewed.items[0].client, item.credential.client);
        }
        let other = Shown { key: Some("\"8\""), ..shown };
        let refused = world.post::<AcquireResponse>(other, local::ACQUIRE_PATH, &request).await;
        assert_eq!(refused, Err(Problem::Forbidden), "keys that other pseudonyms have");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pseudonym_is_made_for_what_cannot_be_issued() {
    let world = World::start("credentials-acquire-bad").await;
    let alice = world.register("alice").await;
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let (suite, one, x509) = (support::SUITE, key(support::SUITE), DisclosureFormat::X509);
    let good = || UnverifiedNewPseudonym::from(NewPseudonym::sign(new(suite, &one, &[], x509), &one).unwrap());
    let mut forged = good().encode();
    *forged.last_mut().unwrap() ^= 1;
    let forged = UnverifiedNewPseudonym::decode(&forged).unwrap();
    let mut cases = vec![(vec![good(), forged], Problem::SignatureInvalid), (vec![good(), good()], Problem::Forbidden)];
    if cfg!(not(feature = "authority")) {
        let token = NewPseudonym::sign(new(suite, &one, &[ClaimName::Email], DisclosureFormat::SdJwt), &one);
        cases.push((vec![token.unwrap().into()], Problem::UnsupportedFormat));
    }
    let before = world.dump();
    for (items, expected) in cases {
        let (status, answer) =
            world.send(shown, Method::POST, local::ACQUIRE_PATH, AcquireRequest { items }.encode()).await;
        assert_eq!((problem(status, &answer), world.dump() == before), (expected, true));
    }
}

#[cfg(not(feature = "authority"))]
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_the_feature_issues_certificates_alone() {
    let world = World::start("credentials-none").await;
    let (alice, pseudonyms) = alice(&world, 2).await;
    let suite = support::SUITE;
    for format in [DisclosureFormat::SdJwt, DisclosureFormat::SdCwt] {
        // One of them alone is reason enough, and where nothing is disclosed the format does not matter.
        let good = item(&pseudonyms[0], suite, &key(suite), &[ClaimName::Email], DisclosureFormat::X509);
        let bad = item(&pseudonyms[1], suite, &key(suite), &[ClaimName::Email], format);
        assert_eq!(refused(&world, &alice.device_token, vec![good, bad]).await, Problem::UnsupportedFormat);
        let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
        let items = vec![item(&pseudonyms[0], suite, &key(suite), &[], format)];
        let issued: CredentialsResponse =
            world.post(shown, local::CREDENTIALS_PATH, &CredentialsRequest { items }).await.unwrap();
        assert_eq!(issued.items[0].disclosure, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_says_nothing_of_when_it_was_made() {
    let world = World::start("credentials-times").await;
    let (alice, pseudonyms) = alice(&world, 2).await;
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let mut ends = Vec::new();
    for pseudonym in &pseudonyms {
        let key = key(support::SUITE);
        let items = vec![item(pseudonym, support::SUITE, &key, &[], DisclosureFormat::X509)];
        let issued: CredentialsResponse =
            world.post(shown, local::CREDENTIALS_PATH, &CredentialsRequest { items }).await.unwrap();
        let chain = CertificateChain::try_from(issued.items[0].leaf.clone()).unwrap();
        let leaf = UnverifiedLeaf::new(chain).verify(key.public_key(), &world.trust, world.now).unwrap();
        ends.push(leaf.not_after().as_secs() % 86_400);
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    }
    assert_eq!(ends, [0, 0], "the end of a day");
}

#[cfg(feature = "authority")]
mod authority {
    use std::collections::BTreeSet;

    use mimi_disclosure::{DisclosurePolicy, Holding, IdentityCredential, PresentError, Selection};
    use mimi_pseudonym::{ClientUri, Entropy, MessageContext, Nonce, RoomUri};

    use super::*;

    const ASKED: [ClaimName; 4] = [ClaimName::UserUri, ClaimName::Handle, ClaimName::DisplayName, ClaimName::Email];

    fn octets(disclosure: &IssuedDisclosure) -> Vec<u8> {
        match disclosure {
            IssuedDisclosure::X509(chain) => chain.concat(),
            IssuedDisclosure::SdJwt(token) | IssuedDisclosure::SdCwt(token) => token.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn held(world: &World, disclosure: &IssuedDisclosure, key: &SigningKey) -> Option<IdentityCredential> {
        let domain = support::domain("a.example");
        let holding = Holding { domain: &domain, key: key.public_key(), trust: &world.trust, now: world.now };
        match disclosure {
            IssuedDisclosure::SdJwt(token) => IdentityCredential::sd_jwt(token, &holding).ok(),
            IssuedDisclosure::SdCwt(token) => IdentityCredential::sd_cwt(token, &holding).ok(),
            IssuedDisclosure::X509(chain) => {
                Some(IdentityCredential::x509(CertificateChain::try_from(chain.clone()).unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_format_is_issued_in_batches_and_each_is_for_one_pseudonym() {
        let world = World::start("credentials-formats").await;
        let (alice, pseudonyms) = alice(&world, 12).await;
        let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
        for suite in CipherSuite::ALL {
            let keys: Vec<_> = pseudonyms.iter().map(|_| key(suite)).collect();
            let format = |at: usize| DisclosureFormat::ALL[at % 3];
            let items = pseudonyms.iter().zip(&keys).enumerate();
            let items: Vec<_> =
                items.map(|(at, (pseudonym, key))| item(pseudonym, suite, key, &ASKED, format(at))).collect();
            let issued: CredentialsResponse =
                world.post(shown, local::CREDENTIALS_PATH, &CredentialsRequest { items }).await.unwrap();
            let disclosures: Vec<_> = issued.items.iter().map(|item| item.disclosure.clone().unwrap()).collect();
            for (at, disclosure) in disclosures.iter().enumerate() {
                assert_eq!(disclosure.format(), format(at));
                let credential = held(&world, disclosure, &keys[at]).unwrap();
                assert_eq!(credential.names().unwrap(), BTreeSet::from(ASKED));
                let hidden = String::from_utf8_lossy(&octets(disclosure)).into_owned();
                assert!(!hidden.contains(pseudonyms[at].as_str()), "an identity does not name the pseudonym");
                // Whoever has the key of another leaf has no use for it.
                let other = (at + 3) % keys.len();
                assert!(format(at) == DisclosureFormat::X509 || held(&world, disclosure, &keys[other]).is_none());
                let leaf = issued.items[other].leaf.clone();
                let sender = (pseudonyms[other].clone(), ClientUri::pseudonym(pseudonyms[other].domain(), [1; 16]));
                let room = RoomUri::pseudonym(pseudonyms[other].domain(), OsEntropy.bits128());
                let nonce = Nonce::from_bytes([7; 32]);
                let public_key = keys[other].public_key().clone();
                let context = MessageContext::dangerous_new(room, 1, sender, public_key, leaf, nonce);
                let selection = Selection::new(ASKED, &DisclosurePolicy::connection()).unwrap();
                let elsewhere = credential.present(&selection, &context, &keys[other], world.now);
                assert_eq!(elsewhere, Err(PresentError::WrongKey), "{}", format(at));
            }
            // No two have a long run of octets in common that is not in all of them: signature, salts, digests, serial
            // numbers and keys are each their own.
            let distinct: BTreeSet<_> = disclosures.iter().map(octets).collect();
            assert_eq!(distinct.len(), disclosures.len());
        }
    }
}
