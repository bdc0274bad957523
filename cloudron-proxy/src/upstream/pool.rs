//! Connections that are kept for the next request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::time::{Instant, sleep, timeout};

use crate::body::Outgoing;
use crate::{Limits, Protocol, Timeouts, Upstream};

/// Time in which a connection must be free again after its response.
const RELEASE: Duration = Duration::from_secs(1);

/// Idle time after which a connection may be closed by the upstream at any moment. A request that cannot be sent twice then
/// gets a new one.
const FRESH: Duration = Duration::from_secs(1);

/// The connections to one upstream.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) upstream: Upstream,
    pub(super) protocol: Protocol,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    idle: Mutex<Vec<Idle>>,
    reaping: AtomicBool,
    /// The connection with HTTP/2, which all requests share.
    pub(super) shared: tokio::sync::Mutex<Option<http2::SendRequest<Outgoing>>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Outgoing>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(
        upstream: Upstream,
        protocol: Protocol,
        limits: Limits,
        timeouts: Timeouts,
    ) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            protocol,
            limits,
            timeouts,
            idle: Mutex::default(),
            reaping: AtomicBool::default(),
            shared: tokio::sync::Mutex::default(),
        })
    }

    /// Returns whether this is a pool for that upstream and protocol.
    pub(crate) fn is_for(&self, upstream: &Upstream, protocol: Protocol) -> bool {
        self.upstream == *upstream && self.protocol == protocol
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the connection that was used last. Only one that was used just now for a request that cannot be sent twice.
    pub(super) fn take(&self, repeatable: bool) -> Option<http1::SendRequest<Outgoing>> {
        let limit = if repeatable { self.timeouts.pool } else { FRESH.min(self.timeouts.pool) };
        let mut idle = self.idle();
        while let Some(one) = idle.pop() {
            if one.since.elapsed() >= limit {
                idle.push(one);
                return None;
            }
            if one.sender.is_ready() {
                return Some(one.sender);
            }
        }
        None
    }

    fn put(self: &Arc<Self>, sender: http1::SendRequest<Outgoing>) {
        let mut idle = self.idle();
        if idle.len() >= self.limits.pool || sender.is_closed() {
            return;
        }
        idle.push(Idle { sender, since: Instant::now() });
        drop(idle);
        if !self.reaping.swap(true, Ordering::AcqRel) {
            tokio::spawn(reap(Arc::downgrade(self), self.timeouts.pool));
        }
    }
}

/// Closes connections that nobody used for some time, until there are none.
async fn reap(pool: Weak<Pool>, limit: Duration) {
    loop {
        sleep(limit).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.idle();
        idle.retain(|one| one.since.elapsed() < limit && !one.sender.is_closed());
        if idle.is_empty() {
            // Under the lock, so that the next connection finds that nobody reaps.
            pool.reaping.store(false, Ordering::Release);
            return;
        }
    }
}

/// A connection in use by one request.
#[derive(Debug)]
pub(crate) struct Lease {
    pool: Arc<Pool>,
    sender: http1::SendRequest<Outgoing>,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, sender: http1::SendRequest<Outgoing>) -> Self {
        Self { pool, sender }
    }

    /// Keeps the connection for another request, as soon as the last one is wholly sent.
    pub(crate) fn give_back(self) {
        let Self { pool, mut sender } = self;
        if sender.is_ready() {
            return pool.put(sender);
        }
        if sender.is_closed() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Ok(Ok(())) = timeout(RELEASE, sender.ready()).await {
                pool.put(sender);
            }
        });
    }
}
