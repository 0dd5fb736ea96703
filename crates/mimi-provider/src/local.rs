//! What a provider does for its own users' devices: accounts, devices, pseudonyms, and the way to rooms wherever their
//! hub is.

use std::sync::Arc;

use mimi_abuse::signal::SignalKind;
use mimi_credential::LeafIdentity;
use mimi_pseudonym::{CipherSuite, ClientUri, Entropy, PublicKey, RoomUri, UserUri, Wire};
use mimi_wire::{
    Credential, Endpoint, Problem, SubmitMessageRequest, SubmitMessageResponse, UnverifiedCommitReport,
    UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse, UpdateOutcome, UpdateRequest, UpdateRoomResponse,
    local::{
        AddDeviceRequest, DeviceToken, EnrolmentCode, HubSender, JoinLinksRequest, JoinLinksResponse, ProviderInfo,
        PseudonymsRequest, PseudonymsResponse, RegisterAccountRequest, RegisterResponse,
    },
};

use crate::{
    abuse,
    clock::OsEntropy,
    config::Registration,
    fail::Fail,
    hash,
    hub::{self, Requester},
    provider::Inner,
    server::Reply,
    store::{AccountProfile, Device, Hash, NewDevice},
    unhex32,
};

/// What anybody may know about the provider.
pub(crate) fn info(inner: &Inner) -> ProviderInfo {
    let senders = inner.senders.iter();
    ProviderInfo {
        domain: inner.domain().clone(),
        hub_senders: senders.map(|hub| HubSender { cipher_suite: hub.suite, sender: hub.sender.clone() }).collect(),
        issuer_certificates: inner.issuer.certificates().to_vec(),
        franking_agents: inner.franking.agents(inner.domain()),
    }
}

/// A device with its secrets, of which only hashes are stored.
pub(crate) struct Fresh {
    pub(crate) device: NewDevice,
    token: DeviceToken,
    code: EnrolmentCode,
}

impl Fresh {
    /// With a secret of the client's, its token and code are made of that: the same secret is the same device.
    pub(crate) fn new(inner: &Inner, name: String, secret: Option<[u8; 32]>) -> Self {
        let mut entropy = OsEntropy;
        let secret = secret.unwrap_or_else(|| entropy.bits256());
        let (token, code) = (hash(&[b"device token", &secret]), hash(&[b"enrolment code", &secret]));
        let client = ClientUri::pseudonym(inner.domain(), entropy.bits128());
        let device = NewDevice { client, token_hash: hash(&[&token]), name, enrolment_hash: hash(&[&code]) };
        Self { device, token: DeviceToken::from_bytes(token), code: EnrolmentCode::from_bytes(code) }
    }

    pub(crate) fn response(self, (user, client): (UserUri, ClientUri)) -> RegisterResponse {
        let Self { token, code, .. } = self;
        RegisterResponse { user, client, device_token: token, enrolment_code: code }
    }
}

/// The secret that a client may send as the key of its enrolment: 64 hexadecimal digits, random, known to nobody else.
pub(crate) fn secret(key: Option<&[u8]>) -> Result<Option<[u8; 32]>, Problem> {
    let Some(key) = key else { return Ok(None) };
    let text = std::str::from_utf8(key).map_err(|_| Problem::Malformed)?;
    unhex32(text.trim_matches('"')).map(Some).ok_or(Problem::Malformed)
}

/// The device that an earlier request with the same secret has enrolled, with its user.
pub(crate) fn enrolled(inner: &Inner, device: &NewDevice) -> Result<Option<(UserUri, ClientUri)>, Fail> {
    let Some(known) = inner.store.device_by_token(&device.token_hash)? else { return Ok(None) };
    Ok(Some((inner.store.profile(known.account)?.user, known.client)))
}

/// Opens an account. A name that is taken is refused as forbidden. The same request with the same secret once more gets
/// the same answer.
pub(crate) async fn register(
    inner: &Arc<Inner>,
    request: RegisterAccountRequest,
    key: Option<&[u8]>,
) -> Result<Reply, Fail> {
    if inner.config.registration == Registration::Closed {
        return Err(Problem::Forbidden.into());
    }
    let user = UserUri::new(inner.domain(), &request.handle).map_err(|_| Problem::Malformed)?;
    if user.is_pseudonym() {
        return Err(Problem::Malformed.into());
    }
    let profile = AccountProfile { user: user.clone(), display_name: request.display_name, email: request.email };
    let fresh = Fresh::new(inner, request.device_name, secret(key)?);
    let device = fresh.device.clone();
    let registered = inner
        .blocking(move |inner| match enrolled(inner, &device)? {
            Some(known) if known.0 == user => Ok(known),
            Some(_) => Err(Problem::Forbidden.into()),
            None if inner.store.register(&profile, &device)? => Ok((user, device.client)),
            // Taken: perhaps by the same request, while this one was looking.
            None => match enrolled(inner, &device)? {
                Some(known) if known.0 == user => Ok(known),
                _ => Err(Problem::Forbidden.into()),
            },
        })
        .await?;
    Ok(Reply::message(&fresh.response(registered)))
}

/// Adds a device to the account whose enrolment code is shown. The same request with the same secret once more gets the
/// same answer.
pub(crate) async fn add_device(
    inner: &Arc<Inner>,
    request: AddDeviceRequest,
    key: Option<&[u8]>,
) -> Result<Reply, Fail> {
    let fresh = Fresh::new(inner, request.device_name, secret(key)?);
    let device = fresh.device.clone();
    let code = hash(&[request.enrolment_code.as_bytes()]);
    let added = inner
        .blocking(move |inner| match enrolled(inner, &device)? {
            Some(known) => Ok(known),
            None => match inner.store.add_device(&code, &device)? {
                Some(user) => Ok((user, device.client)),
                // Used up: perhaps by the same request, while this one was looking.
                None => enrolled(inner, &device)?.ok_or(Problem::Unauthorized.into()),
            },
        })
        .await?;
    Ok(Reply::message(&fresh.response(added)))
}

/// Makes pseudonyms: random, and tied to the account nowhere but in one table. The same request once more gets the same
/// ones. Refused as too many if the account's quota does not allow them, and as forbidden unless pseudonyms are tied
/// directly.
pub(crate) async fn pseudonyms(
    inner: &Arc<Inner>,
    device: Device,
    request: PseudonymsRequest,
    repeatable: Option<Hash>,
) -> Result<Reply, Fail> {
    if !inner.ties.is_direct() {
        return Err(Problem::Forbidden.into());
    }
    let mut entropy = OsEntropy;
    let fresh = (0..request.count).map(|_| UserUri::pseudonym(inner.domain(), entropy.bits128()));
    let fresh: Vec<_> = fresh.collect();
    inner
        .blocking(move |inner| {
            let (pseudonyms, wake) =
                inner.store.assign_pseudonyms(&device, &fresh, repeatable.as_ref(), inner.ties.draw(inner))?;
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
    if let UpdateRequest::Commit { commit, .. } = &request
        && let Some((key, credential)) = commit.message().joiner()
    {
        let joiner = joiner(inner, key, credential).ok_or(Problem::SignatureInvalid)?;
        return join(inner, device, room, joiner, request).await;
    }
    check_in_room(inner, device, &room).await?;
    let response = update_at_hub(inner, &room, request).await?;
    Ok(Reply::message(&response))
}

async fn update_at_hub(inner: &Arc<Inner>, room: &RoomUri, request: UpdateRequest) -> Result<UpdateRoomResponse, Fail> {
    if room.domain() == inner.domain() {
        return hub::update(inner, Requester::Own, room.clone(), request).await;
    }
    forward(inner, Endpoint::Update, room, request.encode()).await
}

/// The client that says it makes an external commit, if its credential holds.
fn joiner(inner: &Inner, key: &[u8], credential: &Credential) -> Option<LeafIdentity> {
    let schemes = CipherSuite::ALL.map(CipherSuite::signature_scheme);
    let scheme = schemes.into_iter().find(|scheme| scheme.public_key_length() == key.len())?;
    hub::identity(inner, credential, &PublicKey::new(scheme, key).ok()?, inner.now())
}

/// An external commit of one of the device's clients. What the hub fans out after it may arrive before its answer does:
/// the client is in the room from the start, and no longer if the hub refuses.
async fn join(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    joiner: LeafIdentity,
    request: UpdateRequest,
) -> Result<Reply, Fail> {
    let client = joiner.client().clone();
    let (name, expected, account) = (room.clone(), client.clone(), device.account);
    let new = inner.blocking(move |inner| {
        if !inner.store.is_client_of(&device, &expected)? {
            return Err(Problem::ForeignUser.into());
        }
        Ok(inner.store.expect_in_room(&device, &name, &expected)?)
    });
    let new = new.await?;
    let answer = update_at_hub(inner, &room, request).await;
    let refused = match &answer {
        Ok(response) => !matches!(response.outcome, UpdateOutcome::Accepted { .. }),
        // Whether it was accepted is not known.
        Err(Fail::Problem(Problem::Unavailable)) | Err(Fail::Store(_) | Fail::Fault(_)) => false,
        Err(Fail::Problem(_) | Fail::TooMany(_)) => true,
    };
    if new && matches!(&answer, Ok(response) if matches!(response.outcome, UpdateOutcome::Accepted { .. })) {
        abuse::own_did(inner, account, SignalKind::JoinRate).await?;
    }
    if new && refused {
        inner.blocking(move |inner| Ok(inner.store.not_in_room(&room, &client)?)).await?;
    }
    Ok(Reply::message(&answer?))
}

/// The GroupInfo of a room, for one of the device's users, at whichever hub.
pub(crate) async fn group_info(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    request: UnverifiedGroupInfoRequest,
) -> Result<Reply, Fail> {
    let visit = inner.blocking(move |inner| {
        let visit = hub::Visit::verify(inner, request)?;
        let owned = inner.store.owns(device.account, visit.who().user())?;
        if owned { Ok(visit) } else { Err(Problem::ForeignUser.into()) }
    });
    let visit = visit.await?;
    let response: UnverifiedGroupInfoResponse = if room.domain() == inner.domain() {
        hub::group_info(inner, Requester::Own, room, visit).await?
    } else {
        forward(inner, Endpoint::GroupInfo, &room, visit.encode()).await?
    };
    Ok(Reply::message(&response))
}

/// One of the device's clients says that it cannot go along with a commit.
pub(crate) async fn report(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    report: UnverifiedCommitReport,
) -> Result<Reply, Fail> {
    let client = report.unverified().client.clone();
    check_in_room(inner, device.clone(), &room).await?;
    if !inner.blocking(move |inner| Ok(inner.store.is_client_of(&device, &client)?)).await? {
        return Err(Problem::ForeignUser.into());
    }
    if room.domain() == inner.domain() {
        hub::report(inner, Requester::Own, room, report).await?;
    } else {
        inner.peers.post(room.domain(), Endpoint::ReportCommit, room.as_str(), report.encode(), 0).await?;
    }
    Ok(Reply::Nothing)
}

/// The join links of a room, for one of the device's users in it, at whichever hub.
pub(crate) async fn links(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    request: JoinLinksRequest,
) -> Result<Reply, Fail> {
    let (account, user) = (device.account, request.participant.clone());
    check_in_room(inner, device, &room).await?;
    if !inner.blocking(move |inner| Ok(inner.store.owns(account, &user)?)).await? {
        return Err(Problem::ForeignUser.into());
    }
    let response: JoinLinksResponse = if room.domain() == inner.domain() {
        hub::links(inner, Requester::Own, room, request).await?
    } else {
        forward(inner, Endpoint::JoinLinks, &room, request.encode()).await?
    };
    Ok(Reply::message(&response))
}

/// A message to a room, by a device that has a client in it, at whichever hub.
pub(crate) async fn submit(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    request: SubmitMessageRequest,
) -> Result<Reply, Fail> {
    let response: SubmitMessageResponse = if room.domain() == inner.domain() {
        hub::submit(inner, Requester::Own, Some(device), room, request).await?
    } else {
        let account = device.account;
        let (of, sender) = (room.clone(), request.sending_user.clone());
        let refused = inner.blocking(move |inner| Ok(inner.store.may_speak(&device, &of, &sender, inner.now())?));
        if let Some(refused) = refused.await? {
            return Err(hub::problem(&refused).into());
        }
        let response = forward(inner, Endpoint::SubmitMessage, &room, request.encode()).await?;
        if matches!(response, SubmitMessageResponse::Accepted { .. }) {
            abuse::own_did(inner, account, SignalKind::MessageRate).await?;
        }
        response
    };
    Ok(Reply::message(&response))
}

async fn check_in_room(inner: &Arc<Inner>, device: Device, room: &RoomUri) -> Result<(), Fail> {
    let room = room.clone();
    let inside = inner.blocking(move |inner| Ok(inner.store.is_in_room(&device, &room)?)).await?;
    if inside { Ok(()) } else { Err(Problem::UnknownRoom.into()) }
}

/// Brings a request to the room's hub, and its answer back.
async fn forward<R: Wire>(inner: &Arc<Inner>, endpoint: Endpoint, room: &RoomUri, body: Vec<u8>) -> Result<R, Fail> {
    let answer = inner.peers.post(room.domain(), endpoint, room.as_str(), body, R::MAX_LEN).await?;
    R::decode(&answer).map_err(|_| Problem::Unavailable.into())
}
