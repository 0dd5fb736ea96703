//! Files that messages name (draft-ietf-mimi-content, section 4.5), fetched by way of the own provider and the room's hub, so that
//! whoever keeps them does not learn who reads them (draft-ietf-mimi-protocol-06, section 5.10).

use mimi_content::{ExternalContent, ExternalError};
use mimi_pseudonym::RoomUri;
use mimi_wire::{directory::percent_encode, local::DOWNLOAD_PATH};

use crate::{Client, ClientError, TransportError};

/// What sealing adds to a file at the most, with room to spare.
const SEAL: usize = 64;

impl Client {
    /// Fetches the content that a message in a room names, and opens it. It may have `max` octets. Nothing is kept.
    ///
    /// The own provider learns the URL and who asks, the hub the URL and which provider asks, and the host that the hub asks.
    ///
    /// # Errors
    /// [`ClientError::FileTooLong`]; [`ClientError::File`] if it has expired or is not what the message names;
    /// [`TransportError::Refused`] as not found if it is not there, and as forbidden if the hub fetches nothing from such a host.
    pub async fn download(
        &self,
        room: &RoomUri,
        external: &ExternalContent,
        max: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let now = self.surroundings.clock.now();
        if external.has_expired(now) {
            return Err(ExternalError::Expired.into());
        }
        let most = max.saturating_add(SEAL);
        if usize::try_from(external.size).map_or(true, |size| size > most) {
            return Err(ClientError::FileTooLong(max));
        }
        let (url, hub) = (percent_encode(&external.url), percent_encode(room.domain().as_str()));
        let octets = match self.transport.file(&format!("{DOWNLOAD_PATH}/{url}?hub={hub}"), most).await {
            Err(TransportError::TooLong) => return Err(ClientError::FileTooLong(max)),
            answer => answer?,
        };
        let content = external.open(octets, now)?;
        if content.len() > max { Err(ClientError::FileTooLong(max)) } else { Ok(content) }
    }
}
