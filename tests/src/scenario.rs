//! The scenarios, and what each gives back for printing.

pub mod abuse;
pub mod client_crash;
pub mod connection;
pub mod consent;
pub mod crash;
pub mod devices;
pub mod join_link;
pub mod knock;
pub mod recovery;
pub(crate) mod rooms;
mod world;

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::Result;
use mimi_pseudonym::{CipherSuite, DisclosureFormat};

pub use self::world::{THREE, TWO, World};
use crate::{
    fixture::Keep,
    ladder::{Arrow, Draft, Finding, HandOver, Mark, arrows, check, draw, hand_over},
    record::{Actor, Cast, Line, merge, read},
    sight::Sight,
};

/// What a scenario found out.
#[derive(Debug)]
pub struct Report {
    /// The scenario and its variant.
    pub name: String,
    /// The section of the pseudonyms draft that it is about.
    pub draft: Draft,
    /// Everything that went from one to another, in order.
    pub arrows: Vec<Arrow>,
    /// Moments to see in the diagram.
    pub marks: Vec<Mark>,
    /// The draft's arrows and where they were found.
    pub findings: Vec<Finding>,
    /// What each provider could see.
    pub sight: Option<Sight>,
    /// Wall clock of the whole.
    pub elapsed: Duration,
    /// What went wrong besides.
    pub failures: Vec<String>,
    /// Where databases and logs were left.
    pub kept: Option<PathBuf>,
}

/// How a scenario is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// The MLS suite.
    pub suite: CipherSuite,
    /// The format in which identities are disclosed.
    pub format: DisclosureFormat,
    /// Whether databases and logs are left.
    pub keep: Keep,
}

impl Report {
    /// Everything that is not as it should be, each as a line.
    ///
    /// # Errors
    /// If the table of what each provider could see is incomplete.
    pub fn failures(&self) -> Result<Vec<String>> {
        let mut failures = self.failures.clone();
        for Finding { draft, .. } in self.findings.iter().filter(|finding| finding.place.is_none()) {
            let (diagram, number) = draft.number;
            let label = if draft.label.is_empty() { "(answer)" } else { draft.label };
            let (from, to) = (draft.from.name(), draft.to.name());
            let section = self.draft.section;
            failures.push(format!("missing: arrow {diagram}.{number} of section {section}, {from} to {to}: {label}"));
        }
        match &self.sight {
            Some(sight) => failures.extend(sight.failures()?),
            None => failures.push("nothing was searched for in what the providers saw".into()),
        }
        Ok(failures)
    }
}

/// Diagram and table. The verdict is [`Report::failures`].
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", draw(&self.draft, &self.arrows, &self.findings, &self.marks))?;
        if let Some(sight) = &self.sight {
            writeln!(f, "{sight}")?;
        }
        let found = self.findings.iter().filter(|finding| finding.place.is_some()).count();
        let extra = self.arrows.len().saturating_sub(found);
        let section = self.draft.section;
        writeln!(f, "{found} of {} arrows of section {section} happened, and {extra} others", self.findings.len())
    }
}

/// What the clients' part of a scenario tells of itself, for the report.
#[derive(Debug, Default)]
pub struct Story {
    /// Moments to see in the diagram.
    pub marks: Vec<Mark>,
    /// What to look for in what the providers saw, with what is expected.
    pub sight: Option<Sight>,
    /// What was handed over without any provider.
    pub handed: Vec<HandOver>,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// Puts the report together from what the providers left behind.
async fn report(name: String, draft: Draft, mut world: World, story: Story, keep: Keep) -> Result<Report> {
    let elapsed = world.elapsed();
    world.stop().await?;
    let fixture = world.fixture();
    let mut sight = story.sight;
    let mut recordings: Vec<(String, Vec<Line>)> = Vec::new();
    for site in fixture.sites() {
        let lines = read(&site.exchanges())?;
        if let Some(sight) = &mut sight {
            sight.look_at_exchanges(site.domain().as_str(), &lines);
            sight.look_at_files(site.domain().as_str(), &site.data(), &site.log())?;
        }
        // What was asked before the story began was no part of it.
        let lines = lines.into_iter().filter(|line| line.at_ms >= world.ready_ms()).collect();
        recordings.push((site.domain().to_string(), lines));
    }
    let troupes = || recordings.iter().zip(TROUPES);
    let servers: Vec<_> = troupes().map(|((domain, _), (server, _))| (domain.as_str(), server)).collect();
    let cast =
        troupes().fold(Cast::new(&servers), |cast, ((_, lines), (_, clients))| cast.with_registered(lines, &clients));
    let lines: Vec<_> = recordings.iter().map(|(domain, lines)| (domain.as_str(), lines.as_slice())).collect();
    let mut arrows = arrows(&merge(&cast, &lines)?);
    hand_over(&mut arrows, &story.handed);
    Ok(Report {
        name,
        findings: check(&draft, &arrows),
        draft,
        arrows,
        marks: story.marks,
        sight,
        elapsed,
        failures: story.failures,
        kept: (keep == Keep::Yes).then(|| fixture.root().to_owned()),
    })
}

/// Who is at each provider, in the order in which they register.
const TROUPES: [(Actor, [Actor; 2]); 3] = [
    (Actor::ServerA, [Actor::ClientA1, Actor::ClientA2]),
    (Actor::ServerB, [Actor::ClientB1, Actor::ClientB2]),
    (Actor::ServerC, [Actor::ClientC1, Actor::ClientC2]),
];
