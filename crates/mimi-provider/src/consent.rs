//! Consent (draft-ietf-mimi-protocol-06, sections 5.7 and 8; draft-mahy-mimi-pseudonyms-00, section 6): between the
//! provider of who asks and the provider of who is asked, without a hub. No answer says whether a user exists.

use std::sync::Arc;

use mimi_pseudonym::{UserUri, Wire};
use mimi_wire::{ConsentEntry, ConsentOperation, Endpoint, Problem, local::ConsentSettings};

use crate::{
    fail::Fail,
    pace::Asker,
    provider::Inner,
    server::{Peer, Reply},
    store::{Device, DeviceId},
};

/// What a device's user does about consent: asks or takes that back, as the requester; grants or revokes, as the target.
pub(crate) async fn from_device(inner: &Arc<Inner>, device: Device, entry: ConsentEntry) -> Result<Reply, Fail> {
    inner.consents.check(Asker::Device(device.id), inner.now())?;
    let (own, other) = match entry.operation {
        ConsentOperation::Request | ConsentOperation::Cancel => (&entry.scope.requester, &entry.scope.target),
        ConsentOperation::Grant { .. } | ConsentOperation::Revoke => (&entry.scope.target, &entry.scope.requester),
    };
    let (own, other) = (own.clone(), other.clone());
    if own == other {
        return Err(Problem::Malformed.into());
    }
    let (account, speaker) = (device.account, device.id);
    if !inner.blocking(move |inner| Ok(inner.store.owns(account, &own)?)).await? {
        return Err(Problem::ForeignUser.into());
    }
    let here = other.domain() == inner.domain();
    let endpoint = match entry.operation {
        ConsentOperation::Request | ConsentOperation::Cancel if here => return asked(inner, entry).await,
        ConsentOperation::Request | ConsentOperation::Cancel => Endpoint::RequestConsent,
        ConsentOperation::Grant { .. } => {
            said(inner, &entry, speaker).await?;
            if here {
                return received(inner, entry).await;
            }
            Endpoint::UpdateConsent
        }
        // Whom it is taken from is not told.
        ConsentOperation::Revoke => {
            said(inner, &entry, speaker).await?;
            return Ok(Reply::Created);
        }
    };
    inner.peers.post(other.domain(), endpoint, other.as_str(), entry.encode(), 0).await?;
    Ok(Reply::Created)
}

/// Sets what the device's account consents to without being asked.
pub(crate) async fn set(inner: &Arc<Inner>, device: Device, settings: ConsentSettings) -> Result<Reply, Fail> {
    inner.blocking(move |inner| Ok(inner.store.set_consent(device.account, settings)?)).await?;
    Ok(Reply::Nothing)
}

/// Another provider's user asks one of ours, or takes that back.
pub(crate) async fn requested(
    inner: &Arc<Inner>,
    peer: &Peer,
    target: UserUri,
    entry: ConsentEntry,
) -> Result<Reply, Fail> {
    inner.consents.check(Asker::Peer(peer.domain().clone()), inner.now())?;
    let asks = matches!(entry.operation, ConsentOperation::Request | ConsentOperation::Cancel);
    if !asks || entry.scope.target != target {
        return Err(Problem::Malformed.into());
    }
    check_domains(inner, peer, &entry.scope.requester, &target)?;
    asked(inner, entry).await
}

/// Another provider's user has granted something to one of ours, or says that it no longer does.
pub(crate) async fn updated(
    inner: &Arc<Inner>,
    peer: &Peer,
    requester: UserUri,
    entry: ConsentEntry,
) -> Result<Reply, Fail> {
    inner.consents.check(Asker::Peer(peer.domain().clone()), inner.now())?;
    if entry.scope.requester != requester {
        return Err(Problem::Malformed.into());
    }
    check_domains(inner, peer, &entry.scope.target, &requester)?;
    match entry.operation {
        ConsentOperation::Grant { .. } => received(inner, entry).await,
        // Nothing depends on it here: KeyPackages are refused by the provider that has them.
        ConsentOperation::Revoke => Ok(Reply::Created),
        ConsentOperation::Request | ConsentOperation::Cancel => Err(Problem::Malformed.into()),
    }
}

fn check_domains(inner: &Inner, peer: &Peer, theirs: &UserUri, ours: &UserUri) -> Result<(), Problem> {
    if theirs.domain() == peer.domain() && ours.domain() == inner.domain() { Ok(()) } else { Err(Problem::ForeignUser) }
}

async fn asked(inner: &Arc<Inner>, entry: ConsentEntry) -> Result<Reply, Fail> {
    let asks = entry.operation == ConsentOperation::Request;
    inner
        .blocking(move |inner| {
            inner.wake(&inner.store.consent_asked(&entry, asks, inner.now())?);
            Ok(Reply::Created)
        })
        .await
}

async fn received(inner: &Arc<Inner>, entry: ConsentEntry) -> Result<Reply, Fail> {
    inner
        .blocking(move |inner| {
            inner.wake(&inner.store.consent_received(&entry, inner.now())?);
            Ok(Reply::Created)
        })
        .await
}

/// Keeps what a device's user has said, and tells the user's other devices: without KeyPackages, which are not for them.
async fn said(inner: &Arc<Inner>, entry: &ConsentEntry, speaker: DeviceId) -> Result<(), Fail> {
    let operation = match entry.operation {
        ConsentOperation::Grant { .. } => ConsentOperation::Grant { key_packages: Vec::new() },
        _ => ConsentOperation::Revoke,
    };
    let entry = ConsentEntry { operation, ..entry.clone() };
    inner
        .blocking(move |inner| {
            inner.wake(&inner.store.consent_given(&entry, speaker, inner.now())?);
            Ok(())
        })
        .await
}
