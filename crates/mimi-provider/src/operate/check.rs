use std::{path::Path, time::Duration};

use mimi_pseudonym::Timestamp;
use mimi_tie::Way;

use super::Schema;
use crate::{
    Config, abuse,
    assets::Assets,
    chain, keys,
    store::{Opening, Store},
    ties::Ties,
};

/// How long before its end a certificate should have been replaced.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// One thing that was looked at before a provider runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What was found.
    pub verdict: Verdict,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    Good,
    /// The provider runs with it, but it should not stay so.
    Warning(String),
    /// The provider does not run with it, or others refuse it.
    Wrong(String),
}

impl<T, E: ToString> From<Result<T, E>> for Verdict {
    fn from(result: Result<T, E>) -> Self {
        result.map_or_else(|error| Self::Wrong(error.to_string()), |_| Self::Good)
    }
}

/// Looks at everything that a provider needs to run, by what reads it at the start: certificates and keys, who is trusted,
/// files, the database; and whether others will take its certificate at this time. Nothing is listened at and no peer is asked.
pub fn check(config: &Config, now: Timestamp) -> Vec<Finding> {
    let domain = config.domain();
    let anchored = |domain| config.anchors.iter().any(|anchor| anchor.domains.contains(domain));
    let soon = |()| chain::ends_soon(config, now, SOON).map_or(Verdict::Good, Verdict::Warning);
    let own_anchor = match anchored(domain) {
        true => Ok(()),
        false => Err(format!("no anchor for {domain}: its own users' certificates are not believed")),
    };
    let peers = match config.peers.iter().find(|peer| !anchored(&peer.domain)) {
        None => Ok(()),
        Some(peer) => Err(format!("no anchor for {}: nobody of it can come into a room", peer.domain)),
    };
    let mut findings = vec![
        finding("addresses", config.admin_is_apart()),
        finding("certificate and key for TLS", keys::server_tls(config)),
        finding("certificate toward peers", keys::client_tls(config)),
        Finding {
            what: "certificate as others see it",
            verdict: chain::verify(config, now).map_or_else(|error| Verdict::Wrong(error.to_string()), soon),
        },
        finding("issuer of users' certificates", keys::issuer(config)),
        finding("anchors", keys::trust(config)),
        finding("anchor of its own domain", own_anchor),
        finding("anchors of its peers", peers),
        finding("operator's token", keys::operator(config)),
        finding("key for ties", Ties::check(&config.ties, domain)),
        finding("signals of abuse", abuse::table(config)),
        finding("policy for remedies", abuse::home_policy(config)),
        finding("hosts of files", Assets::new(config)),
        Finding { what: "database", verdict: database(config) },
    ];
    let secrets = private(config).into_iter().filter_map(exposed).map(Verdict::Warning);
    let mut secrets: Vec<_> = secrets.map(|verdict| Finding { what: "secrets", verdict }).collect();
    if secrets.is_empty() {
        secrets.push(Finding { what: "secrets", verdict: Verdict::Good });
    }
    findings.append(&mut secrets);
    findings
}

fn finding<T, E: ToString>(what: &'static str, result: Result<T, E>) -> Finding {
    Finding { what, verdict: result.into() }
}

/// What nobody else is to read.
fn private(config: &Config) -> Vec<&Path> {
    let mut all = vec![config.tls.key.as_path(), &config.issuer.key];
    all.extend(config.operator_token.as_deref());
    all.extend(config.database.as_ref().and_then(|database| database.password_file.as_deref()));
    // The others are public keys.
    all.extend(config.ties.key.as_deref().filter(|_| matches!(config.ties.way(), Way::ActOnly | Way::Blind)));
    all.push(&config.data);
    all
}

/// Says whether others than the owner can read something.
#[cfg(unix)]
fn exposed(path: &Path) -> Option<String> {
    let is = std::fs::metadata(path).ok()?;
    let mode = std::os::unix::fs::MetadataExt::mode(&is);
    let whom = match (mode & 0o077, mode & 0o007) {
        (0, _) => return None,
        (_, 0) => "its group",
        _ => "everybody",
    };
    let right = if is.is_dir() { 0o700 } else { 0o600 };
    Some(format!("{}: open to {whom} (mode {:o}, not {right:o})", path.display(), mode & 0o777))
}

#[cfg(not(unix))]
fn exposed(_: &Path) -> Option<String> {
    None
}

/// Nothing is made, and nothing brought up to date.
fn database(config: &Config) -> Verdict {
    let schema = Store::of(config, Opening::AsItIs).and_then(|store| store.schema()).map(Schema::of);
    match schema {
        Ok(schema) if schema.is_own() => Verdict::Good,
        Ok(schema) if schema.found > Some(schema.own) => Verdict::Wrong(schema.to_string()),
        Ok(schema) => Verdict::Warning(schema.to_string()),
        Err(error) if error.is_absence() => Verdict::Warning(error.to_string()),
        Err(error) => Verdict::Wrong(error.to_string()),
    }
}
