//! TLS for the server, with a certificate that can be replaced while it runs, and for its clients.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::{leaf_file, leaf_key_file};
use crate::{Error, Layout, Result, codes};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The server's certificate, which can be replaced while it runs.
pub(crate) struct Certificate(RwLock<Arc<CertifiedKey>>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(…)")
    }
}

impl Certificate {
    /// Reads the certificate and its key.
    pub(crate) fn load(layout: &Layout) -> Result<Arc<Self>> {
        Ok(Arc::new(Self(RwLock::new(read(layout)?))))
    }

    /// Reads them again, for new connections.
    pub(crate) fn reload(&self, layout: &Layout) -> Result<()> {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = read(layout)?;
        Ok(())
    }

    /// Returns the server's TLS settings: versions 1.2 and 1.3, HTTP/1.1.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong(e.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Leaves the certificate, its key and what it is signed by for the front, on a machine that has one: in one file, which is
/// replaced as a whole. Its folder gives it the front's group.
///
/// # Errors
/// File errors.
pub(crate) fn leave_for_front(layout: &Layout) -> Result<()> {
    let file = layout.front_certificate().filter(|file| file.parent().is_some_and(std::path::Path::is_dir));
    // An installation of an earlier version has no front.
    let Some(left) = file else { return Ok(()) };
    let mut pem = Vec::new();
    for file in [leaf_key_file(layout), leaf_file(layout)] {
        pem.extend(std::fs::read(&file).map_err(|e| Error::io(&file, e))?);
    }
    if std::fs::read(&left).is_ok_and(|there| there == pem) {
        return Ok(());
    }
    cloudron_core::atomic::write(&left, 0o640, &pem)
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn read(layout: &Layout) -> Result<Arc<CertifiedKey>> {
    let chain = CertificateDer::pem_file_iter(leaf_file(layout))
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|e| wrong(format!("{}: {e}", leaf_file(layout).display())))?;
    let key = PrivateKeyDer::from_pem_file(leaf_key_file(layout))
        .map_err(|e| wrong(format!("{}: {e}", leaf_key_file(layout).display())))?;
    let key = ring::sign::any_supported_type(&key).map_err(|e| wrong(e.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// Returns a client's TLS settings that trust only this authority.
pub(crate) fn client_config(ca_pem: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|e| wrong(e.to_string()))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn wrong(what: String) -> Error {
    Error::new(&codes::CERTIFICATE, format!("TLS: {what}"))
}
