use std::{sync::Arc, time::Duration};

use mimi_credential::{IssueError, Validity};
use mimi_pseudonym::{ClaimName, Claims, ClientUri, Entropy};
use mimi_wire::{
    Problem,
    local::{CredentialItem, CredentialsRequest, CredentialsResponse, IssuedCredential},
};

use crate::{
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    server::Reply,
    store::{AccountProfile, Device},
};

/// How long a certificate is valid.
const VALIDITY: Duration = Duration::from_secs(90 * 86_400);
/// How long before the present a certificate becomes valid, for clocks that are slow.
const SLOW_CLOCK: Duration = Duration::from_secs(3_600);

/// Issues certificates for keys that the device holds: for the account or one of its pseudonyms, and, where claims are to
/// be disclosed, an identity certificate for the same key besides.
pub(crate) async fn issue(inner: &Arc<Inner>, device: Device, request: CredentialsRequest) -> Result<Reply, Fail> {
    inner
        .blocking(move |inner| {
            let verified: Result<Vec<_>, _> = request.items.into_iter().map(|item| item.verify()).collect();
            let verified = verified.map_err(|_| Problem::SignatureInvalid)?;
            for item in &verified {
                if !inner.store.owns(device.account, &item.tbs().subject)? {
                    return Err(Problem::ForeignUser.into());
                }
            }
            let profile = inner.store.profile(device.account)?;
            let items = verified.iter().map(|item| issue_one(inner, &device, &profile, item));
            Ok(Reply::message(&CredentialsResponse { items: items.collect::<Result<_, _>>()? }))
        })
        .await
}

fn issue_one(
    inner: &Inner,
    device: &Device,
    profile: &AccountProfile,
    item: &CredentialItem,
) -> Result<IssuedCredential, Fail> {
    let mut entropy = OsEntropy;
    let wanted = item.tbs();
    let claims = claims(profile, &wanted.disclose);
    let fresh = ClientUri::pseudonym(inner.domain(), entropy.bits128());
    let client = inner.store.client_for(device, &wanted.subject, &wanted.public_key, &fresh)?;
    let client = client.ok_or(Problem::ForeignUser)?;
    let now = inner.now();
    let validity = Validity { not_before: now.before(SLOW_CLOCK), not_after: now.after(VALIDITY) };
    let key = &wanted.public_key;
    let leaf = inner.issuer.issue_leaf(&wanted.subject, &client, key, serial(&mut entropy), validity);
    let leaf = leaf.map_err(refused)?.certificates().to_vec();
    let disclosure = match claims {
        Some(claims) => {
            let issued = inner.issuer.issue_identity(&claims, key, serial(&mut entropy), validity);
            Some(issued.map_err(refused)?.certificates().to_vec())
        }
        None => None,
    };
    Ok(IssuedCredential { client, leaf, disclosure })
}

/// 127 random bits: a serial number is positive.
fn serial(entropy: &mut OsEntropy) -> [u8; 16] {
    let mut bits = entropy.bits128();
    if let Some(first) = bits.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    bits
}

/// The claims of an identity certificate: those wanted that the account has a value for, and always the account's URI.
fn claims(profile: &AccountProfile, wanted: &[ClaimName]) -> Option<Claims> {
    if wanted.is_empty() {
        return None;
    }
    let mut claims = Claims::default();
    claims.insert(ClaimName::UserUri, profile.user.as_str());
    for name in wanted {
        let value = match name {
            ClaimName::UserUri => profile.user.to_string(),
            ClaimName::Handle => format!("im:{}@{}", profile.user.name(), profile.user.domain()),
            ClaimName::DisplayName => profile.display_name.clone(),
            ClaimName::Email => profile.email.clone(),
            _ => String::new(),
        };
        if !value.is_empty() {
            claims.insert(*name, value);
        }
    }
    Some(claims)
}

fn refused(error: IssueError) -> Fail {
    match error {
        IssueError::Claim(_) => Problem::Forbidden.into(),
        _ => Fail::Fault("a certificate cannot be issued"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_those_wanted_and_the_account() {
        let user = "mimi://a.example/u/alice".parse().unwrap();
        let profile = AccountProfile { user, display_name: "Alice".into(), email: String::new() };
        assert!(claims(&profile, &[]).is_none());
        let some = claims(&profile, &[ClaimName::Handle]).unwrap();
        assert_eq!(some.names().collect::<Vec<_>>(), [ClaimName::UserUri, ClaimName::Handle]);
        assert_eq!(some.value(ClaimName::Handle), Some("im:alice@a.example"));
        let without = claims(&profile, &ClaimName::ALL).unwrap();
        assert_eq!(without.value(ClaimName::Email), None, "the account has no address");
        assert_eq!(without.len(), 3);
    }

    #[test]
    fn serial_numbers_are_positive() {
        for _ in 0..64 {
            assert!((0x40..0x80).contains(serial(&mut OsEntropy).first().unwrap()));
        }
    }
}
