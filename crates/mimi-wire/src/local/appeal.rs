use std::fmt;

use mimi_pseudonym::{DecodeError, Timestamp, Wire};

use crate::codec::{codes, wire_struct};

/// The most octets of an appeal.
const TEXT_MAX: usize = 2000;

/// A user says why what its provider has decided about its account is wrong. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct AppealRequest {
    /// Why: 1 to 2,000 octets.
    pub text: String,
}

wire_struct!(AppealRequest, 4096, { text }, |appeal| match appeal.text.trim() {
    "" => Err(DecodeError::Rule { field: "text", rule: "empty" }),
    _ if appeal.text.len() > TEXT_MAX => Err(DecodeError::Rule { field: "text", rule: "longer than 2000 octets" }),
    _ => Ok(()),
});

impl fmt::Debug for AppealRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppealRequest(..)")
    }
}

codes! {
    /// What a provider does about an account of its own.
    pub enum StandingRemedy: "remedy" {
        /// Nothing.
        Nothing = 0,
        /// It is suspended.
        Suspended = 1,
        /// It is suspended, and leaves all rooms.
        Removed = 2,
        /// As [`StandingRemedy::Removed`], and it is deleted in the end.
        Deleted = 3,
    }
}

codes! {
    /// What became of an appeal.
    pub enum AppealState: "appeal" {
        /// There is none.
        Nothing = 0,
        /// It waits for an answer. Until then nothing is deleted.
        Open = 1,
        /// What was decided was taken back.
        Granted = 2,
        /// What was decided stays.
        Refused = 3,
    }
}

/// How an account stands with its provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// What is done about it.
    pub remedy: StandingRemedy,
    /// Since when; 0 if nothing is done.
    pub since: Timestamp,
    /// What became of its appeal.
    pub appeal: AppealState,
}

wire_struct!(Standing, 16, { remedy, since, appeal });

/// The log of openings of sealed accounts (the provider's way of tying pseudonyms is *break glass*) behind a position. It
/// names no pseudonym: only who was given the mark of one recognises entries about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpeningsResponse {
    /// How many entries the log has.
    pub size: u64,
    /// The root of its tree (RFC 6962, section 2.1).
    pub root: [u8; 32],
    /// The first entries behind the position, at most 64.
    pub entries: Vec<Vec<u8>>,
}

impl Wire for OpeningsResponse {
    const MAX_LEN: usize = 1 << 18;

    fn read(reader: &mut mimi_pseudonym::Reader<'_>) -> Result<Self, DecodeError> {
        let response = Self { size: reader.u64()?, root: reader.array()?, entries: reader.list()? };
        if response.entries.len() > 64 {
            return Err(DecodeError::Rule { field: "entries", rule: "too many elements" });
        }
        Ok(response)
    }

    fn write(&self, writer: &mut mimi_pseudonym::Writer) {
        writer.u64(self.size);
        writer.raw(&self.root);
        writer.list(&self.entries);
    }
}

/// What operators have signed of the log of openings: the newest checkpoints, at most 64, the longest log first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointsResponse {
    /// The operators' public key, by which signatures are checked.
    pub key: Vec<u8>,
    /// Signed checkpoints, of whatever key was in use then.
    pub checkpoints: Vec<Vec<u8>>,
}

wire_struct!(CheckpointsResponse, 1 << 16, { key, checkpoints: list }, |response| {
    let fits = response.checkpoints.len() <= 64;
    if fits { Ok(()) } else { Err(DecodeError::Rule { field: "checkpoints", rule: "too many elements" }) }
});
