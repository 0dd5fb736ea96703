use std::sync::Arc;

use mimi_pseudonym::{DecodeError, Wire};
use mimi_wire::{Problem, UnverifiedGroupInfoRequest};

use super::{
    Peer, Reply,
    exchange::Caller,
    route::{DeviceRoute, ENDPOINTS, PEER_BASE, PeerRoute, Route},
};
use crate::{
    abuse, assets, consent, credentials, devices,
    events::Events,
    fail::Fail,
    hash,
    hub::{self, Order, Requester},
    identifier, inbox, key_material, local,
    peers::authority,
    provider::Inner,
    store::{Device, Hash},
    ties,
};

/// Decodes the body and calls the function that answers. `key` is what makes two requests of a device one.
pub(super) async fn dispatch(
    inner: &Arc<Inner>,
    route: Route,
    caller: Caller,
    key: Option<&[u8]>,
    body: &[u8],
) -> Result<Reply, Fail> {
    let (name, closed) = (route.name(), route.is_closed_to_the_suspended());
    match (route, caller) {
        (Route::Directory, _) => Ok(Reply::Json(directory(inner))),
        (Route::Info, _) => Ok(Reply::message(&local::info(inner))),
        (Route::Register, _) => local::register(inner, Wire::decode(body)?, key).await,
        (Route::AddDevice, _) => local::add_device(inner, Wire::decode(body)?, key).await,
        (Route::TokenKey, _) => ties::token_key(inner),
        (Route::Openings { after }, _) => ties::openings(inner, after).await,
        (Route::Checkpoints, _) => ties::checkpoints(inner).await,
        (Route::Redeem, _) => ties::redeem(inner, Wire::decode(body)?, key).await,
        // By the key alone, which is a secret of the new device, as when an account is opened.
        (Route::Device(DeviceRoute::Detach), Caller::Device(device)) => {
            abuse::check_account(inner, device.account).await?;
            ties::detach(inner, device, Wire::decode(body)?, key).await
        }
        (Route::Page(name), _) => hub::page(inner, name).await,
        (Route::Admin(room), Caller::Operator) => hub::order(inner, room, Order::parse(body)?).await,
        (Route::Peer(route), Caller::Peer(peer)) => for_peer(inner, route, peer, body).await,
        (Route::Device(route), Caller::Device(device)) => {
            if closed {
                abuse::check_account(inner, device.account).await?;
            }
            let client = device.client.to_string();
            let repeatable = key.map(|key| hash(&[name.as_bytes(), client.as_bytes(), key, body]));
            for_device(inner, route, device, repeatable, body).await
        }
        (Route::Admin(_) | Route::Peer(_) | Route::Device(_), _) => Err(Problem::Unauthorized.into()),
    }
}

async fn for_peer(inner: &Arc<Inner>, route: PeerRoute, peer: Peer, body: &[u8]) -> Result<Reply, Fail> {
    match route {
        PeerRoute::KeyMaterial(target) => {
            // The protocol is the first octet; of another one than MLS 1.0 nothing else can be read.
            let response = match Wire::decode(body) {
                Err(DecodeError::Value { field: "protocol", .. }) => key_material::other_protocol(target)?,
                request => key_material::from_peer(inner, &peer, target, request?).await?,
            };
            Ok(Reply::message(&response))
        }
        PeerRoute::Update(room) => {
            let response = hub::update(inner, Requester::Peer(peer), room, Wire::decode(body)?).await?;
            Ok(Reply::message(&response))
        }
        PeerRoute::Notify(room) => inbox::notify(inner, &peer, room, Wire::decode(body)?).await,
        PeerRoute::SubmitMessage(room) => {
            let response = hub::submit(inner, Requester::Peer(peer), None, room, Wire::decode(body)?).await?;
            Ok(Reply::message(&response))
        }
        PeerRoute::GroupInfo(room) => {
            let request: UnverifiedGroupInfoRequest = Wire::decode(body)?;
            let visit = inner.blocking(move |inner| hub::Visit::verify(inner, request)).await?;
            Ok(Reply::message(&hub::group_info(inner, Requester::Peer(peer), room, visit).await?))
        }
        PeerRoute::JoinLinks(room) => {
            let response = hub::links(inner, Requester::Peer(peer), room, Wire::decode(body)?).await?;
            Ok(Reply::message(&response))
        }
        PeerRoute::ReportCommit(room) => {
            hub::report(inner, Requester::Peer(peer), room, Wire::decode(body)?).await?;
            Ok(Reply::Nothing)
        }
        PeerRoute::RequestConsent(target) => consent::requested(inner, &peer, target, Wire::decode(body)?).await,
        PeerRoute::UpdateConsent(requester) => consent::updated(inner, &peer, requester, Wire::decode(body)?).await,
        PeerRoute::IdentifierQuery(domain) => {
            if domain != *inner.domain() {
                return Err(Problem::NotFound.into());
            }
            Ok(Reply::message(&identifier::for_peer(inner, &peer, Wire::decode(body)?).await?))
        }
        PeerRoute::RequestRemedy(domain) => abuse::requested(inner, &peer, domain, Wire::decode(body)?).await,
        PeerRoute::RequestRemoval(room) => abuse::removal(inner, &peer, room, Wire::decode(body)?).await,
        PeerRoute::ProxyDownload(url) => assets::for_peer(inner, &peer, &url).await,
        PeerRoute::ReportAbuse(room) => abuse::report(inner, peer.domain().clone(), room, Wire::decode(body)?).await,
    }
}

/// `repeatable` is a hash of the request, where the device says by a key which requests are one. What may be repeated
/// without one — its effect is named by its body — does not need it.
async fn for_device(
    inner: &Arc<Inner>,
    route: DeviceRoute,
    device: Device,
    repeatable: Option<Hash>,
    body: &[u8],
) -> Result<Reply, Fail> {
    match route {
        DeviceRoute::Pseudonyms => local::pseudonyms(inner, device, Wire::decode(body)?, repeatable).await,
        DeviceRoute::Devices => devices::list(inner, device).await,
        DeviceRoute::DeviceClients => devices::clients(inner, device, Wire::decode(body)?).await,
        DeviceRoute::RemoveDevice => devices::remove(inner, device, Wire::decode(body)?).await,
        DeviceRoute::Acquire => credentials::acquire(inner, device, Wire::decode(body)?, repeatable).await,
        DeviceRoute::Tokens => ties::tokens(inner, device, Wire::decode(body)?).await,
        DeviceRoute::Detach => Err(Problem::NotFound.into()),
        DeviceRoute::Credentials => credentials::issue(inner, device, Wire::decode(body)?).await,
        DeviceRoute::KeyPackages => key_material::upload(inner, device, Wire::decode(body)?).await,
        DeviceRoute::KeyPackageBatch => key_material::upload_batch(inner, device, Wire::decode(body)?).await,
        DeviceRoute::ClaimOwn => key_material::claim_own(inner, device, Wire::decode(body)?, repeatable).await,
        DeviceRoute::CreateRoom => hub::create(inner, device, Wire::decode(body)?).await,
        DeviceRoute::DestroyRoom(room) => hub::destroy(inner, device, room).await,
        DeviceRoute::KeyMaterial => key_material::from_device(inner, device, Wire::decode(body)?).await,
        DeviceRoute::Update(room) => {
            let request = Wire::decode(body)?;
            abuse::check_change(inner, &device, &room, &request).await?;
            local::update(inner, device, room, request).await
        }
        DeviceRoute::SubmitMessage(room) => local::submit(inner, device, room, Wire::decode(body)?).await,
        DeviceRoute::GroupInfo(room) => local::group_info(inner, device, room, Wire::decode(body)?).await,
        DeviceRoute::JoinLinks(room) => local::links(inner, device, room, Wire::decode(body)?).await,
        DeviceRoute::ReportCommit(room) => local::report(inner, device, room, Wire::decode(body)?).await,
        DeviceRoute::IdentifierQuery => identifier::for_device(inner, &device, Wire::decode(body)?).await,
        DeviceRoute::ReportAbuse(room) => abuse::from_device(inner, device, room, Wire::decode(body)?).await,
        DeviceRoute::Standing => abuse::standing(inner, device).await,
        DeviceRoute::Appeal => abuse::appeal(inner, device, Wire::decode(body)?).await,
        DeviceRoute::Profile => identifier::set_profile(inner, device, Wire::decode(body)?).await,
        DeviceRoute::Consent => consent::from_device(inner, device, Wire::decode(body)?).await,
        DeviceRoute::ConsentSettings => consent::set(inner, device, Wire::decode(body)?).await,
        DeviceRoute::Inbox { after, wait_millis } => inbox::read(inner, device, after, wait_millis).await,
        DeviceRoute::Events { after } => Ok(Reply::Events(Box::new(Events::new(inner, device, after)))),
        DeviceRoute::Download { hub, url } => assets::for_device(inner, &device, &hub, &url).await,
        DeviceRoute::Ack => inbox::ack(inner, device, Wire::decode(body)?).await,
    }
}

/// The directory document: the endpoints that there are (draft-ietf-mimi-protocol-06, section 5.1).
fn directory(inner: &Inner) -> String {
    let base = format!("https://{}{PEER_BASE}", authority(inner.domain(), inner.config.port));
    let template = |endpoint: mimi_wire::Endpoint| {
        let template = format!("{base}/{}/{{{}}}", endpoint.name(), endpoint.placeholder());
        (endpoint.name().to_owned(), serde_json::Value::from(template))
    };
    serde_json::Value::Object(ENDPOINTS.into_iter().map(template).collect()).to_string()
}
