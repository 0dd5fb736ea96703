use http::{HeaderMap, header};
use mimi_pseudonym::Domain;
use mimi_wire::Problem;
use rustls_pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// A provider whose TLS certificate is one of the domain in its From header. Made by [`Peer::authenticate`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer(Domain);

impl Peer {
    /// Compares the From header (draft-ietf-mimi-protocol-06, section 5) with the certificate of the connection, whose
    /// path the TLS handshake has verified.
    pub(crate) fn authenticate(headers: &HeaderMap, certificate: Option<&CertificateDer<'_>>) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::FROM).iter();
        let (Some(from), None) = (values.next(), values.next()) else { return Err(Problem::FromMissing) };
        let domain = from.to_str().ok().and_then(|from| from.strip_prefix("mimi@")).unwrap_or_default();
        let domain: Domain = domain.parse().map_err(|_| Problem::FromMissing)?;
        let certificate = certificate.ok_or(Problem::FromMismatch)?;
        let certificate = EndEntityCert::try_from(certificate).map_err(|_| Problem::FromMismatch)?;
        let name = ServerName::try_from(domain.as_str()).map_err(|_| Problem::FromMismatch)?;
        certificate.verify_is_valid_for_subject_name(&name).map_err(|_| Problem::FromMismatch)?;
        Ok(Self(domain))
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (header::FROM, value.parse().unwrap())).collect()
    }

    #[test]
    fn from_and_certificate_have_to_agree() {
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::new(vec!["b.example".into()]).unwrap().self_signed(&key).unwrap();
        let own = Some(own.der());
        let peer = Peer::authenticate(&from(&["mimi@B.example"]), own).unwrap();
        assert_eq!(peer.domain().as_str(), "b.example");
        assert_eq!(Peer::authenticate(&from(&["mimi@a.example"]), own), Err(Problem::FromMismatch));
        assert_eq!(Peer::authenticate(&from(&["mimi@b.example"]), None), Err(Problem::FromMismatch));
        for bad in [&[][..], &["b.example"], &["mimi@"], &["mimi@b.example", "mimi@b.example"], &["x@b.example"]] {
            assert_eq!(Peer::authenticate(&from(bad), own), Err(Problem::FromMissing), "{bad:?}");
        }
    }
}
