use std::{net::SocketAddr, path::PathBuf};

use mimi_pseudonym::Domain;
use serde::Deserialize;

use super::Config;

/// A host at which a provider keeps the files that its users' messages name (draft-ietf-mimi-protocol-06, section 5.10).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssetEntry {
    /// The provider: this one, or one that it talks with.
    pub(crate) provider: Domain,
    /// The host, as it stands in URLs.
    pub(crate) host: Domain,
    /// The port, as it stands in URLs.
    #[serde(default = "super::https")]
    pub(crate) port: u16,
    /// Where it is, if not where the domain name system says.
    pub(crate) address: Option<SocketAddr>,
    /// Authorities that its certificate may come from, in PEM, if they are not those of peers.
    pub(crate) roots: Option<PathBuf>,
}

/// An entry that must not be there, and its number.
pub(super) fn misplaced(config: &Config) -> Option<(usize, &AssetEntry)> {
    let talks_with = |domain: &Domain| {
        *domain == config.domain || config.federation.open || config.peers.iter().any(|peer| peer.domain == *domain)
    };
    config.assets.iter().enumerate().find(|(at, entry)| {
        let mut before = config.assets.iter().take(*at);
        let twice = before.any(|other| other.host == entry.host && other.port == entry.port);
        twice || !talks_with(&entry.provider)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::ConfigError;

    fn parse(assets: &str) -> Result<Config, ConfigError> {
        let text = "domain = \"a.example\"\nlisten = \"127.0.0.1:1\"\ndata = \"data\"\n\
                    [tls]\ncertificate = \"x\"\nkey = \"x\"\nroots = \"x\"\n[issuer]\ncertificate = \"x\"\nkey = \"x\"\n\
                    [[peers]]\ndomain = \"b.example\"\n";
        Config::parse(&format!("{text}{assets}"), Path::new("/etc/mimi"))
    }

    #[test]
    fn files_are_fetched_from_hosts_of_this_provider_and_its_peers_alone() {
        let of = |provider: &str, host: &str| format!("[[assets]]\nprovider = \"{provider}\"\nhost = \"{host}\"\n");
        let good =
            parse(&format!("{}{}roots = \"cdn.pem\"\n", of("a.example", "a.example"), of("b.example", "cdn.example")));
        let good = good.unwrap();
        assert_eq!(good.assets.iter().map(|entry| entry.port).collect::<Vec<_>>(), [443, 443]);
        assert_eq!(good.assets.last().unwrap().roots.as_deref(), Some(Path::new("/etc/mimi/cdn.pem")));
        let refused = |assets: &str| parse(assets).unwrap_err().to_string();
        let words = "is listed twice or its provider is none of the peers";
        assert_eq!(refused(&of("c.example", "cdn.example")), format!("line 15, host: cdn.example {words}"));
        let twice = format!("{}{}", of("a.example", "cdn.example"), of("b.example", "cdn.example"));
        assert_eq!(refused(&twice), format!("line 18, host: cdn.example {words}"));
        let ports = format!("{}{}port = 8443\n", of("a.example", "cdn.example"), of("b.example", "cdn.example"));
        assert_eq!(parse(&ports).unwrap().assets.len(), 2);
        let open = format!("[federation]\nopen = true\n{}", of("c.example", "cdn.example"));
        assert_eq!(parse(&open).unwrap().assets.len(), 1);
    }
}
