use std::collections::BTreeSet;

use mimi_pseudonym::{Entropy, PublicKey, SignError, Signer};

use super::{
    base64url,
    claims::{Array, Element, Object, Value, write_plain},
    confirmation::write_confirmation,
    hash::HashAlgorithm,
    json::write_string,
    sign::sign_jwt,
    token::Limits,
};

/// Names whose hiding would let a holder change whether a token is valid (RFC 9901, section 9.7).
const NEVER_HIDDEN: [&str; 4] = ["iss", "aud", "exp", "nbf"];

/// Issues SD-JWTs (RFC 9901, section 4).
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    signer: &'a dyn Signer,
    token_type: &'a str,
    key_id: &'a str,
    hash: HashAlgorithm,
}

/// Why claims cannot be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A claim is named `_sd`, `_sd_alg` or `...`, or, at the top, `cnf`, which the holder's key becomes.
    #[error("a reserved name is used as a claim name")]
    ReservedName,
    /// An object has two members of one name.
    #[error("an object has two members of one name")]
    DuplicateMember,
    /// A claim on which the validity of the token depends is hidden.
    #[error("a claim on which the validity depends is hidden")]
    HiddenValidity,
    /// Objects and arrays are nested deeper than [`Limits`] allows by default.
    #[error("objects and arrays are nested too deeply")]
    TooDeep,
    /// The generator gave the same salt twice, so it is broken.
    #[error("the generator repeats itself")]
    Entropy,
    /// The signer failed.
    #[error("the token cannot be signed")]
    Sign(#[from] SignError),
}

/// A token that is being made.
struct Making<'e> {
    entropy: &'e mut dyn Entropy,
    hash: HashAlgorithm,
    disclosures: String,
    salts: BTreeSet<String>,
}

impl<'a> Issuer<'a> {
    /// An issuer that signs with this key, and names its tokens by this `typ`: for example `example+sd-jwt`.
    pub fn new(signer: &'a dyn Signer, token_type: &'a str) -> Self {
        Self { signer, token_type, key_id: "", hash: HashAlgorithm::Sha256 }
    }

    /// Puts an identifier of the key into the header.
    #[must_use]
    pub fn with_key_id(self, key_id: &'a str) -> Self {
        Self { key_id, ..self }
    }

    /// Takes another hash algorithm than SHA-256.
    #[must_use]
    pub fn with_hash(self, hash: HashAlgorithm) -> Self {
        Self { hash, ..self }
    }

    /// Issues a token for a holder's key, in compact serialization and with all its disclosures. Every disclosure has
    /// its own salt of 128 bits.
    ///
    /// # Errors
    /// [`IssueError`].
    pub fn issue(&self, claims: &Object, holder: &PublicKey, entropy: &mut dyn Entropy) -> Result<String, IssueError> {
        for (name, _, hidden) in &claims.members {
            if name == "cnf" {
                return Err(IssueError::ReservedName);
            }
            if *hidden && NEVER_HIDDEN.contains(&name.as_str()) {
                return Err(IssueError::HiddenValidity);
            }
        }
        let mut making = Making { entropy, hash: self.hash, disclosures: String::new(), salts: BTreeSet::new() };
        let mut payload = String::new();
        making.object(claims, 0, &mut payload)?;
        payload.pop();
        payload.push_str(if payload.len() > 1 { ",\"_sd_alg\":" } else { "\"_sd_alg\":" });
        write_string(self.hash.name(), &mut payload);
        payload.push_str(",\"cnf\":");
        write_confirmation(holder, &mut payload);
        payload.push('}');
        let jwt = sign_jwt(self.token_type, self.key_id, &payload, self.signer)?;
        Ok(format!("{jwt}~{}", making.disclosures))
    }
}

impl Making<'_> {
    fn value(&mut self, value: &Value, depth: usize, out: &mut String) -> Result<(), IssueError> {
        match value {
            Value::Array(array) => self.array(array, depth, out),
            Value::Object(object) => self.object(object, depth, out),
            plain => {
                write_plain(plain, out);
                Ok(())
            }
        }
    }

    fn object(&mut self, object: &Object, depth: usize, out: &mut String) -> Result<(), IssueError> {
        let depth = deeper(depth)?;
        let mut names = BTreeSet::new();
        let mut digests = BTreeSet::new();
        out.push('{');
        let body = out.len();
        for (name, value, hidden) in &object.members {
            if matches!(name.as_str(), "_sd" | "_sd_alg" | "...") {
                return Err(IssueError::ReservedName);
            }
            if !names.insert(name) {
                return Err(IssueError::DuplicateMember);
            }
            if *hidden {
                digests.insert(self.disclosure(Some(name), value, depth)?);
            } else {
                separate(body, out);
                write_string(name, out);
                out.push(':');
                self.value(value, depth, out)?;
            }
        }
        for _ in 0..object.decoys {
            digests.insert(self.decoy());
        }
        // In the order of the digests, which says nothing about the order of the claims.
        if !digests.is_empty() {
            separate(body, out);
            out.push_str("\"_sd\":[");
            let list = out.len();
            for digest in digests {
                separate(list, out);
                write_string(&digest, out);
            }
            out.push(']');
        }
        out.push('}');
        Ok(())
    }

    fn array(&mut self, array: &Array, depth: usize, out: &mut String) -> Result<(), IssueError> {
        let depth = deeper(depth)?;
        out.push('[');
        let body = out.len();
        for element in &array.elements {
            separate(body, out);
            let digest = match element {
                Element::Plain(value) => {
                    self.value(value, depth, out)?;
                    continue;
                }
                Element::Hidden(value) => self.disclosure(None, value, depth)?,
                Element::Decoy => self.decoy(),
            };
            out.push_str("{\"...\":");
            write_string(&digest, out);
            out.push('}');
        }
        out.push(']');
        Ok(())
    }

    /// Makes a disclosure; gives its digest.
    fn disclosure(&mut self, name: Option<&str>, value: &Value, depth: usize) -> Result<String, IssueError> {
        let salt = base64url::encode(&self.entropy.bits128());
        let mut json = String::from("[");
        write_string(&salt, &mut json);
        if !self.salts.insert(salt) {
            return Err(IssueError::Entropy);
        }
        if let Some(name) = name {
            json.push(',');
            write_string(name, &mut json);
        }
        json.push(',');
        self.value(value, depth, &mut json)?;
        json.push(']');
        let disclosure = base64url::encode(json.as_bytes());
        let digest = self.hash.digest(&disclosure);
        self.disclosures.push_str(&disclosure);
        self.disclosures.push('~');
        Ok(digest)
    }

    fn decoy(&mut self) -> String {
        self.hash.digest(&base64url::encode(&self.entropy.bits256()))
    }
}

fn deeper(depth: usize) -> Result<usize, IssueError> {
    if depth < Limits::default().max_depth() { Ok(depth + 1) } else { Err(IssueError::TooDeep) }
}

/// A comma, unless nothing has been written since `body`.
fn separate(body: usize, out: &mut String) {
    if out.len() > body {
        out.push(',');
    }
}
