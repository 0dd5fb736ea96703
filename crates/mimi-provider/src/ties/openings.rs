use std::sync::Arc;

use mimi_pseudonym::Wire;
use mimi_tie::break_glass::{Entry, Log};
use mimi_wire::local::OpeningsResponse;

use crate::{StoreError, fail::Fail, provider::Inner, server::Reply, store::Store};

/// Entries that one answer has.
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
