use std::sync::Arc;

use mimi_pseudonym::Wire;
use mimi_tie::{
    Tie,
    break_glass::{Entry, Log, SignedCheckpoint},
};
use mimi_wire::{
    Problem,
    local::{CheckpointsResponse, OpeningsResponse},
};

use crate::{StoreError, fail::Fail, provider::Inner, server::Reply, store::Store};

/// Entries or checkpoints that one answer has.
const MOST: usize = 64;

/// The log of openings, as it is stored.
pub(crate) fn log(store: &Store) -> Result<Log, StoreError> {
    let entries = store.openings()?;
    let entries = entries.iter().map(|entry| Entry::decode(entry).map_err(|_| StoreError::damaged("an opening")));
    Ok(Log::from_entries(entries.collect::<Result<Vec<_>, _>>()?))
}

/// Shows anybody the log of openings behind a position. It names no pseudonym.
pub(crate) async fn openings(inner: &Arc<Inner>, after: u64) -> Result<Reply, Fail> {
    let log = inner.blocking(|inner| Ok(log(&inner.store)?)).await?;
    let checkpoint = log.checkpoint();
    let entries = log.entries().iter().skip(usize::try_from(after).unwrap_or(usize::MAX)).take(MOST);
    let entries = entries.map(Wire::encode).collect();
    let root = if checkpoint.size() == 0 { [0; 32] } else { checkpoint.root_hash() };
    Ok(Reply::message(&OpeningsResponse { size: checkpoint.size(), root, entries }))
}

/// What operators have signed of it, the longest log first.
pub(crate) fn signed(store: &Store) -> Result<Vec<SignedCheckpoint>, StoreError> {
    let signed = store.checkpoints()?;
    signed.iter().map(|one| SignedCheckpoint::decode(one).map_err(|_| StoreError::damaged("a checkpoint"))).collect()
}

/// Shows anybody what operators have signed of the log, and by which key that is checked.
pub(crate) async fn checkpoints(inner: &Arc<Inner>) -> Result<Reply, Fail> {
    let key = match (&inner.ties.tie, &inner.ties.lists) {
        (Tie::BreakGlass(key), _) | (_, Some(key)) => key.encode(),
        _ => return Err(Problem::Forbidden.into()),
    };
    let mut checkpoints = inner.blocking(|inner| Ok(inner.store.checkpoints()?)).await?;
    checkpoints.truncate(MOST);
    Ok(Reply::message(&CheckpointsResponse { key, checkpoints }))
}
