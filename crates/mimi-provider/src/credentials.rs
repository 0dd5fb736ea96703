use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mimi_credential::{IssueError, Validity};
use mimi_pseudonym::{ClaimName, Claims, ClientUri, DisclosureFormat, Entropy, Timestamp, UserUri};
use mimi_wire::{
    Problem,
    local::{
        CredentialItem, CredentialItemTbs, CredentialsRequest, CredentialsResponse, IssuedCredential, IssuedDisclosure,
    },
};

use crate::{
    clock::OsEntropy,
    fail::Fail,
    provider::Inner,
    server::Reply,
    store::{AccountProfile, Device},
};

mod acquire;
#[cfg(feature = "authority")]
mod tokens;

pub(crate) use acquire::acquire;

/// How long a credential is valid, beyond the day on which it is issued.
const DAYS: u32 = 90;
const DAY: Duration = Duration::from_secs(86_400);
/// How long before the present a credential becomes valid at least, for clocks that are slow.
const SLOW_CLOCK: Duration = Duration::from_secs(3_600);

/// Issues credentials for keys that the device holds: certificates for the account or one of its pseudonyms, and, where
/// claims are to be disclosed, an identity of the wanted format for the same key besides.
///
/// A key is for one subject. With the same key in two leaves, those two would be linked for all to see, and what discloses
/// an identity from behind one pseudonym could be presented from behind the other.
pub(crate) async fn issue(inner: &Arc<Inner>, device: Device, request: CredentialsRequest) -> Result<Reply, Fail> {
    inner
        .blocking(move |inner| {
            let verified: Result<Vec<_>, _> = request.items.into_iter().map(|item| item.verify()).collect();
            let verified = verified.map_err(|_| Problem::SignatureInvalid)?;
            if !one_subject_for_a_key(&verified) {
                return Err(Problem::Forbidden.into());
            }
            for item in &verified {
                if !item.tbs().disclose.is_empty() && !issues(inner, item.tbs().format) {
                    return Err(Problem::UnsupportedFormat.into());
                }
                if !inner.store.owns(device.account, &item.tbs().subject)? {
                    return Err(Problem::ForeignUser.into());
                }
            }
            let profile = inner.store.profile(device.account)?;
            let items = verified.iter().map(|item| issue_one(inner, &device, &profile, item.tbs()));
            Ok(Reply::message(&CredentialsResponse { items: items.collect::<Result<_, _>>()? }))
        })
        .await
}

fn one_subject_for_a_key(items: &[CredentialItem]) -> bool {
    let mut subjects: BTreeMap<&[u8], &UserUri> = BTreeMap::new();
    items.iter().all(|item| {
        let tbs = item.tbs();
        *subjects.entry(tbs.public_key.as_bytes()).or_insert(&tbs.subject) == &tbs.subject
    })
}

/// Whether this provider issues credentials of this format. Tokens are believed by the key of the anchor, so an authority
/// below another one issues certificates alone.
fn issues(inner: &Inner, format: DisclosureFormat) -> bool {
    match format {
        DisclosureFormat::X509 => true,
        _ => cfg!(feature = "authority") && inner.issuer.certificates().len() == 1,
    }
}

fn issue_one(
    inner: &Inner,
    device: &Device,
    profile: &AccountProfile,
    wanted: &CredentialItemTbs,
) -> Result<IssuedCredential, Fail> {
    let mut entropy = OsEntropy;
    let claims = claims(profile, &wanted.disclose);
    let fresh = ClientUri::pseudonym(inner.domain(), entropy.bits128());
    let client = inner.store.client_for(device, &wanted.subject, &wanted.public_key, &fresh)?;
    // Whose the subject is has been looked at: the key is another pseudonym's.
    let client = client.ok_or(Problem::Forbidden)?;
    let validity = validity(inner.now());
    let key = &wanted.public_key;
    let leaf = inner.issuer.issue_leaf(&wanted.subject, &client, key, serial(&mut entropy), validity);
    let leaf = leaf.map_err(refused)?.certificates().to_vec();
    let disclosure = claims.map(|claims| disclosure(inner, &claims, wanted, validity, &mut entropy)).transpose()?;
    Ok(IssuedCredential { client, leaf, disclosure })
}

fn disclosure(
    inner: &Inner,
    claims: &Claims,
    wanted: &CredentialItemTbs,
    validity: Validity,
    entropy: &mut OsEntropy,
) -> Result<IssuedDisclosure, Fail> {
    let (format, key) = (wanted.format, &wanted.public_key);
    match format {
        DisclosureFormat::X509 => {
            let issued = inner.issuer.issue_identity(claims, key, serial(entropy), validity);
            Ok(IssuedDisclosure::X509(issued.map_err(refused)?.certificates().to_vec()))
        }
        #[cfg(feature = "authority")]
        format => tokens::issue(&inner.issuer, format, claims, key, validity, entropy),
        #[cfg(not(feature = "authority"))]
        _ => Err(Problem::UnsupportedFormat.into()),
    }
}

/// From the beginning of a day to the end of another, the same for everybody to whom a credential is issued on that day:
/// from the second in which pseudonyms were made one could see which belong together.
fn validity(now: Timestamp) -> Validity {
    let since = now.before(SLOW_CLOCK).as_secs();
    let not_before = Timestamp::from_secs(since - since % DAY.as_secs());
    Validity { not_before, not_after: not_before.after(DAY * (DAYS + 2)) }
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
    use mimi_pseudonym::{CipherSuite, SeededEntropy, Signer, SigningKey};

    const SUITE: CipherSuite = CipherSuite::X25519Aes128Ed25519;

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
    fn who_gets_a_credential_on_a_day_gets_the_same_times() {
        let noon = Timestamp::from_secs(1_800_000_000 - 1_800_000_000 % 86_400 + 43_200);
        let all = [noon, noon.after(Duration::from_secs(1)), noon.after(DAY / 2)].map(validity);
        assert!(all.iter().all(|one| *one == all[0]));
        assert_ne!(validity(noon.after(DAY)), all[0]);
        for hour in 0..24 {
            let now = noon.after(DAY / 24 * hour);
            let Validity { not_before, not_after } = validity(now);
            assert!(not_before <= now.before(SLOW_CLOCK) && not_before > now.before(DAY + SLOW_CLOCK));
            assert!(not_after > now.after(DAY * DAYS));
        }
    }

    #[test]
    fn a_key_is_for_one_subject() {
        let key = |seed| SigningKey::generate(SUITE.signature_scheme(), &mut SeededEntropy::new([seed; 32])).unwrap();
        let item = |subject: &str, key: &SigningKey| {
            let (subject, public_key) = (subject.parse().unwrap(), key.public_key().clone());
            let format = DisclosureFormat::X509;
            let tbs = CredentialItemTbs { subject, cipher_suite: SUITE, public_key, disclose: vec![], format };
            CredentialItem::sign(tbs, key).unwrap()
        };
        let (one, other) = (key(1), key(2));
        let (alice, bob) = ("mimi://a.example/u/alice", "mimi://a.example/u/bob");
        assert!(one_subject_for_a_key(&[item(alice, &one), item(bob, &other), item(alice, &one)]));
        assert!(!one_subject_for_a_key(&[item(alice, &one), item(bob, &other), item(bob, &one)]));
    }

    #[test]
    fn serial_numbers_are_positive() {
        for _ in 0..64 {
            assert!((0x40..0x80).contains(serial(&mut OsEntropy).first().unwrap()));
        }
    }
}
