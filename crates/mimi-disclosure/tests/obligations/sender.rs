//! What a sender learns before anything is sent.

use mimi_credential::{ChainError, CredentialError};
use mimi_disclosure::{Bundle, DisclosurePolicy, IdentityCredential, PresentError, Selection, UnverifiedPresentation};
use mimi_pseudonym::{CipherSuite, ClaimName, Content, MessageContext, Signer};

use crate::world::{World, alice, claims, days, issuer, key};

#[test]
fn a_certificate_shows_exactly_what_was_selected() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        let credential = IdentityCredential::x509(world.identity.clone());
        assert_eq!(credential.names().unwrap(), *world.selection().names());
        assert!(credential.present(&world.selection(), &world.context(), &world.signer, world.now).is_ok());
        for wanted in [
            vec![ClaimName::UserUri],
            vec![ClaimName::UserUri, ClaimName::Email],
            vec![ClaimName::UserUri, ClaimName::DisplayName, ClaimName::Email],
        ] {
            let selection = Selection::new(wanted, &DisclosurePolicy::connection()).unwrap();
            let outcome = credential.present(&selection, &world.context(), &world.signer, world.now);
            assert_eq!(outcome, Err(PresentError::Selection));
        }
    }
}

#[test]
fn what_every_receiver_would_refuse_is_not_presented() {
    for suite in CipherSuite::ALL {
        let mut world = World::new(suite);
        world.signer = key(suite.signature_scheme(), 24);
        assert_eq!(world.present(), Err(PresentError::WrongKey));
        world.context_key = world.signer.public_key().clone();
        assert_eq!(world.present(), Err(PresentError::WrongKey));

        let mut world = World::new(suite);
        let second = issuer("a.example", 26);
        world.identity = second.issue_identity(&alice(), &world.context_key, [4; 16], days(0, 200)).unwrap();
        assert_eq!(world.present(), Err(PresentError::OtherIssuer));

        let mut world = World::new(suite);
        let foreign = issuer("b.example", 27);
        let bob = claims(&[(ClaimName::UserUri, "mimi://b.example/u/bob"), (ClaimName::DisplayName, "Bob")]);
        let (user, client) = world.sender.clone();
        world.identity = foreign.issue_identity(&bob, &world.context_key, [4; 16], days(0, 200)).unwrap();
        assert_eq!(world.present(), Err(PresentError::OtherIssuer));
        // The leaf's certificates replaced by some that name the same issuer: the domains still differ.
        world.leaf = world.identity.clone();
        assert_eq!(world.present(), Err(PresentError::ForeignDomain));

        let mut world = World::new(suite);
        world.identity = vec![b"not DER".to_vec()].try_into().unwrap();
        assert_eq!(world.present(), Err(PresentError::Credential(CredentialError::Malformed)));

        let world = World::new(suite);
        let nonce = *world.context().nonce();
        let room = world.context().room().clone();
        let bare = MessageContext::dangerous_new(room, 7, (user, client), world.context_key.clone(), vec![], nonce);
        let outcome = IdentityCredential::x509(world.identity.clone()).present(
            &world.selection(),
            &bare,
            &world.signer,
            world.now,
        );
        assert_eq!(outcome, Err(PresentError::Leaf(ChainError::Count(0))));
    }
}

#[test]
fn a_presentation_goes_through_a_bundle() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        let reply_to = Some(world.sender.0.clone());
        let bundle =
            Bundle::new(vec![world.present().unwrap()], reply_to.clone(), vec![vec![1; 300]], "Hello").unwrap();
        let received = Bundle::try_from(&Content::from(bundle)).unwrap();
        assert_eq!((received.reply_to(), received.note()), (reply_to.as_ref(), "Hello"));
        assert_eq!(received.key_packages(), [vec![1; 300]]);
        let presentation = UnverifiedPresentation::try_from(&received.presentations()[0]).unwrap();
        let disclosure = presentation.verify(&world.context(), &world.policy, &world.trust, world.now).unwrap();
        assert_eq!(*disclosure.claims(), alice());
    }
}

#[test]
fn debug_of_what_is_held_and_sent_names_no_one() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    let content = world.present().unwrap();
    let presentation = UnverifiedPresentation::try_from(&content).unwrap();
    for debug in [
        format!("{:?}", IdentityCredential::x509(world.identity.clone())),
        format!("{presentation:?}"),
        format!("{content:?}"),
    ] {
        assert!(!debug.to_lowercase().contains("alice"), "{debug}");
        assert!(debug.len() < 120, "{debug}");
    }
}
