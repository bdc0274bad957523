//! Which certificates are trusted: the authorities of the system or of `SSL_CERT_FILE`, those that are named besides, and
//! of all of them also a certificate that a service signed itself.

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

/// What a client trusts, with ring and without a provider for the whole process.
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

/// What is wrong with a file that is no list of certificates.
const NOTHING: &str = "it holds no certificate in PEM";

/// The trusted certificates. A system without any is no error: it may need none.
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

/// Trusts what an authority has signed, and a certificate that is itself among the trusted ones.
#[derive(Debug)]
struct Verifier {
    /// None without any authority.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    trusted: HashSet<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trusted: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        // Systems have old authorities that cannot be read. Those that the user named were checked.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let authorities = (!roots.is_empty()).then(|| {
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("TLS cannot be used: {e}")))
        });
        Ok(Self { authorities: authorities.transpose()?, trusted: trusted.into_iter().collect(), provider })
    }
}

/// Who has signed a certificate, when nothing is wrong with it but that nobody trusts that.
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

/// Whether nothing is wrong with a certificate but that it may also sign others, as `openssl req -x509` makes them. Its
/// time was checked before that.
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
