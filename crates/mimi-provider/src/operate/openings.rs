use std::{fs, path::Path};

use mimi_pseudonym::{Timestamp, UserUri, Wire};
use mimi_tie::{
    Tie, TieRow,
    break_glass::{
        CheckedSeal, Checkpoint, Entry, Evidence, LoggedEntry, OpeningRequest, OpeningShare, SealedAccount, Witness,
        open,
    },
    operators::{Operator as KeyHolder, OperatorsKey, Purpose, Threshold, deal},
};

use super::{OperateError, Operator};
use crate::{
    OsEntropy, StartError, hex,
    ties::{Ties, log, octets, write_new},
};

/// An opening of a sealed account, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpeningNote {
    /// Where in the log, counted from 0.
    pub position: u64,
    /// Who wanted it.
    pub requester: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Makes a key for operators in one place: `operators.key` for the provider, and `operator-N.share` for each operator. Whoever
/// runs this could keep all of it.
///
/// # Errors
/// [`OperateError::Tie`] if so many of so many is no threshold, [`OperateError::File`].
pub fn deal_key(scores: bool, needed: u8, operators: u8, folder: &Path) -> Result<(), OperateError> {
    let threshold = Threshold::new(needed, operators).map_err(tie)?;
    let purpose = if scores { Purpose::Scores } else { Purpose::Opening };
    let operators = deal(threshold, purpose, &mut OsEntropy).map_err(tie)?;
    let key = operators.first().ok_or_else(|| tie("no operators"))?.key().encode();
    write(&folder.join("operators.key"), &key)?;
    operators.iter().try_for_each(|operator| write_operator(folder, operator))
}

/// An operator's own file: its number, its secret, and the operators' key.
pub(super) fn write_operator(folder: &Path, operator: &KeyHolder) -> Result<(), OperateError> {
    let number = operator.index().number();
    let share = [&[number], operator.secret().as_slice(), &operator.key().encode()].concat();
    write(&folder.join(format!("operator-{number}.share")), &share)
}

/// As an operator, on a machine of its own: gives a share in opening an account, if the entry stands in a log that goes on from
/// what this operator has seen of it. What it has seen is remembered in `witness`, before the share is written.
///
/// # Errors
/// [`OperateError::Tie`] says why no share is given, [`OperateError::File`].
pub fn give_share(
    operator: &Path,
    witness: &Path,
    request: &Path,
    share: &Path,
    now: Timestamp,
) -> Result<(), OperateError> {
    let holder = read_operator(operator)?;
    let request = OpeningRequest::decode(&read(request)?).map_err(tie)?;
    let entry = check_entry(witness, &request.evidence, now)?;
    let seal = request.sealed.check(&request.pseudonym, holder.key()).map_err(tie)?;
    let given = holder.grant(&seal, &entry, &mut OsEntropy).map_err(tie)?;
    write(share, &given.encode())
}

/// Checks the entry against what an operator has seen of the log, and remembers how far that goes.
pub(super) fn check_entry(witness: &Path, evidence: &Evidence, now: Timestamp) -> Result<LoggedEntry, OperateError> {
    let mut seen = match witness.exists() {
        true => Witness::restore(Checkpoint::decode(&read(witness)?).map_err(tie)?),
        false => Witness::NEW,
    };
    let entry = seen.check(evidence, now).map_err(tie)?;
    fs::write(witness, format!("{}\n", hex(&seen.seen().encode()))).map_err(|error| file(witness, error))?;
    Ok(entry)
}

impl Operator {
    /// Writes an entry into the log of openings: without one no operator gives a share. Returns its position.
    ///
    /// # Errors
    /// [`OperateError::Tie`] if nothing is sealed beside the pseudonym, or the entry says too little or too much;
    /// [`OperateError::Start`].
    pub fn log_opening(
        &self,
        pseudonym: &UserUri,
        requester: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64, OperateError> {
        let subject = self.seal(pseudonym)?.owner_mark().subject();
        let entry = Entry::new(subject, requester, reason, now).map_err(tie)?;
        Ok(self.store.append_opening(&entry.encode())?)
    }

    /// The log of openings.
    ///
    /// # Errors
    /// [`OperateError::Start`] if the database cannot be read.
    pub fn openings(&self) -> Result<Vec<OpeningNote>, OperateError> {
        let log = log(&self.store)?;
        let note = |(position, entry): (u64, &Entry)| OpeningNote {
            position,
            requester: entry.requester().to_owned(),
            reason: entry.reason().to_owned(),
            at: entry.at(),
        };
        Ok((0..).zip(log.entries()).map(note).collect())
    }

    /// Writes what an operator is given who has seen so many entries of the log and is asked for its share.
    ///
    /// # Errors
    /// [`OperateError::Tie`] if there is no such entry, or the log was never so long; [`OperateError::File`],
    /// [`OperateError::Start`].
    pub fn ask_for_share(
        &self,
        pseudonym: &UserUri,
        position: u64,
        seen: u64,
        request: &Path,
    ) -> Result<(), OperateError> {
        let evidence = log(&self.store)?.evidence(position, seen).map_err(tie)?;
        let (sealed, _) = self.sealed(pseudonym)?;
        write(request, &OpeningRequest { pseudonym: pseudonym.clone(), sealed, evidence }.encode())
    }

    /// Opens an account with the shares of as many operators as are needed.
    ///
    /// # Errors
    /// [`OperateError::Tie`] names the operator whose share is wrong, [`OperateError::File`], [`OperateError::Start`].
    pub fn open_account_behind(&self, pseudonym: &UserUri, shares: &[&Path]) -> Result<UserUri, OperateError> {
        let mut given = Vec::new();
        for share in shares {
            given.push(OpeningShare::decode(&read(share)?).map_err(tie)?);
        }
        let opened = open(&self.seal(pseudonym)?, &given).map_err(tie)?;
        Ok(opened.account().clone())
    }

    fn seal(&self, pseudonym: &UserUri) -> Result<CheckedSeal, OperateError> {
        let (sealed, key) = self.sealed(pseudonym)?;
        sealed.check(pseudonym, &key).map_err(tie)
    }

    fn sealed(&self, pseudonym: &UserUri) -> Result<(SealedAccount, OperatorsKey), OperateError> {
        let ties = Ties::load(&self.config.ties, self.config.domain()).map_err(StartError::from)?;
        let Tie::BreakGlass(key) = ties.tie else { return Err(tie("nothing is sealed with this way of tying")) };
        let row = self.store.tie(pseudonym.as_str().as_bytes())?.ok_or_else(|| tie("no such pseudonym"))?;
        match TieRow::decode(&row).map_err(tie)? {
            TieRow::BreakGlass(sealed) => Ok((*sealed, key)),
            _ => Err(tie("it was tied in another way")),
        }
    }
}

pub(super) fn read_operator(path: &Path) -> Result<KeyHolder, OperateError> {
    let octets = read(path)?;
    let (index, rest) = octets.split_first().ok_or_else(|| tie("no share"))?;
    let (secret, key) = rest.split_at_checked(32).ok_or_else(|| tie("no share"))?;
    let key = OperatorsKey::decode(key).map_err(tie)?;
    let index = key.threshold().index(*index).ok_or_else(|| tie("no operator of this key"))?;
    KeyHolder::restore(key, index, secret.try_into().map_err(tie)?).map_err(tie)
}

pub(super) fn tie(error: impl ToString) -> OperateError {
    OperateError::Tie(error.to_string())
}

pub(super) fn file(path: &Path, error: std::io::Error) -> OperateError {
    OperateError::File { path: path.to_owned(), error }
}

/// Octets from a file of hexadecimal digits.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, OperateError> {
    let text = fs::read_to_string(path).map_err(|error| file(path, error))?;
    octets(text.trim()).ok_or_else(|| tie(format!("{}: no hexadecimal digits", path.display())))
}

/// Octets as hexadecimal digits, into a file that there is not yet, and that nobody else can read.
pub(super) fn write(path: &Path, octets: &[u8]) -> Result<(), OperateError> {
    write_new(path, octets).map_err(|error| file(path, error))
}
