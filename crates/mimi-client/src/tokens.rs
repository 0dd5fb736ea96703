//! Pseudonyms that are tied to no account (draft-mahy-mimi-pseudonyms-00, section 5.3; docs/profile-ties.md, *blind*): had for
//! tokens that the provider has issued and does not recognise, each with a device, an inbox and connections of its own.

use std::{fmt, path::Path, time::Duration};

use mimi_flow::{CommandError, Delays};
use mimi_pseudonym::{CipherSuite, Reader, Timestamp, Wire, Writer};
use mimi_tie::blind::{IssuerKey, Token, TokenChallenge, TokenRequest, TokenResponse, waiting_time};
use mimi_wire::local::{
    REDEEM_PATH, RedeemRequest, TOKEN_KEY_PATH, TOKENS_PATH, TokenKey, TokensRequest, TokensResponse,
};

use crate::{Client, ClientError, Surroundings, TransportError, transport::Transport};

/// The entry of tokens that have not been spent.
const TOKENS: &str = "tokens";
/// The entry of the provider's key for tokens, as it was first seen.
const TOKEN_KEY: &str = "token-key";
/// The most tokens of one request.
const COUNT_MAX: u16 = 100;

/// What a pseudonym is had for, once. Whoever has it can spend it: keep it secret. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymToken(Vec<u8>);

impl fmt::Debug for PseudonymToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymToken(..)")
    }
}

/// A token, and when it may be spent.
type Kept = (Timestamp, PseudonymToken);

impl Client {
    /// Fetches tokens as this account, within the provider's quota, and keeps them. Each is to be spent some time later, drawn
    /// at random (exponentially, with this mean): one that is spent at once belongs to whoever fetched one a moment ago.
    ///
    /// What was asked for and not kept, because the process ended in between, is lost, and counted.
    ///
    /// # Errors
    /// [`CommandError::Count`] if it is not 1 to 100; [`ClientError::TokenKey`] if the provider shows another key than before;
    /// [`TransportError::Refused`] if it issues none, or no more in this period.
    pub async fn fetch_tokens(&mut self, count: u16, mean_wait: Duration) -> Result<(), ClientError> {
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(CommandError::Count(count).into());
        }
        let key = self.token_key().await?;
        let challenge = TokenChallenge::for_pseudonyms(&self.surroundings.provider.domain);
        let (mut requests, mut pending) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (request, one) = TokenRequest::new(&key, &challenge, self.surroundings.entropy.as_mut())
                .map_err(|_| TransportError::Nonsense)?;
            requests.push(request.encode());
            pending.push(one);
        }
        let response: TokensResponse = self.transport.post(TOKENS_PATH, &TokensRequest { requests }).await?;
        if response.responses.len() != pending.len() {
            return Err(TransportError::Nonsense.into());
        }
        let mut kept = self.kept_tokens()?;
        for (pending, response) in pending.into_iter().zip(response.responses) {
            let response = TokenResponse::decode(&response).map_err(|_| TransportError::Nonsense)?;
            let token: Token = pending.finish(&response).map_err(|_| TransportError::Nonsense)?;
            let surroundings = &mut self.surroundings;
            let wait = waiting_time(mean_wait, surroundings.entropy.as_mut());
            kept.push((surroundings.clock.now().after(wait), PseudonymToken(token.encode())));
        }
        self.keep_tokens(&kept)
    }

    /// How many tokens are kept.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn tokens(&self) -> Result<usize, ClientError> {
        Ok(self.kept_tokens()?.len())
    }

    /// A token whose time has come, for [`Client::redeem`]; it stays until [`Client::forget_token`].
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn ready_token(&self) -> Result<Option<PseudonymToken>, ClientError> {
        let now = self.surroundings.clock.now();
        Ok(self.kept_tokens()?.into_iter().find(|(ready, _)| *ready <= now).map(|(_, token)| token))
    }

    /// Forgets a token that has been spent.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn forget_token(&mut self, token: &PseudonymToken) -> Result<(), ClientError> {
        let mut kept = self.kept_tokens()?;
        kept.retain(|(_, one)| one != token);
        self.keep_tokens(&kept)
    }

    /// Spends a token on a pseudonym, as nobody, and keeps the pseudonym's device in a store of its own. It has its own inbox,
    /// and makes connections of its own; nothing that it sends names the account. After that
    /// [`mimi_flow::Command::Prepare`] gets its credential.
    ///
    /// If the answer is lost, the same call on the same store finishes what was begun.
    ///
    /// # Errors
    /// As [`Client::register`]; [`TransportError::Refused`] if the token has been spent, or is none of the provider's.
    pub async fn redeem(
        path: &Path,
        token: &PseudonymToken,
        suite: CipherSuite,
        delays: Delays,
        surroundings: Surroundings,
    ) -> Result<Self, ClientError> {
        // A name for the device would be the same for all of them.
        let request = RedeemRequest { token: token.0.clone(), device_name: String::new() };
        let (client, _) = Self::enrol(path, REDEEM_PATH, &request, suite, delays, surroundings).await?;
        Ok(client)
    }

    /// The provider's key, asked for as nobody, and held against the one that was seen first. To show each account a key of
    /// its own would be to know its tokens again.
    async fn token_key(&mut self) -> Result<IssuerKey, ClientError> {
        let anonymous = Transport::new(&self.surroundings.provider, None)?;
        let served: TokenKey = anonymous.fetch(TOKEN_KEY_PATH).await?;
        let octets = served.key.try_into().map_err(|_| TransportError::Nonsense)?;
        let key = IssuerKey::from_octets(&octets).map_err(|_| TransportError::Nonsense)?;
        match self.store.read(TOKEN_KEY)? {
            Some(known) if known.as_slice() == octets => {}
            Some(_) => return Err(ClientError::TokenKey),
            None => self.store.put(&[(TOKEN_KEY, &octets)], self.surroundings.entropy.as_mut())?,
        }
        Ok(key)
    }

    fn kept_tokens(&self) -> Result<Vec<Kept>, ClientError> {
        let Some(entry) = self.store.read(TOKENS)? else { return Ok(Vec::new()) };
        let mut reader = Reader::new(&entry);
        let mut kept = Vec::new();
        while !reader.is_empty() {
            let damaged = |_| crate::StoreError::Key;
            let ready = Timestamp::read(&mut reader).map_err(damaged)?;
            kept.push((ready, PseudonymToken(reader.vector().map_err(damaged)?.to_vec())));
        }
        Ok(kept)
    }

    fn keep_tokens(&mut self, kept: &[Kept]) -> Result<(), ClientError> {
        let mut writer = Writer::default();
        for (ready, token) in kept {
            ready.write(&mut writer);
            writer.vector(&token.0);
        }
        Ok(self.store.put(&[(TOKENS, &writer.into_octets())], self.surroundings.entropy.as_mut())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show() {
        assert_eq!(format!("{:?}", PseudonymToken(vec![1, 2, 3])), "PseudonymToken(..)");
    }
}
