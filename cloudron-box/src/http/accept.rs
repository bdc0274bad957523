//! From a socket to HTTP over TLS, with a limit on everything a stranger can make the server hold.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use cloudron_core::Cancel;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::auth::Peer;
use super::crowd::Crowd;
use super::network::Network;
use super::watched::{Progress, Watched};

/// How long open requests may take when the server stops.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the head of a request may take to arrive, and a connection may be idle.
const HEAD: Duration = Duration::from_secs(20);

/// How long a client may leave what waits for it.
const STALL: Duration = Duration::from_secs(20);

/// How large the head of a request may be, in bytes.
const HEAD_SIZE: usize = 32 * 1024;

/// How much of an answer waits for a client beside what the kernel holds, in bytes. A client that sends many
/// requests at once is served one after the other, and its next request is not looked at before there is room.
const WAITING: usize = 16 * 1024;

/// What all connections share.
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
                            () = this.connection(stream, Peer(address), progress, watcher) => {}
                            () = seat.lost() => tracing::debug!(peer = %address, "An idle connection made room"),
                        }
                    });
                }
                Err(error) => {
                    // Of the errors of accept(2), those that last are a lack of descriptors or memory.
                    tracing::warn!(%error, "A connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(listener);
        let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
    }

    async fn connection(self, stream: TcpStream, peer: Peer, progress: Arc<Progress>, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        let stream = Watched::new(stream, progress, self.stall);
        let handshake = self.tls.accept_with(stream, |tls| tls.set_buffer_limit(Some(WAITING)));
        // Strangers scan all day: what fails before a request is no news.
        let stream = match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(peer = %peer.0, %error, "A TLS handshake failed"),
            Err(_) => return tracing::debug!(peer = %peer.0, "A TLS handshake took too long"),
        };
        let router = self.router;
        let service = service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
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
            tracing::debug!(peer = %peer.0, %error, "A connection ended badly");
        }
    }
}
