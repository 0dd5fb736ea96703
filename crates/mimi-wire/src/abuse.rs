use std::fmt;

use mimi_pseudonym::{DecodeError, Reader, Timestamp, UserUri, Wire, Writer};

use crate::{
    codec::{check_count, wire_struct},
    mls::AppDataDictionary,
    submit::Frank,
};

/// Component id of [`ReporterTag`] in the extensions of a report: our own convention, from the private range.
pub const REPORTER_TAG_COMPONENT: u16 = 0x8A10;

/// What tells the reporters of one provider apart without naming them: 32 octets that their provider derives from the
/// account and the alleged abuser. The same account has the same tag whatever pseudonym it reports under, and another one
/// for another abuser. Only the reporter's provider sets it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReporterTag(pub [u8; 32]);

impl Wire for ReporterTag {
    const MAX_LEN: usize = 32;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array().map(Self)
    }

    fn write(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
}

/// `AbusiveMessage` (draft-ietf-mimi-protocol-06, section 5.9). `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct AbusiveMessage {
    /// The message in the clear, salt included.
    pub message_content: Vec<u8>,
    /// The stamp it came with.
    pub frank: Frank,
    /// When the hub accepted it.
    pub accepted: Timestamp,
}

wire_struct!(AbusiveMessage, 1 << 22, { message_content, frank, accepted });

impl fmt::Debug for AbusiveMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AbusiveMessage({} octets, {:?})", self.message_content.len(), self.accepted)
    }
}

/// `AbuseReport` (section 5.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AbuseReport {
    /// Who reports, if they say so.
    pub reporting_user: Option<UserUri>,
    /// Who is reported.
    pub alleged_abuser: UserUri,
    /// `AbuseType`: the draft has none but the reserved 0, so any code is kept.
    pub reason_code: u8,
    /// A word to the reader; may be empty.
    pub note: String,
    /// Evidence; at most 64 messages.
    pub messages: Vec<AbusiveMessage>,
    /// Extensions.
    pub extensions: AppDataDictionary,
}

impl AbuseReport {
    /// The tag of the reporter, if its provider has set one.
    ///
    /// # Errors
    /// [`DecodeError`] if the extension is none.
    pub fn reporter_tag(&self) -> Result<Option<ReporterTag>, DecodeError> {
        self.extensions.component(REPORTER_TAG_COMPONENT).map(ReporterTag::decode).transpose()
    }
}

wire_struct!(
    AbuseReport,
    1 << 23,
    { reporting_user: or_empty, alleged_abuser, reason_code, note, messages: list, extensions },
    |report| check_count(&report.messages, 0..=64, "messages")
);
