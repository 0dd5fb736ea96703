use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use mimi_pseudonym::Domain;

use super::{PeerError, Peers, guard::is_public};
use crate::{Config, config::Network};

/// What is asked instead of the system's name service.
pub(crate) type Table = Arc<dyn Fn(&Domain) -> Vec<IpAddr> + Send + Sync>;

/// Where the names of providers lead.
pub(super) struct Names {
    table: Option<Table>,
    /// Networks that are let through besides the public internet.
    networks: Vec<Network>,
}

impl Names {
    pub(super) fn new(table: Option<Table>, networks: &[Network]) -> Self {
        Self { table, networks: networks.to_vec() }
    }

    /// The addresses of a provider that may be connected to. A name is asked for once for each connection, and what comes
    /// back is connected to as it is: nothing asks again, and gets another answer.
    pub(super) async fn addresses(&self, domain: &Domain, port: u16) -> Result<Vec<SocketAddr>, PeerError> {
        let found: Vec<SocketAddr> = match &self.table {
            Some(table) => table(domain).into_iter().map(|address| SocketAddr::new(address, port)).collect(),
            None => {
                let found = tokio::net::lookup_host((domain.as_str(), port)).await;
                found.map_err(|_| PeerError::Unreachable)?.collect()
            }
        };
        if found.is_empty() {
            return Err(PeerError::Unreachable);
        }
        let allowed: Vec<_> = found.into_iter().filter(|address| self.lets_through(address.ip())).collect();
        if allowed.is_empty() { Err(PeerError::Private) } else { Ok(allowed) }
    }

    fn lets_through(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }
}

impl Peers {
    /// Where the name of a provider leads, as it is looked up with a configuration.
    pub(crate) async fn addresses(config: &Config, domain: &Domain, port: u16) -> Result<Vec<SocketAddr>, PeerError> {
        Names::new(None, &config.federation.networks).addresses(domain, port).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_addresses_that_are_let_through_are_connected_to() {
        let table: Table = Arc::new(|domain| match domain.as_str() {
            "both.example" => vec![[127, 0, 0, 1].into(), [1, 1, 1, 1].into(), [10, 9, 8, 7].into()],
            "private.example" => vec![[10, 1, 2, 3].into(), "::ffff:10.9.8.7".parse().unwrap()],
            _ => vec![],
        });
        let domain = |name: &str| name.parse::<Domain>().unwrap();
        let closed = Names::new(Some(Arc::clone(&table)), &[]);
        assert_eq!(closed.addresses(&domain("both.example"), 443).await, Ok(vec![([1, 1, 1, 1], 443).into()]));
        assert_eq!(closed.addresses(&domain("private.example"), 443).await, Err(PeerError::Private));
        assert_eq!(closed.addresses(&domain("none.example"), 443).await, Err(PeerError::Unreachable));
        let open = Names::new(Some(table), &["10.9.0.0/16".parse().unwrap()]);
        let both = open.addresses(&domain("both.example"), 443).await.unwrap();
        assert_eq!(both, [([1, 1, 1, 1], 443).into(), ([10, 9, 8, 7], 443).into()]);
        let mapped: Vec<SocketAddr> = vec!["[::ffff:10.9.8.7]:443".parse().unwrap()];
        assert_eq!(open.addresses(&domain("private.example"), 443).await, Ok(mapped));
        // The system's name service reads numbers as addresses, in more than one way.
        let system = Names::new(None, &[]);
        for name in ["127.0.0.1", "127.1", "10.0.0.1", "0x7f.0.0.1", "169.254.169.254"] {
            let Ok(domain) = name.parse::<Domain>() else { continue };
            let found = system.addresses(&domain, 443).await;
            assert!(matches!(found, Err(PeerError::Private | PeerError::Unreachable)), "{name}: {found:?}");
        }
    }
}
