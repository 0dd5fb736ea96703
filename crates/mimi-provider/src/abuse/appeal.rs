//! What a user says against what its provider has decided about its account (docs/profile-remedy.md).

use std::sync::Arc;

use mimi_wire::local::AppealRequest;

use crate::{fail::Fail, provider::Inner, server::Reply, store::Device};

/// How a device's account stands.
pub(crate) async fn standing(inner: &Arc<Inner>, device: Device) -> Result<Reply, Fail> {
    let standing = inner.blocking(move |inner| Ok(inner.store.standing(device.account)?)).await?;
    Ok(Reply::message(&standing))
}

/// Keeps an appeal for the operator. While it waits, nothing is deleted. About an account about which nothing was decided,
/// nothing is kept, and the answer says so.
pub(crate) async fn appeal(inner: &Arc<Inner>, device: Device, request: AppealRequest) -> Result<Reply, Fail> {
    let standing =
        inner.blocking(move |inner| Ok(inner.store.appeal(device.account, &request.text, inner.now())?)).await?;
    Ok(Reply::message(&standing))
}
