//! Pseudonyms as the operator wants them tied to accounts (draft-mahy-mimi-pseudonyms-00, section 5.3): directly, where
//! they are the account's and fetched for by its devices; or else each with a device of its own, which belongs to no
//! account, and beside it what the chosen way leaves of the tie.

mod act;
mod conduct;
mod config;
mod keys;
mod lists;
mod openings;
mod scores;

use std::sync::Arc;

use mimi_pseudonym::{AccountLink, UserUri, Wire};
use mimi_tie::{
    Quota, Tie, TieRow, Way,
    blind::{Issuer, Token, TokenChallenge, TokenRequest},
    operators::OperatorsKey,
};
use mimi_wire::{
    Problem,
    local::{DetachRequest, DetachResponse, RedeemRequest, TokenKey, TokensRequest, TokensResponse},
};

pub(crate) use config::TiesConfig;
pub(crate) use keys::{octets, rewrite, write_new};
pub(crate) use openings::{checkpoints, log, openings, signed};

use crate::{
    clock::OsEntropy,
    fail::Fail,
    hash,
    local::{Fresh, enrolled, secret},
    provider::Inner,
    server::Reply,
    store::{Device, Draw, TieEntry, by_name},
};
use mimi_pseudonym::Entropy as _;

/// How this provider ties.
pub(crate) struct Ties {
    pub(crate) tie: Tie,
    quota: Option<Quota>,
    /// To which key the lists of accounts' pseudonyms are sealed, if there are any.
    pub(crate) lists: Option<OperatorsKey>,
    /// Of the blind way alone.
    tokens: Option<(Issuer, TokenChallenge)>,
    /// Of the way score alone: the reputation that lets an account have more than the quota.
    reputation: Option<u16>,
}

impl Ties {
    /// What an account may draw now.
    pub(crate) fn draw(&self, inner: &Inner) -> Draw {
        let period = self.quota.map_or(0, |quota| quota.period(inner.now()).number());
        Draw { period: i64::try_from(period).unwrap_or(i64::MAX), allowed: self.quota.map(Quota::allowed) }
    }

    /// Whether pseudonyms are the account's own.
    pub(crate) fn is_direct(&self) -> bool {
        self.tie.way() == Way::Direct
    }

    /// Whether whoever reads what is stored may learn which account is meant.
    pub(crate) fn tells(&self) -> bool {
        self.is_direct()
    }

    fn tokens(&self) -> Result<&(Issuer, TokenChallenge), Problem> {
        self.tokens.as_ref().ok_or(Problem::Forbidden)
    }

    /// Where what stands beside a pseudonym is found.
    pub(crate) fn found_by(&self, pseudonym: &UserUri) -> Vec<u8> {
        match &self.tie {
            Tie::ActOnly(key) => key.tag(pseudonym).to_vec(),
            _ => by_name(pseudonym),
        }
    }
}

/// The key that tokens are issued with. Every client must get the same one: it is no secret, and may be published anywhere.
pub(crate) fn token_key(inner: &Inner) -> Result<Reply, Fail> {
    let (issuer, _) = inner.ties.tokens()?;
    Ok(Reply::message(&TokenKey { key: issuer.key().octets().to_vec() }))
}

/// Issues tokens within the account's quota. The same request again is not counted again.
pub(crate) async fn tokens(inner: &Arc<Inner>, device: Device, request: TokensRequest) -> Result<Reply, Fail> {
    inner
        .blocking(move |inner| {
            let (issuer, _) = inner.ties.tokens()?;
            let requests: Vec<TokenRequest> =
                request.requests.iter().map(|one| TokenRequest::decode(one)).collect::<Result<_, _>>()?;
            let issue = |one: &TokenRequest| match issuer.issue(one, &mut OsEntropy) {
                Ok(response) => Ok(response.encode()),
                Err(_) => Err(Problem::Malformed),
            };
            let responses = requests.iter().map(issue).collect::<Result<Vec<_>, _>>()?;
            let count = u32::try_from(responses.len()).map_err(|_| Problem::Malformed)?;
            let same = hash(&[b"tokens", device.client.as_str().as_bytes(), &request.encode()]);
            inner.store.draw_tokens(&device, count, &same, inner.ties.draw(inner))?;
            Ok(Reply::message(&TokensResponse { responses }))
        })
        .await
}

/// Gives a pseudonym with a device of its own for a token. The same request with the same secret once more gets the same
/// answer; the same token otherwise is refused as forbidden, and so is one that was not issued here.
pub(crate) async fn redeem(inner: &Arc<Inner>, request: RedeemRequest, key: Option<&[u8]>) -> Result<Reply, Fail> {
    let fresh = Fresh::new(inner, request.device_name, secret(key)?);
    let device = fresh.device.clone();
    let token = Token::decode(&request.token)?;
    let registered = inner
        .blocking(move |inner| {
            let (issuer, challenge) = inner.ties.tokens()?;
            if let Some(known) = enrolled(inner, &device)? {
                return Ok(known);
            }
            let redeemed = issuer.redeem(&token, challenge).map_err(|_| Problem::Forbidden)?;
            let pseudonym = UserUri::pseudonym(inner.domain(), OsEntropy.bits128());
            if inner.store.redeem(redeemed.spent(), &pseudonym, &device)? {
                return Ok((pseudonym, device.client));
            }
            // Perhaps by the same request, a moment ago.
            enrolled(inner, &device)?.ok_or_else(|| Problem::Forbidden.into())
        })
        .await?;
    Ok(Reply::message(&fresh.response(registered)))
}

/// Gives an account a pseudonym with a device of its own, and keeps of the tie what the chosen way leaves. The same request
/// with the same secret once more gets the same answer.
pub(crate) async fn detach(
    inner: &Arc<Inner>,
    device: Device,
    request: DetachRequest,
    key: Option<&[u8]>,
) -> Result<Reply, Fail> {
    if inner.ties.is_direct() || inner.ties.tokens.is_some() {
        return Err(Problem::Forbidden.into());
    }
    let fresh = Fresh::new(inner, request.device_name, secret(key)?);
    let (own, account) = (fresh.device.clone(), device.account);
    let (registered, mark, account_mark) = inner
        .blocking(move |inner| {
            let registered = match enrolled(inner, &own)? {
                Some(known) => known,
                None => {
                    let pseudonym = UserUri::pseudonym(inner.domain(), OsEntropy.bits128());
                    let entry = bind(inner, &device, &pseudonym)?;
                    let detached = inner.store.detach(device.account, &pseudonym, &own, &entry, inner.ties.draw(inner));
                    if let Err(Fail::Problem(Problem::OverQuota)) = &detached
                        && inner.ties.reputation.is_some()
                    {
                        // The answer is the same, whatever the reputation is, and whether it was asked about.
                        inner.store.wants_more(device.account)?;
                    }
                    detached?;
                    (pseudonym, own.client)
                }
            };
            let mark = mark(inner, &registered.0)?;
            let account_mark = inner.ties.account_mark(inner, account)?;
            Ok((registered, mark, account_mark))
        })
        .await?;
    Ok(Reply::message(&DetachResponse { registered: fresh.response(registered), mark, account_mark }))
}

/// What is to be stored beside a pseudonym of a device's account.
fn bind(inner: &Inner, device: &Device, pseudonym: &UserUri) -> Result<TieEntry, Fail> {
    let account = inner.store.profile(device.account)?.user;
    let link = AccountLink::new(account, pseudonym.clone()).ok_or(Problem::Forbidden)?;
    let seat = if inner.ties.tie.way() == Way::Score { inner.store.seat(device.account)? } else { 0 };
    let row =
        inner.ties.tie.bind(&link, seat, &mut OsEntropy).map_err(|_| Fail::Fault("a pseudonym cannot be tied"))?;
    let listed = inner.ties.listed(inner, device.account, &link)?;
    Ok(TieEntry { found_by: inner.ties.found_by(pseudonym), tie: row.encode(), listed })
}

/// By what the owner of a pseudonym recognises its opening.
fn mark(inner: &Inner, pseudonym: &UserUri) -> Result<Vec<u8>, Fail> {
    let Some(row) = inner.store.tie(&inner.ties.found_by(pseudonym))? else { return Ok(Vec::new()) };
    match TieRow::decode(&row).map_err(|_| Fail::Fault("a tie in the database is damaged"))? {
        TieRow::BreakGlass(sealed) => Ok(sealed.owner_mark(pseudonym).mark().to_vec()),
        _ => Ok(Vec::new()),
    }
}
