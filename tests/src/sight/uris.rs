use std::collections::BTreeSet;

use mimi_pseudonym::AnyUri;

/// The names of `mimi://` that stand in some octets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Pseudonyms of users and clients.
    pub pseudonyms: BTreeSet<String>,
    /// Accounts, and clients by their accounts' names for them.
    pub accounts: BTreeSet<String>,
    /// Rooms and their groups.
    pub rooms: BTreeSet<String>,
    /// The domains of all of these.
    pub domains: BTreeSet<String>,
}

const SCHEME: &[u8] = b"mimi://";
/// Characters of a pseudonym: `~` and a UUID.
const PSEUDONYM: usize = 37;

impl Names {
    /// Adds the names in these octets. A name whose end cannot be told is passed over.
    pub fn scan(&mut self, octets: &[u8]) {
        let starts = octets.windows(SCHEME.len()).enumerate().filter(|(_, window)| *window == SCHEME).map(|(at, _)| at);
        for at in starts {
            let (before, rest) = octets.split_at(at);
            if let Some(uri) = uri(before, rest) {
                self.add(uri);
            }
        }
    }

    fn add(&mut self, uri: AnyUri) {
        let (set, text, domain) = match &uri {
            AnyUri::User(uri) if uri.is_pseudonym() => (&mut self.pseudonyms, uri.as_str(), uri.domain()),
            AnyUri::Client(uri) if uri.is_pseudonym() => (&mut self.pseudonyms, uri.as_str(), uri.domain()),
            AnyUri::User(uri) => (&mut self.accounts, uri.as_str(), uri.domain()),
            AnyUri::Client(uri) => (&mut self.accounts, uri.as_str(), uri.domain()),
            AnyUri::Room(uri) => (&mut self.rooms, uri.as_str(), uri.domain()),
            AnyUri::Group(uri) => (&mut self.rooms, uri.as_str(), uri.domain()),
            _ => return,
        };
        set.insert(text.to_owned());
        self.domains.insert(domain.to_string());
    }
}

/// The URI at the start of `rest`.
fn uri(before: &[u8], rest: &[u8]) -> Option<AnyUri> {
    let allowed = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~:/".contains(octet);
    let length = rest.iter().take_while(|octet| allowed(octet)).count();
    let parse = |length: usize| std::str::from_utf8(rest.get(..length)?).ok()?.parse::<AnyUri>().ok();
    // A pseudonym has its length; what follows may look like more of it.
    let name = rest.iter().take(length).position(|octet| *octet == b'~');
    if let Some(uri) = name.and_then(|name| parse(name + PSEUDONYM)) {
        return Some(uri);
    }
    // In TLS presentation language and in DER its length stands before it, in one octet or, in the former, two.
    let one = before.last().map(|octet| usize::from(*octet));
    let two = before.last_chunk().map(|octets| usize::from(u16::from_be_bytes(*octets))).filter(|two| two >> 14 == 1);
    let told = two.map(|two| two & 0x3fff).into_iter().chain(one).find(|told| *told > SCHEME.len() && *told <= length);
    if let Some(uri) = told.and_then(parse) {
        return Some(uri);
    }
    // In a text something ends it.
    let ended = rest.get(length).is_none_or(|octet| b"\"'<>,; \n\r\t)".contains(octet));
    if ended { parse(length) } else { None }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{UserUri, Wire, Writer};

    use super::*;

    fn names(octets: &[u8]) -> Names {
        let mut names = Names::default();
        names.scan(octets);
        names
    }

    fn set(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn names_in_presentation_language_end_where_their_length_says() {
        let domain = "a.example".parse().unwrap();
        let users = ["mimi://a.example/u/alice".parse::<UserUri>().unwrap(), UserUri::pseudonym(&domain, [7; 16])];
        let long: UserUri = format!("mimi://b.example/u/{}", "b".repeat(60)).parse().unwrap();
        let mut writer = Writer::default();
        // The length of the second is the character 8: without lengths it would belong to the first.
        users.iter().chain([&long]).chain(&users).for_each(|user| user.write(&mut writer));
        let found = names(&writer.into_octets());
        assert_eq!(found.accounts, set(&["mimi://a.example/u/alice", long.as_str()]));
        assert_eq!(found.pseudonyms, set(&["mimi://a.example/u/~07070707-0707-0707-0707-070707070707"]));
        assert_eq!(found.domains, set(&["a.example", "b.example"]));
    }

    #[test]
    fn names_in_a_text_end_where_it_says() {
        let found = names(b"{\"room\":\"mimi://a.example/r/x\"} mimi://a.example/g/x");
        assert_eq!(found.rooms, set(&["mimi://a.example/r/x", "mimi://a.example/g/x"]));
    }

    #[test]
    fn what_has_no_end_or_is_no_name_is_passed_over() {
        assert_eq!(names(b"mimi://a.example/u/alice\x01\x02"), Names::default());
        assert_eq!(names(b"mimi://a.example"), Names::default());
        assert_eq!(names(b"mimi:/"), Names::default());
    }
}
