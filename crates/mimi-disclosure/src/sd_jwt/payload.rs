use std::{borrow::Cow, fmt, ops::Range};

use mimi_pseudonym::Timestamp;

use super::json::{Names, Scanner};

/// The claims that verification itself looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Registered {
    Issuer,
    Audience,
    Expires,
    NotBefore,
    Issued,
    Confirmation,
}

/// The processed payload of an SD-JWT (RFC 9901, section 7.1): the issuer's claims with the disclosed ones in their
/// places, and nothing that only serves selective disclosure. `Debug` shows no content.
#[derive(Clone)]
pub struct ProcessedPayload {
    pub(super) json: String,
    members: Vec<Member>,
    registered: Vec<(Registered, Member)>,
}

/// A top-level member: where its name and its value stand.
#[derive(Clone)]
struct Member {
    name: Range<usize>,
    value: Range<usize>,
}

impl ProcessedPayload {
    pub(super) fn with_capacity(length: usize, members: usize) -> Self {
        Self { json: String::with_capacity(length), members: Vec::with_capacity(members), registered: Vec::new() }
    }

    /// What has been written since the name, which stands at this range, is a member.
    pub(super) fn add(&mut self, name: &str, range: Range<usize>) {
        let member = Member { value: range.end + 1..self.json.len(), name: range };
        let registered = match name {
            "iss" => Some(Registered::Issuer),
            "aud" => Some(Registered::Audience),
            "exp" => Some(Registered::Expires),
            "nbf" => Some(Registered::NotBefore),
            "iat" => Some(Registered::Issued),
            "cnf" => Some(Registered::Confirmation),
            _ => None,
        };
        if let Some(claim) = registered {
            self.registered.push((claim, member.clone()));
        }
        self.members.push(member);
    }

    /// The value of a registered claim as JSON, without a search.
    pub(super) fn registered(&self, claim: Registered) -> Option<&str> {
        let (_, member) = self.registered.iter().find(|(found, _)| *found == claim)?;
        self.json.get(member.value.clone())
    }

    /// The whole payload: one JSON object without white space, whose strings and numbers are as the issuer wrote them.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The names of the claims, in the order of the payload.
    pub fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.members.iter().filter_map(|member| self.name(member))
    }

    /// The value of a claim as JSON.
    pub fn claim(&self, name: &str) -> Option<&str> {
        let member = self.members.iter().find(|member| self.name(member).is_some_and(|found| found == name))?;
        self.json.get(member.value.clone())
    }

    /// The value of a claim that is a string.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        string(self.claim(name)?)
    }

    /// The value of a claim that is `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.claim(name)?.parse().ok()
    }

    /// The value of a claim that is a time (NumericDate of RFC 7519, section 2). What lies before 1970 is 1970.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        numeric_date(self.claim(name)?)
    }

    fn name(&self, member: &Member) -> Option<Cow<'_, str>> {
        string(self.json.get(member.name.clone())?)
    }
}

impl fmt::Debug for ProcessedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessedPayload").field("claims", &self.members.len()).finish_non_exhaustive()
    }
}

/// A JSON text that is a string.
pub(super) fn string(json: &str) -> Option<Cow<'_, str>> {
    let mut scan = Scanner::new(json);
    let text = scan.string().ok()?;
    scan.end().ok()?;
    Some(text.value)
}

/// Whether a JSON text is this string, or an array of strings with it; `None` if it is neither.
pub(super) fn names_audience(json: &str, audience: &str) -> Option<bool> {
    let mut scan = Scanner::new(json);
    if scan.peek() == Some(b'"') {
        return Some(scan.string().ok()?.value == audience);
    }
    scan.expect(b'[').ok()?;
    let mut found = false;
    if scan.take(b']') {
        return Some(found);
    }
    loop {
        found |= scan.string().ok()?.value == audience;
        if scan.take(b']') {
            return Some(found);
        }
        scan.expect(b',').ok()?;
    }
}

/// A NumericDate: seconds since 1970, perhaps with a fraction.
pub(super) fn numeric_date(json: &str) -> Option<Timestamp> {
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    match json.parse::<u64>() {
        Ok(seconds) => Some(Timestamp::from_secs(seconds)),
        // Stops at the ends: `as` gives 0 for what is negative, and the largest number for what is larger.
        Err(_) => Some(Timestamp::from_millis((json.parse::<f64>().ok()? * 1000.0) as u64)),
    }
}

/// The members of a JSON object, each as JSON, by their names.
pub(super) fn members_of<const N: usize>(json: &str, wanted: [&str; N]) -> Option<[Option<String>; N]> {
    let mut found = [const { None }; N];
    let mut scan = Scanner::new(json);
    scan.members(&mut Names::default(), 128, |name, scan, names, depth| {
        let rest = *scan;
        scan.skip(names, depth)?;
        if let Some(place) = wanted.iter().position(|wanted| *wanted == name).and_then(|at| found.get_mut(at)) {
            *place = Some(rest.until(scan).to_owned());
        }
        Ok::<_, super::error::JsonError>(())
    })
    .ok()?;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers() {
        let millis = |json| numeric_date(json).map(Timestamp::as_millis);
        assert_eq!(millis("1795475711"), Some(1_795_475_711_000));
        assert_eq!(millis("1.5"), Some(1500));
        assert_eq!(millis("1e3"), Some(1_000_000));
        assert_eq!(millis("-5"), Some(0));
        assert_eq!(millis("1e300"), Some(u64::MAX));
        assert_eq!(millis("99999999999999999999"), Some(u64::MAX));
        for json in ["\"1795475711\"", "true", "null", "[1]", "{}", "inf", "NaN"] {
            assert_eq!(millis(json), None, "{json}");
        }
    }

    #[test]
    fn an_audience_is_a_string_or_an_array_of_strings() {
        assert_eq!(names_audience("\"a\"", "a"), Some(true));
        assert_eq!(names_audience("[\"b\",\"a\"]", "a"), Some(true));
        assert_eq!(names_audience("[]", "a"), Some(false));
        assert_eq!(names_audience("\"b\"", "a"), Some(false));
        assert_eq!(names_audience("[\"a\",1]", "a"), None);
        assert_eq!(names_audience("5", "a"), None);
    }
}
