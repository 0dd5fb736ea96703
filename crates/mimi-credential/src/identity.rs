use std::fmt;

use mimi_pseudonym::{ClaimName, Claims, Domain, PublicKey, Timestamp, UserUri};

use crate::{
    CertificateChain, CredentialError, IssuerId, TrustStore,
    certificate::{Parsed, octets},
    check_claims,
    names::Names,
    path,
};

/// The certificates that disclose an identity, not verified yet (draft-mahy-mimi-pseudonyms-00, section 4.1).
#[derive(Clone, Debug)]
pub struct UnverifiedIdentity {
    chain: CertificateChain,
}

/// What a verified identity certificate says. Comes only from [`UnverifiedIdentity::verify`]; `Debug` shows the names
/// of the claims, never their values.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityClaims {
    claims: Claims,
    user: UserUri,
    issuer: IssuerId,
    not_after: Timestamp,
}

impl UnverifiedIdentity {
    /// Takes the certificates of an identity.
    pub fn new(chain: CertificateChain) -> Self {
        Self { chain }
    }

    /// The certificates.
    pub fn chain(&self) -> &CertificateChain {
        &self.chain
    }

    /// What the certificate claims, **not verified**: to see whether a policy allows it to be sent or looked at.
    ///
    /// # Errors
    /// [`CredentialError`] if the content of the certificate cannot be mapped to claims.
    pub fn claimed(&self) -> Result<Claims, CredentialError> {
        Ok(self.read()?.2)
    }

    /// The domain of the account. **Not verified.**
    ///
    /// # Errors
    /// [`CredentialError`] if the content of the certificate cannot be mapped to claims.
    pub fn domain(&self) -> Result<Domain, CredentialError> {
        Ok(self.read()?.3.domain().clone())
    }

    /// Whether the certificate is for this key. **Not verified.**
    ///
    /// # Errors
    /// [`CredentialError::Malformed`]
    pub fn is_for(&self, key: &PublicKey) -> Result<bool, CredentialError> {
        Ok(Parsed::from_chain(&self.chain)?.0.has_key(key))
    }

    /// Whether another chain names the same issuer at its end. **Not verified**: a holder asks it of its own chains.
    ///
    /// # Errors
    /// [`CredentialError::Malformed`]
    pub fn names_issuer_of(&self, other: &CertificateChain) -> Result<bool, CredentialError> {
        Ok(last_issuer(&self.chain)? == last_issuer(other)?)
    }

    /// Verifies the certificate for the signature key of the leaf that shows it, as of now: issuer trusted for the
    /// domain of the user, key, path and usages as for a leaf, and nothing in it that is no claim.
    ///
    /// # Errors
    /// [`CredentialError`] says what does not hold.
    pub fn verify(
        self,
        expected_key: &PublicKey,
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<IdentityClaims, CredentialError> {
        let (leaf, above, claims, user) = self.read()?;
        let path = path::verify_path(&self.chain, (&leaf, &above), user.domain(), expected_key, trust, now)?;
        Ok(IdentityClaims { claims, user, issuer: path.issuer, not_after: path.not_after })
    }

    fn read(&self) -> Result<(Parsed, Vec<Parsed>, Claims, UserUri), CredentialError> {
        let (leaf, above) = Parsed::from_chain(&self.chain)?;
        let (claims, user) = read_claims(&leaf)?;
        Ok((leaf, above, claims, user))
    }
}

impl IdentityClaims {
    /// The claims, [`ClaimName::UserUri`] always among them.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The account.
    pub fn user(&self) -> &UserUri {
        &self.user
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

impl fmt::Debug for IdentityClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityClaims").field("claims", &self.claims).finish_non_exhaustive()
    }
}

fn read_claims(certificate: &Parsed) -> Result<(Claims, UserUri), CredentialError> {
    let names = Names::read(certificate)?;
    let user = names.user()?.clone();
    if user.is_pseudonym() {
        return Err(CredentialError::Pseudonym);
    }
    if names.unmapped || names.client.is_some() {
        return Err(CredentialError::UnmappedContent);
    }
    let named = [
        (ClaimName::UserUri, Some(user.as_str().to_owned())),
        (ClaimName::Handle, names.handle),
        (ClaimName::DisplayName, names.common_name),
        (ClaimName::Email, names.email),
        (ClaimName::AgeOver18, names.age_over_18.then(|| ClaimName::TRUE.to_owned())),
    ];
    let claims: Claims = named.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    check_claims(&claims, user.domain())?;
    Ok((claims, user))
}

fn last_issuer(chain: &CertificateChain) -> Result<Vec<u8>, CredentialError> {
    let last = chain.certificates().last().ok_or(CredentialError::Malformed)?;
    octets(Parsed::from_der(last)?.issuer())
}
