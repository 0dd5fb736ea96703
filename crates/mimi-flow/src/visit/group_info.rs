//! Asking a hub for the GroupInfo of a room, and believing nothing in the answer that is not proven
//! (draft-ietf-mimi-protocol-06, section 5.6).

use mimi_link::HubFingerprint;
use mimi_mls::{HpkeKeyPair, Identity, RoomPreview, UnverifiedRoom, open_with_label};
use mimi_pseudonym::{RoomUri, UserUri, Wire};
use mimi_wire::{
    Credential, GROUP_INFO_ENCRYPTION_LABEL, GroupInfoRatchetTreeTbe, GroupInfoRequest, GroupInfoRequestTbs,
    GroupInfoResponse, RatchetTreeOption, UnverifiedGroupInfoResponse,
};

use crate::{Context, Device, FailureReason};

impl Device {
    pub(super) fn group_info_request(
        &self,
        user: &UserUri,
        joining_code: Option<Vec<u8>>,
        key: &HpkeKeyPair,
    ) -> Result<Vec<u8>, FailureReason> {
        let identity = self.wallet.identity(user).ok_or(FailureReason::Internal)?;
        let tbs = GroupInfoRequestTbs {
            cipher_suite: self.profile.suite,
            requesting_signature_key: identity.signer().public_key().clone(),
            requesting_credential: Credential::x509(identity.certificates().certificates().to_vec()),
            group_info_public_key: key.public_key().to_vec(),
            joining_code,
        };
        let signed = GroupInfoRequest::sign(tbs, identity.signer()).map_err(|_| FailureReason::Internal)?;
        Ok(signed.encode())
    }
}

/// The room in an answer, if the answer is of the hub that the link names, for this request, and about this room, and if the
/// room's own members say the same.
pub(super) fn open(
    response: UnverifiedGroupInfoResponse,
    room: &RoomUri,
    hub: &HubFingerprint,
    key: &HpkeKeyPair,
    identity: Identity,
    cx: &Context<'_>,
) -> Result<RoomPreview, FailureReason> {
    let wrong = || FailureReason::WrongRoom;
    let tbs = match response.verify(room).map_err(|_| wrong())? {
        GroupInfoResponse::Success(tbs) => tbs,
        GroupInfoResponse::NotAuthorized { .. } | GroupInfoResponse::NoSuchRoom { .. } => {
            return Err(FailureReason::NotAllowed);
        }
    };
    if tbs.cipher_suite != key.suite() || !hub.matches(tbs.cipher_suite, &tbs.hub_sender.signature_key) {
        return Err(wrong());
    }
    let (label, context) = (GROUP_INFO_ENCRYPTION_LABEL, room.as_str().as_bytes());
    let opened = open_with_label(key, label, context, &tbs.encrypted_group_info_and_tree).map_err(|_| wrong())?;
    let content = GroupInfoRatchetTreeTbe::decode(&opened).map_err(|_| wrong())?;
    let RatchetTreeOption::Full(tree) = content.ratchet_tree else { return Err(wrong()) };
    let unverified = UnverifiedRoom::new(content.group_info, tree);
    unverified.verify(room, &tbs.hub_sender, identity, cx.trust, cx.now).map_err(|_| wrong())
}
