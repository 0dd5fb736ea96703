//! A strict scanner of JSON (RFC 8259) over text that is known to be UTF-8. It builds no tree: what is kept is a slice
//! of the text, and what is hidden is never looked at twice.

use std::borrow::Cow;

use super::error::JsonError;

/// A position in a JSON text.
#[derive(Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A string of a JSON text.
pub(super) struct Text<'a> {
    /// As it is written, with its quotes.
    pub(super) raw: &'a str,
    /// What it means.
    pub(super) value: Cow<'a, str>,
}

impl<'a> Scanner<'a> {
    /// At the beginning of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next octet that is no white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Goes over an octet, if it is the next one.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// Goes over an octet, which must be the next one.
    pub(super) fn expect(&mut self, octet: u8) -> Result<(), JsonError> {
        if self.take(octet) { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// The text must be at its end.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() { Ok(()) } else { Err(JsonError::Syntax) }
    }

    /// The text from here to a later position.
    pub(super) fn until(&self, later: &Self) -> &'a str {
        self.text.get(self.at..later.at).unwrap_or_default().trim_start_matches([' ', '\t', '\n', '\r'])
    }

    /// A string.
    pub(super) fn string(&mut self) -> Result<Text<'a>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(JsonError::Syntax);
        }
        let start = self.at;
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            end += self.plain(end);
            match self.text.as_bytes().get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                _ => return Err(JsonError::Syntax),
            }
        }
        let inner = self.text.get(start + 1..end).ok_or(JsonError::Syntax)?;
        let raw = self.text.get(start..=end).ok_or(JsonError::Syntax)?;
        self.at = end + 1;
        let value = if escaped { Cow::Owned(unescape(inner)?) } else { Cow::Borrowed(inner) };
        Ok(Text { raw, value })
    }

    /// A number, `true`, `false` or `null`, as it is written.
    pub(super) fn scalar(&mut self) -> Result<&'a str, JsonError> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .bytes()
            .position(|octet| !matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E'))
            .unwrap_or(rest.len());
        let raw = rest.get(..length).unwrap_or_default();
        if !matches!(raw, "true" | "false" | "null") && !is_number(raw.as_bytes()) {
            return Err(JsonError::Syntax);
        }
        self.at += length;
        Ok(raw)
    }

    /// Goes over a value of any type, whose objects and arrays are nested at most `depth` deep.
    pub(super) fn skip(&mut self, names: &mut Names<'a>, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.members(names, depth, |_, scan, names, depth| scan.skip(names, depth)),
            Some(b'[') => {
                let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
                self.at += 1;
                if self.take(b']') {
                    return Ok(());
                }
                loop {
                    self.skip(names, depth)?;
                    if self.take(b']') {
                        return Ok(());
                    }
                    self.expect(b',')?;
                }
            }
            Some(b'"') => self.string().map(drop),
            _ => self.scalar().map(drop),
        }
    }

    /// An object: calls `member` with each name, when the value is next.
    pub(super) fn members<E: From<JsonError>>(
        &mut self,
        names: &mut Names<'a>,
        depth: usize,
        mut member: impl FnMut(&str, &mut Self, &mut Names<'a>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let depth = depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        let mark = names.mark();
        loop {
            let name = self.string()?.value;
            self.expect(b':')?;
            member(&name, self, names, depth)?;
            names.push(name, false);
            if self.take(b'}') {
                break;
            }
            self.expect(b',')?;
        }
        names.finish(mark).map_err(|_| JsonError::DuplicateMember.into())
    }

    /// Octets from here that mean themselves in a string.
    fn plain(&self, from: usize) -> usize {
        let rest = self.text.as_bytes().get(from..).unwrap_or_default();
        let (blocks, tail) = rest.as_chunks::<8>();
        for (index, block) in blocks.iter().enumerate() {
            let special = special(u64::from_le_bytes(*block));
            if special != 0 {
                return index * 8 + special.trailing_zeros() as usize / 8;
            }
        }
        let tail = tail.iter().position(|octet| matches!(octet, b'"' | b'\\' | 0..=0x1f)).unwrap_or(tail.len());
        blocks.len() * 8 + tail
    }
}

/// Eight octets at once: the lowest bit that is set is the highest one of the first octet that is a quote, a backslash
/// or a control character.
fn special(block: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // A borrow can only come from a lower octet that is special itself.
    let below = |block: u64, limit: u64| block.wrapping_sub(ONES * limit) & !block & HIGHS;
    let equal = |octet: u8| below(block ^ (ONES * u64::from(octet)), 1);
    below(block, 0x20) | equal(b'"') | equal(b'\\')
}

/// Names of members: those of the innermost object last. An object's names are sorted once, at its end.
#[derive(Default)]
pub(super) struct Names<'a>(Vec<Name<'a>>);

struct Name<'a> {
    /// Made of the length and of the first and last letters: equal names have equal ones.
    order: u64,
    text: Cow<'a, str>,
    disclosed: bool,
}

/// A name occurs twice in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// In the same JSON text.
    Member,
    /// And at least one of the two was disclosed.
    Disclosed,
}

impl<'a> Names<'a> {
    /// Where the names of a new object begin.
    pub(super) fn mark(&self) -> usize {
        self.0.len()
    }

    /// A name of the innermost object.
    pub(super) fn push(&mut self, text: Cow<'a, str>, disclosed: bool) {
        self.0.push(Name { order: order(text.as_bytes()), text, disclosed });
    }

    /// Forgets the names since `mark`, which must be different ones.
    pub(super) fn finish(&mut self, mark: usize) -> Result<(), Repeated> {
        let names = self.0.get_mut(mark..).unwrap_or_default();
        names.sort_unstable_by(|a, b| a.order.cmp(&b.order).then_with(|| a.text.cmp(&b.text)));
        let repeated = names.windows(2).find_map(|pair| match pair {
            [a, b] if a.order == b.order && a.text == b.text => Some(a.disclosed || b.disclosed),
            _ => None,
        });
        self.0.truncate(mark);
        match repeated {
            None => Ok(()),
            Some(false) => Err(Repeated::Member),
            Some(true) => Err(Repeated::Disclosed),
        }
    }
}

fn order(name: &[u8]) -> u64 {
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_be_bytes(*first), u64::from_be_bytes(*last)),
        _ => (name.iter().fold(0, |all, octet| all << 8 | u64::from(*octet)), 0),
    };
    first.rotate_left(29) ^ last ^ (name.len() as u64).rotate_left(56)
}

/// Appends a string as JSON.
pub(super) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' => {
                out.push_str("\\u00");
                out.extend(
                    [u32::from(letter) >> 4, u32::from(letter) & 0xf]
                        .map(|digit| char::from_digit(digit, 16).unwrap_or('0')),
                );
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = digits(rest);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(rest) => match digits(rest) {
            ([], _) => return false,
            (_, rest) => rest,
        },
        None => rest,
    };
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => {
            matches!(digits(rest), ([_, ..], []))
        }
        _ => false,
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(length).unwrap_or((text, &[]))
}

fn unescape(inner: &str) -> Result<String, JsonError> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut letters = escape.chars();
        match letters.next() {
            Some(letter @ ('"' | '\\' | '/')) => out.push(letter),
            Some('b') => out.push('\x08'),
            Some('f') => out.push('\x0c'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (letter, after) = unicode(letters.as_str()).ok_or(JsonError::Syntax)?;
                out.push(letter);
                letters = after.chars();
            }
            _ => return Err(JsonError::Syntax),
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

/// The letter of `XXXX`, or of the surrogate pair `XXXX\uXXXX`; half a pair is none.
fn unicode(text: &str) -> Option<(char, &str)> {
    let (first, rest) = hex(text)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((letter, rest));
    }
    let (second, rest) = hex(rest.strip_prefix("\\u")?)?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, rest))
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
