use anyhow::Result;

use super::Findings;
use crate::{
    rust::{contains_word, imports},
    workspace::Workspace,
};

/// The crates that may do I/O, and hold a clock and a generator.
const FRONT_DOORS: [&str; 2] = ["mimi-client", "mimi-provider"];

const WORDS: [&str; 14] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
    "thread::sleep",
    "thread::spawn",
    "tokio",
    "getrandom",
    "thread_rng",
    "rand::rng",
    "OsRng",
    "SystemRandom",
];

const PACKAGES: [&str; 7] = ["tokio", "tokio-rustls", "hyper", "reqwest", "rusqlite", "getrandom", "rand"];

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let below = |name: &str| !FRONT_DOORS.contains(&name);
    let published = workspace.packages.iter().filter(|package| package.published && below(&package.name));
    let below: Vec<_> = published.collect();
    let mut findings = Findings::default();
    for package in &below {
        for dependency in package.dependencies.iter().filter(|name| PACKAGES.contains(&name.as_str())) {
            findings.problems.push(format!("{} depends on {dependency}", package.name));
        }
    }
    for file in workspace.rust_files().filter(|file| below.iter().any(|package| package.name == file.package)) {
        let mut found = Vec::new();
        let lines = file.shipped.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned()));
        for (line, text) in lines.chain(imports(&file.shipped).into_iter().map(|import| (import.line, import.text))) {
            let words = WORDS.iter().filter(|word| contains_word(&text, word));
            found.extend(words.map(|word| (line, *word)));
        }
        found.sort_unstable();
        found.dedup();
        findings.problems.extend(found.into_iter().map(|(line, word)| format!("{}:{line}: {word}", file.path)));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_a_socket_and_a_generator_are_found() {
        let workspace = Workspace::sample(
            &[("mimi-flow", &["rand"])],
            &[
                (
                    "crates/mimi-flow/src/a.rs",
                    "use std::{fmt, net::TcpStream};\nuse std::time::SystemTime;\nfn f() { rand::rng() }",
                ),
                ("crates/mimi-flow/src/b.rs", "fn f() {\n std::time::Instant::now();\n}"),
            ],
        );
        let expected = [
            "mimi-flow depends on rand",
            "crates/mimi-flow/src/a.rs:1: std::net",
            "crates/mimi-flow/src/a.rs:2: SystemTime",
            "crates/mimi-flow/src/a.rs:3: rand::rng",
            "crates/mimi-flow/src/b.rs:2: Instant::now",
        ];
        assert_eq!(check(&workspace).unwrap().problems, expected);
    }

    #[test]
    fn front_doors_tests_and_words_in_comments_are_left_alone() {
        let workspace = Workspace::sample(
            &[("mimi-flow", &["serde"]), ("mimi-provider", &["tokio", "rusqlite"])],
            &[
                ("crates/mimi-provider/src/a.rs", "use std::fs;"),
                ("crates/mimi-flow/src/a.rs", "// std::fs\n#[cfg(test)]\nmod tests { use std::fs; }"),
                ("crates/mimi-flow/tests/b.rs", "use std::fs;"),
            ],
        );
        assert_eq!(check(&workspace).unwrap(), Findings::default());
    }
}
