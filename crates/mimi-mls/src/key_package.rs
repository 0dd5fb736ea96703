use std::fmt;

use mimi_credential::{CredentialError, TrustStore};
use mimi_pseudonym::{CipherSuite, ClientUri, Timestamp, UserUri, Wire};
use mimi_room::{ComponentId, KeyPackagePurpose};
use mimi_wire::{KeyPackage, KeyPackageRef};
use openmls::prelude::{
    AppDataDictionary, AppDataDictionaryExtension, CredentialType, Extension, ExtensionType, Extensions, KeyPackageIn,
    Lifetime, OpenMlsProvider, ProposalType, ProtocolVersion,
    tls_codec::{Deserialize as _, Serialize as _},
};
use zeroize::Zeroizing;

use crate::{
    backend::{Backend, SavedState, SignerAdapter, ciphersuite, supports},
    crypto::Crypto,
    group::{capabilities, check_size, last_resort_capabilities},
    identity::{Identity, Leaf},
};

/// A KeyPackage that has just been made, and the private keys it needs later.
#[derive(Debug)]
pub struct NewKeyPackage {
    /// The public part, to be uploaded or handed out.
    pub key_package: KeyPackage,
    /// Its reference (RFC 9420, section 5.2), by which a Welcome names it.
    pub reference: KeyPackageRef,
    /// The private part, to be kept until a Welcome arrives or the lifetime ends.
    pub secret: KeyPackageSecret,
}

/// The private keys of one KeyPackage. Overwritten when dropped, hidden in `Debug`.
#[derive(Clone)]
pub struct KeyPackageSecret(Zeroizing<Vec<u8>>);

impl KeyPackageSecret {
    /// The octets, for keeping under encryption.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What [`KeyPackageSecret::as_bytes`] gave.
    pub fn from_bytes(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }
}

impl fmt::Debug for KeyPackageSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPackageSecret(redacted)")
    }
}

/// A KeyPackage cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the KeyPackage cannot be made")]
pub struct KeyPackageError;

impl NewKeyPackage {
    /// Makes a KeyPackage of an identity (RFC 9420, section 10) with its purpose in the application data
    /// dictionary.
    ///
    /// # Errors
    /// [`KeyPackageError`] if the identity's key cannot sign.
    pub fn create(
        identity: &Identity,
        purpose: KeyPackagePurpose,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Self, KeyPackageError> {
        Self::build(identity, purpose, (not_before, not_after), false)
    }

    /// Makes a KeyPackage that is given when there is no other, and may be used again and again (the extension `last_resort`
    /// of draft-ietf-mls-extensions). Whoever sees it twice knows that both rooms are the same client's: it is for initial
    /// connections only, where an account has its own name.
    ///
    /// # Errors
    /// As [`NewKeyPackage::create`].
    pub fn last_resort(
        identity: &Identity,
        not_before: Timestamp,
        not_after: Timestamp,
    ) -> Result<Self, KeyPackageError> {
        Self::build(identity, KeyPackagePurpose::InitialOnly, (not_before, not_after), true)
    }

    fn build(
        identity: &Identity,
        purpose: KeyPackagePurpose,
        (not_before, not_after): (Timestamp, Timestamp),
        last_resort: bool,
    ) -> Result<Self, KeyPackageError> {
        let backend = Backend::default();
        let mut dictionary = AppDataDictionary::new();
        dictionary.insert(ComponentId::KEY_PACKAGE_PURPOSE, purpose.encode());
        let extension = Extension::AppDataDictionary(AppDataDictionaryExtension::new(dictionary));
        let builder = openmls::prelude::KeyPackage::builder();
        let (builder, capabilities) = match last_resort {
            true => (builder.mark_as_last_resort(), last_resort_capabilities()),
            false => (builder, capabilities()),
        };
        let bundle = builder
            .key_package_lifetime(Lifetime::init(not_before.as_secs(), not_after.as_secs()))
            .leaf_node_capabilities(capabilities)
            .key_package_extensions(Extensions::single(extension).map_err(|_| KeyPackageError)?)
            .build(ciphersuite(identity.suite()), &backend, &SignerAdapter(identity.signer()), identity.credential())
            .map_err(|_| KeyPackageError)?;
        let octets = bundle.key_package().tls_serialize_detached().map_err(|_| KeyPackageError)?;
        let reference = bundle.key_package().hash_ref(backend.crypto()).map_err(|_| KeyPackageError)?;
        Ok(Self {
            key_package: KeyPackage::decode(&octets).map_err(|_| KeyPackageError)?,
            reference: KeyPackageRef::new(reference.as_slice()),
            secret: KeyPackageSecret::from_bytes(backend.save().encode()),
        })
    }
}

impl KeyPackageSecret {
    pub(crate) fn state(&self) -> Option<SavedState> {
        SavedState::decode(&self.0).ok()
    }
}

/// A KeyPackage from outside: nothing in it may be relied on yet.
#[derive(Debug, Clone)]
pub struct UnverifiedKeyPackage(KeyPackage);

/// A KeyPackage whose signatures, lifetime, credential and owner have been checked.
#[derive(Debug, Clone)]
pub struct VerifiedKeyPackage {
    pub(crate) inner: openmls::prelude::KeyPackage,
    pub(crate) leaf: Leaf,
    octets: KeyPackage,
    reference: KeyPackageRef,
    purpose: KeyPackagePurpose,
}

/// Why a KeyPackage is not to be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageRefusal {
    /// A structure or a signature in it is wrong.
    #[error("the KeyPackage is malformed or its signature does not verify")]
    Invalid,
    /// It is for a cipher suite that was not asked for.
    #[error("the KeyPackage is for another cipher suite")]
    Suite,
    /// Its lifetime has ended.
    #[error("the KeyPackage has expired")]
    Expired,
    /// Its lifetime has not begun.
    #[error("the KeyPackage is not valid yet")]
    NotYetValid,
    /// Its lifetime is longer than is acceptable.
    #[error("the KeyPackage's lifetime is too long")]
    Lifetime,
    /// It belongs to another user than the one it was asked for.
    #[error("the KeyPackage is another user's")]
    WrongUser,
    /// Its credential does not hold.
    #[error("the KeyPackage's credential: {0}")]
    Credential(#[from] CredentialError),
    /// It lacks a capability that every MIMI room needs.
    #[error("the KeyPackage lacks a capability that the room needs")]
    Capabilities,
    /// Its leaf has more than 4,096 octets besides its certificates: no hub would let it into a room.
    #[error("the KeyPackage's leaf is too large")]
    TooLarge,
}

/// The longest lifetime of a KeyPackage that is accepted: 84 days and an hour.
pub const MAX_LIFETIME_SECS: u64 = 84 * 86_400 + 3_600;

impl UnverifiedKeyPackage {
    /// Takes a KeyPackage as it came.
    pub fn new(key_package: KeyPackage) -> Self {
        Self(key_package)
    }

    /// Checks everything that can be checked without the group: structure and both signatures, suite, lifetime
    /// (at `now`), the X.509 credential, and that it belongs to the user it was asked for.
    ///
    /// # Errors
    /// [`KeyPackageRefusal`] names what does not hold.
    pub fn verify(
        self,
        owner: &UserUri,
        suite: CipherSuite,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<VerifiedKeyPackage, KeyPackageRefusal> {
        let (not_before, not_after) = self.0.lifetime();
        if self.0.cipher_suite_code() != suite.code() {
            return Err(KeyPackageRefusal::Suite);
        }
        if now.as_secs() >= not_after {
            return Err(KeyPackageRefusal::Expired);
        }
        if now.as_secs() < not_before {
            return Err(KeyPackageRefusal::NotYetValid);
        }
        if not_after.saturating_sub(not_before) > MAX_LIFETIME_SECS {
            return Err(KeyPackageRefusal::Lifetime);
        }
        let crypto = Crypto::default();
        if !supports(&crypto, suite) {
            return Err(KeyPackageRefusal::Suite);
        }
        let inner = KeyPackageIn::tls_deserialize_exact(self.0.as_bytes())
            .map_err(|_| KeyPackageRefusal::Invalid)?
            .validate(&crypto, ProtocolVersion::Mls10)
            .map_err(|_| KeyPackageRefusal::Invalid)?;
        let node = inner.leaf_node();
        check_size(node).map_err(|_| KeyPackageRefusal::TooLarge)?;
        let able = node.capabilities();
        if !able.extensions().contains(&ExtensionType::AppDataDictionary)
            || !able.proposals().contains(&ProposalType::AppDataUpdate)
            || !able.credentials().contains(&CredentialType::X509)
        {
            return Err(KeyPackageRefusal::Capabilities);
        }
        let leaf = Leaf::verify(node.credential(), node.signature_key().as_slice(), suite, trust, now)?;
        if leaf.user != *owner {
            return Err(KeyPackageRefusal::WrongUser);
        }
        let purpose = purpose(&inner).ok_or(KeyPackageRefusal::Invalid)?;
        let reference = inner.hash_ref(&crypto).map_err(|_| KeyPackageRefusal::Invalid)?;
        let reference = KeyPackageRef::new(reference.as_slice());
        Ok(VerifiedKeyPackage { inner, leaf, octets: self.0, reference, purpose })
    }
}

impl VerifiedKeyPackage {
    /// The user it belongs to.
    pub fn user(&self) -> &UserUri {
        &self.leaf.user
    }

    /// The client it belongs to.
    pub fn client(&self) -> &ClientUri {
        &self.leaf.client
    }

    /// Its reference.
    pub fn reference(&self) -> &KeyPackageRef {
        &self.reference
    }

    /// What it may be used for.
    pub fn purpose(&self) -> KeyPackagePurpose {
        self.purpose
    }

    /// When it may no longer be used.
    pub fn not_after(&self) -> Timestamp {
        Timestamp::from_secs(self.octets.lifetime().1)
    }

    /// Its encoding.
    pub fn as_key_package(&self) -> &KeyPackage {
        &self.octets
    }
}

/// The purpose in a KeyPackage's dictionary: any use where it says nothing, `None` where what it says is no purpose.
pub(crate) fn purpose(key_package: &openmls::prelude::KeyPackage) -> Option<KeyPackagePurpose> {
    let dictionary = key_package.extensions().app_data_dictionary().map(AppDataDictionaryExtension::dictionary);
    match dictionary.and_then(|dictionary| dictionary.get(&ComponentId::KEY_PACKAGE_PURPOSE)) {
        Some(octets) => KeyPackagePurpose::decode(octets).ok(),
        None => Some(KeyPackagePurpose::Any),
    }
}
