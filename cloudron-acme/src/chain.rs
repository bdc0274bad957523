//! Certificates: reading them, and checking one before it is put in use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::CertificateIdentifier;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::schedule::{Life, Seconds};
use crate::{Error, Result, Subject, codes};

/// The longest chain.
const LONGEST_CHAIN: usize = 8;

/// A certificate with its key, ready to be served.
#[derive(Clone)]
pub struct Certificate {
    /// The names that it is for.
    pub names: Vec<Subject>,
    /// When it is valid.
    pub life: Life,
    /// Its name in renewal information, if its authority has such.
    pub(crate) ari: Option<String>,
    pub(crate) key: Arc<CertifiedKey>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads a key and a chain, PEM.
    pub(crate) fn parse(pem: &str) -> Result<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|e| wrong(format!("the key cannot be read: {e:?}")))?;
        let chain = chain_of(pem)?;
        let key = ring::sign::any_supported_type(&key)
            .map_err(|e| wrong(format!("the key cannot be used: {e}")))?;
        let (names, life) = facts(&chain[0])?;
        let ari = CertificateIdentifier::try_from(&chain[0]).ok().map(|id| id.to_string());
        let key = CertifiedKey::new(chain, key);
        key.keys_match().map_err(|e| wrong(format!("it does not fit its key: {e}")))?;
        Ok(Self { names, life, ari, key: Arc::new(key) })
    }

    /// Checks a certificate before it is put in use: that each certificate of the chain is signed by the next one, that it
    /// is for a server, that it covers the names and that it is valid now.
    pub(crate) fn check(&self, names: &[Subject], now: Seconds) -> Result<()> {
        if let Some(missing) = names.iter().find(|name| !self.names.contains(name)) {
            return Err(wrong(format!("it is not for {missing}")));
        }
        // Authorities date certificates back by an hour, and clocks differ by less.
        let Life { from, until } = self.life;
        if now < from || now >= until {
            return Err(wrong("it is not valid now".to_owned()));
        }
        self.check_signatures(now)
    }

    fn check_signatures(&self, now: Seconds) -> Result<()> {
        let [leaf, between @ .., last] = &self.key.cert[..] else {
            // The authority itself signed it, and is not in the chain.
            return Ok(());
        };
        let invalid = |e: webpki::Error| wrong(format!("its chain is not valid: {e}"));
        let anchor = webpki::anchor_from_trusted_cert(last).map_err(invalid)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now).unwrap_or(0)));
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let leaf = EndEntityCert::try_from(leaf).map_err(invalid)?;
        leaf.verify_for_usage(algorithms, &[anchor], between, time, KeyUsage::server_auth(), None, None)
            .map_err(invalid)?;
        Ok(())
    }

    /// Returns whether it covers all of these names.
    pub(crate) fn covers(&self, names: &[Subject]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }

    /// Returns the certificate itself, DER.
    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        &self.key.cert[0]
    }

    /// Returns the serial number, in hexadecimal.
    pub fn serial(&self) -> String {
        X509Certificate::from_der(self.leaf())
            .map(|(_, leaf)| leaf.raw_serial_as_string().replace(':', ""))
            .unwrap_or_default()
    }
}

/// Reads the certificates of a PEM text.
fn chain_of(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).take(LONGEST_CHAIN + 1);
    let chain = chain.collect::<std::result::Result<Vec<_>, _>>();
    let chain = chain.map_err(|e| wrong(format!("it cannot be read: {e:?}")))?;
    match chain.len() {
        0 => Err(wrong("there is no certificate".to_owned())),
        n if n > LONGEST_CHAIN => Err(wrong(format!("its chain has more than {LONGEST_CHAIN} certificates"))),
        _ => Ok(chain),
    }
}

fn facts(leaf: &CertificateDer<'_>) -> Result<(Vec<Subject>, Life)> {
    let (rest, leaf) =
        X509Certificate::from_der(leaf).map_err(|e| wrong(format!("it cannot be read: {e}")))?;
    if !rest.is_empty() {
        return Err(wrong("there is something behind it".to_owned()));
    }
    let mut names = Vec::new();
    let alternative = leaf.subject_alternative_name().map_err(|e| wrong(format!("its names: {e}")))?;
    for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.extend(name.parse().ok()),
            GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
            _ => {}
        }
    }
    let validity = leaf.validity();
    let life = Life { from: validity.not_before.timestamp(), until: validity.not_after.timestamp() };
    Ok((names, life))
}

fn address(bytes: &[u8]) -> Option<Subject> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.ok().map(Subject::Address)
}

fn wrong(why: String) -> Error {
    let why: String = why.chars().take(300).collect();
    Error::new(&codes::CERTIFICATE, format!("the certificate: {}", cloudron_core::escape::line(&why)))
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
