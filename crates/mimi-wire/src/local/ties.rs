use std::fmt;

use mimi_pseudonym::DecodeError;

use super::RegisterResponse;
use crate::codec::{check_count, wire_struct};

/// The public key of a provider that issues tokens for pseudonyms (RFC 9578, section 5): 49 octets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenKey {
    /// The key.
    pub key: Vec<u8>,
}

wire_struct!(TokenKey, 64, { key }, |key| check_length(&key.key, &[49], "key"));

/// Asks for tokens, as a device of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokensRequest {
    /// Token requests of 52 octets (RFC 9578, section 5.1): 1 to 100.
    pub requests: Vec<Vec<u8>>,
}

wire_struct!(TokensRequest, 1 << 13, { requests: list }, |request| {
    check_count(&request.requests, 1..=100, "requests")?;
    request.requests.iter().try_for_each(|one| check_length(one, &[52], "requests"))
});

/// The answers, in the order of the requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokensResponse {
    /// Token responses of 145 octets (RFC 9578, section 5.2): 1 to 100.
    pub responses: Vec<Vec<u8>>,
}

wire_struct!(TokensResponse, 1 << 14, { responses: list }, |response| {
    check_count(&response.responses, 1..=100, "responses")?;
    response.responses.iter().try_for_each(|one| check_length(one, &[145], "responses"))
});

/// Spends a token on a pseudonym, as nobody. The answer is a [`RegisterResponse`] whose user is the pseudonym. `Debug`
/// shows nothing: whoever has the token can spend it.
#[derive(Clone, PartialEq, Eq)]
pub struct RedeemRequest {
    /// The token: 146 octets (RFC 9577, section 2.2).
    pub token: Vec<u8>,
    /// What the user calls the device.
    pub device_name: String,
}

wire_struct!(RedeemRequest, 2048, { token, device_name }, |request| check_length(&request.token, &[146], "token"));

impl fmt::Debug for RedeemRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedeemRequest(..)")
    }
}

/// Asks for a pseudonym with a device of its own, as a device of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetachRequest {
    /// What the user calls the pseudonym's device.
    pub device_name: String,
}

wire_struct!(DetachRequest, 2048, { device_name });

/// A pseudonym with a device of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetachResponse {
    /// The device; its user is the pseudonym.
    pub registered: RegisterResponse,
    /// By what the owner recognises entries about the pseudonym in the log of openings: 16 octets, or none if there are no
    /// openings.
    pub mark: Vec<u8>,
    /// By what the owner recognises entries about its account, for which the list of its pseudonyms is opened: 16 octets, the
    /// same for all of them, or none if there is no list.
    pub account_mark: Vec<u8>,
}

wire_struct!(DetachResponse, 8192, { registered, mark, account_mark }, |response| {
    check_length(&response.mark, &[0, 16], "mark")?;
    check_length(&response.account_mark, &[0, 16], "account_mark")
});

fn check_length(octets: &[u8], allowed: &[usize], field: &'static str) -> Result<(), DecodeError> {
    let fits = allowed.contains(&octets.len());
    if fits { Ok(()) } else { Err(DecodeError::Rule { field, rule: "not of the length it has" }) }
}

#[cfg(test)]
mod tests {
    use mimi_pseudonym::Wire;

    use super::*;

    #[test]
    fn lengths_are_those_of_the_specification() {
        assert!(TokenKey::decode(&TokenKey { key: vec![2; 49] }.encode()).is_ok());
        assert!(TokenKey::decode(&TokenKey { key: vec![2; 48] }.encode()).is_err());
        let requests = |count: usize, length: usize| TokensRequest { requests: vec![vec![1; length]; count] }.encode();
        assert!(TokensRequest::decode(&requests(100, 52)).is_ok());
        for (count, length) in [(0, 52), (101, 52), (1, 51), (1, 53)] {
            assert!(TokensRequest::decode(&requests(count, length)).is_err(), "{count} of {length}");
        }
        let responses = |length: usize| TokensResponse { responses: vec![vec![1; length]; 100] }.encode();
        assert!(TokensResponse::decode(&responses(145)).is_ok());
        assert!(TokensResponse::decode(&responses(144)).is_err());
        let redeem = |length: usize| RedeemRequest { token: vec![1; length], device_name: "telephone".into() };
        assert!(RedeemRequest::decode(&redeem(146).encode()).is_ok());
        assert!(RedeemRequest::decode(&redeem(147).encode()).is_err());
        assert_eq!(format!("{:?}", redeem(146)), "RedeemRequest(..)");
    }
}
