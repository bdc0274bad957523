//! The proxy as its owner sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use super::seats::Seats;
use super::{plain, tls};
use crate::live::{Certificates, Live};
use crate::{Error, Result, Settings, Table, codes};

/// The protocols that the proxy offers in a handshake (RFC 7301), the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A running proxy. Clones share it.
#[derive(Clone)]
pub struct Proxy(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) live: Arc<ArcSwap<Live>>,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) seats: Arc<Seats>,
    pub(super) plain_seats: Arc<Seats>,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) open: Arc<OpenConnections>,
    /// The name of this proxy in `Via`, by which it recognises a request that it has sent.
    pub(super) pseudonym: String,
}

/// How far the proxy's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Phase {
    Serving,
    /// No new connections, and no new requests on those that are open.
    Draining,
    /// Everything ends now.
    Stopped,
}

impl Proxy {
    /// Creates a proxy, which serves when it is given a listener.
    ///
    /// # Errors
    /// `proxy-tls` if the cryptography offers no version of TLS that the proxy uses.
    pub fn new(settings: Settings, table: Table) -> Result<Self> {
        let live = Arc::new(ArcSwap::from_pointee(Live::new(table, None, &settings)));
        let unusable = |error| Error::new(&codes::TLS, "TLS cannot be set up").with_source(error);
        let mut tls = ServerConfig::builder_with_provider(settings.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Certificates(live.clone())));
        tls.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        Ok(Self(Arc::new(Inner {
            settings,
            live,
            tls: Arc::new(tls),
            seats: Arc::default(),
            plain_seats: Arc::default(),
            phase: watch::Sender::new(Phase::Serving),
            open: Arc::default(),
            pseudonym: format!("cloudron-proxy-{}", cloudron_core::random::token(8)),
        })))
    }

    /// Puts another table into force, at once: requests and handshakes that begin later follow it. Requests under way end as
    /// they began.
    pub fn swap(&self, table: Table) {
        // Two swaps at once must not both begin with the same table, or one would lose the other's connections.
        self.0.live.rcu(|before| Arc::new(Live::new(table.clone(), Some(before), &self.0.settings)));
    }

    /// Serves HTTPS on a listener until the proxy is shut down. Several listeners can be served at once.
    pub async fn serve_tls(&self, listener: TcpListener) {
        tls::serve(&self.0, listener).await;
    }

    /// Serves plain HTTP on a listener until the proxy is shut down: answers to challenges, and redirects to HTTPS.
    pub async fn serve_plain(&self, listener: TcpListener) {
        plain::serve(&self.0, listener).await;
    }

    /// Shuts the proxy down: it accepts no more connections, lets requests under way end for at most `grace`, and then closes
    /// everything. Returns whether all had ended by themselves. The listeners stay open with whoever handed them in by a
    /// duplicate, such as systemd.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        let inner = &self.0;
        inner.phase.send_if_modified(|phase| {
            let serving = *phase == Phase::Serving;
            *phase = if serving { Phase::Draining } else { *phase };
            serving
        });
        let ended = tokio::time::timeout(grace, inner.open.none()).await.is_ok();
        inner.phase.send_replace(Phase::Stopped);
        inner.open.none().await;
        ended
    }

    /// Returns the number of open connections of clients, with those that were upgraded.
    pub fn connections(&self) -> usize {
        self.0.open.count.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Inner {
    /// Waits for a phase, or a later one.
    pub(super) async fn phase(&self, phase: Phase) {
        // The sender lives as long as `self`.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }
}

/// The number of open connections.
#[derive(Debug, Default)]
pub(super) struct OpenConnections {
    count: AtomicUsize,
    ended: Notify,
}

impl OpenConnections {
    pub(super) fn track(self: &Arc<Self>) -> Tracked {
        self.count.fetch_add(1, Ordering::AcqRel);
        Tracked(self.clone())
    }

    async fn none(&self) {
        loop {
            let ended = self.ended.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Tracked(Arc<OpenConnections>);

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}
