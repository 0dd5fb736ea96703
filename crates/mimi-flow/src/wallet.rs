use std::{collections::BTreeSet, fmt, time::Duration};

use mimi_credential::{CertificateChain, UnverifiedIdentity};
use mimi_disclosure::{DisclosurePolicy, Holding, IdentityCredential, Selection};
use mimi_mls::{Identity, KeyPackageSecret};
use mimi_pseudonym::{
    CipherSuite, ClaimName, DecodeError, Reader, SignError, SigningKey, Timestamp, UserUri, Wire, Writer,
};
use mimi_wire::local::IssuedDisclosure;
use serde::{Deserialize, Serialize};

use crate::{Context, records::Records};

/// Where a pseudonym stands. It only ever moves down this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PseudonymState {
    /// Nobody but the provider has seen it.
    Fresh,
    /// It was chosen for something, and perhaps given to someone who may answer to it.
    Offered,
    /// It is the name in a room.
    InRoom,
    /// Its room is no more, or nobody answered in time. Its keys are gone.
    Retired,
}

/// One user URI of the account's, on this device: key, credential, and what may be disclosed with it.
pub(crate) struct Held {
    pub(crate) identity: Identity,
    /// What discloses the identity behind it: of the format that was wanted, for the same key, and so of no use in a room
    /// in which the key is in no leaf.
    pub(crate) disclosure: Option<IssuedDisclosure>,
    pub(crate) state: PseudonymState,
    /// Whether this device asked for it, and so may choose it: no two devices choose the same.
    pub(crate) own: bool,
    /// Whether the application wants it in one more room.
    pub(crate) again: bool,
}

/// A KeyPackage's private half, and whose it is.
pub(crate) struct HeldKeyPackage {
    pub(crate) owner: UserUri,
    pub(crate) secret: KeyPackageSecret,
    /// When nobody may use the KeyPackage any more.
    pub(crate) not_after: Timestamp,
    /// Whether it may be used again.
    pub(crate) last_resort: bool,
}

/// How long after a KeyPackage's end its private keys are kept, for a Welcome that is on its way: 30 days.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
const DAY: u64 = 86_400;

/// Everything the account has on this device. The account and its pseudonyms stand side by side here and nowhere else.
///
/// All of it is records, read when they are needed; in memory is how many pseudonyms are fresh and when what ends.
#[derive(Default)]
pub(crate) struct Wallet {
    pub(crate) records: Records,
    pub(crate) index: Index,
}

/// What is known of the records without looking at them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Index {
    /// Number of the next fresh pseudonym to choose, and of the one that comes behind all others. In between each number
    /// stands for one, or for one that was taken otherwise.
    first: u64,
    end: u64,
    /// How many there are.
    fresh: u64,
    /// Days, counted from 1970, on which KeyPackages end.
    ends: BTreeSet<u64>,
}

fn held_key(user: &UserUri) -> String {
    format!("held/{user}")
}

fn asked_key(user: &UserUri) -> String {
    format!("asked/{user}")
}

fn acquire_key(flow: u64) -> String {
    format!("acquire/{flow}")
}

fn key_package_key(reference: &[u8]) -> String {
    format!("key-package/{}", hex(reference))
}

fn fresh_key(number: u64) -> String {
    format!("fresh/{number:020}")
}

fn ends_key(day: u64) -> String {
    format!("ends/{day:08}")
}

impl Wallet {
    /// How many pseudonyms this device may choose from.
    pub(crate) fn fresh(&self) -> usize {
        usize::try_from(self.index.fresh).unwrap_or(usize::MAX)
    }

    /// The fresh pseudonym that would be chosen next.
    pub(crate) fn next(&self) -> Option<UserUri> {
        self.fresh_at(self.index.first)
    }

    fn fresh_at(&self, number: u64) -> Option<UserUri> {
        let user = UserUri::decode(&self.records.get(&fresh_key(number))?).ok()?;
        self.held(&user).filter(|held| held.own && held.state == PseudonymState::Fresh).map(|_| user)
    }

    /// Takes a fresh pseudonym, which is not fresh from then on.
    pub(crate) fn choose(&mut self) -> Option<UserUri> {
        let user = self.next()?;
        self.used(&user, PseudonymState::Offered);
        Some(user)
    }

    /// From now on, this URI is used.
    pub(crate) fn used(&mut self, user: &UserUri, state: PseudonymState) {
        let mut was_fresh = false;
        self.change(user, |held| {
            was_fresh = user.is_pseudonym() && held.own && held.state == PseudonymState::Fresh;
            held.state = held.state.max(state);
        });
        self.index.fresh = self.index.fresh.saturating_sub(u64::from(was_fresh && state > PseudonymState::Fresh));
        self.forget_chosen();
    }

    /// Whoever is first and not fresh any more stands in nobody's way.
    fn forget_chosen(&mut self) {
        while self.index.first < self.index.end && self.fresh_at(self.index.first).is_none() {
            self.records.remove(&fresh_key(self.index.first));
            self.index.first += 1;
        }
    }

    /// A pseudonym is not this device's alone to choose: it does not choose it.
    pub(crate) fn disown(&mut self, user: &UserUri) {
        // What is said again changes nothing, and is not written again.
        let Some(held) = self.held(user).filter(|held| held.own && held.state == PseudonymState::Fresh) else { return };
        self.records.put(held_key(user), Held { own: false, ..held }.save());
        self.index.fresh = self.index.fresh.saturating_sub(1);
        self.forget_chosen();
    }

    /// A pseudonym has served: its keys go. What is left says that it was there once.
    pub(crate) fn retire(&mut self, user: &UserUri) {
        if user.is_pseudonym() && self.holds(user) {
            self.records.put(held_key(user), Vec::new());
        }
    }

    /// Where one of the account's URIs stands; `None` if this device does not have it.
    pub(crate) fn state(&self, user: &UserUri) -> Option<PseudonymState> {
        let record = self.records.get(&held_key(user))?;
        if record.is_empty() {
            return Some(PseudonymState::Retired);
        }
        Held::restore(&record).ok().map(|held| held.state)
    }

    /// Whether this device has, or has had, this URI.
    pub(crate) fn holds(&self, user: &UserUri) -> bool {
        self.records.contains(&held_key(user))
    }

    /// What this device has for a URI that is in use or may be.
    pub(crate) fn held(&self, user: &UserUri) -> Option<Held> {
        Held::restore(&self.records.get(&held_key(user))?).ok()
    }

    /// Takes a new URI.
    pub(crate) fn hold(&mut self, user: &UserUri, held: &Held) {
        if user.is_pseudonym() && held.own && held.state == PseudonymState::Fresh {
            self.records.put(fresh_key(self.index.end), user.encode());
            self.index.end += 1;
            self.index.fresh += 1;
        }
        self.records.put(held_key(user), held.save());
    }

    pub(crate) fn change(&mut self, user: &UserUri, change: impl FnOnce(&mut Held)) {
        if let Some(mut held) = self.held(user) {
            change(&mut held);
            self.records.put(held_key(user), held.save());
        }
    }

    /// Whether these claims can be disclosed with the pseudonym that would be chosen next.
    pub(crate) fn discloses(&self, wanted: &[ClaimName], cx: &Context<'_>) -> bool {
        let next = self.next().and_then(|user| self.held(&user));
        let Some(credential) = next.and_then(|held| held.credential(cx)) else { return false };
        let selection = Selection::new(wanted.iter().copied(), &DisclosurePolicy::connection());
        selection.is_ok_and(|selection| credential.allows(&selection) == Ok(true))
    }

    pub(crate) fn identity(&self, user: &UserUri) -> Option<Identity> {
        self.held(user).map(|held| held.identity)
    }

    /// The key whose credential has been asked for.
    pub(crate) fn asked(&self, user: &UserUri) -> Option<SigningKey> {
        signing_key(&self.records.get(&asked_key(user))?)
    }

    pub(crate) fn ask(&mut self, user: &UserUri, suite: CipherSuite, key: &SigningKey) {
        let mut writer = Writer::default();
        suite.write(&mut writer);
        writer.raw(key.secret());
        self.records.put(asked_key(user), writer.into_octets());
    }

    pub(crate) fn forget_asked(&mut self, user: &UserUri) {
        if self.records.contains(&asked_key(user)) {
            self.records.remove(&asked_key(user));
        }
    }

    /// Keeps the keys with which new pseudonyms have been asked for, until it is known which these are.
    pub(crate) fn acquire(&mut self, flow: u64, suite: CipherSuite, keys: &[SigningKey]) {
        let mut writer = Writer::default();
        suite.write(&mut writer);
        keys.iter().for_each(|key| writer.raw(key.secret()));
        self.records.put(acquire_key(flow), writer.into_octets());
    }

    /// The keys with which a flow has asked for pseudonyms, in that order.
    pub(crate) fn acquiring(&self, flow: u64) -> Option<Vec<SigningKey>> {
        signing_keys(&self.records.get(&acquire_key(flow))?)
    }

    pub(crate) fn forget_acquiring(&mut self, flow: u64) {
        if self.records.contains(&acquire_key(flow)) {
            self.records.remove(&acquire_key(flow));
        }
    }

    pub(crate) fn key_package(&self, reference: &[u8]) -> Option<HeldKeyPackage> {
        HeldKeyPackage::decode(&self.records.get(&key_package_key(reference))?).ok()
    }

    pub(crate) fn forget_key_package(&mut self, reference: &[u8]) {
        self.records.remove(&key_package_key(reference));
    }

    /// Keeps the private halves of KeyPackages that end at the same time, by reference.
    pub(crate) fn keep_key_packages(&mut self, key_packages: &[(Vec<u8>, HeldKeyPackage)]) {
        let mut ends: std::collections::BTreeMap<u64, Vec<u8>> = std::collections::BTreeMap::new();
        for (reference, held) in key_packages {
            self.records.put(key_package_key(reference), held.encode());
            let day = held.not_after.as_secs() / DAY;
            let mut writer = Writer::default();
            writer.vector(reference);
            ends.entry(day).or_default().extend(writer.into_octets());
        }
        for (day, references) in ends {
            let before = self.records.get(&ends_key(day)).map(|before| before.to_vec()).unwrap_or_default();
            self.records.put(ends_key(day), [before, references].concat());
            self.index.ends.insert(day);
        }
    }

    /// Removes the private keys of KeyPackages that nobody can use any more.
    pub(crate) fn forget_expired(&mut self, now: Timestamp) {
        while let Some(day) = self.index.ends.first().copied() {
            if now < Timestamp::from_secs((day + 1).saturating_mul(DAY)).after(KEPT) {
                return;
            }
            self.index.ends.remove(&day);
            let references = self.records.get(&ends_key(day)).unwrap_or_default();
            let mut reader = Reader::new(&references);
            while let (false, Ok(reference)) = (reader.is_empty(), reader.vector()) {
                self.records.remove(&key_package_key(reference));
            }
            self.records.remove(&ends_key(day));
        }
    }
}

/// Whether a record is what its key says.
pub(crate) fn is_sound(key: &str, value: &[u8]) -> bool {
    match key.split_once('/') {
        Some(("held", user)) => user.parse::<UserUri>().is_ok() && (value.is_empty() || Held::restore(value).is_ok()),
        Some(("asked", user)) => user.parse::<UserUri>().is_ok() && signing_key(value).is_some(),
        Some(("acquire", _)) => signing_keys(value).is_some(),
        Some(("key-package", _)) => HeldKeyPackage::decode(value).is_ok(),
        Some(("fresh", _)) => UserUri::decode(value).is_ok(),
        Some(("ends", _)) => {
            let mut reader = Reader::new(value);
            while !reader.is_empty() {
                if reader.vector().is_err() {
                    return false;
                }
            }
            true
        }
        _ => false,
    }
}

impl Held {
    /// What can be shown of the identity behind it; `None` if there is nothing, or it does not hold (any more).
    pub(crate) fn credential(&self, cx: &Context<'_>) -> Option<IdentityCredential> {
        let holding = Holding {
            domain: self.identity.user().domain(),
            key: self.identity.signer().public_key(),
            trust: cx.trust,
            now: cx.now,
        };
        match self.disclosure.as_ref()? {
            IssuedDisclosure::X509(certificates) => {
                let chain = CertificateChain::try_from(certificates.clone()).ok()?;
                UnverifiedIdentity::new(chain.clone()).verify(holding.key, cx.trust, cx.now).ok()?;
                Some(IdentityCredential::x509(chain))
            }
            IssuedDisclosure::SdJwt(token) => IdentityCredential::sd_jwt(token, &holding).ok(),
            IssuedDisclosure::SdCwt(token) => IdentityCredential::sd_cwt(token, &holding).ok(),
            _ => None,
        }
    }

    pub(crate) fn save(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.vector(&self.identity.save());
        writer.optional(self.disclosure.as_ref());
        writer.u8(match self.state {
            PseudonymState::Fresh => 1,
            PseudonymState::Offered => 2,
            PseudonymState::InRoom => 3,
            PseudonymState::Retired => 4,
        });
        writer.flag(self.own);
        writer.flag(self.again);
        writer.into_octets()
    }

    pub(crate) fn restore(saved: &[u8]) -> Result<Self, DecodeError> {
        let damaged = |field| DecodeError::Rule { field, rule: "damaged" };
        let mut reader = Reader::new(saved);
        let identity = Identity::restore(reader.vector()?).map_err(|_| damaged("identity"))?;
        let disclosure = reader.optional()?;
        let state = match reader.u8()? {
            1 => PseudonymState::Fresh,
            2 => PseudonymState::Offered,
            3 => PseudonymState::InRoom,
            4 => PseudonymState::Retired,
            _ => return Err(damaged("state")),
        };
        let (own, again) = (reader.flag("own")?, reader.flag("again")?);
        reader.finish()?;
        Ok(Self { identity, disclosure, state, own, again })
    }
}

impl Wire for HeldKeyPackage {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let owner = UserUri::read(reader)?;
        let secret = KeyPackageSecret::from_bytes(reader.vector()?.to_vec());
        Ok(Self { owner, secret, not_after: Timestamp::read(reader)?, last_resort: reader.flag("last_resort")? })
    }

    fn write(&self, writer: &mut Writer) {
        self.owner.write(writer);
        writer.vector(self.secret.as_bytes());
        self.not_after.write(writer);
        writer.flag(self.last_resort);
    }
}

fn signing_key(value: &[u8]) -> Option<SigningKey> {
    signing_keys(value)?.into_iter().next()
}

/// The keys of a suite that stand behind it; one at least.
fn signing_keys(value: &[u8]) -> Option<Vec<SigningKey>> {
    let mut reader = Reader::new(value);
    let suite: Result<CipherSuite, DecodeError> = CipherSuite::read(&mut reader);
    let scheme = suite.ok()?.signature_scheme();
    let mut keys = Vec::new();
    while !reader.is_empty() {
        let key: Result<SigningKey, SignError> = SigningKey::from_secret(scheme, &reader.array().ok()?);
        keys.push(key.ok()?);
    }
    (!keys.is_empty()).then_some(keys)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("fresh", &self.fresh()).finish_non_exhaustive()
    }
}
