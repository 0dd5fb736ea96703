//! Files that messages name, passed on so that whoever keeps them does not learn who reads them, nor a hub in which room
//! (draft-ietf-mimi-protocol-06, section 5.10): from a host of a provider to the hub, to a member's provider, to the member.

mod download;
mod fetch;
mod places;

use std::sync::Arc;

use mimi_pseudonym::Domain;
use mimi_wire::{Endpoint, Problem};

pub(crate) use download::Download;
use fetch::Host;
use places::{Place, Places};

use crate::{
    Config, KeyFileError,
    fail::Fail,
    pace::Asker,
    peers::PeerError,
    provider::Inner,
    server::{Peer, Reply},
    store::Device,
};

/// The hosts that files are fetched from, and how many there may be on their way.
pub(crate) struct Assets {
    hosts: Vec<Host>,
    places: Places,
}

impl Assets {
    pub(crate) fn new(config: &Config) -> Result<Self, KeyFileError> {
        let hosts = config.assets.iter().map(|entry| Host::new(entry, &config.tls.roots)).collect::<Result<_, _>>()?;
        Ok(Self { hosts, places: Places::new(config.limits.files) })
    }

    /// How many files were refused because as many were on their way as may be.
    pub(crate) fn refused(&self) -> u64 {
        self.places.refused()
    }
}

/// Fetches a file for another provider. The host has to be one that is known to belong to a provider this one talks with, or to
/// itself: a hub is no way to everywhere.
pub(crate) async fn for_peer(inner: &Arc<Inner>, peer: &Peer, url: &str) -> Result<Reply, Fail> {
    let most = (inner.config.limits.files / 2).max(1);
    let held = inner.assets.places.take(Asker::Peer(peer.domain().clone()), most)?;
    here(inner, url, held).await
}

/// Fetches a file for a device of this provider, by way of the hub of the room in which it was named.
pub(crate) async fn for_device(inner: &Arc<Inner>, device: &Device, hub: &Domain, url: &str) -> Result<Reply, Fail> {
    let held = inner.assets.places.take(Asker::Device(device.id), DEVICE_FILES)?;
    if hub == inner.domain() {
        return here(inner, url, held).await;
    }
    let body = match inner.peers.get(hub, Endpoint::ProxyDownload, url).await {
        // It is the file that is not there, and not the endpoint.
        Err(PeerError::Refused(404, Some(Problem::NotFound))) => return Err(Problem::NotFound.into()),
        answer => answer?,
    };
    Ok(Reply::File(Box::new(Download::new(body, inner.config.limits.file, held)?)))
}

/// Files on their way to one device at the same time.
const DEVICE_FILES: u16 = 4;

async fn here(inner: &Arc<Inner>, url: &str, held: Place) -> Result<Reply, Fail> {
    let (host, path) =
        inner.assets.hosts.iter().find_map(|host| Some((host, host.path(url)?))).ok_or(Problem::Forbidden)?;
    let body = host.fetch(&inner.peers, &path).await?;
    Ok(Reply::File(Box::new(Download::new(body, inner.config.limits.file, held)?)))
}
