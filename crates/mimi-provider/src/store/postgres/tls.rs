//! TLS to a PostgreSQL server: 1.3, with a certificate that comes from one of the given authorities and is one of the
//! host's name (what PostgreSQL's own programs call `verify-full`). Where this is wanted, nothing is sent without it.

use std::{
    error::Error,
    future::Future,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{ClientConfig, RootCertStore, version::TLS13};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};
use tokio_rustls::{TlsConnector, client};

use crate::store::StoreError;

type Failure = Box<dyn Error + Send + Sync>;

/// Makes encrypted connections.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

/// An encrypted connection to a host of some name.
pub(super) struct Named {
    connector: TlsConnector,
    name: ServerName<'static>,
}

pub(super) struct Encrypted(client::TlsStream<Socket>);

impl Tls {
    /// Believes the authorities in a file, in PEM.
    pub(super) fn new(roots: &Path) -> Result<Self, StoreError> {
        let refused = || StoreError::unreachable("the file of authorities for its certificate cannot be read");
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(roots).map_err(|_| refused())? {
            store.add(certificate.map_err(|_| refused())?).map_err(|_| refused())?;
        }
        if store.is_empty() {
            return Err(refused());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(|_| refused())?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Named;
    type Error = Failure;

    fn make_tls_connect(&mut self, host: &str) -> Result<Named, Failure> {
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Named { connector: self.0.clone(), name })
    }
}

impl TlsConnect<Socket> for Named {
    type Stream = Encrypted;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted, Failure>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.connector.connect(self.name, socket).await?)) })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        // The name in the certificate says who is at the other end.
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, to)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
