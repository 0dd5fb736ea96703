use std::{collections::BTreeMap, fmt, time::Duration};

use mimi_credential::{CertificateChain, UnverifiedIdentity};
use mimi_disclosure::{DisclosurePolicy, Holding, IdentityCredential, Selection};
use mimi_mls::{Identity, KeyPackageSecret};
use mimi_pseudonym::{ClaimName, DecodeError, Reader, SigningKey, Timestamp, UserUri, Wire, Writer};
use mimi_wire::local::IssuedDisclosure;
use serde::{Deserialize, Serialize};

use crate::Context;

/// Where a pseudonym stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PseudonymState {
    /// Nobody but the provider has seen it.
    Fresh,
    /// It was given to someone, or is the name in a room: it is not used for anything else.
    Used,
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
}

/// A KeyPackage's private half, and whose it is.
pub(crate) struct HeldKeyPackage {
    pub(crate) owner: UserUri,
    pub(crate) secret: KeyPackageSecret,
    /// When nobody may use the KeyPackage any more.
    pub(crate) not_after: Timestamp,
}

/// How long after a KeyPackage's end its private keys are kept, for a Welcome that is on its way: 30 days.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Everything the account has on this device. The account and its pseudonyms stand side by side here and nowhere else.
#[derive(Default)]
pub(crate) struct Wallet {
    pub(crate) held: BTreeMap<UserUri, Held>,
    /// Keys whose credentials have been asked for.
    pub(crate) asked: BTreeMap<UserUri, SigningKey>,
    /// By reference.
    pub(crate) key_packages: BTreeMap<Vec<u8>, HeldKeyPackage>,
}

impl Wallet {
    /// How many pseudonyms this device may choose from.
    pub(crate) fn fresh(&self) -> usize {
        self.held.iter().filter(|(user, held)| user.is_pseudonym() && held.is_choosable()).count()
    }

    /// The fresh pseudonym that would be chosen next.
    pub(crate) fn next(&self) -> Option<&UserUri> {
        self.held.iter().find(|(user, held)| user.is_pseudonym() && held.is_choosable()).map(|(user, _)| user)
    }

    /// Takes a fresh pseudonym, which is used from then on.
    pub(crate) fn choose(&mut self) -> Option<UserUri> {
        let user = self.next()?.clone();
        self.used(&user);
        Some(user)
    }

    /// From now on, this URI is used.
    pub(crate) fn used(&mut self, user: &UserUri) {
        if let Some(held) = self.held.get_mut(user) {
            held.state = PseudonymState::Used;
        }
    }

    /// Whether these claims can be disclosed with the pseudonym that would be chosen next.
    pub(crate) fn discloses(&self, wanted: &[ClaimName], cx: &Context<'_>) -> bool {
        let next = self.held.iter().find(|(user, held)| user.is_pseudonym() && held.is_choosable());
        let Some(credential) = next.and_then(|(_, held)| held.credential(cx)) else { return false };
        let selection = Selection::new(wanted.iter().copied(), &DisclosurePolicy::connection());
        selection.is_ok_and(|selection| credential.allows(&selection) == Ok(true))
    }

    /// Overwrites the private keys of KeyPackages that nobody can use any more.
    pub(crate) fn forget_expired(&mut self, now: Timestamp) {
        self.key_packages.retain(|_, held| now < held.not_after.after(KEPT));
    }

    pub(crate) fn identity(&self, user: &UserUri) -> Option<&Identity> {
        self.held.get(user).map(|held| &held.identity)
    }
}

impl Held {
    fn is_choosable(&self) -> bool {
        self.own && self.state == PseudonymState::Fresh
    }

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
        writer.flag(self.state == PseudonymState::Used);
        writer.flag(self.own);
        writer.into_octets()
    }

    pub(crate) fn restore(saved: &[u8]) -> Result<Self, DecodeError> {
        let damaged = |field| DecodeError::Rule { field, rule: "damaged" };
        let mut reader = Reader::new(saved);
        let identity = Identity::restore(reader.vector()?).map_err(|_| damaged("identity"))?;
        let disclosure = reader.optional()?;
        let state = if reader.flag("state")? { PseudonymState::Used } else { PseudonymState::Fresh };
        let own = reader.flag("own")?;
        reader.finish()?;
        Ok(Self { identity, disclosure, state, own })
    }
}

impl Wire for HeldKeyPackage {
    const MAX_LEN: usize = 1 << 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let owner = UserUri::read(reader)?;
        let secret = KeyPackageSecret::from_bytes(reader.vector()?.to_vec());
        Ok(Self { owner, secret, not_after: Timestamp::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.owner.write(writer);
        writer.vector(self.secret.as_bytes());
        self.not_after.write(writer);
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet")
            .field("pseudonyms", &self.held.keys().filter(|user| user.is_pseudonym()).count())
            .field("key_packages", &self.key_packages.len())
            .finish_non_exhaustive()
    }
}
