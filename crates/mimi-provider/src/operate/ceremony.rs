//! Operators make a key without anybody ever having it: each with a folder of its own, between which the letters are carried by
//! whatever way they like.

use std::{fs, path::Path};

use mimi_pseudonym::Wire;
use mimi_tie::operators::{Done, Introduction, OperatorIndex, OperatorsKey, Party, Purpose, Threshold, Told, agreed};

use super::{
    OperateError,
    openings::{file, read, tie, write, write_operator},
};
use crate::{OsEntropy, hex, ties::rewrite, unhex32};

const PARTY: &str = "party";
const KEY: &str = "operators.key";

/// As an operator: begins. Writes `party`, which stays secret, and the letter `introduction-N` for all others.
///
/// # Errors
/// [`OperateError::Tie`] if there are not so many operators, [`OperateError::File`].
pub fn begin_ceremony(scores: bool, needed: u8, operators: u8, index: u8, folder: &Path) -> Result<(), OperateError> {
    let threshold = Threshold::new(needed, operators).map_err(tie)?;
    let index = threshold.index(index).ok_or_else(|| tie("operators are counted from 0"))?;
    let purpose = if scores { Purpose::Scores } else { Purpose::Opening };
    let (party, letter) = Party::begin(threshold, purpose, index, &mut OsEntropy).map_err(tie)?;
    write(&folder.join(PARTY), &party.saved())?;
    write(&folder.join(format!("introduction-{}", index.number())), &letter.encode())
}

/// As an operator, with the introductions of all others in the folder: writes the letter `revealed-N` for all others. Returns the
/// hash over the introductions, in hexadecimal digits, to be read out to the others.
///
/// # Errors
/// [`OperateError::Tie`] names whose letter does not fit, [`OperateError::File`].
pub fn reveal_contribution(folder: &Path) -> Result<String, OperateError> {
    let mut party = party(folder)?;
    let introductions = letters(&party, folder, "introduction")?;
    let letter = party.reveal(&introductions).map_err(tie)?;
    let path = folder.join(PARTY);
    rewrite(&path, &party.saved()).map_err(|error| file(&path, error))?;
    write(&folder.join(format!("revealed-{}", party.index().number())), &letter.encode())?;
    Ok(hex(&party.session(&introductions).map_err(tie)?))
}

/// As an operator, with what all others have revealed in the folder, and the hash that they have read out: writes a letter
/// `secret-N-for-M` for each other one.
///
/// # Errors
/// As [`reveal_contribution`].
pub fn tell_secrets(folder: &Path, read_out: &str) -> Result<(), OperateError> {
    let party = party(folder)?;
    let read_out = unhex32(read_out).ok_or_else(|| tie("not 64 hexadecimal digits"))?;
    let introductions = letters(&party, folder, "introduction")?;
    let revealed = letters(&party, folder, "revealed")?;
    for letter in party.tell(&introductions, &read_out, &revealed, &mut OsEntropy).map_err(tie)? {
        write(&folder.join(secret(letter.from(), letter.to())), &letter.encode())?;
    }
    Ok(())
}

/// As an operator, with the secrets that all others have told this one in the folder: writes `operators.key`, `operator-N.share`,
/// and the letter `done-N` for all others; what was kept of the ceremony is deleted. Returns the key's name, in hexadecimal
/// digits.
///
/// # Errors
/// As [`reveal_contribution`].
pub fn finish_ceremony(folder: &Path) -> Result<String, OperateError> {
    let party = party(folder)?;
    let introductions = letters(&party, folder, "introduction")?;
    let revealed = letters(&party, folder, "revealed")?;
    let mut told = Vec::new();
    for from in party.threshold().indices().filter(|from| *from != party.index()) {
        told.push(Told::decode(&read(&folder.join(secret(from, party.index())))?).map_err(tie)?);
    }
    let (operator, letter) = party.finish(&introductions, &revealed, &told).map_err(tie)?;
    write(&folder.join(KEY), &operator.key().encode())?;
    write_operator(folder, &operator)?;
    write(&folder.join(format!("done-{}", party.index().number())), &letter.encode())?;
    let path = folder.join(PARTY);
    fs::remove_file(&path).map_err(|error| file(&path, error))?;
    Ok(hex(operator.key().id()))
}

/// As an operator or the provider's, with the letters of all operators and the key in the folder: checks that all of them have
/// come to this key. Returns its name.
///
/// # Errors
/// [`OperateError::Tie`] names who has come to another one, [`OperateError::File`].
pub fn check_ceremony(folder: &Path) -> Result<String, OperateError> {
    let key = OperatorsKey::decode(&read(&folder.join(KEY))?).map_err(tie)?;
    let of = |index: OperatorIndex, kind: &str| read(&folder.join(format!("{kind}-{}", index.number())));
    let (mut introductions, mut done) = (Vec::new(), Vec::new());
    for index in key.threshold().indices() {
        introductions.push(Introduction::decode(&of(index, "introduction")?).map_err(tie)?);
        done.push(Done::decode(&of(index, "done")?).map_err(tie)?);
    }
    agreed(&key, &introductions, &done).map_err(tie)?;
    Ok(hex(key.id()))
}

fn party(folder: &Path) -> Result<Party, OperateError> {
    Party::restore(&read(&folder.join(PARTY))?).map_err(tie)
}

fn secret(from: OperatorIndex, to: OperatorIndex) -> String {
    format!("secret-{}-for-{}", from.number(), to.number())
}

/// The letters of one kind of all operators.
fn letters<T: Wire>(party: &Party, folder: &Path, kind: &str) -> Result<Vec<T>, OperateError> {
    let path = |index: OperatorIndex| folder.join(format!("{kind}-{}", index.number()));
    party.threshold().indices().map(|index| T::decode(&read(&path(index))?).map_err(tie)).collect()
}
