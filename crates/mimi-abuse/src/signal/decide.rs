use std::{cmp::Ordering, collections::BTreeMap, fmt};

use mimi_pseudonym::{Domain, Timestamp};

use super::{
    fact::{Fact, SignalKind, Source},
    table::{Step, Table},
};

/// What one fact adds to a score.
#[derive(Clone, PartialEq, Debug)]
pub struct Share {
    /// The fact.
    pub fact: Fact,
    /// What it adds now; 0 if another fact of the same source counts in its place, or if enough sources of its provider
    /// count already.
    pub adds: f64,
}

/// What is to be done about a user, and why. Its `Display` is an explanation for the operator.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// The score.
    pub score: f64,
    /// The highest step that is reached, if any is.
    pub step: Option<Step>,
    /// What adds to the score, the most first.
    pub because: Vec<Share>,
}

impl Table {
    /// Decides from the facts about one user what is to be done now. The order of the facts does not matter, nor does
    /// whether some stand there twice.
    pub fn decide(&self, facts: &[Fact], now: Timestamp) -> Decision {
        let mut because: Vec<Share> = facts.iter().map(|fact| self.share(fact, now)).collect();
        because.sort_by(|one, other| {
            other.adds.partial_cmp(&one.adds).unwrap_or(Ordering::Equal).then_with(|| order(&one.fact, &other.fact))
        });
        let mut counted: BTreeMap<(SignalKind, Domain), Vec<Source>> = BTreeMap::new();
        for share in &mut because {
            let Fact { kind, source, .. } = &share.fact;
            let most = self.weights.get(kind).map_or(0, |weight| usize::from(weight.per_provider));
            let sources = counted.entry((*kind, source.domain.clone())).or_default();
            if sources.contains(source) || sources.len() >= most {
                share.adds = 0.0;
            } else {
                sources.push(source.clone());
            }
        }
        because.sort_by(|one, other| other.adds.partial_cmp(&one.adds).unwrap_or(Ordering::Equal));
        let score = because.iter().fold(0.0, |sum, share| sum + share.adds);
        let step = self.steps.iter().rev().find(|step| step.score <= score).copied();
        Decision { score, step, because }
    }

    fn share(&self, fact: &Fact, now: Timestamp) -> Share {
        let adds = self.weights.get(&fact.kind).map_or(0.0, |weight| weight.after(now.since(fact.at)));
        Share { fact: fact.clone(), adds }
    }
}

/// Some order, the same however the facts came.
fn order(one: &Fact, other: &Fact) -> Ordering {
    (&one.kind, &one.source, one.at, &one.room).cmp(&(&other.kind, &other.source, other.at, &other.room))
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "{} (score {:.2}, from {:.2} on)", step.remedy.name(), self.score, step.score)?,
            None => write!(f, "nothing (score {:.2})", self.score)?,
        }
        for Share { fact, adds } in &self.because {
            let Fact { kind, source, at, .. } = fact;
            write!(f, "; {kind} by {} at {}: {adds:+.2}", source.domain, at.as_secs())?;
        }
        Ok(())
    }
}
