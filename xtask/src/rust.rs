//! As much of Rust's grammar as the checks need: enough to tell code from comments and literals, tests from what is
//! shipped, and a public signature from a body.

mod items;
mod text;

pub use items::{Item, import_name, imports, items, public_items};
pub use text::{code, contains_word, without_tests};

use crate::workspace::TextFile;

/// A Rust file of a package.
pub struct RustFile<'a> {
    /// The package it belongs to.
    pub package: &'a str,
    /// Its path from the root of the workspace.
    pub path: &'a str,
    /// Its code, with comments and the insides of literals blanked out.
    pub code: String,
    /// The same without what is compiled for tests only. The lines keep their numbers.
    pub shipped: String,
}

impl<'a> RustFile<'a> {
    pub fn new(package: &'a str, file: &'a TextFile) -> Self {
        let code = code(&file.text);
        let shipped = if is_test(&file.path) { String::new() } else { without_tests(&code) };
        Self { package, path: &file.path, code, shipped }
    }

    /// Whether the whole file is for tests or benchmarks.
    pub fn is_test(&self) -> bool {
        is_test(self.path)
    }
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_for_tests_ship_nothing() {
        for (path, test) in [
            ("crates/a/src/lib.rs", false),
            ("crates/a/src/room/tests.rs", true),
            ("crates/a/tests/flow.rs", true),
            ("tests/src/main.rs", true),
            ("crates/a/benches/b.rs", true),
        ] {
            let file = TextFile { path: path.into(), text: "fn f() {}".into() };
            let file = RustFile::new("a", &file);
            assert_eq!((file.is_test(), file.shipped.is_empty()), (test, test), "{path}");
        }
    }
}
