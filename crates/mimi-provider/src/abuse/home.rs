//! As a home provider: hubs' requests about users of its own, and what is decided about them (docs/profile-remedy.md).

use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};

use mimi_abuse::remedy::{RemedyReceipt, RemedyRefusal, UnverifiedRemedyRequest};
use mimi_pseudonym::{CipherSuite, Domain, PublicKey, Timestamp};
use mimi_wire::Problem;

use crate::{
    clock::OsEntropy,
    fail::Fail,
    log::{During, Fault},
    provider::Inner,
    server::{Peer, Reply},
    store::{AccountId, Cause, Decision, Taken},
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
    let key = key_of(inner, &from, request.suite()).await?;
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

/// The key with which another provider signs for a suite what it says as a provider.
pub(super) async fn key_of(inner: &Arc<Inner>, provider: &Domain, suite: CipherSuite) -> Result<PublicKey, Fail> {
    let info = inner.peers.info(provider).await?;
    let key = info.hub_senders.iter().find(|sender| sender.cipher_suite == suite);
    let key = key.and_then(|key| PublicKey::new(suite.signature_scheme(), &key.sender.signature_key).ok());
    key.ok_or_else(|| Problem::SignatureInvalid.into())
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
                Err(error) => inner.log.fault(Fault::Work(During::Remedies, &error)),
            }
        }
        tokio::time::sleep(TURN).await;
    }
}

fn decide(inner: &Inner, before: Timestamp) -> Result<(), Fail> {
    let (store, ties) = (&inner.store, &inner.ties);
    ties.add_up(store, &inner.abuse.home, before)?;
    ties.count_conduct(store, before)?;
    let mut heads = BTreeSet::new();
    for account in store.accounts_asked_about(before)? {
        heads.insert(ties.acted_on(store, account)?);
    }
    let heads: Vec<_> = heads.into_iter().collect();
    let plan = inner.abuse.home.plan();
    let moments = |names| plan.moments(names, before, &mut OsEntropy);
    for (head, members) in ties.together(store, &heads)? {
        let mut requests = Vec::new();
        for member in &members {
            requests.extend(store.asked_about(*member, before)?.0);
        }
        let decision = inner.abuse.home.decide(&requests, before);
        // Where the account is not to be found from what is stored, no more is stored than that something was decided.
        let explanation = if ties.tells() { decision.to_string() } else { "asked for by hubs".to_owned() };
        let related = if decision.related { store.related(head)? } else { Vec::new() };
        let decided = |account, explanation: &str| {
            let explanation = explanation.to_owned();
            decision.remedy.map(|remedy| Decision { account, remedy, explanation, moments: &moments })
        };
        for member in members {
            let mut decisions: Vec<_> = decided(member, &explanation).into_iter().collect();
            if member == head {
                let explanation = format!("as related: {explanation}");
                for other in &related {
                    decisions.extend(decided(*other, &explanation));
                }
            }
            store.decide_about(Cause::Asked(member), &decisions, before)?;
        }
        // Pseudonyms of related accounts that are accounts of their own are decided about as if they were asked about.
        let explanation = format!("as related: {explanation}");
        for (other, members) in ties.together(store, &related)? {
            for member in members.into_iter().filter(|member| *member != other) {
                let decisions: Vec<_> = decided(member, &explanation).into_iter().collect();
                store.decide_about(Cause::Asked(member), &decisions, before)?;
            }
        }
    }
    Ok(store.all_decided(before)?)
}

/// Refuses what an account may not do about which something was decided.
pub(crate) async fn check_account(inner: &Arc<Inner>, account: AccountId) -> Result<(), Fail> {
    let suspended = inner.blocking(move |inner| Ok(inner.store.is_suspended(account)?)).await?;
    if suspended { Err(Problem::Forbidden.into()) } else { Ok(()) }
}
