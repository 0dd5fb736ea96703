use std::collections::{BTreeMap, BTreeSet};

use crate::{DecodeError, Domain, Reader, Wire, Writer};

/// One anchor of a room: a CA certificate, and the domains whose users it may certify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    /// The certificate in DER, as it is: not parsed here, and not trusted for standing here.
    pub certificate: Vec<u8>,
    /// The domains.
    pub domains: BTreeSet<Domain>,
}

/// The issuers that a room names for the domains of its participants (draft-mahy-mimi-pseudonyms-00, section 4: known
/// to every participant, and trusted for the domain). They are a statement of the room, not trust: what a participant
/// trusts is its own, and counts only where both agree.
///
/// At most 32 anchors, none twice, each of at most 8,192 octets and with 1 to 64 domains, none twice. The encoding is
/// `Anchor anchors<V>` with `Anchor = { opaque certificate<V>; Domain domains<V>; }` and `opaque Domain<V>`, both lists
/// in ascending order, so that equal lists have equal octets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustAnchors {
    anchors: BTreeMap<Vec<u8>, BTreeSet<Domain>>,
}

/// Why anchors are no list of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorsError {
    /// More than 32 anchors.
    #[error("a room has at most 32 anchors")]
    TooMany,
    /// A certificate is empty, or has more than 8,192 octets.
    #[error("an anchor has 1 to 8192 octets, this one has {0}")]
    Length(usize),
    /// An anchor is for no domain, or for more than 64.
    #[error("an anchor is for 1 to 64 domains, this one for {0}")]
    Domains(usize),
    /// A certificate is there twice.
    #[error("an anchor is there twice")]
    Repeated,
}

impl TrustAnchors {
    /// The most anchors.
    pub const MAX_ANCHORS: usize = 32;
    /// The most domains of one anchor.
    pub const MAX_DOMAINS: usize = 64;
    /// The most octets of one certificate.
    pub const MAX_OCTETS: usize = 8192;

    /// Puts a list together; the order does not matter.
    ///
    /// # Errors
    /// [`AnchorsError`]
    pub fn new(anchors: impl IntoIterator<Item = TrustAnchor>) -> Result<Self, AnchorsError> {
        let mut list = Self::default();
        for anchor in anchors {
            list.insert(anchor)?;
        }
        Ok(list)
    }

    fn insert(&mut self, TrustAnchor { certificate, domains }: TrustAnchor) -> Result<(), AnchorsError> {
        if certificate.is_empty() || certificate.len() > Self::MAX_OCTETS {
            return Err(AnchorsError::Length(certificate.len()));
        }
        if domains.is_empty() || domains.len() > Self::MAX_DOMAINS {
            return Err(AnchorsError::Domains(domains.len()));
        }
        if self.anchors.contains_key(&certificate) {
            return Err(AnchorsError::Repeated);
        }
        if self.anchors.len() == Self::MAX_ANCHORS {
            return Err(AnchorsError::TooMany);
        }
        self.anchors.insert(certificate, domains);
        Ok(())
    }

    /// The certificates in DER, each with its domains, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &BTreeSet<Domain>)> {
        self.anchors.iter().map(|(certificate, domains)| (certificate.as_slice(), domains))
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Whether some anchor is for the domain.
    pub fn names(&self, domain: &Domain) -> bool {
        self.anchors.values().any(|domains| domains.contains(domain))
    }
}

impl Wire for TrustAnchors {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let rule = |rule| DecodeError::Rule { field: "anchors", rule };
        let mut rest = Reader::new(reader.vector()?);
        let mut list = Self::default();
        while !rest.is_empty() {
            let certificate = rest.vector()?.to_vec();
            let domains: Vec<Domain> = rest.list()?;
            if list.anchors.last_key_value().is_some_and(|(last, _)| *last >= certificate)
                || !domains.is_sorted_by(|one, next| one < next)
            {
                return Err(rule("not in ascending order"));
            }
            list.insert(TrustAnchor { certificate, domains: domains.into_iter().collect() }).map_err(|error| {
                rule(match error {
                    AnchorsError::TooMany => "too many",
                    AnchorsError::Length(_) => "a certificate is empty or too long",
                    AnchorsError::Domains(_) => "an anchor has no domain or too many",
                    AnchorsError::Repeated => "there twice",
                })
            })?;
        }
        Ok(list)
    }

    fn write(&self, writer: &mut Writer) {
        let mut anchors = Writer::default();
        for (certificate, domains) in &self.anchors {
            anchors.vector(certificate);
            anchors.list(domains);
        }
        writer.vector(&anchors.into_octets());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn anchor(certificate: &[u8], domains: &[&str]) -> TrustAnchor {
        let domains = domains.iter().map(|domain| domain.parse().unwrap()).collect();
        TrustAnchor { certificate: certificate.to_vec(), domains }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            anchors in prop::collection::btree_map(
                prop::collection::vec(any::<u8>(), 1..90),
                prop::collection::btree_set("[a-z]{1,9}\\.example", 1..5),
                0..6,
            ),
        ) {
            let anchors = anchors.into_iter().map(|(certificate, domains)| TrustAnchor {
                certificate,
                domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            });
            let anchors = TrustAnchors::new(anchors).unwrap();
            prop_assert_eq!(TrustAnchors::decode(&anchors.encode()), Ok(anchors));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = TrustAnchors::decode(&octets);
        }
    }

    #[test]
    fn the_bounds() {
        let many = |count: u8| TrustAnchors::new((0..count).map(|at| anchor(&[at], &["a.example"])));
        assert_eq!(many(32).unwrap().len(), 32);
        assert_eq!(many(33), Err(AnchorsError::TooMany));
        let one = |certificate: &[u8], domains: &[&str]| TrustAnchors::new([anchor(certificate, domains)]).map(|_| ());
        assert_eq!(one(&[1; 8192], &["a.example"]), Ok(()));
        assert_eq!(one(&[1; 8193], &["a.example"]), Err(AnchorsError::Length(8193)));
        assert_eq!(one(&[], &["a.example"]), Err(AnchorsError::Length(0)));
        assert_eq!(one(&[1], &[]), Err(AnchorsError::Domains(0)));
        let names: Vec<String> = (0..65).map(|at| format!("d{at}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(one(&[1], &names), Err(AnchorsError::Domains(65)));
        let twice = [anchor(&[1], &["a.example"]), anchor(&[1], &["b.example"])];
        assert_eq!(TrustAnchors::new(twice), Err(AnchorsError::Repeated));
    }

    #[test]
    fn equal_lists_have_equal_octets() {
        let (a, b) = (anchor(&[1], &["a.example"]), anchor(&[2], &["b.example", "a.example"]));
        let list = TrustAnchors::new([b.clone(), a.clone()]).unwrap();
        assert_eq!(list, TrustAnchors::new([a, b]).unwrap());
        let octets = b"\x24\x01\x01\x0a\x09a.example\x01\x02\x14\x09a.example\x09b.example";
        assert_eq!(list.encode(), octets);
        assert!(list.names(&"b.example".parse().unwrap()) && !list.names(&"c.example".parse().unwrap()));
    }

    #[test]
    fn bad_encodings_are_refused() {
        let rule = |rule| Err(DecodeError::Rule { field: "anchors", rule });
        let unsorted = b"\x1a\x01\x02\x0a\x09a.example\x01\x01\x0a\x09a.example";
        assert_eq!(TrustAnchors::decode(unsorted), rule("not in ascending order"));
        let twice = b"\x17\x01\x01\x14\x09a.example\x09a.example";
        assert_eq!(TrustAnchors::decode(twice), rule("not in ascending order"));
        assert_eq!(TrustAnchors::decode(b"\x03\x01\x01\x00"), rule("an anchor has no domain or too many"));
        assert_eq!(TrustAnchors::decode(b"\x0c\x00\x0a\x09a.example"), rule("a certificate is empty or too long"));
        assert_eq!(TrustAnchors::decode(b"\x00\x00"), Err(DecodeError::Trailing(1)));
    }
}
