use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::Findings;
use crate::{shell::cargo, workspace::Workspace};

/// The most packages a provider may be made of, itself included.
const MOST: usize = 300;

pub fn check(_: &Workspace) -> Result<Findings> {
    let tree = ["tree", "--package", "mimi-provider", "--edges", "normal", "--prefix", "none", "--quiet"];
    let output = cargo().args(tree).output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(judge(&String::from_utf8_lossy(&output.stdout)))
}

fn judge(tree: &str) -> Findings {
    let packages: BTreeSet<(&str, &str)> = tree.lines().filter_map(name_and_version).collect();
    let count = packages.len();
    let note = format!("{count} packages in mimi-provider, at most {MOST}");
    let problems =
        if count > MOST || count == 0 { vec![format!("mimi-provider is made of {count} packages")] } else { vec![] };
    Findings { problems, note }
}

fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_once_for_each_version() {
        let tree = "mimi-provider v0.1.0 (path)\nsha2 v0.10.9\nsha2 v0.10.9 (*)\nsha2 v0.11.0\n\n";
        assert_eq!(judge(tree), Findings { problems: vec![], note: "3 packages in mimi-provider, at most 300".into() });
    }

    #[test]
    fn too_many_and_none_are_refused() {
        let tree: String = (0..301).map(|at| format!("a{at} v1.0.0\n")).collect();
        assert_eq!(judge(&tree).problems, ["mimi-provider is made of 301 packages"]);
        assert_eq!(judge("").problems, ["mimi-provider is made of 0 packages"]);
    }
}
