//! The GroupInfo for those who want to join by themselves (draft-ietf-mimi-protocol-06, section 5.6).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mimi_credential::{CertificateChain, LeafIdentity, UnverifiedLeaf};
use mimi_mls::{HubRoom, seal_with_label};
use mimi_pseudonym::{CipherSuite, PublicKey, RoomUri, Timestamp, Wire};
use mimi_room::How;
use mimi_wire::{
    Credential, GROUP_INFO_ENCRYPTION_LABEL, GroupInfoRatchetTreeTbe, GroupInfoRequest, GroupInfoResponseTbs, Problem,
    RatchetTreeOption, UnverifiedGroupInfoRequest, UnverifiedGroupInfoResponse,
};

use super::{Requester, guests, rooms};
use crate::{
    abuse,
    fail::Fail,
    hash,
    limiter::Name,
    provider::Inner,
    store::{Hash, Visitor},
};

/// How long a visitor may take to join, at most.
const VISIT: Duration = Duration::from_secs(86_400);
/// What is sealed in place of a GroupInfo that is not given: octets.
const DECOY_LEN: usize = 4096;

/// A request whose signature and credential are good.
pub(crate) struct Visit {
    request: GroupInfoRequest,
    who: LeafIdentity,
}

impl Visit {
    /// Verifies signature and credential of a request.
    pub(crate) fn verify(inner: &Inner, request: UnverifiedGroupInfoRequest) -> Result<Self, Fail> {
        let request = request.verify().map_err(|_| Problem::SignatureInvalid)?;
        let tbs = request.tbs();
        let who = identity(inner, &tbs.requesting_credential, &tbs.requesting_signature_key, inner.now());
        Ok(Self { who: who.ok_or(Problem::SignatureInvalid)?, request })
    }

    pub(crate) fn who(&self) -> &LeafIdentity {
        &self.who
    }

    /// The request, as it is passed on.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.request.encode()
    }
}

/// Whom a credential names, if it holds for this key.
pub(crate) fn identity(
    inner: &Inner,
    credential: &Credential,
    key: &PublicKey,
    now: Timestamp,
) -> Option<LeafIdentity> {
    let chain = CertificateChain::try_from(credential.certificates()?.to_vec()).ok()?;
    UnverifiedLeaf::new(chain).verify(key, &inner.trust, now).ok()
}

/// By what a key is remembered.
pub(super) fn key_hash(key: &PublicKey) -> Hash {
    hash(&[b"visitor", key.as_bytes()])
}

/// Gives the GroupInfo of a room to whoever may join it. Whoever may not is told the same as if there were no such room,
/// after as much work and no sooner; and not often.
pub(crate) async fn group_info(
    inner: &Arc<Inner>,
    requester: Requester,
    room: RoomUri,
    visit: Visit,
) -> Result<UnverifiedGroupInfoResponse, Fail> {
    let begun = Instant::now();
    if visit.who.user().domain() != requester.domain(inner) {
        return Err(Problem::ForeignUser.into());
    }
    let names = [
        Name::Key(key_hash(visit.who.public_key())),
        Name::From(requester.domain(inner).to_string()),
        Name::Room(room.to_string()),
    ];
    if !inner.limiter.allows(&names, inner.now()) {
        return Err(Problem::RateLimited.into());
    }
    let name = room.clone();
    let given = rooms::with(inner, room.clone(), move |inner, slot| {
        let given = match slot.as_ref() {
            Some(hub) => admit(inner, hub, &name, &visit)?,
            None => None,
        };
        let tbs = visit.request.tbs();
        let content = given.as_ref().map_or_else(|| vec![0; DECOY_LEN], Wire::encode);
        let answer = sealed(inner, &name, tbs.cipher_suite, &tbs.group_info_public_key, &content)?;
        Ok(given.map(|_| answer))
    })
    .await?;
    if let Some(answer) = given {
        return Ok(answer);
    }
    inner.limiter.refused(&names, inner.now());
    tokio::time::sleep(inner.floor.rest(begun.elapsed(), Instant::now())).await;
    Ok(UnverifiedGroupInfoResponse::not_authorized(room))
}

/// What whoever asks is given, if it may join; it is remembered that it may.
fn admit(inner: &Inner, hub: &HubRoom, room: &RoomUri, visit: &Visit) -> Result<Option<GroupInfoRatchetTreeTbe>, Fail> {
    let (tbs, who, now) = (visit.request.tbs(), &visit.who, inner.now());
    let shown = tbs.joining_code.as_ref().map(|code| sha256(code));
    let link = match &shown {
        Some(code) => inner.store.link(room, code, now)?,
        None => None,
    };
    let how = if link.is_some() { How::JoinCode } else { How::ExternalCommit };
    // A code that is wrong is no better than none where none is needed, and is refused: whoever shows one is told.
    let allowed = tbs.cipher_suite == hub.suite()
        && (shown.is_none() || link.is_some())
        && !hub.is_user_leaving(who.user())
        && !guests::is_full(inner, hub)
        && !inner.store.is_closed(room)?
        && !abuse::is_banned(inner, room, who.user(), who.client())?
        && hub.state().at(now).may_join(who.user(), who.client(), how).is_ok();
    let (Some(group_info), Some(tree), true) = (hub.group_info(), hub.ratchet_tree(), allowed) else {
        return Ok(None);
    };
    let longest = now.after(VISIT);
    let expires = link.as_ref().and_then(|link| link.expires).map_or(longest, |expires| expires.min(longest));
    let visitor = Visitor { key_hash: key_hash(who.public_key()), code_hash: shown, expires };
    inner.store.add_visitor(room, &visitor, now)?;
    let pending_proposals = hub.pending_proposals();
    Ok(Some(GroupInfoRatchetTreeTbe { group_info, ratchet_tree: RatchetTreeOption::Full(tree), pending_proposals }))
}

/// What a hub keeps of a joining code.
fn sha256(octets: &[u8]) -> Hash {
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(ring::digest::digest(&ring::digest::SHA256, octets).as_ref()) {
        *to = *from;
    }
    hash
}

fn sealed(
    inner: &Inner,
    room: &RoomUri,
    suite: CipherSuite,
    public_key: &[u8],
    content: &[u8],
) -> Result<UnverifiedGroupInfoResponse, Fail> {
    let hub = inner.senders.iter().find(|hub| hub.suite == suite).ok_or(Problem::Malformed)?;
    let context = room.as_str().as_bytes();
    let sealed = seal_with_label(suite, public_key, GROUP_INFO_ENCRYPTION_LABEL, context, content);
    let tbs = GroupInfoResponseTbs {
        room: room.clone(),
        cipher_suite: suite,
        hub_sender: hub.sender.clone(),
        encrypted_group_info_and_tree: sealed.map_err(|_| Problem::Malformed)?,
    };
    UnverifiedGroupInfoResponse::sign(tbs, &hub.key).map_err(|_| Fail::Fault("the hub's key cannot sign"))
}
