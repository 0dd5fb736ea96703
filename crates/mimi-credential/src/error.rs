/// Why a certificate is not accepted. Names no one: it can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// A certificate is no X.509 v3 certificate in DER, or octets are left after it.
    #[error("a certificate is malformed")]
    Malformed,
    /// A certificate is not certified by the one after it (RFC 9420, section 5.3).
    #[error("a certificate of the chain is not certified by the next one")]
    ChainOrder,
    /// No path leads to an anchor of the trust store.
    #[error("the issuer is not trusted")]
    UntrustedIssuer,
    /// The anchor is known, but may not speak for the domain of the subject.
    #[error("the issuer is not trusted for the domain of the subject")]
    NotTrustedForDomain,
    /// The subject's key is an anchor's key: a certificate cannot vouch for itself.
    #[error("the certificate vouches for itself")]
    SelfSigned,
    /// The subject's key is not the expected key, octet for octet and scheme for scheme.
    #[error("the certificate is for another key")]
    WrongKey,
    /// A certificate of the path, or its anchor, has run out.
    #[error("a certificate of the path has expired")]
    Expired,
    /// A certificate of the path, or its anchor, is not valid yet.
    #[error("a certificate of the path is not valid yet")]
    NotYetValid,
    /// A signature in the path does not verify.
    #[error("a signature in the path does not verify")]
    Signature,
    /// The leaf's keyUsage lacks digitalSignature.
    #[error("the certificate's key is not for signatures")]
    MissingKeyUsage,
    /// The leaf's extendedKeyUsage lacks id-kp-imUri (RFC 9734), or an issuer's leaves it out.
    #[error("the certificate is not for instant messaging")]
    MissingExtendedKeyUsage,
    /// An issuing certificate lacks keyCertSign.
    #[error("the key of an issuer is not for certificates")]
    MissingCertSign,
    /// A certificate that issued another is no CA certificate.
    #[error("an issuer is no certificate authority")]
    NotAnAuthority,
    /// The leaf is a CA certificate.
    #[error("the certificate is that of a certificate authority")]
    LeafIsAuthority,
    /// A name constraint or a path length is exceeded. Constraints on URIs cannot be met.
    #[error("a constraint of an issuer is not met")]
    Constraint,
    /// An extension is critical and not understood.
    #[error("a critical extension is not understood")]
    CriticalExtension,
    /// The subjectAltName has no MIMI user URI.
    #[error("the certificate has no user URI")]
    MissingUserUri,
    /// The subjectAltName of a leaf credential has no MIMI client URI.
    #[error("the certificate has no client URI")]
    MissingClientUri,
    /// More than one user URI, client URI or other claim of a kind, or a MIMI URI of another kind.
    #[error("the certificate has several names of a kind")]
    MixedNames,
    /// The names in the certificate are not of one domain.
    #[error("the names in the certificate are of different domains")]
    ForeignDomain,
    /// The certificate of a pseudonym has a client URI that is none, which links its rooms.
    #[error("the client of a pseudonym is not pseudonymous")]
    ClientNotPseudonymous,
    /// An identity certificate is for a pseudonym.
    #[error("an identity certificate is for a pseudonym")]
    Pseudonym,
    /// A name in the certificate breaks the rules of its kind.
    #[error("a name in the certificate is malformed")]
    MalformedName,
    /// The certificate of an identity or of a pseudonym says something that is no claim, so that no policy could
    /// forbid it: another kind of name, a subject attribute or an extension.
    #[error("the certificate has content that is no claim")]
    UnmappedContent,
}
