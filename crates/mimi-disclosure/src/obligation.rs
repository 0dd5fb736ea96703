use coset_sd_cwt::{TimeError, VerifyError as Cwt};
use mimi_credential::CredentialError;

use crate::{
    ClaimFault, VerifyError,
    sd_jwt::{ClaimError, JwtError, KeyBindingError, SdJwtError},
};

/// The obligations of draft-mahy-mimi-pseudonyms-00, section 4.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Obligation {
    /// Consistent with the room's policy.
    Policy,
    /// By an issuer that is known, and trusted for the domain of the subject's provider.
    Issuer,
    /// For the signature key in the sender's leaf node.
    Key,
    /// Valid by the rules of its own format.
    Validity,
    /// Bound to possession of that key.
    KeyBinding,
    /// For this room only, and no copy: from this sender, in this epoch.
    Audience,
}

impl VerifyError {
    /// Which obligation is not met.
    pub fn obligation(&self) -> Obligation {
        match self {
            Self::Policy(_) | Self::Claims(ClaimFault::Unmapped) => Obligation::Policy,
            Self::Identity(error) => of_certificate(*error),
            // The message is signed with another key than the one that was certified.
            Self::Leaf(CredentialError::WrongKey) => Obligation::KeyBinding,
            Self::LeafChain(_) | Self::Leaf(_) | Self::OtherSender | Self::KeyBindingAge => Obligation::Audience,
            Self::OtherIssuer | Self::ForeignDomain => Obligation::Issuer,
            Self::WrongKey => Obligation::Key,
            Self::SdCwtForm(_) | Self::Incomplete | Self::Claims(_) => Obligation::Validity,
            Self::SdJwt(error) => of_sd_jwt(*error),
            Self::SdCwt(error) => of_sd_cwt(*error),
        }
    }
}

fn of_certificate(error: CredentialError) -> Obligation {
    match error {
        CredentialError::UnmappedContent => Obligation::Policy,
        CredentialError::UntrustedIssuer | CredentialError::NotTrustedForDomain | CredentialError::SelfSigned => {
            Obligation::Issuer
        }
        CredentialError::WrongKey => Obligation::Key,
        _ => Obligation::Validity,
    }
}

fn of_sd_jwt(error: SdJwtError) -> Obligation {
    match error {
        SdJwtError::Jwt(JwtError::Algorithm | JwtError::Signature) | SdJwtError::Claim(ClaimError::Issuer) => {
            Obligation::Issuer
        }
        SdJwtError::Claim(ClaimError::Audience) => Obligation::Audience,
        SdJwtError::KeyBinding(error) => match error {
            KeyBindingError::NoConfirmationKey | KeyBindingError::ConfirmationKey | KeyBindingError::OtherHolder => {
                Obligation::Key
            }
            KeyBindingError::Audience
            | KeyBindingError::Nonce
            | KeyBindingError::TooOld
            | KeyBindingError::InFuture => Obligation::Audience,
            _ => Obligation::KeyBinding,
        },
        _ => Obligation::Validity,
    }
}

fn of_sd_cwt(error: Cwt) -> Obligation {
    match error {
        Cwt::NoIssuerKey | Cwt::IssuerSignature | Cwt::IssuerName => Obligation::Issuer,
        Cwt::Confirmation(_) => Obligation::Key,
        Cwt::BindingAlgorithm
        | Cwt::HolderSignature
        | Cwt::BindingClaims(_)
        | Cwt::BindingCbor(_)
        | Cwt::BindingSubject => Obligation::KeyBinding,
        Cwt::BindingAudience
        | Cwt::CredentialAudience
        | Cwt::MissingNonce
        | Cwt::Nonce
        | Cwt::Time(TimeError::BindingExpired | TimeError::BindingNotYetValid | TimeError::BindingFromFuture) => {
            Obligation::Audience
        }
        _ => Obligation::Validity,
    }
}
