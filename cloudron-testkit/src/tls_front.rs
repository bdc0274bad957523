//! TLS in front of a plain server: a private authority, its certificates, and the gateway behind a forward
//! proxy.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A server's certificate with its key.
#[derive(Debug)]
pub struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Identity {
    /// Creates a self-signed certificate. With `authority`, it is a CA certificate like those of
    /// `openssl req -x509`.
    ///
    /// # Panics
    /// If a name cannot be in a certificate.
    #[must_use]
    pub fn self_signed(names: &[&str], authority: bool) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(names);
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        Self { certificate: params.self_signed(&key).expect("a certificate"), key }
    }

    /// Returns the certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns its key, PEM.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Returns a server's TLS settings that offer these protocols.
    ///
    /// # Panics
    /// Never: the certificate is usable.
    #[must_use]
    pub fn server(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("ring knows the versions").with_no_client_auth();
        let mut config =
            config.with_single_cert(vec![self.certificate.der().clone()], key).expect("they fit");
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// A private certificate authority.
#[derive(Debug)]
pub struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }
}

impl Authority {
    /// Returns its certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Creates a certificate signed by it.
    ///
    /// # Panics
    /// If a name cannot be in a certificate.
    #[must_use]
    pub fn identity(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(names).signed_by(&key, &self.issuer).expect("a certificate");
        Identity { certificate, key }
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("names of hosts")
}

/// Terminates TLS for a plain server. Also accepts `CONNECT` like a proxy, and then acts as any requested
/// host, so that programs reach it by the URLs of real services.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    seen: Arc<Seen>,
    /// Ends without waiting, so that it can be dropped inside another one.
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct Seen {
    targets: Mutex<Vec<String>>,
    connections: Mutex<usize>,
}

impl TlsFront {
    /// Starts a front for the server at an address.
    ///
    /// # Panics
    /// If the loopback address has no free port.
    #[must_use]
    pub fn start(identity: &Identity, server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener of our own");
        let entered = runtime.enter();
        let listener = TcpListener::from_std(listener).expect("a listener of our own");
        drop(entered);
        let address = listener.local_addr().expect("a listener has an address");
        let seen = Arc::new(Seen::default());
        let (acceptor, shared) = (TlsAcceptor::from(identity.server(&["http/1.1"])), seen.clone());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                // Errors of a closing client are ignored.
                tokio::spawn(serve(stream, acceptor.clone(), shared.clone(), server));
            }
        });
        Self { address, seen, runtime: Some(runtime) }
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the targets requested with `CONNECT`, as host and port.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        self.seen.targets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of connections so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.seen.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    acceptor: TlsAcceptor,
    seen: Arc<Seen>,
    server: SocketAddr,
) -> std::io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first == *b"C" {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head);
        let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.targets.lock().unwrap_or_else(PoisonError::into_inner).push(target);
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    }
    let mut stream = acceptor.accept(stream).await?;
    let mut server = TcpStream::connect(server).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut server).await.map(drop)
}
