//! A request whose answer was lost is sent again: it gets the same answer, and is not done twice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use http::Method;
use mimi_credential::CertificateChain;
use mimi_mls::{Identity, NewKeyPackage};
use mimi_provider::OsEntropy;
use mimi_pseudonym::{DisclosureFormat, Signer, SigningKey, UserUri};
use mimi_room::KeyPackagePurpose;
use mimi_wire::{
    ClientMaterial, Credential, KeyMaterialRequest, KeyMaterialRequestTbs, KeyMaterialResponse, KeyMaterialUserCode,
    KeyPackage, Problem, RequiredCapabilities, UnverifiedKeyMaterialRequest, Wire,
    directory::percent_encode,
    local::{self, *},
};
use support::{SUITE, Shown, World, problem};

const DAY: Duration = Duration::from_secs(86_400);

/// Sends a request twice; nothing changes the second time. Returns both answers.
async fn twice<R: Wire>(world: &World, shown: Shown<'_>, path: &str, body: &impl Wire) -> [R; 2] {
    let first = world.post(shown, path, body).await.unwrap();
    let before = world.dump();
    let second = world.post(shown, path, body).await.unwrap();
    assert_eq!(world.dump(), before, "{path}");
    [first, second]
}

fn device(token: &DeviceToken) -> Shown<'_> {
    Shown { token: Some(token), ..Shown::default() }
}

async fn identity(world: &World, shown: Shown<'_>, subject: &UserUri) -> Identity {
    let key = SigningKey::generate(SUITE.signature_scheme(), &mut OsEntropy).unwrap();
    let (subject, public_key) = (subject.clone(), key.public_key().clone());
    let tbs = CredentialItemTbs {
        subject,
        cipher_suite: SUITE,
        public_key,
        disclose: vec![],
        format: DisclosureFormat::X509,
    };
    let request = CredentialsRequest { items: vec![CredentialItem::sign(tbs, &key).unwrap().into()] };
    let [issued, again] = twice::<CredentialsResponse>(world, shown, local::CREDENTIALS_PATH, &request).await;
    assert_eq!(issued.items[0].client, again.items[0].client, "the same client, with a new certificate");
    let chain = CertificateChain::try_from(issued.items[0].leaf.clone()).unwrap();
    Identity::new(SUITE, key, chain, &world.trust, world.now).unwrap()
}

/// Stores KeyPackages of a device.
async fn stock(world: &World, shown: Shown<'_>, identity: &Identity, purpose: KeyPackagePurpose, count: usize) {
    let (not_before, not_after) = (world.now.before(DAY), world.now.after(DAY * 80));
    let fresh = || NewKeyPackage::create(identity, purpose, not_before, not_after).unwrap().key_package;
    let upload =
        UploadKeyPackages { owner: identity.user().clone(), key_packages: (0..count).map(|_| fresh()).collect() };
    let [first, again] = twice::<UploadResponse>(world, shown, local::KEY_PACKAGES_PATH, &upload).await;
    assert_eq!((first.accepted as usize, again.accepted as usize), (count, count));
}

fn given(response: KeyMaterialResponse) -> Vec<KeyPackage> {
    let given = response.into_clients().into_iter().filter_map(|client| match client.material {
        ClientMaterial::KeyPackage(key_package) => Some(key_package),
        _ => None,
    });
    given.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_are_given_once_for_one_key() {
    let world = World::start("repeat-pseudonyms").await;
    let alice = world.register("alice").await;
    let code = AddDeviceRequest { enrolment_code: alice.enrolment_code, device_name: "tablet".into() };
    let tablet: RegisterResponse = world.post(Shown::default(), local::DEVICE_PATH, &code).await.unwrap();
    let shown = Shown { key: Some("\"7\""), ..device(&alice.device_token) };
    let wanted = PseudonymsRequest { count: 8 };
    let [first, again] = twice::<PseudonymsResponse>(&world, shown, local::PSEUDONYMS_PATH, &wanted).await;
    assert_eq!(first, again);
    let inbox = format!("{}?after=0&wait=0", local::INBOX_PATH);
    let (_, events) = world.send(device(&tablet.device_token), Method::GET, &inbox, vec![]).await;
    assert_eq!(InboxResponse::decode(&events).unwrap().events.len(), 1, "the other device hears of it once");
    // Another key, no key, another device: other requests.
    let mut seen = first.pseudonyms;
    for other in [
        Shown { key: Some("\"8\""), ..shown },
        Shown { key: None, ..shown },
        Shown { key: None, ..shown },
        Shown { key: Some("\"7\""), ..device(&tablet.device_token) },
    ] {
        let more: PseudonymsResponse = world.post(other, local::PSEUDONYMS_PATH, &wanted).await.unwrap();
        assert!(more.pseudonyms.iter().all(|one| !seen.contains(one)));
        seen.extend(more.pseudonyms);
    }
    let key = "x".repeat(129);
    let too_long = Shown { key: Some(&key), ..shown };
    let refused = world.post::<PseudonymsResponse>(too_long, local::PSEUDONYMS_PATH, &wanted).await;
    assert_eq!(refused, Err(Problem::Malformed));
}

#[tokio::test(flavor = "multi_thread")]
async fn own_key_packages_are_claimed_once_for_one_key() {
    let world = World::start("repeat-claim-own").await;
    let alice = world.register("alice").await;
    let shown = Shown { key: Some("\"1\""), ..device(&alice.device_token) };
    let pseudonyms: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await.unwrap();
    let user = pseudonyms.pseudonyms[0].clone();
    let identity = identity(&world, shown, &user).await;
    stock(&world, shown, &identity, KeyPackagePurpose::Any, 2).await;
    let claim = ClaimOwnRequest { user, cipher_suite_codes: vec![SUITE.code()], exclude: None };
    let [first, again] = twice::<KeyMaterialResponse>(&world, shown, local::CLAIM_OWN_PATH, &claim).await;
    assert_eq!((first.status(), &first), (KeyMaterialUserCode::Success, &again));
    let other = Shown { key: Some("\"2\""), ..shown };
    let second: KeyMaterialResponse = world.post(other, local::CLAIM_OWN_PATH, &claim).await.unwrap();
    assert!(given(second).iter().all(|one| !given(first.clone()).contains(one)), "each for one request");
    let third: KeyMaterialResponse =
        world.post(Shown { key: None, ..shown }, local::CLAIM_OWN_PATH, &claim).await.unwrap();
    assert!(given(third).is_empty(), "nothing is left");
    let again: KeyMaterialResponse = world.post(shown, local::CLAIM_OWN_PATH, &claim).await.unwrap();
    assert_eq!(again, first, "but what was claimed is there for who claimed it");
}

/// A request for Alice's KeyPackages by a user of b.example.
fn key_material(world: &World, requesting: &str) -> UnverifiedKeyMaterialRequest {
    let user: UserUri = requesting.parse().unwrap();
    let (key, chain) = world.client_b(&user);
    let tbs = KeyMaterialRequestTbs {
        requesting_user: user,
        target_user: "mimi://a.example/u/alice".parse().unwrap(),
        room: None,
        acceptable_cipher_suites: vec![SUITE.code()],
        required_capabilities: RequiredCapabilities::new(vec![], vec![], vec![]),
        requester_signature_key: key.public_key().as_bytes().to_vec(),
        requester_credential: Credential::x509(chain.certificates().to_vec()),
    };
    KeyMaterialRequest::sign(tbs, &key).unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_gets_the_same_key_packages_again() {
    let world = World::start("repeat-key-material").await;
    let alice = world.register("alice").await;
    let shown = device(&alice.device_token);
    let identity = identity(&world, shown, &alice.user).await;
    stock(&world, shown, &identity, KeyPackagePurpose::InitialOnly, 3).await;
    let at = format!("/mimi/v1/keyMaterial/{}", percent_encode(alice.user.as_str()));
    let (bob, cathy) = ("mimi://b.example/u/bob", "mimi://b.example/u/cathy");
    let request = key_material(&world, bob);
    let [first, again] = twice::<KeyMaterialResponse>(&world, world.peer_b(), &at, &request).await;
    assert_eq!((first.status(), &first), (KeyMaterialUserCode::Success, &again));
    let other: KeyMaterialResponse = world.post(world.peer_b(), &at, &key_material(&world, cathy)).await.unwrap();
    assert_ne!(given(other), given(first.clone()), "another request gets others");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_with_a_secret_can_be_finished_after_its_answer_was_lost() {
    let world = World::start("repeat-enrolment").await;
    let request = |handle: &str| RegisterAccountRequest {
        handle: handle.into(),
        display_name: "Alice".into(),
        email: "alice@a.example".into(),
        device_name: "telephone".into(),
    };
    let [one, two] = ["1a".repeat(32), "2b".repeat(32)];
    let with = |key| Shown { key: Some(key), ..Shown::default() };
    let [first, again] = twice::<RegisterResponse>(&world, with(&one), local::REGISTER_PATH, &request("alice")).await;
    assert_eq!(first, again);
    let code = AddDeviceRequest { enrolment_code: first.enrolment_code.clone(), device_name: "tablet".into() };
    let [second, again] = twice::<RegisterResponse>(&world, with(&two), local::DEVICE_PATH, &code).await;
    assert_eq!(second, again);
    assert_eq!(second.user, first.user);
    assert_ne!(second.client, first.client);
    let before = world.dump();
    let refused = |problem| Err::<RegisterResponse, _>(problem);
    let taken = world.post(with(&two), local::REGISTER_PATH, &request("alice")).await;
    assert_eq!(taken, Ok(second), "the account is this device's own");
    let taken = world.post(Shown::default(), local::REGISTER_PATH, &request("alice")).await;
    assert_eq!(taken, refused(Problem::Forbidden), "the name is someone else's");
    let other = world.post(with(&one), local::REGISTER_PATH, &request("bob")).await;
    assert_eq!(other, refused(Problem::Forbidden), "the secret is another account's");
    let used = world.post(Shown::default(), local::DEVICE_PATH, &code).await;
    assert_eq!(used, refused(Problem::Unauthorized), "the code is used up");
    for bad in ["", "1a", "zz", "\"17\""] {
        let refused = world.post::<RegisterResponse>(with(bad), local::REGISTER_PATH, &request("bob")).await;
        assert_eq!(refused, Err(Problem::Malformed), "{bad}");
    }
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_destroyed_twice_is_unknown_and_nothing_else() {
    let world = World::start("repeat-destroy").await;
    let alice = world.register("alice").await;
    let room = format!("{}/{}", local::ROOMS_PATH, percent_encode("mimi://a.example/r/gone"));
    let before = world.dump();
    let (status, body) = world.send(device(&alice.device_token), Method::DELETE, &room, vec![]).await;
    assert_eq!(problem(status, &body), Problem::UnknownRoom, "which a device takes for an answer it has missed");
    assert_eq!(world.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_that_is_sent_many_times_at_once_has_one_answer() {
    let world = World::start("at-once").await;
    let world = &world;
    let shown = |key| Shown { key: Some(key), ..Shown::default() };
    let (first, second) = ("01".repeat(32), "02".repeat(32));
    let four = || async {
        tokio::join!(
            world.register_at(shown(&first), "alice"),
            world.register_at(shown(&first), "alice"),
            world.register_at(shown(&first), "alice"),
            world.register_at(shown(&first), "alice"),
        )
    };
    let registered: RegisterResponse = four().await.0;
    let again = four().await;
    for other in [&again.0, &again.1, &again.2, &again.3] {
        assert_eq!(other.client, registered.client);
    }
    let code = registered.enrolment_code;
    let request = AddDeviceRequest { enrolment_code: code, device_name: "computer".into() };
    let add = || world.post::<RegisterResponse>(shown(&second), local::DEVICE_PATH, &request);
    let added = tokio::join!(add(), add(), add(), add());
    for other in [&added.1, &added.2, &added.3] {
        assert_eq!(other.as_ref().unwrap().client, added.0.as_ref().unwrap().client);
    }
}
