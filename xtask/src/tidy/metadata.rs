use anyhow::Result;

use super::Findings;
use crate::workspace::{Package, Workspace};

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    for package in &workspace.packages {
        let missing = missing(workspace, package);
        findings.problems.extend(missing.into_iter().map(|what| format!("{}: {what}", package.name)));
    }
    if !workspace
        .file("Cargo.toml")
        .is_some_and(|manifest| section_has(&manifest.text, "[workspace.lints.rust]", "missing_docs = \"deny\""))
    {
        findings.problems.push("Cargo.toml: missing_docs is not denied for the workspace".into());
    }
    findings.note = format!("{} to publish", workspace.packages.iter().filter(|package| package.published).count());
    Ok(findings)
}

fn missing(workspace: &Workspace, package: &Package) -> Vec<String> {
    let text = |name: &str| workspace.file(&format!("{}/{name}", package.folder)).map(|file| file.text.as_str());
    let mut missing = Vec::new();
    let mut need = |there: bool, what: &str| {
        if !there {
            missing.push(what.to_owned());
        }
    };
    need(
        text("Cargo.toml").is_some_and(|manifest| section_has(manifest, "[lints]", "workspace = true")),
        "lints are not the workspace's",
    );
    if !package.published {
        return missing;
    }
    need(package.description, "no description");
    need(package.license, "no license");
    need(package.readme, "no readme in the manifest");
    need((1..=5).contains(&package.keywords), "needs 1 to 5 keywords");
    need((1..=5).contains(&package.categories), "needs 1 to 5 categories");
    need(text("README.md").is_some(), "no README.md");
    let root = text("src/lib.rs").unwrap_or_default();
    need(root.contains("#![doc = include_str!(\"../README.md\")]"), "README.md is not the crate documentation");
    let heading = format!("## {}", package.version);
    let named = |changes: &str| changes.lines().any(|line| line == heading || line.starts_with(&format!("{heading} ")));
    need(text("CHANGELOG.md").is_some_and(named), &format!("CHANGELOG.md has no heading `{heading}`"));
    missing
}

/// Whether a line stands in a section of a manifest.
fn section_has(manifest: &str, section: &str, line: &str) -> bool {
    let inside = manifest.lines().map(str::trim).skip_while(|line| *line != section).skip(1);
    inside.take_while(|line| !line.starts_with('[')).any(|found| found == line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (&str, &str) = ("Cargo.toml", "[workspace.lints.rust]\nmissing_docs = \"deny\"\n");
    const COMPLETE: [(&str, &str); 5] = [
        ROOT,
        ("crates/a/Cargo.toml", "[package]\n\n[lints]\nworkspace = true\n"),
        ("crates/a/README.md", "# a"),
        ("crates/a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]"),
        ("crates/a/CHANGELOG.md", "# Changelog\n\n## 0.1.0\n"),
    ];

    #[test]
    fn a_complete_crate_passes() {
        assert_eq!(check(&Workspace::sample(&[("a", &[])], &COMPLETE)).unwrap().problems, [""; 0]);
    }

    #[test]
    fn everything_missing_is_named() {
        let mut workspace =
            Workspace::sample(&[("a", &[])], &[("crates/a/Cargo.toml", "[lints]\n[features]\nworkspace = true")]);
        let package = workspace.packages.first_mut().unwrap();
        *package = Package {
            name: "a".into(),
            folder: "crates/a".into(),
            version: "0.2.0".into(),
            published: true,
            ..Package::default()
        };
        let expected = [
            "a: lints are not the workspace's",
            "a: no description",
            "a: no license",
            "a: no readme in the manifest",
            "a: needs 1 to 5 keywords",
            "a: needs 1 to 5 categories",
            "a: no README.md",
            "a: README.md is not the crate documentation",
            "a: CHANGELOG.md has no heading `## 0.2.0`",
            "Cargo.toml: missing_docs is not denied for the workspace",
        ];
        assert_eq!(check(&workspace).unwrap().problems, expected);
    }

    #[test]
    fn what_is_not_published_needs_the_lints_alone() {
        let mut workspace =
            Workspace::sample(&[("a", &[])], &[ROOT, ("crates/a/Cargo.toml", "[lints]\nworkspace = true")]);
        workspace.packages.first_mut().unwrap().published = false;
        assert_eq!(check(&workspace).unwrap().problems, [""; 0]);
    }
}
