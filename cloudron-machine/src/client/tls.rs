//! TLS to a machine that trusts only the machine's own certificate authority.

use std::sync::Arc;

use cloudron_core::{Error, Result};
use cloudron_provision::Stream;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::codes;

/// A TLS client that trusts one certificate authority for one name.
pub(crate) struct Pinned {
    host: String,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Pinned {
    /// Creates a client for a host, which answers by `name`.
    pub(crate) fn new(ca_pem: &str, host: &str, name: &'static str) -> Result<Self> {
        let record =
            |why: String| Error::new(&codes::MACHINE_RECORD, format!("the authority of {host}: {why}"));
        let certificate =
            CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|e| record(e.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|e| record(e.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| record(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).map_err(|e| record(e.to_string()))?;
        Ok(Self { host: host.to_owned(), connector: TlsConnector::from(Arc::new(config)), name })
    }

    pub(crate) async fn connect(&self, stream: Box<dyn Stream>) -> Result<TlsStream<Box<dyn Stream>>> {
        self.connector
            .connect(self.name.clone(), stream)
            .await
            .map_err(|e| Error::new(&codes::SERVER_DEAD, format!("no TLS connection to {}: {e}", self.host)))
    }
}
