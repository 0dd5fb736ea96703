use std::sync::Arc;

use mimi_abuse::{
    franking::{EvidenceError, ReportError, VerifiedReport},
    signal::{Fact, SignalKind, Source},
};
use mimi_pseudonym::{Domain, RoomUri, Wire};
use mimi_wire::{AbuseReport, Endpoint, Problem, REPORTER_TAG_COMPONENT, ReporterTag};

use super::weigh::weigh;
use crate::{
    fail::Fail,
    hash, hub,
    provider::Inner,
    server::Reply,
    store::{Device, Evidence},
};

/// A device reports a user of a room, at whichever hub. Its provider tells the hub no more of who reports than the report
/// itself does, save a tag by which the hub can tell that it is the same account again.
pub(crate) async fn from_device(
    inner: &Arc<Inner>,
    device: Device,
    room: RoomUri,
    mut report: AbuseReport,
) -> Result<Reply, Fail> {
    let account = device.account;
    let named = report.reporting_user.clone();
    let (inside, own) = {
        let room = room.clone();
        inner
            .blocking(move |inner| {
                let own = named.map_or(Ok(true), |user| inner.store.owns(account, &user));
                Ok((inner.store.is_in_room(&device, &room)?, own?))
            })
            .await?
    };
    if !own {
        return Err(Problem::ForeignUser.into());
    }
    // Who was removed meanwhile may still report what it has received.
    if !inside && report.messages.is_empty() {
        return Err(Problem::UnknownRoom.into());
    }
    let account = account.number().to_be_bytes();
    let tag = hash(&[&inner.abuse.tags, &account, report.alleged_abuser.as_str().as_bytes()]);
    report.extensions.insert(REPORTER_TAG_COMPONENT, ReporterTag(tag).encode());
    if room.domain() == inner.domain() {
        return self::report(inner, inner.domain().clone(), room, report).await;
    }
    inner.peers.post(room.domain(), Endpoint::ReportAbuse, room.as_str(), report.encode(), 0).await?;
    Ok(Reply::Created)
}

/// A report about a user of one of this hub's rooms (draft-ietf-mimi-protocol-06, section 5.9), from a provider that vouches
/// for who reports. The answer says that it was taken, not what came of it.
pub(crate) async fn report(
    inner: &Arc<Inner>,
    from: Domain,
    room: RoomUri,
    report: AbuseReport,
) -> Result<Reply, Fail> {
    if room.domain() != inner.domain() {
        return Err(Problem::NotHub.into());
    }
    if report.reporting_user.as_ref().is_some_and(|user| *user.domain() != from) {
        return Err(Problem::ForeignUser.into());
    }
    // Whoever has a stamped message was in the room when it was sent. Who has none has to be in it now.
    if report.messages.is_empty() {
        hub::check_both_in(inner, room.clone(), from.clone(), report.alleged_abuser.clone()).await?;
    }
    inner
        .blocking(move |inner| {
            let verified = inner.franking.hub_keys().verify_report(&room, &report);
            let VerifiedReport { alleged_abuser, messages } = verified.map_err(|error| problem(&error))?;
            let tag = report.reporter_tag()?.map(|tag| tag.0).unwrap_or_default();
            let now = inner.now();
            let evidence = messages.iter().filter_map(|verified| {
                let shown = report.messages.iter().find(|shown| shown.frank.server_frank == verified.reference)?;
                let (reference, accepted) = (verified.reference, verified.accepted);
                Some(Evidence { reference, room: room.clone(), message: shown.encode(), accepted })
            });
            let evidence: Vec<_> = evidence.collect();
            let kind = if evidence.is_empty() { SignalKind::Word } else { SignalKind::VerifiedReport };
            let fact = Fact { kind, room: Some(room.clone()), source: Source { domain: from, tag }, at: now };
            weigh(inner, &alleged_abuser, &room, &fact, &evidence)?;
            Ok(Reply::Created)
        })
        .await
}

/// What a reporter is told whose messages prove nothing.
fn problem(error: &ReportError) -> Problem {
    match error {
        ReportError::Evidence { error: EvidenceError::Uncommitted(_), .. } => Problem::Malformed,
        _ => Problem::SignatureInvalid,
    }
}
