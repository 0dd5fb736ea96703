use std::fmt;

/// Certificates in DER, the leaf's own first, each one certified by the next (RFC 9420, section 5.3): 1 to 4 of them,
/// each of 1 to 8,192 octets. The anchor may be left out. `Debug` shows their number, never their content.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateChain(Vec<Vec<u8>>);

/// Why certificates are no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// None at all, or more than [`CertificateChain::MAX_CERTIFICATES`].
    #[error("a chain has 1 to 4 certificates, this one has {0}")]
    Count(usize),
    /// A certificate is empty or longer than [`CertificateChain::MAX_OCTETS`].
    #[error("a certificate has 1 to 8192 octets, this one has {0}")]
    Length(usize),
}

impl CertificateChain {
    /// The most certificates a chain has.
    pub const MAX_CERTIFICATES: usize = 4;
    /// The most octets a certificate has.
    pub const MAX_OCTETS: usize = 8192;

    /// The certificates, leaf first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }
}

impl TryFrom<Vec<Vec<u8>>> for CertificateChain {
    type Error = ChainError;

    fn try_from(certificates: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        if certificates.is_empty() || certificates.len() > Self::MAX_CERTIFICATES {
            return Err(ChainError::Count(certificates.len()));
        }
        match certificates.iter().find(|one| one.is_empty() || one.len() > Self::MAX_OCTETS) {
            Some(one) => Err(ChainError::Length(one.len())),
            None => Ok(Self(certificates)),
        }
    }
}

impl From<CertificateChain> for Vec<Vec<u8>> {
    fn from(chain: CertificateChain) -> Self {
        chain.0
    }
}

impl fmt::Debug for CertificateChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateChain({} certificates)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_kept() {
        assert_eq!(CertificateChain::try_from(vec![]), Err(ChainError::Count(0)));
        assert_eq!(CertificateChain::try_from(vec![vec![1]; 5]), Err(ChainError::Count(5)));
        assert_eq!(CertificateChain::try_from(vec![vec![1], vec![]]), Err(ChainError::Length(0)));
        assert_eq!(CertificateChain::try_from(vec![vec![1; 8193]]), Err(ChainError::Length(8193)));
        let certificates = vec![vec![1; 8192]; 4];
        let chain = CertificateChain::try_from(certificates.clone()).unwrap();
        assert_eq!(format!("{chain:?}"), "CertificateChain(4 certificates)");
        assert_eq!(Vec::from(chain), certificates);
    }
}
