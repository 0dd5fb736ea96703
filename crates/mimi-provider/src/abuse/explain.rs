use std::fmt::Write;

use mimi_pseudonym::{Timestamp, UserUri};

use super::Abuse;
use crate::{
    Config, KeyFileError, StartError, keys,
    store::{Opening, Store},
};

/// What speaks against a user in this hub's rooms, what would be decided now, and why: computed from the stored facts, one
/// fact a line. A provider may run on the same database meanwhile.
///
/// # Errors
/// [`StartError`] if the database or the table of signals cannot be read.
pub fn explain(config: &Config, user: &UserUri, now: Timestamp) -> Result<String, StartError> {
    let store = Store::of(config, Opening::Use)?;
    let decision = Abuse::load(config, &store)?.table.decide(&store.facts(user)?, now);
    let mut text = match decision.step {
        Some(step) => format!("{}: score {:.2}, from {:.2} on\n", step.remedy.name(), decision.score, step.score),
        None => format!("nothing: score {:.2}\n", decision.score),
    };
    for share in &decision.because {
        let fact = &share.fact;
        let room = fact.room.as_ref().map_or("", |room| room.as_str());
        // Writing into memory does not fail.
        let _ = writeln!(
            text,
            "{:+.2} {} by {} at {} {room}",
            share.adds,
            fact.kind,
            fact.source.domain,
            fact.at.as_secs()
        );
    }
    Ok(text)
}

/// Forgets all that speaks against a user in this hub's rooms. If the user's provider was asked for a remedy, it is asked to
/// reverse that. A provider may run on the same database meanwhile.
///
/// # Errors
/// [`StartError`] if the database cannot be read or written.
pub fn pardon(config: &Config, user: &UserUri, now: Timestamp) -> Result<(), StartError> {
    let store = Store::of(config, Opening::Use)?;
    let keys = keys::hub_keys(&store, config.domain())?;
    let reversal = super::ask::reversal(&keys, config.domain(), user, now).ok_or(KeyFileError::Hub)?;
    store.pardon(user, &reversal)?;
    Ok(())
}
