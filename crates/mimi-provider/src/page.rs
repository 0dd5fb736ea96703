//! The page of a room that can be found: what it is called, what it asks of those who join, and where to knock
//! (draft-mahy-mimi-pseudonyms-00, section 3.3). HTML without scripts; nothing is loaded from anywhere.

use mimi_link::{KnockLink, Qr};
use mimi_pseudonym::{ClaimName, DisclosurePolicy, PseudonymUse};
use mimi_room::{RichDescription, RoomMetadata};

/// What a browser may do with a page: show it.
pub(crate) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page is made of.
pub(crate) struct RoomPage<'a> {
    pub(crate) metadata: &'a RoomMetadata,
    pub(crate) pseudonyms: PseudonymUse,
    pub(crate) disclosure: &'a DisclosurePolicy,
    /// Where to knock, if the room has a knock room.
    pub(crate) knock: Option<KnockLink>,
}

const STYLE: &str = include_str!("page/style.css");

impl RoomPage<'_> {
    /// The page as HTML.
    pub(crate) fn html(&self) -> String {
        let name = match self.metadata.name.as_str() {
            "" => self.metadata.room.name(),
            name => name,
        };
        let name = escaped(name);
        let language = self.description().map_or("", |description| description.language.as_str());
        let language = if is_language(language) { language } else { "en" };
        let parts = [self.about(language), self.asked(), self.way_in()].concat();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<title>{name}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<h1>{name}</h1>\n{parts}</main>\n</body>\n</html>\n"
        )
    }

    /// The first description that is plain text.
    fn description(&self) -> Option<&RichDescription> {
        let plain = |description: &&RichDescription| {
            description.media_type.is_empty() || description.media_type.starts_with("text/plain")
        };
        self.metadata.descriptions.iter().find(plain)
    }

    fn about(&self, language: &str) -> String {
        let text = self.description().and_then(|description| std::str::from_utf8(&description.content).ok());
        let text = text.unwrap_or_default().trim();
        let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
        paragraphs.map(|paragraph| format!("<p lang=\"{language}\">{}</p>\n", escaped(paragraph))).collect()
    }

    fn asked(&self) -> String {
        let pseudonyms = match self.pseudonyms {
            PseudonymUse::Required => "Everybody here goes by a pseudonym, made for this room alone.",
            PseudonymUse::Forbidden => "Nobody here goes by a pseudonym: you come under your account.",
            _ => "You may come under a pseudonym, made for this room alone.",
        };
        let sets = [
            ("You have to tell the participants", self.disclosure.required()),
            ("You may tell them", self.disclosure.optional()),
            ("You must not tell them", self.disclosure.forbidden()),
        ];
        let mut html = format!("<h2>What it asks of you</h2>\n<p>{pseudonyms}</p>\n");
        for (heading, claims) in sets.into_iter().filter(|(_, claims)| !claims.is_empty()) {
            let items: String = claims.iter().map(|claim| format!("<li>{}</li>\n", in_words(*claim))).collect();
            html.push_str(&format!("<h3>{heading}</h3>\n<ul>\n{items}</ul>\n"));
        }
        html.push_str("<p>It is told inside the encrypted room. This page's server does not see it.</p>\n");
        html
    }

    fn way_in(&self) -> String {
        let Some(link) = &self.knock else {
            return "<h2>How to get in</h2>\n<p>By invitation: ask someone who is in for a link.</p>\n".to_owned();
        };
        let text = escaped(&link.to_string());
        let picture = Qr::new(&link.to_string()).map(|qr| qr.svg()).unwrap_or_default();
        format!(
            "<h2>How to get in</h2>\n<p>Knock: open this link in your messenger, or scan it. What you say goes to the \
             moderators alone; they let you in, or not, when they have read it.</p>\n\
             <p class=\"link\"><code>{text}</code></p>\n<figure>{picture}<figcaption>The same link</figcaption></figure>\n"
        )
    }
}

fn in_words(claim: ClaimName) -> String {
    match claim {
        ClaimName::UserUri => "your account".to_owned(),
        ClaimName::Handle => "your handle".to_owned(),
        ClaimName::DisplayName => "your name".to_owned(),
        ClaimName::Email => "your e-mail address".to_owned(),
        ClaimName::AgeOver18 => "that you are 18 or older".to_owned(),
        other => escaped(&other.to_string()),
    }
}

/// A language tag that may stand in an attribute (RFC 5646: letters, digits and hyphens).
fn is_language(tag: &str) -> bool {
    (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // Control characters are not shown, save those that break lines.
            char if char.is_control() && char != '\n' && char != '\t' => {}
            char => html.push(char),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use mimi_link::HubFingerprint;
    use mimi_pseudonym::{DisclosurePolicy, RoomUri};

    use super::*;

    fn room() -> RoomUri {
        "mimi://a.example/r/clubhouse".parse().unwrap()
    }

    fn described(name: &str, text: &str, language: &str) -> RoomMetadata {
        let description =
            RichDescription { media_type: String::new(), language: language.into(), content: text.as_bytes().to_vec() };
        RoomMetadata { name: name.into(), descriptions: vec![description], ..RoomMetadata::new(room()) }
    }

    fn policy() -> DisclosurePolicy {
        DisclosurePolicy::new([ClaimName::AgeOver18], [ClaimName::DisplayName], [ClaimName::Email]).unwrap()
    }

    #[test]
    fn the_page_says_what_the_room_asks_and_where_to_knock() {
        let (metadata, disclosure) = (described("The Clubhouse", "A club.\n\nFor tea.", "en"), policy());
        let knock = KnockLink { room: room(), hub: HubFingerprint::from_bytes([7; 32]) };
        let text = knock.to_string();
        let pseudonyms = PseudonymUse::Required;
        let html = RoomPage { metadata: &metadata, pseudonyms, disclosure: &disclosure, knock: Some(knock) }.html();
        for part in [
            "<h1>The Clubhouse</h1>",
            "<title>The Clubhouse</title>",
            "<p lang=\"en\">A club.</p>",
            "<p lang=\"en\">For tea.</p>",
            "Everybody here goes by a pseudonym",
            "<li>that you are 18 or older</li>",
            "<li>your name</li>",
            "<li>your e-mail address</li>",
            "<svg",
            text.as_str(),
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        for never in ["<script", "http://www.example", "https://", "<link", "<img", "@import", "url("] {
            assert!(!html.contains(never), "{never}");
        }
    }

    #[test]
    fn without_a_knock_room_the_way_in_is_by_invitation() {
        let (metadata, disclosure) = (described("", "", ""), policy());
        let page =
            RoomPage { metadata: &metadata, pseudonyms: PseudonymUse::Forbidden, disclosure: &disclosure, knock: None };
        let html = page.html();
        assert!(html.contains("<h1>clubhouse</h1>"), "a room without a name goes by its URI's");
        assert!(html.contains("By invitation") && html.contains("Nobody here goes by a pseudonym"));
        assert!(!html.contains("<svg"));
    }

    #[test]
    fn nothing_that_a_room_says_becomes_markup() {
        let evil = "</title><script>alert(1)</script>\"'&\u{7}";
        let metadata = described(evil, evil, "en\" onload=\"x");
        let disclosure = policy();
        let page =
            RoomPage { metadata: &metadata, pseudonyms: PseudonymUse::Optional, disclosure: &disclosure, knock: None };
        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("onload") && !html.contains('\u{7}'));
        assert!(html.contains("&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        let rich =
            RichDescription { media_type: "text/html".into(), language: "en".into(), content: b"<b>x</b>".to_vec() };
        let metadata = RoomMetadata { descriptions: vec![rich], ..described("x", "", "en") };
        let page =
            RoomPage { metadata: &metadata, pseudonyms: PseudonymUse::Optional, disclosure: &disclosure, knock: None };
        assert!(!page.html().contains("<b>x"), "only plain text is shown");
    }
}
