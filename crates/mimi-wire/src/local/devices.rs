//! The devices of one account: which there are, and the end of one that is lost.

use std::fmt;

use mimi_pseudonym::{ClientUri, UserUri};

use super::EnrolmentCode;
use crate::codec::wire_struct;

/// A device of the account. `Debug` shows no name.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceEntry {
    /// The client that it is for the account itself: its name among the account's devices.
    pub client: ClientUri,
    /// What the user calls it.
    pub name: String,
}

wire_struct!(DeviceEntry, 8192, { client, name });

impl fmt::Debug for DeviceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceEntry(..)")
    }
}

/// The account's devices, the one that was added first before the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DevicesResponse {
    /// The devices.
    pub devices: Vec<DeviceEntry>,
}

wire_struct!(DevicesResponse, 1 << 20, { devices: list });

/// Asks as which clients another device of the account may be in rooms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceClientsRequest {
    /// The device, as [`DeviceEntry`] names it.
    pub client: ClientUri,
}

wire_struct!(DeviceClientsRequest, 4096, { client });

/// One client of a device. `Debug` shows nothing: the clients of one device stand in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceClient {
    /// The account or the pseudonym.
    pub user: UserUri,
    /// The client under that name.
    pub client: ClientUri,
}

wire_struct!(DeviceClient, 8192, { user, client });

impl fmt::Debug for DeviceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceClient(..)")
    }
}

/// As which clients a device may be in rooms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceClientsResponse {
    /// The clients.
    pub clients: Vec<DeviceClient>,
}

wire_struct!(DeviceClientsResponse, 1 << 24, { clients: list });

/// Takes a lost device away from the account: its token, its inbox and its KeyPackages, and every enrolment code that there is,
/// since it may have one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoveDeviceRequest {
    /// The device, as [`DeviceEntry`] names it; not the one that asks.
    pub client: ClientUri,
    /// What lets the next device in, from now on.
    pub enrolment_code: EnrolmentCode,
}

wire_struct!(RemoveDeviceRequest, 4096, { client, enrolment_code });
