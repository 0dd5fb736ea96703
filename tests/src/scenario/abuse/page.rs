//! The tables, and the page of the documentation that they stand in.

use std::{fmt::Write, fs, path::PathBuf};

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- printed by `cargo xtask e2e abuse` -->\n";
const END: &str = "<!-- end -->\n";

/// A table with a column for each way of tying.
pub(super) fn table(title: &str, ways: &[&str], lines: &[(&str, Vec<String>)]) -> String {
    let mut text = format!("| {title} | {} |\n|---|{}\n", ways.join(" | "), "---|".repeat(ways.len()));
    for (name, cells) in lines {
        // Writing into memory does not fail.
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

/// `yes`, to be seen from afar, or `no`.
pub(super) fn word(is: bool) -> String {
    if is { "**yes**".to_owned() } else { "no".to_owned() }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/abuse-scenario.md")
}

/// Whether the page has these tables; with `write`, it has them afterwards.
///
/// # Errors
/// If there is no such page, or no place for the tables in it.
pub(super) fn is_on_page(tables: &str, write: bool) -> Result<bool> {
    let page = fs::read_to_string(path()).context("docs/abuse-scenario.md cannot be read")?;
    let (shown, new) = replaced(&page, tables)?;
    if write && !shown {
        fs::write(path(), new)?;
        return Ok(true);
    }
    Ok(shown)
}

/// Whether the page shows the tables, and the page with them.
fn replaced(page: &str, tables: &str) -> Result<(bool, String)> {
    let (before, rest) = page.split_once(BEGIN).context("the page has no place for the tables")?;
    let (shown, after) = rest.split_once(END).context("the tables of the page have no end")?;
    let tables = format!("\n{tables}\n");
    Ok((shown == tables, format!("{before}{BEGIN}{tables}{END}{after}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_compared_and_brought_up_to_date() {
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\nmore\n");
        let (shown, new) = replaced(&page, "| new |\n").unwrap();
        assert!(!shown);
        assert_eq!(new, format!("# Title\n\n{BEGIN}\n| new |\n\n{END}\nmore\n"));
        assert!(replaced(&new, "| new |\n").unwrap().0);
        assert!(replaced("nothing", "").is_err() && replaced(BEGIN, "").is_err());
    }

    #[test]
    fn a_table_has_a_column_for_each_way() {
        let text = table("what", &["direct", "blind"], &[("found", vec![word(true), word(false)])]);
        assert_eq!(text, "| what | direct | blind |\n|---|---|---|\n| found | **yes** | no |\n");
    }

    /// What the scenario computes is held against the page whenever it is run; that the page has a place for it, always.
    #[test]
    fn the_page_has_the_tables_of_every_way() {
        let page = fs::read_to_string(path()).unwrap();
        let (_, rest) = page.split_once(BEGIN).unwrap();
        let (tables, _) = rest.split_once(END).unwrap();
        for way in ["direct", "quota", "break-glass", "act-only", "blind", "score"] {
            assert!(tables.contains(way), "{way}");
        }
    }
}
