//! What a provider does for its own users' devices: accounts, devices, pseudonyms, and the way to rooms wherever their
//! hub is.

use std::sync::Arc;

use mimi_pseudonym::{ClientUri, Entropy, RoomUri, UserUri, Wire};
use mimi_wire::{
    Endpoint, Problem, SubmitMessageRequest, SubmitMessageResponse, UpdateRequest, UpdateRoomResponse,
    local::{
        AddDeviceRequest, DeviceToken, EnrolmentCode, HubSender, ProviderInfo, PseudonymsRequest, PseudonymsResponse,
        RegisterAccountRequest, RegisterResponse,
    },
};

use crate::{
    clock::OsEntropy,
    config::Registration,
    fail::Fail,
    hash,
    hub::{self, Requester},
    provider::Inner,
    server::Reply,
    store::{AccountProfile, Device, Hash, NewDevice},
};

/// What anybody may know about the provider.
pub(crate) fn info(inner: &Inner) -> ProviderInfo {
    let senders = inner.senders.iter();
    ProviderInfo {
        domain: inner.domain().clone(),
        hub_senders: senders
            .map(|(suite, sender)| HubSender { cipher_suite: *suite, sender: sender.clone() })
            .collect(),
        issuer_certificates: inner.issuer.certificates().to_vec(),
    }
}

/// A device with its secrets, of which only hashes are stored.
struct Fresh {
    device: NewDevice,
    token: DeviceToken,
    code: EnrolmentCode,
}

impl Fresh {
    fn new(inner: &Inner, name: String) -> Self {
        let mut entropy = OsEntropy;
        let (token, code) = (entropy.bits256(), entropy.bits256());
        let client = ClientUri::pseudonym(inner.domain(), entropy.bits128());
        let device = NewDevice { client, token_hash: hash(&[&token]), name, enrolment_hash: hash(&[&code]) };
        Self { device, token: DeviceToken::from_bytes(token), code: EnrolmentCode::from_bytes(code) }
    }

    fn response(self, user: UserUri) -> Reply {
        let Self { device, token, code } = self;
        let client = device.client;
        Reply::message(&RegisterResponse { user, client, device_token: token, enrolment_code: code })
    }
}

/// Opens an account. A name that is taken is refused as forbidden.
pub(crate) async fn register(inner: &Arc<Inner>, request: RegisterAccountRequest) -> Result<Reply, Fail> {
    if inner.config.registration == Registration::Closed {
        return Err(Problem::Forbidden.into());
    }
    let user = UserUri::new(inner.domain(), &request.handle).map_err(|_| Problem::Malformed)?;
    if user.is_pseudonym() {
        return Err(Problem::Malformed.into());
    }
    let profile = AccountProfile { user: user.clone(), display_name: request.display_name, email: request.email };
    let fresh = Fresh::new(inner, request.device_name);
    let device = fresh.device.clone();
    let registered = inner.blocking(move |inner| Ok(inner.store.register(&profile, &device)?)).await?;
    if registered { Ok(fresh.response(user)) } else { Err(Problem::Forbidden.into()) }
}

/// Adds a device to the account whose enrolment code is shown.
pub(crate) async fn add_device(inner: &Arc<Inner>, request: AddDeviceRequest) -> Result<Reply, Fail> {
    let fresh = Fresh::new(inner, request.device_name);
    let device = fresh.device.clone();
    let code = hash(&[request.enrolment_code.as_bytes()]);
    let user = inner.blocking(move |inner| Ok(inner.store.add_device(&code, &device)?)).await?;
    Ok(fresh.response(user.ok_or(Problem::Unauthorized)?))
}

/// Makes pseudonyms: random, and tied to the account nowhere but in one table. The same request once more gets the same
/// ones.
pub(crate) async fn pseudonyms(
    inner: &Arc<Inner>,
    device: Device,
    request: PseudonymsRequest,
    repeatable: Option<Hash>,
) -> Result<Reply, Fail> {
    let mut entropy = OsEntropy;
    let fresh = (0..request.count).map(|_| UserUri::pseudonym(inner.domain(), entropy.bits128()));
    let fresh: Vec<_> = fresh.collect();
    inner
        .blocking(move |inner| {
            let (pseudonyms, wake) = inner.store.assign_pseudonyms(&device, &fresh, repeatable.as_ref())?;
            inner.wake(&wake);
            Ok(Reply::message(&PseudonymsResponse { pseudonyms }))
        })
        .await
}

/// A change of a room, by a device that has a client in it, at whichever hub.
pub(crate) async fn update(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    request: UpdateRequest,
) -> Result<Reply, Fail> {
    check_in_room(inner, device, &room).await?;
    if room.domain() == inner.domain() {
        let response = hub::update(inner, Requester::Own, room, request).await?;
        return Ok(Reply::message(&response));
    }
    forward::<UpdateRoomResponse>(inner, Endpoint::Update, &room, request.encode()).await
}

/// A message to a room, by a device that has a client in it, at whichever hub.
pub(crate) async fn submit(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    request: SubmitMessageRequest,
) -> Result<Reply, Fail> {
    let (account, user) = (device.account, request.sending_user.clone());
    check_in_room(inner, device, &room).await?;
    if !inner.blocking(move |inner| Ok(inner.store.owns(account, &user)?)).await? {
        return Err(Problem::ForeignUser.into());
    }
    if room.domain() == inner.domain() {
        let response = hub::submit(inner, Requester::Own, room, request).await?;
        return Ok(Reply::message(&response));
    }
    forward::<SubmitMessageResponse>(inner, Endpoint::SubmitMessage, &room, request.encode()).await
}

async fn check_in_room(inner: &Arc<Inner>, device: Device, room: &RoomUri) -> Result<(), Fail> {
    let room = room.clone();
    let inside = inner.blocking(move |inner| Ok(inner.store.is_in_room(&device, &room)?)).await?;
    if inside { Ok(()) } else { Err(Problem::UnknownRoom.into()) }
}

/// Brings a request to the room's hub, and its answer back.
async fn forward<R: Wire>(
    inner: &Arc<Inner>,
    endpoint: Endpoint,
    room: &RoomUri,
    body: Vec<u8>,
) -> Result<Reply, Fail> {
    let answer = inner.peers.post(room.domain(), endpoint, room.as_str(), body, R::MAX_LEN).await?;
    let response = R::decode(&answer).map_err(|_| Problem::Unavailable)?;
    Ok(Reply::message(&response))
}
