/// The code of a file: comments and the insides of literals become blanks, line breaks stay.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(char) = chars.get(at) {
        let length = comment(&chars, at).or_else(|| raw_string(&chars, at)).or_else(|| literal(&chars, at));
        match length {
            Some(length) => {
                let end = chars.len().min(at + length);
                code.extend(
                    chars.get(at..end).into_iter().flatten().map(|char| if *char == '\n' { '\n' } else { ' ' }),
                );
                at = end;
            }
            None => {
                code.push(*char);
                at += 1;
            }
        }
    }
    code
}

/// The length of a comment that begins here.
fn comment(chars: &[char], at: usize) -> Option<usize> {
    let pair = |at: usize| Some((*chars.get(at)?, *chars.get(at + 1)?));
    match pair(at)? {
        ('/', '/') => Some(chars.iter().skip(at).take_while(|char| **char != '\n').count()),
        ('/', '*') => {
            let (mut depth, mut end) = (1, at + 2);
            while depth > 0 && end < chars.len() {
                match pair(end) {
                    Some(('/', '*')) => (depth, end) = (depth + 1, end + 2),
                    Some(('*', '/')) => (depth, end) = (depth - 1, end + 2),
                    _ => end += 1,
                }
            }
            Some(end - at)
        }
        _ => None,
    }
}

/// The length of a raw string that begins here, at its `r`.
fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let before = |back: usize| at.checked_sub(back).and_then(|at| chars.get(at)).copied().unwrap_or(' ');
    let prefixed = matches!(before(1), 'b' | 'c') && !is_name(before(2));
    if chars.get(at) != Some(&'r') || (is_name(before(1)) && !prefixed) {
        return None;
    }
    let hashes = chars.iter().skip(at + 1).take_while(|char| **char == '#').count();
    let start = at + 1 + hashes;
    if chars.get(start) != Some(&'"') {
        return None;
    }
    let closes = |quote: usize| {
        let after = chars.get(quote + 1..quote + 1 + hashes);
        chars.get(quote) == Some(&'"') && after.is_some_and(|after| after.iter().all(|char| *char == '#'))
    };
    let quote = (start + 1..chars.len()).find(|quote| closes(*quote)).unwrap_or(chars.len());
    Some(quote + 1 + hashes - at)
}

/// The length of a string or character that begins here. A lifetime is neither.
fn literal(chars: &[char], at: usize) -> Option<usize> {
    let quote = *chars.get(at)?;
    let is_literal = match quote {
        '"' => true,
        '\'' => chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\''),
        _ => false,
    };
    if !is_literal {
        return None;
    }
    let mut end = at + 1;
    while let Some(char) = chars.get(end) {
        match char {
            '\\' => end += 2,
            char if *char == quote => return Some(end + 1 - at),
            _ => end += 1,
        }
    }
    Some(chars.len() - at)
}

/// Code without the items that stand behind `#[cfg(test)]`. Line breaks stay.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    if code.contains("#![cfg(test)]") {
        return code.chars().filter(|char| *char == '\n').collect();
    }
    let mut shipped = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, item)) = rest.split_once(MARK) {
        shipped.push_str(before);
        let (item, after) = item.split_at(item_end(item));
        shipped.extend(item.chars().filter(|char| *char == '\n'));
        rest = after;
    }
    shipped + rest
}

/// Where an item ends: after its `;`, or after the brace that closes its body.
fn item_end(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, char) in item.char_indices() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Whether a word, or words joined by `::`, stands in a text by itself and not as a part of a longer name.
pub fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    })
}

pub fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let source = "a // b\n/* c /* d */ e */ f \"g\\\"h\" 'i' '\\'' &'j k r#\"l\"m\"# br\"n\" o\n\"p\nq\" r#s";
        let code = code(source);
        let words: Vec<_> = code.split_whitespace().collect();
        assert_eq!(words, ["a", "f", "&'j", "k", "b", "o", "r#s"]);
        assert_eq!(code.lines().count(), source.lines().count());
    }

    #[test]
    fn an_open_literal_or_comment_ends_with_the_file() {
        for open in ["\"a", "/* a", "r#\"a\"", "'\\"] {
            assert_eq!(code(open).trim(), "", "{open}");
        }
    }

    #[test]
    fn test_items_go_and_what_follows_stays() {
        let source = "fn a() {}\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\n#[allow(x)]\nmod d {\n fn e() { {} }\n}\nfn f() {}";
        let shipped = without_tests(source);
        assert!(shipped.contains("fn a") && shipped.contains("fn c") && shipped.contains("fn f"));
        assert!(!shipped.contains("use b") && !shipped.contains("fn e") && !shipped.contains("allow"));
        assert_eq!(shipped.lines().count(), source.lines().count());
        assert_eq!(without_tests("#![cfg(test)]\nfn a() {}").trim(), "");
    }

    #[test]
    fn a_word_is_no_part_of_another() {
        assert!(contains_word("use tokio::net;", "tokio"));
        assert!(contains_word("std::fs::read", "std::fs"));
        assert!(!contains_word("tokio_rustls std::fsx", "tokio"));
        assert!(!contains_word("std::fsx", "std::fs"));
    }
}
