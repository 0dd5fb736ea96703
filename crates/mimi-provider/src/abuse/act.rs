//! As a hub: carries out by itself what was decided (draft-mahy-mimi-pseudonyms-00, section 5.2).

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::{
    fail::Fail,
    hub,
    log::{During, Fault},
    provider::Inner,
    store::Decided,
};

/// How often is looked for what could not be carried out before.
const TURN: Duration = Duration::from_secs(60);

/// Removes from rooms those about whom more than silence was decided, as long as the provider runs.
pub(super) async fn run(inner: &Arc<Inner>) -> Infallible {
    loop {
        let undone = inner.blocking(|inner| Ok(inner.store.undone_decisions()?)).await;
        for decided in undone.unwrap_or_default() {
            if let Err(error) = act(inner, decided).await {
                inner.log.fault(Fault::Work(During::Decisions, &error));
            }
        }
        // News that came meanwhile are kept by the notifier.
        let _ = tokio::time::timeout(TURN, inner.abuse.news.notified()).await;
    }
}

async fn act(inner: &Arc<Inner>, decided: Decided) -> Result<(), Fail> {
    hub::remove_user(inner, decided.room.clone(), decided.subject.clone()).await?;
    inner.blocking(move |inner| Ok(inner.store.decision_done(&decided, inner.now())?)).await
}
