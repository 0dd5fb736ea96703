use mimi_pseudonym::{DecodeError, Reader, Timestamp, UserUri, Wire, Writer};
use ring::digest::{Context, SHA256};

/// The most octets of a requester's name.
const REQUESTER: usize = 255;
/// The most octets of a reason.
const REASON: usize = 2000;

/// The pseudonym that an entry is about, in a form that only those recognise who know its mark: the operators who see
/// the sealed account, and the owner. SHA-256 over the mark and the pseudonym.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject([u8; 32]);

/// What the owner of a pseudonym keeps, to recognise an opening in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerMark {
    mark: [u8; 16],
    pseudonym: UserUri,
}

/// An opening, as it stands in the log: who wanted it, why, when, of which pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    subject: Subject,
    requester: String,
    reason: String,
    at: Timestamp,
}

/// An entry says too little or too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// No requester, or a name over 255 octets.
    #[error("a requester has a name of 1 to 255 octets")]
    Requester,
    /// No reason, or one over 2,000 octets.
    #[error("a reason has 1 to 2,000 octets")]
    Reason,
}

impl OwnerMark {
    /// The mark of a pseudonym, as it was kept.
    pub fn restore(mark: [u8; 16], pseudonym: UserUri) -> Self {
        Self { mark, pseudonym }
    }

    /// The mark, to be kept.
    pub fn mark(&self) -> &[u8; 16] {
        &self.mark
    }

    /// The pseudonym.
    pub fn pseudonym(&self) -> &UserUri {
        &self.pseudonym
    }

    /// The subject of entries about this pseudonym.
    pub fn subject(&self) -> Subject {
        let mut hash = Context::new(&SHA256);
        hash.update(b"mimi-tie subject 1");
        hash.update(&self.mark);
        hash.update(self.pseudonym.as_str().as_bytes());
        let mut subject = [0; 32];
        for (to, from) in subject.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        Subject(subject)
    }

    /// The entries about this pseudonym: whenever it was opened, one of them is there.
    pub fn openings<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<&'a Entry> {
        let subject = self.subject();
        entries.into_iter().filter(|entry| entry.subject == subject).collect()
    }
}

impl Entry {
    /// An entry about a subject, as one wants it in the log.
    ///
    /// # Errors
    /// [`EntryError`]
    pub fn new(subject: Subject, requester: &str, reason: &str, at: Timestamp) -> Result<Self, EntryError> {
        if requester.is_empty() || requester.len() > REQUESTER {
            return Err(EntryError::Requester);
        }
        if reason.trim().is_empty() || reason.len() > REASON {
            return Err(EntryError::Reason);
        }
        Ok(Self { subject, requester: requester.to_owned(), reason: reason.to_owned(), at })
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Who wanted it.
    pub fn requester(&self) -> &str {
        &self.requester
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When.
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

/// `opaque subject[32]; opaque requester<V>; opaque reason<V>; uint64 milliseconds`
impl Wire for Entry {
    const MAX_LEN: usize = 32 + REQUESTER + REASON + 16;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let subject = Subject(reader.array()?);
        let (requester, reason) = (reader.text("requester")?, reader.text("reason")?);
        let entry = Self::new(subject, requester, reason, Timestamp::read(reader)?);
        entry.map_err(|_| DecodeError::Rule { field: "entry", rule: "says too little or too much" })
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.subject.0);
        writer.vector(self.requester.as_bytes());
        writer.vector(self.reason.as_bytes());
        self.at.write(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_requester_or_reason_is_none() {
        let subject = Subject([0; 32]);
        let at = Timestamp::from_secs(1);
        assert_eq!(Entry::new(subject, "", "spam", at), Err(EntryError::Requester));
        assert_eq!(Entry::new(subject, &"x".repeat(256), "spam", at), Err(EntryError::Requester));
        assert_eq!(Entry::new(subject, "desk", " ", at), Err(EntryError::Reason));
        assert_eq!(Entry::new(subject, "desk", &"x".repeat(2001), at), Err(EntryError::Reason));
        let entry = Entry::new(subject, "desk", "spam", at).unwrap();
        assert_eq!((entry.requester(), entry.reason(), entry.at()), ("desk", "spam", at));
        assert_eq!(Entry::decode(&entry.encode()).unwrap(), entry);
        let mut empty = entry.encode();
        empty.truncate(32);
        empty.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert!(matches!(Entry::decode(&empty), Err(DecodeError::Rule { field: "entry", .. })));
    }
}
