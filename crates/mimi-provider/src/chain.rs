//! Whether other providers will take this one's certificate: they verify its path when it connects to them, and when they
//! connect to it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use mimi_pseudonym::Timestamp;
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::{Config, KeyFileError, keys};

/// The latest time that a certificate can name: the end of the year 9999.
const LATEST_SECS: u64 = 253_402_300_799;

/// Why other providers will refuse a certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("{}: expired on {}", .path.display(), date(*.at))]
    Expired { path: PathBuf, at: u64 },
    #[error("{}: not valid before {}", .path.display(), date(*.at))]
    NotYet { path: PathBuf, at: u64 },
    #[error("{}: from no authority in {}, and without a way to one", .path.display(), .roots.display())]
    Issuer { path: PathBuf, roots: PathBuf },
    #[error("{}: not for use as a {role} (extended key usage {usage})", .path.display())]
    Purpose { path: PathBuf, role: &'static str, usage: &'static str },
    #[error("{}: not valid for {domain}", .path.display())]
    Name { path: PathBuf, domain: String },
    #[error("{}: refused as a {role}: {error}", .path.display())]
    Other { path: PathBuf, role: &'static str, error: Error },
}

/// A certificate of a server or of a client.
#[derive(Clone, Copy)]
enum Role {
    Server,
    Client,
}

impl Role {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Server => ("server", "serverAuth"),
            Self::Client => ("client", "clientAuth"),
        }
    }

    fn usage(self) -> KeyUsage {
        match self {
            Self::Server => KeyUsage::server_auth(),
            Self::Client => KeyUsage::client_auth(),
        }
    }
}

/// Verifies the provider's certificate as others do: its name, and the way to one of the authorities that peers'
/// certificates may come from, as a server and as a client.
pub(crate) fn verify(config: &Config, now: Timestamp) -> Result<(), ChainError> {
    let shown = Shown::read(config)?;
    for role in [Role::Server, Role::Client] {
        shown.way(role, now.as_secs()).map_err(|error| refused(config, role, error))?;
    }
    let domain = config.domain().to_string();
    let fits = EndEntityCert::try_from(&shown.first).is_ok_and(|first| {
        let name = ServerName::try_from(domain.as_str());
        name.is_ok_and(|name| first.verify_is_valid_for_subject_name(&name).is_ok())
    });
    if fits { Ok(()) } else { Err(ChainError::Name { path: config.tls.certificate.clone(), domain }) }
}

/// When the certificate, or one that it stands on, ends: in seconds since 1970. `None` if it is not valid in any other way.
pub(crate) fn end(config: &Config) -> Option<u64> {
    let shown = Shown::read(config).ok()?;
    let mut end = LATEST_SECS;
    // Of several that have ended by then, one is named: before its end, another one may have ended.
    loop {
        match shown.way(Role::Server, end) {
            Ok(()) => return Some(end),
            Err(Error::CertExpired { not_after, .. }) if not_after.as_secs() < end => end = not_after.as_secs(),
            Err(_) => return None,
        }
    }
}

/// What is said of a certificate that ends so soon that another one is needed now.
pub(crate) fn ends_soon(config: &Config, now: Timestamp, soon: Duration) -> Option<String> {
    let end = end(config)?;
    let path: &Path = &config.tls.certificate;
    (end < now.after(soon).as_secs()).then(|| format!("{}: ends on {}", path.display(), date(end)))
}

/// The provider's certificate, what it shows with it, and what others know.
struct Shown {
    first: CertificateDer<'static>,
    above: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
}

impl Shown {
    fn read(config: &Config) -> Result<Self, KeyFileError> {
        let mut chain = keys::tls_chain(config)?.into_iter();
        let first = chain.next().ok_or_else(|| KeyFileError::Pem(config.tls.certificate.clone()))?;
        Ok(Self { first, above: chain.collect(), roots: keys::roots(&config.tls.roots)? })
    }

    /// Whether there is a way to one of the roots at a time.
    fn way(&self, role: Role, secs: u64) -> Result<(), Error> {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(secs));
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let first = EndEntityCert::try_from(&self.first)?;
        first.verify_for_usage(algorithms, &self.roots.roots, &self.above, time, role.usage(), None, None).map(drop)
    }
}

fn refused(config: &Config, role: Role, error: Error) -> ChainError {
    let path = config.tls.certificate.clone();
    let (role, usage) = role.words();
    match error {
        Error::CertExpired { not_after, .. } => ChainError::Expired { path, at: not_after.as_secs() },
        Error::CertNotValidYet { not_before, .. } => ChainError::NotYet { path, at: not_before.as_secs() },
        // An authority of the same name is not the same authority.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => {
            ChainError::Issuer { path, roots: config.tls.roots.clone() }
        }
        Error::RequiredEkuNotFoundContext(_) => ChainError::Purpose { path, role, usage },
        error => ChainError::Other { path, role, error },
    }
}

/// The day of a time in seconds since 1970.
fn date(secs: u64) -> String {
    // Years begin in March, so that the day that is not in each of them is the last one.
    let days = secs / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (secs, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_640_995_199, "2021-12-31"),
            (4_107_542_400, "2100-03-01"),
            (LATEST_SECS, "9999-12-31"),
        ] {
            assert_eq!(date(secs), day);
        }
    }

    #[test]
    fn every_refusal_names_the_file_and_why() {
        let path = || PathBuf::from("tls.pem");
        let purpose = ChainError::Purpose { path: path(), role: "client", usage: "clientAuth" };
        for (error, said) in [
            (ChainError::File(KeyFileError::Pem(path())), "tls.pem: not the PEM file it should be"),
            (ChainError::Expired { path: path(), at: 0 }, "tls.pem: expired on 1970-01-01"),
            (ChainError::NotYet { path: path(), at: 0 }, "tls.pem: not valid before 1970-01-01"),
            (
                ChainError::Issuer { path: path(), roots: "roots.pem".into() },
                "tls.pem: from no authority in roots.pem, and without a way to one",
            ),
            (purpose, "tls.pem: not for use as a client (extended key usage clientAuth)"),
            (ChainError::Name { path: path(), domain: "a.example".into() }, "tls.pem: not valid for a.example"),
            (
                ChainError::Other { path: path(), role: "server", error: Error::BadDer },
                "tls.pem: refused as a server: BadDer",
            ),
        ] {
            assert_eq!(error.to_string(), said);
        }
    }
}
