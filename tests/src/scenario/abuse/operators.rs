//! What operators do by hand: each with the program, and with files of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use mimi_pseudonym::UserUri;

use super::Case;
use crate::{fixture::Site, process::provider_binary};

/// Runs a command of the program; `None` if it refuses.
pub(super) fn run(arguments: &[&str], site: Option<&Site>) -> Result<Option<String>> {
    let mut command = Command::new(provider_binary()?);
    command.args(arguments);
    if let Some(site) = site {
        command.arg("--config").arg(site.config());
    }
    let output = command.output().context("the operator's command")?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}

/// The same, where refusing is an error.
pub(super) fn done(arguments: &[&str], site: Option<&Site>) -> Result<String> {
    run(arguments, site)?.with_context(|| format!("refused: mimi-provider {}", arguments.join(" ")))
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

fn file(site: &Site, name: &str) -> PathBuf {
    site.config().with_file_name(name)
}

/// Makes a key that three operators share, and of whom two are needed: `opening` or `scores`.
pub(super) fn deal(site: &Site, purpose: &str) -> Result<()> {
    let folder = site.config().parent().context("a folder")?.to_owned();
    done(&["tie", "deal", purpose, "2", "3", text(&folder)?], None).map(drop)
}

/// Whether these operators open the account behind the reported pseudonym, after an entry about a pseudonym in the log.
pub(super) fn open(site: &Site, case: &Case, operators: &[u8], about: &UserUri) -> Result<bool> {
    let position = done(&["tie", "request", about.as_str(), "abuse desk", "spam"], Some(site))?;
    let mut arguments = vec!["tie".to_owned(), "open".to_owned(), case.first.to_string()];
    for operator in operators {
        let [share, witness, request, given] = ["operator", "seen", "request", "given"].map(|kind| match kind {
            "operator" => file(site, &format!("operator-{operator}.share")),
            kind => file(site, &format!("{kind}-{position}-{operator}")),
        });
        let ask = ["tie", "ask", case.first.as_str(), position.as_str(), "0", text(&request)?];
        done(&ask, Some(site))?;
        let share = ["tie", "share", text(&share)?, text(&witness)?, text(&request)?, text(&given)?];
        if run(&share, None)?.is_none() {
            return Ok(false);
        }
        arguments.push(text(&given)?.to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Ok(run(&arguments, Some(site))?.is_some_and(|printed| printed == case.account.as_str()))
}

/// Whether the score of an account has reached a threshold, asked of two of three operators.
pub(super) fn has_reached(site: &Site, handle: &str, threshold: u16) -> Result<bool> {
    let of = |name: &str| file(site, &format!("{name}-{threshold}"));
    let [question, half, blinded] = ["question", "half", "blinded"].map(of);
    let [first, second] = ["operator-0.share", "operator-2.share"].map(|name| file(site, name));
    let [one, two] = ["shares-0", "shares-2"].map(of);
    done(&["tie", "score", handle, &threshold.to_string(), text(&question)?], Some(site))?;
    done(&["tie", "blind", text(&first)?, text(&question)?, text(&half)?], None)?;
    done(&["tie", "blind", text(&second)?, text(&half)?, text(&blinded)?], None)?;
    done(&["tie", "read", text(&first)?, text(&blinded)?, text(&one)?], None)?;
    done(&["tie", "read", text(&second)?, text(&blinded)?, text(&two)?], None)?;
    match done(&["tie", "answer", text(&blinded)?, text(&one)?, text(&two)?], Some(site))?.as_str() {
        "reached" => Ok(true),
        "below" => Ok(false),
        other => bail!("the answer is {other}"),
    }
}
