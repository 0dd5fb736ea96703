//! Tokens of the `sd-cwt` crate are read here, and ours there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/peer.rs"]
mod peer;

use ciborium::Value;
use common::*;
use coset_sd_cwt::*;

struct TheirSigner<'a>(&'a SoftwareSigner);

impl cose2::Signer for TheirSigner<'_> {
    fn alg(&self) -> Option<cose2::Label> {
        Some(self.0.public_key().algorithm().id().into())
    }
    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, cose2::Error> {
        Ok(self.0.sign(data).unwrap())
    }
}

fn theirs(value: &Value) -> cbor2::Value {
    cbor2::from_slice(&encoded(value)).unwrap()
}

fn further() -> Vec<(Value, Value)> {
    vec![
        (redact(501), Value::from("Alice")),
        (Value::from(502), Value::Array(vec![Value::from("DE"), redact("FR"), decoy(1)])),
        (
            redact(503),
            Value::Map(vec![(Value::from("country"), Value::from("NL")), (redact("city"), Value::from("Utrecht"))]),
        ),
        (decoy(2), Value::Null),
    ]
}

#[test]
fn we_read_theirs() {
    for algorithm in [SignatureAlgorithm::Ed25519, SignatureAlgorithm::Esp256] {
        let (issuer, holder) = (signer(algorithm, 1), signer(algorithm, 2));
        let (key, trusted) = (holder.public_key(), issuers(&issuer));
        let mut count = 0;
        let mut salts = move || {
            count += 1;
            [count; 16]
        };
        let made =
            sd_cwt::issue_from_preissuance(theirs(&claims(&key, further())), &mut salts, &peer::WholeHasher).unwrap();
        let mut message = cose2::Sign1Message::new(Some(cbor2::to_vec(&made.value).unwrap()));
        sd_cwt::set_sd_cwt_typ(&mut message.protected);
        sd_cwt::set_sd_alg(&mut message.protected, -16);
        sd_cwt::set_disclosures(&mut message.unprotected, made.disclosures.as_slice());
        let token = message.sign_and_encode(&TheirSigner(&issuer), None).unwrap();

        let credential = accept(&token, &trusted, &key);
        assert_eq!(credential.disclosures().len(), 6);
        assert_eq!(credential.claims().claim(503).unwrap().to_string(), r#"{"country":"NL","city":"Utrecht"}"#);
        let selection = Selection::nothing().disclose(credential.find_claim(501).unwrap());
        let params_ours = PresentParams { audience: AUDIENCE, nonce: NONCE, issued_at: NOW, additional: &[] };
        let presented = credential.present(&selection, &params_ours, &holder, &mut entropy()).unwrap();
        let verified =
            UnverifiedPresentation::parse(&presented, &Limits::default()).unwrap().verify(&params(&trusted)).unwrap();
        assert_eq!(verified.claims().claim(501).unwrap().as_text(), Some("Alice"));
        assert_eq!(verified.claims().claim(502).unwrap().to_string(), r#"["DE"]"#);
        assert_eq!(verified.claims().claim(503), None);
    }
}

#[test]
fn they_read_ours() {
    for algorithm in [SignatureAlgorithm::Ed25519, SignatureAlgorithm::Esp256] {
        let (issuer, holder) = (signer(algorithm, 1), signer(algorithm, 2));
        let (key, trusted) = (holder.public_key(), issuers(&issuer));
        let token = issue(&claims(&key, further()), &IssueParams::default(), &issuer, &mut entropy()).unwrap();
        let (their_issuer, their_holder) =
            (peer::TheirVerifier(issuer.public_key()), peer::TheirVerifier(holder.public_key()));
        let ours = |theirs: &cbor2::Value| -> Value {
            sorted(ciborium::from_reader(cbor2::to_vec(theirs).unwrap().as_slice()).unwrap())
        };
        let credential = accept(&token, &trusted, &key);
        let held = peer::restore(&token, &their_issuer, sd_cwt::RestoreMode::Holder).unwrap();
        assert_eq!(ours(&held), sorted(credential.claims().to_value().unwrap()));

        let selection = Selection::nothing().disclose(credential.find_claim(503).unwrap());
        let params_ours = PresentParams { audience: AUDIENCE, nonce: NONCE, issued_at: NOW, additional: &[] };
        let presented = credential.present(&selection, &params_ours, &holder, &mut entropy()).unwrap();
        let verified =
            UnverifiedPresentation::parse(&presented, &Limits::default()).unwrap().verify(&params(&trusted)).unwrap();
        let restored = peer::verify(&presented, &their_issuer, &their_holder).unwrap();
        assert_eq!(ours(&restored), sorted(verified.claims().to_value().unwrap()));
        assert!(peer::verify(&presented, &their_holder, &their_issuer).is_err());
    }
}

#[test]
fn digests_over_less_than_the_byte_string_are_refused() {
    let (issuer, holder) = (signer(SignatureAlgorithm::Ed25519, 1), signer(SignatureAlgorithm::Ed25519, 2));
    let (key, trusted) = (holder.public_key(), issuers(&issuer));
    let mut salts = || [7; 16];
    let marked = theirs(&claims(&key, vec![(redact(501), Value::from("Alice"))]));
    let made = sd_cwt::issue_from_preissuance(marked, &mut salts, &sd_cwt::Sha256RedactionHasher).unwrap();
    let mut message = cose2::Sign1Message::new(Some(cbor2::to_vec(&made.value).unwrap()));
    sd_cwt::set_sd_cwt_typ(&mut message.protected);
    sd_cwt::set_disclosures(&mut message.unprotected, made.disclosures.as_slice());
    let token = message.sign_and_encode(&TheirSigner(&issuer), None).unwrap();
    let accepted = UnverifiedCredential::parse(&token, &Limits::default()).unwrap().accept(&AcceptParams {
        issuers: &trusted,
        holder_key: &key,
        now: NOW,
        leeway: 10,
        aead_keys: &NoAeadKeys,
    });
    assert_eq!(accepted.err(), Some(AcceptError::Disclosure(DisclosureError::Unreferenced)));
}
