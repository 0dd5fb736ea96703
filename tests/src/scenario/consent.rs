//! Consent between two providers, in the middle of the connection flow: Bob does not let everybody connect, and by the time
//! he accepts, the KeyPackages that Alice gave him have ended.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use mimi_flow::{Command, Delays, Event};
use mimi_wire::Endpoint;
use tokio::time::Instant;

use super::{TWO, Variant, World};
use crate::{
    call::Call,
    fixture::Keep,
    people::{A1, B1, B2, MovedClock, People, alice, away_from_midnight, bob, seconds_to_midnight},
    record::read,
};

/// What came of it.
#[derive(Debug, Default)]
pub struct ConsentReport {
    /// The scenario and its variant.
    pub name: String,
    /// What happened, in order.
    pub steps: Vec<String>,
    /// What went wrong.
    pub failures: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// Where databases and logs were left.
    pub kept: Option<PathBuf>,
}

impl fmt::Display for ConsentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().enumerate().try_for_each(|(number, step)| writeln!(f, "{:>3}. {step}", number + 1))
    }
}

/// MLS compares lifetimes with the machine's clock as well: KeyPackages of the beginning hold to the end of the present day, and
/// what is made at its end holds by the machine's clock, as it begins with this day.
const BEGIN: i64 = -60 * 86_400;

/// Runs it.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(variant: Variant) -> Result<ConsentReport> {
    let begun = Instant::now();
    let name = format!("consent-{}", variant.suite.code());
    let mut world = World::start(&name, &TWO, variant.keep).await?;
    let mut report = ConsentReport { name: name.clone(), ..ConsentReport::default() };
    story(&mut world, variant, &mut report).await.with_context(|| format!("{name} broke off"))?;
    world.stop().await?;
    look(&world, &mut report)?;
    report.elapsed = begun.elapsed();
    report.kept = (variant.keep == Keep::Yes).then(|| world.fixture().root().to_owned());
    Ok(report)
}

async fn story(world: &mut World, variant: Variant, report: &mut ConsentReport) -> Result<()> {
    let patience = Duration::from_secs(60);
    away_from_midnight().await;
    let clock = Arc::new(MovedClock::new(BEGIN));
    world.move_clocks(BEGIN).await?;
    let delays = Delays { key_package_lifetime: Duration::from_secs(60 * 86_400), ..Delays::default() };
    let mut people = People::register_with(world.fixture(), variant.suite, clock, "", delays).await?.in_turn();
    people.prepare().await?;
    people.command(B1, Command::ConsentToConnections { allowed: false })?;
    people.settle().await?;
    report.steps.push("Bob lets nobody connect without being asked".into());

    people.command(A1, People::connecting("")?)?;
    let asked = |told: &[(&'static str, Event)]| {
        let both = ["ClientB1", "ClientB2"];
        both.iter()
            .all(|name| told.iter().any(|(who, event)| who == name && matches!(event, Event::ConsentRequested { .. })))
    };
    people.until(patience, asked).await?;
    people.settle().await?;
    let consent = people.told.iter().find_map(|(_, event)| match event {
        Event::ConsentRequested { consent } => Some(consent.clone()),
        _ => None,
    });
    let consent = consent.context("a request for consent")?;
    if !consent.requester.is_pseudonym() || consent.target.to_string() != bob::URI || consent.room.is_none() {
        report.failures.push("Bob is asked by someone else, or for something else".into());
    }
    report
        .steps
        .push("a pseudonym of Alice's asks for Bob's KeyPackages for one room; both his devices are told".into());

    people.command(B2, Command::GrantConsent { consent })?;
    let requested = |told: &[(&'static str, Event)]| {
        told.iter().any(|(who, event)| *who == "ClientB1" && matches!(event, Event::ConnectionRequested { .. }))
    };
    people.until(patience, requested).await?;
    people.settle().await?;
    let decided = people
        .told
        .iter()
        .any(|(who, event)| *who == "ClientB1" && matches!(event, Event::ConsentDecided { granted: true, .. }));
    if !decided {
        report.failures.push("Bob's other device was not told that he has decided".into());
    }
    let request = people.request()?;
    report.steps.push("he consents; the flow goes on, and he learns who it is".into());

    let ended = seconds_to_midnight() + 60;
    world.move_clocks(ended).await?;
    people = people.reopen(world.fixture())?;
    people.clock.set(ended);
    people.settle().await?;
    if people.devices.iter().any(|device| device.client.device().rooms().count() > 0) {
        report.failures.push("the temporary room is still there".into());
    }
    report
        .steps
        .push("60 days pass: the KeyPackages that Alice gave have ended, and the temporary room is gone".into());

    people.accept(request).await?;
    report
        .steps
        .push("Bob accepts: a pseudonym of his asks for fresh ones, Alice's device gives them, and they meet".into());
    Ok(())
}

/// What the recordings say.
fn look(world: &World, report: &mut ConsentReport) -> Result<()> {
    let count = |domain: &str, endpoint: Endpoint| -> Result<usize> {
        let lines = read(&world.fixture().site(domain)?.exchanges())?;
        Ok(lines
            .iter()
            .filter(|line| line.server && Call::of(&line.method, &line.path) == Call::Peer(endpoint))
            .count())
    };
    for (domain, endpoint) in [
        ("b.example", Endpoint::RequestConsent),
        ("a.example", Endpoint::UpdateConsent),
        ("a.example", Endpoint::RequestConsent),
        ("b.example", Endpoint::UpdateConsent),
    ] {
        let requests = count(domain, endpoint)?;
        report.steps.push(format!("{domain} was sent {requests} {}", endpoint.name()));
        if requests != 1 {
            report.failures.push(format!("{domain} was sent {requests} {} instead of one", endpoint.name()));
        }
    }
    let holds = |octets: &[u8], text: &str| octets.windows(text.len()).any(|window| window == text.as_bytes());
    let lines = read(&world.fixture().site("b.example")?.exchanges())?;
    for secret in [alice::HANDLE, alice::EMAIL, alice::DISPLAY_NAME] {
        if lines.iter().any(|line| holds(&line.request, secret) || holds(&line.response, secret)) {
            report.failures.push("Bob's provider was sent who Alice is".into());
        }
    }
    Ok(())
}
