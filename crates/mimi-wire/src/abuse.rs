use std::fmt;

use mimi_pseudonym::{Timestamp, UserUri};

use crate::{
    codec::{check_count, wire_struct},
    mls::AppDataDictionary,
    submit::Frank,
};

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

wire_struct!(
    AbuseReport,
    1 << 23,
    { reporting_user: or_empty, alleged_abuser, reason_code, note, messages: list, extensions },
    |report| check_count(&report.messages, 0..=64, "messages")
);
