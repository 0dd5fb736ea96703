use std::sync::Arc;

use mimi_credential::{CertificateChain, UnverifiedLeaf};
use mimi_mls::UnverifiedKeyPackage;
use mimi_pseudonym::{CipherSuite, Domain, PublicKey, UserUri, Wire};
use mimi_room::KeyPackagePurpose;
use mimi_wire::{
    ClientKeyMaterial, ClientMaterial, ConsentScope, Endpoint, KeyMaterialRequest, KeyMaterialRequestTbs,
    KeyMaterialResponse, KeyMaterialUserCode, KeyPackage, Problem, UnverifiedKeyMaterialRequest,
    local::{ClaimOwnRequest, HubKeyMaterialRequest, UploadBatch, UploadKeyPackages, UploadResponse},
};

use crate::{
    config::{LastResort, UnknownUsers},
    fail::Fail,
    hash, hub,
    provider::Inner,
    server::{Peer, Reply},
    store::{Claim, ClaimedClient, Consent, Device, Gone, Hash, Kind, Others, StoredKeyPackage},
};

/// Takes KeyPackages of a device, each of them verified: all or none.
pub(crate) async fn upload(inner: &Arc<Inner>, device: Device, request: UploadKeyPackages) -> Result<Reply, Fail> {
    take(inner, device, vec![request], Others::Stay).await
}

/// Takes KeyPackages of several users of a device in place of those that nobody has claimed: all or none.
pub(crate) async fn upload_batch(inner: &Arc<Inner>, device: Device, request: UploadBatch) -> Result<Reply, Fail> {
    take(inner, device, request.uploads, Others::Withdrawn).await
}

async fn take(
    inner: &Arc<Inner>,
    device: Device,
    uploads: Vec<UploadKeyPackages>,
    others: Others,
) -> Result<Reply, Fail> {
    inner
        .blocking(move |inner| {
            for upload in &uploads {
                if !inner.store.owns(device.account, &upload.owner)? {
                    return Err(Problem::ForeignUser.into());
                }
            }
            let now = inner.now();
            let each = uploads.into_iter().flat_map(|upload| {
                upload.key_packages.into_iter().map(move |key_package| (upload.owner.clone(), key_package))
            });
            let verified = each.map(|(owner, key_package)| {
                let suite = CipherSuite::from_code(key_package.cipher_suite_code()).ok_or(Problem::Malformed)?;
                let last_resort = key_package.is_last_resort();
                let verified = UnverifiedKeyPackage::new(key_package).verify(&owner, suite, &inner.trust, now);
                let verified = verified.map_err(|_| Problem::SignatureInvalid)?;
                // One that may be used again ties the rooms it leads into to each other. In connection rooms an account has
                // its own name, which does so anyway; nowhere else is one allowed.
                let harmless = verified.purpose() == KeyPackagePurpose::InitialOnly && !owner.is_pseudonym();
                if last_resort && !(harmless && inner.config.last_resort == LastResort::Allowed) {
                    return Err(Problem::Forbidden);
                }
                Ok(StoredKeyPackage {
                    last_resort,
                    reference: verified.reference().clone(),
                    owner: verified.user().clone(),
                    client: verified.client().clone(),
                    suite: suite.code(),
                    initial_only: verified.purpose() != KeyPackagePurpose::Any,
                    not_after: verified.not_after(),
                    octets: verified.as_key_package().as_bytes().to_vec(),
                })
            });
            let verified = verified.collect::<Result<Vec<_>, Problem>>()?;
            let told = inner.store.upload_with(&device, &verified, others, now)?.ok_or(Problem::Forbidden)?;
            inner.wake(&told);
            let accepted = u32::try_from(verified.len()).unwrap_or(u32::MAX);
            Ok(Reply::message(&UploadResponse { accepted }))
        })
        .await
}

/// Claims KeyPackages of the account's own devices, for the account or one of its pseudonyms. The same request once more
/// gets the same ones, as long as they have not been used.
pub(crate) async fn claim_own(
    inner: &Arc<Inner>,
    device: Device,
    request: ClaimOwnRequest,
    repeatable: Option<Hash>,
) -> Result<Reply, Fail> {
    inner
        .blocking(move |inner| {
            if !inner.store.owns(device.account, &request.user)? {
                return Err(Problem::ForeignUser.into());
            }
            let claim = Claim {
                owner: request.user.clone(),
                kind: Kind::Ordinary,
                suites: request.cipher_suite_codes,
                required: None,
                except: request.exclude,
                request: repeatable,
            };
            let claimed = inner.store.claim(&claim, inner.now())?;
            Ok(Reply::message(&response(request.user, claimed)?))
        })
        .await
}

/// Claims KeyPackages for a device through the hub of the room they are for.
pub(crate) async fn from_device(
    inner: &Arc<Inner>,
    device: Device,
    request: HubKeyMaterialRequest,
) -> Result<Reply, Fail> {
    let HubKeyMaterialRequest { hub, request } = request;
    let user = request.requesting_user().clone();
    if !inner.blocking(move |inner| Ok(inner.store.owns(device.account, &user)?)).await? {
        return Err(Problem::ForeignUser.into());
    }
    let request = verify(inner, request).await?;
    let response = match hub {
        Some(hub) if hub != *inner.domain() => ask(inner, &hub, &request).await?,
        _ => through_this_hub(inner, request).await?,
    };
    Ok(Reply::message(&response))
}

/// Claims KeyPackages for another provider's user (draft-ietf-mimi-protocol-06, section 5.2). That provider has to be the
/// requester's own, or the hub of the room that is named.
pub(crate) async fn from_peer(
    inner: &Arc<Inner>,
    peer: &Peer,
    target: UserUri,
    request: UnverifiedKeyMaterialRequest,
) -> Result<KeyMaterialResponse, Fail> {
    if *request.target_user() != target {
        return Err(Problem::Malformed.into());
    }
    let is_hub = request.room().is_some_and(|room| room.domain() == peer.domain());
    if request.requesting_user().domain() != peer.domain() && !is_hub {
        return Err(Problem::ForeignUser.into());
    }
    let request = verify(inner, request).await?;
    if target.domain() == inner.domain() {
        return serve(inner, &request).await;
    }
    if request.tbs().room.is_none() {
        return Err(Problem::NotHub.into());
    }
    through_this_hub(inner, request).await
}

/// As the hub: the requester has to be a participant of the room; the target's provider is asked, and which provider
/// gave which KeyPackage is remembered for the Welcome.
async fn through_this_hub(inner: &Arc<Inner>, request: KeyMaterialRequest) -> Result<KeyMaterialResponse, Fail> {
    let KeyMaterialRequestTbs { requesting_user, target_user, room, .. } = request.tbs();
    if let Some(room) = room {
        hub::check_participant(inner, room.clone(), requesting_user.clone()).await?;
    }
    if target_user.domain() == inner.domain() {
        return serve(inner, &request).await;
    }
    let response = ask(inner, target_user.domain(), &request).await?;
    let target = target_user.clone();
    inner
        .blocking(move |inner| {
            let references: Vec<_> = response
                .clients()
                .iter()
                .filter_map(|client| match &client.material {
                    ClientMaterial::KeyPackage(key_package) => Some(key_package.clone()),
                    _ => None,
                })
                .filter_map(|key_package| {
                    let suite = CipherSuite::from_code(key_package.cipher_suite_code())?;
                    let verified = UnverifiedKeyPackage::new(key_package);
                    // The client that adds it checks it too: one that does not hold needs no way for its Welcome.
                    let verified = verified.verify(&target, suite, &inner.trust, inner.now()).ok()?;
                    Some(verified.reference().clone())
                })
                .collect();
            inner.store.record_routes(target.domain(), &references)?;
            Ok(response)
        })
        .await
}

/// Asks another provider: the hub, or the target's own.
async fn ask(inner: &Arc<Inner>, domain: &Domain, request: &KeyMaterialRequest) -> Result<KeyMaterialResponse, Fail> {
    let target = &request.tbs().target_user;
    let max = KeyMaterialResponse::MAX_LEN;
    let answer = inner.peers.post(domain, Endpoint::KeyMaterial, target.as_str(), request.encode(), max).await?;
    let response = KeyMaterialResponse::decode(&answer).map_err(|_| Problem::Unavailable)?;
    if response.user() == target { Ok(response) } else { Err(Problem::Unavailable.into()) }
}

/// Hands out KeyPackages of one of our users, as far as the user consents: to this requester for this room, for any, or,
/// where nothing was said and the account does not object, to anybody those that are good for initial connections alone.
/// Whoever has no consent cannot tell from the answer whether there is such a user, or whether it has KeyPackages left.
/// The same signed request once more, whatever way it comes, gets the same KeyPackages, as long as they have not been
/// used.
async fn serve(inner: &Arc<Inner>, request: &KeyMaterialRequest) -> Result<KeyMaterialResponse, Fail> {
    let KeyMaterialRequestTbs { requesting_user, target_user: target, room, .. } = request.tbs().clone();
    let KeyMaterialRequestTbs { acceptable_cipher_suites: suites, required_capabilities, .. } = request.tbs().clone();
    let request = Some(hash(&[b"keyMaterial", &request.encode()]));
    inner
        .blocking(move |inner| {
            let in_room = room.is_some();
            let silenced = inner.store.is_silenced(&target, inner.now())?;
            let consent =
                inner.store.consent(&ConsentScope { requester: requesting_user, target: target.clone(), room })?;
            let (kind, refused) = match consent {
                // Whoever is to send nothing comes into no more rooms.
                _ if silenced => (Kind::Either, Some(KeyMaterialUserCode::NoConsent)),
                Consent::Granted => (Kind::Either, None),
                Consent::Unsaid { initial_connections: true } if !target.is_pseudonym() => (Kind::InitialOnly, None),
                Consent::ElsewhereOnly if in_room => (Kind::Either, Some(KeyMaterialUserCode::NoConsentForThisRoom)),
                // Whoever was let have KeyPackages knew of the user, and is told that it is gone.
                Consent::Nobody { deleted: Some(Gone::Known) } => {
                    (Kind::Either, Some(KeyMaterialUserCode::UserDeleted))
                }
                Consent::Nobody { deleted } if inner.config.unknown_users == UnknownUsers::Told => {
                    let code = deleted.map_or(KeyMaterialUserCode::UserUnknown, |_| KeyMaterialUserCode::UserDeleted);
                    (Kind::Either, Some(code))
                }
                _ => (Kind::Either, Some(KeyMaterialUserCode::NoConsent)),
            };
            let required = Some(required_capabilities);
            // Whoever gets nothing is looked for like everybody else, with no suite that would do.
            let suites = if refused.is_some() { Vec::new() } else { suites };
            let claim = Claim { owner: target.clone(), kind, suites, required, except: None, request };
            let claimed = inner.store.claim(&claim, inner.now())?;
            if let Some(code) = refused {
                return refusal(code, target);
            }
            let given = claimed.iter().any(|one| matches!(one, ClaimedClient::KeyPackage(..)));
            if consent == Consent::Granted || given {
                response(target, claimed)
            } else {
                refusal(KeyMaterialUserCode::NoConsent, target)
            }
        })
        .await
}

/// The answer to a request in another protocol than MLS 1.0, of which nothing but that can be read.
pub(crate) fn other_protocol(user: UserUri) -> Result<KeyMaterialResponse, Fail> {
    refusal(KeyMaterialUserCode::IncompatibleProtocol, user)
}

fn refusal(code: KeyMaterialUserCode, user: UserUri) -> Result<KeyMaterialResponse, Fail> {
    KeyMaterialResponse::new(code, user, Vec::new()).map_err(|_| Fail::Fault("a response"))
}

fn response(user: UserUri, claimed: Vec<ClaimedClient>) -> Result<KeyMaterialResponse, Fail> {
    let clients = claimed.into_iter().map(|one| {
        Ok(match one {
            ClaimedClient::KeyPackage(client, octets) => {
                let key_package = KeyPackage::decode(&octets).map_err(|_| Fail::Fault("a stored KeyPackage"))?;
                ClientKeyMaterial { client, material: ClientMaterial::KeyPackage(key_package) }
            }
            ClaimedClient::Exhausted(client) => ClientKeyMaterial { client, material: ClientMaterial::Exhausted },
            ClaimedClient::Incompatible(client) => {
                ClientKeyMaterial { client, material: ClientMaterial::NothingCompatible(None) }
            }
        })
    });
    let clients = clients.collect::<Result<Vec<_>, Fail>>()?;
    let given = clients.iter().filter(|one| matches!(one.material, ClientMaterial::KeyPackage(_))).count();
    let status = match given {
        0 => KeyMaterialUserCode::NoCompatibleMaterial,
        _ if given == clients.len() => KeyMaterialUserCode::Success,
        _ => KeyMaterialUserCode::PartialSuccess,
    };
    KeyMaterialResponse::new(status, user, clients).map_err(|_| Fail::Fault("a response"))
}

/// Checks the signature of a request, and that the credential of its key is the requesting user's.
async fn verify(inner: &Arc<Inner>, request: UnverifiedKeyMaterialRequest) -> Result<KeyMaterialRequest, Fail> {
    inner
        .blocking(move |inner| {
            let request = request.verify().map_err(|_| Problem::SignatureInvalid)?;
            let wanted = request.tbs();
            let key = signature_key(wanted).ok_or(Problem::SignatureInvalid)?;
            let certificates = wanted.requester_credential.certificates().unwrap_or_default().to_vec();
            let chain = CertificateChain::try_from(certificates).map_err(|_| Problem::SignatureInvalid)?;
            let leaf = UnverifiedLeaf::new(chain).verify(&key, &inner.trust, inner.now());
            let leaf = leaf.map_err(|_| Problem::SignatureInvalid)?;
            if *leaf.user() != wanted.requesting_user {
                return Err(Problem::ForeignUser.into());
            }
            Ok(request)
        })
        .await
}

/// The key of a request, read for the suite that its signature was verified for.
fn signature_key(request: &KeyMaterialRequestTbs) -> Option<PublicKey> {
    let suites = request.acceptable_cipher_suites.iter().filter_map(|code| CipherSuite::from_code(*code));
    let scheme = suites
        .map(CipherSuite::signature_scheme)
        .find(|scheme| scheme.public_key_length() == request.requester_signature_key.len())?;
    PublicKey::new(scheme, &request.requester_signature_key).ok()
}
