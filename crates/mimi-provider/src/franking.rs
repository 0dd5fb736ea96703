//! The hub's stamp on messages (draft-ietf-mimi-protocol-06, section 5.4.1): its keys, and when they change.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mimi_abuse::franking::{HubKeys, MacKey};
use mimi_mls::HubRoom;
use mimi_pseudonym::{CipherSuite, Domain, Entropy, RoomUri, Signer, SigningKey, Timestamp, UserUri};
use mimi_wire::{
    Credential, Frank, FrankAad, FrankingAgentData, ServerFrankingContext, SubmitMessageRequest,
    local::HubFrankingAgent,
};

use crate::{
    StartError, StoreError,
    clock::OsEntropy,
    fail::Fail,
    keys::KeyFileError,
    log::{During, Fault},
    provider::Inner,
    stamper::Stamper,
    store::Store,
};

/// How often keys are read again: another process may have made new ones.
const TURN: Duration = Duration::from_secs(3600);
/// How long before it is used a secret is made: by then every process has read it.
const AHEAD: Duration = Duration::from_secs(2 * 3600);

/// How long keys are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Periods {
    /// One secret.
    pub(crate) secret: Duration,
    /// How long what was stamped with it can be reported.
    pub(crate) remember: Duration,
    /// One key that signs, for new rooms.
    pub(crate) signer: Duration,
}

struct Keys {
    hub: HubKeys,
    /// The newest last.
    signers: Vec<(CipherSuite, Stamper)>,
}

/// The hub's keys for stamps.
pub(crate) struct Franking {
    periods: Periods,
    keys: RwLock<Arc<Keys>>,
}

impl Franking {
    /// Reads the keys, and makes those that are missing.
    pub(crate) fn load(store: &Store, periods: Periods, now: Timestamp) -> Result<Self, StartError> {
        let keys = read(store, periods, now)?.ok_or(KeyFileError::Hub)?;
        Ok(Self { periods, keys: RwLock::new(Arc::new(keys)) })
    }

    fn turn(&self, store: &Store, now: Timestamp) -> Result<(), Fail> {
        let keys = read(store, self.periods, now)?.ok_or(Fail::Fault("a key for stamps cannot be used"))?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// By which stamps are recognised.
    pub(crate) fn hub_keys(&self) -> HubKeys {
        self.keys().hub.clone()
    }

    /// Who stamps messages in new rooms.
    pub(crate) fn agents(&self, domain: &Domain) -> Vec<HubFrankingAgent> {
        let keys = self.keys();
        let newest = |suite: CipherSuite| {
            let (_, signer) = keys.signers.iter().rev().find(|(of, _)| *of == suite)?;
            Some(HubFrankingAgent { cipher_suite: suite, agent: agent(signer, domain) })
        };
        CipherSuite::ALL.into_iter().filter_map(newest).collect()
    }

    /// Whether a new room names an agent that stamps for it. Devices learn of a new key only now and then, so it may be an
    /// older one.
    pub(crate) fn is_own(&self, suite: CipherSuite, named: &FrankingAgentData, domain: &Domain) -> bool {
        self.keys().signers.iter().any(|(of, signer)| *of == suite && agent(signer, domain) == *named)
    }
}

fn agent(signer: &Stamper, domain: &Domain) -> FrankingAgentData {
    FrankingAgentData {
        franking_signature_key: signer.public_key().as_bytes().to_vec(),
        credential: Credential::basic(format!("mimi://{domain}").as_bytes()),
    }
}

fn read(store: &Store, periods: Periods, now: Timestamp) -> Result<Option<Keys>, StoreError> {
    let Periods { secret, remember, signer } = periods;
    let secrets = store.franking_secrets(now, (secret, AHEAD, remember), &OsEntropy.bits256())?;
    let mut signers = Vec::new();
    for suite in CipherSuite::ALL {
        let scheme = suite.signature_scheme();
        let Ok(fresh) = SigningKey::generate(scheme, &mut OsEntropy) else { return Ok(None) };
        for secret in store.franking_signers(suite.code(), now, signer, fresh.secret())? {
            let Ok(key) = Stamper::from_secret(scheme, &secret) else { return Ok(None) };
            signers.push((suite, key));
        }
    }
    let secrets = secrets.into_iter().map(|(from, secret)| (from, MacKey::from_bytes(secret))).collect();
    let public = signers.iter().map(|(_, signer)| signer.public_key().clone()).collect();
    Ok(Some(Keys { hub: HubKeys::new(secrets, public), signers }))
}

/// Reads the keys again now and then, as long as the provider runs.
pub(crate) async fn run(inner: Arc<Inner>) -> Infallible {
    loop {
        tokio::time::sleep(TURN).await;
        let turned = inner.blocking(|inner| {
            inner.franking.turn(&inner.store, inner.now())?;
            inner.abuse.forget(&inner.store, inner.now())
        });
        if let Err(error) = turned.await {
            inner.log.fault(Fault::Work(During::Franking, &error));
        }
    }
}

/// Why a message is not taken in its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Every member would refuse it.
    Framing,
    /// The room's messages are stamped, and its sender has committed to nothing: what it says could not be reported.
    Uncommitted,
}

/// What is stamped on a message once the time is known at which it is accepted.
#[derive(Clone)]
pub(crate) struct Stamp {
    /// What the sender has committed to, and who stamps; none if nobody does in this room.
    wanted: Option<(FrankAad, FrankingAgentData)>,
    suite: CipherSuite,
    sender: UserUri,
    room: RoomUri,
}

impl Stamp {
    /// The stamp of a message for a room. Who names an agent in the room wants to be able to report what is said there, so in
    /// such a room a message without a commitment is unfit.
    pub(crate) fn new(hub: &HubRoom, request: &SubmitMessageRequest) -> Result<Self, Unfit> {
        let frank_aad = hub.frank_aad(request.message.message()).map_err(|_| Unfit::Framing)?;
        let wanted = match (frank_aad, hub.franking_agent()) {
            (Some(frank_aad), Some(agent)) => Some((frank_aad, agent)),
            (None, Some(_)) => return Err(Unfit::Uncommitted),
            (_, None) => None,
        };
        let (sender, room) = (request.sending_user.clone(), hub.uri().clone());
        Ok(Self { wanted, suite: hub.suite(), sender, room })
    }

    /// The stamp of a time: for the same time it says the same.
    pub(crate) fn at(&self, inner: &Inner, accepted: Timestamp) -> Result<Option<Frank>, Fail> {
        let Some((frank_aad, agent)) = &self.wanted else { return Ok(None) };
        let keys = inner.franking.keys();
        let is_agent = |key: &Stamper| key.public_key().as_bytes() == agent.franking_signature_key;
        let signer = keys.signers.iter().find(|(suite, signer)| *suite == self.suite && is_agent(signer));
        let (_, signer) = signer.ok_or(Fail::Fault("a room's franking agent is not this hub's"))?;
        let context = ServerFrankingContext { sender: self.sender.clone(), room: self.room.clone(), accepted };
        let frank = keys.hub.frank(frank_aad, context, self.suite, signer);
        frank.map(Some).map_err(|_| Fail::Fault("a stamp cannot be made"))
    }
}
