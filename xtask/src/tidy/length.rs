use anyhow::Result;

use super::Findings;
use crate::workspace::Workspace;

/// The most lines a file may have, its tests left out.
const MOST: usize = 600;
/// Above this it is worth a look.
const LONG: usize = 350;

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut long = Vec::new();
    for file in workspace.rust_files().filter(|file| !file.is_test()) {
        let lines = untested_lines(file.path, workspace, &file.shipped);
        if lines > MOST {
            findings.problems.push(format!("{}: {lines} lines", file.path));
        } else if lines > LONG {
            long.push(format!("{} {lines}", file.path));
        }
    }
    if !long.is_empty() {
        findings.note = format!("over {LONG}: {}", long.join(", "));
    }
    Ok(findings)
}

/// The lines of a file, comments and all, up to the last one that is shipped. Tests stand last.
fn untested_lines(path: &str, workspace: &Workspace, shipped: &str) -> usize {
    let whole = workspace.file(path).map_or(0, |file| file.text.lines().count());
    let code = shipped.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).last();
    whole.min(code.map_or(0, |(at, _)| at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(text: &str) -> Findings {
        check(&Workspace::sample(&[("a", &[])], &[("crates/a/src/a.rs", text)])).unwrap()
    }

    #[test]
    fn a_long_file_is_noted_and_a_longer_one_refused() {
        assert_eq!(check_one(&"fn f() {}\n".repeat(350)), Findings::default());
        assert_eq!(check_one(&"fn f() {}\n".repeat(600)).note, "over 350: crates/a/src/a.rs 600");
        assert_eq!(check_one(&"fn f() {}\n".repeat(601)).problems, ["crates/a/src/a.rs: 601 lines"]);
        assert_eq!(
            check_one(&format!("{}fn f() {{}}", "// why\n".repeat(600))).problems,
            ["crates/a/src/a.rs: 601 lines"]
        );
    }

    #[test]
    fn tests_do_not_count() {
        let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(601));
        assert_eq!(check_one(&tests), Findings::default());
        let beside = [("crates/a/tests/a.rs", "fn f() {}\n".repeat(601))];
        let beside: Vec<_> = beside.iter().map(|(path, text)| (*path, text.as_str())).collect();
        assert_eq!(check(&Workspace::sample(&[("a", &[])], &beside)).unwrap(), Findings::default());
    }
}
