use std::{sync::Arc, time::Duration};

use mimi_mls::HubRoom;
use mimi_pseudonym::RoomUri;
use mimi_room::{Capability, NewLink};
use mimi_wire::{
    Problem,
    local::{JoinLinkEntry, JoinLinkOperation, JoinLinksRequest, JoinLinksResponse},
};

use super::{Requester, rooms};
use crate::{fail::Fail, provider::Inner, store::JoinLink};

/// Makes, shows or takes back join links of a room, for a participant who may.
pub(crate) async fn links(
    inner: &Arc<Inner>,
    requester: Requester,
    room: RoomUri,
    request: JoinLinksRequest,
) -> Result<JoinLinksResponse, Fail> {
    if request.participant.domain() != requester.domain(inner) {
        return Err(Problem::ForeignUser.into());
    }
    rooms::with(inner, room.clone(), move |inner, slot| {
        let hub = slot.as_ref().ok_or(Problem::UnknownRoom)?;
        if !hub.domains().contains(requester.domain(inner)) {
            return Err(Problem::UnknownRoom.into());
        }
        check(hub, &request)?;
        let now = inner.now();
        let links = match request.operation {
            JoinLinkOperation::Create { code_hash, role, uses, lifetime_secs } => {
                let lifetime = lifetime_secs.map(|secs| Duration::from_secs(secs.into()));
                let expires = lifetime.map(|lifetime| now.after(lifetime));
                let link = JoinLink { code_hash, role, uses_left: uses, expires, maker: request.participant };
                if !inner.store.add_link(&room, &link, now)? {
                    return Err(Problem::Forbidden.into());
                }
                vec![inner.store.link(&room, &code_hash, now)?.ok_or(Problem::Forbidden)?]
            }
            JoinLinkOperation::List => inner.store.links(&room, now)?,
            JoinLinkOperation::Revoke { code_hash } => {
                inner.store.revoke_link(&room, &code_hash)?;
                inner.store.links(&room, now)?
            }
        };
        Ok(JoinLinksResponse { links: links.into_iter().map(entry).collect() })
    })
    .await
}

/// Whether the room's policy lets the participant do this.
fn check(hub: &HubRoom, request: &JoinLinksRequest) -> Result<(), Problem> {
    let (state, user) = (hub.state(), &request.participant);
    let allowed = match &request.operation {
        JoinLinkOperation::Create { role, uses, lifetime_secs, .. } => {
            let lifetime = lifetime_secs.map(|secs| Duration::from_secs(secs.into()));
            let link = NewLink { role: *role, multiuser: *uses != Some(1), lifetime };
            *uses != Some(0) && *lifetime_secs != Some(0) && state.may_create_link(user, &link).is_ok()
        }
        JoinLinkOperation::List => {
            state.may_delete_link(user).is_ok() || state.may(user, Capability::CreateJoinCode).is_ok()
        }
        JoinLinkOperation::Revoke { .. } => state.may_delete_link(user).is_ok(),
    };
    let present = hub.members().count(user) > 0 && !hub.is_user_leaving(user);
    if allowed && present { Ok(()) } else { Err(Problem::Forbidden) }
}

fn entry(link: JoinLink) -> JoinLinkEntry {
    let JoinLink { code_hash, role, uses_left, expires, maker } = link;
    JoinLinkEntry { code_hash, role, uses_left, expires, maker }
}
