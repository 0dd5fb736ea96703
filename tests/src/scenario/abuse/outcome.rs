//! What came of it: what was done, what operators find out by hand, what is taken back, and who has learned what.

use anyhow::{Context, Result};
use mimi_flow::FailureReason;
use mimi_pseudonym::{UserUri, Wire};
use mimi_tie::break_glass::{Entry, OwnerMark};
use mimi_wire::{
    Problem,
    local::{OPENINGS_PATH, OpeningsResponse, PSEUDONYMS_PATH, PseudonymsRequest},
};

use super::{
    AbuseReport, Case, HARMLESS, World,
    cast::Player,
    homes::{HOMES, HUB, Way},
    learned::{self, column, learned},
    operators,
    story::{Asking, Cast, HOUR, Lines, decided, is_gone, moved},
};
use crate::fixture::Site;

/// What was done about each spammer, seen from outside.
pub(super) async fn what_was_done(world: &World, cast: &mut Cast, report: &mut AbuseReport) -> Result<Lines> {
    let rooms = cast.rooms.clone();
    let mut lines: Lines = [
        "the reported pseudonym is out of its room",
        "the account gets no more pseudonyms",
        "its other pseudonym is silenced, though nobody has reported it",
        "its other pseudonym is out of its room",
        "a related account gets no more pseudonyms",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    let mut at = 0;
    for (number, case) in cast.cases.iter().enumerate() {
        let out = !cast.alice.sees(&rooms[0], &case.first);
        let other = if case.home.way.is_direct() { at } else { at + 1 };
        let owner = cast.owners.get_mut(number).context("an owner")?;
        let spammer = cast.spammers.get_mut(at).context("a spammer")?;
        let refused = match case.home.way.is_direct() {
            true => {
                let drawn = spammer.draw().await?;
                matches!(drawn, Err(FailureReason::Refused { .. }))
            }
            false => {
                let drawn = cast.stage.detach(world.fixture(), owner, case.home.way == Way::Blind).await?;
                matches!(drawn, Err(Problem::Forbidden | Problem::Unauthorized))
            }
        };
        let spammer = cast.spammers.get_mut(other).context("a spammer")?;
        let silenced = !spammer.is_heard(&rooms[1], "still here").await?;
        let gone = !cast.alice.sees(&rooms[1], &case.second);
        let related = cast.related.get_mut(number).context("a related account")?;
        let drawn = match case.home.way.is_direct() {
            true => {
                let (token, request) = (related.registered.device_token.clone(), PseudonymsRequest { count: 1 });
                let domain = case.home.domain;
                cast.stage
                    .post(world.fixture(), domain, PSEUDONYMS_PATH, Some(&token), request.encode())
                    .await?
                    .map(drop)
            }
            false => cast.stage.detach(world.fixture(), related, case.home.way == Way::Blind).await?.map(drop),
        };
        let as_well = matches!(drawn, Err(Problem::Forbidden | Problem::Unauthorized));
        for ((_, cells), cell) in lines.iter_mut().zip([out, refused, silenced, gone, as_well]) {
            cells.push(cell);
        }
        at = other + 1;
    }
    report.step("two and a half days later it is looked at what was done about the six");
    Ok(lines)
}

/// What operators of homes find out together, and do about the account that they have found.
pub(super) async fn by_hand(world: &World, cast: &Cast, report: &mut AbuseReport) -> Result<Lines> {
    let mut lines: Lines = [
        "one operator of three, two being needed: the account",
        "two operators, with an entry in the log about another pseudonym: the account",
        "two operators, with an entry in the log about this one: the account",
        "the account's owner: that its pseudonym was opened",
        "two operators: that the account was complained about often, and not under which name",
        "the process that acts, if it were to tell: the account",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for case in &cast.cases {
        let site = world.fixture().site(case.home.domain)?;
        let mut cells = [false; 6];
        match case.home.way {
            Way::BreakGlass => {
                cells[0] = operators::open(site, case, &[0], &case.first)?;
                cells[1] = operators::open(site, case, &[0, 2], &case.second)?;
                cells[2] = operators::open(site, case, &[0, 2], &case.first)?;
                cells[3] = recognised(cast, site, case).await?;
                operators::done(&["remedy", "set", &case.handle, "suspend"], Some(site))?;
                report.step(
                    "break glass: two of three operators open the account after an entry in the log, and suspend it",
                );
            }
            Way::Score => {
                // Three requests with evidence, each four; nobody else there was complained about.
                let (reached, more) =
                    (operators::has_reached(site, &case.handle, 12)?, operators::has_reached(site, &case.handle, 13)?);
                report.check(reached && !more, format!("the score has reached 12: {reached}, and 13: {more}"));
                cells[4] = reached;
                operators::done(&["remedy", "set", &case.handle, "suspend"], Some(site))?;
                report.step("score: two of three operators learn that the account has reached 12, and suspend it");
            }
            Way::ActOnly => cells[5] = learned::acts(site, case)?,
            Way::Direct | Way::Quota | Way::Blind => {}
        }
        for ((_, line), cell) in lines.iter_mut().zip(cells) {
            line.push(cell);
        }
    }
    Ok(lines)
}

/// What operators do about the account with all its pseudonyms, where that is for them to do, and who learns what by it.
pub(super) async fn together(world: &mut World, cast: &mut Cast, report: &mut AbuseReport) -> Result<(Lines, Lines)> {
    let mut done: Lines =
        ["its other pseudonym is silenced, though nobody has reported it", "its other pseudonym is out of its room"]
            .map(|name| (name, Vec::new()))
            .into();
    let mut found: Lines = [
        "one operator of three, two being needed: the account's other pseudonym",
        "two operators, with an entry in the log about the account: its other pseudonym",
        "the account's owner: that the list of its pseudonyms was opened",
    ]
    .map(|name| (name, Vec::new()))
    .into();
    for (number, case) in cast.cases.iter().enumerate() {
        let site = world.fixture().site(case.home.domain)?;
        let holders = site.config().parent().context("a folder")?.to_owned();
        let mut cells = [false; 3];
        let holders = match case.home.way {
            Way::BreakGlass => Some(holders),
            Way::Score => Some(holders.join("opening")),
            Way::Blind => {
                operators::done(&["remedy", "set", &case.handle, "remove"], Some(site))?;
                None
            }
            Way::Direct | Way::Quota | Way::ActOnly => None,
        };
        if let Some(holders) = holders {
            let acted = operators::act_together(site, case, &holders)?;
            let mark = cast.owners.get(number).context("an owner")?.account_mark.clone();
            cells = [acted.alone, acted.found, openings_of(cast, site, mark, &case.account).await? == 1];
        }
        for ((_, line), cell) in found.iter_mut().zip(cells) {
            line.push(cell);
        }
    }
    report.step(
        "break glass and score: two of three operators find all pseudonyms of the account, after an entry about it in the \
         log, and have them leave their rooms; with blind tokens the operator suspends the account, which reaches none",
    );
    // Within a day each of them has had its moment.
    moved(world, cast, 28 * HOUR, Asking::Homes).await?;
    let room = cast.rooms[1].clone();
    let leave = |case: &&Case| matches!(case.home.way, Way::BreakGlass | Way::Score);
    let leaving: Vec<_> = cast.cases.iter().filter(leave).map(|case| case.second.clone()).collect();
    for user in leaving {
        is_gone(cast, &room, &user).await?;
    }
    let mut at = 0;
    for case in &cast.cases {
        let other = if case.home.way.is_direct() { at } else { at + 1 };
        let spammer = cast.spammers.get_mut(other).context("a spammer")?;
        let silenced = !spammer.is_heard(&room, "still here").await?;
        let gone = !cast.alice.sees(&room, &case.second);
        for ((_, cells), cell) in done.iter_mut().zip([silenced, gone]) {
            cells.push(cell);
        }
        at = other + 1;
    }
    Ok((done, found))
}

/// Whether the owner of the reported pseudonym finds its opening in the public log, by the mark that it was given.
async fn recognised(cast: &Cast, site: &Site, case: &Case) -> Result<bool> {
    let mark = case.marks.first().context("the owner's mark")?.clone();
    // The entry for one operator alone, and the one for two.
    Ok(openings_of(cast, site, mark, &case.first).await? == 2)
}

/// How many entries in the public log are about a pseudonym or an account, for whoever knows its mark.
async fn openings_of(cast: &Cast, site: &Site, mark: Vec<u8>, of: &UserUri) -> Result<usize> {
    let url = site.url(&format!("{OPENINGS_PATH}?after=0"));
    let body = cast.stage.http.get(url).send().await?.error_for_status()?.bytes().await?;
    let entries: Vec<Entry> =
        OpeningsResponse::decode(&body)?.entries.iter().map(|entry| Entry::decode(entry)).collect::<Result<_, _>>()?;
    let mark = mark.try_into().map_err(|_| anyhow::anyhow!("a mark of 16 octets"))?;
    Ok(OwnerMark::restore(mark, of.clone()).openings(&entries).len())
}

/// Cathy's provider reads her appeal and grants it; the hub's operator reads the evidence and pardons her.
pub(super) async fn reverse(world: &mut World, cast: &mut Cast, report: &mut AbuseReport) -> Result<()> {
    let cathy = cast.cathy.name_in(&cast.rooms[0])?;
    let before = cast.cathy.draw().await?;
    report.check(before.is_err(), "Cathy's account draws pseudonyms before anybody has looked at her case");
    let home = world.fixture().site("c.example")?.clone();
    let listed = operators::done(&["appeal", "list"], Some(&home))?;
    report.check(listed.contains(HARMLESS), "Cathy's appeal does not reach the operator");
    operators::done(&["appeal", "grant", "cathy"], Some(&home))?;
    let after = cast.cathy.draw().await?;
    report.check(after == Ok(()), format!("Cathy's account draws no pseudonyms after her appeal: {after:?}"));
    report.step("the operator of her provider reads her appeal and grants it: her account is as before");
    let hub = world.fixture().site(HUB)?.clone();
    operators::done(&["pardon", cathy.as_str()], Some(&hub))?;
    let now = decided(world, &cathy)?;
    report.check(now == "nothing", format!("about Cathy still holds: {now}"));
    moved(world, cast, 2 * HOUR, Asking::Hub).await?;
    let query = "SELECT 'reversal' FROM remedy_requests WHERE subject = ?1 AND wanted = 0";
    let reversed = column(&home, query, cathy.as_str())?;
    report.check(reversed.len() == 1, "the hub has not asked for a reversal");
    report.step("the hub's operator reads the evidence and pardons her; the hub asks her provider for a reversal");
    Ok(())
}

pub(super) fn what_was_learned(world: &World, cast: &Cast) -> Result<Lines> {
    let accounts: Vec<String> = cast.reporters.iter().map(Player::account).collect();
    let mut lines: Lines = Vec::new();
    for case in &cast.cases {
        let of_case = learned(world.fixture(), case, &accounts)?;
        if lines.is_empty() {
            lines = of_case.iter().map(|(name, _)| (*name, Vec::new())).collect();
        }
        for ((_, cells), (_, cell)) in lines.iter_mut().zip(of_case) {
            cells.push(cell);
        }
    }
    Ok(lines)
}

/// What was learned at one time or at another.
pub(super) fn either(mut one: Lines, other: Lines) -> Lines {
    for ((_, cells), (_, more)) in one.iter_mut().zip(other) {
        for (cell, also) in cells.iter_mut().zip(more) {
            *cell |= also;
        }
    }
    one
}

/// What must hold whatever the page says.
pub(super) fn expect(report: &mut AbuseReport, done: &Lines, more_done: &Lines, known: &Lines) {
    for (name, cells) in known.iter().filter(|(name, _)| name.starts_with("the hub: ")) {
        report.check(cells.iter().all(|cell| !cell), format!("LEAK: {name}"));
    }
    if let Some((name, cells)) = done.first() {
        report.check(cells.iter().all(|cell| *cell), format!("not at every home: {name}"));
    }
    let direct = |lines: &Lines| lines.iter().all(|(_, cells)| cells.first() == Some(&true));
    report.check(direct(done), "with direct ties not everything was done");
    let blind = HOMES.iter().position(|home| home.way == Way::Blind);
    for (name, cells) in more_done {
        let all = cells.iter().enumerate().all(|(at, cell)| *cell == (Some(at) != blind));
        report.check(all, format!("at every home but the blind one: {name}"));
    }
}
