//! Identities as SD-JWT and SD-CWT.

use mimi_credential::{Issuer, Validity};
use mimi_disclosure::{ClaimFault, IssueError, issue_sd_cwt, issue_sd_jwt};
use mimi_pseudonym::{Claims, DisclosureFormat, Entropy, PublicKey};
use mimi_wire::{Problem, local::IssuedDisclosure};

use crate::fail::Fail;

/// Issues a token with the key of the anchor, for the key of one pseudonym's leaf.
pub(super) fn issue(
    issuer: &Issuer,
    format: DisclosureFormat,
    claims: &Claims,
    key: &PublicKey,
    validity: Validity,
    entropy: &mut dyn Entropy,
) -> Result<IssuedDisclosure, Fail> {
    let (signer, domain) = (issuer.signer(), issuer.domain());
    let issued = match format {
        DisclosureFormat::SdJwt => {
            issue_sd_jwt(signer, domain, claims, key, validity, entropy).map(IssuedDisclosure::SdJwt)
        }
        DisclosureFormat::SdCwt => {
            issue_sd_cwt(signer, domain, claims, key, validity, entropy).map(IssuedDisclosure::SdCwt)
        }
        _ => return Err(Problem::UnsupportedFormat.into()),
    };
    issued.map_err(|error| match error {
        IssueError::Claims(ClaimFault::Malformed(_)) => Problem::Forbidden.into(),
        _ => Fail::Fault("a token cannot be issued"),
    })
}
