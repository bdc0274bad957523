//! The machine's own certificate, which the interface makes and the front serves.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, Layout, Result, codes};

/// The certificate in the file that the interface leaves, which is read again when it changes.
pub(super) struct OwnCertificate {
    path: PathBuf,
    now: RwLock<Option<Read>>,
}

/// What was read, and the time of the file.
struct Read {
    changed: SystemTime,
    certificate: Arc<CertifiedKey>,
}

impl OwnCertificate {
    /// Reads the certificate. One that is not there yet, or cannot be read, is looked for again.
    pub(super) fn of(layout: &Layout) -> Arc<Self> {
        Self::at(layout.front_certificate().unwrap_or_default())
    }

    fn at(path: PathBuf) -> Arc<Self> {
        let own = Self { path, now: RwLock::default() };
        own.look();
        Arc::new(own)
    }

    /// Reads the file again if it has changed. The certificate before stays if that fails.
    pub(super) fn look(&self) {
        let Ok(changed) = fs::metadata(&self.path).and_then(|file| file.modified()) else { return };
        if self.read().as_ref().is_some_and(|(at, _)| *at == changed) {
            return;
        }
        match read(&self.path) {
            Ok(certificate) => {
                *self.now.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Read { changed, certificate });
            }
            Err(error) => tracing::warn!(%error, "The machine's own certificate cannot be read"),
        }
    }

    fn read(&self) -> Option<(SystemTime, Arc<CertifiedKey>)> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.as_ref().map(|read| (read.changed, read.certificate.clone()))
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnCertificate(…)")
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.read().map(|(_, certificate)| certificate)
    }
}

fn read(path: &Path) -> Result<Arc<CertifiedKey>> {
    let wrong =
        |why: String| Error::new(&codes::CERTIFICATE, format!("{} cannot be used: {why}", path.display()));
    let pem = fs::read(path).map_err(|e| Error::io(path, e))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<std::result::Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| wrong(e.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| wrong(e.to_string()))?;
    let key = ring::sign::any_supported_type(&key).map_err(|e| wrong(e.to_string()))?;
    let certificate = CertifiedKey::new(chain, key);
    certificate.keys_match().map_err(|e| wrong(e.to_string()))?;
    Ok(Arc::new(certificate))
}

#[cfg(test)]
mod tests {
    use cloudron_core::atomic;

    use super::*;

    fn pem() -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec!["my.demo.localhost".to_owned()]).unwrap();
        format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem()).into_bytes()
    }

    fn leaf(own: &OwnCertificate) -> Option<Vec<u8>> {
        own.read().map(|(_, certificate)| certificate.cert[0].to_vec())
    }

    #[test]
    fn a_certificate_that_is_replaced_is_served_and_one_that_is_spoilt_is_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("server.pem");
        let own = OwnCertificate::at(path.clone());
        assert_eq!(leaf(&own), None);
        let mut before = None;
        for _ in 0..2 {
            atomic::write(&path, 0o640, &pem()).unwrap();
            own.look();
            assert_ne!(leaf(&own), before, "the new one is served");
            before = leaf(&own);
        }
        atomic::write(&path, 0o640, b"spoilt").unwrap();
        own.look();
        assert_eq!(leaf(&own), before);
        fs::remove_file(&path).unwrap();
        own.look();
        assert_eq!(leaf(&own), before);
    }
}
