//! Three formats, six obligations, each one met and each one broken, in both suites.

use std::time::Duration;

use coset_sd_cwt::{SigningFailed, TimeError, VerifyError as Cwt};
use mimi_credential::{CredentialError, Issuer, TrustStore};
use mimi_disclosure::{
    ClaimFault, Disclosure, DisclosurePolicy, Holding, IdentityCredential, KEY_BINDING_MAX_AGE, Obligation,
    PolicyBreach, PresentError, PresentationError, SD_CWT, SD_JWT, Selection, UnverifiedPresentation, VerifyError,
    issue_sd_cwt, issue_sd_jwt,
    sd_jwt::{self, ClaimError, JwtError, KeyBindingError, Object, SdJwtError},
};
use mimi_pseudonym::{
    CipherSuite, ClaimName, Claims, ClientUri, Content, PublicKey, SeededEntropy, SignError, SignatureScheme, Signer,
    UserUri,
};

use crate::world::{ALICE, DAY, World, alice, claims, days, domain, issuer, key};

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Format {
    X509,
    SdJwt,
    SdCwt,
}

pub const FORMATS: [Format; 3] = [Format::X509, Format::SdJwt, Format::SdCwt];
pub const TOKENS: [Format; 2] = [Format::SdJwt, Format::SdCwt];

/// The key of the authority of [`issuer`], which signs tokens too.
pub fn issuer_key(seed: u8) -> mimi_pseudonym::SigningKey {
    key(SignatureScheme::EcdsaP256Sha256, seed)
}

pub fn token(format: Format, seed: u8, claims: &Claims, holder: &PublicKey, until: u32) -> Vec<u8> {
    let issue = if format == Format::SdJwt { issue_sd_jwt } else { issue_sd_cwt };
    let mut entropy = SeededEntropy::new([seed; 32]);
    issue(&issuer_key(seed), &domain("a.example"), claims, holder, days(0, until), &mut entropy).unwrap()
}

pub fn hold(format: Format, token: &[u8], world: &World, trust: &TrustStore, key: &PublicKey) -> IdentityCredential {
    let domain = domain("a.example");
    let holding = Holding { domain: &domain, key, trust, now: world.now };
    match format {
        Format::SdJwt => IdentityCredential::sd_jwt(token, &holding).unwrap(),
        _ => IdentityCredential::sd_cwt(token, &holding).unwrap(),
    }
}

/// A credential of the authority with this seed, for this key.
fn credential(
    format: Format,
    world: &World,
    authority: (&Issuer, u8),
    holder: &PublicKey,
    until: u32,
) -> IdentityCredential {
    let (issuer, seed) = authority;
    if format == Format::X509 {
        return IdentityCredential::x509(issuer.issue_identity(&alice(), holder, [4; 16], days(0, until)).unwrap());
    }
    let trust = TrustStore::default().with_anchor(issuer.certificate(), [domain("a.example")]).unwrap();
    hold(format, &token(format, seed, &alice(), holder, until), world, &trust, holder)
}

fn present(world: &World, credential: &IdentityCredential) -> Content {
    credential.present(&world.selection(), &world.context(), &world.signer, world.now).unwrap()
}

fn good(format: Format, world: &World) -> Content {
    present(world, &credential(format, world, (&world.issuer, 1), &world.context_key, 200))
}

fn verify(world: &World, content: &Content) -> Result<Disclosure, VerifyError> {
    let presentation = UnverifiedPresentation::try_from(content).unwrap();
    presentation.verify(&world.context(), &world.policy, &world.trust, world.now)
}

/// Another leaf of the same provider, in place of the world's.
fn other_member(world: &mut World) {
    let other = key(world.context_key.scheme(), 25);
    let user = UserUri::pseudonym(&domain("a.example"), [71; 16]);
    let client = ClientUri::pseudonym(&domain("a.example"), [81; 16]);
    world.context_key = other.public_key().clone();
    world.leaf = world.issuer.issue_leaf(&user, &client, other.public_key(), [3; 16], days(0, 200)).unwrap();
    world.sender = (user, client);
}

/// Breaks one obligation: gives what is sent, in the world in which it is verified.
type Break = fn(Format, &mut World) -> Content;

fn jwt(error: KeyBindingError) -> VerifyError {
    VerifyError::SdJwt(SdJwtError::KeyBinding(error))
}

fn table() -> Vec<(Obligation, Break, [VerifyError; 3])> {
    let forbidden = VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::DisplayName));
    vec![
        (
            Obligation::Policy,
            |format, world| {
                world.policy = DisclosurePolicy::new([ClaimName::UserUri], [], []).unwrap();
                good(format, world)
            },
            [forbidden; 3],
        ),
        (
            Obligation::Issuer,
            |format, world| {
                // Of a stranger; for X.509 with the leaf too, or the sender would not present it.
                let stranger = issuer("a.example", 20);
                let credential = credential(format, world, (&stranger, 20), &world.context_key, 200);
                if format == Format::X509 {
                    let theirs = stranger_leaf(&stranger, world);
                    let own = std::mem::replace(&mut world.leaf, theirs);
                    let content = present(world, &credential);
                    world.leaf = own;
                    return content;
                }
                present(world, &credential)
            },
            [
                VerifyError::Identity(CredentialError::UntrustedIssuer),
                VerifyError::SdJwt(SdJwtError::Jwt(JwtError::Signature)),
                VerifyError::SdCwt(Cwt::IssuerSignature),
            ],
        ),
        (
            Obligation::Key,
            |format, world| {
                // With the same nonce, which no other leaf has: so it is the key that is looked at.
                let content = good(format, world);
                other_member(world);
                content
            },
            [VerifyError::Identity(CredentialError::WrongKey), VerifyError::WrongKey, VerifyError::WrongKey],
        ),
        (
            Obligation::Validity,
            |format, world| {
                let credential = credential(format, world, (&world.issuer, 1), &world.context_key, 101);
                let content = present(world, &credential);
                world.now = world.now.after(DAY * 2);
                content
            },
            [
                VerifyError::Identity(CredentialError::Expired),
                VerifyError::SdJwt(SdJwtError::Claim(ClaimError::Expired)),
                VerifyError::SdCwt(Cwt::Time(TimeError::CredentialExpired)),
            ],
        ),
        (
            Obligation::KeyBinding,
            |format, world| {
                let mut content = good(format, world);
                if format == Format::X509 {
                    let (user, client) = &world.sender;
                    let other = key(world.context_key.scheme(), 28);
                    world.leaf =
                        world.issuer.issue_leaf(user, client, other.public_key(), [3; 16], days(0, 200)).unwrap();
                    return content;
                }
                // Inside the signature of the holder, which ends both of them.
                let at = content.body.len() - 40;
                content.body[at] = if content.body[at] == b'A' { b'B' } else { b'A' };
                content
            },
            [
                VerifyError::Leaf(CredentialError::WrongKey),
                jwt(KeyBindingError::Jwt(JwtError::Signature)),
                VerifyError::SdCwt(Cwt::HolderSignature),
            ],
        ),
        (
            Obligation::Audience,
            |format, world| {
                let content = good(format, world);
                if format == Format::X509 {
                    // What names the sender is the leaf's certificate; the room is in the message's signature.
                    world.sender.0 = UserUri::pseudonym(&domain("a.example"), [29; 16]);
                    return content;
                }
                world.room = "mimi://hub.example/r/elsewhere".parse().unwrap();
                content
            },
            [VerifyError::OtherSender, jwt(KeyBindingError::Audience), VerifyError::SdCwt(Cwt::BindingAudience)],
        ),
    ]
}

fn stranger_leaf(stranger: &Issuer, world: &World) -> mimi_credential::CertificateChain {
    let (user, client) = &world.sender;
    stranger.issue_leaf(user, client, &world.context_key, [3; 16], days(0, 200)).unwrap()
}

#[test]
fn every_obligation_is_held_in_every_format_and_suite() {
    for suite in CipherSuite::ALL {
        for (at, format) in FORMATS.into_iter().enumerate() {
            let world = World::new(suite);
            let disclosure = verify(&world, &good(format, &world)).unwrap();
            assert_eq!(*disclosure.claims(), alice(), "{format:?}");
            assert_eq!(disclosure.user().unwrap().as_str(), ALICE);
            assert_eq!(*disclosure.issuer_domain(), domain("a.example"));
            let mut seen = Vec::new();
            for (obligation, change, expected) in table() {
                let mut world = World::new(suite);
                let content = change(format, &mut world);
                let error = verify(&world, &content).unwrap_err();
                assert_eq!(error, expected[at], "{format:?}, {suite:?}, {obligation:?}");
                assert_eq!(error.obligation(), obligation, "{error:?}");
                assert!(!error.to_string().to_lowercase().contains("alice"));
                assert!(!seen.contains(&error), "every broken obligation has an error of its own");
                seen.push(error);
            }
        }
    }
}

#[test]
fn a_copy_is_refused_in_another_room_another_epoch_and_from_another_member() {
    for suite in CipherSuite::ALL {
        for format in TOKENS {
            let copied = good(format, &World::new(suite));
            let is_jwt = format == Format::SdJwt;

            let mut world = World::new(suite);
            world.room = "mimi://hub.example/r/elsewhere".parse().unwrap();
            let audience =
                if is_jwt { jwt(KeyBindingError::Audience) } else { VerifyError::SdCwt(Cwt::BindingAudience) };
            assert_eq!(verify(&world, &copied), Err(audience));

            let nonce = if is_jwt { jwt(KeyBindingError::Nonce) } else { VerifyError::SdCwt(Cwt::Nonce) };
            let mut world = World::new(suite);
            world.nonce = [10; 32];
            assert_eq!(verify(&world, &copied), Err(nonce));

            // Another leaf has another nonce too; either is enough.
            other_member(&mut world);
            assert_eq!(verify(&world, &copied), Err(if is_jwt { VerifyError::WrongKey } else { nonce }));
            world.nonce = [9; 32];
            assert_eq!(verify(&world, &copied), Err(VerifyError::WrongKey));
        }
        // A certificate is no secret: what stands against a copy of it is the key of the message.
        let copied = good(Format::X509, &World::new(suite));
        let mut world = World::new(suite);
        other_member(&mut world);
        assert_eq!(verify(&world, &copied), Err(VerifyError::Identity(CredentialError::WrongKey)));
    }
}

#[test]
fn exactly_the_selected_claims_are_disclosed() {
    let all = claims(&[
        (ClaimName::UserUri, ALICE),
        (ClaimName::Handle, "im:alice@a.example"),
        (ClaimName::DisplayName, "Alice Smith"),
        (ClaimName::Email, "alice@mail.example"),
        (ClaimName::AgeOver18, ClaimName::TRUE),
    ]);
    for suite in CipherSuite::ALL {
        for format in TOKENS {
            let mut world = World::new(suite);
            world.policy = DisclosurePolicy::open();
            let token = token(format, 1, &all, &world.context_key, 200);
            let held = hold(format, &token, &world, &world.trust, &world.context_key);
            assert_eq!(held.names().unwrap(), ClaimName::ALL.into());
            for bits in 0..32_u8 {
                let chosen = ClaimName::ALL.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
                let selection = Selection::new(chosen.map(|(_, name)| name), &world.policy).unwrap();
                let content = held.present(&selection, &world.context(), &world.signer, world.now).unwrap();
                assert_eq!(content.media_type, if format == Format::SdJwt { SD_JWT } else { SD_CWT });
                let disclosure = verify(&world, &content).unwrap();
                assert_eq!(disclosure.claims().names().collect::<std::collections::BTreeSet<_>>(), *selection.names());
                assert!(disclosure.claims().iter().all(|(name, value)| all.value(name) == Some(value)));
                assert_eq!(disclosure.user().is_some(), selection.names().contains(&ClaimName::UserUri));
            }
        }
    }
}

#[test]
fn a_room_for_adults_learns_that_and_no_more_than_it_asks_for() {
    let adult = claims(&[(ClaimName::UserUri, ALICE), (ClaimName::AgeOver18, ClaimName::TRUE)]);
    let of_age = DisclosurePolicy::new([ClaimName::AgeOver18], [], [ClaimName::UserUri]).unwrap();
    for suite in CipherSuite::ALL {
        for format in TOKENS {
            let mut world = World::new(suite);
            world.policy = of_age.clone();
            let token = token(format, 1, &adult, &world.context_key, 200);
            let held = hold(format, &token, &world, &world.trust, &world.context_key);
            let selection = Selection::new([ClaimName::AgeOver18], &world.policy).unwrap();
            let content = held.present(&selection, &world.context(), &world.signer, world.now).unwrap();
            let disclosure = verify(&world, &content).unwrap();
            assert_eq!(disclosure.user(), None);
            assert_eq!(disclosure.claims().iter().collect::<Vec<_>>(), [(ClaimName::AgeOver18, "true")]);
        }
        // A certificate shows the account as well, which not every room allows.
        let mut world = World::new(suite);
        world.identity = world.issuer.issue_identity(&adult, &world.context_key, [4; 16], days(0, 200)).unwrap();
        let forbidden = VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::AgeOver18));
        assert_eq!(world.verify(), Err(forbidden));
        world.policy = DisclosurePolicy::new([ClaimName::UserUri, ClaimName::AgeOver18], [], []).unwrap();
        assert_eq!(*world.verify().unwrap().claims(), adult);
        world.policy = of_age.clone();
        assert_eq!(world.verify(), Err(VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::UserUri))));
        // Who does not say it is not let in.
        let missing = VerifyError::Policy(PolicyBreach::Missing(ClaimName::AgeOver18));
        world.identity = World::new(suite).identity;
        world.policy = DisclosurePolicy::new([ClaimName::AgeOver18], ClaimName::ALL.into_iter().take(4), []).unwrap();
        assert_eq!(world.verify(), Err(missing));
    }
}

#[test]
fn what_every_receiver_would_refuse_is_not_presented() {
    for suite in CipherSuite::ALL {
        for format in TOKENS {
            let mut world = World::new(suite);
            let held = credential(format, &world, (&world.issuer, 1), &world.context_key, 200);
            let more = Selection::new([ClaimName::UserUri, ClaimName::Email], &DisclosurePolicy::connection()).unwrap();
            let present = |world: &World, selection: &Selection| {
                held.present(selection, &world.context(), &world.signer, world.now)
            };
            assert_eq!(present(&world, &more), Err(PresentError::Selection));
            world.signer = key(suite.signature_scheme(), 24);
            assert_eq!(present(&world, &world.selection()), Err(PresentError::WrongKey));
            world.context_key = world.signer.public_key().clone();
            assert_eq!(present(&world, &world.selection()), Err(PresentError::WrongKey));
            let mut world = World::new(suite);
            world.sender.0 = UserUri::pseudonym(&domain("b.example"), [7; 16]);
            assert_eq!(present(&world, &world.selection()), Err(PresentError::ForeignDomain));
            let world = World::new(suite);
            let broken = Broken(world.context_key.clone());
            let outcome = held.present(&world.selection(), &world.context(), &broken, world.now);
            let expected = if format == Format::SdJwt {
                PresentError::SdJwt(sd_jwt::PresentError::Sign(SignError))
            } else {
                PresentError::SdCwt(coset_sd_cwt::PresentError::Signing(SigningFailed))
            };
            assert_eq!(outcome, Err(expected));
            let debug = format!("{held:?}").to_lowercase();
            assert!(!debug.contains("alice"), "{debug}");
        }
    }
}

/// A key that cannot be used.
struct Broken(PublicKey);

impl Signer for Broken {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError)
    }
}

#[test]
fn an_sd_cwt_is_not_presented_before_it_was_issued() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    let held = credential(Format::SdCwt, &world, (&world.issuer, 1), &world.context_key, 200);
    let outcome = held.present(&world.selection(), &world.context(), &world.signer, world.now.before(DAY * 101));
    let early = coset_sd_cwt::PresentError::Time(TimeError::BindingIatBeforeCredentialIat);
    assert_eq!(outcome, Err(PresentError::SdCwt(early)));
}

#[test]
fn a_token_of_another_issuer_of_the_domain_is_refused() {
    for suite in CipherSuite::ALL {
        for format in TOKENS {
            let mut world = World::new(suite);
            let second = issuer("a.example", 26);
            let content = present(&world, &credential(format, &world, (&second, 26), &world.context_key, 200));
            world.trust = world.trust.clone().with_anchor(second.certificate(), [domain("a.example")]).unwrap();
            assert_eq!(verify(&world, &content), Err(VerifyError::OtherIssuer));
            assert!(verify(&world, &good(format, &world)).is_ok());
        }
    }
}

#[test]
fn a_key_binding_may_wait_for_a_month() {
    for suite in CipherSuite::ALL {
        for format in TOKENS {
            let mut world = World::new(suite);
            let content = good(format, &world);
            let made = world.now;
            world.now = made.after(KEY_BINDING_MAX_AGE);
            assert!(verify(&world, &content).is_ok());
            world.now = made.after(KEY_BINDING_MAX_AGE).after(Duration::from_secs(301));
            let old = if format == Format::SdJwt { jwt(KeyBindingError::TooOld) } else { VerifyError::KeyBindingAge };
            assert_eq!(verify(&world, &content), Err(old));
            assert_eq!(old.obligation(), Obligation::Audience);
            world.now = made.before(Duration::from_secs(301));
            let early = if format == Format::SdJwt {
                jwt(KeyBindingError::InFuture)
            } else {
                VerifyError::SdCwt(Cwt::Time(TimeError::BindingFromFuture))
            };
            assert_eq!(verify(&world, &content), Err(early));
        }
    }
}

/// An SD-JWT with other claims than ours, presented with all of them.
fn foreign(world: &World, claims: Object, pointers: &[&str]) -> Content {
    let signer = issuer_key(1);
    let token = sd_jwt::Issuer::new(&signer, "sd-jwt")
        .issue(&claims, &world.context_key, &mut SeededEntropy::new([1; 32]))
        .unwrap();
    let issuers =
        [sd_jwt::TrustedIssuer::dangerous_any_name(vec![sd_jwt::IssuerKey::new(signer.public_key()).unwrap()])];
    let expected = sd_jwt::TokenExpectations {
        issuers: &issuers,
        token_type: sd_jwt::TokenType::AnySdJwt,
        required_claims: &[],
        now: world.now,
        leeway: Duration::ZERO,
    };
    let token = sd_jwt::UnverifiedSdJwt::parse(token.as_bytes(), &sd_jwt::Limits::default()).unwrap();
    let held = sd_jwt::HeldSdJwt::new(token, &expected, &world.context_key).unwrap();
    // The nonce of the world in base64url.
    let nonce = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk";
    let body = held.present(pointers, world.room.as_str(), nonce, world.now, &world.signer).unwrap();
    Content { media_type: SD_JWT.into(), body: body.into_bytes() }
}

#[test]
fn whatever_no_policy_can_name_is_refused() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        let base = || {
            let exp = world.now.after(DAY).as_secs() as i64;
            Object::new().plain("iss", "mimi://a.example").plain("exp", exp).hidden("sub", ALICE)
        };
        let unmapped = Err(VerifyError::Claims(ClaimFault::Unmapped));
        let name_of = |value: sd_jwt::Value| base().hidden("name", value);
        let nested = Object::new().hidden("family_name", "Smith");
        let mail = Err(VerifyError::Claims(ClaimFault::Malformed(ClaimName::DisplayName)));
        let age = Err(VerifyError::Claims(ClaimFault::Malformed(ClaimName::AgeOver18)));
        let cases = [
            (base(), vec!["/sub"], Ok(())),
            (base().plain("vct", "https://a.example/identity").plain("jti", "1"), vec!["/sub"], Ok(())),
            (base().plain("family_name", "Smith"), vec!["/sub"], unmapped),
            (base().hidden("address", "Main Street"), vec!["/sub"], Ok(())),
            (base().hidden("address", "Main Street"), vec!["/sub", "/address"], unmapped),
            (base().plain("profile", nested.clone()), vec!["/sub"], unmapped),
            (base().plain("vct", nested.clone()), vec!["/sub"], unmapped),
            (name_of(nested.into()), vec!["/sub", "/name/family_name"], mail),
            (name_of("Alice\n".into()), vec!["/sub", "/name"], mail),
            (base().hidden("age_over_18", false), vec!["/sub", "/age_over_18"], age),
            (base().hidden("age_over_18", "true"), vec!["/sub", "/age_over_18"], age),
            (base().hidden("age_over_18", 1), vec!["/sub", "/age_over_18"], age),
            (base().plain("age_equal_or_over", Object::new().plain("18", true)), vec!["/sub"], unmapped),
        ];
        for (claims, pointers, expected) in cases {
            let outcome = verify(&world, &foreign(&world, claims, &pointers)).map(|_| ());
            assert_eq!(outcome, expected, "{pointers:?}");
        }
        assert_eq!(VerifyError::Claims(ClaimFault::Unmapped).obligation(), Obligation::Policy);

        let exp = world.now.after(DAY).as_secs() as i64;
        let missing = Err(VerifyError::SdJwt(SdJwtError::Claim(ClaimError::Missing)));
        let without_end = Object::new().plain("iss", "mimi://a.example").hidden("sub", ALICE);
        let without_issuer = Object::new().plain("exp", exp).hidden("sub", ALICE);
        for claims in [without_end, without_issuer] {
            assert_eq!(verify(&world, &foreign(&world, claims, &["/sub"])), missing);
        }
        let bob =
            Object::new().plain("iss", "mimi://b.example").plain("exp", exp).hidden("sub", "mimi://b.example/u/bob");
        let outcome = verify(&world, &foreign(&world, bob, &["/sub"]));
        assert_eq!(outcome, Err(VerifyError::SdJwt(SdJwtError::Claim(ClaimError::Issuer))));
        let bob =
            Object::new().plain("iss", "mimi://a.example").plain("exp", exp).hidden("sub", "mimi://b.example/u/bob");
        assert_eq!(verify(&world, &foreign(&world, bob, &["/sub"])), Err(VerifyError::ForeignDomain));
        let pseudonym = UserUri::pseudonym(&domain("a.example"), [1; 16]);
        let hidden = Object::new().plain("iss", "mimi://a.example").plain("exp", exp).hidden("sub", pseudonym.as_str());
        let outcome = verify(&world, &foreign(&world, hidden, &["/sub"]));
        assert_eq!(outcome, Err(VerifyError::Claims(ClaimFault::Pseudonym)));
    }
}

#[test]
fn todays_media_types_and_those_of_the_draft_are_read() {
    let world = World::new(CipherSuite::X25519Aes128Ed25519);
    for (format, types) in [
        (Format::SdJwt, &["application/sd-jwt", "application/sd+jwt", "Application/SD-JWT; x=y"][..]),
        (Format::SdCwt, &["application/sd-cwt", "application/sd+cwt", "application/kb+cwt"]),
    ] {
        for media_type in types {
            let content = Content { media_type: (*media_type).into(), ..good(format, &world) };
            assert!(verify(&world, &content).is_ok(), "{media_type}");
        }
    }
    let read = |media_type: &str, body: &[u8]| {
        UnverifiedPresentation::try_from(&Content { media_type: media_type.into(), body: body.to_vec() })
    };
    let parts = PresentationError::SdJwt(sd_jwt::ParseError::Parts);
    assert_eq!(read(SD_JWT, b"x").unwrap_err(), parts);
    assert_eq!(read("application/sd-jwt+json", b"x").unwrap_err(), PresentationError::MediaType);
    let outcome = verify(&world, &Content { media_type: SD_CWT.into(), body: vec![0xa0] });
    assert!(matches!(outcome, Err(VerifyError::SdCwtForm(coset_sd_cwt::ParseError::Message(_)))), "{outcome:?}");
    // Without a key binding, a token is no presentation.
    let bare = token(Format::SdJwt, 1, &alice(), &world.context_key, 200);
    let outcome = verify(&world, &Content { media_type: SD_JWT.into(), body: bare });
    assert_eq!(outcome, Err(jwt(KeyBindingError::Missing)));
    let bare = token(Format::SdCwt, 1, &alice(), &world.context_key, 200);
    let outcome = verify(&world, &Content { media_type: SD_CWT.into(), body: bare });
    assert!(matches!(outcome, Err(VerifyError::SdCwtForm(_))), "{outcome:?}");
    for format in TOKENS {
        let presentation = UnverifiedPresentation::try_from(&good(format, &world)).unwrap();
        let debug = format!("{presentation:?}");
        assert!(debug.len() < 120 && !debug.to_lowercase().contains("alice"), "{debug}");
    }
}
