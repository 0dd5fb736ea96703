//! What a device may know of the account's others, and the end of one that is lost.

use std::sync::Arc;

use mimi_wire::{
    Problem,
    local::{
        DeviceClient, DeviceClientsRequest, DeviceClientsResponse, DeviceEntry, DevicesResponse, RemoveDeviceRequest,
    },
};

use crate::{fail::Fail, hash, provider::Inner, server::Reply, store::Device};

/// The account's devices.
pub(crate) async fn list(inner: &Arc<Inner>, device: Device) -> Result<Reply, Fail> {
    let devices = inner.blocking(move |inner| Ok(inner.store.devices_of(device.account)?)).await?;
    let devices = devices.into_iter().map(|(client, name)| DeviceEntry { client, name }).collect();
    Ok(Reply::message(&DevicesResponse { devices }))
}

/// As which clients a device of the account may be in rooms. One that is another account's is refused as one that there is not.
pub(crate) async fn clients(inner: &Arc<Inner>, device: Device, request: DeviceClientsRequest) -> Result<Reply, Fail> {
    let found = inner.blocking(move |inner| Ok(inner.store.clients_of(device.account, &request.client)?)).await?;
    let clients = found.ok_or(Problem::ForeignUser)?;
    let clients = clients.into_iter().map(|(user, client)| DeviceClient { user, client }).collect();
    Ok(Reply::message(&DeviceClientsResponse { clients }))
}

/// Ends a lost device: whoever has it can do nothing with its token any more, nor with an enrolment code that is on it.
pub(crate) async fn remove(inner: &Arc<Inner>, device: Device, request: RemoveDeviceRequest) -> Result<Reply, Fail> {
    let code = hash(&[request.enrolment_code.as_bytes()]);
    let removed = inner.blocking(move |inner| Ok(inner.store.remove_device(&device, &request.client, &code)?)).await?;
    if removed { Ok(Reply::Nothing) } else { Err(Problem::ForeignUser.into()) }
}
