//! What the project promises about itself and a machine can check.

mod account_link;
mod ambient;
mod arrows;
mod length;
mod links;
mod metadata;
mod openmls;
mod size;
mod unfinished;
mod words;

use anyhow::Result;

use crate::workspace::Workspace;

/// What a check found.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Findings {
    /// What is wrong, and where. Empty is good.
    pub problems: Vec<String>,
    /// What is worth knowing and not wrong.
    pub note: String,
}

type Check = fn(&Workspace) -> Result<Findings>;

const CHECKS: [(&str, Check); 10] = [
    ("arrows: crates depend on each other as ARCHITECTURE.md draws it", arrows::check),
    ("openmls: named in one manifest, in no public signature", openmls::check),
    ("ambient: no I/O, clock or generator below the front doors", ambient::check),
    ("length: no file over 600 lines", length::check),
    ("metadata: every published crate is complete", metadata::check),
    ("unfinished: no placeholder, no test left out", unfinished::check),
    ("account link: cannot be printed or stored by accident", account_link::check),
    ("size: what a provider has to build", size::check),
    ("words: no machine paths, no reminders", words::check),
    ("links: every relative link leads somewhere", links::check),
];

/// Runs every check, prints a line for each, and gives back the exit code.
pub fn run() -> Result<u8> {
    let workspace = Workspace::load()?;
    let mut failed = 0;
    for (name, check) in CHECKS {
        let findings = check(&workspace)?;
        failed += usize::from(!findings.problems.is_empty());
        println!("{}", report(name, &findings));
    }
    println!("tidy: {} of {} checks passed", CHECKS.len() - failed, CHECKS.len());
    Ok(u8::from(failed > 0))
}

fn report(name: &str, findings: &Findings) -> String {
    let mut report = format!("{}  {name}", if findings.problems.is_empty() { "ok  " } else { "FAIL" });
    if !findings.note.is_empty() {
        report = format!("{report} ({})", findings.note);
    }
    findings.problems.iter().fold(report, |report, problem| format!("{report}\n        {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_wrong_where() {
        assert_eq!(report("a", &Findings { problems: vec![], note: "3 files".into() }), "ok    a (3 files)");
        let findings = Findings { problems: vec!["x.rs:1: y".into()], note: String::new() };
        assert_eq!(report("a", &findings), "FAIL  a\n        x.rs:1: y");
    }
}
