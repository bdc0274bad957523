//! Connections, TLS and HTTP, with a limit on every resource that a client can hold.

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
                            () = this.connection(stream, Peer(address), progress, watcher) => {}
                            () = seat.lost() => tracing::debug!(peer = %address, "An idle connection made room"),
                        }
                    });
                }
                Err(error) => {
                    // Of the errors of accept(2), only a lack of descriptors or memory persists.
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
        // Port scans are frequent: a failure before a request is only traced.
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
