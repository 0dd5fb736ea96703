use anyhow::Result;

use super::Findings;
use crate::{
    rust::{Item, RustFile, contains_word, items},
    workspace::Workspace,
};

/// The one type that holds an account beside its pseudonym.
const TYPE: &str = "AccountLink";
/// Traits that would let it out. Its `Debug` is written by hand, and redacted: a test beside it says so.
const DERIVES: [&str; 4] = ["Serialize", "Deserialize", "Display", "Debug"];
const IMPLS: [&str; 4] = ["Serialize", "Deserialize", "Display", "ToSql"];

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut defined = 0;
    for file in workspace.rust_files() {
        for item in items(&file.shipped, "struct").iter().filter(|item| head(item) == TYPE) {
            defined += 1;
            let derived = attributes(&file, item.line);
            let derived = DERIVES.iter().filter(|name| contains_word(&derived, name));
            findings.problems.extend(derived.map(|name| format!("{}:{}: {TYPE} derives {name}", file.path, item.line)));
        }
        for item in items(&file.shipped, "impl") {
            let Some((of, to)) = item.text.split_once('{').and_then(|(head, _)| head.split_once(" for ")) else {
                continue;
            };
            for name in IMPLS.iter().filter(|name| contains_word(of, name) && contains_word(to, TYPE)) {
                findings.problems.push(format!("{}:{}: {TYPE} implements {name}", file.path, item.line));
            }
        }
        for item in items(&file.shipped, "enum").iter().filter(|item| head(item).ends_with("Error") && item.names(TYPE))
        {
            findings.problems.push(format!("{}:{}: {} holds {TYPE}", file.path, item.line, head(item)));
        }
    }
    if defined != 1 {
        findings.problems.push(format!("{TYPE} is defined {defined} times, not once"));
    }
    Ok(findings)
}

/// The name of an item.
fn head(item: &Item) -> &str {
    item.text.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default()
}

/// The attributes above an item: the lines up to the blank line, or the end of another item, before it.
fn attributes(file: &RustFile<'_>, line: usize) -> String {
    let above: Vec<&str> = file.shipped.lines().take(line.saturating_sub(1)).collect();
    let attributes = above.into_iter().rev().take_while(|line| !line.contains([';', '}']));
    attributes.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(code: &str) -> Vec<String> {
        check(&Workspace::sample(&[("a", &[])], &[("crates/a/src/a.rs", code)])).unwrap().problems
    }

    #[test]
    fn a_derive_an_impl_and_an_error_are_found() {
        assert_eq!(
            problems("#[derive(Clone, Serialize)]\n#[derive(\n Debug,\n)]\npub struct AccountLink { a: u8 }"),
            ["crates/a/src/a.rs:5: AccountLink derives Serialize", "crates/a/src/a.rs:5: AccountLink derives Debug"]
        );
        assert_eq!(
            problems(
                "struct AccountLink;\nimpl fmt::Display for AccountLink { }\nenum LinkError { Known(AccountLink) }"
            ),
            ["crates/a/src/a.rs:2: AccountLink implements Display", "crates/a/src/a.rs:3: LinkError holds AccountLink"]
        );
        assert_eq!(problems("struct Link;"), ["AccountLink is defined 0 times, not once"]);
    }

    #[test]
    fn a_redacted_debug_and_other_types_are_left_alone() {
        let code = "#[derive(Serialize)]\nstruct Other { a: u8 }\n#[derive(Clone, PartialEq)]\npub struct AccountLink { a: u8 }\n\
                    impl fmt::Debug for AccountLink { }\nimpl fmt::Display for Other { }";
        assert_eq!(problems(code), [""; 0]);
    }
}
