use std::fmt;

use mimi_pseudonym::{
    CipherSuite, ClaimName, ClientUri, DecodeError, DisclosureFormat, PublicKey, Reader, Signer, UserUri, Wire, Writer,
};

use crate::{
    codec::{check_count, wire_struct},
    label::{RequestSignError, RequestVerifyError, sign_with_label, verify_with_label},
};

const LABEL: &str = "MimiCredentialRequest";

const CLAIM_CODES: [(ClaimName, u8); 5] = [
    (ClaimName::UserUri, 1),
    (ClaimName::Handle, 2),
    (ClaimName::DisplayName, 3),
    (ClaimName::Email, 4),
    (ClaimName::AgeOver18, 5),
];

/// The code of a claim; 0 for one that has none yet.
pub fn claim_code(name: ClaimName) -> u8 {
    CLAIM_CODES.into_iter().find(|(known, _)| *known == name).map_or(0, |(_, code)| code)
}

/// The claim of a code.
pub fn claim_from_code(code: u8) -> Option<ClaimName> {
    CLAIM_CODES.into_iter().find(|(_, known)| *known == code).map(|(name, _)| name)
}

const FORMAT_CODES: [(DisclosureFormat, u8); 3] =
    [(DisclosureFormat::X509, 1), (DisclosureFormat::SdJwt, 2), (DisclosureFormat::SdCwt, 3)];

/// 0 for a format that has no code yet.
fn format_code(format: DisclosureFormat) -> u8 {
    FORMAT_CODES.into_iter().find(|(known, _)| *known == format).map_or(0, |(_, code)| code)
}

/// The claims that are wanted, none twice.
fn read_claims(reader: &mut Reader<'_>) -> Result<Vec<ClaimName>, DecodeError> {
    let mut claims = Vec::new();
    for code in reader.vector()? {
        let name = claim_from_code(*code).ok_or(DecodeError::Value { field: "disclose", value: u64::from(*code) })?;
        if claims.contains(&name) {
            return Err(DecodeError::Rule { field: "disclose", rule: "a claim stands twice" });
        }
        claims.push(name);
    }
    Ok(claims)
}

fn read_format(reader: &mut Reader<'_>) -> Result<DisclosureFormat, DecodeError> {
    let code = reader.u8()?;
    let known = FORMAT_CODES.into_iter().find(|(_, known)| *known == code);
    known.map(|(format, _)| format).ok_or(DecodeError::Value { field: "format", value: u64::from(code) })
}

/// What is wanted of a credential, whoever it is for: suite, key, claims, format.
type Wanted = (CipherSuite, PublicKey, Vec<ClaimName>, DisclosureFormat);

pub(super) fn read_wanted(reader: &mut Reader<'_>) -> Result<Wanted, DecodeError> {
    let suite = CipherSuite::read(reader)?;
    Ok((suite, PublicKey::read(reader, suite)?, read_claims(reader)?, read_format(reader)?))
}

pub(super) fn write_wanted(
    suite: CipherSuite,
    key: &PublicKey,
    claims: &[ClaimName],
    format: DisclosureFormat,
    writer: &mut Writer,
) {
    suite.write(writer);
    writer.vector(key.as_bytes());
    let codes: Vec<u8> = claims.iter().copied().map(claim_code).collect();
    writer.vector(&codes);
    writer.u8(format_code(format));
}

/// Proves that the key is held for which a credential is wanted, if it is the signer's and of the scheme of its suite.
pub(super) fn prove(
    suite: CipherSuite,
    key: &PublicKey,
    label: &str,
    tbs: &impl Wire,
    signer: &dyn Signer,
) -> Result<Vec<u8>, RequestSignError> {
    if signer.public_key() != key || key.scheme() != suite.signature_scheme() {
        return Err(RequestSignError::Key);
    }
    Ok(sign_with_label(signer, label, &tbs.encode())?)
}

/// What a client wants a credential for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialItemTbs {
    /// Whose credential: an account or one of its pseudonyms.
    pub subject: UserUri,
    /// The suite it is for.
    pub cipher_suite: CipherSuite,
    /// The key it is for, of the suite's scheme.
    pub public_key: PublicKey,
    /// The claims a disclosure credential should make, none twice; no such credential if empty.
    pub disclose: Vec<ClaimName>,
    /// The format of that credential.
    pub format: DisclosureFormat,
}

impl Wire for CredentialItemTbs {
    const MAX_LEN: usize = 4096;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let subject = Wire::read(reader)?;
        let (cipher_suite, public_key, disclose, format) = read_wanted(reader)?;
        Ok(Self { subject, cipher_suite, public_key, disclose, format })
    }

    fn write(&self, writer: &mut Writer) {
        self.subject.write(writer);
        write_wanted(self.cipher_suite, &self.public_key, &self.disclose, self.format, writer);
    }
}

/// A request for one credential as it came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedCredentialItem {
    tbs: CredentialItemTbs,
    proof: Vec<u8>,
}

wire_struct!(UnverifiedCredentialItem, 8192, { tbs, proof });

impl UnverifiedCredentialItem {
    /// Checks that the client holds the key.
    ///
    /// # Errors
    /// [`RequestVerifyError::Signature`]
    pub fn verify(self) -> Result<CredentialItem, RequestVerifyError> {
        verify_with_label(&self.tbs.public_key, LABEL, &self.tbs.encode(), &self.proof)?;
        Ok(CredentialItem(self))
    }
}

/// A request for one credential by a client that holds the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialItem(UnverifiedCredentialItem);

impl CredentialItem {
    /// Proves that the key is held.
    ///
    /// # Errors
    /// [`RequestSignError`]: the signer's key must be the one in the request, of the scheme of its suite.
    pub fn sign(tbs: CredentialItemTbs, signer: &dyn Signer) -> Result<Self, RequestSignError> {
        let proof = prove(tbs.cipher_suite, &tbs.public_key, LABEL, &tbs, signer)?;
        Ok(Self(UnverifiedCredentialItem { tbs, proof }))
    }

    /// The fields.
    pub fn tbs(&self) -> &CredentialItemTbs {
        &self.0.tbs
    }
}

impl From<CredentialItem> for UnverifiedCredentialItem {
    fn from(item: CredentialItem) -> Self {
        item.0
    }
}

/// Asks for credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialsRequest {
    /// One for each credential: 1 to 1,000.
    pub items: Vec<UnverifiedCredentialItem>,
}

wire_struct!(CredentialsRequest, 1 << 21, { items: list }, |request| check_count(&request.items, 1..=1000, "items"));

/// A credential that discloses claims, for the key of one leaf: it is of no use in any other. `Debug` shows its format and
/// length alone.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuedDisclosure {
    /// Certificates in DER, the identity's own first: 1 to 16.
    X509(Vec<Vec<u8>>),
    /// An SD-JWT in compact form, without a key binding.
    SdJwt(Vec<u8>),
    /// An SD-CWT, without a key binding.
    SdCwt(Vec<u8>),
}

impl IssuedDisclosure {
    /// Its format.
    pub const fn format(&self) -> DisclosureFormat {
        match self {
            Self::X509(_) => DisclosureFormat::X509,
            Self::SdJwt(_) => DisclosureFormat::SdJwt,
            Self::SdCwt(_) => DisclosureFormat::SdCwt,
        }
    }
}

impl Wire for IssuedDisclosure {
    const MAX_LEN: usize = 1 << 17;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match read_format(reader)? {
            DisclosureFormat::SdJwt => Self::SdJwt(reader.vector()?.to_vec()),
            DisclosureFormat::SdCwt => Self::SdCwt(reader.vector()?.to_vec()),
            _ => {
                let certificates = reader.list()?;
                check_count(&certificates, 1..=16, "disclosure")?;
                Self::X509(certificates)
            }
        })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u8(format_code(self.format()));
        match self {
            Self::X509(certificates) => writer.list(certificates),
            Self::SdJwt(token) | Self::SdCwt(token) => writer.vector(token),
        }
    }
}

impl fmt::Debug for IssuedDisclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = match self {
            Self::X509(certificates) => certificates.iter().map(Vec::len).sum(),
            Self::SdJwt(token) | Self::SdCwt(token) => token.len(),
        };
        write!(f, "IssuedDisclosure({}, {length} octets)", self.format())
    }
}

/// A credential and what goes with it. `Debug` shows no certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedCredential {
    /// The client the credential names.
    pub client: ClientUri,
    /// Certificates in DER, the leaf's own first.
    pub leaf: Vec<Vec<u8>>,
    /// What discloses claims, if that was asked for.
    pub disclosure: Option<IssuedDisclosure>,
}

impl Wire for IssuedCredential {
    const MAX_LEN: usize = 1 << 18;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (client, leaf) = (Wire::read(reader)?, reader.list()?);
        check_count(&leaf, 1..=16, "leaf")?;
        Ok(Self { client, leaf, disclosure: reader.optional()? })
    }

    fn write(&self, writer: &mut Writer) {
        self.client.write(writer);
        writer.list(&self.leaf);
        writer.optional(self.disclosure.as_ref());
    }
}

impl fmt::Debug for IssuedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCredential")
            .field("client", &self.client)
            .field("certificates", &self.leaf.len())
            .field("disclosure", &self.disclosure)
            .finish()
    }
}

/// The credentials, in the order they were asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CredentialsResponse {
    /// One for each item of the request.
    pub items: Vec<IssuedCredential>,
}

wire_struct!(CredentialsResponse, 1 << 24, { items: list }, |response| check_count(&response.items, 1..=1000, "items"));
