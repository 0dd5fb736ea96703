use std::time::Duration;

use mimi_pseudonym::{Domain, PublicKey, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert, ring};

use crate::{
    CertificateChain, CredentialError, IssuerId, TrustStore,
    certificate::{Parsed, octets},
};

/// `id-kp-imUri` as the content octets of its OBJECT IDENTIFIER.
const IM_URI: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x28];

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
    ring::ED25519,
];

/// What a verified path says beside the names in its leaf.
pub(crate) struct VerifiedPath {
    pub(crate) issuer: IssuerId,
    /// When the first certificate of the path, or its anchor, runs out.
    pub(crate) not_after: Timestamp,
}

/// Verifies what a leaf credential and an identity certificate have in common: issuer trusted for the domain, key as
/// expected, path valid now, usages.
pub(crate) fn verify_path(
    chain: &CertificateChain,
    (leaf, above): (&Parsed, &[Parsed]),
    domain: &Domain,
    expected_key: &PublicKey,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<VerifiedPath, CredentialError> {
    if trust.has_key(&octets(leaf.key_info())?) {
        return Err(CredentialError::SelfSigned);
    }
    check_order(leaf, above)?;
    let mut issuers = vec![octets(leaf.issuer())?];
    for certificate in above {
        issuers.push(octets(certificate.issuer())?);
    }
    let candidates = trust.candidates(&issuers, domain, now)?;
    if !leaf.has_key(expected_key) {
        return Err(CredentialError::WrongKey);
    }

    let anchor_ders: Vec<_> = candidates.iter().map(|(der, _)| CertificateDer::from(*der)).collect();
    let anchors: Vec<_> = anchor_ders.iter().map(anchor_from_trusted_cert).collect::<Result<_, _>>().map_err(reason)?;
    let ders: Vec<_> = chain.certificates().iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let (leaf_der, intermediates) = ders.split_first().ok_or(CredentialError::Malformed)?;
    let end_entity = EndEntityCert::try_from(leaf_der).map_err(reason)?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()));
    // webpki asks every certificate of the path for a usage it is told to require, so here it is asked for only where
    // usages are named at all; that the leaf names it is checked below.
    let usage = KeyUsage::required_if_present(IM_URI);
    let path =
        end_entity.verify_for_usage(ALGORITHMS, &anchors, intermediates, time, usage, None, None).map_err(reason)?;

    #[cfg(feature = "count")]
    count_signatures(leaf, chain, path.intermediate_certificates().count());

    // What webpki does not look at.
    if !leaf.may_sign()? {
        return Err(CredentialError::MissingKeyUsage);
    }
    if !leaf.is_for_messaging()? {
        return Err(CredentialError::MissingExtendedKeyUsage);
    }
    let mut not_after = leaf.not_after();
    for certificate in path.intermediate_certificates() {
        let certificate = Parsed::from_der(&certificate.der())?;
        if !certificate.may_sign_certificates()? {
            return Err(CredentialError::MissingCertSign);
        }
        not_after = not_after.min(certificate.not_after());
    }
    let used = anchors.iter().position(|anchor| anchor == path.anchor());
    let (_, anchor) = used.and_then(|at| candidates.get(at)).ok_or(CredentialError::UntrustedIssuer)?;
    Ok(VerifiedPath { issuer: anchor.id(), not_after: not_after.min(anchor.not_after()) })
}

/// One signature for each certificate of the path below its anchor.
#[cfg(feature = "count")]
fn count_signatures(leaf: &Parsed, chain: &CertificateChain, intermediates: usize) {
    use mimi_pseudonym::count::{Operation, count};
    let operation = if leaf.is_signed_with_ed25519() { Operation::VerifyEd25519 } else { Operation::VerifyP256 };
    for certificate in chain.certificates().iter().take(1 + intermediates) {
        count(operation, certificate.len());
    }
}

fn check_order(leaf: &Parsed, above: &[Parsed]) -> Result<(), CredentialError> {
    let mut below = leaf;
    for certificate in above {
        if below.issuer() != certificate.subject() {
            return Err(CredentialError::ChainOrder);
        }
        if !certificate.is_authority()? {
            return Err(CredentialError::NotAnAuthority);
        }
        below = certificate;
    }
    Ok(())
}

fn reason(error: Error) -> CredentialError {
    match error {
        Error::CertExpired { .. } => CredentialError::Expired,
        Error::CertNotValidYet { .. } => CredentialError::NotYetValid,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => CredentialError::MissingExtendedKeyUsage,
        Error::CaUsedAsEndEntity => CredentialError::LeafIsAuthority,
        Error::EndEntityUsedAsCa => CredentialError::NotAnAuthority,
        Error::UnknownIssuer => CredentialError::UntrustedIssuer,
        Error::InvalidSignatureForPublicKey
        | Error::SignatureAlgorithmMismatch
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => CredentialError::Signature,
        Error::NameConstraintViolation
        | Error::PathLenConstraintViolated
        | Error::MaximumNameConstraintComparisonsExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded => CredentialError::Constraint,
        Error::UnsupportedCriticalExtension => CredentialError::CriticalExtension,
        _ => CredentialError::Malformed,
    }
}
