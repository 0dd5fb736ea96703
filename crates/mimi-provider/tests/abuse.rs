//! Two providers over real TLS: a message is stamped, received, checked, reported to the hub and weighed, and who changes it
//! on the way gains nothing.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::time::Duration;

use http::Method;
use mimi_abuse::{
    franking::{FrankedMessage, ReceiveError, commit, verify_received},
    signal::Table,
};
use mimi_content::{Disposition, MimiContent, Part, Salt};
use mimi_mls::{NewKeyPackage, Opened, Room, SealError, UnverifiedKeyPackage, Wanted, with_franking_agent};
use mimi_provider::{Config, OsEntropy, explain, pardon};
use mimi_pseudonym::{Entropy, RoomUri, UserUri};
use mimi_room::{ComponentId, ComponentUpdate, KeyPackagePurpose, ParticipantListUpdate, RoomState};
use mimi_wire::{
    AbuseReport, AbusiveMessage, AppDataDictionary, FanoutEvent, Frank, GroupInfoOption, MlsMessage, Problem,
    REPORTER_TAG_COMPONENT, RatchetTree, RatchetTreeOption, SubmitMessageRequest, SubmitMessageResponse, UpdateOutcome,
    UpdateRequest, UpdateRoomResponse, Wire,
    local::{self, *},
};
use support::{SUITE, Shown, World, domain, identity, problem, with_room};

const DAY: Duration = Duration::from_secs(86_400);

async fn pseudonym(world: &World, shown: Shown<'_>) -> UserUri {
    let given: PseudonymsResponse =
        world.post(shown, local::PSEUDONYMS_PATH, &PseudonymsRequest { count: 1 }).await.unwrap();
    given.pseudonyms[0].clone()
}

/// Someone in the room, with the device's token.
struct Member {
    room: Room,
    token: DeviceToken,
    to_b: bool,
    /// The last event that was taken.
    seen: u64,
}

impl Member {
    fn shown(&self) -> Shown<'_> {
        Shown { token: Some(&self.token), to_b: self.to_b, ..Shown::default() }
    }

    fn user(&self) -> UserUri {
        self.room.identity().user().clone()
    }

    /// The next message of the room, with the stamp that it came with.
    async fn next(&mut self, world: &World) -> (MlsMessage, Option<Frank>, mimi_pseudonym::Timestamp) {
        for _ in 0..100 {
            let path = format!("{}?after={}&wait=1000", local::INBOX_PATH, self.seen);
            let (status, body) = world.send(self.shown(), Method::GET, &path, vec![]).await;
            assert_eq!(status, 200);
            for event in InboxResponse::decode(&body).unwrap().events {
                self.seen = event.sequence;
                let InboxBody::Fanout { message, .. } = event.body else { continue };
                if let FanoutEvent::Application { message: sealed, frank } = message.event {
                    return (sealed.message().clone(), frank, message.timestamp);
                }
            }
        }
        panic!("no message came");
    }

    /// The next proposal of the room.
    async fn proposal(&mut self, world: &World) -> MlsMessage {
        for _ in 0..20 {
            let path = format!("{}?after=0&wait=1000", local::INBOX_PATH);
            let (_, body) = world.send(self.shown(), Method::GET, &path, vec![]).await;
            for event in InboxResponse::decode(&body).unwrap().events {
                if let InboxBody::Fanout { message, .. } = event.body
                    && let FanoutEvent::Proposal { proposal, .. } = message.event
                {
                    return proposal.message().clone();
                }
            }
        }
        panic!("no proposal came");
    }

    async fn receive(&mut self, world: &World) -> Result<FrankedMessage, ReceiveError> {
        let (sealed, frank, accepted) = self.next(world).await;
        let opened = self.room.open(&sealed, &world.trust, world.now).unwrap();
        let Opened::Content { content, context, frank_aad } = opened else { panic!("{opened:?}") };
        let agent = self.room.franking_agent().unwrap();
        verify_received(&content, &frank_aad.unwrap(), &frank.unwrap(), accepted, &context, SUITE, &agent)
    }

    async fn submit(&self, world: &World, message: MlsMessage, user: UserUri) -> SubmitMessageResponse {
        self.try_submit(world, message, user).await.unwrap()
    }

    async fn try_submit(
        &self,
        world: &World,
        message: MlsMessage,
        user: UserUri,
    ) -> Result<SubmitMessageResponse, Problem> {
        let submit = SubmitMessageRequest { message: message.try_into().unwrap(), sending_user: user };
        let path = with_room(local::SUBMIT_MESSAGE_PATH, self.room.uri());
        world.post(self.shown(), &path, &submit).await
    }

    async fn update(&self, world: &World, update: &UpdateRequest) -> UpdateOutcome {
        let path = with_room(local::UPDATE_PATH, self.room.uri());
        let answer: UpdateRoomResponse = world.post(self.shown(), &path, update).await.unwrap();
        answer.outcome
    }

    fn content(&self, text: &str) -> MimiContent {
        let body = Part::single(Disposition::Render, "text/plain;charset=utf-8", text);
        MimiContent::new(Salt::generate(&mut OsEntropy), self.user(), self.room.uri().clone(), body).unwrap()
    }

    /// Sends a stamped message, and gives the stamp that comes back.
    async fn say(&mut self, world: &World, text: &str) -> (Frank, mimi_pseudonym::Timestamp) {
        let content = self.content(text);
        let sealed = self.room.seal_franked(|_| Ok::<_, SealError>(commit(&content))).unwrap();
        let answer = self.submit(world, sealed.clone(), self.user()).await;
        let SubmitMessageResponse::Accepted { accepted, frank: Some(frank) } = answer else { panic!("{answer:?}") };
        let again = self.submit(world, sealed, self.user()).await;
        assert_eq!(again, SubmitMessageResponse::Accepted { accepted, frank: Some(frank.clone()) }, "once more");
        (frank, accepted)
    }

    async fn report(&self, world: &World, report: &AbuseReport) -> Result<(), Problem> {
        let path = with_room(local::REPORT_ABUSE_PATH, self.room.uri());
        let (status, body) = world.send(self.shown(), Method::POST, &path, report.encode()).await;
        if status == 201 { Ok(()) } else { Err(problem(status, &body)) }
    }
}

fn report(about: &UserUri, messages: Vec<AbusiveMessage>) -> AbuseReport {
    AbuseReport {
        reporting_user: None,
        alleged_abuser: about.clone(),
        reason_code: 0,
        note: "spam".into(),
        messages,
        extensions: AppDataDictionary::default(),
    }
}

/// Alice's room at a.example, with Bob of b.example in it under a pseudonym.
async fn alice_and_bob(world: &World) -> (Member, Member) {
    let at_b = Shown { to_b: true, ..Shown::default() };
    let bob = world.register_at(at_b, "bob").await;
    let bob_shown = Shown { token: Some(&bob.device_token), ..at_b };
    let bob_user = pseudonym(world, bob_shown).await;
    let bob_identity = identity(world, bob_shown, &bob_user).await;
    let (not_before, not_after) = (world.now.before(DAY), world.now.after(DAY * 80));
    let fresh = NewKeyPackage::create(&bob_identity, KeyPackagePurpose::Any, not_before, not_after).unwrap();
    let upload = UploadKeyPackages { owner: bob_user.clone(), key_packages: vec![fresh.key_package.clone()] };
    world.post::<UploadResponse>(bob_shown, local::KEY_PACKAGES_PATH, &upload).await.unwrap();

    let alice = world.register("alice").await;
    let shown = Shown { token: Some(&alice.device_token), ..Shown::default() };
    let alice_user = pseudonym(world, shown).await;
    let alice_identity = identity(world, shown, &alice_user).await;
    let (_, info) = world.send(shown, Method::GET, local::INFO_PATH, vec![]).await;
    let info = ProviderInfo::decode(&info).unwrap();
    let (hub, agent) = (&info.hub_senders[0], &info.franking_agents[0]);
    assert_eq!((hub.cipher_suite, agent.cipher_suite), (SUITE, SUITE));
    let uri = RoomUri::pseudonym(&domain("a.example"), OsEntropy.bits128());
    let state = RoomState::private(uri.clone(), alice_user).unwrap();

    // A room that names a stranger as its agent is not taken.
    let mut stranger = agent.agent.clone();
    stranger.franking_signature_key = vec![7; 32];
    let forged = with_franking_agent(state.clone(), &stranger).unwrap();
    let (_, first) = Room::create(alice_identity.clone(), forged, &hub.sender, world.now).unwrap();
    let create = |first: mimi_mls::FirstEpoch| CreateRoomRequest {
        room: uri.clone(),
        group_info: first.group_info,
        ratchet_tree: first.ratchet_tree,
    };
    let refused = world.post::<Accepted>(shown, local::ROOMS_PATH, &create(first)).await;
    assert_eq!(refused.unwrap_err(), Problem::Malformed);

    let state = with_franking_agent(state, &agent.agent).unwrap();
    let (mut room, first) = Room::create(alice_identity, state, &hub.sender, world.now).unwrap();
    world.post::<Accepted>(shown, local::ROOMS_PATH, &create(first)).await.unwrap();
    let verified =
        UnverifiedKeyPackage::new(fresh.key_package).verify(&bob_user, SUITE, &world.trust, world.now).unwrap();
    let add = ParticipantListUpdate::add(bob_user.clone(), RoomState::PARTICIPANT).encode();
    let updates = vec![ComponentUpdate::update(ComponentId::PARTICIPANT_LIST, add)];
    let bundle = room.commit(Wanted { updates, add: vec![verified], remove: vec![] }).unwrap();
    let welcome = bundle.welcome.clone().unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.try_into().unwrap(),
        welcome: bundle.welcome,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    let answer: UpdateRoomResponse = world.post(shown, &with_room(local::UPDATE_PATH, &uri), &update).await.unwrap();
    assert!(matches!(answer.outcome, UpdateOutcome::Accepted { .. }), "{}", answer.description);
    room.commit_accepted(&world.trust, world.now).unwrap();
    let tree: RatchetTree = tree_for(world, bob_shown).await;
    let (trust, now) = (&world.trust, world.now);
    let bob_room = Room::join(bob_identity, &fresh.secret, &uri, &welcome, &tree, trust, now).unwrap();
    (
        Member { room, token: alice.device_token, to_b: false, seen: 0 },
        Member { room: bob_room, token: bob.device_token, to_b: true, seen: 0 },
    )
}

async fn tree_for(world: &World, shown: Shown<'_>) -> RatchetTree {
    for _ in 0..20 {
        let path = format!("{}?after=0&wait=2000", local::INBOX_PATH);
        let (_, body) = world.send(shown, Method::GET, &path, vec![]).await;
        for event in InboxResponse::decode(&body).unwrap().events {
            if let InboxBody::Fanout { message, .. } = event.body
                && let FanoutEvent::Welcome { ratchet_tree: RatchetTreeOption::Full(tree), .. } = message.event
            {
                return tree;
            }
        }
    }
    panic!("no Welcome came");
}

fn facts(world: &World) -> usize {
    world.dump().iter().filter(|row| row.starts_with("abuse_facts:")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_stamped_received_reported_and_weighed() {
    let mut world = World::start("abuse").await;
    let _b = world.run_b().await;
    let (mut alice, mut bob) = alice_and_bob(&world).await;

    // Bob's spam goes through his provider to the hub, and comes to Alice with the stamp that he got too.
    let (frank, accepted) = bob.say(&world, "buy this").await;
    let received = alice.receive(&world).await.unwrap();
    assert_eq!((&received.evidence.frank, received.evidence.accepted), (&frank, accepted));
    // Alice's words reach Bob by his provider, stamped.
    alice.say(&world, "no").await;
    bob.next(&world).await;
    let reply = bob.receive(&world).await.unwrap();

    // Tampered with, nothing is taken, and nothing is remembered.
    let evidence = &received.evidence;
    let tampered = |change: &dyn Fn(&mut AbusiveMessage)| {
        let mut shown = evidence.clone();
        change(&mut shown);
        report(&bob.user(), vec![shown])
    };
    let words = commit(&bob.content("worse")).0.encode();
    let later = accepted.after(Duration::from_millis(1));
    for bad in [
        tampered(&|shown| shown.message_content = words.clone()),
        tampered(&|shown| shown.accepted = later),
        tampered(&|shown| shown.frank.server_frank[0] ^= 1),
        tampered(&|shown| shown.frank.integrity_signature[0] ^= 1),
        report(&alice.user(), vec![evidence.clone()]),
        report(&bob.user(), vec![reply.evidence.clone()]),
    ] {
        assert_eq!(alice.report(&world, &bad).await, Err(Problem::SignatureInvalid));
    }
    let junk = tampered(&|shown| shown.message_content = vec![0]);
    assert_eq!(alice.report(&world, &junk).await, Err(Problem::Malformed));
    let mut stolen = report(&bob.user(), vec![evidence.clone()]);
    stolen.reporting_user = Some(bob.user());
    assert_eq!(alice.report(&world, &stolen).await, Err(Problem::ForeignUser));
    assert_eq!(facts(&world), 0);

    // The stamp is recognised by a hub that was started anew, and the same reporter counts once: with a name, without one,
    // and whatever tag the device claims.
    world.restart().await;
    let good = report(&bob.user(), vec![evidence.clone()]);
    alice.report(&world, &good).await.unwrap();
    assert_eq!(facts(&world), 1);
    alice.report(&world, &good).await.unwrap();
    let mut named = good.clone();
    named.reporting_user = Some(alice.user());
    alice.report(&world, &named).await.unwrap();
    let mut claimed = good.clone();
    claimed.extensions.insert(REPORTER_TAG_COMPONENT, vec![9; 32]);
    alice.report(&world, &claimed).await.unwrap();
    assert_eq!(facts(&world), 1);
    let config = Config::load(&world.folder.join("a.example/provider.toml")).unwrap();
    let explained = explain(&config, &bob.user(), world.now).unwrap();
    assert!(explained.starts_with("nothing: score 1.00\n+1.00 verified_report by a.example at "), "{explained}");

    // Bob reports Alice in turn, through his provider. In all that the hub keeps there is no name of his account.
    bob.report(&world, &report(&alice.user(), vec![reply.evidence.clone()])).await.unwrap();
    assert_eq!(facts(&world), 2);
    assert!(!world.dump().iter().any(|row| row.starts_with("abuse") && row.contains("bob@")));
    // A word without evidence is kept, and weighs nothing.
    bob.report(&world, &report(&alice.user(), vec![])).await.unwrap();
    assert!(explain(&config, &alice.user(), world.now).unwrap().starts_with("nothing: score 1.00\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_reported_is_not_taken_and_handshakes_are() {
    let world = World::start("unfranked").await;
    let _b = world.run_b().await;
    let (mut alice, mut bob) = alice_and_bob(&world).await;
    // Alice is of the hub's provider, Bob of another: both are told what is missing.
    let left = |world: &World| {
        let tables = ["hub_", "events:", "outbox", "abuse_", "guests:"];
        let rows = world.dump().into_iter();
        rows.filter(|row| tables.iter().any(|table| row.starts_with(table))).collect::<Vec<_>>()
    };
    // What has come of the commit that let Bob in is under way to him yet.
    world.wait_for(|rows| !rows.iter().any(|row| row.starts_with("outbox:"))).await;
    let before = left(&world);
    for member in [&mut alice, &mut bob] {
        let content = commit(&member.content("deny it")).0;
        let bare = member.room.seal(&content).unwrap();
        let user = member.user();
        for _ in 0..2 {
            let answer = member.try_submit(&world, bare.clone(), user.clone()).await;
            assert_eq!(answer, Err(Problem::Unfranked));
        }
    }
    assert_eq!(left(&world), before, "nothing is stored, counted or sent");
    // Whoever may not send at all is told no more than that.
    let bare = bob.room.seal(&commit(&bob.content("deny it")).0).unwrap();
    let stranger = "mimi://b.example/u/nobody".parse().unwrap();
    let answer = bob.try_submit(&world, bare, stranger).await;
    assert!(matches!(answer, Err(Problem::ForeignUser) | Ok(SubmitMessageResponse::NotAllowed)), "{answer:?}");
    // With a commitment both are heard, and what the room itself is changed by needs none.
    bob.say(&world, "hello").await;
    alice.receive(&world).await.unwrap();
    let bundle = alice.room.commit(Wanted::default()).unwrap();
    let update = UpdateRequest::Commit {
        commit: bundle.commit.clone().try_into().unwrap(),
        welcome: None,
        group_info: GroupInfoOption::Full(bundle.group_info),
        ratchet_tree: RatchetTreeOption::DistributionService,
    };
    assert!(matches!(alice.update(&world, &update).await, UpdateOutcome::Accepted { .. }));
    alice.room.commit_accepted(&world.trust, world.now).unwrap();
    bob.room.open(&bundle.commit, &world.trust, world.now).unwrap();
    let mut leave = bob.room.leave().unwrap().into_iter().map(|proposal| proposal.try_into().unwrap());
    let leave = UpdateRequest::Proposal { proposal: leave.next().unwrap(), more: leave.collect() };
    assert!(matches!(bob.update(&world, &leave).await, UpdateOutcome::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_may_report() {
    let world = World::start("abuse-peer").await;
    let _b = world.run_b().await;
    let (mut alice, mut bob) = alice_and_bob(&world).await;
    alice.say(&world, "hello").await;
    bob.next(&world).await;
    let path = with_room("/mimi/v1/reportAbuse", alice.room.uri());
    let send = async |shown: Shown<'_>, report: &AbuseReport| {
        let (status, body) = world.send(shown, Method::POST, &path, report.encode()).await;
        if status == 201 { Ok(()) } else { Err(problem(status, &body)) }
    };
    let word = report(&alice.user(), vec![]);
    assert_eq!(send(Shown::default(), &word).await, Err(Problem::FromMissing));
    let unshown = Shown { from: Some("mimi@b.example"), ..Shown::default() };
    assert_eq!(send(unshown, &word).await, Err(Problem::FromMismatch));
    let c = Shown { certificate: Some(&world.c), from: Some("mimi@c.example"), ..Shown::default() };
    let not_in_room = send(c, &word).await.unwrap_err();
    assert!(
        matches!(not_in_room, Problem::UnknownRoom | Problem::Unauthorized | Problem::Forbidden),
        "{not_in_room:?}"
    );
    assert_eq!(send(world.peer_b(), &word).await, Ok(()));
    let mut named = word.clone();
    named.reporting_user = Some(alice.user());
    assert_eq!(send(world.peer_b(), &named).await, Err(Problem::ForeignUser));
    let stranger = report(&"mimi://b.example/u/nobody".parse().unwrap(), vec![]);
    assert_eq!(send(world.peer_b(), &stranger).await, Err(Problem::Malformed));
    // All of a provider's reporters that it does not tell apart are one.
    let before = facts(&world);
    assert_eq!(send(world.peer_b(), &word).await, Ok(()));
    assert_eq!(facts(&world), before);
    let mut bad_tag = word;
    bad_tag.extensions.insert(REPORTER_TAG_COMPONENT, vec![9; 31]);
    assert_eq!(send(world.peer_b(), &bad_tag).await, Err(Problem::Malformed));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_in_floods_is_noticed() {
    let world = World::start("abuse-flood").await;
    let _b = world.run_b().await;
    let (mut alice, mut bob) = alice_and_bob(&world).await;
    let config = Config::load(&world.folder.join("a.example/provider.toml")).unwrap();
    for at in 0..61 {
        assert!(explain(&config, &bob.user(), world.now).unwrap().starts_with("nothing: score 0.00"), "{at}");
        bob.say(&world, "spam").await;
    }
    alice.say(&world, "hello").await;
    let explained = explain(&config, &bob.user(), world.now).unwrap();
    assert!(explained.contains("+0.50 message_rate by a.example"), "{explained}");
    assert!(explain(&config, &alice.user(), world.now).unwrap().starts_with("nothing: score 0.00"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_asks_the_users_provider_at_its_own_moment() {
    let mut world = World::start("abuse-ask").await;
    let own = world.folder.join("a.example");
    let table =
        Table::built_in().replacen("score = 1.5\nremedy = \"mute\"", "score = 0.5\nremedy = \"ask_suspend\"", 1);
    std::fs::write(own.join("signals.toml"), table).unwrap();
    let config = std::fs::read_to_string(own.join("provider.toml")).unwrap();
    std::fs::write(own.join("provider.toml"), config + "\n[abuse]\nsignals = \"signals.toml\"\n").unwrap();
    world.restart().await;
    let _b = world.run_b().await;
    let (mut alice, mut bob) = alice_and_bob(&world).await;
    bob.say(&world, "buy this").await;
    let received = alice.receive(&world).await.unwrap();
    let good = report(&bob.user(), vec![received.evidence]);
    alice.report(&world, &good).await.unwrap();
    alice.report(&world, &good).await.unwrap();
    let rows = |world: &World, table: &str| world.dump().iter().filter(|row| row.starts_with(table)).count();
    assert_eq!((rows(&world, "abuse_decisions:"), rows(&world, "remedy_outbox:")), (1, 1), "decided once, asked once");
    let config = Config::load(&own.join("provider.toml")).unwrap();
    let explained = explain(&config, &bob.user(), world.now).unwrap();
    assert!(explained.starts_with("ask_suspend: score 1.00, from 0.50 on\n"), "{explained}");

    // Meanwhile the hub takes no messages from Bob; Alice is heard.
    let content = bob.content("again");
    let again = bob.room.seal_franked(|_| Ok::<_, SealError>(commit(&content))).unwrap();
    assert_eq!(bob.submit(&world, again, bob.user()).await, SubmitMessageResponse::NotAllowed);
    alice.say(&world, "thanks").await;
    // It proposes to remove him as well, and Alice's next commit does.
    world
        .wait_for(|rows| !rows.iter().any(|row| row.starts_with("abuse_decisions:") && row.ends_with("Integer(0)]")))
        .await;
    let proposal = alice.proposal(&world).await;
    let opened = alice.room.open(&proposal, &world.trust, world.now).unwrap();
    assert!(matches!(opened, Opened::Proposal { .. }), "{opened:?}");

    // At the next moment it goes out, with the message, and without a word about who reported.
    world.offset += 7200;
    world.restart().await;
    world.wait_for(|rows| !rows.iter().any(|row| row.starts_with("remedy_outbox:"))).await;
    let db = rusqlite::Connection::open(world.folder.join("b.example/data/provider.sqlite")).unwrap();
    let query = "SELECT hub, subject, wanted, with_evidence, body FROM remedy_requests";
    let (hub, subject, wanted, with_evidence, body): (String, String, i64, bool, Vec<u8>) =
        db.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))).unwrap();
    assert_eq!((hub.as_str(), subject.as_str(), wanted, with_evidence), ("a.example", bob.user().as_str(), 1, true));
    let alice_user = alice.user();
    let contains = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains("buy this") && !contains(alice_user.as_str()));

    // The operator pardons Bob: nothing speaks against him any more, and his provider is asked to reverse it.
    pardon(&config, &bob.user(), world.present()).unwrap();
    assert_eq!(rows(&world, "abuse_"), 0);
    world.offset += 7200;
    world.restart().await;
    world.wait_for(|rows| !rows.iter().any(|row| row.starts_with("remedy_outbox:"))).await;
    let wanted: Vec<i64> = db
        .prepare("SELECT wanted FROM remedy_requests ORDER BY received_at")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(wanted, [1, 0]);
}
