//! A room with a sender behind a pseudonym, and everything that can be wrong about them.

use std::{sync::Arc, time::Duration};

use mimi_credential::{CertificateChain, Issuer, TrustStore, Validity};
use mimi_disclosure::{
    Disclosure, DisclosurePolicy, IdentityCredential, PresentError, Selection, UnverifiedPresentation, VerifyError,
};
use mimi_pseudonym::{
    CipherSuite, ClaimName, Claims, ClientUri, Content, Domain, MessageContext, Nonce, PublicKey, RoomUri,
    SeededEntropy, SignatureScheme, Signer, SigningKey, Timestamp, UserUri, Writer,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SanType,
};

/// 2027-01-15.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const ALICE: &str = "mimi://a.example/u/alice";

pub fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

pub fn days(from: u32, to: u32) -> Validity {
    Validity { not_before: NOW.before(DAY * 100).after(DAY * from), not_after: NOW.before(DAY * 100).after(DAY * to) }
}

pub fn key(scheme: SignatureScheme, seed: u8) -> SigningKey {
    SigningKey::generate(scheme, &mut SeededEntropy::new([seed; 32])).unwrap()
}

/// Authorities with different seeds have different keys and names.
pub fn issuer(name: &str, seed: u8) -> Issuer {
    let signer = Arc::new(key(SignatureScheme::EcdsaP256Sha256, seed));
    Issuer::create(domain(name), signer, [seed; 16], days(0, 1000)).unwrap()
}

pub fn claims(pairs: &[(ClaimName, &str)]) -> Claims {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

pub fn alice() -> Claims {
    claims(&[(ClaimName::UserUri, ALICE), (ClaimName::DisplayName, "Alice Smith")])
}

/// Everything that `verify` looks at, good until it is changed.
pub struct World {
    pub leaf_key: SigningKey,
    /// Signs presentations; the key of the leaf.
    pub signer: SigningKey,
    pub context_key: PublicKey,
    pub sender: (UserUri, ClientUri),
    pub leaf: CertificateChain,
    pub identity: CertificateChain,
    pub policy: DisclosurePolicy,
    pub trust: TrustStore,
    pub now: Timestamp,
    pub issuer: Issuer,
    pub room: RoomUri,
    pub nonce: [u8; 32],
}

impl World {
    pub fn new(suite: CipherSuite) -> Self {
        let issuer = issuer("a.example", 1);
        let leaf_key = key(suite.signature_scheme(), 2);
        let sender = (UserUri::pseudonym(issuer.domain(), [7; 16]), ClientUri::pseudonym(issuer.domain(), [8; 16]));
        let public = leaf_key.public_key();
        Self {
            leaf: issuer.issue_leaf(&sender.0, &sender.1, public, [3; 16], days(0, 200)).unwrap(),
            identity: issuer.issue_identity(&alice(), public, [4; 16], days(0, 200)).unwrap(),
            context_key: public.clone(),
            policy: DisclosurePolicy::connection(),
            trust: TrustStore::default().with_anchor(issuer.certificate(), [domain("a.example")]).unwrap(),
            now: NOW,
            sender,
            signer: leaf_key.clone(),
            leaf_key,
            issuer,
            room: "mimi://hub.example/r/clubhouse".parse().unwrap(),
            nonce: [9; 32],
        }
    }

    pub fn context(&self) -> MessageContext {
        MessageContext::dangerous_new(
            self.room.clone(),
            7,
            self.sender.clone(),
            self.context_key.clone(),
            self.leaf.clone().into(),
            Nonce::from_bytes(self.nonce),
        )
    }

    pub fn selection(&self) -> Selection {
        Selection::new([ClaimName::UserUri, ClaimName::DisplayName], &DisclosurePolicy::connection()).unwrap()
    }

    pub fn present(&self) -> Result<Content, PresentError> {
        IdentityCredential::x509(self.identity.clone()).present(
            &self.selection(),
            &self.context(),
            &self.signer,
            self.now,
        )
    }

    /// Reads and verifies the identity, as a sender without scruples would send it.
    pub fn verify(&self) -> Result<Disclosure, VerifyError> {
        UnverifiedPresentation::try_from(&self.raw_content()).unwrap().verify(
            &self.context(),
            &self.policy,
            &self.trust,
            self.now,
        )
    }

    pub fn raw_content(&self) -> Content {
        let mut body = Writer::default();
        body.u16(2);
        body.list(self.identity.certificates());
        Content { media_type: "application/mls-credential".into(), body: body.into_octets() }
    }

    /// Shows an identity certificate with other content, from an authority of another implementation that is trusted
    /// as well.
    pub fn certify(&mut self, change: impl FnOnce(&mut CertificateParams)) {
        let mut root = dated();
        root.distinguished_name.push(DnType::CommonName, "Root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_key = Key(key(SignatureScheme::EcdsaP256Sha256, 30));
        let anchor = root.self_signed(&root_key).unwrap();
        let mut params = dated();
        params.subject_alt_names = vec![SanType::URI(ALICE.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 40])];
        change(&mut params);
        let issuer = rcgen::Issuer::new(root, root_key);
        let der = params.signed_by(&Key(self.leaf_key.clone()), &issuer).unwrap().der().to_vec();
        self.identity = vec![der].try_into().unwrap();
        self.trust = self.trust.clone().with_anchor(anchor.der(), [domain("a.example")]).unwrap();
    }
}

fn dated() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(vec![1, 2, 3].into());
    params
}

struct Key(SigningKey);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.0.public_key().scheme() {
            SignatureScheme::Ed25519 => &rcgen::PKCS_ED25519,
            _ => &rcgen::PKCS_ECDSA_P256_SHA256,
        }
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(payload).unwrap())
    }
}
