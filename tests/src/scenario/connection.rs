//! The connection flow: section 3.1 of the pseudonyms draft.

mod expected;

use anyhow::{Context, Result};

pub use self::expected::{Met, sight};
use super::{Report, Story, Variant, World, report};

/// Runs the flow between two providers.
///
/// # Errors
/// If it cannot be run to its end. What it finds wrong is in the report.
pub async fn run(variant: Variant) -> Result<Report> {
    let name = format!("connection-{}", variant.suite.code());
    let mut world = World::start(&name, variant.keep).await?;
    let story = story(&mut world, variant).await.with_context(|| format!("{name} broke off"))?;
    report(name, world, story, variant.keep).await
}

/// What Alice's and Bob's clients do. The providers run, and answer each other.
///
/// The order of registration says who is who in the diagram: at each provider the first client first.
async fn story(_world: &mut World, _variant: Variant) -> Result<Story> {
    // ---------------------------------------------------------------------------------------------------------------
    // The clients' part goes here, with `crate::people`; then `sight(world.domains(), &Met { … })` into `Story::sight`.
    // ---------------------------------------------------------------------------------------------------------------
    Ok(Story::default())
}
