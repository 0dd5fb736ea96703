use std::path::Path;

use mimi_flow::{Delays, Device, Profile};
use mimi_pseudonym::{CipherSuite, Wire};
use mimi_wire::local::{
    AddDeviceRequest, DEVICE_PATH, EnrolmentCode, INFO_PATH, ProviderInfo, REGISTER_PATH, RegisterAccountRequest,
    RegisterResponse,
};
use zeroize::Zeroizing;

use crate::{
    Client, ClientError, StoreError, Surroundings, TransportError, client::TOKEN, store::Store, transport::Transport,
};

/// What makes a second attempt the same as the first one; kept until there is a token.
const ENROLMENT: &str = "enrolment";

/// The code that came with the device, until it is forgotten.
const CODE: &str = "enrolment-code";

/// What an account says of its owner. All of it stays with the provider and whoever it is disclosed to.
#[derive(Debug, Clone)]
pub struct Account {
    /// The name part of the handle: `alice` of `im:alice@a.example`.
    pub handle: String,
    /// The name to show.
    pub display_name: String,
    /// An e-mail address.
    pub email: String,
    /// What the owner calls this device.
    pub device_name: String,
}

impl Client {
    /// Registers a new account with its first device, and keeps the device in a new store. The code that is returned
    /// lets a further device in; [`Client::enrolment_code`] has it too, until it is forgotten.
    ///
    /// If the answer is lost, or the process ends in the middle, the same call on the same store finishes what was begun. Where it
    /// had been finished it says that there is a device, and [`Client::open`] goes on with it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::DeviceExists`] if the store has a device already.
    pub async fn register(
        path: &Path,
        account: Account,
        suite: CipherSuite,
        delays: Delays,
        surroundings: Surroundings,
    ) -> Result<(Self, EnrolmentCode), ClientError> {
        let Account { handle, display_name, email, device_name } = account;
        let request = RegisterAccountRequest { handle, display_name, email, device_name };
        Self::enrol(path, REGISTER_PATH, &request, suite, delays, surroundings).await
    }

    /// Adds a device to an account, with the code that came with the account or with the device that was added last, and keeps it
    /// in a new store. The code that is returned lets the next one in. The account's other devices bring it into the rooms that
    /// they are in.
    ///
    /// # Errors
    /// As [`Client::register`].
    pub async fn add_device(
        path: &Path,
        code: EnrolmentCode,
        device_name: &str,
        suite: CipherSuite,
        delays: Delays,
        surroundings: Surroundings,
    ) -> Result<(Self, EnrolmentCode), ClientError> {
        let request = AddDeviceRequest { enrolment_code: code, device_name: device_name.to_owned() };
        Self::enrol(path, DEVICE_PATH, &request, suite, delays, surroundings).await
    }

    pub(crate) async fn enrol(
        path: &Path,
        endpoint: &str,
        request: &impl Wire,
        suite: CipherSuite,
        delays: Delays,
        mut surroundings: Surroundings,
    ) -> Result<(Self, EnrolmentCode), ClientError> {
        let (store, secret) = Self::begin(path, &mut surroundings)?;
        let anonymous = Transport::new(&surroundings.provider, None)?;
        let registered: RegisterResponse = anonymous.enrol(endpoint, &secret, request).await?;
        let code = registered.enrolment_code.clone();
        Ok((Self::keep(store, registered, suite, delays, surroundings).await?, code))
    }

    /// Opens a new store, in which the secret of an attempt to enrol stays until there is a token.
    pub(crate) fn begin(
        path: &Path,
        surroundings: &mut Surroundings,
    ) -> Result<(Store, Zeroizing<Vec<u8>>), ClientError> {
        let mut store = Store::open(path, &surroundings.store_key, surroundings.entropy.as_mut())?;
        if store.read(TOKEN)?.is_some() {
            return Err(ClientError::DeviceExists);
        }
        let secret = match store.read(ENROLMENT)? {
            Some(secret) => secret,
            None => {
                let secret = Zeroizing::new(surroundings.entropy.bits256().to_vec());
                store.put(&[(ENROLMENT, &secret)], surroundings.entropy.as_mut())?;
                secret
            }
        };
        Ok((store, secret))
    }

    /// The code that came with this device and lets the next one in, unless it has been forgotten. Whether it has been used is
    /// known to the provider alone.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn enrolment_code(&self) -> Result<Option<EnrolmentCode>, ClientError> {
        let code = self.store.read(CODE)?.filter(|code| !code.is_empty());
        Ok(code.map(|code| EnrolmentCode::decode(&code)).transpose().map_err(|_| StoreError::Key)?)
    }

    /// Forgets that code: it has been used, or stands somewhere else.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn forget_enrolment_code(&mut self) -> Result<(), ClientError> {
        Ok(self.store.put(&[(CODE, &[])], self.surroundings.entropy.as_mut())?)
    }

    /// Keeps a device in a new store that was enrolled without this crate: that of a pseudonym which is an account of its own,
    /// so that the provider cannot tell whose it is (`docs/profile-ties.md`). It has that one pseudonym.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::DeviceExists`] if the store has a device already.
    pub async fn adopt(
        path: &Path,
        registered: RegisterResponse,
        suite: CipherSuite,
        delays: Delays,
        mut surroundings: Surroundings,
    ) -> Result<Self, ClientError> {
        let store = Store::open(path, &surroundings.store_key, surroundings.entropy.as_mut())?;
        if store.read(TOKEN)?.is_some() {
            return Err(ClientError::DeviceExists);
        }
        Self::keep(store, registered, suite, delays, surroundings).await
    }

    pub(crate) async fn keep(
        mut store: Store,
        registered: RegisterResponse,
        suite: CipherSuite,
        delays: Delays,
        mut surroundings: Surroundings,
    ) -> Result<Self, ClientError> {
        let RegisterResponse { user, client, device_token, enrolment_code } = registered;
        let transport = Transport::new(&surroundings.provider, Some(&device_token))?;
        let info: ProviderInfo = transport.fetch(INFO_PATH).await?;
        let agent = info.franking_agents.into_iter().find(|agent| agent.cipher_suite == suite);
        let franking_agent = agent.map(|agent| agent.agent);
        let hub = info.hub_senders.into_iter().find(|hub| hub.cipher_suite == suite);
        let hub = hub.ok_or(TransportError::Nonsense)?.sender;
        let profile = Profile { user, client, suite, hub, franking_agent, delays };
        let mut device = Device::new(profile).with_vault(store.vault());
        // What the application may not have been told is kept with the token: asking again is over when that is there.
        let (token, code) = (device_token.encode(), enrolment_code.encode());
        let done: [(&str, &[u8]); 3] = [(TOKEN, &token), (CODE, &code), (ENROLMENT, &[])];
        store.save_with(&device.changes(), &done, surroundings.entropy.as_mut())?;
        device.kept();
        Ok(Self::with(device, store, transport, surroundings))
    }
}
