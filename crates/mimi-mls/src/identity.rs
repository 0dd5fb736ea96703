use std::fmt;

use mimi_credential::{CertificateChain, CredentialError, TrustStore, UnverifiedLeaf};
use mimi_pseudonym::{
    CipherSuite, ClientUri, DecodeError, PublicKey, Reader, SignError, Signer, SigningKey, Timestamp, UserUri, Wire,
    Writer,
};
use openmls::prelude::{Credential, CredentialType, CredentialWithKey};

/// What one client is in one room: a user URI (a pseudonym, or the account itself), a client URI, the
/// certificates that say so, and the private key. `Debug` shows the URIs' kinds only.
#[derive(Clone)]
pub struct Identity {
    suite: CipherSuite,
    user: UserUri,
    client: ClientUri,
    key: SigningKey,
    certificates: CertificateChain,
}

/// Why a saved [`Identity`] cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The octets are no identity.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The private key is none.
    #[error(transparent)]
    Key(#[from] SignError),
}

impl Identity {
    /// Puts key and certificates together.
    ///
    /// # Errors
    /// [`CredentialError`] if the certificates are not for this key, or not to be trusted now.
    pub fn new(
        suite: CipherSuite,
        key: SigningKey,
        certificates: CertificateChain,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Self, CredentialError> {
        let leaf = UnverifiedLeaf::new(certificates.clone()).verify(key.public_key(), trust, now)?;
        Ok(Self { suite, user: leaf.user().clone(), client: leaf.client().clone(), key, certificates })
    }

    /// The same key with other certificates for the same user and client, such as ones that end later. `None` if they are for
    /// another key, user or client, or not to be trusted now.
    pub fn renewed(&self, certificates: CertificateChain, trust: &TrustStore, now: Timestamp) -> Option<Self> {
        let renewed = Self::new(self.suite, self.key.clone(), certificates, trust, now).ok()?;
        (renewed.user == self.user && renewed.client == self.client).then_some(renewed)
    }

    /// The cipher suite its key is for.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The user, as the room knows it.
    pub fn user(&self) -> &UserUri {
        &self.user
    }

    /// The client, as the room knows it.
    pub fn client(&self) -> &ClientUri {
        &self.client
    }

    /// The private key, as something that signs.
    pub fn signer(&self) -> &dyn Signer {
        &self.key
    }

    /// The certificates, the client's own first.
    pub fn certificates(&self) -> &CertificateChain {
        &self.certificates
    }

    /// The identity with its private key, for keeping under encryption.
    pub fn save(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        self.suite.write(&mut writer);
        self.user.write(&mut writer);
        self.client.write(&mut writer);
        writer.raw(self.key.secret());
        writer.list(self.certificates.certificates());
        writer.into_octets()
    }

    /// Reads what [`Identity::save`] wrote.
    ///
    /// # Errors
    /// [`IdentityError`] if it is not that.
    pub fn restore(saved: &[u8]) -> Result<Self, IdentityError> {
        let mut reader = Reader::new(saved);
        let suite = CipherSuite::read(&mut reader)?;
        let user = UserUri::read(&mut reader)?;
        let client = ClientUri::read(&mut reader)?;
        let key = SigningKey::from_secret(suite.signature_scheme(), &reader.array()?)?;
        let certificates = CertificateChain::try_from(reader.list::<Vec<u8>>()?)
            .map_err(|_| DecodeError::Rule { field: "certificates", rule: "no certificate chain" })?;
        reader.finish()?;
        Ok(Self { suite, user, client, key, certificates })
    }

    pub(crate) fn credential(&self) -> CredentialWithKey {
        CredentialWithKey {
            credential: x509(self.certificates.certificates()),
            signature_key: self.key.public_key().as_bytes().to_vec().into(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.user.is_pseudonym() { "pseudonym" } else { "account" };
        write!(f, "Identity({kind}, {:?})", self.suite)
    }
}

/// An X.509 credential as openmls holds it: the certificates as concatenated vectors.
pub(crate) fn x509(certificates: &[Vec<u8>]) -> Credential {
    let mut writer = Writer::default();
    for certificate in certificates {
        writer.vector(certificate);
    }
    Credential::new(CredentialType::X509, writer.into_octets())
}

/// The certificates in a credential; `None` if it is not X.509.
pub(crate) fn certificates(credential: &Credential) -> Option<Vec<Vec<u8>>> {
    if credential.credential_type() != CredentialType::X509 {
        return None;
    }
    let mut reader = Reader::new(credential.serialized_content());
    let mut certificates = Vec::new();
    while !reader.is_empty() {
        certificates.push(reader.vector().ok()?.to_vec());
    }
    Some(certificates)
}

/// A leaf whose credential has been verified once. What is known of a client from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) user: UserUri,
    pub(crate) client: ClientUri,
    pub(crate) key: PublicKey,
    pub(crate) certificates: Vec<Vec<u8>>,
}

impl Leaf {
    /// Verifies a credential against the key in the same leaf node.
    pub(crate) fn verify(
        credential: &Credential,
        key: &[u8],
        suite: CipherSuite,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Self, CredentialError> {
        let certificates = certificates(credential).ok_or(CredentialError::Malformed)?;
        let key = PublicKey::new(suite.signature_scheme(), key).map_err(|_| CredentialError::WrongKey)?;
        let chain = CertificateChain::try_from(certificates.clone()).map_err(|_| CredentialError::Malformed)?;
        let leaf = UnverifiedLeaf::new(chain).verify(&key, trust, now)?;
        Ok(Self { user: leaf.user().clone(), client: leaf.client().clone(), key, certificates })
    }
}

impl Wire for Leaf {
    const MAX_LEN: usize = 1 << 17;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let user = UserUri::read(reader)?;
        let client = ClientUri::read(reader)?;
        let suite = CipherSuite::read(reader)?;
        let key = PublicKey::read(reader, suite)?;
        Ok(Self { user, client, key, certificates: reader.list()? })
    }

    fn write(&self, writer: &mut Writer) {
        self.user.write(writer);
        self.client.write(writer);
        let suite = CipherSuite::ALL.into_iter().find(|suite| suite.signature_scheme() == self.key.scheme());
        suite.unwrap_or(CipherSuite::X25519Aes128Ed25519).write(writer);
        writer.vector(self.key.as_bytes());
        writer.list(&self.certificates);
    }
}
