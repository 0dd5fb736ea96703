//! Eight accounts with a pseudonym each, under every way of tying; then each party tries to find the account behind one.

use std::fmt::Write as _;

use elastic_elgamal::{
    Ciphertext, PublicKey, SecretKey,
    app::{EncryptedChoice, SingleChoice},
    group::{ElementOps, Ristretto},
    sharing::{ActiveParticipant, Params, PublicKeySet},
};
use mimi_pseudonym::{AccountLink, UserUri, Wire};
use mimi_tie::{
    ActKey, Tie, TieRow, Way,
    blind::{Issuer, TokenChallenge, TokenRequest},
    break_glass::{Entry, Log, LoggedEntry, Witness, open},
    operators::Operator,
    score::{CohortSize, Seat},
};

use crate::common::{NOW, entropy, link, operators, score_operators};

/// Long enough not to come up by chance among random octets.
const NAMES: [&str; 8] =
    ["account-1", "account-2", "account-3", "account-4", "account-5", "account-6", "account-7", "account-8"];
/// Whose pseudonym everybody asks about.
const TARGET: usize = 1;
/// Accounts in a cohort.
const COHORT: u16 = 4;
const NEEDED: usize = 3;
const ACT_SECRET: [u8; 32] = [9; 32];

/// A provider that has registered everybody, and what its parts have.
struct World {
    way: Way,
    operators: Vec<Operator>,
    links: Vec<AccountLink>,
    /// What the database holds beside each pseudonym; nothing with the blind way.
    rows: Vec<Option<Vec<u8>>>,
    /// What the provider's process has in its hands at one moment of registering the target.
    in_passing: Vec<Vec<u8>>,
}

impl World {
    fn new(way: Way) -> Self {
        let share = if way == Way::Score { score_operators } else { operators };
        let operators = share(u8::try_from(NEEDED).unwrap(), 5, 1);
        let key = operators[0].key().clone();
        let size = CohortSize::new(COHORT).unwrap();
        let tie = match way {
            Way::Direct => Tie::Direct,
            Way::BreakGlass => Tie::BreakGlass(key),
            Way::ActOnly => Tie::ActOnly(ActKey::from_secret(&ACT_SECRET)),
            Way::Blind => Tie::Blind,
            Way::Score => Tie::Score(key, size),
        };
        let links: Vec<_> = NAMES.iter().zip(1..).map(|(name, bits)| link(name, bits)).collect();
        let bind = |(number, link): (usize, &AccountLink)| {
            let row = tie.bind(link, number as u64, &mut entropy(60 + u8::try_from(number).unwrap()));
            row.ok().map(|row| row.encode())
        };
        let rows: Vec<_> = links.iter().enumerate().map(bind).collect();
        let target = &links[TARGET];
        let (account, pseudonym) = (target.account().to_string(), target.pseudonym().to_string());
        let in_passing = if rows[TARGET].is_some() {
            // One request: the account's device asks, and is answered with the pseudonym.
            vec![[account.into_bytes(), pseudonym.into_bytes()].concat()]
        } else {
            blind_registration(account, pseudonym)
        };
        Self { way, operators, links, rows, in_passing }
    }

    fn target(&self) -> &AccountLink {
        &self.links[TARGET]
    }

    fn row(&self) -> Option<TieRow> {
        self.rows[TARGET].as_ref().map(|row| TieRow::decode(row).unwrap())
    }

    /// The accounts that can be behind the pseudonym, by the row beside it.
    fn candidates(&self) -> usize {
        let row = self.rows[TARGET].as_deref().unwrap_or_default();
        if self.links.iter().any(|link| contains(row, link.account().name())) {
            return 1;
        }
        let Some(TieRow::Score(seat)) = self.row() else { return self.links.len() };
        let size = CohortSize::new(COHORT).unwrap();
        let cohort = seat.check(size, self.operators[0].key()).unwrap().cohort();
        (0..self.links.len()).filter(|number| Seat::of(*number as u64, size).cohort() == cohort).count()
    }

    fn provider_in_passing(&self) -> bool {
        let (account, pseudonym) = (self.target().account().as_str(), self.target().pseudonym().as_str());
        self.in_passing.iter().any(|moment| contains(moment, account) && contains(moment, pseudonym))
    }

    /// The process that acts, if it had a remedy that tells.
    fn acting_process(&self) -> bool {
        let Some(TieRow::ActOnly(row)) = self.row() else { return false };
        let mut seen = None;
        let key = ActKey::from_secret(&ACT_SECRET);
        let note = |account: &UserUri| {
            seen = Some(account.clone());
            Ok(())
        };
        key.act(self.target().pseudonym(), Some(&row), note).is_ok() && seen.as_ref() == Some(self.target().account())
    }

    /// So many operators, with a log that has or has not an entry for it.
    fn operators_open(&self, count: usize, with_entry: bool) -> bool {
        let Some(TieRow::BreakGlass(sealed)) = self.row() else { return false };
        let key = self.operators[0].key();
        let seal = sealed.check(self.target().pseudonym(), key).unwrap();
        let Some(logged) = self.logged(with_entry) else { return false };
        let shares: Result<Vec<_>, _> =
            self.operators.iter().take(count).map(|one| one.grant(&seal, &logged, &mut entropy(1))).collect();
        shares.is_ok_and(|shares| open(&seal, &shares).is_ok_and(|link| link == *self.target()))
    }

    /// The log with one entry: about the target, or about somebody else.
    fn log(&self, about_target: bool) -> Option<Log> {
        let number = if about_target { TARGET } else { TARGET + 1 };
        let TieRow::BreakGlass(sealed) = TieRow::decode(self.rows[number].as_ref()?).unwrap() else { return None };
        let subject = sealed.owner_mark(self.links[number].pseudonym()).subject();
        Some(Log::from_entries([Entry::new(subject, "abuse desk", "threat", NOW).unwrap()]))
    }

    fn logged(&self, about_target: bool) -> Option<LoggedEntry> {
        let mut witness = Witness::NEW;
        witness.check(&self.log(about_target)?.evidence(0, 0).unwrap(), NOW).ok()
    }

    fn log_reader(&self) -> bool {
        let octets: Vec<u8> = self.log(true).iter().flat_map(|log| log.entries()[0].encode()).collect();
        contains(&octets, self.target().account().name()) || contains(&octets, self.target().pseudonym().name())
    }

    fn owner_recognises(&self) -> bool {
        let Some(TieRow::BreakGlass(sealed)) = self.row() else { return false };
        let mark = sealed.owner_mark(self.target().pseudonym());
        !mark.openings(self.log(true).unwrap().entries()).is_empty()
            && mark.openings(self.log(false).unwrap().entries()).is_empty()
    }

    /// Operators who take their shares to where they are not meant to: each mark opened for itself.
    fn operators_against_the_protocol(&self, count: usize) -> bool {
        let rogue = RogueOperators::new(&self.operators, count);
        match self.row() {
            Some(TieRow::BreakGlass(_)) => count >= NEEDED && self.operators_open(count, true),
            Some(TieRow::Score(seat)) => {
                let octets = seat.encode();
                let choice = &octets[8 + if octets[8] >> 6 == 1 { 2 } else { 4 }..];
                let choice: EncryptedChoice<Ristretto, SingleChoice> = ciborium::from_reader(choice).unwrap();
                let places: Vec<_> = choice.choices_unchecked().iter().map(|mark| rogue.is_one(*mark)).collect();
                places.iter().position(|one| *one == Some(true)) == Some(TARGET % usize::from(COHORT))
            }
            _ => false,
        }
    }

    /// A hub, and whoever is in the room: the pseudonym alone.
    fn hub(&self) -> bool {
        contains(self.target().pseudonym().as_str().as_bytes(), self.target().account().name())
    }
}

/// What the provider sees of a blind registration, at two moments that have nothing in common.
fn blind_registration(account: String, pseudonym: String) -> Vec<Vec<u8>> {
    let issuer = Issuer::generate(&mut entropy(1)).unwrap();
    let challenge = TokenChallenge::for_pseudonyms(&"a.example".parse().unwrap());
    let (request, pending) = TokenRequest::new(issuer.key(), &challenge, &mut entropy(2)).unwrap();
    let response = issuer.issue(&request, &mut entropy(3)).unwrap();
    let token = pending.finish(&response).unwrap();
    let redeemed = issuer.redeem(&token, &challenge).unwrap();
    vec![
        [account.into_bytes(), request.encode(), response.encode()].concat(),
        [token.encode(), redeemed.spent().to_vec(), pseudonym.into_bytes()].concat(),
    ]
}

/// Operators who use their shares of the key outside of this crate.
struct RogueOperators {
    participants: Vec<ActiveParticipant<Ristretto>>,
    params: Params,
}

impl RogueOperators {
    fn new(operators: &[Operator], count: usize) -> Self {
        let params = Params::new(operators.len(), NEEDED);
        let encoded = operators[0].key().encode();
        let keys = encoded[3..].chunks(32).map(|key| PublicKey::from_bytes(key).unwrap()).collect();
        let set = PublicKeySet::from_participants(params, keys).unwrap();
        let participant = |(index, one): (usize, &Operator)| {
            ActiveParticipant::new(set.clone(), index, SecretKey::from_bytes(&*one.secret()).unwrap()).unwrap()
        };
        Self { participants: operators.iter().enumerate().take(count).map(participant).collect(), params }
    }

    /// Whether a mark is one; `None` if there are too few to say.
    fn is_one(&self, mark: Ciphertext<Ristretto>) -> Option<bool> {
        let shares = self.participants.iter().map(|one| (one.index(), one.decrypt_share(mark, &mut Rng).0));
        let opened = self.params.combine_shares(shares)?.decrypt_to_element(mark);
        Some(opened == Ristretto::generator())
    }
}

struct Rng;

impl rand_core::TryRng for Rng {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        to.fill(7);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Rng {}

fn contains(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}

const fn word(yes: bool) -> &'static str {
    if yes { "**yes**" } else { "no" }
}

/// Both tables, in Markdown.
pub fn tables() -> String {
    let worlds = Way::ALL.map(World::new);
    let mut text = String::from("| who can say which account is behind the pseudonym |");
    let row = |text: &mut String, name: &str, cell: &dyn Fn(&World) -> String| {
        write!(text, "\n| {name} |").unwrap();
        for world in &worlds {
            write!(text, " {} |", cell(world)).unwrap();
        }
    };
    for world in &worlds {
        write!(text, " {} |", world.way).unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|");
    let yes = |found: bool| word(found).to_owned();
    row(&mut text, "whoever reads the database", &|world| yes(world.candidates() == 1));
    row(&mut text, "… accounts it can be, of 8, by the row beside it", &|world| world.candidates().to_string());
    row(&mut text, "the provider's process, at the moment of registration", &|world| yes(world.provider_in_passing()));
    row(&mut text, "two operators of five, three being needed", &|world| {
        yes(world.operators_open(2, true) || world.operators_against_the_protocol(2))
    });
    row(&mut text, "three operators, with an entry in the log", &|world| yes(world.operators_open(3, true)));
    row(&mut text, "three operators, with an entry about another pseudonym", &|world| {
        yes(world.operators_open(3, false))
    });
    row(&mut text, "three operators who break the rules together", &|world| {
        yes(world.operators_against_the_protocol(3))
    });
    row(&mut text, "the process that acts, if it were to tell", &|world| yes(world.acting_process()));
    row(&mut text, "whoever reads the log", &|world| yes(world.log_reader()));
    row(&mut text, "the hub, and members of the room", &|world| yes(world.hub()));
    text.push_str("\n\n| what can be done |");
    for world in &worlds {
        write!(text, " {} |", world.way).unwrap();
    }
    text.push_str("\n|---|---|---|---|---|---|");
    row(&mut text, "one operator alone looks the account up", &|world| yes(world.way.means().lookup));
    row(&mut text, "several operators open it together", &|world| yes(world.way.means().opening));
    row(&mut text, "the account is suspended or deleted by its pseudonym, without a lookup", &|world| {
        yes(world.way.means().remedy)
    });
    row(&mut text, "reports of several pseudonyms of one account add up", &|world| yes(world.way.means().adding_up));
    row(&mut text, "the owner recognises an opening", &|world| yes(world.owner_recognises()));
    row(&mut text, "octets beside each pseudonym", &|world| {
        world.rows[TARGET].as_ref().map_or(0, Vec::len).to_string()
    });
    text.push('\n');
    text
}
