use super::text::{contains_word, is_name};

/// A piece of code and the line it begins on, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Item {
    pub line: usize,
    pub text: String,
}

/// What `use` brings in, each with its full path: `use a::{b, c::d as e};` is `a::b` and `a::c::d as e`.
pub fn imports(code: &str) -> Vec<Item> {
    let mut imports = Vec::new();
    for (line, rest) in words(code, "use") {
        let Some((tree, _)) = rest.split_once(';') else { continue };
        let mut paths = Vec::new();
        expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut paths);
        imports.extend(paths.into_iter().map(|text| Item { line, text }));
    }
    imports
}

fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    for part in split_list(tree) {
        match part.split_once('{') {
            Some((path, inner)) => {
                let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
                expand(&format!("{prefix}{}", path.trim()), inner, paths);
            }
            None => paths.push(format!("{prefix}{}", part.trim())),
        }
    }
}

/// The parts between the commas that stand in no bracket.
fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), list);
    while !rest.trim().is_empty() {
        let end = end_of(rest, &[',']);
        let (part, after) = rest.split_at(end);
        parts.push(part.trim());
        rest = after.strip_prefix(',').unwrap_or_default();
    }
    parts
}

/// The public signatures of a file: functions without their bodies, structures without their private fields, enums
/// without the names of their variants, whole traits, aliases, re-exports, and public fields. `pub(crate)` is not public.
pub fn public_items(code: &str) -> Vec<Item> {
    let mut items = Vec::new();
    for (line, rest) in words(code, "pub") {
        if rest.starts_with('(') {
            continue;
        }
        let mut names = rest.split_whitespace().skip_while(|word| matches!(*word, "async" | "unsafe" | "extern"));
        let (first, second) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let end = match (first, second) {
            ("fn", _) | ("const", "fn" | "async" | "unsafe") => end_of(rest, &['{', ';']),
            ("struct" | "union", _) => rest.find(['{', '(', ';']).unwrap_or(rest.len()),
            ("enum" | "trait", _) => body_end(rest),
            ("type" | "const" | "static" | "use" | "mod", _) => end_of(&without_angles(rest), &[';']),
            _ => end_of(rest, &[',', ';']),
        };
        let text = rest.get(..end).unwrap_or(rest).trim();
        items.push(Item { line, text: if first == "enum" { without_variants(text) } else { text.to_owned() } });
    }
    items
}

/// The whole of every item that a keyword begins, with its body: `items(code, "enum")`.
pub fn items(code: &str, keyword: &str) -> Vec<Item> {
    let item = |(line, rest): (usize, &str)| Item { line, text: rest.get(..body_end(rest)).unwrap_or(rest).to_owned() };
    words(code, keyword).map(item).collect()
}

/// Every place where a keyword stands: its line, and the code behind it.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code.get(..at)?;
        let rest = code.get(at + word.len()..)?;
        let alone = !before.chars().next_back().is_some_and(|char| is_name(char) || char == '#')
            && !rest.chars().next().is_some_and(is_name);
        alone.then(|| (before.matches('\n').count() + 1, rest.trim_start()))
    })
}

/// Where one of these characters stands outside of every bracket, or a bracket closes that was not opened.
fn end_of(text: &str, ends: &[char]) -> usize {
    let (mut depth, mut last) = (0usize, ' ');
    for (at, char) in text.char_indices() {
        if depth == 0 && ends.contains(&char) {
            return at;
        }
        match char {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if last == '-' || last == '=' => {}
            ')' | ']' | '}' | '>' => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return at,
            },
            _ => {}
        }
        last = char;
    }
    text.len()
}

/// Where the body of an item ends: at the brace that closes the first one, or at a `;` before it.
fn body_end(text: &str) -> usize {
    let start = text.find(['{', ';']).unwrap_or(text.len());
    match text.get(start..).and_then(|body| body.strip_prefix('{')) {
        Some(body) => start + 1 + end_of(&without_angles(body), &[]) + 1,
        None => start,
    }
}

/// An enum without the names of its variants: they may be the same as some type's. What the variants hold stays.
fn without_variants(text: &str) -> String {
    let (head, body) = text.split_at(text.find('{').unwrap_or(text.len()));
    let (mut depth, mut kept) = (0usize, head.to_owned());
    for char in body.chars() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 1 || !is_name(char) {
            kept.push(char);
        }
    }
    kept
}

/// Where `<` may be an operator it is no bracket. The positions stay.
fn without_angles(text: &str) -> String {
    text.replace(['<', '>'], " ")
}

/// The name under which an import is known: the last of its path, or its alias.
pub fn import_name(path: &str) -> &str {
    path.rsplit([':', ' ']).next().unwrap_or(path)
}

impl Item {
    /// Whether a word stands in it.
    pub fn names(&self, word: &str) -> bool {
        contains_word(&self.text, word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: Vec<Item>) -> Vec<String> {
        items.into_iter().map(|item| item.text).collect()
    }

    #[test]
    fn imports_are_spelled_out() {
        let code = "use std::{fmt, time::{Duration, SystemTime as Time}};\npub use a::b;\nfn f() { reuse(); }";
        let paths = texts(imports(code));
        assert_eq!(paths, ["std::fmt", "std::time::Duration", "std::time::SystemTime as Time", "a::b"]);
        assert_eq!(imports(code).last().unwrap().line, 2);
        assert_eq!(import_name("std::time::SystemTime as Time"), "Time");
        assert_eq!(import_name("std::time::Duration"), "Duration");
    }

    #[test]
    fn a_signature_has_no_body_and_no_private_field() {
        let code = "pub fn f(\n a: [u8; 2],\n) -> R<A> { body }\npub struct S { a: Private, pub b: M<X, Y>, c: Z }\n\
                    pub struct T(Private, pub Q);\npub(crate) fn g(Hidden) {}\npub enum E { V(In), #[x] W { y: Z } }\nfn h() {}\n\
                    pub const fn k() {}\npub type L = N;";
        let found = texts(public_items(code));
        let flat: Vec<_> = found.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            flat,
            [
                "fn f( a: [u8; 2], ) -> R<A>",
                "struct S",
                "b: M<X, Y>",
                "struct T",
                "Q",
                "enum E { (In), #[x] { y: Z } }",
                "const fn k()",
                "type L = N"
            ]
        );
    }

    #[test]
    fn items_have_their_bodies() {
        let code = "enum AError { B { c: u8 }, D }\nstruct S;\n";
        assert_eq!(texts(items(code, "enum")), ["AError { B { c: u8 }, D }"]);
        assert_eq!(texts(items(code, "struct")), ["S"]);
    }
}
