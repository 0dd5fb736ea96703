use anyhow::Result;

use super::Findings;
use crate::workspace::{Package, Workspace};

/// A crate, and the crates of the workspace it may depend on outside of tests.
const ALLOWED: [(&str, &[&str]); 14] = [
    ("coset-sd-cwt", &[]),
    ("mimi-pseudonym", &[]),
    ("mimi-wire", &["mimi-pseudonym"]),
    ("mimi-link", &["mimi-pseudonym"]),
    ("mimi-tie", &["mimi-pseudonym"]),
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
            "mimi-tie",
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
            "mimi-tie",
            "mimi-credential",
            "mimi-mls",
        ],
    ),
];

/// A crate, another one that it may depend on with a feature and never without, and the feature. It is none of those that
/// are there by default.
const BEHIND: [(&str, &str, &str); 1] = [("mimi-provider", "mimi-disclosure", "authority")];

/// The end-to-end package may use every crate; the commands none, so that they build alone.
const UNPUBLISHED: [(&str, bool); 2] = [("mimi-e2e", true), ("xtask", false)];

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let ours = |name: &String| workspace.packages.iter().any(|package| package.name == *name);
    let mut findings = Findings { note: format!("{} packages", workspace.packages.len()), ..Findings::default() };
    for package in &workspace.packages {
        for dependency in package.dependencies.iter().filter(|name| ours(name)) {
            if !is_allowed(&package.name, dependency) && !is_behind(package, dependency) {
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

/// Whether a dependency is there with the feature of the table alone.
fn is_behind(package: &Package, dependency: &str) -> bool {
    let known = BEHIND.iter().find(|(name, to, _)| *name == package.name && *to == dependency);
    let Some((_, _, feature)) = known.filter(|_| package.optional.iter().any(|name| name == dependency)) else {
        return false;
    };
    let brings = |brought: &String| {
        let name = brought.strip_prefix("dep:").unwrap_or(brought);
        name.split_once('/').map_or(name, |(name, _)| name) == dependency
    };
    let mut bringing = package.features.iter().filter(|(_, brought)| brought.iter().any(brings));
    let by_default = reached(package, "default");
    bringing.all(|(name, _)| name == feature) && !by_default.iter().any(|name| name == feature)
}

/// The features that come with one.
fn reached<'a>(package: &'a Package, feature: &'a str) -> Vec<&'a str> {
    let mut all = vec![feature];
    let mut next = 0;
    while let Some(name) = all.get(next).copied() {
        let more = package.features.get(name).into_iter().flatten().map(String::as_str);
        all.extend(more.filter(|name| !all.contains(name)).collect::<Vec<_>>());
        next += 1;
    }
    all
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

    #[test]
    fn an_arrow_behind_a_feature_is_allowed_nowhere_else() {
        let problems = |optional: bool, features: &[(&str, &[&str])]| {
            let packages: [(&str, &[&str]); 2] = [("mimi-disclosure", &[]), ("mimi-provider", &["mimi-disclosure"])];
            let mut workspace = Workspace::sample(&packages, &[]);
            let provider = &mut workspace.packages[1];
            provider.optional = if optional { vec!["mimi-disclosure".into()] } else { vec![] };
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            provider.features = features.iter().map(|(name, brings)| ((*name).to_owned(), owned(brings))).collect();
            check(&workspace).unwrap().problems.len()
        };
        assert_eq!(problems(true, &[("authority", &["dep:mimi-disclosure"])]), 0);
        assert_eq!(problems(false, &[]), 1, "always there");
        assert_eq!(problems(true, &[("mimi-disclosure", &["dep:mimi-disclosure"])]), 1, "a feature of another name");
        let twice: [(&str, &[&str]); 2] =
            [("authority", &["dep:mimi-disclosure"]), ("record", &["mimi-disclosure/issuer"])];
        assert_eq!(problems(true, &twice), 1);
        let default: [(&str, &[&str]); 3] =
            [("authority", &["dep:mimi-disclosure"]), ("default", &["all"]), ("all", &["authority"])];
        assert_eq!(problems(true, &default), 1, "there by default");
    }

    /// Invariant 3, by way of the table: whatever a provider links without a feature, it does not come to these.
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
