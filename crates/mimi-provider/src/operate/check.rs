use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::Schema;
use crate::{
    Config, keys,
    store::{Opening, Store},
};

/// One thing that was looked at before a provider runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What is wrong with it, if anything is.
    pub wrong: Option<String>,
    /// What is to be known of it all the same.
    pub note: Option<String>,
}

impl Finding {
    fn new(what: &'static str, wrong: Option<String>) -> Self {
        Self { what, wrong, note: None }
    }
}

/// Looks at everything that a provider needs to run: certificates and keys, who is trusted, the database. Nothing is
/// listened at and no peer is asked.
pub fn check(config: &Config) -> Vec<Finding> {
    fn said<T, E: ToString>(result: Result<T, E>) -> Option<String> {
        result.err().map(|error| error.to_string())
    }
    let domain = config.domain();
    vec![
        Finding::new("certificate and key for TLS", said(keys::server_tls(config))),
        Finding::new("certificate toward peers", said(keys::client_tls(config))),
        Finding::new("name in the certificate", name(config)),
        Finding::new("issuer of users' certificates", said(keys::issuer(config))),
        Finding::new("anchors", said(keys::trust(config))),
        Finding {
            what: "anchor of its own domain",
            wrong: (!config.anchors.iter().any(|anchor| anchor.domains.contains(domain)))
                .then(|| format!("no anchor for {domain}: its own users' certificates are not believed")),
            note: None,
        },
        Finding {
            what: "anchors of its peers",
            wrong: config
                .peers
                .iter()
                .find(|peer| !config.anchors.iter().any(|anchor| anchor.domains.contains(&peer.domain)))
                .map(|peer| format!("no anchor for {}: nobody of it can come into a room", peer.domain)),
            note: None,
        },
        database(config),
    ]
}

/// Nothing is made, and nothing brought up to date.
fn database(config: &Config) -> Finding {
    let what = "database";
    let schema = Store::of(config, Opening::AsItIs).and_then(|store| store.schema()).map(Schema::of);
    match schema {
        Ok(schema) if schema.is_own() => Finding::new(what, None),
        Ok(schema) if schema.found > Some(schema.own) => Finding::new(what, Some(format!("schema {schema}"))),
        Ok(schema) if schema.found.is_none() => Finding { what, wrong: None, note: Some(schema.to_string()) },
        Ok(schema) => Finding { what, wrong: None, note: Some(format!("schema {schema}")) },
        Err(error) if error.is_absence() => Finding { what, wrong: None, note: Some(error.to_string()) },
        Err(error) => Finding::new(what, Some(error.to_string())),
    }
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
