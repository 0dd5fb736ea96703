//! Every reason for which a KeyPackage is not used, by name, in both suites.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    DAY, World, alice_alone, domain, issuer,
    rogue::{Key, Rogue, Wild, ciphersuite, credential, flipped, octets},
};
use mimi_credential::{CredentialError, TrustStore, Validity};
use mimi_mls::{
    CommitError, CommitRefusal, Identity, KeyPackageRefusal as Refused, MAX_LIFETIME_SECS, NewKeyPackage,
    UnverifiedKeyPackage, VerifiedKeyPackage, Wanted,
};
use mimi_pseudonym::{CipherSuite, ClientUri, Entropy, SigningKey, Timestamp, UserUri};
use mimi_room::{ComponentId, KeyPackagePurpose as Purpose, Refusal, RoomState};
use mimi_wire::{DecodeError, KeyPackage, Wire};
use openmls::prelude::{
    AppDataDictionary, AppDataDictionaryExtension, Capabilities, CredentialType, Extension, ExtensionType, Extensions,
    Lifetime, ProposalType, UnknownExtension,
};
use openmls_rust_crypto::OpenMlsRustCrypto;

fn bob() -> UserUri {
    "mimi://b.example/u/bob".parse().unwrap()
}

fn verify(world: &World, key_package: &KeyPackage, now: Timestamp) -> Result<VerifiedKeyPackage, Refused> {
    UnverifiedKeyPackage::new(key_package.clone()).verify(&bob(), world.suite, &world.trust, now)
}

/// A KeyPackage made by hand.
fn raw(world: &World, identity: &Identity, capabilities: Capabilities, purpose: Option<Vec<u8>>) -> KeyPackage {
    let provider = OpenMlsRustCrypto::default();
    let mut builder = openmls::prelude::KeyPackage::builder()
        .key_package_lifetime(Lifetime::init(world.now.before(DAY).as_secs(), world.now.after(DAY).as_secs()))
        .leaf_node_capabilities(capabilities);
    if let Some(purpose) = purpose {
        let mut dictionary = AppDataDictionary::new();
        dictionary.insert(ComponentId::KEY_PACKAGE_PURPOSE, purpose);
        let extension = Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary));
        builder = builder.key_package_extensions(Extensions::single(extension).unwrap());
    }
    let made = builder.build(ciphersuite(world.suite), &provider, &Key(identity), credential(identity)).unwrap();
    KeyPackage::decode(&octets(made.key_package())).unwrap()
}

#[test]
fn what_it_says_is_read_back() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        for purpose in [Purpose::Any, Purpose::InitialOnly] {
            let identity = world.client(&bob());
            let new = world.key_package(&identity, purpose);
            let verified = verify(&world, &new.key_package, world.now).unwrap();
            assert_eq!(verified.purpose(), purpose);
            assert_eq!((verified.user(), verified.client()), (identity.user(), identity.client()));
            assert_eq!(verified.reference(), &new.reference);
            assert_eq!(verified.as_key_package(), &new.key_package);
            assert_eq!(verified.not_after(), world.now.after(DAY * 80));
        }
    }
}

#[test]
fn one_without_a_purpose_is_for_any_use_and_one_with_a_strange_purpose_is_invalid() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let all = common::rogue::capabilities();
        let silent = raw(&world, &identity, all.clone(), None);
        assert_eq!(verify(&world, &silent, world.now).unwrap().purpose(), Purpose::Any);
        for strange in [vec![], vec![0xee], vec![1, 1]] {
            let strange = raw(&world, &identity, all.clone(), Some(strange));
            assert_eq!(verify(&world, &strange, world.now).unwrap_err(), Refused::Invalid);
        }
    }
}

#[test]
fn its_lifetime_counts_at_the_given_time() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let new = world.key_package(&identity, Purpose::Any).key_package;
        let (begin, end) = (world.now.before(DAY), world.now.after(DAY * 80));
        let second = std::time::Duration::from_secs(1);
        assert!(verify(&world, &new, end.before(second)).is_ok());
        assert_eq!(verify(&world, &new, end).unwrap_err(), Refused::Expired);
        assert!(verify(&world, &new, begin).is_ok());
        assert_eq!(verify(&world, &new, begin.before(second)).unwrap_err(), Refused::NotYetValid);

        let longest = world.now.before(DAY).as_secs() + MAX_LIFETIME_SECS;
        for (end, expected) in
            [(longest, None), (longest + 1, Some(Refused::Lifetime)), (u64::MAX, Some(Refused::Lifetime))]
        {
            let new = NewKeyPackage::create(&identity, Purpose::Any, begin, Timestamp::from_secs(end)).unwrap();
            assert_eq!(verify(&world, &new.key_package, world.now).err(), expected);
        }
        // Backwards in time.
        let new = NewKeyPackage::create(&identity, Purpose::Any, end, begin).unwrap();
        assert_eq!(verify(&world, &new.key_package, world.now).unwrap_err(), Refused::Expired);
    }
}

#[test]
fn another_users_and_another_suites_are_refused() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let cathy = "mimi://b.example/u/cathy".parse().unwrap();
        let identity = world.client(&cathy);
        let new = world.key_package(&identity, Purpose::Any).key_package;
        assert_eq!(verify(&world, &new, world.now).unwrap_err(), Refused::WrongUser);
        let other = CipherSuite::ALL.into_iter().find(|other| *other != suite).unwrap();
        let refused = UnverifiedKeyPackage::new(new).verify(&cathy, other, &world.trust, world.now).unwrap_err();
        assert_eq!(refused, Refused::Suite);
    }
}

#[test]
fn a_changed_bit_is_noticed_wherever_it_is() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let new = world.key_package(&identity, Purpose::Any).key_package;
        let whole = new.as_bytes();
        // The last octet belongs to the KeyPackage's own signature; the one of the leaf lies before the extensions.
        let signature = KeyPackage::decode(&flipped(whole, 0)).unwrap();
        assert_eq!(verify(&world, &signature, world.now).unwrap_err(), Refused::Invalid);
        let mut decoded = 0;
        for at in (0..whole.len()).step_by(7) {
            // Whatever the scanner lets through, verification stops.
            let Ok(changed) = KeyPackage::decode(&flipped(whole, at)) else { continue };
            decoded += 1;
            assert!(verify(&world, &changed, world.now).is_err(), "{at} from the end");
        }
        assert!(decoded > 50);
    }
}

#[test]
fn octets_after_it_and_octets_that_are_missing_are_refused_in_decoding() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let new = world.key_package(&identity, Purpose::Any).key_package;
        let mut longer = new.as_bytes().to_vec();
        longer.push(0);
        assert_eq!(KeyPackage::decode(&longer).unwrap_err(), DecodeError::Trailing(1));
        assert!(KeyPackage::decode(&longer[..longer.len() - 2]).is_err());
    }
}

#[test]
fn a_credential_has_to_hold_at_the_given_time() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let key = SigningKey::generate(suite.signature_scheme(), &mut world.entropy).unwrap();
        let client = ClientUri::pseudonym(&domain("b.example"), world.entropy.bits128());
        let validity = Validity { not_before: world.now.before(DAY), not_after: world.now.after(DAY * 2) };
        let serial = world.entropy.bits128();
        let public = mimi_pseudonym::Signer::public_key(&key).clone();
        let chain = world.b.issue_leaf(&bob(), &client, &public, serial, validity).unwrap();
        let identity = Identity::new(suite, key, chain, &world.trust, world.now).unwrap();
        let new = world.key_package(&identity, Purpose::Any).key_package;
        assert!(verify(&world, &new, world.now).is_ok());
        let refused = verify(&world, &new, world.now.after(DAY * 3)).unwrap_err();
        assert_eq!(refused, Refused::Credential(CredentialError::Expired));
    }
}

#[test]
fn a_credential_of_an_unknown_issuer_is_refused() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let new = world.key_package(&identity, Purpose::Any).key_package;
        let unverified = UnverifiedKeyPackage::new(new.clone());
        let refused = unverified.verify(&bob(), suite, &TrustStore::default(), world.now).unwrap_err();
        assert_eq!(refused, Refused::Credential(CredentialError::UntrustedIssuer));
        // The same domain, another issuer.
        let other = issuer("b.example", &mut world.entropy, world.now);
        let trust = TrustStore::default().with_anchor(other.certificate(), [domain("b.example")]).unwrap();
        let refused = UnverifiedKeyPackage::new(new.clone()).verify(&bob(), suite, &trust, world.now).unwrap_err();
        assert_eq!(refused, Refused::Credential(CredentialError::UntrustedIssuer));
        // The same issuer, which does not speak for the domain.
        let trust = TrustStore::default().with_anchor(world.b.certificate(), [domain("c.example")]).unwrap();
        let refused = UnverifiedKeyPackage::new(new).verify(&bob(), suite, &trust, world.now).unwrap_err();
        assert_eq!(refused, Refused::Credential(CredentialError::NotTrustedForDomain));
    }
}

#[test]
fn each_capability_that_a_room_needs_has_to_be_there() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let x509 = Some([CredentialType::X509].as_slice());
        let no_dictionary = Capabilities::new(None, None, None, Some(&[ProposalType::AppDataUpdate]), x509);
        let no_update = Capabilities::new(None, None, Some(&[ExtensionType::AppDataDictionary]), None, x509);
        for lacking in [no_dictionary, no_update] {
            let key_package = raw(&world, &identity, lacking, None);
            assert_eq!(verify(&world, &key_package, world.now).unwrap_err(), Refused::Capabilities);
        }
    }
}

#[test]
fn a_swollen_leaf_is_refused() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let identity = world.client(&bob());
        let provider = OpenMlsRustCrypto::default();
        for (size, expected) in [(2_000, None), (4_096, Some(Refused::TooLarge))] {
            let swollen = Extension::Unknown(0xff01, UnknownExtension(vec![7; size]));
            let made = openmls::prelude::KeyPackage::builder()
                .leaf_node_capabilities(common::rogue::capabilities())
                .leaf_node_extensions(Extensions::from_vec(vec![swollen]).unwrap())
                .key_package_lifetime(Lifetime::new(86_400))
                .build(ciphersuite(suite), &provider, &Key(&identity), credential(&identity))
                .unwrap();
            let key_package = KeyPackage::decode(&octets(made.key_package())).unwrap();
            assert_eq!(verify(&world, &key_package, world.now).err(), expected);
        }
    }
}

#[test]
fn one_for_initial_connections_is_refused_in_an_ordinary_room_by_the_client_that_would_add_it() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice.clone()).unwrap();
        let (mut room, _) = mimi_mls::Room::create(identity, state, &world.hub, world.now).unwrap();
        let identity = world.client(&bob());
        let new = world.key_package(&identity, Purpose::InitialOnly);
        let wanted = Wanted {
            updates: vec![common::add_participant(room.state(), &bob(), RoomState::PARTICIPANT)],
            add: vec![world.verify(&new, &bob())],
            remove: vec![],
        };
        let before = room.save();
        assert_eq!(room.commit(wanted).unwrap_err(), CommitError::NotAllowed(Refusal::InitialOnly));
        assert_eq!(room.save(), before);
    }
}

#[test]
fn one_for_initial_connections_is_refused_in_an_ordinary_room_by_the_hub() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let alice = world.pseudonym("a.example");
        let identity = world.client(&alice);
        let state = RoomState::private(world.room_uri(), alice.clone()).unwrap();
        let mut rogue = Rogue::found(&world, identity, &state);
        let mut hub = rogue.hub(&world, state.room());
        let identity = world.client(&bob());
        let new = world.key_package(&identity, Purpose::InitialOnly);
        let updates = vec![common::add_participant(&state, &bob(), RoomState::PARTICIPANT)];
        let wild = Wild { add: vec![new.key_package], ..Wild::updates(&state, updates) };
        let bundle = rogue.commit(wild);
        let refused = hub.accept(&bundle, &domain("a.example"), false, &world.trust, world.now).unwrap_err();
        assert_eq!(refused, CommitRefusal::NotAllowed(Refusal::InitialOnly));
        assert_eq!((hub.epoch(), hub.clients().len(), hub.state()), (0, 1, &state));
    }
}

#[test]
fn one_client_uri_is_added_once_even_with_two_keys() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        let (mut room, _) = alice_alone(&mut world);
        let alice = room.identity().user().clone();
        let client = ClientUri::pseudonym(&domain("a.example"), world.entropy.bits128());
        let two = [0, 1].map(|_| {
            let key = SigningKey::generate(suite.signature_scheme(), &mut world.entropy).unwrap();
            let validity = Validity { not_before: world.now.before(DAY), not_after: world.now.after(DAY * 90) };
            let public = mimi_pseudonym::Signer::public_key(&key).clone();
            let serial = world.entropy.bits128();
            let chain = world.a.issue_leaf(&alice, &client, &public, serial, validity).unwrap();
            let identity = Identity::new(suite, key, chain, &world.trust, world.now).unwrap();
            world.verify(&world.key_package(&identity, Purpose::Any), &alice)
        });
        let before = room.save();
        let refused = room.commit(Wanted { add: two.to_vec(), ..Wanted::default() }).unwrap_err();
        assert_eq!(refused, CommitError::NotAllowed(Refusal::ClientTwice));
        assert_eq!(room.save(), before);
    }
}
