//! Trusted certificates: the authorities of the system or of `SSL_CERT_FILE`, those given in addition, and
//! self-signed certificates of services among them.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;

use crate::{Error, HttpOptions, Result, codes};

/// Returns the TLS settings, with ring and without a process-wide provider.
pub(crate) fn config(options: &HttpOptions) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(certificates(options)?, provider.clone())?;
    let unusable = |e| Error::new(&cloudron_core::codes::FAILED, format!("TLS cannot be used: {e}"));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(unusable)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = match options.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// Error text for a file without certificates.
const NOTHING: &str = "it holds no certificate in PEM";

/// Returns the trusted certificates. A system without any is not an error, since none may be needed.
fn certificates(options: &HttpOptions) -> Result<Vec<CertificateDer<'static>>> {
    let system = rustls_native_certs::load_native_certs();
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| std::env::var_os(name).is_some());
    if let (Some(name), true) = (named, system.certs.is_empty()) {
        let why = system.errors.first().map_or_else(|| NOTHING.to_owned(), ToString::to_string);
        return Err(Error::new(&codes::CA_FILE, format!("{name}: {why}")));
    }
    let mut found = system.certs;
    if let Some(file) = &options.ca_file {
        found.extend(of_file(file)?);
    }
    if let Some(pem) = &options.ca_pem {
        found.extend(parse(pem.as_bytes()).map_err(|why| Error::new(&codes::CA_FILE, why))?);
    }
    Ok(found)
}

/// Returns the certificates in PEM that a client with that `ca_file` trusts besides those of the system: of the file, and
/// of `SSL_CERT_FILE` and `SSL_CERT_DIR`. `None` if there are none. Nothing else that the files hold is in it, such as a
/// private key, and no certificate that cannot be used.
///
/// # Errors
/// Those of reading the files.
pub fn named_certificates(ca_file: Option<&Path>) -> Result<Option<String>> {
    let mut files: Vec<PathBuf> = ca_file.map(Path::to_owned).into_iter().collect();
    files.extend(std::env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty()).map(PathBuf::from));
    let list = std::env::var_os("SSL_CERT_DIR");
    let folders = list.iter().flat_map(std::env::split_paths);
    for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
        let entries = std::fs::read_dir(&folder).map_err(|e| Error::io(&folder, e))?;
        files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()));
    }
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read(&file).map_err(|e| Error::io(&file, e))?;
        found.extend(usable(&String::from_utf8_lossy(&text)));
    }
    Ok((!found.is_empty()).then(|| found.into_iter().collect()))
}

/// The certificates in a text that can be used, each with a line break at its end.
fn usable(text: &str) -> Vec<String> {
    let end = "-----END CERTIFICATE-----";
    let blocks = text.split_inclusive(end).filter(|block| block.ends_with(end));
    let certificates = blocks.filter_map(|block| Some(&block[block.rfind("-----BEGIN CERTIFICATE-----")?..]));
    certificates.filter(|block| parse(block.as_bytes()).is_ok()).map(|block| format!("{block}\n")).collect()
}

fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    parse(&pem).map_err(|why| Error::new(&codes::CA_FILE, format!("{}: {why}", file.display())))
}

fn parse(pem: &[u8]) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|e| format!("it is not PEM: {e}"))?;
    if found.is_empty() {
        return Err(NOTHING.to_owned());
    }
    if let Some(bad) = found.iter().find_map(|der| webpki::anchor_from_trusted_cert(der).err()) {
        return Err(format!("a certificate in it cannot be used: {bad}"));
    }
    Ok(found)
}

/// Trusts certificates signed by an authority, and certificates that are themselves trusted.
#[derive(Debug)]
struct Verifier {
    /// `None` if there are no authorities.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    trusted: HashSet<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trusted: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        // Systems may have old authorities that cannot be parsed. Those given by the user were already
        // checked.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let authorities = (!roots.is_empty()).then(|| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("TLS cannot be used: {e}")))
        });
        Ok(Self { authorities: authorities.transpose()?, trusted: trusted.into_iter().collect(), provider })
    }
}

/// Returns the signer of a certificate, if the only problem is that the signer is not trusted.
pub(crate) fn untrusted_signer(problem: &CertificateError) -> Option<&'static str> {
    match problem {
        CertificateError::UnknownIssuer => Some("an authority that is not known has signed it"),
        CertificateError::BadSignature => {
            Some("an authority has signed it that only has the name of a known one")
        }
        problem if is_authority_itself(problem) => Some("the service signed it itself"),
        _ => None,
    }
}

/// Returns true if the only problem with a certificate is that it is a CA certificate, as made by
/// `openssl req -x509`. Its validity period was already checked.
fn is_authority_itself(problem: &CertificateError) -> bool {
    let CertificateError::Other(other) = problem else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        match authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(problem))
                if is_authority_itself(&problem) && self.trusted.contains(certificate) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            answer => answer,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use cloudron_testkit::tls_front::Authority;

    use super::*;

    #[test]
    fn only_certificates_that_can_be_used_leave_a_file() {
        let (one, two) = (Authority::default().pem(), Authority::default().pem());
        let key = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
        let old = "-----BEGIN CERTIFICATE-----\nb2xk\n-----END CERTIFICATE-----\n";
        let found = usable(&format!("# Mine\n{key}{one}{old}{key}# Yours\n{two}{key}"));
        assert_eq!(found, [one, two].map(|pem| pem.replace("\r\n", "\n")));
        assert_eq!(parse(found.concat().as_bytes()).unwrap().len(), 2);
        assert!(usable(key).is_empty());
    }
}
