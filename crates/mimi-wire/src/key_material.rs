use mimi_pseudonym::{ClientUri, DecodeError, Reader, RoomUri, Signer, UserUri, Wire, Writer};

use crate::{
    codec::{check_count, codes, read_or_empty, read_protocol, read_u16s, write_or_empty, write_protocol},
    label::{RequestSignError, RequestVerifyError, key_for, sign_with_label, verify_with_label},
    mls::{Capabilities, Credential, KeyPackage, RequiredCapabilities},
};

const LABEL: &str = "KeyMaterialRequestTBS";

/// `KeyMaterialRequestTBS` (draft-ietf-mimi-protocol-06, section 5.2): the fields of a request for key material.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyMaterialRequestTbs {
    /// Who asks: an account or a pseudonym.
    pub requesting_user: UserUri,
    /// Whose key material is wanted.
    pub target_user: UserUri,
    /// The room it is for; absent if there is none yet.
    pub room: Option<RoomUri>,
    /// Codes of the cipher suites that will do, not empty; they need not be spoken here.
    pub acceptable_cipher_suites: Vec<u16>,
    /// What a client must be capable of.
    pub required_capabilities: RequiredCapabilities,
    /// The key the request is signed with. The wire says its scheme nowhere: it is that of the first acceptable cipher
    /// suite that is spoken here and has keys of this length.
    pub requester_signature_key: Vec<u8>,
    /// The credential of that key.
    pub requester_credential: Credential,
}

impl Wire for KeyMaterialRequestTbs {
    const MAX_LEN: usize = 1 << 17;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_protocol(reader)?;
        let request = Self {
            requesting_user: Wire::read(reader)?,
            target_user: Wire::read(reader)?,
            room: read_or_empty(reader)?,
            acceptable_cipher_suites: read_u16s(reader)?,
            required_capabilities: Wire::read(reader)?,
            requester_signature_key: Wire::read(reader)?,
            requester_credential: Wire::read(reader)?,
        };
        check_count(&request.acceptable_cipher_suites, 1..=256, "acceptableCiphersuites")?;
        Ok(request)
    }

    fn write(&self, writer: &mut Writer) {
        write_protocol(writer);
        self.requesting_user.write(writer);
        self.target_user.write(writer);
        write_or_empty(writer, self.room.as_ref());
        writer.list(&self.acceptable_cipher_suites);
        self.required_capabilities.write(writer);
        self.requester_signature_key.write(writer);
        self.requester_credential.write(writer);
    }
}

/// `KeyMaterialRequest` (section 5.2) as it came in: only what routing needs can be read before it is verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedKeyMaterialRequest {
    tbs: KeyMaterialRequestTbs,
    signature: Vec<u8>,
}

impl UnverifiedKeyMaterialRequest {
    /// Who says to ask.
    pub fn requesting_user(&self) -> &UserUri {
        &self.tbs.requesting_user
    }

    /// Whose key material is wanted.
    pub fn target_user(&self) -> &UserUri {
        &self.tbs.target_user
    }

    /// The room it is for.
    pub fn room(&self) -> Option<&RoomUri> {
        self.tbs.room.as_ref()
    }

    /// Checks the signature with the key in the request. Whether the credential belongs to the requesting user, and
    /// that key to the credential, is for the caller to check.
    ///
    /// # Errors
    /// [`RequestVerifyError`]
    pub fn verify(self) -> Result<KeyMaterialRequest, RequestVerifyError> {
        let key = key_for(&self.tbs.acceptable_cipher_suites, &self.tbs.requester_signature_key)?;
        verify_with_label(&key, LABEL, &self.tbs.encode(), &self.signature)?;
        Ok(KeyMaterialRequest(self))
    }
}

impl Wire for UnverifiedKeyMaterialRequest {
    const MAX_LEN: usize = KeyMaterialRequestTbs::MAX_LEN + 1024;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { tbs: Wire::read(reader)?, signature: Wire::read(reader)? })
    }

    fn write(&self, writer: &mut Writer) {
        self.tbs.write(writer);
        self.signature.write(writer);
    }
}

/// `KeyMaterialRequest` (section 5.2) whose signature is good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyMaterialRequest(UnverifiedKeyMaterialRequest);

impl KeyMaterialRequest {
    /// Signs a request.
    ///
    /// # Errors
    /// [`RequestSignError`]: the signer's key must be the one in the request, and one that [`UnverifiedKeyMaterialRequest::verify`]
    /// will read alike.
    pub fn sign(tbs: KeyMaterialRequestTbs, signer: &dyn Signer) -> Result<Self, RequestSignError> {
        if tbs.acceptable_cipher_suites.is_empty() {
            return Err(RequestSignError::Empty("acceptableCiphersuites"));
        }
        match key_for(&tbs.acceptable_cipher_suites, &tbs.requester_signature_key) {
            Ok(key) if key == *signer.public_key() => {}
            _ => return Err(RequestSignError::Key),
        }
        let signature = sign_with_label(signer, LABEL, &tbs.encode())?;
        Ok(Self(UnverifiedKeyMaterialRequest { tbs, signature }))
    }

    /// The fields.
    pub fn tbs(&self) -> &KeyMaterialRequestTbs {
        &self.0.tbs
    }

    /// The encoding, octet for octet what was verified.
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }
}

impl From<KeyMaterialRequest> for UnverifiedKeyMaterialRequest {
    fn from(request: KeyMaterialRequest) -> Self {
        request.0
    }
}

codes! {
    /// `KeyMaterialUserCode` (section 5.2).
    pub enum KeyMaterialUserCode: "userStatus" {
        /// Key material of every client.
        Success = 0,
        /// Key material of at least one client.
        PartialSuccess = 1,
        /// The protocol is not spoken.
        IncompatibleProtocol = 2,
        /// No client has key material that fits.
        NoCompatibleMaterial = 3,
        /// No such user.
        UserUnknown = 4,
        /// The target has not consented.
        NoConsent = 5,
        /// The target has not consented to this room.
        NoConsentForThisRoom = 6,
        /// The user is gone.
        UserDeleted = 7,
    }
}

/// What one client has to offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientMaterial {
    /// A key package to use once.
    KeyPackage(KeyPackage),
    /// There is none left.
    Exhausted,
    /// There is none that fits; what the client is capable of, unless it is kept private.
    NothingCompatible(Option<Capabilities>),
}

/// `ClientKeyMaterial` (section 5.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientKeyMaterial {
    /// The client.
    pub client: ClientUri,
    /// What it has to offer.
    pub material: ClientMaterial,
}

impl Wire for ClientKeyMaterial {
    const MAX_LEN: usize = 1 << 17;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let status = reader.u8()?;
        let client = Wire::read(reader)?;
        let material = match status {
            0 => ClientMaterial::KeyPackage(Wire::read(reader)?),
            1 => ClientMaterial::Exhausted,
            2 => ClientMaterial::NothingCompatible(reader.optional()?),
            value => return Err(DecodeError::Value { field: "clientStatus", value: value.into() }),
        };
        Ok(Self { client, material })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(match self.material {
            ClientMaterial::KeyPackage(_) => 0,
            ClientMaterial::Exhausted => 1,
            ClientMaterial::NothingCompatible(_) => 2,
        });
        self.client.write(writer);
        match &self.material {
            ClientMaterial::KeyPackage(key_package) => key_package.write(writer),
            ClientMaterial::Exhausted => {}
            ClientMaterial::NothingCompatible(capabilities) => writer.optional(capabilities.as_ref()),
        }
    }
}

/// The clients of a response do not fit its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientsError {
    /// `success` without clients, or with one that gave nothing.
    #[error("success means key material of every client")]
    Incomplete,
    /// `partialSuccess` without any key material.
    #[error("partialSuccess means key material of at least one client")]
    Nothing,
    /// `noCompatibleMaterial` with key material.
    #[error("noCompatibleMaterial means no key material")]
    Something,
    /// Another status with clients.
    #[error("this status has no clients")]
    NotAllowed,
    /// More than 1,000 clients.
    #[error("at most 1000 clients")]
    TooMany,
}

/// `KeyMaterialResponse` (section 5.2). Its clients always fit its status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyMaterialResponse {
    status: KeyMaterialUserCode,
    user: UserUri,
    clients: Vec<ClientKeyMaterial>,
}

impl KeyMaterialResponse {
    /// Puts a response together.
    ///
    /// # Errors
    /// [`ClientsError`] if the clients do not fit the status.
    pub fn new(
        status: KeyMaterialUserCode,
        user: UserUri,
        clients: Vec<ClientKeyMaterial>,
    ) -> Result<Self, ClientsError> {
        let given = clients.iter().filter(|client| matches!(client.material, ClientMaterial::KeyPackage(_))).count();
        match status {
            _ if clients.len() > 1000 => Err(ClientsError::TooMany),
            KeyMaterialUserCode::Success if given == 0 || given < clients.len() => Err(ClientsError::Incomplete),
            KeyMaterialUserCode::PartialSuccess if given == 0 => Err(ClientsError::Nothing),
            KeyMaterialUserCode::NoCompatibleMaterial if given > 0 => Err(ClientsError::Something),
            KeyMaterialUserCode::Success
            | KeyMaterialUserCode::PartialSuccess
            | KeyMaterialUserCode::NoCompatibleMaterial => Ok(Self { status, user, clients }),
            _ if clients.is_empty() => Ok(Self { status, user, clients }),
            _ => Err(ClientsError::NotAllowed),
        }
    }

    /// The status.
    pub fn status(&self) -> KeyMaterialUserCode {
        self.status
    }

    /// The user it is about.
    pub fn user(&self) -> &UserUri {
        &self.user
    }

    /// The clients.
    pub fn clients(&self) -> &[ClientKeyMaterial] {
        &self.clients
    }

    /// The clients, taken out.
    pub fn into_clients(self) -> Vec<ClientKeyMaterial> {
        self.clients
    }
}

impl Wire for KeyMaterialResponse {
    const MAX_LEN: usize = 1 << 24;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_protocol(reader)?;
        let (status, user, clients) = (Wire::read(reader)?, Wire::read(reader)?, reader.list()?);
        Self::new(status, user, clients)
            .map_err(|_| DecodeError::Rule { field: "clients", rule: "the clients do not fit the status" })
    }

    fn write(&self, writer: &mut Writer) {
        write_protocol(writer);
        self.status.write(writer);
        self.user.write(writer);
        writer.list(&self.clients);
    }
}
