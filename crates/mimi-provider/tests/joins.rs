//! Joining by a link, leaving, and knocking, over real TLS: what a hub gives out, to whom, and what it refuses.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use http::Method;
use mimi_abuse::remedy::HomeRemedy;
use mimi_mls::{HpkeKeyPair, Opened, Room, Wanted};
use mimi_provider::{Config, OsEntropy, operate::Operator};
use mimi_pseudonym::{RoomUri, UserUri};
use mimi_room::{
    BaseRoomPolicy, ComponentId, ComponentUpdate, How, ParticipantListUpdate, RichDescription, Role, RoleAssignment,
    RoomMetadata, RoomState,
};
use mimi_wire::{
    FanoutEvent, GroupInfoResponse, Problem, SubmitMessageResponse, UnverifiedGroupInfoResponse, UpdateOutcome,
    UpdateRequest, UpdateRoomResponse, Wire,
    directory::percent_encode,
    local::{self, *},
};
use support::{SUITE, Shown, World, domain, people::*, with_room};

#[tokio::test(flavor = "multi_thread")]
async fn bob_joins_by_a_link_from_another_provider_and_leaves() {
    let world = World::start("joins").await;
    let b = world.run_b().await;
    let (mut alice, mut bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", true).await);
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    let made = alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    assert_eq!((made[0].uses_left, made[0].role), (None, RoomState::PARTICIPANT));
    assert!(!world.dump().iter().any(|row| row.contains(&format!("{CODE:?}"))), "the code itself is not stored");

    let (mut bobs, outcome) = bob.join(&world, &uri, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
    let joined = alice.until(&world, is_commit).await;
    assert!(matches!(open(&mut alices, joined, &world), Opened::Commit { .. }));
    assert!(matches!(alice.say(&world, &mut alices, b"welcome").await, SubmitMessageResponse::Accepted { .. }));
    let heard = bob.until(&world, is_message).await;
    assert!(matches!(open(&mut bobs, heard, &world), Opened::Content { .. }));

    // He leaves: proposals that wait. From then on he may say nothing, and hears nothing.
    let mut proposals = bobs.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
    let leave = UpdateRequest::Proposal { proposal: proposals.next().unwrap(), more: proposals.collect() };
    let outcome = bob.update(&world, &uri, &leave).await;
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })));
    let again = bob.update(&world, &uri, &leave).await;
    assert_eq!(again, outcome, "the same request once more gets the same answer");
    let identity = bob.identity(&world).await;
    assert!(bob.ask(&world, &uri, &identity, None).await.unwrap().is_none(), "nor is he told anything");
    alice.read = 0;
    let proposed = alice.until(&world, |event| matches!(event, FanoutEvent::Proposal { .. })).await;
    let FanoutEvent::Proposal { proposal, more } = proposed else { panic!("no proposal") };
    assert!(matches!(alice.say(&world, &mut alices, b"farewell").await, SubmitMessageResponse::Accepted { .. }));
    // A commit without them is refused.
    let omitting = alices.commit(Wanted::default()).unwrap();
    assert_eq!(
        alice.commit(&world, &uri, omitting).await,
        Ok(UpdateOutcome::InvalidProposal { proposals: Vec::new() })
    );
    alices.commit_refused();
    for proposal in std::iter::once(proposal).chain(more) {
        alices.open(proposal.message(), &world.trust, world.now).unwrap();
    }
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(matches!(alice.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let out = bob.until(&world, is_commit).await;
    assert!(matches!(open(&mut bobs, out, &world), Opened::Removed { .. }));
    bob.read = 0;
    let seen = bob.inbox(&world, false).await;
    assert_eq!(seen.iter().filter(|event| is_message(event)).count(), 1, "no message came after he had left");
    assert!(!alices.state().participants().iter().any(|(user, _)| *user == bob.pseudonym));
    b.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_not_good() {
    let world = World::start("codes").await;
    let (alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (uri, _) = found(&world, &alice, multiuser).await;
    let other = found(&world, &alice, multiuser).await.0;
    let nowhere = RoomUri::pseudonym(&domain("a.example"), [9; 16]);
    alice.links(&world, &uri, create(&CODE, Some(1), Some(3600))).await.unwrap();
    alice.links(&world, &uri, create(&[1; 16], None, None)).await.unwrap();
    alice.links(&world, &other, create(&[2; 16], None, None)).await.unwrap();
    let revoked = JoinLinkOperation::Revoke { code_hash: sha256(&[1; 16]) };
    assert_eq!(alice.links(&world, &uri, revoked).await.unwrap().len(), 1);

    let identity = bob.identity(&world).await;
    let keys = HpkeKeyPair::generate(SUITE, &mut OsEntropy).unwrap();
    let mut answers = Vec::new();
    // Revoked, guessed, of another room, none at all; and no such room.
    for (room, code) in [
        (&uri, Some([1; 16])),
        (&uri, Some([3; 16])),
        (&uri, Some([2; 16])),
        (&uri, None),
        (&nowhere, Some([3; 16])),
        (&nowhere, None),
    ] {
        let request = request(&identity, keys.public_key(), code.as_ref().map(<[u8; 16]>::as_slice));
        let path = with_room(local::GROUP_INFO_PATH, room);
        let (status, body) = world.send(bob.shown(), Method::POST, &path, request.encode()).await;
        let answer = UnverifiedGroupInfoResponse::decode(&body).unwrap().verify(room).unwrap();
        assert_eq!(answer, GroupInfoResponse::NotAuthorized { room: room.clone() });
        answers.push((status, body.len()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the same, whatever the reason");
    // Guessing is slowed down, whether there is such a room or not.
    let mut last = Ok(None);
    for _ in 0..20 {
        last = bob.ask(&world, &nowhere, &identity, Some(&[4; 16])).await.map(|given| given.map(|_| ()));
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(Problem::RateLimited));
    let with_code = bob.ask(&world, &uri, &identity, Some(&CODE)).await;
    assert_eq!(with_code.err(), Some(Problem::RateLimited), "not even with the right one");
    // Somebody else is not concerned, and the code has one use.
    let cathy = Person::new(&world, "cathy", false).await;
    assert!(cathy.join(&world, &uri, Some(&CODE)).await.is_ok_and(|(_, outcome)| outcome.is_ok()));
    let late = Person::new(&world, "late", false).await;
    assert_eq!(late.join(&world, &uri, Some(&CODE)).await.err(), Some("not authorized"), "it is used up");
    assert!(alice.links(&world, &uri, JoinLinkOperation::List).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_race_for_the_last_use_one_gets_in() {
    let world = World::start("race").await;
    let (alice, bob, cathy) = (
        Person::new(&world, "alice", false).await,
        Person::new(&world, "bob", false).await,
        Person::new(&world, "cathy", false).await,
    );
    let (uri, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, Some(1), None)).await.unwrap();
    let (bobs, cathys) = (bob.identity(&world).await, cathy.identity(&world).await);
    // Both were given the GroupInfo, while one use was left.
    let bobs = bob.ask(&world, &uri, &bobs, Some(&CODE)).await.unwrap().unwrap();
    let cathys = cathy.ask(&world, &uri, &cathys, Some(&CODE)).await.unwrap().unwrap();
    let bobs = bobs.join(How::JoinCode, &world.trust, world.now).unwrap().1;
    let cathys = cathys.join(How::JoinCode, &world.trust, world.now).unwrap().1;
    let (one, other) = tokio::join!(bob.commit(&world, &uri, bobs), cathy.commit(&world, &uri, cathys));
    let accepted = |outcome: &Result<UpdateOutcome, Problem>| matches!(outcome, Ok(UpdateOutcome::Accepted { .. }));
    assert!(accepted(&one) != accepted(&other), "{one:?} {other:?}");
    // Whoever was slower tries again in the new epoch, with the visit that it still has, and without.
    let (loser, token) = if accepted(&one) { (&cathy, &CODE) } else { (&bob, &CODE) };
    assert_eq!(loser.join(&world, &uri, Some(token)).await.err(), Some("not authorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_without_having_asked_or_makes_links_without_the_right() {
    let world = World::start("unasked").await;
    let (alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (uri, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let identity = bob.identity(&world).await;
    let preview = bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
    let (_, bundle) = preview.join(How::JoinCode, &world.trust, world.now).unwrap();
    // The device is not the joiner's.
    assert_eq!(alice.commit(&world, &uri, bundle.clone()).await, Err(Problem::ForeignUser));
    // Another provider has nothing to do with it.
    let path = with_room("/mimi/v1/update", &uri);
    let answer = world.post::<UpdateRoomResponse>(world.peer_b(), &path, &commit(bundle.clone())).await;
    assert!(matches!(answer, Ok(UpdateRoomResponse { outcome: UpdateOutcome::NotAllowed, .. })), "{answer:?}");
    assert!(matches!(bob.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    // A participant may not make links, nor see or revoke them; nor may anybody in another's name.
    for operation in
        [create(&[5; 16], None, None), JoinLinkOperation::List, JoinLinkOperation::Revoke { code_hash: sha256(&CODE) }]
    {
        assert_eq!(bob.links(&world, &uri, operation.clone()).await, Err(Problem::Forbidden));
        let request = JoinLinksRequest { participant: alice.pseudonym.clone(), operation };
        let path = with_room(local::JOIN_LINKS_PATH, &uri);
        let forged = world.post::<JoinLinksResponse>(bob.shown(), &path, &request).await;
        assert_eq!(forged.err(), Some(Problem::ForeignUser));
    }
    let nobody =
        JoinLinkOperation::Create { code_hash: [0; 32], role: RoomState::ADMIN, uses: None, lifetime_secs: None };
    assert_eq!(alice.links(&world, &uri, nobody).await, Err(Problem::Forbidden), "links are for one role");
}

#[tokio::test(flavor = "multi_thread")]
async fn knockers_are_heard_by_moderators_alone_and_once() {
    let world = World::start("knock").await;
    let b = world.run_b().await;
    let mut alice = Person::new(&world, "alice", false).await;
    // Two who knock at the same provider, and one at the hub's own.
    let mut bob = Person::new(&world, "bob", true).await;
    let mut cathy = Person::new(&world, "cathy", true).await;
    let mut near = Person::new(&world, "near", false).await;
    let target = RoomUri::pseudonym(&domain("a.example"), [8; 16]);
    let (uri, mut alices) = found(&world, &alice, |room, user| RoomState::knock(room, target, user).unwrap()).await;
    let mut rooms = Vec::new();
    for person in [&bob, &cathy, &near] {
        let (room, outcome) = person.join(&world, &uri, None).await.unwrap();
        assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
        rooms.push(room);
        let joined = alice.until(&world, is_commit).await;
        open(&mut alices, joined, &world);
    }
    // Bob and Cathy go along until they are where Near is.
    for (person, at, others) in [(&mut bob, 0, 2), (&mut cathy, 1, 1)] {
        let mut followed = 0;
        while followed < others {
            for event in person.inbox(&world, true).await {
                if is_commit(&event) && matches!(open(&mut rooms[at], event, &world), Opened::Commit { .. }) {
                    followed += 1;
                }
            }
        }
    }
    for (person, room) in [&bob, &cathy, &near].into_iter().zip(&mut rooms) {
        assert!(matches!(person.say(&world, room, b"let me in").await, SubmitMessageResponse::Accepted { .. }));
        let heard = alice.until(&world, is_message).await;
        assert!(matches!(open(&mut alices, heard, &world), Opened::Content { .. }));
        assert_eq!(person.say(&world, room, b"please").await, SubmitMessageResponse::NotAllowed, "one each");
    }
    for person in [&mut bob, &mut cathy, &mut near] {
        person.read = 0;
        assert!(!person.inbox(&world, false).await.iter().any(is_message), "they do not hear each other");
    }
    b.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_banned_user_does_not_come_back_with_another_client() {
    let world = World::start("banned").await;
    let alice = Person::new(&world, "alice", false).await;
    let bob = Person::new(&world, "bob", false).await;
    let (uri, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    // He has what he needs to join, with two clients; then he is banned.
    let mut ready = Vec::new();
    for _ in 0..2 {
        let identity = bob.identity(&world).await;
        let preview = bob.ask(&world, &uri, &identity, Some(&CODE)).await.unwrap().unwrap();
        ready.push(preview.join(How::JoinCode, &world.trust, world.now).unwrap().1);
    }
    let order = format!(r#"{{"do":"ban","user":"{}","seconds":3600}}"#, bob.pseudonym);
    assert_eq!(world.order(&operator(), &uri, &order).await.0, 204);
    for bundle in ready.drain(..1) {
        assert_eq!(bob.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::NotAllowed));
    }
    assert_eq!(bob.join(&world, &uri, Some(&CODE)).await.err(), Some("not authorized"));
    // As soon as he is not banned any more, the other one is good.
    let order = format!(r#"{{"do":"unban","user":"{}"}}"#, bob.pseudonym);
    assert_eq!(world.order(&operator(), &uri, &order).await.0, 204);
    let outcome = bob.commit(&world, &uri, ready.remove(0)).await;
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moderators_do_and_how_fast_somebody_joins_is_noted() {
    let mut world = World::start("signals").await;
    let table = mimi_abuse::signal::Table::built_in().replace("joins_per_hour = 20", "joins_per_hour = 1");
    std::fs::write(world.folder.join("a.example/signals.toml"), table).unwrap();
    world.configure("[abuse]\nsignals = \"signals.toml\"\n").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let cathy = Person::new(&world, "cathy", false).await;
    let (uri, [mut alices, ..]) = three(&world, &mut alice, &mut bob, &cathy).await;
    let config = Config::load(&world.folder.join("a.example/provider.toml")).unwrap();
    let explained = |who: &UserUri| mimi_provider::explain(&config, who, world.present()).unwrap();
    assert!(explained(&bob.pseudonym).starts_with("nothing: score 0.00\n"));
    // Alice moderates Bob, who may have done nothing; then she bans him. Each counts once, and little.
    let role = async |alices: &mut Room, role: u32| {
        let list = alices.state().participants();
        let place = list.index_of(&bob.pseudonym).unwrap();
        let change = RoleAssignment { index: place, role };
        let list = ParticipantListUpdate { changed: vec![change], ..ParticipantListUpdate::default() };
        let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, list.encode())];
        let out = if role == Role::BANNED { vec![bob.pseudonym.clone()] } else { vec![] };
        let remove = alices.clients().into_iter().filter(|(user, _)| out.contains(user)).map(|(_, client)| client);
        let bundle = alices.commit(Wanted { updates, remove: remove.collect(), ..Wanted::default() }).unwrap();
        let outcome = alice.commit(&world, &uri, bundle).await;
        assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
        alices.commit_accepted(&world.trust, world.now).unwrap();
    };
    role(&mut alices, RoomState::MUTED).await;
    let text = explained(&bob.pseudonym);
    assert!(text.starts_with("nothing: score 0.30\n") && text.contains("+0.30 mute by a.example"), "{text}");
    role(&mut alices, Role::BANNED).await;
    let text = explained(&bob.pseudonym);
    assert!(text.starts_with("nothing: score 0.90\n") && text.contains("+0.60 ban by a.example"), "{text}");
    assert!(explained(&alice.pseudonym).starts_with("nothing: score 0.00\n"));

    // Cathy joins a second room within the hour: that counts against this pseudonym at the hub, and against her account here.
    let (other, _) = found(&world, &alice, multiuser).await;
    alice.links(&world, &other, create(&CODE, None, None)).await.unwrap();
    let (_, outcome) = cathy.join(&world, &other, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
    let text = explained(&cathy.pseudonym);
    assert!(text.starts_with("nothing: score 0.80\n") && text.contains("+0.80 join_rate by a.example"), "{text}");
    let account = explained(&"mimi://a.example/u/cathy".parse().unwrap());
    assert!(account.contains("+0.80 join_rate by a.example"), "{account}");
    let both = |row: &String| row.contains("u/cathy") && row.contains(cathy.pseudonym.as_str());
    assert!(!world.dump().iter().any(both), "nothing stands beside both");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_mutes_kicks_bans_and_destroys() {
    let world = World::start("remedies").await;
    let mut alice = Person::new(&world, "alice", false).await;
    let mut bob = Person::new(&world, "bob", false).await;
    let cathy = Person::new(&world, "cathy", false).await;
    let (uri, [mut alices, mut bobs, mut cathys]) = three(&world, &mut alice, &mut bob, &cathy).await;
    let order = async |what: &str, person: &Person, seconds: &str| {
        let order = format!(r#"{{"do":"{what}","user":"{}"{seconds}}}"#, person.pseudonym);
        world.order(&operator(), &uri, &order).await.0
    };
    let (status, _) = world.order(&bob.token, &uri, r#"{"do":"destroy"}"#).await;
    assert_eq!(status, 401, "nobody else orders anything");
    let accepted = |answer| matches!(answer, SubmitMessageResponse::Accepted { .. });
    assert_eq!(order("mute", &bob, "").await, 204);
    assert!(!accepted(bob.say(&world, &mut bobs, b"hello").await));
    assert!(accepted(cathy.say(&world, &mut cathys, b"hello").await), "others are not concerned");
    assert_eq!(order("unmute", &bob, "").await, 204);
    assert_eq!(order("unmute", &bob, "").await, 404);
    assert!(accepted(bob.say(&world, &mut bobs, b"hello").await));
    assert_eq!(order("mute", &bob, r#","seconds":0"#).await, 204);
    assert!(accepted(bob.say(&world, &mut bobs, b"it has ended by itself").await));
    // A ban removes, and keeps out. The next commit has to contain the removal.
    assert_eq!(order("ban", &bob, "").await, 204);
    assert!(!accepted(bob.say(&world, &mut bobs, b"hello").await));
    let omitting = alices.commit(Wanted::default()).unwrap();
    assert_eq!(
        alice.commit(&world, &uri, omitting).await,
        Ok(UpdateOutcome::InvalidProposal { proposals: Vec::new() })
    );
    alices.commit_refused();
    let proposed = alice.until(&world, |event| matches!(event, FanoutEvent::Proposal { .. })).await;
    open(&mut alices, proposed, &world);
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(matches!(alice.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    assert!(!alices.clients().iter().any(|(user, _)| *user == bob.pseudonym));
    assert_eq!(bob.join(&world, &uri, Some(&CODE)).await.err(), Some("not authorized"));
    assert_eq!(order("unban", &bob, "").await, 204);
    assert!(bob.join(&world, &uri, Some(&CODE)).await.is_ok());
    // Kicked, somebody may come back.
    assert_eq!(order("kick", &cathy, "").await, 204);
    assert!(!accepted(cathy.say(&world, &mut cathys, b"hello").await));
    assert_eq!(order("dance", &cathy, "").await, 400);
    let (status, _) = world.order(&operator(), &uri, r#"{"do":"destroy"}"#).await;
    assert_eq!(status, 204);
    assert_eq!(alice.links(&world, &uri, JoinLinkOperation::List).await, Err(Problem::UnknownRoom));
}

/// A room of Alice's that can be searched for, with its knock room, and the path of its page.
async fn shown(world: &World, alice: &Person) -> (RoomUri, String) {
    let (uri, mut alices) = found(world, alice, |room, user| {
        let description = RichDescription {
            media_type: String::new(),
            language: "en".into(),
            content: b"We read one book a month, and talk about it.".to_vec(),
        };
        let metadata = RoomMetadata {
            name: "The <Book> Club".into(),
            descriptions: vec![description],
            ..RoomMetadata::new(room.clone())
        };
        RoomState::private(room, user).unwrap().with_metadata(metadata)
    })
    .await;
    let path = format!("/r/{}", percent_encode(uri.name()));
    let (status, _) = world.send(Shown::default(), Method::GET, &path, vec![]).await;
    assert_eq!(status, 404, "a room has no page before it can be searched for");
    let base = BaseRoomPolicy { discoverable: true, ..alices.state().base().clone() };
    let updates = vec![ComponentUpdate::update(ComponentId::BASE_ROOM_POLICY, base.encode())];
    let bundle = alices.commit(Wanted { updates, ..Wanted::default() }).unwrap();
    assert!(matches!(alice.commit(world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    (uri, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_room() {
    let world = World::start("page").await;
    let (alice, bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", false).await);
    let (uri, path) = shown(&world, &alice).await;
    let get = async |path: &str| {
        let media_type = "text/html";
        world.exchange(Shown::default(), Method::GET, path, vec![], media_type, "a.example").await
    };
    let (status, headers, body) = get(&path).await;
    let html = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert!(html.contains("<h1>The &lt;Book&gt; Club</h1>") && html.contains("By invitation"), "{html}");
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/html; charset=utf-8"));
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    assert_eq!(header("x-frame-options").as_deref(), Some("DENY"));
    assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
    assert!(header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert_eq!(header("set-cookie"), None);
    // Somebody who keeps no order there makes a knock room for it: the page does not show it. Then one who does.
    let target = uri.clone();
    let (forged, _) = found(&world, &bob, |room, user| RoomState::knock(room, target, user).unwrap()).await;
    assert!(!String::from_utf8(get(&path).await.2).unwrap().contains(forged.as_str()));
    let target = uri.clone();
    let (knock, _) = found(&world, &alice, |room, user| RoomState::knock(room, target, user).unwrap()).await;
    let html = String::from_utf8(get(&path).await.2).unwrap();
    assert!(html.contains(&format!("{}#knock=1.", knock.as_str())) && html.contains("<svg"), "{html}");
    for nothing in ["/r/nothing", "/r/", "/r", "/r/%00", "/r/..%2f"] {
        assert_eq!(get(nothing).await.0, 404, "{nothing}");
    }
    screenshot(&world, &path);
}

/// Looks at a page with headless Chromium, the size of a telephone. Where there is no Chromium, says so, or fails if it has
/// to be there.
fn screenshot(world: &World, path: &str) {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let present = |name: &&&str| std::process::Command::new(name).arg("--version").output().is_ok();
    let Some(browser) = browsers.iter().find(present) else {
        assert!(std::env::var_os("MIMI_REQUIRE_CHROMIUM").is_none(), "there is no Chromium");
        eprintln!("SKIPPED: there is no Chromium to look at the page with");
        return;
    };
    let picture = world.folder.join("page.png");
    let run = |argument: String| {
        let output = std::process::Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .args(["--ignore-certificate-errors", "--window-size=390,844", "--virtual-time-budget=3000"])
            .arg(format!("--user-data-dir={}", world.folder.join("chromium").display()))
            .arg("--host-resolver-rules=MAP a.example 127.0.0.1, MAP * ~NOTFOUND")
            .arg(argument)
            .arg(format!("https://a.example:{}{path}", world.address.port()))
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let dom = run("--dump-dom".into());
    assert!(dom.contains("<h1>The &lt;Book&gt; Club</h1>"), "Chromium shows the page: {dom}");
    run(format!("--screenshot={}", picture.display()));
    let png = std::fs::read(&picture).unwrap();
    assert!(png.starts_with(b"\x89PNG"), "a picture was made");
    assert_eq!(png[16..24], [0, 0, 1, 134, 0, 0, 3, 76], "390 by 844");
    if let Some(kept) = std::env::var_os("MIMI_KEEP_SCREENSHOT") {
        std::fs::write(kept, png).unwrap();
    }
}

/// What the operator of b.example asks of its database.
fn operator_of_b(world: &World) -> Operator {
    Operator::open(Config::load(&world.folder.join("b.example/provider.toml")).unwrap()).unwrap()
}

fn counted_at_b(world: &World, table: &str) -> i64 {
    let db = rusqlite::Connection::open(world.folder.join("b.example/data/provider.sqlite")).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_leaves_another_hubs_room_when_its_own_provider_wants_it() {
    let mut world = World::start("removal").await;
    let b = world.run_b().await;
    let (mut alice, mut bob) = (Person::new(&world, "alice", false).await, Person::new(&world, "bob", true).await);
    let (uri, mut alices) = found(&world, &alice, multiuser).await;
    alice.links(&world, &uri, create(&CODE, None, None)).await.unwrap();
    let (mut bobs, outcome) = bob.join(&world, &uri, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
    open(&mut alices, alice.until(&world, is_commit).await, &world);
    assert_eq!(counted_at_b(&world, "room_clients"), 1);

    // Decided: at once the account gets nothing new, and may still talk, until the moment of this pseudonym.
    operator_of_b(&world).set_remedy("bob", Some(HomeRemedy::Remove), world.present()).unwrap();
    let more: Result<PseudonymsResponse, _> =
        world.post(bob.shown(), local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await;
    assert_eq!(more, Err(Problem::Forbidden));
    assert!(matches!(bob.say(&world, &mut bobs, b"still here").await, SubmitMessageResponse::Accepted { .. }));
    bob.until(&world, is_message).await;
    open(&mut alices, alice.until(&world, is_message).await, &world);
    assert_eq!(counted_at_b(&world, "removals"), 0);

    // Fifteen days later all moments have come: the hub is asked, and proposes to the members to remove him.
    b.end().await;
    world.offset = 15 * 86_400;
    world.now = world.present();
    world.restart().await;
    let b = world.run_b().await;
    let proposed = alice.until(&world, |event| matches!(event, FanoutEvent::Proposal { .. })).await;
    let kept = |world: &World| world.dump().iter().filter(|row| row.starts_with("hub_removals:")).count();
    assert_eq!(kept(&world), 1, "with the request as it was signed");
    let told = bob.until(&world, |event| matches!(event, FanoutEvent::Proposal { .. })).await;
    assert!(matches!(open(&mut bobs, told, &world), Opened::Proposal { by: None, own: true }));
    let omitting = alices.commit(Wanted::default()).unwrap();
    assert_eq!(
        alice.commit(&world, &uri, omitting).await,
        Ok(UpdateOutcome::InvalidProposal { proposals: Vec::new() }),
        "the next commit has to contain it"
    );
    alices.commit_refused();
    assert!(matches!(open(&mut alices, proposed, &world), Opened::Proposal { by: None, own: false }));
    let bundle = alices.commit(Wanted::default()).unwrap();
    assert!(matches!(alice.commit(&world, &uri, bundle).await, Ok(UpdateOutcome::Accepted { .. })));
    alices.commit_accepted(&world.trust, world.now).unwrap();
    let out = bob.until(&world, is_commit).await;
    assert!(matches!(open(&mut bobs, out, &world), Opened::Removed { .. }));
    // A day later his provider asks once more, and hears that he is out.
    b.end().await;
    let db = rusqlite::Connection::open(world.folder.join("b.example/data/provider.sqlite")).unwrap();
    assert_eq!(db.execute("UPDATE removals SET again_at = 0", []).unwrap(), 1);
    drop(db);
    let b = world.run_b().await;
    for _ in 0..200 {
        if counted_at_b(&world, "removals") == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!((counted_at_b(&world, "removals"), counted_at_b(&world, "room_clients")), (0, 0));

    // He does not come back by the link, and appeals. That is granted, and all is as before.
    let appeal = AppealRequest { text: "it was not me".into() };
    let standing: Standing = world.post(bob.shown(), local::APPEAL_PATH, &appeal).await.unwrap();
    assert_eq!((standing.remedy, standing.appeal), (StandingRemedy::Removed, AppealState::Open));
    let waits = operator_of_b(&world).appeals().unwrap();
    assert_eq!((waits.len(), waits[0].text.as_str(), waits[0].user.name()), (1, "it was not me", "bob"));
    operator_of_b(&world).answer_appeal("bob", true).unwrap();
    let (_, body) = world.send(bob.shown(), Method::GET, local::APPEAL_PATH, vec![]).await;
    let standing = Standing::decode(&body).unwrap();
    assert_eq!((standing.remedy, standing.appeal), (StandingRemedy::Nothing, AppealState::Granted));
    assert_eq!((counted_at_b(&world, "silenced_users"), counted_at_b(&world, "removals")), (0, 0));
    let (_, outcome) = bob.join(&world, &uri, Some(&CODE)).await.unwrap();
    assert!(matches!(outcome, Ok(UpdateOutcome::Accepted { .. })), "{outcome:?}");
    b.end().await;
}
