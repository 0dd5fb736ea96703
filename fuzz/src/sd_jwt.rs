//! SD-JWT: as octets, and with an issuer and a holder that sign whatever they are given.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use mimi_disclosure::sd_jwt::{
    Expectations, HeldSdJwt, Holder, IssuerKey, Limits, TokenExpectations, TokenType, TrustedIssuer, UnverifiedSdJwt,
};
use mimi_pseudonym::{Signer, SigningKey};
use ring::digest::{SHA256, digest};
use serde::de::IgnoredAny;

use crate::{
    chunks,
    world::{ISSUER, NONCE, NOW, ROOM, WORLD},
};

/// The octets of a token in compact form.
const COMPACT: u8 = 0;
/// The octets of a token in JSON.
const JSON: u8 = 1;
/// The parts of a presentation, to be signed.
const PRESENTED: u8 = 2;
/// The parts of a token, to be signed and held.
const ISSUED: u8 = 3;

pub fn run(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    match kind % 4 {
        COMPACT => UnverifiedSdJwt::parse(rest, &Limits::default()).is_ok_and(|token| verify(&token)),
        JSON => {
            let Ok(token) = UnverifiedSdJwt::parse_json(rest, &Limits::default()) else { return false };
            let compact = UnverifiedSdJwt::parse(token.compact().as_bytes(), &Limits::default());
            assert_eq!(compact.map(|again| again.compact().to_owned()).as_deref(), Ok(token.compact()));
            verify(&token)
        }
        PRESENTED => {
            let Some(text) = presented(&chunks::split(rest, 24)) else { return false };
            UnverifiedSdJwt::parse(text.as_bytes(), &Limits::default()).is_ok_and(|token| verify(&token))
        }
        _ => {
            let Some(text) = issued(&chunks::split(rest, 24)) else { return false };
            UnverifiedSdJwt::parse(text.as_bytes(), &Limits::default()).is_ok_and(hold)
        }
    }
}

fn issuers() -> [TrustedIssuer; 1] {
    [TrustedIssuer::new(ISSUER, vec![IssuerKey::new(WORLD.issuer_key.public_key()).expect("a key")])]
}

fn token_expectations(issuers: &[TrustedIssuer]) -> TokenExpectations<'_> {
    let leeway = Duration::from_secs(60);
    TokenExpectations { issuers, token_type: TokenType::AnySdJwt, required_claims: &["exp"], now: NOW, leeway }
}

fn verify(token: &UnverifiedSdJwt<'_>) -> bool {
    let (issuers, nonce) = (issuers(), BASE64.encode(NONCE));
    let expected = Expectations {
        token: token_expectations(&issuers),
        audience: ROOM,
        nonce: &nonce,
        holder: Holder::Key(WORLD.holder_key.public_key()),
        max_age: Duration::from_secs(600),
    };
    let Ok(verified) = token.verify(&expected) else { return false };
    // Another parser reads the processed payload too.
    serde_json::from_str::<IgnoredAny>(verified.payload().json()).expect("the processed payload is JSON");
    assert_eq!(verified.payload().text("iss").as_deref(), Some(ISSUER));
    assert!(verified.payload().time("exp").is_some());
    for name in verified.payload().names() {
        assert!(!matches!(&*name, "_sd" | "_sd_alg" | "..."), "{name}");
        assert!(verified.payload().claim(&name).is_some());
    }
    assert!(token.verify(&Expectations { audience: "mimi://hub.example/r/other", ..expected }).is_err());
    assert!(token.verify(&Expectations { nonce: "AAAA", ..expected }).is_err());
    assert!(token.verify(&Expectations { holder: Holder::Key(WORLD.issuer_key.public_key()), ..expected }).is_err());
    true
}

fn hold(token: UnverifiedSdJwt<'_>) -> bool {
    let issuers = issuers();
    let expected = token_expectations(&issuers);
    let Ok(held) = HeldSdJwt::new(token, &expected, WORLD.holder_key.public_key()) else { return false };
    let pointers: Vec<_> = held.pointers().map(|pointer| pointer.to_string()).collect();
    let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    let nonce = BASE64.encode(NONCE);
    for selected in [&pointers[..], &pointers[..pointers.len().min(1)], &[]] {
        // What must be disclosed, such as the end of validity, may be left out: then no one accepts it.
        let shown = held.present(selected, ROOM, &nonce, NOW, &WORLD.holder_key).expect("what is held can be shown");
        let token = UnverifiedSdJwt::parse(shown.as_bytes(), &Limits::default()).expect("what is shown can be read");
        let accepted = verify(&token);
        assert!(accepted || selected.len() < pointers.len(), "all is shown, and refused");
    }
    true
}

fn jwt(header: &[u8], payload: &[u8], key: &SigningKey) -> String {
    let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
    let signature = key.sign(signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", BASE64.encode(signature))
}

fn hash(text: &str) -> String {
    BASE64.encode(digest(&SHA256, text.as_bytes()))
}

/// Puts the digests of disclosures in the places of `$a`, `$b` and so on.
fn filled(part: &[u8], digests: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut rest = part;
    while let Some((first, after)) = rest.split_first() {
        let digest =
            after.first().filter(|_| *first == b'$').and_then(|at| digests.get(usize::from(at.wrapping_sub(b'a'))));
        match digest {
            Some(digest) => {
                out.extend_from_slice(digest.as_bytes());
                rest = &after[1..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// Header, payload, and disclosures, each of which may name those before it.
fn issued(parts: &[&[u8]]) -> Option<String> {
    let [header, payload, disclosures @ ..] = parts else { return None };
    let (mut digests, mut text) = (Vec::new(), String::new());
    for disclosure in disclosures {
        let disclosure = BASE64.encode(filled(disclosure, &digests));
        digests.push(hash(&disclosure));
        text.push_str(&disclosure);
        text.push('~');
    }
    Some(format!("{}~{text}", jwt(header, &filled(payload, &digests), &WORLD.issuer_key)))
}

/// Header and payload of the key binding, in which `$a` is the hash of the rest, and then as for a token.
pub fn presented(parts: &[&[u8]]) -> Option<String> {
    let [header, payload, token @ ..] = parts else { return None };
    let token = issued(token)?;
    let binding = jwt(header, &filled(payload, &[hash(&token)]), &WORLD.holder_key);
    Some(format!("{token}{binding}"))
}

/// The parts of tokens and presentations that are accepted.
pub fn parts(claims: &str, disclosures: &[&str]) -> Vec<Vec<u8>> {
    let now = NOW.as_secs();
    let x = BASE64.encode(WORLD.holder_key.public_key().as_bytes());
    let (room, nonce) = (ROOM, BASE64.encode(NONCE));
    let mut parts = vec![
        r#"{"alg":"EdDSA","typ":"kb+jwt"}"#.to_owned(),
        format!(r#"{{"iat":{now},"aud":"{room}","nonce":"{nonce}","sd_hash":"$a"}}"#),
        r#"{"alg":"EdDSA","typ":"mimi-identity+sd-jwt"}"#.to_owned(),
        format!(
            r#"{{"iss":"{ISSUER}","iat":{now},"exp":{},"cnf":{{"jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}{claims}}}"#,
            now + 1000
        ),
    ];
    parts.extend(disclosures.iter().map(|disclosure| (*disclosure).to_owned()));
    parts.into_iter().map(String::into_bytes).collect()
}

pub fn seeds() -> Vec<Vec<u8>> {
    let all = [
        parts("", &[]),
        parts(
            r#","_sd":["$a","$b"],"_sd_alg":"sha-256""#,
            &[r#"["s","name","Alice"]"#, r#"["t","sub","mimi://a.example/u/alice"]"#],
        ),
        parts(r#","list":[{"...":"$a"},"plain",{"...":"AAAA"}]"#, &[r#"["s",{"n":1.5e3}]"#]),
        parts(r#","o":{"_sd":["$b"]}"#, &[r#"["s","inner",[null,true,"\u00e9"]]"#, r#"["t","outer",{"_sd":["$a"]}]"#]),
    ];
    let mut seeds: Vec<_> = all.iter().map(|parts| chunks::join(PRESENTED, parts)).collect();
    seeds.extend(all.iter().map(|parts| chunks::join(ISSUED, &parts[2..])));
    for parts in &all {
        let borrowed: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let compact = presented(&borrowed).expect("a presentation");
        seeds.push([&[COMPACT], compact.as_bytes()].concat());
        seeds.push([&[JSON], flattened(&compact).as_bytes()].concat());
    }
    seeds
}

fn flattened(compact: &str) -> String {
    let mut between: Vec<&str> = compact.split('~').collect();
    let binding = between.pop().expect("a key binding");
    let jwt: Vec<&str> = between.remove(0).split('.').collect();
    let disclosures = between.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"payload":"{}","protected":"{}","signature":"{}","header":{{"disclosures":[{disclosures}],"kb_jwt":"{binding}"}}}}"#,
        jwt[1], jwt[0], jwt[2]
    )
}
