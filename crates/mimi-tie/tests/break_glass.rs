//! Break glass: what opens a sealed account, and all that does not.

#![cfg(feature = "threshold")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::time::Duration;

use common::{NOW, entropy, link, operators};
use mimi_pseudonym::{AccountLink, DecodeError, Wire};
use mimi_tie::{
    break_glass::{
        CheckedSeal, Checkpoint, Entry, Evidence, GrantError, ListRequest, ListShares, Log, LogError, LoggedEntry,
        OpenError, OpeningShare, OwnerMark, SealError, SealedAccount, SealedPseudonym, Witness, WitnessError, open,
        open_list,
    },
    operators::{Operator, OperatorsKey, ShareError},
};

fn seal(link: &AccountLink, key: &OperatorsKey) -> CheckedSeal {
    // Entropy of one's own for each name: the same would make the same ephemeral key.
    let own = link.account().name().as_bytes()[0];
    let sealed = SealedAccount::seal(link, key, &mut entropy(own)).unwrap();
    SealedAccount::decode(&sealed.encode()).unwrap().check(link.pseudonym(), key).unwrap()
}

fn entry_for(seal: &CheckedSeal, reason: &str) -> Entry {
    Entry::new(seal.owner_mark().subject(), "abuse desk", reason, NOW).unwrap()
}

/// A log with some other entries before the wanted one.
fn log_with(entry: Entry, before: usize) -> (Log, u64) {
    let key = operators(1, 1, 99)[0].key().clone();
    let other = seal(&link("mallory", 66), &key);
    let mut log = Log::from_entries((0..before).map(|at| entry_for(&other, &format!("reason {at}"))));
    let at = log.append(entry);
    (log, at)
}

fn grant(operator: &Operator, seal: &CheckedSeal, logged: &LoggedEntry) -> OpeningShare {
    let share = operator.grant(seal, logged, &mut entropy(5)).unwrap();
    OpeningShare::decode(&share.encode()).unwrap()
}

fn logged(log: &Log, at: u64) -> LoggedEntry {
    let evidence = Evidence::decode(&log.evidence(at, 0).unwrap().encode()).unwrap();
    Witness::NEW.clone().check(&evidence, NOW).unwrap()
}

#[test]
fn any_t_operators_open_and_the_owner_sees_it() {
    let operators = operators(3, 5, 1);
    let alice = link("alice", 1);
    let sealed = SealedAccount::seal(&alice, operators[0].key(), &mut entropy(7)).unwrap();
    let mark = sealed.owner_mark(alice.pseudonym());
    let seal = sealed.check(alice.pseudonym(), operators[0].key()).unwrap();
    let (log, at) = log_with(entry_for(&seal, "threat"), 6);
    let logged = logged(&log, at);
    for chosen in [[0, 1, 2], [4, 2, 0], [3, 4, 1]] {
        let shares = chosen.map(|number: usize| grant(&operators[number], &seal, &logged));
        assert!(open(&seal, &shares).unwrap() == alice);
    }
    let all: Vec<_> = operators.iter().map(|operator| grant(operator, &seal, &logged)).collect();
    assert!(open(&seal, &all).unwrap() == alice);
    let openings = mark.openings(log.entries());
    assert_eq!(openings.len(), 1);
    assert_eq!((openings[0].reason(), openings[0].requester(), openings[0].at()), ("threat", "abuse desk", NOW));
    let other = SealedAccount::seal(&link("bob", 2), operators[0].key(), &mut entropy(8)).unwrap();
    assert!(other.owner_mark(link("bob", 2).pseudonym()).openings(log.entries()).is_empty());
}

#[test]
fn t_minus_one_shares_open_nothing() {
    let operators = operators(3, 5, 1);
    let seal = seal(&link("alice", 1), operators[0].key());
    let (log, at) = log_with(entry_for(&seal, "threat"), 0);
    let logged = logged(&log, at);
    let shares = [0, 1].map(|number: usize| grant(&operators[number], &seal, &logged));
    let too_few = OpenError::Share(ShareError::TooFew { found: 2, needed: 3 });
    assert_eq!(open(&seal, &shares).err(), Some(too_few));
    assert_eq!(open(&seal, &[]).err(), Some(OpenError::Share(ShareError::TooFew { found: 0, needed: 3 })));
    let twice = [shares[0].clone(), shares[1].clone(), shares[1].clone()];
    let index = operators[1].index();
    assert_eq!(open(&seal, &twice).err(), Some(OpenError::Share(ShareError::Twice(index))));
}

#[test]
fn a_share_with_a_bad_proof_is_named() {
    let operators = operators(2, 3, 1);
    let alice = seal(&link("alice", 1), operators[0].key());
    let bob = seal(&link("bob", 2), operators[0].key());
    let (log, at) = log_with(entry_for(&alice, "threat"), 3);
    let (bobs, bob_at) = log_with(entry_for(&bob, "threat"), 3);
    let (logged, for_bob) = (logged(&log, at), logged(&bobs, bob_at));
    let good = grant(&operators[0], &alice, &logged);
    let bad = OpenError::Share(ShareError::Proof(operators[1].index()));
    let mut octets = grant(&operators[1], &alice, &logged).encode();
    // An octet of the proof, one of the element, the number of the operator.
    for (at, flip) in [(40, 1), (1, 1), (0, 3)] {
        let mut changed = octets.clone();
        changed[at] ^= flip;
        let share = OpeningShare::decode(&changed).unwrap();
        let refused = open(&alice, &[good.clone(), share]).err();
        let expected = if at == 0 { OpenError::Anothers(operators[2].index()) } else { bad };
        assert_eq!(refused, Some(expected), "octet {at}");
    }
    // A share under the name of another operator, who has signed the log.
    let mut renamed = octets[..97].to_vec();
    renamed[0] = 2;
    renamed.extend(grant(&operators[2], &alice, &logged).signed().encode());
    let refused = open(&alice, &[good.clone(), OpeningShare::decode(&renamed).unwrap()]).err();
    assert_eq!(refused, Some(ShareError::Proof(operators[2].index()).into()));
    // A share of somebody who is no operator of this key.
    octets[0] = 31;
    let stranger = OpeningShare::decode(&octets).unwrap();
    assert!(matches!(open(&alice, &[good.clone(), stranger]), Err(OpenError::Anothers(_))));
    octets[0] = 32;
    assert!(matches!(OpeningShare::decode(&octets), Err(DecodeError::Value { field: "operator", .. })));
    // A share in opening another account, under the same log.
    let mut of_bob = grant(&operators[1], &bob, &for_bob).encode();
    of_bob.truncate(97);
    of_bob.extend(grant(&operators[1], &alice, &logged).signed().encode());
    let of_bob = OpeningShare::decode(&of_bob).unwrap();
    assert_eq!(open(&alice, &[good, of_bob]).err(), Some(bad));
}

#[test]
fn an_entry_that_is_not_in_the_log_is_not_believed() {
    let key = operators(1, 1, 1)[0].key().clone();
    let seal = seal(&link("alice", 1), &key);
    let (log, at) = log_with(entry_for(&seal, "threat"), 4);
    let good = log.evidence(at, 0).unwrap();
    // Evidence for one entry, with another entry in its place.
    let mut octets = good.encode();
    let other = entry_for(&seal, "a lie!").encode();
    octets[..other.len()].copy_from_slice(&other);
    let forged = Evidence::decode(&octets).unwrap();
    assert_eq!(Witness::NEW.clone().check(&forged, NOW), Err(WitnessError::NotIncluded));
    assert_eq!(log.evidence(5, 0), Err(LogError::NoEntry));
    assert_eq!(log.evidence(0, 6), Err(LogError::Shorter));
    let mut witness = Witness::NEW;
    assert!(witness.check(&good, NOW).is_ok());
    assert_eq!(witness.seen(), log.checkpoint());
}

#[test]
fn another_pseudonyms_entry_opens_nothing() {
    let operators = operators(1, 1, 1);
    let alice = seal(&link("alice", 1), operators[0].key());
    let bob = seal(&link("bob", 2), operators[0].key());
    let (log, at) = log_with(entry_for(&bob, "threat"), 2);
    let refused = operators[0].grant(&alice, &logged(&log, at), &mut entropy(1));
    assert_eq!(refused.err(), Some(GrantError::AnothersEntry));
    let others = common::operators(1, 1, 50);
    let (log, at) = log_with(entry_for(&alice, "threat"), 2);
    let refused = others[0].grant(&alice, &logged(&log, at), &mut entropy(1));
    assert_eq!(refused.err(), Some(GrantError::OtherKey));
}

#[test]
fn a_forked_or_truncated_log_is_refused_at_every_length() {
    let key = operators(1, 1, 1)[0].key().clone();
    let seal = seal(&link("alice", 1), &key);
    let entry = |reason: &str| entry_for(&seal, reason);
    for seen in 1..12_usize {
        for added in 0..8_usize {
            let honest: Vec<Entry> = (0..seen + added).map(|at| entry(&format!("{at}"))).collect();
            let before = Log::from_entries(honest[..seen].to_vec()).checkpoint();
            let mut witness = Witness::restore(Checkpoint::decode(&before.encode()).unwrap());
            let after = Log::from_entries(honest.clone());
            let last = (seen + added - 1) as u64;
            let evidence = after.evidence(last, seen as u64).unwrap();
            assert!(witness.check(&evidence, NOW).is_ok(), "{seen} and {added}");
            assert_eq!(witness.seen(), after.checkpoint());
            // One of the entries seen before is another one now.
            for changed in 0..seen {
                let mut forked = honest.clone();
                forked[changed] = entry("never said");
                let forked = Log::from_entries(forked).evidence(last, seen as u64).unwrap();
                let mut witness = Witness::restore(before);
                assert_eq!(witness.check(&forked, NOW), Err(WitnessError::Forked), "{seen}, {added}, {changed}");
                assert_eq!(witness.seen(), before);
            }
            if seen > 1 {
                let truncated = Log::from_entries(honest[..seen - 1].to_vec()).evidence(0, 0).unwrap();
                assert_eq!(Witness::restore(before).check(&truncated, NOW), Err(WitnessError::Truncated));
            }
        }
    }
}

#[test]
fn operators_who_were_shown_different_logs_open_nothing() {
    let operators = operators(2, 3, 1);
    let seal = seal(&link("alice", 1), operators[0].key());
    let (one, at_one) = log_with(entry_for(&seal, "threat"), 2);
    let (two, at_two) = log_with(entry_for(&seal, "a different reason"), 2);
    let shares =
        [grant(&operators[0], &seal, &logged(&one, at_one)), grant(&operators[1], &seal, &logged(&two, at_two))];
    assert_eq!(open(&seal, &shares).err(), Some(OpenError::Forked));
}

#[test]
fn an_entry_of_another_day_is_refused() {
    let key = operators(1, 1, 1)[0].key().clone();
    let seal = seal(&link("alice", 1), &key);
    let (log, at) = log_with(entry_for(&seal, "threat"), 0);
    let evidence = log.evidence(at, 0).unwrap();
    let week = Duration::from_secs(7 * 86_400);
    let second = Duration::from_secs(1);
    assert!(Witness::NEW.clone().check(&evidence, NOW.after(week)).is_ok());
    assert_eq!(Witness::NEW.clone().check(&evidence, NOW.after(week + second)), Err(WitnessError::Time));
    assert_eq!(Witness::NEW.clone().check(&evidence, NOW.before(second * 301)), Err(WitnessError::Time));
}

#[test]
fn someone_elses_sealed_account_is_not_taken() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let (alice, bob) = (link("alice", 1), link("bob", 2));
    let sealed = SealedAccount::seal(&alice, key, &mut entropy(7)).unwrap();
    // Copied beside another pseudonym, so that it would be opened with an entry about that one.
    assert_eq!(sealed.check(bob.pseudonym(), key).err(), Some(SealError::NotForThis));
    // Under another key of operators.
    let other = common::operators(2, 3, 50);
    assert_eq!(sealed.check(alice.pseudonym(), other[0].key()).err(), Some(SealError::NotForThis));
    // Parts of it beside parts of another: ephemeral keys with proof, mark, name.
    let octets = sealed.encode();
    let bobs = SealedAccount::seal(&bob, key, &mut entropy(8)).unwrap().encode();
    for part in [0..32, 32..64, 64..128, 128..144, 144..416, 0..128] {
        let mut mixed = bobs.clone();
        mixed[part.clone()].copy_from_slice(&octets[part.clone()]);
        let mixed = SealedAccount::decode(&mixed).unwrap();
        assert_eq!(mixed.check(bob.pseudonym(), key).err(), Some(SealError::NotForThis), "{part:?}");
    }
}

#[test]
fn junk_is_no_sealed_account() {
    let key = operators(2, 3, 1)[0].key().clone();
    let alice = link("alice", 1);
    let sealed = SealedAccount::seal(&alice, &key, &mut entropy(7)).unwrap().encode();
    assert_eq!(sealed.len(), SealedAccount::MAX_LEN);
    for junk in [vec![0; 416], vec![1; 416], vec![0xff; 416]] {
        let junk = SealedAccount::decode(&junk).unwrap();
        assert_eq!(junk.check(alice.pseudonym(), &key).err(), Some(SealError::NotForThis));
    }
    for at in (0..416).step_by(13) {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        let changed = SealedAccount::decode(&changed).unwrap();
        assert_eq!(changed.check(alice.pseudonym(), &key).err(), Some(SealError::NotForThis), "octet {at}");
    }
    assert_eq!(SealedAccount::decode(&sealed[..415]), Err(DecodeError::Truncated));
    // The identity as ephemeral key, which everybody could open.
    let mut identity = sealed;
    identity[..64].fill(0);
    let identity = SealedAccount::decode(&identity).unwrap();
    assert_eq!(identity.check(alice.pseudonym(), &key).err(), Some(SealError::NotForThis));
}

#[test]
fn a_key_for_scores_seals_no_accounts() {
    let operators = common::score_operators(1, 1, 1);
    let alice = link("alice", 1);
    let refused = SealedAccount::seal(&alice, operators[0].key(), &mut entropy(1));
    assert_eq!(refused.err(), Some(SealError::Purpose));
    let other = common::operators(1, 1, 1);
    let sealed = SealedAccount::seal(&alice, other[0].key(), &mut entropy(1)).unwrap();
    assert_eq!(sealed.check(alice.pseudonym(), operators[0].key()).err(), Some(SealError::Purpose));
}

/// The list of an account with three pseudonyms, as it is shown to operators with an entry about it.
fn list_of(name: &str, mark: [u8; 16], key: &OperatorsKey) -> (Vec<AccountLink>, Vec<SealedPseudonym>) {
    let links: Vec<_> = (1..=3).map(|bits| link(name, bits)).collect();
    let list = links.iter().zip(40..).map(|(link, seed)| {
        let sealed = SealedPseudonym::seal(link, mark, key, &mut entropy(seed)).unwrap();
        SealedPseudonym::decode(&sealed.encode()).unwrap()
    });
    let list = list.collect();
    (links, list)
}

#[test]
fn an_accounts_list_is_opened_for_one_entry_about_the_account() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let (links, list) = list_of("alice", [9; 16], key);
    let alice = links[0].account().clone();
    let owner = OwnerMark::restore([9; 16], alice.clone());
    let (log, at) = log_with(Entry::new(owner.subject(), "abuse desk", "spam", NOW).unwrap(), 3);
    let request = ListRequest { account: alice.clone(), list, evidence: log.evidence(at, 0).unwrap() };
    let request = ListRequest::decode(&request.encode()).unwrap();
    let seals = request.check(key).unwrap();
    assert_eq!(seals.len(), 3);
    let logged = logged(&log, at);
    let granted = |number: usize, seals: &[CheckedSeal]| {
        let shares = operators[number].grant_list(seals, &logged, &mut entropy(6)).unwrap();
        ListShares::decode(&shares.encode()).unwrap()
    };
    let shares = [granted(0, &seals), granted(2, &seals)];
    assert!(open_list(&seals, &shares).unwrap() == links);
    assert_eq!(owner.openings(log.entries()).len(), 1, "the owner of the account sees it");
    // One operator alone opens nothing, nor do shares for another list.
    let too_few = OpenError::Share(ShareError::TooFew { found: 1, needed: 2 });
    assert_eq!(open_list(&seals, &shares[..1]).err(), Some(too_few));
    let of_two = [granted(0, &seals[..2]), granted(2, &seals[..2])];
    assert_eq!(open_list(&seals, &of_two).err(), Some(OpenError::OtherList));
    // An entry about one of the pseudonyms, or about another account, opens no list.
    let sealed = seal(&links[0], key);
    let bob = OwnerMark::restore([9; 16], link("bob", 7).account().clone());
    for subject in [sealed.owner_mark().subject(), bob.subject()] {
        let (log, at) = log_with(Entry::new(subject, "abuse desk", "spam", NOW).unwrap(), 1);
        let refused = operators[0].grant_list(&seals, &self::logged(&log, at), &mut entropy(6));
        assert_eq!(refused.err(), Some(GrantError::AnothersEntry));
    }
}

#[test]
fn what_is_in_a_list_is_no_sealed_account_and_belongs_to_one_account() {
    let operators = operators(2, 3, 1);
    let key = operators[0].key();
    let (links, list) = list_of("alice", [9; 16], key);
    assert_eq!(list[0].check(link("bob", 7).account(), key).err(), Some(SealError::NotForThis));
    assert_eq!(list[0].check(links[0].pseudonym(), key).err(), Some(SealError::NotForThis));
    let as_account = SealedAccount::decode(&list[0].encode()).unwrap();
    assert_eq!(as_account.check(links[0].account(), key).err(), Some(SealError::NotForThis), "another label");
    let account = SealedAccount::seal(&links[0], key, &mut entropy(8)).unwrap();
    let as_pseudonym = SealedPseudonym::decode(&account.encode()).unwrap();
    assert_eq!(as_pseudonym.check(links[0].pseudonym(), key).err(), Some(SealError::NotForThis));
    assert_eq!(
        list[0].check(links[0].account(), self::operators(2, 3, 77)[0].key()).err(),
        Some(SealError::NotForThis)
    );
    // Nothing in it tells which pseudonym it is, nor what stands beside that.
    let octets: Vec<Vec<u8>> = list.iter().map(Wire::encode).collect();
    for link in &links {
        let name = link.pseudonym().name().as_bytes();
        assert!(octets.iter().all(|octets| !octets.windows(name.len()).any(|window| window == name)));
    }
}
