use std::fmt;

use mimi_pseudonym::{CipherSuite, ClientUri, DecodeError, Domain, UserUri};

use super::{DeviceToken, EnrolmentCode};
use crate::{
    codec::{check_count, wire_struct},
    franking::FrankingAgentData,
    group_info::ExternalSender,
};

/// Opens an account. `Debug` shows nothing but the handle.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisterAccountRequest {
    /// The name part of the account, for example `alice`.
    pub handle: String,
    /// The name to show; may be empty.
    pub display_name: String,
    /// The e-mail address; may be empty.
    pub email: String,
    /// What the user calls the device.
    pub device_name: String,
}

wire_struct!(RegisterAccountRequest, 4096, { handle, display_name, email, device_name });

impl fmt::Debug for RegisterAccountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterAccountRequest").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// Adds a device to an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddDeviceRequest {
    /// The code another device was given.
    pub enrolment_code: EnrolmentCode,
    /// What the user calls the device.
    pub device_name: String,
}

wire_struct!(AddDeviceRequest, 4096, { enrolment_code, device_name });

/// The answer to a new account or device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterResponse {
    /// The account.
    pub user: UserUri,
    /// The device.
    pub client: ClientUri,
    /// What the device shows from now on.
    pub device_token: DeviceToken,
    /// What lets the next device in.
    pub enrolment_code: EnrolmentCode,
}

wire_struct!(RegisterResponse, 4096, { user, client, device_token, enrolment_code });

/// The hub's key for one suite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubSender {
    /// The suite.
    pub cipher_suite: CipherSuite,
    /// What goes into a group's list of external senders.
    pub sender: ExternalSender,
}

wire_struct!(HubSender, 1 << 17, { cipher_suite, sender });

/// Who stamps the messages of new rooms of one suite.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HubFrankingAgent {
    /// The suite.
    pub cipher_suite: CipherSuite,
    /// What goes into a room's franking agent component.
    pub agent: FrankingAgentData,
}

wire_struct!(HubFrankingAgent, 1 << 17, { cipher_suite, agent });

/// What a client has to know about its provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderInfo {
    /// The provider's domain.
    pub domain: Domain,
    /// The hub's keys.
    pub hub_senders: Vec<HubSender>,
    /// Certificates in DER of the issuers that vouch for its users.
    pub issuer_certificates: Vec<Vec<u8>>,
    /// Who stamps messages.
    pub franking_agents: Vec<HubFrankingAgent>,
}

wire_struct!(ProviderInfo, 1 << 20, { domain, hub_senders: list, issuer_certificates: list, franking_agents: list });

/// Asks for fresh pseudonyms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PseudonymsRequest {
    /// How many: 1 to 1,000.
    pub count: u16,
}

wire_struct!(PseudonymsRequest, 2, { count }, |request| match request.count {
    1..=1000 => Ok(()),
    count => Err(DecodeError::Value { field: "count", value: count.into() }),
});

/// Fresh pseudonyms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PseudonymsResponse {
    /// The pseudonyms: 1 to 1,000.
    pub pseudonyms: Vec<UserUri>,
}

wire_struct!(PseudonymsResponse, 1 << 20, { pseudonyms: list }, |response| check_pseudonyms(&response.pseudonyms));

/// Refuses a list in which one URI is an account's.
pub(super) fn check_pseudonyms(uris: &[UserUri]) -> Result<(), DecodeError> {
    check_count(uris, 1..=1000, "pseudonyms")?;
    if uris.iter().all(UserUri::is_pseudonym) {
        Ok(())
    } else {
        Err(DecodeError::Rule { field: "pseudonyms", rule: "a URI is no pseudonym" })
    }
}
