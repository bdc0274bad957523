//! Clients.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::running::Running;

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Running {
    /// Opens a connection with TLS.
    pub(crate) async fn tls(&self, server_name: &str, alpn: &str) -> TlsStream<TcpStream> {
        self.try_tls(server_name, alpn).await.unwrap()
    }

    pub(crate) async fn try_tls(
        &self,
        server_name: &str,
        alpn: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(server_name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Sends bytes and returns everything that comes back until the proxy closes the connection.
    pub(crate) async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.tls("a.test", "http/1.1").await;
        // The proxy may close before it has read all.
        let _ = stream.write_all(bytes.as_ref()).await;
        rest(&mut stream).await
    }

    pub(crate) async fn http1<B>(&self, host: &str) -> http1::SendRequest<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = self.tls(host, "http/1.1").await;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender
    }

    pub(crate) async fn http2<B>(&self, host: &str) -> http2::SendRequest<B>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = self.tls(host, "h2").await;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Gets a page by HTTP/1.1 on a connection of its own.
    pub(crate) async fn get(&self, host: &str, path: &str) -> Response<Incoming> {
        let request = Request::get(path).header("host", host).body(Empty::new()).unwrap();
        let mut sender = self.http1::<Empty<Bytes>>(host).await;
        timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap()
    }

    /// Gets a page by HTTP/2 on a connection of its own.
    pub(crate) async fn get2(&self, host: &str, path: &str) -> Response<Incoming> {
        let request = Request::get(format!("https://{host}{path}")).body(Empty::new()).unwrap();
        let mut sender = self.http2::<Empty<Bytes>>(host).await;
        timeout(PATIENCE, sender.send_request(request)).await.unwrap().unwrap()
    }
}

/// Reads until the peer closes, which it must.
pub(crate) async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A connection may also be reset.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the proxy closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until this text has come.
pub(crate) async fn until(stream: &mut (impl AsyncReadExt + Unpin), text: &str) -> String {
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(text) {
        let mut part = [0; 1024];
        let count = timeout(PATIENCE, stream.read(&mut part)).await.unwrap().unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&part[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = timeout(PATIENCE, response.into_body().collect()).await.unwrap().unwrap();
    String::from_utf8_lossy(&body.to_bytes()).into_owned()
}
