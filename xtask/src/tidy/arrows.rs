use anyhow::Result;

use super::Findings;
use crate::workspace::Workspace;

/// A crate, and the crates of the workspace it may depend on outside of tests.
const ALLOWED: [(&str, &[&str]); 13] = [
    ("coset-sd-cwt", &[]),
    ("mimi-pseudonym", &[]),
    ("mimi-wire", &["mimi-pseudonym"]),
    ("mimi-link", &["mimi-pseudonym"]),
    ("mimi-content", &["mimi-pseudonym"]),
    ("mimi-abuse", &["mimi-pseudonym", "mimi-wire", "mimi-content"]),
    ("mimi-room", &["mimi-pseudonym"]),
    ("mimi-credential", &["mimi-pseudonym"]),
    ("mimi-disclosure", &["coset-sd-cwt", "mimi-pseudonym", "mimi-credential"]),
    ("mimi-mls", &["mimi-pseudonym", "mimi-wire", "mimi-room", "mimi-credential"]),
    (
        "mimi-flow",
        &[
            "mimi-pseudonym",
            "mimi-wire",
            "mimi-content",
            "mimi-abuse",
            "mimi-link",
            "mimi-room",
            "mimi-credential",
            "mimi-disclosure",
            "mimi-mls",
        ],
    ),
    (
        "mimi-client",
        &[
            "mimi-pseudonym",
            "mimi-wire",
            "mimi-content",
            "mimi-abuse",
            "mimi-link",
            "mimi-room",
            "mimi-credential",
            "mimi-disclosure",
            "mimi-mls",
            "mimi-flow",
        ],
    ),
    (
        "mimi-provider",
        &[
            "mimi-pseudonym",
            "mimi-wire",
            "mimi-content",
            "mimi-abuse",
            "mimi-link",
            "mimi-room",
            "mimi-credential",
            "mimi-mls",
        ],
    ),
];

/// The end-to-end package may use every crate; the commands none, so that they build alone.
const UNPUBLISHED: [(&str, bool); 2] = [("mimi-e2e", true), ("xtask", false)];

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let ours = |name: &String| workspace.packages.iter().any(|package| package.name == *name);
    let mut findings = Findings { note: format!("{} packages", workspace.packages.len()), ..Findings::default() };
    for package in &workspace.packages {
        for dependency in package.dependencies.iter().filter(|name| ours(name)) {
            if !is_allowed(&package.name, dependency) {
                findings.problems.push(format!("{} must not depend on {dependency}", package.name));
            }
        }
        if !is_known(&package.name) {
            findings.problems.push(format!("{} has no place in the drawing yet", package.name));
        }
    }
    Ok(findings)
}

fn is_known(package: &str) -> bool {
    ALLOWED.iter().any(|(name, _)| *name == package) || UNPUBLISHED.iter().any(|(name, _)| *name == package)
}

fn is_allowed(package: &str, dependency: &str) -> bool {
    ALLOWED.iter().any(|(name, allowed)| *name == package && allowed.contains(&dependency))
        || UNPUBLISHED.contains(&(package, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_against_the_drawing_is_found() {
        let workspace = Workspace::sample(
            &[
                ("mimi-pseudonym", &["serde"]),
                ("mimi-disclosure", &["mimi-pseudonym"]),
                ("mimi-provider", &["mimi-disclosure", "mimi-pseudonym"]),
                ("mimi-extra", &["mimi-pseudonym"]),
                ("mimi-e2e", &["mimi-disclosure"]),
                ("xtask", &["mimi-pseudonym"]),
            ],
            &[],
        );
        let expected = [
            "mimi-provider must not depend on mimi-disclosure",
            "mimi-extra must not depend on mimi-pseudonym",
            "mimi-extra has no place in the drawing yet",
            "xtask must not depend on mimi-pseudonym",
        ];
        assert_eq!(check(&workspace).unwrap().problems, expected);
    }

    /// Invariant 3, by way of the table: whatever a provider links, it does not come to these.
    #[test]
    fn a_provider_reaches_no_crate_that_reads_disclosures() {
        let mut reached = vec!["mimi-provider"];
        let mut next = 0;
        while let Some(name) = reached.get(next).copied() {
            let (_, allowed) = ALLOWED.iter().find(|(known, _)| *known == name).unwrap();
            reached.extend(allowed.iter().filter(|name| !reached.contains(name)).collect::<Vec<_>>());
            next += 1;
        }
        assert!(reached.contains(&"mimi-pseudonym"), "{reached:?}");
        for never in ["mimi-disclosure", "mimi-flow", "mimi-client"] {
            assert!(!reached.contains(&never), "{never}");
        }
    }
}
