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
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::auth::Peer;

/// How long open requests may take when the server stops.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How many connections there may be at a time.
const CONNECTIONS: usize = 512;

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the head of a request may take to arrive, and a connection may be idle.
const HEAD: Duration = Duration::from_secs(20);

/// How large the head of a request may be, in bytes.
const HEAD_SIZE: usize = 32 * 1024;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Connections {
    router: Router,
    tls: TlsAcceptor,
    stopping: Cancel,
    free: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(router: Router, tls: Arc<ServerConfig>, stopping: Cancel) -> Self {
        Self { router, tls: tls.into(), stopping, free: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    /// Accepts connections until the server stops, then waits for the open ones.
    pub(super) async fn accept(self, listener: TcpListener) {
        let graceful = GracefulShutdown::new();
        loop {
            // Above the limit, connections wait in the kernel's queue.
            let permit = self.free.clone().acquire_owned().await;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopping.cancelled() => break,
            };
            match accepted {
                Ok((stream, address)) => {
                    let (this, watcher) = (self.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        this.connection(stream, Peer(address), watcher).await;
                        drop(permit);
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

    async fn connection(self, stream: TcpStream, peer: Peer, watcher: Watcher) {
        let _ = stream.set_nodelay(true);
        // Strangers scan all day: what fails before a request is no news.
        let stream = match tokio::time::timeout(HANDSHAKE, self.tls.accept(stream)).await {
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
            .max_buf_size(HEAD_SIZE)
            .half_close(false)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(peer = %peer.0, %error, "A connection ended badly");
        }
    }
}
