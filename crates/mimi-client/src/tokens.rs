//! Pseudonyms that are tied to no account (draft-mahy-mimi-pseudonyms-00, section 5.3; docs/profile-ties.md, *blind*): had for
//! tokens that the provider has issued and does not recognise, each with a device, an inbox and connections of its own.

use std::{fmt, path::Path, time::Duration};

use mimi_flow::{CommandError, Delays};
use mimi_pseudonym::{CipherSuite, DecodeError, Domain, Entropy, Reader, Timestamp, Wire, Writer};
use mimi_tie::blind::{IssuerKey, PendingToken, Token, TokenChallenge, TokenRequest, TokenResponse, waiting_time};
use mimi_wire::local::{
    REDEEM_PATH, RedeemRequest, TOKEN_KEY_PATH, TOKENS_PATH, TokenKey, TokensRequest, TokensResponse,
};
use zeroize::Zeroizing;

use crate::{Client, ClientError, Surroundings, TransportError, transport::Transport};

/// The entry of tokens that have not been spent.
const TOKENS: &str = "tokens";
/// The entry of the provider's key for tokens, as it was first seen.
const TOKEN_KEY: &str = "token-key";
/// The entry of a request for tokens whose answer is not there yet.
const ASKED: &str = "tokens-asked";
/// The most tokens of one request.
const COUNT_MAX: u16 = 100;

/// What a pseudonym is had for, once. Whoever has it can spend it: keep it secret. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PseudonymToken(Vec<u8>);

impl PseudonymToken {
    /// From what [`PseudonymToken::as_bytes`] gave. Whether it is a token is seen when it is spent.
    pub fn from_bytes(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// The octets, for another process of the same owner: whoever has them can spend it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for PseudonymToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymToken(..)")
    }
}

/// A token that has not been spent.
struct Kept {
    /// When it may be spent.
    ready: Timestamp,
    token: PseudonymToken,
    /// What it was taken for; empty if for nothing yet.
    name: String,
}

/// What a request for tokens is made of: the same once more is the same request, and its answer makes the same tokens.
struct Asked {
    count: u16,
    mean_wait: Duration,
    /// The octets that were drawn for it.
    drawn: Zeroizing<Vec<u8>>,
}

/// Remembers what is drawn from a generator.
struct Drawing<'a> {
    from: &'a mut dyn Entropy,
    drawn: Zeroizing<Vec<u8>>,
}

impl Entropy for Drawing<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.from.fill(buffer);
        self.drawn.extend_from_slice(buffer);
    }
}

/// Draws the same once more; more than was drawn then comes from a generator.
struct Drawn<'a> {
    drawn: &'a [u8],
    then: &'a mut dyn Entropy,
}

impl Entropy for Drawn<'_> {
    fn fill(&mut self, buffer: &mut [u8]) {
        match self.drawn.split_at_checked(buffer.len()) {
            Some((octets, rest)) => {
                buffer.copy_from_slice(octets);
                self.drawn = rest;
            }
            None => self.then.fill(buffer),
        }
    }
}

impl Client {
    /// Fetches tokens as this account, within the provider's quota, and keeps them. Each is to be spent some time later, drawn
    /// at random (exponentially, with this mean): one that is spent at once belongs to whoever fetched one a moment ago.
    ///
    /// What makes the request is on disk before it is sent: if the answer is lost, or the process ends, the next call sends
    /// the same request, which is not counted again, and that is all that it does.
    ///
    /// # Errors
    /// [`CommandError::Count`] if it is not 1 to 100; [`ClientError::TokenKey`] if the provider shows another key than before;
    /// [`TransportError::Refused`] if it issues none, or no more in this period.
    pub async fn fetch_tokens(&mut self, count: u16, mean_wait: Duration) -> Result<(), ClientError> {
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(CommandError::Count(count).into());
        }
        let key = self.token_key().await?;
        let asked = match self.asked_for_tokens()? {
            Some(asked) => asked,
            None => self.ask_for_tokens(&key, count, mean_wait)?,
        };
        let (count, mean_wait) = (asked.count, asked.mean_wait);
        let mut drawn = Drawn { drawn: &asked.drawn, then: self.surroundings.entropy.as_mut() };
        let (requests, pending) = self::requests(&key, &self.surroundings.provider.domain, count, &mut drawn)?;
        let posted = self.transport.post(TOKENS_PATH, &TokensRequest { requests }).await;
        if let Err(TransportError::Refused(_)) = &posted {
            self.store.put(&[(ASKED, &[])], self.surroundings.entropy.as_mut())?;
        }
        let response: TokensResponse = posted?;
        if response.responses.len() != pending.len() {
            return Err(TransportError::Nonsense.into());
        }
        let mut kept = self.kept_tokens()?;
        for (pending, response) in pending.into_iter().zip(response.responses) {
            let response = TokenResponse::decode(&response).map_err(|_| TransportError::Nonsense)?;
            let token: Token = pending.finish(&response).map_err(|_| TransportError::Nonsense)?;
            let surroundings = &mut self.surroundings;
            let wait = waiting_time(mean_wait, surroundings.entropy.as_mut());
            let (ready, token) = (surroundings.clock.now().after(wait), PseudonymToken(token.encode()));
            kept.push(Kept { ready, token, name: String::new() });
        }
        let kept = encode(&kept);
        Ok(self.store.put(&[(TOKENS, &kept), (ASKED, &[])], self.surroundings.entropy.as_mut())?)
    }

    /// Draws what a request is made of, and writes it down.
    fn ask_for_tokens(&mut self, key: &IssuerKey, count: u16, mean_wait: Duration) -> Result<Asked, ClientError> {
        let domain = self.surroundings.provider.domain.clone();
        let mut drawing = Drawing { from: self.surroundings.entropy.as_mut(), drawn: Zeroizing::default() };
        requests(key, &domain, count, &mut drawing)?;
        let asked = Asked { count, mean_wait, drawn: drawing.drawn };
        let mut writer = Writer::default();
        writer.u16(count);
        writer.u64(u64::try_from(mean_wait.as_millis()).unwrap_or(u64::MAX));
        writer.vector(&asked.drawn);
        let entry = Zeroizing::new(writer.into_octets());
        self.store.put(&[(ASKED, &entry)], self.surroundings.entropy.as_mut())?;
        Ok(asked)
    }

    /// The request that is not answered yet.
    fn asked_for_tokens(&self) -> Result<Option<Asked>, ClientError> {
        let Some(entry) = self.store.read(ASKED)?.filter(|entry| !entry.is_empty()) else { return Ok(None) };
        let read = || {
            let mut reader = Reader::new(&entry);
            let (count, millis) = (reader.u16()?, reader.u64()?);
            let drawn = Zeroizing::new(reader.vector()?.to_vec());
            reader.finish()?;
            Ok::<_, DecodeError>(Asked { count, mean_wait: Duration::from_millis(millis), drawn })
        };
        Ok(Some(read().map_err(|_| crate::StoreError::Key)?))
    }

    /// How many tokens are kept.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn tokens(&self) -> Result<usize, ClientError> {
        Ok(self.kept_tokens()?.len())
    }

    /// A token whose time has come, for [`Client::redeem`] into the store that this name stands for. It is that store's from then
    /// on: the same name gets the same token until [`Client::forget_token`], and no other name does. So whoever is interrupted goes
    /// on with what was begun, and spends nothing twice.
    ///
    /// # Errors
    /// [`ClientError::TokenName`] if the name is empty; [`ClientError::Store`]
    pub fn token_for(&mut self, name: &str) -> Result<Option<PseudonymToken>, ClientError> {
        if name.is_empty() {
            return Err(ClientError::TokenName);
        }
        let now = self.surroundings.clock.now();
        let mut kept = self.kept_tokens()?;
        if let Some(known) = kept.iter().find(|kept| kept.name == name) {
            return Ok(Some(known.token.clone()));
        }
        let Some(ready) = kept.iter_mut().find(|kept| kept.name.is_empty() && kept.ready <= now) else {
            return Ok(None);
        };
        ready.name = name.to_owned();
        let token = ready.token.clone();
        self.keep_tokens(&kept)?;
        Ok(Some(token))
    }

    /// The names for which tokens were taken that have not been forgotten: perhaps their pseudonyms are not there yet.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn token_names(&self) -> Result<Vec<String>, ClientError> {
        Ok(self.kept_tokens()?.into_iter().map(|kept| kept.name).filter(|name| !name.is_empty()).collect())
    }

    /// Forgets a token that has been spent.
    ///
    /// # Errors
    /// [`ClientError::Store`]
    pub fn forget_token(&mut self, token: &PseudonymToken) -> Result<(), ClientError> {
        let mut kept = self.kept_tokens()?;
        let before = kept.len();
        kept.retain(|kept| kept.token != *token);
        if kept.len() == before { Ok(()) } else { self.keep_tokens(&kept) }
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
            let token = PseudonymToken(reader.vector().map_err(damaged)?.to_vec());
            let name = reader.vector().map_err(damaged)?.to_vec();
            let name = String::from_utf8(name).map_err(|_| crate::StoreError::Key)?;
            kept.push(Kept { ready, token, name });
        }
        Ok(kept)
    }

    fn keep_tokens(&mut self, kept: &[Kept]) -> Result<(), ClientError> {
        Ok(self.store.put(&[(TOKENS, &encode(kept))], self.surroundings.entropy.as_mut())?)
    }
}

fn encode(kept: &[Kept]) -> Zeroizing<Vec<u8>> {
    let mut writer = Writer::default();
    for Kept { ready, token, name } in kept {
        ready.write(&mut writer);
        writer.vector(&token.0);
        writer.vector(name.as_bytes());
    }
    Zeroizing::new(writer.into_octets())
}

/// Requests for so many tokens, and what their answers make tokens with.
fn requests(
    key: &IssuerKey,
    domain: &Domain,
    count: u16,
    entropy: &mut dyn Entropy,
) -> Result<(Vec<Vec<u8>>, Vec<PendingToken>), ClientError> {
    let challenge = TokenChallenge::for_pseudonyms(domain);
    let one = |_| TokenRequest::new(key, &challenge, entropy).map(|(request, pending)| (request.encode(), pending));
    let all: Result<Vec<_>, _> = (0..count).map(one).collect();
    Ok(all.map_err(|_| TransportError::Nonsense)?.into_iter().unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show() {
        assert_eq!(format!("{:?}", PseudonymToken(vec![1, 2, 3])), "PseudonymToken(..)");
    }
}
