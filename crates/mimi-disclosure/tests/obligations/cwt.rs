//! SD-CWTs with other content than ours.

use ciborium::Value;
use coset_sd_cwt::{
    AcceptParams, AeadAlgorithm, AeadKey, Entropy, IssueParams, Label, Limits, NoAeadKeys, PathStep, PresentParams,
    Selection, SignatureAlgorithm, Signer as _, SoftwareSigner, TrustedIssuer, UnverifiedCredential,
};
use mimi_disclosure::{
    ClaimFault, Disclosure, HoldError, Holding, IdentityCredential, Obligation, PolicyBreach, SD_CWT,
    UnverifiedPresentation, VerifyError,
};
use mimi_pseudonym::{CipherSuite, ClaimName, Content, Signer as _, SigningKey, UserUri};

use crate::{
    formats::issuer_key,
    world::{ALICE, DAY, World, domain},
};

/// Octets that do not repeat.
fn entropy() -> impl Entropy {
    let mut next = 0;
    move |buffer: &mut [u8]| {
        next += 1;
        buffer.fill(next);
    }
}

fn cose(key: &SigningKey) -> SoftwareSigner {
    let algorithm =
        if key.public_key().as_bytes().len() == 32 { SignatureAlgorithm::Ed25519 } else { SignatureAlgorithm::Esp256 };
    SoftwareSigner::new(algorithm, key.secret()).unwrap()
}

fn hidden(label: impl Into<Value>) -> Value {
    Value::Tag(58, Box::new(label.into()))
}

/// An issuer, an end, a key and an account.
fn base(world: &World) -> Vec<(Value, Value)> {
    vec![
        (1.into(), "mimi://a.example".into()),
        (4.into(), Value::from(world.now.after(DAY).as_secs())),
        (8.into(), cose(&world.signer).public_key().to_cnf()),
        (hidden(2), ALICE.into()),
    ]
}

fn issue(claims: Vec<(Value, Value)>) -> Vec<u8> {
    let params = IssueParams::default();
    coset_sd_cwt::issue(&Value::Map(claims), &params, &cose(&issuer_key(1)), &mut entropy()).unwrap()
}

/// Presents a token with everything disclosed, save what is in `sealed`.
fn present(world: &World, token: &[u8], sealed: &[&str], at: mimi_pseudonym::Timestamp) -> Content {
    let key = cose(&issuer_key(1)).public_key();
    let name = UnverifiedCredential::parse(token, &Limits::default()).unwrap().claimed_issuer().map(str::to_owned);
    let issuers = [TrustedIssuer { name: name.unwrap_or_default(), key }];
    let signer = cose(&world.signer);
    let params = AcceptParams {
        issuers: &issuers,
        holder_key: &signer.public_key(),
        now: world.now.as_secs() as i64,
        leeway: 0,
        aead_keys: &NoAeadKeys,
    };
    let credential = UnverifiedCredential::parse(token, &Limits::default()).unwrap().accept(&params).unwrap();
    let secret = AeadKey::new(AeadAlgorithm::default(), &[1; 16]).unwrap();
    let mut selection = Selection::nothing();
    for disclosure in credential.disclosures() {
        let is_sealed = sealed.iter().any(|label| disclosure.path() == [PathStep::Key(Label::from(*label))]);
        selection = if is_sealed { selection.seal(disclosure, &secret) } else { selection.disclose(disclosure) };
    }
    let params = PresentParams {
        audience: world.room.as_str(),
        nonce: &world.nonce,
        issued_at: at.as_secs() as i64,
        additional: &[],
    };
    let body = credential.present(&selection, &params, &signer, &mut entropy()).unwrap();
    Content { media_type: SD_CWT.into(), body }
}

fn verify(world: &World, content: &Content) -> Result<Disclosure, VerifyError> {
    let presentation = UnverifiedPresentation::try_from(content).unwrap();
    presentation.verify(&world.context(), &world.policy, &world.trust, world.now)
}

#[test]
fn whatever_no_policy_can_name_is_refused() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        let with = |more: Vec<(Value, Value)>| [base(&world), more].concat();
        let unmapped = Err(VerifyError::Claims(ClaimFault::Unmapped));
        let malformed = Err(VerifyError::Claims(ClaimFault::Malformed(ClaimName::DisplayName)));
        let age = VerifyError::Claims(ClaimFault::Malformed(ClaimName::AgeOver18));
        // It is read, and the policy does not name it.
        let of_age = VerifyError::Policy(PolicyBreach::Forbidden(ClaimName::AgeOver18));
        let nested = || Value::Map(vec![("family_name".into(), "Smith".into())]);
        let mut named = base(&world);
        if let Value::Map(cnf) = &mut named[2].1
            && let Value::Map(key) = &mut cnf[0].1
        {
            key.push((2.into(), Value::Bytes(b"Alice Smith".to_vec())));
        }
        let cases = [
            (base(&world), Ok(())),
            (with(vec![(11.into(), "https://a.example/identity".into()), (7.into(), Value::Bytes(vec![1]))]), Ok(())),
            (with(vec![(hidden("name"), "Alice Smith".into())]), Ok(())),
            (with(vec![(170.into(), "Alice Smith".into())]), unmapped),
            (with(vec![(hidden("address"), "Main Street".into())]), unmapped),
            (with(vec![(11.into(), nested())]), unmapped),
            (with(vec![("sub".into(), ALICE.into())]), unmapped),
            (named, unmapped),
            (with(vec![(hidden("name"), nested())]), malformed),
            (with(vec![(hidden("name"), "Alice\n".into())]), malformed),
            (with(vec![(hidden("age_over_18"), true.into())]), Err(of_age)),
            (with(vec![(hidden("age_over_18"), false.into())]), Err(age)),
            (with(vec![(hidden("age_over_18"), "true".into())]), Err(age)),
            (with(vec![(hidden("age_over_18"), 1.into())]), Err(age)),
        ];
        for (at, (claims, expected)) in cases.into_iter().enumerate() {
            let outcome = verify(&world, &present(&world, &issue(claims), &[], world.now)).map(|_| ());
            assert_eq!(outcome, expected, "{at}");
        }
        let sealed = present(&world, &issue(with(vec![(hidden("name"), "Alice Smith".into())])), &["name"], world.now);
        assert_eq!(verify(&world, &sealed).map(|_| ()), unmapped);
    }
}

#[test]
fn a_token_without_issuer_or_end_is_refused() {
    for suite in CipherSuite::ALL {
        let world = World::new(suite);
        for missing in [0, 1] {
            let mut claims = base(&world);
            claims.remove(missing);
            let token = issue(claims);
            let error = verify(&world, &present(&world, &token, &[], world.now)).unwrap_err();
            assert_eq!((error, error.obligation()), (VerifyError::Incomplete, Obligation::Validity));
            let own = domain("a.example");
            let holding = Holding { domain: &own, key: &world.context_key, trust: &world.trust, now: world.now };
            assert_eq!(IdentityCredential::sd_cwt(&token, &holding).unwrap_err(), HoldError::Incomplete);
        }
    }
}

#[test]
fn the_account_is_one_of_the_issuers_domain() {
    let world = World::new(CipherSuite::P256Aes128P256);
    let pseudonym = UserUri::pseudonym(&domain("a.example"), [1; 16]);
    for (issuer, account, expected) in [
        ("mimi://a.example", "mimi://b.example/u/bob", VerifyError::ForeignDomain),
        ("mimi://a.example", pseudonym.as_str(), VerifyError::Claims(ClaimFault::Pseudonym)),
        ("mimi://b.example", ALICE, VerifyError::SdCwt(coset_sd_cwt::VerifyError::IssuerName)),
    ] {
        let mut claims = base(&world);
        claims[0].1 = issuer.into();
        claims[3].1 = account.into();
        let content = present(&world, &issue(claims), &[], world.now);
        assert_eq!(verify(&world, &content), Err(expected));
    }
}
