//! Commands about ties between pseudonyms and accounts (docs/profile-ties.md): those of an operator who holds a share of a key,
//! which need no configuration, and those of the provider's operator.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use mimi_provider::{
    OffsetClock,
    operate::{self, Asked, OpeningNote, OperateError, Operator, QuestionNote},
};
use mimi_pseudonym::{Clock, UserUri};

use super::user;
use crate::{Failure, one_line};

pub const HELP: &str = "\
Ties between pseudonyms and accounts (docs/profile-ties.md).

As an operator who holds a share of a key, without a configuration, on a machine of one's own:

  tie deal opening|scores NEEDED OPERATORS FOLDER
                            makes a key that operators share, all in one place: for trials
  tie ceremony begin opening|scores NEEDED OPERATORS NUMBER FOLDER
  tie ceremony reveal FOLDER
  tie ceremony tell FOLDER SESSION
  tie ceremony finish FOLDER
  tie ceremony check FOLDER
                            makes a key that nobody ever has: each operator, of a NUMBER from 0 on, with a FOLDER of its own.
                            After each step what it has written for others is brought to them: introduction-N, revealed-N,
                            secret-N-for-M, done-N. `reveal` prints what operators read out to each other, and give to
                            `tell` as they have heard it; `finish` prints the name of the key, and `check` whether all have
                            come to it
  tie share OPERATOR WITNESS REQUEST SHARE
                            reads the operator's file, what it has seen of the log, and what it was given, and writes its
                            share in opening an account
  tie blind OPERATOR FILE BLINDED
  tie read OPERATOR BLINDED SHARES
                            first round of a question about a score: each of as many as are needed blinds it, one after
                            the other, then each reads what the last has blinded
  tie prove OPERATOR FILE NEXT
  tie reveal OPERATOR PROVED SHARES
                            the same in the second round, in which every step is checked; both print the threshold and
                            the question's hash, to be compared with what other operators are asked

As the operator of the provider, with its configuration:

  tie log                   the log of openings of sealed accounts
  tie request PSEUDONYM REQUESTER REASON
                            writes an entry into that log and prints its position
  tie ask PSEUDONYM POSITION SEEN FILE
                            writes what an operator is given who has seen SEEN entries of the log
  tie open PSEUDONYM SHARE…
                            prints the account behind a pseudonym, from as many shares as are needed
  tie score NAME THRESHOLD FILE
                            writes the question whether the score of an account has reached a threshold, and prints the
                            question's number
  tie reputation NAME FILE  the same about the reputation that lets an account have more pseudonyms than the quota
  tie waiting               the accounts that have asked for more than that, and wait
  tie answer BLINDED SHARES…
                            prints whether the threshold of a first round is reached
  tie grant NUMBER BLINDED SHARES…
                            the same, and keeps the answer with the question: an account whose reputation is enough gets
                            more
  tie confirm NUMBER FILE   begins the second round of a question
  tie confirmed NUMBER PROVED SHARES…
                            checks a second round, prints whether the threshold is reached, and keeps the answer
  tie questions             what was asked about whom, and what came of it
";

/// What an operator of a key does.
#[derive(Debug)]
pub enum OfOperator {
    Deal { scores: bool, needed: u8, operators: u8, folder: PathBuf },
    Begin { scores: bool, needed: u8, operators: u8, index: u8, folder: PathBuf },
    RevealContribution { folder: PathBuf },
    Tell { folder: PathBuf, session: String },
    Finish { folder: PathBuf },
    CheckCeremony { folder: PathBuf },
    Share { operator: PathBuf, witness: PathBuf, request: PathBuf, share: PathBuf },
    Blind { operator: PathBuf, round: PathBuf, blinded: PathBuf },
    Read { operator: PathBuf, round: PathBuf, shares: PathBuf },
    Prove { operator: PathBuf, round: PathBuf, next: PathBuf },
    Reveal { operator: PathBuf, round: PathBuf, shares: PathBuf },
}

/// What the provider's operator does.
#[derive(Debug)]
pub enum OfProvider {
    Openings,
    LogOpening { pseudonym: UserUri, requester: String, reason: String },
    AskForShare { pseudonym: UserUri, position: u64, seen: u64, file: PathBuf },
    Open { pseudonym: UserUri, shares: Vec<PathBuf> },
    AskScore { name: String, threshold: u16, file: PathBuf },
    AskReputation { name: String, file: PathBuf },
    Waiting,
    Answer { round: PathBuf, shares: Vec<PathBuf> },
    Grant { number: u64, round: PathBuf, shares: Vec<PathBuf> },
    Confirm { number: u64, file: PathBuf },
    Confirmed { number: u64, round: PathBuf, shares: Vec<PathBuf> },
    Questions,
}

/// Either.
#[derive(Debug)]
pub enum Tie {
    OfOperator(OfOperator),
    OfProvider(OfProvider),
}

fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, lexopt::Error> {
    text.parse().map_err(|_| format!("{text}: no {what}").into())
}

fn files(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// Reads what stands behind `tie`.
pub fn parse(words: &[&str]) -> Result<Tie, lexopt::Error> {
    if let Some(command) = of_operator(words)? {
        return Ok(Tie::OfOperator(command));
    }
    let task = match words {
        ["log"] => OfProvider::Openings,
        ["request", pseudonym, requester, reason] => OfProvider::LogOpening {
            pseudonym: user(pseudonym)?,
            requester: (*requester).to_owned(),
            reason: (*reason).to_owned(),
        },
        ["ask", pseudonym, position, seen, file] => OfProvider::AskForShare {
            pseudonym: user(pseudonym)?,
            position: number(position, "position")?,
            seen: number(seen, "number of entries")?,
            file: (*file).into(),
        },
        ["open", pseudonym, shares @ ..] if !shares.is_empty() => {
            OfProvider::Open { pseudonym: user(pseudonym)?, shares: files(shares) }
        }
        ["score", name, threshold, file] => OfProvider::AskScore {
            name: (*name).to_owned(),
            threshold: number(threshold, "threshold")?,
            file: (*file).into(),
        },
        ["reputation", name, file] => OfProvider::AskReputation { name: (*name).to_owned(), file: (*file).into() },
        ["waiting"] => OfProvider::Waiting,
        ["answer", round, shares @ ..] if !shares.is_empty() => {
            OfProvider::Answer { round: (*round).into(), shares: files(shares) }
        }
        ["grant", question, round, shares @ ..] if !shares.is_empty() => OfProvider::Grant {
            number: number(question, "number of a question")?,
            round: (*round).into(),
            shares: files(shares),
        },
        ["confirm", question, file] => {
            OfProvider::Confirm { number: number(question, "number of a question")?, file: (*file).into() }
        }
        ["confirmed", question, round, shares @ ..] if !shares.is_empty() => OfProvider::Confirmed {
            number: number(question, "number of a question")?,
            round: (*round).into(),
            shares: files(shares),
        },
        ["questions"] => OfProvider::Questions,
        other => return Err(format!("no such command: tie {}; see tie --help", other.join(" ")).into()),
    };
    Ok(Tie::OfProvider(task))
}

fn of_operator(words: &[&str]) -> Result<Option<OfOperator>, lexopt::Error> {
    Ok(Some(match words {
        ["deal", purpose @ ("opening" | "scores"), needed, operators, folder] => OfOperator::Deal {
            scores: *purpose == "scores",
            needed: number(needed, "number of operators")?,
            operators: number(operators, "number of operators")?,
            folder: (*folder).into(),
        },
        ["ceremony", "begin", purpose @ ("opening" | "scores"), needed, operators, index, folder] => {
            OfOperator::Begin {
                scores: *purpose == "scores",
                needed: number(needed, "number of operators")?,
                operators: number(operators, "number of operators")?,
                index: number(index, "number of an operator")?,
                folder: (*folder).into(),
            }
        }
        ["ceremony", "reveal", folder] => OfOperator::RevealContribution { folder: (*folder).into() },
        ["ceremony", "tell", folder, session] => {
            OfOperator::Tell { folder: (*folder).into(), session: (*session).to_owned() }
        }
        ["ceremony", "finish", folder] => OfOperator::Finish { folder: (*folder).into() },
        ["ceremony", "check", folder] => OfOperator::CheckCeremony { folder: (*folder).into() },
        ["share", rest @ ..] if rest.len() == 4 => {
            let [operator, witness, request, share] = paths(rest)?;
            OfOperator::Share { operator, witness, request, share }
        }
        ["blind", rest @ ..] if rest.len() == 3 => {
            let [operator, round, blinded] = paths(rest)?;
            OfOperator::Blind { operator, round, blinded }
        }
        ["read", rest @ ..] if rest.len() == 3 => {
            let [operator, round, shares] = paths(rest)?;
            OfOperator::Read { operator, round, shares }
        }
        ["prove", rest @ ..] if rest.len() == 3 => {
            let [operator, round, next] = paths(rest)?;
            OfOperator::Prove { operator, round, next }
        }
        ["reveal", rest @ ..] if rest.len() == 3 => {
            let [operator, round, shares] = paths(rest)?;
            OfOperator::Reveal { operator, round, shares }
        }
        _ => return Ok(None),
    }))
}

fn paths<const N: usize>(words: &[&str]) -> Result<[PathBuf; N], lexopt::Error> {
    files(words).try_into().map_err(|_| "files are missing; see tie --help".into())
}

impl OfOperator {
    /// Does it.
    pub fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        match self {
            Self::Deal { scores, needed, operators, folder } => {
                operate::deal_key(scores, needed, operators, &folder)?;
            }
            Self::Begin { scores, needed, operators, index, folder } => {
                operate::begin_ceremony(scores, needed, operators, index, &folder)?;
            }
            Self::RevealContribution { folder } => writeln!(out, "{}", operate::reveal_contribution(&folder)?)?,
            Self::Tell { folder, session } => operate::tell_secrets(&folder, &session)?,
            Self::Finish { folder } => writeln!(out, "{}", operate::finish_ceremony(&folder)?)?,
            Self::CheckCeremony { folder } => writeln!(out, "{}", operate::check_ceremony(&folder)?)?,
            Self::Share { operator, witness, request, share } => {
                operate::give_share(&operator, &witness, &request, &share, OffsetClock::default().now())?;
            }
            Self::Blind { operator, round, blinded } => operate::blind_question(&operator, &round, &blinded)?,
            Self::Read { operator, round, shares } => operate::read_question(&operator, &round, &shares)?,
            Self::Prove { operator, round, next } => {
                asked(&operate::prove_question(&operator, &round, &next)?, out)?;
            }
            Self::Reveal { operator, round, shares } => {
                asked(&operate::read_proved_question(&operator, &round, &shares)?, out)?;
            }
        }
        Ok(())
    }
}

fn asked(Asked { threshold, id, .. }: &Asked, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{threshold} {id}")
}

/// Does something with files of which there are some.
fn with<T>(files: &[PathBuf], what: impl FnOnce(&[&Path]) -> Result<T, OperateError>) -> Result<T, OperateError> {
    what(&files.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

impl OfProvider {
    /// Does it.
    pub fn run(self, operator: &Operator, out: &mut impl Write) -> Result<(), Failure> {
        let now = OffsetClock::default().now();
        let word = |reached: bool| if reached { "reached" } else { "below" };
        match self {
            Self::Openings => {
                for OpeningNote { position, requester, reason, at, .. } in operator.openings()? {
                    writeln!(out, "{position} {} {} {}", at.as_secs(), one_line(&requester), one_line(&reason))?;
                }
            }
            Self::LogOpening { pseudonym, requester, reason } => {
                writeln!(out, "{}", operator.log_opening(&pseudonym, &requester, &reason, now)?)?;
            }
            Self::AskForShare { pseudonym, position, seen, file } => {
                operator.ask_for_share(&pseudonym, position, seen, &file)?;
            }
            Self::Open { pseudonym, shares } => {
                writeln!(out, "{}", with(&shares, |shares| operator.open_account_behind(&pseudonym, shares))?)?;
            }
            Self::AskScore { name, threshold, file } => {
                writeln!(out, "{}", operator.ask_score(&name, threshold, &file, now)?)?;
            }
            Self::AskReputation { name, file } => writeln!(out, "{}", operator.ask_reputation(&name, &file, now)?)?,
            Self::Waiting => {
                for user in operator.waiting_for_more()? {
                    writeln!(out, "{user}")?;
                }
            }
            Self::Answer { round, shares } => {
                writeln!(out, "{}", word(with(&shares, |shares| operator.score_reached(&round, shares))?))?;
            }
            Self::Grant { number, round, shares } => {
                let reached = with(&shares, |shares| operator.answer_question(number, &round, shares))?;
                writeln!(out, "{}", word(reached))?;
            }
            Self::Confirm { number, file } => operator.confirm_question(number, &file)?,
            Self::Confirmed { number, round, shares } => {
                let reached = with(&shares, |shares| operator.question_confirmed(number, &round, shares))?;
                writeln!(out, "{}", word(reached))?;
            }
            Self::Questions => {
                for note in operator.questions()? {
                    let QuestionNote { number, user, reputation, threshold, at, reached, confirmed, .. } = note;
                    let about = if reputation { "reputation" } else { "complaints" };
                    let answer = reached.map_or("open", word);
                    let proved = if confirmed { " proved" } else { "" };
                    writeln!(out, "{number} {} {user} {about} {threshold} {answer}{proved}", at.as_secs())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Tie, lexopt::Error> {
        parse(&line.split_whitespace().collect::<Vec<_>>())
    }

    #[test]
    fn commands_are_read() {
        let Tie::OfOperator(OfOperator::Deal { scores: true, needed: 2, operators: 3, folder }) =
            read("deal scores 2 3 a").unwrap()
        else {
            panic!("not deal")
        };
        assert_eq!(folder, PathBuf::from("a"));
        for line in [
            "ceremony begin opening 2 3 0 a",
            "ceremony reveal a",
            "ceremony tell a 00",
            "ceremony finish a",
            "ceremony check a",
            "share a b c d",
            "blind a b c",
            "read a b c",
            "prove a b c",
            "reveal a b c",
        ] {
            assert!(matches!(read(line), Ok(Tie::OfOperator(_))), "{line}");
        }
        for line in [
            "log",
            "request mimi://a.example/u/bob desk threats",
            "ask mimi://a.example/u/bob 0 0 a",
            "open mimi://a.example/u/bob a b",
            "score alice 12 a",
            "reputation alice a",
            "waiting",
            "answer a b c",
            "grant 0 a b c",
            "confirm 0 a",
            "confirmed 0 a b c",
            "questions",
        ] {
            assert!(matches!(read(line), Ok(Tie::OfProvider(_))), "{line}");
        }
    }

    #[test]
    fn wrong_commands_are_refused() {
        for line in [
            "",
            "deal opening 1 300 a",
            "deal something 1 3 a",
            "ceremony begin opening 2 3 a",
            "ceremony begin opening 2 3 x a",
            "ceremony tell a",
            "ceremony",
            "share a b c",
            "prove a b",
            "request nobody a b",
            "open mimi://a.example/u/bob",
            "score alice many a",
            "grant one a b",
            "grant 0 a",
            "confirm 0",
            "confirmed 0 a",
            "waiting a",
        ] {
            assert!(read(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn every_command_is_explained() {
        for command in [
            "deal",
            "ceremony begin",
            "ceremony reveal",
            "ceremony tell",
            "ceremony finish",
            "ceremony check",
            "share",
            "blind",
            "read",
            "prove",
            "reveal",
            "log",
            "request",
            "ask",
            "open",
            "score",
            "reputation",
            "waiting",
            "answer",
            "grant",
            "confirm",
            "confirmed",
            "questions",
        ] {
            assert!(HELP.contains(&format!("  tie {command} ")), "{command}");
        }
    }
}
