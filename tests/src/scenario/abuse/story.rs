//! What happens, from the first spam to the reversal.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use mimi_flow::{Command, Event, FailureReason, NewRoom};
use mimi_link::RoomLink;
use mimi_pseudonym::{CipherSuite, DisclosurePolicy, IdentityPolicy, PseudonymUse, RoomUri, UserUri, Wire};
use mimi_room::JoinLinkPolicy;
use mimi_wire::local::{APPEAL_PATH, AppealRequest, AppealState, DeviceToken, Standing, StandingRemedy};
use tokio::time::Instant;

use super::{
    AbuseReport, Case, HARMLESS, SPAM, World,
    cast::{Owner, Player, Stage, settle},
    homes::{self, BYSTANDERS, HOMES, HUB, Way},
    learned::{self, column},
    operators, outcome,
    page::{table, word},
    ways,
};
use crate::people::MovedClock;

pub(super) const HOUR: i64 = 3_600;
/// Requests are believed within a week of when they were made; the operator's commands have the machine's clock.
const BEGIN: i64 = -4 * 24 * HOUR;
/// From here on numbers of accounts and devices stand for nothing else.
const NUMBERS: &str = "UPDATE numbers SET newest = CASE kind WHEN 'account' THEN 7000000 ELSE 9000000 END \
                       WHERE kind IN ('account', 'device')";

/// Everybody, and where they are.
pub(super) struct Cast {
    pub(super) stage: Stage,
    pub(super) alice: Player,
    /// Three accounts each at four providers, by turns.
    pub(super) reporters: Vec<Player>,
    /// Two more at the third of these: with the others there, five that might be one person's.
    pub(super) puppets: Vec<Player>,
    pub(super) cathy: Player,
    pub(super) cathy_token: DeviceToken,
    pub(super) spammers: Vec<Player>,
    pub(super) owners: Vec<Owner>,
    /// At each home another account, of which its operator knows that it is the spammer's as well.
    pub(super) related: Vec<Owner>,
    pub(super) cases: Vec<Case>,
    /// The two rooms.
    pub(super) rooms: [RoomUri; 2],
}

impl Cast {
    pub(super) fn case(&self, at: usize) -> Result<&Case> {
        self.cases.get(at).context("a case")
    }

    fn spammer(&mut self, at: usize) -> Result<&mut Player> {
        self.spammers.get_mut(at).context("a spammer")
    }
}

/// Lines of a table, with a cell for each home.
pub(super) type Lines = Vec<(&'static str, Vec<bool>)>;

pub(super) async fn tell(world: &mut World, suite: CipherSuite, report: &mut AbuseReport) -> Result<()> {
    prepare(world).await?;
    let mut cast = gather(world, suite, report).await?;
    report.step(format!(
        "{} providers; at {} of them somebody has two pseudonyms, one in each of two rooms of {HUB}, and another account, \
         of which the operator knows that it is related",
        homes::domains().len(),
        HOMES.len()
    ));
    spam(&mut cast).await?;
    report.step("each sends spam into both rooms; the hub stamps it, receivers check the stamps and keep them");
    escalate(world, &mut cast, report).await?;
    others(world, &mut cast, report).await?;
    // The hub's requests go out at full hours, and homes decide at theirs: so it takes two steps until something is decided.
    for hours in [2, 4] {
        moved(world, &mut cast, BEGIN + hours * HOUR, Asking::Hub).await?;
    }
    // What is decided to be deleted goes from now on, each at a moment of its own: it is looked at before.
    let before = outcome::what_was_learned(world, &cast)?;
    let found = outcome::by_hand(world, &cast, report).await?;
    ask(world, &mut cast, report).await?;
    wait(world, &mut cast).await?;
    let done = outcome::what_was_done(world, &mut cast, report).await?;
    outcome::reverse(world, &mut cast, report).await?;
    let (more_done, more_found) = outcome::together(world, &mut cast, report).await?;
    world.stop().await?;
    let mut known = outcome::either(before, outcome::what_was_learned(world, &cast)?);
    known.extend(found);
    known.extend(more_found);
    outcome::expect(report, &done, &more_done, &known);
    let cells = |lines: Lines| -> Vec<(&'static str, Vec<String>)> {
        lines.into_iter().map(|(name, cells)| (name, cells.into_iter().map(word).collect())).collect()
    };
    report.tables = format!(
        "{}\n{}\n{}",
        table("what was done, with what the hub asked for", &ways(), &cells(done)),
        table("what is done once operators act on the account", &ways(), &cells(more_done)),
        table("who has learned it", &ways(), &cells(known))
    );
    Ok(())
}

/// Configures all providers, and starts them in the past.
async fn prepare(world: &mut World) -> Result<()> {
    for domain in homes::domains() {
        world.process(domain)?.stop().await?;
        let site = world.fixture().site(domain)?.clone();
        let db = rusqlite::Connection::open(learned::database(&site))?;
        db.execute(NUMBERS, [])?;
        homes::configure(&site)?;
        match HOMES.iter().find(|home| home.domain == domain).map(|home| home.way) {
            Some(Way::BreakGlass) => operators::deal(&site, "opening", None)?,
            Some(Way::Score) => {
                operators::deal(&site, "scores", None)?;
                operators::deal(&site, "opening", Some("opening"))?;
            }
            _ => {}
        }
    }
    world.start_again(BEGIN, |domain| domain != HUB).await
}

/// Who has something to ask, and so is started last: it looks for that when it starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    Hub,
    Homes,
}

/// Moves all clocks.
pub(super) async fn moved(world: &mut World, cast: &mut Cast, offset: i64, asking: Asking) -> Result<()> {
    world.stop().await?;
    world.start_again(offset, |domain| (domain == HUB) == (asking == Asking::Homes)).await?;
    cast.stage.clock.set(offset);
    settle(&mut everybody(cast)).await
}

fn everybody(cast: &mut Cast) -> Vec<&mut Player> {
    let Cast { alice, reporters, puppets, cathy, spammers, .. } = cast;
    [alice, cathy].into_iter().chain(reporters).chain(puppets).chain(spammers).collect()
}

/// Lets all go on until somebody is in a room no more; whether that happens.
pub(super) async fn is_gone(cast: &mut Cast, room: &RoomUri, user: &UserUri) -> Result<bool> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while cast.alice.sees(room, user) && Instant::now() < deadline {
        settle(&mut everybody(cast)).await?;
    }
    Ok(!cast.alice.sees(room, user))
}

async fn gather(world: &World, suite: CipherSuite, report: &mut AbuseReport) -> Result<Cast> {
    let fixture = world.fixture();
    let stage = Stage { suite, clock: Arc::new(MovedClock::new(BEGIN)), http: fixture.anonymous()? };
    let mut alice = stage.join_in(fixture, HUB, "alice", 2).await?;
    let four = ["a.example", "b.example", "c.example", BYSTANDERS];
    let named = |at: usize, kind: &str| format!("{kind}-{at}-canary");
    let reporters = (0..12).zip(four.iter().cycle()).map(|(at, domain)| {
        let (stage, name) = (&stage, named(at, "reporter"));
        async move { stage.join_in(fixture, domain, &name, 1).await }
    });
    let reporters = try_join_all(reporters).await?;
    let puppets = (0..2).map(|at| {
        let (stage, name) = (&stage, named(at, "puppet"));
        async move { stage.join_in(fixture, "c.example", &name, 1).await }
    });
    let puppets = try_join_all(puppets).await?;
    let registered = stage.register(fixture, "c.example", "cathy").await?;
    let cathy_token = registered.device_token.clone();
    let cathy = stage.enter(fixture, "cathy", registered, 1).await?;
    let (mut spammers, mut owners, mut related, mut cases) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for home in HOMES {
        let handle = format!("spammer-{}-canary", home.way.name());
        let registered = stage.register(fixture, home.domain, &handle).await?;
        let (account, token) = (registered.user.clone(), vec![*registered.device_token.as_bytes()]);
        let mut owner = Owner { registered: registered.clone(), marks: Vec::new(), account_mark: Vec::new() };
        if home.way.is_direct() {
            let mut spammer = stage.enter(fixture, &handle, registered, 2).await?;
            if home.way == Way::Quota {
                let third = spammer.draw().await?;
                report.check(third == Err(FailureReason::OverQuota), format!("a third pseudonym of two: {third:?}"));
                report.step(format!("{}: the third pseudonym is refused: over quota", home.domain));
            }
            spammers.push(spammer);
        } else {
            for number in 0..2 {
                let detached = stage.detach(fixture, &mut owner, home.way == Way::Blind).await?;
                let detached = detached.map_err(|problem| anyhow::anyhow!("{handle}: {}", problem.code()))?;
                spammers.push(stage.enter(fixture, &format!("{handle}-{number}"), detached, 1).await?);
            }
        }
        let also = format!("accomplice-{}-canary", home.way.name());
        let registered = stage.register(fixture, home.domain, &also).await?;
        related.push(Owner { registered, marks: Vec::new(), account_mark: Vec::new() });
        operators::done(&["remedy", "relate", &handle, &also], Some(fixture.site(home.domain)?))?;
        // The names are known once the rooms are.
        let (first, second, marks) = (account.clone(), account.clone(), owner.marks.clone());
        cases.push(Case { home, account, handle, token, first, second, marks });
        owners.push(owner);
    }
    let first = room(&mut alice).await?;
    let second = room(&mut alice).await?;
    let rooms = [first.room().clone(), second.room().clone()];
    let mut cast =
        Cast { stage, alice, reporters, puppets, cathy, cathy_token, spammers, owners, related, cases, rooms };
    enter(&mut cast, [&first, &second]).await?;
    Ok(cast)
}

/// Alice makes a room and a link into it.
async fn room(alice: &mut Player) -> Result<RoomLink> {
    let room = NewRoom {
        name: "The canary market".to_owned(),
        description: String::new(),
        identity: IdentityPolicy { pseudonyms: PseudonymUse::Required, disclosure: DisclosurePolicy::open() },
        links: JoinLinkPolicy { multiuser: true, ..JoinLinkPolicy::default() },
        discoverable: false,
    };
    alice.client.command(Command::CreateRoom { room })?;
    let made = alice.until(|event| matches!(event, Event::RoomCreated { .. })).await?;
    let Event::RoomCreated { room, .. } = made else { anyhow::bail!("a room") };
    alice.client.command(Command::CreateLink { room, role: None, uses: None, lifetime: None })?;
    let made = alice.until(|event| matches!(event, Event::LinkCreated { .. })).await?;
    let Event::LinkCreated { link, .. } = made else { anyhow::bail!("a link") };
    Ok(link.parse()?)
}

/// All come into the first room, and the spammers into the second as well, under their other names.
async fn enter(cast: &mut Cast, [first, second]: [&RoomLink; 2]) -> Result<()> {
    let Cast { reporters, puppets, cathy, spammers, cases, .. } = cast;
    for player in reporters.iter_mut().chain(puppets).chain([cathy]) {
        player.join(first).await?;
    }
    let mut players = spammers.iter_mut();
    for case in cases {
        let one = players.next().context("a spammer")?;
        case.first = one.join(first).await?;
        let other = if case.home.way.is_direct() { one } else { players.next().context("a second device")? };
        case.second = other.join(second).await?;
    }
    settle(&mut everybody(cast)).await
}

async fn spam(cast: &mut Cast) -> Result<()> {
    let rooms = cast.rooms.clone();
    for player in &mut cast.spammers {
        for room in &rooms {
            if player.is_in(room) {
                player.send(room, SPAM)?;
            }
        }
    }
    let first = &rooms[0];
    cast.cathy.send(first, HARMLESS)?;
    cast.reporters.first_mut().context("a reporter")?.send(first, HARMLESS)?;
    settle(&mut everybody(cast)).await
}

/// What a hub decides, the mildest first.
const DECISIONS: [&str; 8] =
    ["nothing", "mute", "kick", "ban for 168 hours", "ban", "ask_suspend", "ask_remove", "ask_delete"];

/// What the hub has decided about a user.
fn decisions(world: &World, user: &UserUri) -> Result<Vec<String>> {
    let query = "SELECT remedy || CASE hours WHEN 0 THEN '' ELSE ' for ' || hours || ' hours' END \
                 FROM abuse_decisions WHERE subject = ?1";
    column(world.fixture().site(HUB)?, query, user.as_str())
}

/// The most of it.
pub(super) fn decided(world: &World, user: &UserUri) -> Result<&'static str> {
    let all = decisions(world, user)?;
    let most = DECISIONS.into_iter().rev().find(|decision| all.iter().any(|one| one == decision));
    Ok(most.unwrap_or("nothing"))
}

/// Reports about one pseudonym, one by one: the hub goes through what it can do alone, and then asks.
async fn escalate(world: &World, cast: &mut Cast, report: &mut AbuseReport) -> Result<()> {
    let (room, user) = (cast.rooms[0].clone(), cast.case(0)?.first.clone());
    let expected = ["nothing", "mute", "kick", "ban for 168 hours", "ban for 168 hours", "ban", "ask_suspend"];
    for (at, expected) in expected.into_iter().enumerate() {
        let reporter = cast.reporters.get_mut(at).context("a reporter")?;
        reporter.report(&room, &user, "spam").await?;
        if at == 1 {
            // The same account once more, about the same user, counts once.
            reporter.report(&room, &user, "spam, again").await?;
        }
        let now = decided(world, &user)?;
        report.check(now == expected, format!("after {} reports the hub has decided {now}, not {expected}", at + 1));
        report.step(format!("report {}, by an account of {}: {now}", at + 1, reporter.domain()));
        match expected {
            "mute" => {
                let heard = cast.spammer(0)?.is_heard(&room, "again").await?;
                report.check(!heard, "a muted spammer is heard");
            }
            "kick" => {
                let gone = is_gone(cast, &room, &user).await?;
                report.check(gone, "a spammer who was to be removed is still in the room");
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is reported besides: the other spammers, somebody innocent by everybody, and somebody by five accounts of one provider.
async fn others(world: &World, cast: &mut Cast, report: &mut AbuseReport) -> Result<()> {
    let room = cast.rooms[0].clone();
    let mut targets: Vec<UserUri> = cast.cases.iter().skip(1).map(|case| case.first.clone()).collect();
    let (cathy, victim) = (cast.cathy.name_in(&room)?, cast.reporters.first().context("a reporter")?.name_in(&room)?);
    targets.push(cathy.clone());
    // All at once: what a hub takes at the same time it decides from one after the other.
    let all = cast.reporters.iter_mut().map(|reporter| {
        let (room, targets) = (&room, &targets);
        async move {
            for target in targets {
                reporter.report(room, target, "spam").await?;
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    try_join_all(all).await?;
    for target in &targets {
        let steps = decisions(world, target)?;
        let all: BTreeSet<&str> = DECISIONS[1..].iter().copied().collect();
        report.check(
            steps.iter().map(String::as_str).collect::<BTreeSet<_>>() == all,
            format!("a step was left out: {steps:?}"),
        );
    }
    let Cast { reporters, puppets, .. } = cast;
    let of_one = reporters.iter_mut().filter(|reporter| reporter.domain() == "c.example").chain(puppets);
    let mut count = 0;
    for puppet in of_one {
        puppet.report(&room, &victim, "spam").await?;
        count += 1;
    }
    settle(&mut everybody(cast)).await?;
    let about_victim = decided(world, &victim)?;
    report.check(about_victim == "kick", format!("sock puppets have brought about {about_victim}"));
    report.step(format!(
        "{count} accounts of one provider report somebody harmless: three of them count, and it comes to {about_victim}, in \
         that room; not to a ban"
    ));
    let about_cathy = decided(world, &cathy)?;
    report.check(about_cathy == "ask_delete", format!("about Cathy the hub has decided {about_cathy}"));
    report.step(format!(
        "twelve accounts of four providers report, all at the same time, \"{HARMLESS}\", which Cathy has written: a machine sees the same as with \
         spam, and it comes to {about_cathy}"
    ));
    for case in cast.cases.iter().skip(1) {
        let now = decided(world, &case.first)?;
        report.check(now == "ask_delete", format!("{}: the hub has decided {now}", case.home.domain));
    }
    Ok(())
}

/// What a home has decided about accounts, the last first.
fn decided_at(world: &World, domain: &str) -> Result<Vec<String>> {
    let query = "SELECT remedy FROM account_decisions WHERE cause <> CAST(?1 AS INTEGER) ORDER BY decided_at DESC";
    column(world.fixture().site(domain)?, query, "0")
}

/// What one home decides about an account, as the hub asks for more: two steps each.
async fn ask(world: &mut World, cast: &mut Cast, report: &mut AbuseReport) -> Result<()> {
    let (room, user) = (cast.rooms[0].clone(), cast.case(0)?.first.clone());
    // By the table that is built in it takes four reports more until the hub asks for more, and they are from four providers.
    let stages = [("suspend", Some((7..11, "ask_remove"))), ("remove", Some((11..12, "ask_delete"))), ("delete", None)];
    let mut hours = 4;
    for (expected, next) in stages {
        let has = decided_at(world, "b.example")?;
        // To delete is asked for with related accounts.
        let accounts = if expected == "delete" { 2 } else { 1 };
        report.check(has == vec![expected; accounts], format!("b.example has decided {has:?}, not {expected}"));
        report.step(format!("b.example decides at its own moment: {expected}"));
        if expected == "suspend" {
            let drawn = cast.spammer(0)?.draw().await?;
            report.check(matches!(drawn, Err(FailureReason::Refused { .. })), "a suspended account draws pseudonyms");
            appeal(world, cast, report).await?;
        }
        if let Some((reporters, asked)) = next {
            for reporter in reporters.clone() {
                let before = decided(world, &user)?;
                report.check(before != asked, format!("{asked} was decided before report {}", reporter + 1));
                cast.reporters.get_mut(reporter).context("a reporter")?.report(&room, &user, "spam").await?;
            }
            let now = decided(world, &user)?;
            report.check(now == asked, format!("the hub has decided {now}, not {asked}"));
            report.step(format!("report {}: {now}", reporters.end));
            for _ in 0..2 {
                hours += 2;
                moved(world, cast, BEGIN + hours * HOUR, Asking::Hub).await?;
            }
        }
    }
    Ok(())
}

async fn appeal(world: &World, cast: &Cast, report: &mut AbuseReport) -> Result<()> {
    let appeal = AppealRequest { text: format!("I wrote: {HARMLESS}") };
    let token = Some(&cast.cathy_token);
    let stands = cast.stage.post(world.fixture(), "c.example", APPEAL_PATH, token, appeal.encode()).await?;
    let stands = stands.map_err(|problem| anyhow::anyhow!("the appeal: {}", problem.code()))?;
    let Standing { remedy, appeal, .. } = Standing::decode(&stands)?;
    let expected = (StandingRemedy::Deleted, AppealState::Open);
    report.check((remedy, appeal) == expected, format!("Cathy stands: {remedy:?}, {appeal:?}"));
    report
        .step("Cathy sees that her account is to be deleted, and appeals: until that is answered, nothing is deleted");
    Ok(())
}

/// What homes have decided shows, for each pseudonym at a moment of its own; where they act on the account, both of its names
/// leave their rooms, which takes a commit of somebody who is in there.
async fn wait(world: &mut World, cast: &mut Cast) -> Result<()> {
    moved(world, cast, BEGIN + 60 * HOUR, Asking::Homes).await?;
    let acted = |case: &&Case| matches!(case.home.way, Way::Direct | Way::Quota | Way::ActOnly);
    let leaving: Vec<_> = cast.cases.iter().filter(acted).map(|case| case.second.clone()).collect();
    let room = cast.rooms[1].clone();
    for user in leaving {
        is_gone(cast, &room, &user).await?;
    }
    Ok(())
}
