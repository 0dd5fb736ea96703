//! Pseudonyms that the provider ties to their account in another way than directly (draft-mahy-mimi-pseudonyms-00,
//! section 5.3; docs/profile-ties.md, *break glass*, *act only* and *score*): each with a device, an inbox and connections of
//! its own, and, where accounts are sealed, a mark by which the owner recognises that one was opened.

use std::{cmp::Ordering, path::Path};

use mimi_flow::Delays;
use mimi_pseudonym::{CipherSuite, Reader, Timestamp, UserUri, Wire, Writer};
use mimi_tie::break_glass::{Checkpoint, Entry, Log, OwnerMark};
use mimi_wire::local::{DETACH_PATH, DetachRequest, DetachResponse, OPENINGS_PATH, OpeningsResponse};

use crate::{Client, ClientError, StoreError, Surroundings, TransportError, transport::Transport};

/// The entry of the marks of pseudonyms that this account has drawn.
const MARKS: &str = "owner-marks";
/// The entry of the log of openings as it was read the last time: a checkpoint.
const LOG_SEEN: &str = "openings-seen";

/// An entry in the provider's log of openings about this account or a pseudonym of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The pseudonym whose account was to be opened; or this account, the list of whose pseudonyms was.
    pub pseudonym: UserUri,
    /// Who asked for it.
    pub requester: String,
    /// Why.
    pub reason: String,
    /// When the entry was written.
    pub at: Timestamp,
}

impl Client {
    /// Draws a pseudonym as this account, within the provider's quota, and keeps the pseudonym's device in a store of its own
    /// (the surroundings are those of the new device). What ties the two at the provider is what its operator has chosen; the
    /// new device names the account nowhere. After that [`mimi_flow::Command::Prepare`] gets its credential.
    ///
    /// If the answer is lost, the same call on the same store finishes what was begun, and is counted once.
    ///
    /// # Errors
    /// As [`Client::register`]; [`TransportError::Refused`] as forbidden where pseudonyms are tied directly or blindly, and as over
    /// quota where the account gets no more in this period.
    pub async fn detach(
        &mut self,
        path: &Path,
        suite: CipherSuite,
        delays: Delays,
        mut surroundings: Surroundings,
    ) -> Result<Self, ClientError> {
        let (store, secret) = Self::begin(path, &mut surroundings)?;
        // A name for the device would be the same for all of them.
        let request = DetachRequest { device_name: String::new() };
        let DetachResponse { registered, mark, account_mark } =
            self.transport.enrol(DETACH_PATH, &secret, &request).await?;
        // Before the device is kept: a pseudonym whose mark was lost would be opened unseen.
        if let Ok(mark) = <[u8; 16]>::try_from(mark) {
            self.keep_mark(&OwnerMark::restore(mark, registered.user.clone()))?;
        }
        if let Ok(mark) = <[u8; 16]>::try_from(account_mark) {
            let account = self.device().profile().user.clone();
            self.keep_mark(&OwnerMark::restore(mark, account))?;
        }
        Self::keep(store, registered, suite, delays, surroundings).await
    }

    /// The entries in the provider's log of openings that are about pseudonyms of this account. The whole log is read, as
    /// nobody: to ask for a part would be to say which. It has to go on from what was read the last time.
    ///
    /// # Errors
    /// [`ClientError::OpeningsLog`] if the log has become shorter or another one; [`ClientError::Store`];
    /// [`ClientError::Transport`]
    pub async fn openings(&mut self) -> Result<Vec<Opening>, ClientError> {
        let entries = self.read_log().await?;
        let mut found = Vec::new();
        for (mark, pseudonym) in self.kept_marks()? {
            let mark = OwnerMark::restore(mark, pseudonym.clone());
            found.extend(mark.openings(&entries).into_iter().map(|entry| Opening {
                pseudonym: pseudonym.clone(),
                requester: entry.requester().to_owned(),
                reason: entry.reason().to_owned(),
                at: entry.at(),
            }));
        }
        Ok(found)
    }

    async fn read_log(&mut self) -> Result<Vec<Entry>, ClientError> {
        let anonymous = Transport::new(&self.surroundings.provider, None)?;
        let mut entries: Vec<Entry> = Vec::new();
        let root = loop {
            let part: OpeningsResponse = anonymous.fetch(&format!("{OPENINGS_PATH}?after={}", entries.len())).await?;
            for entry in &part.entries {
                entries.push(Entry::decode(entry).map_err(|_| TransportError::Nonsense)?);
            }
            match u64::try_from(entries.len()).ok().map(|read| read.cmp(&part.size)) {
                Some(Ordering::Equal) => break part.root,
                Some(Ordering::Less) if !part.entries.is_empty() => {}
                _ => return Err(ClientError::OpeningsLog),
            }
        };
        let seen = self.store.read(LOG_SEEN)?;
        let seen = seen.map(|seen| Checkpoint::decode(&seen)).transpose().map_err(|_| StoreError::Key)?;
        let mut log = Log::from_entries([]);
        let mut goes_on = seen.is_none();
        for entry in &entries {
            let length = log.append(entry.clone()) + 1;
            if let Some(seen) = seen.filter(|seen| seen.size() == length) {
                goes_on = log.checkpoint() == seen;
            }
        }
        if !goes_on || (!entries.is_empty() && log.checkpoint().root_hash() != root) {
            return Err(ClientError::OpeningsLog);
        }
        if !entries.is_empty() {
            self.store.put(&[(LOG_SEEN, &log.checkpoint().encode())], self.surroundings.entropy.as_mut())?;
        }
        Ok(entries)
    }

    fn kept_marks(&self) -> Result<Vec<([u8; 16], UserUri)>, ClientError> {
        let Some(entry) = self.store.read(MARKS)? else { return Ok(Vec::new()) };
        let mut reader = Reader::new(&entry);
        let mut kept = Vec::new();
        while !reader.is_empty() {
            let damaged = |_| StoreError::Key;
            kept.push((reader.array().map_err(damaged)?, UserUri::read(&mut reader).map_err(damaged)?));
        }
        Ok(kept)
    }

    /// Keeps a mark, unless it is there already.
    fn keep_mark(&mut self, mark: &OwnerMark) -> Result<(), ClientError> {
        let mut kept = self.kept_marks()?;
        if kept.iter().any(|(_, pseudonym)| pseudonym == mark.pseudonym()) {
            return Ok(());
        }
        kept.push((*mark.mark(), mark.pseudonym().clone()));
        let mut writer = Writer::default();
        for (mark, pseudonym) in &kept {
            writer.raw(mark);
            pseudonym.write(&mut writer);
        }
        Ok(self.store.put(&[(MARKS, &writer.into_octets())], self.surroundings.entropy.as_mut())?)
    }
}
