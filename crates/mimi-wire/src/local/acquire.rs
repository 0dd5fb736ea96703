//! Many pseudonyms in one request, with their credentials.

use mimi_pseudonym::{
    CipherSuite, ClaimName, DecodeError, DisclosureFormat, PublicKey, Reader, Signer, UserUri, Wire, Writer,
};

use super::{
    CredentialItemTbs, IssuedCredential,
    credentials::{prove, read_wanted, write_wanted},
};
use crate::{
    codec::{check_count, wire_struct},
    label::{RequestSignError, RequestVerifyError, verify_with_label},
};

/// Not that of a credential for a user who is known: a proof of the one kind says nothing about the other.
const LABEL: &str = "MimiPseudonymRequest";

/// What a client wants a new pseudonym with. The provider chooses the name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPseudonymTbs {
    /// The suite its credential is for.
    pub cipher_suite: CipherSuite,
    /// The key it is for, of the suite's scheme.
    pub public_key: PublicKey,
    /// The claims a disclosure credential should make, none twice; no such credential if empty.
    pub disclose: Vec<ClaimName>,
    /// The format of that credential.
    pub format: DisclosureFormat,
}

impl NewPseudonymTbs {
    /// The credential that is wanted, once there is a pseudonym for it.
    pub fn with_subject(self, subject: UserUri) -> CredentialItemTbs {
        let Self { cipher_suite, public_key, disclose, format } = self;
        CredentialItemTbs { subject, cipher_suite, public_key, disclose, format }
    }
}

impl Wire for NewPseudonymTbs {
    const MAX_LEN: usize = 4096;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (cipher_suite, public_key, disclose, format) = read_wanted(reader)?;
        Ok(Self { cipher_suite, public_key, disclose, format })
    }

    fn write(&self, writer: &mut Writer) {
        write_wanted(self.cipher_suite, &self.public_key, &self.disclose, self.format, writer);
    }
}

/// A request for one pseudonym as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedNewPseudonym {
    tbs: NewPseudonymTbs,
    proof: Vec<u8>,
}

wire_struct!(UnverifiedNewPseudonym, 8192, { tbs, proof });

impl UnverifiedNewPseudonym {
    /// Checks that the client holds the key.
    ///
    /// # Errors
    /// [`RequestVerifyError::Signature`]
    pub fn verify(self) -> Result<NewPseudonym, RequestVerifyError> {
        verify_with_label(&self.tbs.public_key, LABEL, &self.tbs.encode(), &self.proof)?;
        Ok(NewPseudonym(self))
    }
}

/// A request for one pseudonym by a client that holds the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPseudonym(UnverifiedNewPseudonym);

impl NewPseudonym {
    /// Proves that the key is held.
    ///
    /// # Errors
    /// [`RequestSignError`]: the signer's key must be the one in the request, of the scheme of its suite.
    pub fn sign(tbs: NewPseudonymTbs, signer: &dyn Signer) -> Result<Self, RequestSignError> {
        let proof = prove(tbs.cipher_suite, &tbs.public_key, LABEL, &tbs, signer)?;
        Ok(Self(UnverifiedNewPseudonym { tbs, proof }))
    }

    /// The fields.
    pub fn tbs(&self) -> &NewPseudonymTbs {
        &self.0.tbs
    }
}

impl From<NewPseudonym> for UnverifiedNewPseudonym {
    fn from(item: NewPseudonym) -> Self {
        item.0
    }
}

/// Asks for fresh pseudonyms, each with credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcquireRequest {
    /// One for each pseudonym: 1 to 1,000.
    pub items: Vec<UnverifiedNewPseudonym>,
}

wire_struct!(AcquireRequest, 1 << 21, { items: list }, |request| check_count(&request.items, 1..=1000, "items"));

/// A fresh pseudonym and its credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuedPseudonym {
    /// The pseudonym.
    pub pseudonym: UserUri,
    /// Its credentials.
    pub credential: IssuedCredential,
}

wire_struct!(IssuedPseudonym, 1 << 18, { pseudonym, credential });

/// The pseudonyms, in the order of the keys they were asked for with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AcquireResponse {
    /// One for each item of the request.
    pub items: Vec<IssuedPseudonym>,
}

wire_struct!(AcquireResponse, 1 << 24, { items: list }, |response| {
    check_count(&response.items, 1..=1000, "items")?;
    if response.items.iter().all(|item| item.pseudonym.is_pseudonym()) {
        Ok(())
    } else {
        Err(DecodeError::Rule { field: "items", rule: "a URI is no pseudonym" })
    }
});
