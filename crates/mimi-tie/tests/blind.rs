//! Tokens: the vectors of RFC 9578 and RFC 9497, and what is refused.

#![cfg(feature = "blind")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../examples/waiting/simulation.rs"]
mod simulation;
mod vectors;

use mimi_pseudonym::{DecodeError, Entropy, SeededEntropy, Wire};
use mimi_tie::blind::{
    FinishError, IssueError, Issuer, IssuerKey, RedeemError, Token, TokenChallenge, TokenRequest, TokenResponse,
};
use vectors::{RFC_9497_VOPRF_P384, RFC_9578_TYPE_1, hex};

fn entropy(seed: u8) -> SeededEntropy {
    SeededEntropy::new([seed; 32])
}

/// Gives given octets, one after the other.
struct Given(Vec<u8>);

impl Entropy for Given {
    fn fill(&mut self, buffer: &mut [u8]) {
        let rest = self.0.split_off(buffer.len());
        buffer.copy_from_slice(&self.0);
        self.0 = rest;
    }
}

fn issuer(seed: u8) -> Issuer {
    Issuer::generate(&mut entropy(seed)).unwrap()
}

fn challenge() -> TokenChallenge {
    TokenChallenge::for_pseudonyms(&"a.example".parse().unwrap())
}

fn token(issuer: &Issuer, seed: u8) -> Token {
    let (request, pending) = TokenRequest::new(issuer.key(), &challenge(), &mut entropy(seed)).unwrap();
    let request = TokenRequest::decode(&request.encode()).unwrap();
    let response = issuer.issue(&request, &mut entropy(seed + 1)).unwrap();
    pending.finish(&TokenResponse::decode(&response.encode()).unwrap()).unwrap()
}

#[test]
fn the_vectors_of_rfc_9578_hold() {
    for vector in RFC_9578_TYPE_1 {
        let issuer = Issuer::from_secret(&hex(vector.secret).try_into().unwrap()).unwrap();
        assert_eq!(issuer.key().octets().as_slice(), hex(vector.public));
        let challenge = TokenChallenge::decode(&hex(vector.challenge)).unwrap();
        assert_eq!(challenge.encode(), hex(vector.challenge));
        let given = [hex(vector.nonce), hex(vector.blind)].concat();
        let (request, pending) = TokenRequest::new(issuer.key(), &challenge, &mut Given(given)).unwrap();
        assert_eq!(request.encode(), hex(vector.request));
        // The proof is random; the evaluated element in front of it is not.
        let ours = issuer.issue(&request, &mut entropy(1)).unwrap().encode();
        assert_eq!(ours[..49], hex(vector.response)[..49]);
        let token = pending.finish(&TokenResponse::decode(&hex(vector.response)).unwrap()).unwrap();
        assert_eq!(token.encode(), hex(vector.token));
        let token = Token::decode(&hex(vector.token)).unwrap();
        assert_eq!(issuer.redeem(&token, &challenge).unwrap().spent().as_slice(), hex(vector.nonce));
    }
}

#[test]
fn the_vectors_of_rfc_9497_hold() {
    use p384_oprf::NistP384;
    use rand_core::{TryCryptoRng, TryRng};
    use voprf_ng::{VoprfClient, VoprfServer};

    struct Octets(Vec<u8>);
    impl TryRng for Octets {
        type Error = std::convert::Infallible;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!()
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!()
        }
        fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
            Given(std::mem::take(&mut self.0)).fill(to);
            Ok(())
        }
    }
    impl TryCryptoRng for Octets {}

    let vectors = RFC_9497_VOPRF_P384;
    let server = VoprfServer::<NistP384>::new_from_seed(&hex(vectors.seed), &hex(vectors.key_info)).unwrap();
    assert_eq!(server.serialize()[..48], hex(vectors.secret));
    for vector in vectors.evaluations {
        let input = hex(vector.input);
        let blinded = VoprfClient::<NistP384>::blind(&input, &mut Octets(hex(vector.blind))).unwrap();
        assert_eq!(blinded.message.serialize().as_slice(), hex(vector.blinded));
        let evaluated = server.blind_evaluate(&mut Octets(hex(vectors.proof_random)), &blinded.message).unwrap();
        assert_eq!(evaluated.message.serialize().as_slice(), hex(vector.evaluated));
        assert_eq!(evaluated.proof.serialize().as_slice(), hex(vector.proof));
        let output =
            blinded.state.finalize(&input, &evaluated.message, &evaluated.proof, server.get_public_key()).unwrap();
        assert_eq!(output.as_slice(), hex(vector.output));
    }
}

#[test]
fn a_token_is_issued_and_redeemed() {
    let issuer = issuer(1);
    let token = token(&issuer, 2);
    let token = Token::decode(&token.encode()).unwrap();
    let redeemed = issuer.redeem(&token, &challenge()).unwrap();
    assert_eq!(*redeemed.spent(), token.encode()[2..34]);
    let restored = Issuer::from_secret(issuer.secret()).unwrap();
    assert_eq!(restored.key(), issuer.key());
    assert!(restored.redeem(&token, &challenge()).is_ok());
    assert_eq!(format!("{token:?}"), "Token(..)");
}

#[test]
fn a_token_of_another_key_or_for_something_else_is_refused() {
    let (one, two) = (issuer(1), issuer(2));
    let token = token(&one, 2);
    assert_eq!(two.redeem(&token, &challenge()).err(), Some(RedeemError::Key));
    let elsewhere = TokenChallenge::for_pseudonyms(&"b.example".parse().unwrap());
    assert_eq!(one.redeem(&token, &elsewhere).err(), Some(RedeemError::Challenge));
}

#[test]
fn a_forged_token_is_refused() {
    let issuer = issuer(1);
    let octets = token(&issuer, 2).encode();
    for (at, refused) in [
        (10, RedeemError::Forged),
        (40, RedeemError::Challenge),
        (70, RedeemError::Key),
        (98, RedeemError::Forged),
        (145, RedeemError::Forged),
    ] {
        let mut forged = octets.clone();
        forged[at] ^= 1;
        assert_eq!(issuer.redeem(&Token::decode(&forged).unwrap(), &challenge()).err(), Some(refused), "octet {at}");
    }
    let mut other_type = octets.clone();
    other_type[1] = 2;
    assert!(matches!(Token::decode(&other_type), Err(DecodeError::Value { field: "token_type", value: 2 })));
    assert_eq!(Token::decode(&octets[..145]).err(), Some(DecodeError::Truncated));
}

#[test]
fn an_issuer_who_uses_another_key_for_somebody_is_found_out() {
    // A key of one's own for each account would tell the provider whose token it is.
    let (published, special) = (issuer(1), issuer(2));
    let (request, pending) = TokenRequest::new(published.key(), &challenge(), &mut entropy(3)).unwrap();
    let mut octets = request.encode();
    assert_eq!(special.issue(&request, &mut entropy(4)).err(), Some(IssueError::Key));
    octets[2] = special.key().id()[31];
    let response = special.issue(&TokenRequest::decode(&octets).unwrap(), &mut entropy(4)).unwrap();
    assert_eq!(pending.finish(&response), Err(FinishError::Proof));
}

#[test]
fn junk_is_neither_request_nor_answer_nor_key() {
    let issuer = issuer(1);
    let (request, pending) = TokenRequest::new(issuer.key(), &challenge(), &mut entropy(3)).unwrap();
    let mut octets = request.encode();
    octets[4..].fill(0xff);
    let junk = TokenRequest::decode(&octets).unwrap();
    assert_eq!(issuer.issue(&junk, &mut entropy(4)).err(), Some(IssueError::Element));
    let junk = TokenResponse::decode(&[0xff; 145]).unwrap();
    assert_eq!(pending.finish(&junk), Err(FinishError::Proof));
    assert!(IssuerKey::from_octets(&[0; 49]).is_err());
    assert!(Issuer::from_secret(&[0; 48]).is_err());
    assert!(Issuer::from_secret(&[0xff; 48]).is_err());
}

#[test]
fn what_the_issuer_saw_tells_nothing_about_the_token() {
    // Ten requests and their answers; no octet string of 16 in any token was seen by the issuer.
    let issuer = issuer(1);
    let mut seen = Vec::new();
    let mut tokens = Vec::new();
    for seed in 0..10 {
        let (request, pending) = TokenRequest::new(issuer.key(), &challenge(), &mut entropy(100 + seed)).unwrap();
        let response = issuer.issue(&request, &mut entropy(200 + seed)).unwrap();
        seen.extend(request.encode());
        seen.extend(response.encode());
        tokens.push(pending.finish(&response).unwrap());
    }
    for token in &tokens {
        let octets = token.encode();
        // The nonce and the authenticator; challenge and key are the same for all.
        for part in [&octets[2..34], &octets[98..146]] {
            for window in part.windows(16) {
                assert!(!seen.windows(16).any(|at| at == window));
            }
        }
    }
}

#[test]
fn a_token_that_is_spent_at_once_is_tied_by_time_and_a_waiting_one_is_not() {
    let hour = std::time::Duration::from_secs(3600);
    assert!(simulation::guessed(10_000, None, 1) > 0.9);
    assert!(simulation::guessed(10_000, Some(hour), 1) < 0.01);
    assert!(simulation::guessed(100, Some(hour), 1) > 0.05, "among few accounts waiting helps little");
}
