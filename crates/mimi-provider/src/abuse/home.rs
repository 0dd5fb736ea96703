//! As a home provider: hubs' requests about users of its own, and what is decided about them (docs/profile-remedy.md).

use std::{convert::Infallible, sync::Arc, time::Duration};

use mimi_abuse::remedy::{Plan, RemedyReceipt, RemedyRefusal, UnverifiedRemedyRequest};
use mimi_pseudonym::{Domain, PublicKey, Timestamp};
use mimi_wire::Problem;

use crate::{
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    server::{Peer, Reply},
    store::{AccountId, Taken},
};

/// How often is looked whether the moment to decide has come.
const TURN: Duration = Duration::from_secs(20);

/// Takes a request. The answer is the same whether there is such a user, whether this was asked before, and whatever will be
/// decided; what is refused is refused for what stands in the request itself, or because its hub asks too much.
pub(crate) async fn requested(
    inner: &Arc<Inner>,
    peer: &Peer,
    domain: Domain,
    request: UnverifiedRemedyRequest,
) -> Result<Reply, Fail> {
    if domain != *inner.domain() {
        return Err(Problem::NotFound.into());
    }
    let from = peer.domain().clone();
    let info = inner.peers.info(&from).await?;
    let suite = request.suite();
    let key = info.hub_senders.iter().find(|sender| sender.cipher_suite == suite);
    let key = key.and_then(|key| PublicKey::new(suite.signature_scheme(), &key.sender.signature_key).ok());
    let key = key.ok_or(Problem::SignatureInvalid)?;
    inner
        .blocking(move |inner| {
            let now = inner.now();
            let request = request.verify(&key, &from, inner.domain(), now).map_err(|refusal| problem(&refusal))?;
            match inner.store.requested(&request, inner.abuse.home.budget_per_day, now)? {
                Taken::Kept => Ok(Reply::message(&RemedyReceipt { id: request.tbs().id })),
                Taken::OverBudget => Err(Problem::RateLimited.into()),
            }
        })
        .await
}

fn problem(refusal: &RemedyRefusal) -> Problem {
    match refusal {
        RemedyRefusal::OtherHub | RemedyRefusal::ForeignUser => Problem::ForeignUser,
        RemedyRefusal::Signature => Problem::SignatureInvalid,
        _ => Problem::Malformed,
    }
}

/// Decides at the moments that the policy sets, as long as the provider runs.
pub(super) async fn run(inner: &Arc<Inner>) -> Infallible {
    let mut decided = Timestamp::default();
    loop {
        let before = inner.abuse.home.last_batch(inner.now());
        if before > decided {
            match inner.blocking(move |inner| decide(inner, before)).await {
                Ok(()) => decided = before,
                Err(error) => inner.log.fault(format_args!("remedies: {error}")),
            }
        }
        tokio::time::sleep(TURN).await;
    }
}

fn decide(inner: &Inner, before: Timestamp) -> Result<(), Fail> {
    for account in inner.store.accounts_asked_about(before)? {
        let (requests, names) = inner.store.asked_about(account, before)?;
        let decision = inner.abuse.home.decide(&requests, before);
        let moments = match decision.remedy {
            Some(_) => Plan::default().moments(names, before, &mut OsEntropy),
            None => Vec::new(),
        };
        let explanation = decision.to_string();
        let decided = decision.remedy.map(|remedy| (remedy, explanation.as_str()));
        inner.store.remedy(account, decided, &moments, inner.now())?;
    }
    Ok(inner.store.all_decided(before)?)
}

/// Refuses what an account may not do about which something was decided.
pub(crate) async fn check_account(inner: &Arc<Inner>, account: AccountId) -> Result<(), Fail> {
    let suspended = inner.blocking(move |inner| Ok(inner.store.is_suspended(account)?)).await?;
    if suspended { Err(Problem::Forbidden.into()) } else { Ok(()) }
}
