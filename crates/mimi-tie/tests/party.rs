//! Operators make a key by letters, and a letter that is not what it should be is noticed, with its sender's number.

#![cfg(feature = "threshold")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{NOW, entropy, link};
use mimi_pseudonym::{DecodeError, Wire};
use mimi_tie::{
    break_glass::{Entry, Log, SealedAccount, Witness, open},
    operators::{
        CeremonyError, Done, Introduction, Operator, OperatorIndex, Party, PartyError, Purpose, Revealed, Threshold,
        Told, agreed,
    },
};

fn threshold() -> Threshold {
    Threshold::new(2, 3).unwrap()
}

fn index(number: u8) -> OperatorIndex {
    threshold().index(number).unwrap()
}

/// Each step is made by a party that was saved and read again, with letters that were sent as octets.
fn again<T: Wire>(letter: &T) -> T {
    T::decode(&letter.encode()).unwrap()
}

fn restored(party: &Party) -> Party {
    Party::restore(&party.saved()).unwrap()
}

fn begin(purpose: Purpose, seed: u8) -> (Vec<Party>, Vec<Introduction>) {
    let begin = |index: OperatorIndex| {
        let (party, letter) = Party::begin(threshold(), purpose, index, &mut entropy(seed + index.number())).unwrap();
        (restored(&party), again(&letter))
    };
    threshold().indices().map(begin).unzip()
}

fn reveal(parties: &mut [Party], introductions: &[Introduction]) -> Vec<Revealed> {
    parties
        .iter_mut()
        .map(|party| {
            let letter = again(&party.reveal(introductions).unwrap());
            *party = restored(party);
            letter
        })
        .collect()
}

fn tell(parties: &[Party], introductions: &[Introduction], revealed: &[Revealed]) -> Vec<Told> {
    let session = parties[0].session(introductions).unwrap();
    let tell = |party: &Party| party.tell(introductions, &session, revealed, &mut entropy(90 + party.index().number()));
    parties.iter().flat_map(|party| tell(party).unwrap()).map(|letter| again(&letter)).collect()
}

/// A ceremony up to its last step.
struct Ceremony {
    parties: Vec<Party>,
    introductions: Vec<Introduction>,
    revealed: Vec<Revealed>,
    told: Vec<Told>,
}

impl Ceremony {
    fn new(purpose: Purpose, seed: u8) -> Self {
        let (mut parties, introductions) = begin(purpose, seed);
        let revealed = reveal(&mut parties, &introductions);
        let told = tell(&parties, &introductions, &revealed);
        Self { parties, introductions, revealed, told }
    }

    fn finish(&self, number: usize) -> Result<(Operator, Done), PartyError> {
        self.parties[number].finish(&self.introductions, &self.revealed, &self.told)
    }

    fn finished(&self) -> (Vec<Operator>, Vec<Done>) {
        (0..3).map(|number| self.finish(number).unwrap()).map(|(operator, done)| (operator, again(&done))).unzip()
    }
}

fn changed<T: Wire>(letter: &T, at: usize) -> T {
    let mut octets = letter.encode();
    octets[at] ^= 1;
    T::decode(&octets).unwrap()
}

#[test]
fn letters_lead_to_one_key_which_opens_what_was_sealed() {
    let ceremony = Ceremony::new(Purpose::Opening, 1);
    let (operators, done) = ceremony.finished();
    let key = operators[0].key().clone();
    assert!(operators.iter().all(|operator| *operator.key() == key));
    assert_eq!((key.threshold(), key.purpose()), (threshold(), Purpose::Opening));
    assert_eq!(agreed(&key, &ceremony.introductions, &done), Ok(()));
    let alice = link("alice", 1);
    let seal = SealedAccount::seal(&alice, &key, &mut entropy(5)).unwrap().check(alice.pseudonym(), &key).unwrap();
    let log = Log::from_entries([Entry::new(seal.owner_mark().subject(), "desk", "threat", NOW).unwrap()]);
    let logged = Witness::NEW.clone().check(&log.evidence(0, 0).unwrap(), NOW).unwrap();
    let shares = [2, 0].map(|number: usize| operators[number].grant(&seal, &logged, &mut entropy(6)).unwrap());
    assert!(open(&seal, &shares).unwrap() == alice);
    assert_eq!(format!("{:?}", ceremony.parties[1]), "Party(operator 1)");
    assert_eq!(Ceremony::new(Purpose::Scores, 1).finished().0[0].key().purpose(), Purpose::Scores);
}

#[test]
fn nobody_is_missing_or_there_twice() {
    let (parties, introductions) = begin(Purpose::Opening, 1);
    assert_eq!(parties[0].session(&introductions[..2]), Err(PartyError::Missing(index(2))));
    let mut twice = introductions.clone();
    twice.push(introductions[1].clone());
    assert_eq!(parties[0].session(&twice), Err(PartyError::Twice(index(1))));
    let others = begin(Purpose::Scores, 1).1;
    let mixed = [introductions[0].clone(), introductions[1].clone(), others[2].clone()];
    assert_eq!(parties[0].session(&mixed), Err(PartyError::Elsewhere(index(2))));
    let ceremony = Ceremony::new(Purpose::Opening, 1);
    let finish = |revealed: &[Revealed], told: &[Told]| {
        ceremony.parties[0].finish(&ceremony.introductions, revealed, told).unwrap_err()
    };
    assert_eq!(finish(&ceremony.revealed[1..], &ceremony.told), PartyError::Missing(index(0)));
    let without: Vec<_> = ceremony.told.iter().filter(|told| told.from() != index(1)).cloned().collect();
    assert_eq!(finish(&ceremony.revealed, &without), PartyError::Missing(index(1)));
    let mut twice = ceremony.told.clone();
    twice.push(ceremony.told.iter().find(|told| told.to() == index(0)).unwrap().clone());
    assert_eq!(finish(&ceremony.revealed, &twice), PartyError::Twice(index(1)));
}

#[test]
fn whoever_changes_a_letter_is_found_out() {
    let ceremony = Ceremony::new(Purpose::Opening, 1);
    let Ceremony { parties, introductions, revealed, told } = &ceremony;
    let session = parties[0].session(introductions).unwrap();
    let refused = PartyError::Signature(index(1));
    // Another key to be written to, another commitment, another signature.
    for at in [40, 70, 110] {
        let mut forged = introductions.clone();
        forged[1] = changed(&introductions[1], at);
        assert_eq!(parties[0].session(&forged), Err(refused), "octet {at}");
    }
    let mut forged = revealed.clone();
    let last = revealed[1].encode().len() - 70;
    forged[1] = changed(&revealed[1], last);
    assert_eq!(parties[0].tell(introductions, &session, &forged, &mut entropy(1)).unwrap_err(), refused);
    // A sealed secret, and one that was for somebody else.
    let at = told.iter().position(|told| told.from() == index(1) && told.to() == index(0)).unwrap();
    let elsewhere = told.iter().position(|told| told.from() == index(1) && told.to() == index(2)).unwrap();
    let mut forged = told.clone();
    forged[at] = changed(&told[at], 120);
    assert_eq!(parties[0].finish(introductions, revealed, &forged).unwrap_err(), refused);
    let mut octets = told[elsewhere].encode();
    octets[1] = 0;
    forged[at] = Told::decode(&octets).unwrap();
    assert_eq!(parties[0].finish(introductions, revealed, &forged).unwrap_err(), refused);
}

#[test]
fn whoever_is_introduced_otherwise_is_heard_when_sessions_are_read_out() {
    let (mut parties, introductions) = begin(Purpose::Opening, 1);
    let (mut strangers, others) = begin(Purpose::Opening, 50);
    // Somebody on the way introduces itself to operator 0 as operator 2.
    let mixed = [introductions[0].clone(), introductions[1].clone(), others[2].clone()];
    let (seen, honest) = (parties[0].session(&mixed).unwrap(), parties[1].session(&introductions).unwrap());
    assert_ne!(seen, honest);
    let deceived = parties[0].reveal(&mixed).unwrap();
    let contribution = parties[1].reveal(&introductions).unwrap();
    let revealed = [deceived.clone(), contribution.clone(), parties[2].reveal(&introductions).unwrap()];
    let tell = |party: &Party, introductions: &[Introduction], read_out: &[u8; 32], revealed: &[Revealed]| {
        party.tell(introductions, read_out, revealed, &mut entropy(1)).unwrap_err()
    };
    assert_eq!(tell(&parties[0], &mixed, &honest, &revealed), PartyError::Session, "it has heard another one");
    assert_eq!(tell(&parties[1], &introductions, &honest, &revealed), PartyError::Introduced(index(0)));
    // What was revealed to some is revealed to no others: they would put together the secrets of several ceremonies.
    assert_eq!(parties[0].reveal(&introductions).unwrap_err(), PartyError::Session);
    assert_eq!(restored(&parties[0]).reveal(&introductions).unwrap_err(), PartyError::Session);
    assert_eq!(tell(&parties[0], &introductions, &honest, &revealed), PartyError::Session);
    // Nor is a secret told before anything was revealed, and nobody takes part in a ceremony from which it is left out.
    let (fresh, _) = begin(Purpose::Opening, 1);
    assert_eq!(tell(&fresh[0], &introductions, &honest, &revealed), PartyError::Session);
    assert_eq!(strangers[0].session(&introductions), Err(PartyError::Session));
    strangers[2].reveal(&others).unwrap();
    assert_eq!(parties[1].finish(&introductions, &revealed, &[]).unwrap_err(), PartyError::Introduced(index(0)));
}

#[test]
fn keys_of_one_ceremony_do_not_go_with_what_was_committed_to_in_another() {
    let (parties, introductions) = begin(Purpose::Opening, 1);
    let others = begin(Purpose::Opening, 50).0;
    let (own, foreign) = (parties[2].saved(), others[2].saved());
    let mixed = [&own[..68], &foreign[68..]].concat();
    let mut mixed = Party::restore(&mixed).unwrap();
    assert_eq!(mixed.reveal(&introductions).unwrap_err(), PartyError::Session);
}

#[test]
fn a_key_of_which_not_all_say_so_is_not_used() {
    let ceremony = Ceremony::new(Purpose::Opening, 1);
    let (operators, done) = ceremony.finished();
    let key = operators[0].key();
    let agreed = |done: &[Done]| agreed(key, &ceremony.introductions, done);
    assert_eq!(agreed(&done[..2]), Err(PartyError::Missing(index(2))));
    let twice = [done[0].clone(), done[1].clone(), done[1].clone(), done[2].clone()];
    assert_eq!(agreed(&twice), Err(PartyError::Twice(index(1))));
    let forged = [done[0].clone(), changed(&done[1], 40), done[2].clone()];
    assert_eq!(agreed(&forged), Err(PartyError::Signature(index(1))));
    let others = Ceremony::new(Purpose::Opening, 50);
    let strange = [done[0].clone(), done[1].clone(), others.finished().1[2].clone()];
    assert_eq!(agreed(&strange), Err(PartyError::Signature(index(2))));
    let other_key = others.finished().0[0].key().clone();
    let refused = mimi_tie::operators::agreed(&other_key, &ceremony.introductions, &done);
    assert_eq!(refused, Err(PartyError::OtherKey(index(0))));
    let other_purpose = Ceremony::new(Purpose::Scores, 1).finished().0[0].key().clone();
    let refused = mimi_tie::operators::agreed(&other_purpose, &ceremony.introductions, &done);
    assert_eq!(refused, Err(PartyError::Elsewhere(index(0))));
}

#[test]
fn what_is_no_letter_and_what_was_not_kept_is_refused() {
    let ceremony = Ceremony::new(Purpose::Opening, 1);
    let mut octets = ceremony.introductions[0].encode();
    octets[3] = 3;
    assert!(matches!(Introduction::decode(&octets), Err(DecodeError::Value { field: "operator", value: 3 })));
    octets[1] = 9;
    assert!(matches!(Introduction::decode(&octets), Err(DecodeError::Rule { field: "introduction", .. })));
    octets[0] = 3;
    assert!(matches!(Introduction::decode(&octets), Err(DecodeError::Value { field: "purpose", value: 3 })));
    assert!(Told::decode(&[0; 210]).is_ok() && matches!(Told::decode(&[0; 209]), Err(DecodeError::Truncated)));
    let saved = ceremony.parties[0].saved();
    for at in [0, 1, 3, 68] {
        let mut other = saved.to_vec();
        other[at] = 9;
        assert_eq!(Party::restore(&other).unwrap_err(), PartyError::State, "octet {at}");
    }
    // Another operator's number, with what the first has committed to.
    let mut other = saved.to_vec();
    other[3] = 1;
    assert_eq!(Party::restore(&other).unwrap_err(), PartyError::State);
    for length in [0, 40, saved.len() - 1] {
        assert_eq!(Party::restore(&saved[..length]).unwrap_err(), PartyError::State, "{length} octets");
    }
    let longer = [saved.as_slice(), &[0]].concat();
    assert_eq!(Party::restore(&longer).unwrap_err(), PartyError::State);
    let stranger = Threshold::new(2, 4).unwrap().index(3).unwrap();
    let refused = Party::begin(threshold(), Purpose::Opening, stranger, &mut entropy(1)).unwrap_err();
    assert_eq!(refused, PartyError::Ceremony(CeremonyError::NotEverybody));
}
