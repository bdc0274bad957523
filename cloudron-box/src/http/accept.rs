//! Connections, TLS and HTTP, with a limit on every resource that a client can hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use cloudron_core::Cancel;
use http::HeaderMap;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use super::auth::Peer;
use super::crowd::Crowd;
use super::network::Network;
use super::watched::{Progress, Watched};

/// Time limit for open requests when the server stops.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Time limit of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Time limit for receiving the head of a request, and for an idle connection.
const HEAD: Duration = Duration::from_secs(20);

/// Time limit for a client that does not read pending data.
const STALL: Duration = Duration::from_secs(20);

/// Maximum size of the head of a request, in bytes.
const HEAD_SIZE: usize = 32 * 1024;

/// Maximum response data buffered for a client in addition to the kernel's buffers, in bytes. Pipelined
/// requests are served one after the other; the next is not read before there is room.
const WAITING: usize = 16 * 1024;

/// Shared parts of all connections.
#[derive(Clone)]
pub(crate) struct Connections {
    router: Router,
    tls: TlsAcceptor,
    stopping: Cancel,
    crowd: Arc<Crowd>,
    stall: Duration,
}

impl Connections {
    pub(crate) fn new(router: Router, tls: Arc<ServerConfig>, stopping: Cancel) -> Self {
        Self { router, tls: tls.into(), stopping, crowd: Arc::default(), stall: STALL }
    }

    /// Accepts connections until the server stops, then waits for the open ones.
    pub(crate) async fn accept(self, listener: TcpListener) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, address)) => {
                    let progress = Progress::new();
                    let Some(seat) = self.crowd.admit(Network::of(address.ip()), &progress) else {
                        tracing::debug!(peer = %address, "There are too many connections");
                        continue;
                    };
                    let (this, watcher) = (self.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        tokio::select! {
                            () = this.connection(stream, address.ip(), progress, watcher) => {}
                            () = seat.lost() => tracing::debug!(peer = %address, "An idle connection made room"),
                        }
                    });
                }
                Err(error) => not_accepted(&error).await,
            }
        }
        drop(listener);
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }

    /// Does the same with the connections of the front, which has this user number. Nobody else is answered. It limits how
    /// many there are, and says who the clients are.
    pub(crate) async fn accept_front(self, listener: UnixListener, front: u32) {
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) if is_of(&stream, front) => {
                    let stream = Watched::new(stream, Progress::new(), self.stall);
                    let served = serve(self.router.clone(), stream, None, graceful.watcher());
                    tokio::spawn(served);
                }
                Ok(_) => tracing::warn!("Somebody asked who is not the front"),
                Err(error) => not_accepted(&error).await,
            }
        }
        drop(listener);
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }

    async fn connection(self, stream: TcpStream, peer: IpAddr, progress: Arc<Progress>, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        let stream = Watched::new(stream, progress, self.stall);
        let handshake = self.tls.accept_with(stream, |tls| tls.set_buffer_limit(Some(WAITING)));
        // Port scans are frequent: a failure before a request is only traced.
        let stream = match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "A TLS handshake failed"),
            Err(_) => return tracing::debug!(%peer, "A TLS handshake took too long"),
        };
        serve(self.router, stream, Some(peer), watcher).await;
    }
}

/// Of the errors of accept(2), only a lack of descriptors or memory persists.
async fn not_accepted(error: &std::io::Error) {
    tracing::warn!(%error, "A connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Returns true if the other end is that user, or root.
fn is_of(stream: &UnixStream, user: u32) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == user || peer.uid() == 0)
}

/// Answers the requests of a connection: of this client, or of those that the front names.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    router: Router,
    stream: S,
    client: Option<IpAddr>,
    watcher: Watcher,
) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(address) = client.or_else(|| named(request.headers())) {
            request.extensions_mut().insert(Peer(address));
        }
        let mut router = router.clone();
        async move { tower_service::Service::call(&mut router, request).await }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_SIZE)
        .max_buf_size(HEAD_SIZE)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(?client, %error, "A connection ended badly");
    }
}

/// Returns the client that the front names: it sets this field once, and removes what a client sent.
fn named(fields: &HeaderMap) -> Option<IpAddr> {
    fields.get("x-forwarded-for")?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::http::auth::Address;

    /// Asks at a socket of an interface whose front is that user. Returns what is answered.
    async fn ask(front: u32, request: &str) -> String {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("interface.sock");
        let router =
            Router::new().route("/", axum::routing::get(|address: Address| async move { address.text() }));
        let tls =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
        let connections = Connections::new(router, Arc::new(tls), Cancel::new());
        let accepting = tokio::spawn(connections.accept_front(UnixListener::bind(&path).unwrap(), front));
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let mut answer = String::new();
        // The other side may have closed it already.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_string(&mut answer).await;
        accepting.abort();
        answer
    }

    #[tokio::test]
    async fn the_front_names_the_client_and_nobody_else_is_answered() {
        let request = "GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close\r\n\r\n";
        let me = rustix::process::geteuid().as_raw();
        let answer = ask(me, request).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("192.0.2.7"), "{answer}");
        if me != 0 {
            assert_eq!(ask(me + 1, request).await, "");
        }
    }
}
