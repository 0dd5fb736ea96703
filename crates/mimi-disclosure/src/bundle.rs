use std::fmt;

use mimi_pseudonym::{Content, DecodeError, Reader, UserUri, Wire, Writer};

use crate::is_media_type;

/// What someone behind a pseudonym says to be reached: presentations of who they are, KeyPackages with which they can
/// be added to a room, the pseudonym to answer to, and a note. The format or convention that
/// draft-mahy-mimi-pseudonyms-00, section 7, asks for; `docs/profile-bundle.md` has its encoding.
///
/// Bounded: at most 8 presentations, 64 KeyPackages and a note of 1,024 octets, in 1,048,064 octets altogether.
/// `Debug` shows numbers, never content.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    presentations: Vec<Content>,
    reply_to: Option<UserUri>,
    key_packages: Vec<Vec<u8>>,
    note: String,
}

/// Why there is no such bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The content has another media type.
    #[error("the media type is not that of a bundle")]
    MediaType,
    /// The body is no bundle.
    #[error("the body is no bundle: {0}")]
    Malformed(#[from] DecodeError),
    /// More than 8 presentations.
    #[error("a bundle has at most 8 presentations, this one has {0}")]
    Presentations(usize),
    /// A presentation is itself a bundle.
    #[error("a bundle holds no bundle")]
    Nested,
    /// More than 64 KeyPackages.
    #[error("a bundle has at most 64 KeyPackages, this one has {0}")]
    KeyPackages(usize),
    /// The note has more than 1,024 octets.
    #[error("a note has at most 1024 octets, this one has {0}")]
    Note(usize),
    /// The answer is to go to an account, which would disclose it to the hub.
    #[error("the answer is to go to a pseudonym")]
    ReplyTo,
    /// Altogether more than 1,048,064 octets.
    #[error("a bundle has at most 1048064 octets, this one has {0}")]
    Length(usize),
}

impl Bundle {
    /// The media type of a bundle.
    pub const MEDIA_TYPE: &str = "application/mimi-connection-bundle";
    /// The most presentations.
    pub const MAX_PRESENTATIONS: usize = 8;
    /// The most KeyPackages.
    pub const MAX_KEY_PACKAGES: usize = 64;
    /// The most octets of the note.
    pub const MAX_NOTE: usize = 1024;

    const VERSION: u8 = 1;

    /// Puts a bundle together. KeyPackages are `KeyPackage` structs of RFC 9420, section 10, neither read nor verified
    /// here.
    ///
    /// # Errors
    /// [`BundleError`] says which bound is exceeded, or that `reply_to` is no pseudonym.
    pub fn new(
        presentations: Vec<Content>,
        reply_to: Option<UserUri>,
        key_packages: Vec<Vec<u8>>,
        note: impl Into<String>,
    ) -> Result<Self, BundleError> {
        let bundle = Self { presentations, reply_to, key_packages, note: note.into() };
        bundle.check()?;
        match bundle.encode().len() {
            length if length > Self::MAX_LEN => Err(BundleError::Length(length)),
            _ => Ok(bundle),
        }
    }

    /// What is presented, each to be read as an [`UnverifiedPresentation`](crate::UnverifiedPresentation).
    pub fn presentations(&self) -> &[Content] {
        &self.presentations
    }

    /// The pseudonym to answer to.
    pub fn reply_to(&self) -> Option<&UserUri> {
        self.reply_to.as_ref()
    }

    /// The KeyPackages, not verified.
    pub fn key_packages(&self) -> &[Vec<u8>] {
        &self.key_packages
    }

    /// The note.
    pub fn note(&self) -> &str {
        &self.note
    }

    fn check(&self) -> Result<(), BundleError> {
        if self.presentations.len() > Self::MAX_PRESENTATIONS {
            return Err(BundleError::Presentations(self.presentations.len()));
        }
        if self.presentations.iter().any(|content| is_media_type(&content.media_type, Self::MEDIA_TYPE)) {
            return Err(BundleError::Nested);
        }
        if self.key_packages.len() > Self::MAX_KEY_PACKAGES {
            return Err(BundleError::KeyPackages(self.key_packages.len()));
        }
        if self.note.len() > Self::MAX_NOTE {
            return Err(BundleError::Note(self.note.len()));
        }
        match &self.reply_to {
            Some(user) if !user.is_pseudonym() => Err(BundleError::ReplyTo),
            _ => Ok(()),
        }
    }
}

impl Wire for Bundle {
    const MAX_LEN: usize = (1 << 20) - 512;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            Self::VERSION => {}
            value => return Err(DecodeError::Value { field: "version", value: value.into() }),
        }
        let bundle = Self {
            presentations: reader.list()?,
            reply_to: reader.optional()?,
            key_packages: reader.list()?,
            note: reader.text("note")?.to_owned(),
        };
        let rule = |field, rule| DecodeError::Rule { field, rule };
        bundle.check().map_err(|error| match error {
            BundleError::Presentations(_) => rule("presentations", "more than 8"),
            BundleError::Nested => rule("presentations", "a bundle in a bundle"),
            BundleError::KeyPackages(_) => rule("key_packages", "more than 64"),
            BundleError::Note(_) => rule("note", "more than 1024 octets"),
            _ => rule("reply_to", "not a pseudonym"),
        })?;
        Ok(bundle)
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(Self::VERSION);
        writer.list(&self.presentations);
        writer.optional(self.reply_to.as_ref());
        writer.list(&self.key_packages);
        writer.vector(self.note.as_bytes());
    }
}

impl TryFrom<&Content> for Bundle {
    type Error = BundleError;

    fn try_from(content: &Content) -> Result<Self, BundleError> {
        if is_media_type(&content.media_type, Self::MEDIA_TYPE) {
            Ok(Self::decode(&content.body)?)
        } else {
            Err(BundleError::MediaType)
        }
    }
}

impl From<Bundle> for Content {
    fn from(bundle: Bundle) -> Self {
        Self { media_type: Bundle::MEDIA_TYPE.to_owned(), body: bundle.encode() }
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("presentations", &self.presentations.len())
            .field("key_packages", &self.key_packages.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pseudonym() -> UserUri {
        UserUri::pseudonym(&"a.example".parse().unwrap(), [7; 16])
    }

    fn content(media_type: &str, length: usize) -> Content {
        Content { media_type: media_type.to_owned(), body: vec![7; length] }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            bodies in proptest::collection::vec(any::<Vec<u8>>(), 0..8),
            key_packages in proptest::collection::vec(any::<Vec<u8>>(), 0..64),
            reply in any::<Option<[u8; 16]>>(),
            note in "\\PC{0,200}",
        ) {
            let presentations =
                bodies.into_iter().map(|body| Content { media_type: "text/plain".into(), body }).collect();
            let reply_to = reply.map(|bits| UserUri::pseudonym(&"a.example".parse().unwrap(), bits));
            let bundle = Bundle::new(presentations, reply_to, key_packages, note).unwrap();
            prop_assert_eq!(Bundle::try_from(&Content::from(bundle.clone())), Ok(bundle));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = Bundle::decode(&octets);
        }
    }

    #[test]
    fn bounds_are_kept_by_maker_and_reader() {
        let cases = [
            (vec![content("a/b", 1); 9], None, 0, 0, BundleError::Presentations(9), "presentations"),
            (vec![content(Bundle::MEDIA_TYPE, 1)], None, 0, 0, BundleError::Nested, "presentations"),
            (vec![], None, 65, 0, BundleError::KeyPackages(65), "key_packages"),
            (vec![], None, 0, 1025, BundleError::Note(1025), "note"),
            (vec![], Some("mimi://a.example/u/alice".parse().unwrap()), 0, 0, BundleError::ReplyTo, "reply_to"),
        ];
        for (presentations, reply_to, key_packages, note, error, field) in cases {
            let (key_packages, note) = (vec![vec![1]; key_packages], "n".repeat(note));
            let bad = Bundle { presentations, reply_to, key_packages, note };
            let made =
                Bundle::new(bad.presentations.clone(), bad.reply_to.clone(), bad.key_packages.clone(), &*bad.note);
            assert_eq!(made, Err(error));
            match Bundle::decode(&bad.encode()) {
                Err(DecodeError::Rule { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        let large = Bundle::new(vec![content("a/b", 1 << 20)], None, vec![], "");
        assert!(matches!(large, Err(BundleError::Length(length)) if length > 1 << 20));
    }

    #[test]
    fn another_version_and_another_media_type_are_refused() {
        let mut octets = Bundle::default().encode();
        octets[0] = 2;
        assert_eq!(Bundle::decode(&octets), Err(DecodeError::Value { field: "version", value: 2 }));
        assert_eq!(Bundle::try_from(&content("text/plain", 1)), Err(BundleError::MediaType));
        let mut content = Content::from(Bundle::default());
        content.body.push(0);
        assert_eq!(Bundle::try_from(&content), Err(BundleError::Malformed(DecodeError::Trailing(1))));
    }

    #[test]
    fn the_encoding_is_the_documented_one() {
        let bundle = Bundle::new(vec![content("a/b", 2)], Some(pseudonym()), vec![vec![9, 9]], "hi").unwrap();
        let mut expected = vec![1, 7, 3, b'a', b'/', b'b', 2, 7, 7, 1, 56];
        expected.extend_from_slice(pseudonym().as_str().as_bytes());
        expected.extend_from_slice(&[3, 2, 9, 9, 2, b'h', b'i']);
        assert_eq!(bundle.encode(), expected);
    }

    #[test]
    fn debug_shows_no_content() {
        let bundle = Bundle::new(vec![], Some(pseudonym()), vec![vec![9; 100]], "secret").unwrap();
        assert_eq!(format!("{bundle:?}"), "Bundle { presentations: 0, key_packages: 1, .. }");
    }
}
