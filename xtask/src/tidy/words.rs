use anyhow::Result;

use super::Findings;
use crate::{rust::contains_word, workspace::Workspace};

/// Folders at the top of somebody's machine: an absolute path into them works nowhere else.
const FOLDERS: [&str; 5] = ["root", "home", "Users", "tmp", "work"];
/// Reminders. Written in two pieces, since this file is checked as well.
const REMINDERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings { note: format!("{} files", workspace.files.len()), ..Findings::default() };
    for file in &workspace.files {
        for (at, line) in file.text.lines().enumerate() {
            let mut say = |what: &str| findings.problems.push(format!("{}:{}: {what}", file.path, at + 1));
            if let Some(folder) = FOLDERS.iter().find(|folder| has_path(line, folder)) {
                say(&format!("a path into {folder} of one machine"));
            }
            if let Some(word) = REMINDERS.iter().find(|word| contains_word(line, word)) {
                say(word);
            }
        }
    }
    Ok(findings)
}

/// Whether an absolute path into a folder at the top stands in a line. What comes before its first slash must not make
/// it a part of something longer, like a URL or a relative path.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(&format!("/{folder}/")).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|char| char.is_alphanumeric() || "./_-~*})$".contains(char))
            || line.get(..at).is_some_and(|before| before.ends_with("//"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        check(&Workspace::sample(&[], &[("docs/a.md", text)])).unwrap().problems
    }

    #[test]
    fn paths_of_a_machine_and_reminders_are_found() {
        for folder in FOLDERS {
            let text = format!("one\ntwo (/{folder}/alice/a.txt)");
            assert_eq!(problems(&text), [format!("docs/a.md:2: a path into {folder} of one machine")]);
        }
        for word in REMINDERS {
            assert_eq!(problems(&format!("// {word}: later")), [format!("docs/a.md:1: {word}")]);
            assert_eq!(problems(&format!("{word}S")), [""; 0]);
        }
    }

    #[test]
    fn a_url_and_a_relative_path_are_no_machine_paths() {
        assert_eq!(problems("https://a.example/home/x ./tmp/x crates/work/x $HOME/home/x"), [""; 0]);
    }
}
