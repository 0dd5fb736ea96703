//! Followers that are away, slow, or talk nonsense, and answers that are lost on the way: what a hub has acknowledged
//! reaches everybody once and in order, and nobody waits for somebody else's provider. Each test prints its counts, and
//! runs on both databases. Providers are processes of their own; what goes wrong between them is done by a proxy.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

mod support;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use mimi_pseudonym::RoomUri;
use support::{
    postgres::Postgres,
    proxy::{GARBAGE, Hole, Mode, Proxy, REFUSALS},
    sites::{Person, Sites},
    talk::{Counts, Talk, message},
};

const PATIENCE: Duration = Duration::from_secs(120);
const MESSAGES: usize = 30;
const HUB: &str = "a.example";
const NEAR: &str = "b.example";
const FAR: &str = "c.example";

/// A room of Alice's at a.example, with Bob of b.example and Cathy of c.example in it. Between the hub and each of the
/// others stands a proxy.
struct Club {
    sites: Sites,
    to_near: Proxy,
    to_far: Proxy,
    alice: Person,
    bob: Listener,
    cathy: Listener,
    /// The first of them is where everybody is.
    rooms: Vec<Talk>,
    _server: Option<Postgres>,
}

/// Somebody who reads what comes.
struct Listener {
    person: Person,
    room: RoomUri,
    /// The messages of the room, in the order in which they have come.
    heard: Vec<Vec<u8>>,
    /// Those of other rooms.
    aside: Vec<Vec<u8>>,
}

impl Listener {
    async fn listen(&mut self, sites: &Sites) {
        for (room, message) in self.person.events(sites).await.into_iter().filter_map(message) {
            let heard = if room == self.room { &mut self.heard } else { &mut self.aside };
            heard.push(message);
        }
    }

    /// Listens until there are so many messages, and then a little longer, for more than there should be.
    async fn until(&mut self, sites: &Sites, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.heard.len() < count {
            assert!(Instant::now() < until, "{} of {count} have come", self.heard.len());
            self.listen(sites).await;
        }
        self.listen(sites).await;
    }

    fn counts(&self, said: &[Vec<u8>]) -> Counts {
        Counts::of(said, &self.heard)
    }
}

impl Club {
    async fn open(name: &str, on_postgres: bool) -> Option<Self> {
        Self::open_with(name, on_postgres, "").await
    }

    /// With more lines in the hub's configuration.
    async fn open_with(name: &str, on_postgres: bool, more: &str) -> Option<Self> {
        let server = if on_postgres {
            Some(tokio::task::spawn_blocking(|| Postgres::start(false)).await.unwrap()?)
        } else {
            None
        };
        let database = |site: &str| server.as_ref().map(|server| server.create(&site[..1]));
        let name = format!("{name}-{}", if on_postgres { "postgres" } else { "sqlite" });
        let mut sites = Sites::new(&name, &[HUB, NEAR, FAR].map(|site| (site, database(site))));
        let to_near = Proxy::start(&sites.folder, &sites.root, HUB, NEAR, sites.address(NEAR)).await;
        let to_far = Proxy::start(&sites.folder, &sites.root, HUB, FAR, sites.address(FAR)).await;
        sites.introduce(HUB, NEAR, to_near.address);
        sites.introduce(HUB, FAR, to_far.address);
        for other in [NEAR, FAR] {
            sites.introduce(other, HUB, sites.address(HUB));
        }
        sites.configure(HUB, more);
        for site in [HUB, NEAR, FAR] {
            sites.start(site, 0);
        }
        let alice = Person::new(&sites, HUB, "alice").await;
        let (bob, cathy) = (Person::new(&sites, NEAR, "bob").await, Person::new(&sites, FAR, "cathy").await);

        let talk = Talk::begin(&sites, &alice, &[&bob, &cathy]).await;
        let listener = |person| Listener { person, room: talk.uri.clone(), heard: Vec::new(), aside: Vec::new() };
        let [bob, cathy] = [bob, cathy].map(listener);
        let mut club = Self { sites, to_near, to_far, alice, bob, cathy, rooms: vec![talk], _server: server };
        // Both are in the room before anything goes wrong.
        club.say(1).await;
        club.bob.until(&club.sites, 1).await;
        club.cathy.until(&club.sites, 1).await;
        Some(club)
    }

    /// Alice says something so many times; each is acknowledged by the hub.
    async fn say(&mut self, times: usize) {
        for _ in 0..times {
            self.say_in(0).await;
        }
    }

    /// Alice says something in one of the rooms.
    async fn say_in(&mut self, at: usize) {
        let talk = &mut self.rooms[at];
        let text = format!("message {}", talk.said.len());
        assert_eq!(talk.say(&self.sites, &self.alice, text.into()).await, 200);
    }

    /// What was said in the room where everybody is.
    fn said(&self) -> &[Vec<u8>] {
        &self.rooms[0].said
    }

    /// Waits until nothing waits for a follower any more.
    async fn until_brought(&self, follower: &str) {
        let until = Instant::now() + PATIENCE;
        while self.sites.waiting(HUB, follower) > 0 {
            assert!(Instant::now() < until, "something waits for {follower}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until what stands before the nearer follower has spoilt so many answers or requests.
    async fn until_spoilt(&self, count: usize, otherwise: &str) {
        let until = Instant::now() + PATIENCE;
        while self.to_near.spoilt() < count {
            assert!(Instant::now() < until, "{otherwise}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything has come to both, once, in order.
    async fn settled(&mut self, what: &str) {
        let all = self.said().len();
        self.bob.until(&self.sites, all).await;
        self.cathy.until(&self.sites, all).await;
        self.until_brought(NEAR).await;
        self.until_brought(FAR).await;
        for listener in [&self.bob, &self.cathy] {
            let counts = listener.counts(self.said());
            eprintln!(
                "{what}, {}: {} sent, {all} acknowledged, {} delivered, {} duplicated, {} lost",
                listener.person.site, self.rooms[0].sent, counts.delivered, counts.duplicated, counts.lost
            );
            assert_eq!(counts, Counts { delivered: all, duplicated: 0, lost: 0 });
            assert_eq!(listener.heard, self.said(), "in the order in which it was said");
        }
    }
}

/// A follower is not there for an hour, by the clocks of all; meanwhile the hub is killed and started again as well.
async fn away(on_postgres: bool) {
    let Some(mut club) = Club::open("away", on_postgres).await else { return };
    club.sites.kill(NEAR);
    club.say(MESSAGES).await;
    club.cathy.until(&club.sites, MESSAGES + 1).await;
    assert_eq!(club.sites.waiting(HUB, NEAR), MESSAGES, "nothing is given up");
    for site in [HUB, FAR] {
        club.sites.kill(site);
        club.sites.start(site, 3600);
    }
    club.say(5).await;
    assert!(club.sites.waiting(HUB, NEAR) >= MESSAGES);
    club.sites.start(NEAR, 3600);
    club.settled("away for an hour").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_away_for_an_hour() {
    away(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_away_for_an_hour_on_postgres() {
    away(true).await;
}

/// A follower takes connections and does not answer; what is for the other one arrives all the same, all of it, before
/// anything has come to the first.
async fn slow(on_postgres: bool) {
    let Some(mut club) = Club::open("slow", on_postgres).await else { return };
    club.to_near.set(Mode::Hold);
    club.say(MESSAGES).await;
    club.cathy.until(&club.sites, MESSAGES + 1).await;
    let (near, far) = (club.bob.counts(club.said()), club.cathy.counts(club.said()));
    club.bob.listen(&club.sites).await;
    assert_eq!(club.bob.heard.len(), 1, "nothing has come to Bob since");
    assert_eq!((near.delivered, far.delivered), (1, MESSAGES + 1));
    club.until_brought(FAR).await;
    assert_eq!(club.sites.waiting(HUB, NEAR), MESSAGES, "the hub still has it");
    eprintln!("slow: {} delivered to the other follower while {MESSAGES} wait for the slow one", far.delivered - 1);
    club.to_near.set(Mode::Pass);
    club.settled("slow follower").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_follower_slows_no_other() {
    slow(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_follower_slows_no_other_on_postgres() {
    slow(true).await;
}

/// The same with one that is dead, and stays so.
async fn dead(on_postgres: bool) {
    let Some(mut club) = Club::open("dead", on_postgres).await else { return };
    club.sites.kill(FAR);
    for round in 1..=3 {
        club.say(MESSAGES).await;
        club.bob.until(&club.sites, round * MESSAGES + 1).await;
        club.until_brought(NEAR).await;
        assert_eq!(club.sites.waiting(HUB, FAR), round * MESSAGES);
        eprintln!(
            "dead: {} delivered to the living follower while {} wait for the dead",
            round * MESSAGES,
            round * MESSAGES
        );
    }
    club.sites.start(FAR, 0);
    club.settled("dead follower").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_follower_slows_no_other() {
    dead(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_follower_slows_no_other_on_postgres() {
    dead(true).await;
}

/// Something before a follower answers in its place with nonsense of every kind there is.
async fn garbage(on_postgres: bool) {
    let Some(mut club) = Club::open("garbage", on_postgres).await else { return };
    club.to_near.set(Mode::Garbage);
    club.say(MESSAGES).await;
    club.until_spoilt(GARBAGE, "it has not been tried with everything").await;
    club.cathy.until(&club.sites, MESSAGES + 1).await;
    assert_eq!(club.sites.waiting(HUB, NEAR), MESSAGES, "nonsense is no acknowledgement, and no refusal");
    club.to_near.set(Mode::Pass);
    eprintln!("garbage: {} answers were nonsense", club.to_near.spoilt());
    club.settled("garbage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_for_an_answer_loses_nothing() {
    garbage(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_for_an_answer_loses_nothing_on_postgres() {
    garbage(true).await;
}

/// Answers that come late, that come when the hub has given up waiting for them, and of which the body never ends: what has come
/// to a follower is brought again until the hub knows that it has, and delivered once. Meanwhile everything goes to the other follower.
async fn late(on_postgres: bool) {
    const EACH: usize = 10;
    let limit = "[limits]\nanswer_seconds = 1";
    let Some(mut club) = Club::open_with("late", on_postgres, limit).await else { return };
    let mut spoilt = Vec::new();
    for (number, mode) in [Mode::Late, Mode::TooLate, Mode::Drip].into_iter().enumerate() {
        let (all, before) = ((number + 1) * EACH + 1, club.to_near.spoilt());
        club.to_near.set(mode);
        club.say(EACH).await;
        club.cathy.until(&club.sites, all).await;
        club.until_brought(FAR).await;
        if mode == Mode::Late {
            club.until_brought(NEAR).await;
        } else {
            // It is brought again, since the hub does not know that it has come.
            club.until_spoilt(before + 3, "it is not tried again").await;
            assert!(club.sites.waiting(HUB, NEAR) > 0, "the hub knows of no answer");
        }
        spoilt.push(club.to_near.spoilt() - before);
        club.to_near.set(Mode::Pass);
        club.bob.until(&club.sites, all).await;
        club.until_brought(NEAR).await;
    }
    eprintln!("late: {spoilt:?} answers were late, too late, and without an end");
    club.settled("late answers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_late_is_delivered_once() {
    late(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_late_is_delivered_once_on_postgres() {
    late(true).await;
}

/// Where a follower was there is something that takes connections and says nothing, or that does not even take them: while the hub
/// waits for it, everything goes to the other follower.
async fn black_hole(on_postgres: bool) {
    let Some(mut club) = Club::open("hole", on_postgres).await else { return };
    for round in 0..2 {
        club.to_far.vanish().await;
        let address = club.to_far.address;
        let hole = if round == 0 { Hole::silent(address) } else { Hole::full(address).await };
        let said = club.said().len();
        for half in 1..=2 {
            club.say(MESSAGES / 2).await;
            club.bob.until(&club.sites, said + half * MESSAGES / 2).await;
            club.until_brought(NEAR).await;
        }
        assert_eq!(club.sites.waiting(HUB, FAR), MESSAGES, "the hub still has it");
        drop(hole);
        club.to_far.come_back().await;
        club.settled(if round == 0 { "a follower that says nothing" } else { "a follower that takes nothing" }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_slows_no_other_follower() {
    black_hole(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_slows_no_other_follower_on_postgres() {
    black_hole(true).await;
}

/// A follower is set up wrongly and refuses everything, by every problem there is for that; in the middle of it the hub is
/// started again.
async fn refusing(on_postgres: bool) {
    let Some(mut club) = Club::open("refusing", on_postgres).await else { return };
    club.to_near.set(Mode::Refuse);
    club.say(MESSAGES).await;
    club.cathy.until(&club.sites, MESSAGES + 1).await;
    club.until_spoilt(2 * REFUSALS.len(), "it has not been tried with every problem").await;
    club.sites.kill(HUB);
    club.sites.start(HUB, 0);
    club.say(5).await;
    club.bob.listen(&club.sites).await;
    assert_eq!(club.bob.heard.len(), 1, "nothing has come to Bob since");
    assert_eq!(club.sites.waiting(HUB, NEAR), MESSAGES + 5, "nothing is given up");
    club.to_near.set(Mode::Pass);
    eprintln!("refusing: {} requests were refused", club.to_near.spoilt());
    club.settled("refusing follower").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_set_up_wrongly_gets_everything_when_it_is_not() {
    refusing(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_set_up_wrongly_gets_everything_when_it_is_not_on_postgres() {
    refusing(true).await;
}

/// What concerns one room is refused; what is of another room arrives.
async fn refused_room(on_postgres: bool) {
    let Some(mut club) = Club::open("refused-room", on_postgres).await else { return };
    let other = Talk::begin(&club.sites, &club.alice, &[&club.bob.person]).await;
    club.rooms.push(other);
    club.to_near.only(&club.rooms[0].uri);
    club.to_near.set(Mode::Refuse);
    for _ in 0..MESSAGES {
        club.say(1).await;
        club.say_in(1).await;
    }
    let until = Instant::now() + PATIENCE;
    while club.bob.aside.len() < MESSAGES {
        assert!(Instant::now() < until, "{} of {MESSAGES} have come", club.bob.aside.len());
        club.bob.listen(&club.sites).await;
    }
    assert_eq!(club.bob.aside, club.rooms[1].said);
    assert_eq!(club.bob.heard.len(), 1);
    // What Bob has is known to the hub a moment later.
    while club.sites.waiting(HUB, NEAR) > MESSAGES {
        assert!(Instant::now() < until, "the hub does not know that it has come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(club.sites.waiting(HUB, NEAR), MESSAGES);
    assert!(club.to_near.spoilt() > 0);
    eprintln!("refused room: {MESSAGES} of another room were delivered while {MESSAGES} wait");
    club.to_near.set(Mode::Pass);
    club.settled("refused room").await;
    assert_eq!(club.bob.aside, club.rooms[1].said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_refused_holds_up_no_other() {
    refused_room(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_refused_holds_up_no_other_on_postgres() {
    refused_room(true).await;
}

/// A follower that refuses everything for three days does not get what was refused for so long, and then what is new.
async fn given_up(on_postgres: bool) {
    const THREE_DAYS: i64 = 3 * 86_400 + 60;
    let Some(mut club) = Club::open("given-up", on_postgres).await else { return };
    club.to_near.set(Mode::Refuse);
    club.say(5).await;
    club.until_spoilt(1, "nothing was refused").await;
    club.sites.kill(HUB);
    club.sites.start(HUB, THREE_DAYS);
    club.until_brought(NEAR).await;
    club.say(1).await;
    club.to_near.set(Mode::Pass);
    club.bob.until(&club.sites, 2).await;
    assert_eq!(club.bob.heard, [club.said()[0].clone(), club.said()[6].clone()]);
    let log = std::fs::read_to_string(club.sites.folder.join(HUB).join("log")).unwrap();
    let dropped = log.lines().filter(|line| line.ends_with(" of b.example: a message was dropped")).count();
    assert_eq!(dropped, 5, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_three_days_is_given_up() {
    given_up(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_three_days_is_given_up_on_postgres() {
    given_up(true).await;
}

/// Every request of the hub comes twice; then every answer is lost on its way back, so that the hub repeats what the
/// follower has taken already.
async fn repeated(on_postgres: bool) {
    let Some(mut club) = Club::open("repeated", on_postgres).await else { return };
    club.to_near.set(Mode::Twice);
    club.say(MESSAGES).await;
    club.bob.until(&club.sites, MESSAGES + 1).await;
    club.until_brought(NEAR).await;
    let twice = club.to_near.spoilt();
    club.to_near.set(Mode::Lose);
    club.to_far.set(Mode::Lose);
    club.say(MESSAGES).await;
    club.bob.until(&club.sites, 2 * MESSAGES + 1).await;
    club.cathy.until(&club.sites, 2 * MESSAGES + 1).await;
    assert!(club.sites.waiting(HUB, NEAR) > 0, "the hub does not know that it has come");
    let lost = club.to_near.spoilt() - twice;
    club.to_near.set(Mode::Pass);
    club.to_far.set(Mode::Pass);
    eprintln!("repeated: {twice} requests came twice, {lost} answers were lost");
    assert!(twice > 0 && lost > 0);
    club.settled("repeated").await;
    let numbers: BTreeMap<_, _> = club.bob.heard.iter().zip(0..).collect();
    assert_eq!(numbers.len(), club.said().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_repeats_is_delivered_once() {
    repeated(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_repeats_is_delivered_once_on_postgres() {
    repeated(true).await;
}

/// A follower that is overloaded says when it wants to be asked again, and is left alone until then.
#[tokio::test(flavor = "multi_thread")]
async fn an_overloaded_follower_is_left_alone_as_it_asks() {
    let Some(mut club) = Club::open("overloaded", false).await else { return };
    club.to_near.set(Mode::Overloaded);
    let begun = Instant::now();
    club.say(MESSAGES).await;
    while begun.elapsed() < Duration::from_secs(5) {
        club.cathy.listen(&club.sites).await;
    }
    let (tries, most) = (club.to_near.spoilt(), usize::try_from(begun.elapsed().as_secs()).unwrap() / 2 + 1);
    assert!((1..=most).contains(&tries), "{tries} tries, and {most} if it is asked every two seconds");
    club.to_near.set(Mode::Pass);
    club.settled("overloaded follower").await;
}
