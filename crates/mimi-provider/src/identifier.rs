use std::sync::Arc;

use mimi_pseudonym::Wire;
use mimi_wire::{
    AppDataDictionary, Endpoint, IdentifierQueryCode, IdentifierRequest, IdentifierResponse, Problem, QueryElement,
    SearchField, UserProfile,
    local::{LocalIdentifierQuery, SetProfile},
};

use crate::{
    fail::Fail,
    pace::Asker,
    provider::Inner,
    server::{Peer, Reply},
    store::Device,
};

/// The most elements of a query that is answered.
const ELEMENTS_MAX: usize = 8;
/// The most users that one answer names: who asks for a part of a name that fits more is told to be more exact.
const FOUND_MAX: usize = 20;
/// The fewest characters of a part of a name: with fewer, anybody could be listed.
const PART_MIN: usize = 3;

/// Finds users of a provider for a device: here, or by asking that provider.
pub(crate) async fn for_device(
    inner: &Arc<Inner>,
    device: &Device,
    query: LocalIdentifierQuery,
) -> Result<Reply, Fail> {
    inner.queries.check(Asker::Device(device.id), inner.now())?;
    if query.domain == *inner.domain() {
        return Ok(Reply::message(&self::query(inner, query.request).await?));
    }
    let body = query.request.encode();
    let max = IdentifierResponse::MAX_LEN;
    let domain = &query.domain;
    let answer = inner.peers.post(domain, Endpoint::IdentifierQuery, domain.as_str(), body, max).await?;
    let response = IdentifierResponse::decode(&answer).map_err(|_| Problem::Unavailable)?;
    let profiles = response.profiles.iter().map(|profile| &profile.stable_uri);
    if response.uris.iter().chain(profiles).all(|uri| uri.domain() == domain) {
        Ok(Reply::message(&response))
    } else {
        Err(Problem::Unavailable.into())
    }
}

/// Sets what the device's account can be found by.
pub(crate) async fn set_profile(inner: &Arc<Inner>, device: Device, profile: SetProfile) -> Result<Reply, Fail> {
    inner.blocking(move |inner| Ok(inner.store.set_profile(device.account, &profile.entries)?)).await?;
    Ok(Reply::Nothing)
}

/// Finds users for another provider, as often as it may ask.
pub(crate) async fn for_peer(
    inner: &Arc<Inner>,
    peer: &Peer,
    request: IdentifierRequest,
) -> Result<IdentifierResponse, Fail> {
    inner.queries.check(Asker::Peer(peer.domain().clone()), inner.now())?;
    query(inner, request).await
}

/// Finds accounts (draft-ietf-mimi-protocol-06, section 5.8): those that every element leads to, by a field that its
/// owner lets be found in that way. Whoever does not want to be found is answered for as whoever does not exist. A
/// pseudonym has no profile and is never found.
async fn query(inner: &Arc<Inner>, request: IdentifierRequest) -> Result<IdentifierResponse, Fail> {
    let elements = request.elements;
    if elements.len() > ELEMENTS_MAX {
        return Ok(response(IdentifierQueryCode::Forbidden, Vec::new()));
    }
    if !elements.iter().all(is_exact_enough) {
        return Ok(response(IdentifierQueryCode::Ambiguous, Vec::new()));
    }
    let found = inner
        .blocking(move |inner| Ok(inner.store.find_users(&elements, inner.domain().as_str(), FOUND_MAX + 1)?))
        .await?;
    Ok(match found.len() {
        0 => response(IdentifierQueryCode::NotFound, found),
        1..=FOUND_MAX => response(IdentifierQueryCode::Success, found),
        _ => response(IdentifierQueryCode::Ambiguous, Vec::new()),
    })
}

fn is_exact_enough(element: &QueryElement) -> bool {
    let part = matches!(element.field, SearchField::PartialName | SearchField::WholeProfile);
    !part || element.value.trim().chars().count() >= PART_MIN
}

fn response(code: IdentifierQueryCode, profiles: Vec<UserProfile>) -> IdentifierResponse {
    let uris = profiles.iter().map(|profile| profile.stable_uri.clone()).collect();
    IdentifierResponse { code, uris, profiles, extensions: AppDataDictionary::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_has_three_characters() {
        let element = |field, value: &str| QueryElement { field, value: value.into() };
        assert!(is_exact_enough(&element(SearchField::PartialName, "mat")));
        assert!(!is_exact_enough(&element(SearchField::PartialName, " ma ")));
        assert!(!is_exact_enough(&element(SearchField::WholeProfile, "")));
        assert!(is_exact_enough(&element(SearchField::Nick, "m")));
    }
}
