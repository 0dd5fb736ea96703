use anyhow::Result;

use super::Findings;
use crate::workspace::Workspace;

pub fn check(workspace: &Workspace) -> Result<Findings> {
    let mut findings = Findings::default();
    let mut count = 0;
    for file in workspace.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in links(&file.text) {
            count += 1;
            let path = target.split_once('#').map_or(target, |(path, _)| path);
            if !resolve(folder, path).is_some_and(|path| path.is_empty() || workspace.paths.contains(&path)) {
                findings.problems.push(format!("{}:{line}: {target} leads nowhere", file.path));
            }
        }
    }
    findings.note = format!("{count} links");
    Ok(findings)
}

/// The relative links of a Markdown text with their lines: `[text](target)` and `[name]: target`, outside of code.
/// A target with a scheme leads out; one with `::` is an item of Rust; a sole `#…` stays on the page.
fn links(text: &str) -> Vec<(usize, &str)> {
    let (mut links, mut fenced) = (Vec::new(), false);
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let outside = line.split('`').step_by(2);
        let inline = outside.flat_map(|part| part.split("](").skip(1)).filter_map(|rest| rest.split_once(')'));
        let reference = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let targets = inline.map(|(target, _)| target).chain(reference.map(|(_, target)| target));
        let targets = targets.filter_map(|target| target.split_whitespace().next());
        links.extend(targets.filter(|target| is_relative(target)).map(|target| (at + 1, target)));
    }
    links
}

fn is_relative(target: &str) -> bool {
    !(target.starts_with('#') || target.contains("::") || target.contains("://") || target.starts_with("mailto:"))
}

/// A path from a folder, both relative to the root; `None` if it leaves the tree.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        let mut workspace = Workspace::sample(&[], &[(path, text), ("docs/a.md", ""), ("README.md", "")]);
        workspace.paths.insert("docs".into());
        check(&workspace).unwrap().problems
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(
            problems("docs/b.md", "x\n[b](c.md#d), [`e`](../f.md)"),
            ["docs/b.md:2: c.md#d leads nowhere", "docs/b.md:2: ../f.md leads nowhere"]
        );
        assert_eq!(problems("docs/b.md", "[b]: gone.md"), ["docs/b.md:1: gone.md leads nowhere"]);
        assert_eq!(problems("docs/b.md", "[b](../../a.md)"), ["docs/b.md:1: ../../a.md leads nowhere"]);
    }

    #[test]
    fn what_resolves_or_leads_out_passes() {
        let text = "[a](a.md#top) [b](../README.md \"title\") [c](https://a.example/x) [d](#e) [f](crate::Room) [g](./) [`h`](a.md)\n\
                    ```\n[i](gone.md)\n```\n`[j](gone.md)`";
        assert_eq!(problems("docs/b.md", text), [""; 0]);
    }
}
