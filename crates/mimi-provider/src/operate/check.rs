use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::open;
use crate::{Config, keys};

/// One thing that was looked at before a provider runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What is wrong with it, if anything is.
    pub wrong: Option<String>,
}

/// Looks at everything that a provider needs to run: certificates and keys, who is trusted, the database. Nothing is
/// listened at and no peer is asked.
pub fn check(config: &Config) -> Vec<Finding> {
    fn said<T, E: ToString>(result: Result<T, E>) -> Option<String> {
        result.err().map(|error| error.to_string())
    }
    let domain = config.domain();
    vec![
        Finding { what: "certificate and key for TLS", wrong: said(keys::server_tls(config)) },
        Finding { what: "certificate toward peers", wrong: said(keys::client_tls(config)) },
        Finding { what: "name in the certificate", wrong: name(config) },
        Finding { what: "issuer of users' certificates", wrong: said(keys::issuer(config)) },
        Finding { what: "anchors", wrong: said(keys::trust(config)) },
        Finding {
            what: "anchor of its own domain",
            wrong: (!config.anchors.iter().any(|anchor| anchor.domains.contains(domain)))
                .then(|| format!("no anchor for {domain}: its own users' certificates are not believed")),
        },
        Finding {
            what: "anchors of its peers",
            wrong: config
                .peers
                .iter()
                .find(|peer| !config.anchors.iter().any(|anchor| anchor.domains.contains(&peer.domain)))
                .map(|peer| format!("no anchor for {}: nobody of it can come into a room", peer.domain)),
        },
        Finding { what: "database", wrong: said(open(config)) },
    ]
}

/// Peers compare the domain with the certificate.
fn name(config: &Config) -> Option<String> {
    let chain = keys::tls_chain(config).ok()?;
    let first: &CertificateDer<'_> = chain.first()?;
    let fits = EndEntityCert::try_from(first).is_ok_and(|certificate| {
        let name = ServerName::try_from(config.domain().as_str());
        name.is_ok_and(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
    });
    (!fits).then(|| format!("{}: not valid for {}", config.tls.certificate.display(), config.domain()))
}
