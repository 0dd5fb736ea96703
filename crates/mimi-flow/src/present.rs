//! One's own disclosure, made for one message.

use mimi_disclosure::{DisclosurePolicy, IdentityCredential, Selection};
use mimi_mls::SealError;
use mimi_pseudonym::{ClaimName, Content, RoomUri, UserUri, Wire};
use mimi_wire::{ApplicationMessage, SubmitMessageRequest};

use crate::{Call, Context, Device, FailureReason, Request};

/// A failure that can come from sealing.
struct Refused(FailureReason);

impl From<SealError> for Refused {
    fn from(error: SealError) -> Self {
        Self(match error {
            SealError::NotAllowed(_) => FailureReason::NotAllowed,
            _ => FailureReason::Internal,
        })
    }
}

impl Device {
    /// Whether these claims can be disclosed with this pseudonym, where this is the policy.
    pub(crate) fn may_disclose(
        &self,
        user: &UserUri,
        claims: &[ClaimName],
        policy: &DisclosurePolicy,
        _cx: &Context<'_>,
    ) -> bool {
        let Some(chain) = self.wallet.held.get(user).and_then(|held| held.disclosure.clone()) else { return false };
        let selection = Selection::new(claims.iter().copied(), policy);
        let names = IdentityCredential::x509(chain).names();
        matches!((selection, names), (Ok(selection), Ok(names)) if *selection.names() == names)
    }

    /// Seals a message with a presentation of this device's identity in it, made for that message alone. What is sent is
    /// what `wrap` makes of the presentation.
    pub(crate) fn seal_presentation(
        &mut self,
        uri: &RoomUri,
        claims: &[ClaimName],
        cx: &Context<'_>,
        wrap: impl FnOnce(Content) -> Option<Content>,
    ) -> Result<Request, FailureReason> {
        let room = self.rooms.get_mut(uri).ok_or(FailureReason::RoomClosed)?;
        let user = room.identity().user().clone();
        let held = self.wallet.held.get(&user).ok_or(FailureReason::Internal)?;
        let chain = held.disclosure.clone().ok_or(FailureReason::Disclosure)?;
        let policy = room.state().identity_policy().disclosure;
        let selection = Selection::new(claims.iter().copied(), &policy).map_err(|_| FailureReason::Disclosure)?;
        let signer = held.identity.signer();
        let sealed = room.seal_with(|context| {
            let presentation = IdentityCredential::x509(chain).present(&selection, context, signer, cx.now).ok();
            presentation.and_then(wrap).ok_or(Refused(FailureReason::Disclosure))
        });
        let message = ApplicationMessage::try_from(sealed.map_err(|Refused(reason)| reason)?);
        let message = message.map_err(|_| FailureReason::Internal)?;
        let body = SubmitMessageRequest { message, sending_user: user }.encode();
        Ok(Request { call: Call::SubmitMessage(uri.clone()), body })
    }
}
