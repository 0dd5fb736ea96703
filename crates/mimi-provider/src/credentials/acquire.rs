//! Pseudonyms with their credentials in one request.

use std::{collections::BTreeSet, sync::Arc};

use mimi_pseudonym::{Entropy, UserUri};
use mimi_wire::{
    Problem,
    local::{AcquireRequest, AcquireResponse, IssuedPseudonym, NewPseudonym},
};

use super::{issue_one, issues};
use crate::{
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    server::Reply,
    store::{Device, Hash},
};

/// Makes pseudonyms, random and tied to the account nowhere but in one table, and issues credentials for each. The same request
/// once more gets the same pseudonyms. Refused as [`crate::local::pseudonyms`] and [`super::issue`] refuse; what cannot be
/// issued is refused before a pseudonym is made for it.
pub(crate) async fn acquire(
    inner: &Arc<Inner>,
    device: Device,
    request: AcquireRequest,
    repeatable: Option<Hash>,
) -> Result<Reply, Fail> {
    if !inner.ties.is_direct() {
        return Err(Problem::Forbidden.into());
    }
    inner
        .blocking(move |inner| {
            let wanted: Result<Vec<_>, _> = request.items.into_iter().map(|item| item.verify()).collect();
            let wanted = wanted.map_err(|_| Problem::SignatureInvalid)?;
            let keys: BTreeSet<_> = wanted.iter().map(|item| item.tbs().public_key.as_bytes()).collect();
            if keys.len() < wanted.len() {
                return Err(Problem::Forbidden.into());
            }
            if wanted.iter().any(|item| !item.tbs().disclose.is_empty() && !issues(inner, item.tbs().format)) {
                return Err(Problem::UnsupportedFormat.into());
            }
            let fresh: Vec<_> =
                wanted.iter().map(|_| UserUri::pseudonym(inner.domain(), OsEntropy.bits128())).collect();
            let draw = inner.ties.draw(inner);
            let (pseudonyms, wake) = inner.store.assign_pseudonyms(&device, &fresh, repeatable.as_ref(), draw)?;
            inner.wake(&wake);
            let profile = inner.store.profile(device.account)?;
            let issued = pseudonyms.into_iter().zip(wanted.iter().map(NewPseudonym::tbs));
            let issued = issued.map(|(pseudonym, wanted)| {
                let credential = issue_one(inner, &device, &profile, &wanted.clone().with_subject(pseudonym.clone()))?;
                Ok::<_, Fail>(IssuedPseudonym { pseudonym, credential })
            });
            Ok(Reply::message(&AcquireResponse { items: issued.collect::<Result<_, _>>()? }))
        })
        .await
}
