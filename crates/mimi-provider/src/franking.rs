//! The hub's stamp on messages (draft-ietf-mimi-protocol-06, section 5.4.1): its keys, and when they change.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use mimi_abuse::franking::{HubKeys, MacKey};
use mimi_mls::HubRoom;
use mimi_pseudonym::{CipherSuite, Domain, Entropy, Signer, SigningKey, Timestamp};
use mimi_wire::{
    Credential, Frank, FrankingAgentData, ServerFrankingContext, SubmitMessageRequest, local::HubFrankingAgent,
};

use crate::{StartError, StoreError, clock::OsEntropy, fail::Fail, keys::KeyFileError, provider::Inner, store::Store};

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
    signers: Vec<(CipherSuite, SigningKey)>,
}

/// The hub's keys for stamps.
pub(crate) struct Franking {
    periods: Periods,
    keys: RwLock<Arc<Keys>>,
}

impl Franking {
    /// Reads the keys, and makes those that are missing.
    pub(crate) fn load(store: &Store, periods: Periods, now: Timestamp) -> Result<Self, StartError> {
        let keys = read(store, periods, now)?.ok_or(KeyFileError::Tls)?;
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
            let agent = FrankingAgentData {
                franking_signature_key: signer.public_key().as_bytes().to_vec(),
                credential: Credential::basic(format!("mimi://{domain}").as_bytes()),
            };
            Some(HubFrankingAgent { cipher_suite: suite, agent })
        };
        CipherSuite::ALL.into_iter().filter_map(newest).collect()
    }

    /// Whether a new room names an agent that stamps for it: the newest one of its suite.
    pub(crate) fn is_own(&self, suite: CipherSuite, agent: &FrankingAgentData, domain: &Domain) -> bool {
        self.agents(domain).iter().any(|own| own.cipher_suite == suite && own.agent == *agent)
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
            let Ok(key) = SigningKey::from_secret(scheme, &secret) else { return Ok(None) };
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
        if let Err(error) = inner.blocking(|inner| inner.franking.turn(&inner.store, inner.now())).await {
            inner.log.fault(format_args!("franking: {error}"));
        }
    }
}

/// The stamp on a message that is accepted at this time. The inner `None`: the sender wants none, or the room has nobody
/// who stamps. The outer: every member would refuse the message.
pub(crate) fn frank(
    inner: &Inner,
    hub: &HubRoom,
    request: &SubmitMessageRequest,
    accepted: Timestamp,
) -> Result<Option<Option<Frank>>, Fail> {
    let Ok(frank_aad) = hub.frank_aad(request.message.message()) else { return Ok(None) };
    let (Some(frank_aad), Some(agent)) = (frank_aad, hub.franking_agent()) else { return Ok(Some(None)) };
    let keys = inner.franking.keys();
    let signer = keys.signers.iter().find(|(suite, signer)| {
        *suite == hub.suite() && signer.public_key().as_bytes() == agent.franking_signature_key
    });
    let (suite, signer) = signer.ok_or(Fail::Fault("a room's franking agent is not this hub's"))?;
    let (sender, room) = (request.sending_user.clone(), hub.uri().clone());
    let context = ServerFrankingContext { sender, room, accepted };
    let frank = keys.hub.frank(&frank_aad, context, *suite, signer).map_err(|_| Fail::Fault("a stamp cannot be made"))?;
    Ok(Some(Some(frank)))
}
