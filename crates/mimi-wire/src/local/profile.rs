use std::fmt;

use mimi_pseudonym::{DecodeError, Reader, Wire, Writer};

use crate::{
    codec::{check_count, codes, wire_struct},
    identifier::SearchField,
};

codes! {
    /// By what kind of search a field of a profile leads to its user (draft-ietf-mimi-protocol-06, section 5.8).
    pub enum Visibility: "visibility" {
        /// By none.
        Hidden = 1,
        /// By one for exactly this value.
        Exact = 2,
        /// By that, and by one for a part of it; and it is shown to whoever finds the user.
        Searchable = 3,
    }
}

/// A field of a profile. `Debug` does not show the value.
#[derive(Clone, PartialEq, Eq)]
pub struct ProfileEntry {
    /// Which field: neither [`SearchField::PartialName`] nor [`SearchField::WholeProfile`].
    pub field: SearchField,
    /// The value, at most 1,024 octets; empty for [`SearchField::Handle`], whose value is the account's, and for nothing
    /// else.
    pub value: String,
    /// Who finds it.
    pub visibility: Visibility,
}

wire_struct!(ProfileEntry, 1 << 13, { field, value, visibility }, |entry| {
    let rule = |rule| Err(DecodeError::Rule { field: "ProfileEntry", rule });
    match entry.field {
        SearchField::PartialName | SearchField::WholeProfile => rule("a kind of search is no field"),
        SearchField::Handle if !entry.value.is_empty() => rule("the handle is the account's"),
        SearchField::Handle => Ok(()),
        _ if entry.value.trim().is_empty() => rule("a field without a value"),
        _ if entry.value.len() > 1024 => rule("a value of more than 1024 octets"),
        _ => Ok(()),
    }
});

impl fmt::Debug for ProfileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileEntry")
            .field("field", &self.field)
            .field("visibility", &self.visibility)
            .finish_non_exhaustive()
    }
}

/// Sets what an account can be found by, in place of what was set before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetProfile {
    /// The fields; at most 64. Without one for the handle, nobody finds the account by it.
    pub entries: Vec<ProfileEntry>,
}

wire_struct!(SetProfile, 1 << 17, { entries: list }, |profile| {
    check_count(&profile.entries, 0..=64, "entries")?;
    let handles = profile.entries.iter().filter(|entry| entry.field == SearchField::Handle).count();
    if handles > 1 { Err(DecodeError::Rule { field: "entries", rule: "two handles" }) } else { Ok(()) }
});

/// What an account consents to without being asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsentSettings {
    /// Whether anybody gets KeyPackages that are good for initial connections only (draft-mahy-mimi-pseudonyms-00,
    /// section 3.1).
    pub initial_connections: bool,
}

impl Default for ConsentSettings {
    /// Whoever knows the account may ask to connect.
    fn default() -> Self {
        Self { initial_connections: true }
    }
}

impl Wire for ConsentSettings {
    const MAX_LEN: usize = 1;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { initial_connections: reader.flag("initial_connections")? })
    }

    fn write(&self, writer: &mut Writer) {
        writer.flag(self.initial_connections);
    }
}
