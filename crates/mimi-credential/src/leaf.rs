use mimi_pseudonym::{ClientUri, PublicKey, Timestamp, UserUri};

use crate::{CertificateChain, CredentialError, IssuerId, TrustStore, certificate::Parsed, names::Names, path};

/// The certificates of an MLS leaf node, not verified yet.
#[derive(Clone, Debug)]
pub struct UnverifiedLeaf {
    chain: CertificateChain,
}

/// Who a verified leaf credential is for. Comes only from [`UnverifiedLeaf::verify`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeafIdentity {
    user: UserUri,
    client: ClientUri,
    public_key: PublicKey,
    issuer: IssuerId,
    not_after: Timestamp,
}

impl UnverifiedLeaf {
    /// Takes the certificates of a leaf node.
    pub fn new(chain: CertificateChain) -> Self {
        Self { chain }
    }

    /// Verifies the leaf credential for the signature key in the leaf node, as of now.
    ///
    /// The issuer is trusted for the domain; the key is the expected one; the path is valid (RFC 5280, section 6); the
    /// leaf has digitalSignature and `id-kp-imUri` (RFC 9734); its subjectAltName has one user URI and one client URI
    /// of one domain. A pseudonym's certificate has a pseudonymous client, an empty subject, and no other content that
    /// could name anyone.
    ///
    /// # Errors
    /// [`CredentialError`] says which of these does not hold.
    pub fn verify(
        self,
        expected_key: &PublicKey,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<LeafIdentity, CredentialError> {
        let (leaf, above) = Parsed::from_chain(&self.chain)?;
        let names = Names::read(&leaf)?;
        let user = names.user()?;
        let client = names.client.as_ref().ok_or(CredentialError::MissingClientUri)?;
        if client.domain() != user.domain() {
            return Err(CredentialError::ForeignDomain);
        }
        let path = path::verify_path(&self.chain, (&leaf, &above), user.domain(), expected_key, trust, now)?;
        if user.is_pseudonym() {
            if !client.is_pseudonym() {
                return Err(CredentialError::ClientNotPseudonymous);
            }
            let named = names.handle.is_some() || names.email.is_some() || names.common_name.is_some();
            if names.unmapped || named || names.age_over_18 {
                return Err(CredentialError::UnmappedContent);
            }
        }
        Ok(LeafIdentity {
            user: user.clone(),
            client: client.clone(),
            public_key: expected_key.clone(),
            issuer: path.issuer,
            not_after: path.not_after,
        })
    }
}

impl LeafIdentity {
    /// The user: a pseudonym, or an account.
    pub fn user(&self) -> &UserUri {
        &self.user
    }

    /// The client.
    pub fn client(&self) -> &ClientUri {
        &self.client
    }

    /// The signature key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The anchor that the path ends in.
    pub fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// When the first certificate of the path, or its anchor, runs out.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}
