//! What operators do by hand: each with the program, and with files of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use mimi_pseudonym::{UserUri, Wire};
use mimi_tie::{
    break_glass::{ListRequest, ListShares, open_list},
    operators::OperatorsKey,
};

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

/// Makes a key that three operators share, and of whom two are needed: `opening` or `scores`. It is put into a folder of the
/// provider's, or into one of that name in there.
pub(super) fn deal(site: &Site, purpose: &str, within: Option<&str>) -> Result<()> {
    let mut folder = site.config().parent().context("a folder")?.to_owned();
    folder.extend(within);
    std::fs::create_dir_all(&folder)?;
    done(&["tie", "deal", purpose, "2", "3", text(&folder)?], None).map(drop)
}

/// What two of three operators have found in the list of an account, after an entry about it, and done about all of it.
pub(super) struct ActedTogether {
    /// Whether one of them alone is enough.
    pub(super) alone: bool,
    /// Whether the pseudonym that nobody has reported is among those that they find.
    pub(super) found: bool,
}

/// Has all pseudonyms of an account leave their rooms. `holders` is where the operators keep their shares.
pub(super) fn act_together(site: &Site, case: &Case, holders: &Path) -> Result<ActedTogether> {
    let position = done(&["names", "request", &case.handle, "abuse desk", "spam"], Some(site))?;
    let mut given = Vec::new();
    let asked = [0, 2].map(|operator| file(site, &format!("names-request-{operator}")));
    for (operator, request) in [0, 2].into_iter().zip(&asked) {
        let holder = holders.join(format!("operator-{operator}.share"));
        let [seen, shares] = ["seen", "shares"].map(|kind| file(site, &format!("names-{kind}-{operator}")));
        done(&["names", "ask", &case.handle, &position, "0", text(request)?], Some(site))?;
        let share = ["names", "share", text(&holder)?, text(&seen)?, text(request)?, text(&shares)?];
        done(&share, None)?;
        given.push(shares);
    }
    let [asked, _] = asked;
    let [one, other] = given.as_slice() else { bail!("two shares") };
    let alone = run(&["names", "act", text(&asked)?, "remove", text(one)?], Some(site))?.is_some();
    // The program says how many there are, and not which: whoever has the shares can find out.
    let (request, key) = (ListRequest::decode(&octets(&asked)?)?, octets(&holders.join("operators.key"))?);
    let list = request.check(&OperatorsKey::decode(&key)?)?;
    let shares = [ListShares::decode(&octets(one)?)?, ListShares::decode(&octets(other)?)?];
    let found = open_list(&list, &shares)?.iter().any(|link| *link.pseudonym() == case.second);
    done(&["names", "act", text(&asked)?, "remove", text(one)?, text(other)?], Some(site))?;
    Ok(ActedTogether { alone, found })
}

/// Octets from a file of hexadecimal digits.
pub(super) fn octets(path: &Path) -> Result<Vec<u8>> {
    let text = std::fs::read_to_string(path)?;
    let text = text.trim();
    let octet = |at| u8::from_str_radix(text.get(at..at + 2).unwrap_or_default(), 16);
    Ok((0..text.len()).step_by(2).map(octet).collect::<Result<_, _>>()?)
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
