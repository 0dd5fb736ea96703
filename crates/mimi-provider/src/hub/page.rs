use std::sync::Arc;

use mimi_link::{HubFingerprint, KnockLink};
use mimi_mls::HubRoom;
use mimi_pseudonym::RoomUri;
use mimi_wire::Problem;

use super::rooms;
use crate::{fail::Fail, page::RoomPage, provider::Inner, server::Reply};

/// The page of a room that can be searched for, with the way to knock there. Of any other room it is not even said whether
/// it exists.
pub(crate) async fn page(inner: &Arc<Inner>, name: String) -> Result<Reply, Fail> {
    let room = RoomUri::new(inner.domain(), &name).map_err(|_| Problem::NotFound)?;
    let target = room.clone();
    let knock = inner.blocking(move |inner| Ok(inner.store.knock_room_of(&target)?)).await?;
    rooms::with(inner, room, move |inner, slot| {
        let hub = slot.as_ref().filter(|hub| hub.state().base().discoverable).ok_or(Problem::NotFound)?;
        Ok(Reply::Page(html(inner, hub, knock).ok_or(Problem::NotFound)?))
    })
    .await
}

fn html(inner: &Inner, hub: &HubRoom, knock: Option<RoomUri>) -> Option<String> {
    let state = hub.state();
    let none = mimi_room::RoomMetadata::new(hub.uri().clone());
    let policy = state.identity_policy();
    let key = inner.senders.iter().find(|key| key.suite == hub.suite())?;
    let fingerprint = HubFingerprint::of(key.suite, &key.sender.signature_key);
    let knock = knock.map(|room| KnockLink { room, hub: fingerprint });
    let metadata = state.metadata().unwrap_or(&none);
    let page = RoomPage { metadata, pseudonyms: policy.pseudonyms, disclosure: &policy.disclosure, knock };
    Some(page.html())
}
