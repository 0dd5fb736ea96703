use std::collections::BTreeMap;

use anyhow::Result;
use mimi_pseudonym::{DisclosureFormat, Wire};
use mimi_wire::local::{ACQUIRE_PATH, AcquireResponse, CredentialsResponse};

use crate::{call::Call, record::Line};

/// How many identities of which format a provider issued, as it wrote down.
///
/// # Errors
/// If an answer of its own does not decode.
pub fn issued(lines: &[Line]) -> Result<BTreeMap<DisclosureFormat, usize>> {
    let mut counted = BTreeMap::new();
    let answers = lines.iter().filter(|line| line.server && line.status < 300);
    for line in answers {
        let items = match Call::of(&line.method, &line.path) {
            Call::Credentials => CredentialsResponse::decode(&line.response)?.items,
            Call::Pseudonyms if line.path == ACQUIRE_PATH => {
                AcquireResponse::decode(&line.response)?.items.into_iter().map(|item| item.credential).collect()
            }
            _ => continue,
        };
        for disclosure in items.into_iter().filter_map(|item| item.disclosure) {
            *counted.entry(disclosure.format()).or_default() += 1;
        }
    }
    Ok(counted)
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::{ClientUri, UserUri};
    use mimi_wire::local::{CREDENTIALS_PATH, IssuedCredential, IssuedDisclosure, IssuedPseudonym};

    use super::*;
    use crate::record::sample::line;

    #[test]
    fn identities_are_counted_by_format() {
        let client = ClientUri::pseudonym(&"a.example".parse().unwrap(), [1; 16]);
        let item = |disclosure| IssuedCredential { client: client.clone(), leaf: vec![vec![7]], disclosure };
        let items = vec![
            item(None),
            item(Some(IssuedDisclosure::SdJwt(vec![1]))),
            item(Some(IssuedDisclosure::SdJwt(vec![2]))),
            item(Some(IssuedDisclosure::X509(vec![vec![3]]))),
        ];
        let mut good = line(1, true, "client:1", CREDENTIALS_PATH, 200, b"");
        good.response = CredentialsResponse { items }.encode();
        let other = line(2, true, "client:1", "/client/v1/pseudonyms", 200, b"");
        let pseudonym = UserUri::pseudonym(client.domain(), [2; 16]);
        let acquired = IssuedPseudonym { pseudonym, credential: item(Some(IssuedDisclosure::SdCwt(vec![4]))) };
        let mut with = line(4, true, "client:1", ACQUIRE_PATH, 200, b"");
        with.response = AcquireResponse { items: vec![acquired] }.encode();
        let refused = line(3, true, "client:1", CREDENTIALS_PATH, 400, b"");
        let counted = issued(&[good.clone(), other, refused, with]).unwrap();
        let formats = [(DisclosureFormat::X509, 1), (DisclosureFormat::SdJwt, 2), (DisclosureFormat::SdCwt, 1)];
        assert_eq!(counted, formats.into());
        good.response.push(0);
        assert!(issued(&[good]).is_err());
    }
}
