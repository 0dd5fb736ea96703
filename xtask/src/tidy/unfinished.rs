use anyhow::Result;

use super::Findings;
use crate::{rust::contains_word, workspace::Workspace};

/// Macros that stand for work that is not done.
const MACROS: [&str; 3] = ["todo!", "unimplemented!", "dbg!"];

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    for file in workspace.rust_files() {
        for (at, line) in file.code.lines().enumerate() {
            if let Some(name) = MACROS.iter().find(|name| contains_word(line, name)) {
                findings.problems.push(format!("{}:{}: {name}", file.path, at + 1));
            }
            if line.contains("#[ignore") {
                findings.problems.push(format!("{}:{}: a test that is not run", file.path, at + 1));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_tests_left_out_are_found_in_tests_too() {
        let code = "fn f() { todo!() }\nfn g() { unimplemented!(\"h\") }\n#[cfg(test)]\nmod tests {\n #[ignore = \"slow\"]\n fn i() { dbg!(1) }\n}";
        let workspace = Workspace::sample(&[("a", &[])], &[("crates/a/src/a.rs", code)]);
        let expected = [
            "crates/a/src/a.rs:1: todo!",
            "crates/a/src/a.rs:2: unimplemented!",
            "crates/a/src/a.rs:5: a test that is not run",
            "crates/a/src/a.rs:6: dbg!",
        ];
        assert_eq!(check(&workspace).unwrap().problems, expected);
    }

    #[test]
    fn words_in_comments_and_texts_are_no_macros() {
        let code = "// todo!()\nfn f() { g(\"#[ignore]\"); not_a_todo!(); todo != 1 }";
        let workspace = Workspace::sample(&[("a", &[])], &[("crates/a/src/a.rs", code)]);
        assert_eq!(check(&workspace).unwrap(), Findings::default());
    }
}
