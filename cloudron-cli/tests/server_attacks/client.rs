//! A client that sends arbitrary requests, from any loopback address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A server, as seen by clients.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    tls: TlsConnector,
}

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

impl Server {
    /// Returns the server of a local machine.
    pub(crate) fn of(root: &Path) -> Self {
        let config: Value =
            serde_json::from_slice(&std::fs::read(root.join("config.json")).unwrap()).unwrap();
        let address = config["listen"][0].as_str().unwrap().parse().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(root.join("secrets/ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, tls: Arc::new(tls).into() }
    }

    /// Connects from this address. With a small receive buffer, the server notices sooner that the client
    /// does not read.
    pub(crate) async fn connect(
        &self,
        from: Ipv4Addr,
        buffer: Option<u32>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        if let Some(size) = buffer {
            socket.set_recv_buffer_size(size)?;
        }
        socket.bind((IpAddr::from(from), 0).into())?;
        let stream = socket.connect(self.address).await?;
        self.tls.connect(ServerName::try_from("my.demo.localhost").unwrap(), stream).await
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(
        &self,
        from: Ipv4Addr,
        request: (&str, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> std::io::Result<Answer> {
        let mut stream = self.connect(from, None).await?;
        stream.write_all(&text(request, token, body, "close")).await?;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
        // A peer that closes without a TLS close_notify has still answered.
        match read.map_err(std::io::Error::from)? {
            Err(e) if answer.is_empty() => return Err(e),
            _ => {}
        }
        Ok(parse(&answer).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer))))
    }

    pub(crate) async fn log_in(&self, from: Ipv4Addr, name: &str, password: &str) -> Answer {
        let body = serde_json::json!({"username": name, "password": password});
        self.ask(from, ("POST", "/api/v1/developer/login"), None, Some(body)).await.unwrap()
    }

    pub(crate) async fn activate(&self, from: Ipv4Addr, token: &str, email: &str, password: &str) -> Answer {
        let body = serde_json::json!({"email": email, "password": password});
        self.ask(from, ("POST", "/api/v1/cloudron/activate"), Some(token), Some(body)).await.unwrap()
    }

    /// Checks that a stranger gets an answer in time.
    pub(crate) async fn answers(&self, from: Ipv4Addr) -> Result<(), String> {
        let asked = self.ask(from, ("GET", "/api/v1/cloudron/status"), None, None);
        match tokio::time::timeout(Duration::from_secs(10), asked).await {
            Ok(Ok(answer)) if answer.status == 200 => Ok(()),
            Ok(other) => Err(format!("{from}: {other:?}")),
            Err(_) => Err(format!("{from}: no answer")),
        }
    }
}

/// Returns the text of a request.
pub(crate) fn text(
    (method, path): (&str, &str),
    token: Option<&str>,
    body: Option<Value>,
    connection: &str,
) -> Vec<u8> {
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: my.demo.localhost\r\nConnection: {connection}\r\n");
    if let Some(token) = token {
        head += &format!("Authorization: Bearer {token}\r\n");
    }
    let body = body.map(|b| b.to_string()).unwrap_or_default();
    if !body.is_empty() {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let retry = head.lines().find_map(|l| l.strip_prefix("retry-after: "));
    Some(Answer {
        status,
        retry_after: retry.and_then(|r| r.parse().ok()),
        body: serde_json::from_str(body).unwrap_or_default(),
    })
}

/// Returns the address of the n-th stranger.
pub(crate) fn stranger(n: u32) -> Ipv4Addr {
    let [a, b] = u16::try_from(n % 60_000).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 40, a, b.max(1))
}
