use std::sync::Arc;

use mimi_pseudonym::{Domain, UserUri, Wire};
use mimi_wire::{
    AppDataDictionary, Endpoint, IdentifierQueryCode, IdentifierRequest, IdentifierResponse, Problem, SearchField,
    UserProfile, local::LocalIdentifierQuery,
};

use crate::{fail::Fail, provider::Inner, server::Reply};

/// Finds users of a provider for a device: here, or by asking that provider.
pub(crate) async fn for_device(inner: &Arc<Inner>, query: LocalIdentifierQuery) -> Result<Reply, Fail> {
    if query.domain == *inner.domain() {
        return Ok(Reply::message(&self::query(inner, query.request).await?));
    }
    let body = query.request.encode();
    let max = IdentifierResponse::MAX_LEN;
    let domain = &query.domain;
    let answer = inner.peers.post(domain, Endpoint::IdentifierQuery, domain.as_str(), body, max).await?;
    let response = IdentifierResponse::decode(&answer).map_err(|_| Problem::Unavailable)?;
    if response.uris.iter().all(|uri| uri.domain() == domain) {
        Ok(Reply::message(&response))
    } else {
        Err(Problem::Unavailable.into())
    }
}

/// Finds the account of a handle (draft-ietf-mimi-protocol-06, section 5.8). A pseudonym has no handle and is not found.
pub(crate) async fn query(inner: &Arc<Inner>, request: IdentifierRequest) -> Result<IdentifierResponse, Fail> {
    if request.elements.iter().any(|element| element.field != SearchField::Handle) {
        return Ok(response(IdentifierQueryCode::UnsupportedField, None));
    }
    let users = request.elements.iter().map(|element| user_of(&element.value, inner.domain()));
    let users: Option<Vec<UserUri>> = users.collect();
    let same = users.filter(|users| users.windows(2).all(|pair| matches!(pair, [one, other] if one == other)));
    let Some(user) = same.and_then(|users| users.into_iter().next()) else {
        return Ok(response(IdentifierQueryCode::NotFound, None));
    };
    let found = inner.blocking(move |inner| Ok(inner.store.account_named(&user)?)).await?;
    Ok(match found {
        Some(user) => response(IdentifierQueryCode::Success, Some(user)),
        None => response(IdentifierQueryCode::NotFound, None),
    })
}

/// The account that `im:alice@a.example` would be.
fn user_of(handle: &str, own: &Domain) -> Option<UserUri> {
    let (name, domain) = handle.strip_prefix("im:")?.rsplit_once('@')?;
    let domain: Domain = domain.parse().ok()?;
    let user = UserUri::new(own, &name.to_ascii_lowercase()).ok()?;
    (domain == *own && !user.is_pseudonym()).then_some(user)
}

fn response(code: IdentifierQueryCode, user: Option<UserUri>) -> IdentifierResponse {
    let profiles = user.iter().map(|user| UserProfile { stable_uri: user.clone(), fields: Vec::new() }).collect();
    IdentifierResponse { code, uris: user.into_iter().collect(), profiles, extensions: AppDataDictionary::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_a_whole_im_uri_of_ours() {
        let own: Domain = "a.example".parse().unwrap();
        let alice: UserUri = "mimi://a.example/u/alice".parse().unwrap();
        assert_eq!(user_of("im:alice@a.example", &own), Some(alice.clone()));
        assert_eq!(user_of("im:Alice@A.example", &own), Some(alice));
        let pseudonym = "im:~00000000-0000-0000-0000-000000000000@a.example";
        for bad in ["alice@a.example", "im:alice", "im:alice@b.example", "im:@a.example", "im:a/b@a.example", pseudonym]
        {
            assert_eq!(user_of(bad, &own), None, "{bad}");
        }
    }
}
