//! Keys, and tokens put together by hand so that each rule can be broken alone.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod pem;

use ciborium::Value;
use coset_sd_cwt::{
    AcceptParams, Credential, Limits, NoAeadKeys, PublicKey, SignatureAlgorithm, Signer, SoftwareSigner, TrustedIssuer,
    UnverifiedCredential, UnverifiedPresentation, Verified, VerifyError, VerifyParams,
};

pub const NOW: i64 = 1_790_000_200;
pub const ISSUER: &str = "https://issuer.example";
pub const AUDIENCE: &str = "https://verifier.example/app";
pub const NONCE: &[u8] = b"nonce of the verifier";

pub const ALGORITHMS: [SignatureAlgorithm; 4] =
    [SignatureAlgorithm::Ed25519, SignatureAlgorithm::Esp256, SignatureAlgorithm::Esp384, SignatureAlgorithm::Esp512];

pub fn signer(algorithm: SignatureAlgorithm, seed: u8) -> SoftwareSigner {
    let length = match algorithm {
        SignatureAlgorithm::Esp384 => 48,
        SignatureAlgorithm::Esp512 => 66,
        _ => 32,
    };
    let mut secret = vec![seed; length];
    secret[0] = 0;
    SoftwareSigner::new(algorithm, &secret).unwrap()
}

pub fn issuers(signer: &dyn Signer) -> [TrustedIssuer; 1] {
    [TrustedIssuer { name: ISSUER.to_owned(), key: signer.public_key() }]
}

/// A counter as generator: different bytes each time, the same in each test.
pub fn entropy() -> impl FnMut(&mut [u8]) {
    let mut count = 0u64;
    move |buffer: &mut [u8]| {
        count += 1;
        buffer.fill(0);
        buffer[..8].copy_from_slice(&count.to_be_bytes());
    }
}

pub fn redact(value: impl Into<Value>) -> Value {
    Value::Tag(58, Box::new(value.into()))
}

pub fn decoy(number: u64) -> Value {
    Value::Tag(62, Box::new(Value::from(number)))
}

/// The registered claims, and further ones.
pub fn claims(holder: &PublicKey, further: Vec<(Value, Value)>) -> Value {
    let mut all = vec![
        (Value::from(1), Value::from(ISSUER)),
        (Value::from(2), Value::from("https://device.example")),
        (Value::from(4), Value::from(NOW + 1000)),
        (Value::from(6), Value::from(NOW - 100)),
        (Value::from(8), holder.to_cnf()),
    ];
    all.extend(further);
    Value::Map(all)
}

pub fn params<'a>(issuers: &'a [TrustedIssuer]) -> VerifyParams<'a> {
    VerifyParams {
        issuers,
        audience: AUDIENCE,
        credential_audiences: &[],
        nonce: NONCE,
        now: NOW,
        leeway: 10,
        holder_keys: &[],
        aead_keys: &NoAeadKeys,
    }
}

pub fn accept(token: &[u8], issuers: &[TrustedIssuer], holder: &PublicKey) -> Credential {
    UnverifiedCredential::parse(token, &Limits::default())
        .unwrap()
        .accept(&AcceptParams { issuers, holder_key: holder, now: NOW, leeway: 10, aead_keys: &NoAeadKeys })
        .unwrap()
}

/// A map with its entries sorted, at every depth, so that two can be compared.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.sort_by_key(|entry| format!("{:?}", entry.0));
            Value::Map(entries)
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(sorted).collect()),
        Value::Tag(tag, inner) => Value::Tag(tag, Box::new(sorted(*inner))),
        other => other,
    }
}

// Raw CBOR.

pub fn head(major: u8, number: u64) -> Vec<u8> {
    let major = major << 5;
    match number {
        0..=23 => vec![major | number as u8],
        24..=0xff => vec![major | 24, number as u8],
        0x100..=0xffff => [&[major | 25][..], &(number as u16).to_be_bytes()].concat(),
        _ => [&[major | 26][..], &(number as u32).to_be_bytes()].concat(),
    }
}

pub fn int(number: i64) -> Vec<u8> {
    if number < 0 { head(1, !number as u64) } else { head(0, number as u64) }
}

pub fn bstr(bytes: &[u8]) -> Vec<u8> {
    [&head(2, bytes.len() as u64), bytes].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [&head(3, text.len() as u64), text.as_bytes()].concat()
}

pub fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

pub type Entry = (Vec<u8>, Vec<u8>);

pub fn map(entries: &[Entry]) -> Vec<u8> {
    let body: Vec<u8> = entries.iter().flat_map(|(key, value)| [key.clone(), value.clone()].concat()).collect();
    [head(5, entries.len() as u64), body].concat()
}

pub fn tag(number: u64, item: &[u8]) -> Vec<u8> {
    [&head(6, number), item].concat()
}

pub fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

/// The encoded key of a map's digests.
pub const REDACTED: [u8; 2] = [0xf8, 59];

/// A disclosure, with the head of its byte string, and its SHA-256 digest.
pub fn disclosure(items: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let disclosure = bstr(&array(items));
    let digest = ring::digest::digest(&ring::digest::SHA256, &disclosure).as_ref().to_vec();
    (disclosure, digest)
}

pub fn salt(number: u8) -> Vec<u8> {
    bstr(&[number; 16])
}

/// A valid presentation in parts.
pub struct Forge {
    pub issuer: SoftwareSigner,
    pub holder: SoftwareSigner,
    pub protected: Vec<Entry>,
    pub unprotected: Vec<Entry>,
    pub claims: Vec<Entry>,
    pub binding_protected: Vec<Entry>,
    pub binding_unprotected: Vec<Entry>,
    pub binding_claims: Vec<Entry>,
}

impl Forge {
    pub fn new() -> Self {
        Self::with(SignatureAlgorithm::Ed25519, SignatureAlgorithm::Esp256)
    }

    pub fn with(issuer: SignatureAlgorithm, holder: SignatureAlgorithm) -> Self {
        let (issuer, holder) = (signer(issuer, 1), signer(holder, 2));
        Self {
            protected: vec![
                (int(1), int(issuer.public_key().algorithm().id())),
                (int(16), int(293)),
                (int(170), int(-16)),
            ],
            unprotected: vec![],
            claims: vec![
                (int(1), text(ISSUER)),
                (int(2), text("https://device.example")),
                (int(4), int(NOW + 1000)),
                (int(6), int(NOW - 100)),
                (int(8), encoded(&holder.public_key().to_cnf())),
            ],
            binding_protected: vec![(int(1), int(holder.public_key().algorithm().id())), (int(16), int(294))],
            binding_unprotected: vec![],
            binding_claims: vec![(int(3), text(AUDIENCE)), (int(6), int(NOW - 5)), (int(39), bstr(NONCE))],
            issuer,
            holder,
        }
    }

    pub fn set(entries: &mut Vec<Entry>, label: i64, value: Vec<u8>) {
        Self::remove(entries, label);
        entries.push((int(label), value));
    }

    pub fn remove(entries: &mut Vec<Entry>, label: i64) {
        entries.retain(|entry| entry.0 != int(label));
    }

    /// Adds digests at the top of the claims.
    pub fn redact(mut self, digests: &[Vec<u8>]) -> Self {
        let digests: Vec<_> = digests.iter().map(|digest| bstr(digest)).collect();
        self.claims.push((REDACTED.to_vec(), array(&digests)));
        self
    }

    pub fn disclose(mut self, disclosures: &[Vec<u8>]) -> Self {
        self.unprotected.push((int(17), array(disclosures)));
        self
    }

    pub fn sign1(protected: &[u8], unprotected: &[u8], payload: &[u8], signer: &dyn Signer) -> Vec<u8> {
        let tbs = array(&[text("Signature1"), bstr(protected), bstr(&[]), bstr(payload)]);
        let signature = signer.sign(&tbs).unwrap();
        tag(18, &array(&[bstr(protected), unprotected.to_vec(), bstr(payload), bstr(&signature)]))
    }

    pub fn credential(&self) -> Vec<u8> {
        self.credential_of(&map(&self.claims))
    }

    pub fn credential_of(&self, payload: &[u8]) -> Vec<u8> {
        Self::sign1(&map(&self.protected), &map(&self.unprotected), payload, &self.issuer)
    }

    pub fn token(&self) -> Vec<u8> {
        self.token_of(&self.credential())
    }

    pub fn token_of(&self, kcwt: &[u8]) -> Vec<u8> {
        let mut protected = self.binding_protected.clone();
        protected.push((int(13), kcwt.to_vec()));
        let unprotected = map(&self.binding_unprotected);
        Self::sign1(&map(&protected), &unprotected, &map(&self.binding_claims), &self.holder)
    }

    pub fn verify(&self) -> Result<Verified, VerifyError> {
        let issuers = issuers(&self.issuer);
        self.verify_under(&params(&issuers))
    }

    pub fn verify_under(&self, params: &VerifyParams<'_>) -> Result<Verified, VerifyError> {
        UnverifiedPresentation::parse(&self.token(), &Limits::default()).unwrap().verify(params)
    }
}
