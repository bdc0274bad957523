//! The table that is in force.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::host::HostName;
use crate::upstream::Pool;
use crate::{Route, Settings, Table};

/// A table, with what its routes use at the moment.
pub(crate) struct Live {
    routes: HashMap<String, Arc<LiveRoute>>,
    certificates: Arc<dyn ResolvesServerCert>,
}

/// A route, with what it uses at the moment.
#[derive(Debug)]
pub(crate) struct LiveRoute {
    /// The host of the table, which may be a wildcard.
    pub(crate) host: Arc<str>,
    pub(crate) route: Route,
    pub(crate) pool: Arc<Pool>,
    requests: Arc<AtomicUsize>,
}

/// The right to have one request at an upstream.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl LiveRoute {
    /// Takes one request out of the budget, if there is one left.
    pub(crate) fn permit(&self) -> Option<Permit> {
        let most = self.route.budget.requests;
        let more = |count| (count < most).then_some(count + 1);
        self.requests.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Permit(self.requests.clone()))
    }
}

impl Live {
    /// Puts a table into force. Routes that stay keep their count of requests, and their connections if the upstream is the
    /// same.
    pub(crate) fn new(table: Table, before: Option<&Self>, settings: &Settings) -> Self {
        let routes = table.routes.into_iter().map(|(host, route)| {
            let old = before.and_then(|live| live.routes.get(&host));
            let requests = old.map(|old| old.requests.clone()).unwrap_or_default();
            let kept = old.filter(|old| old.pool.is_for(&route.upstream, route.protocol));
            let pool = kept.map_or_else(
                || {
                    let (upstream, protocol) = (route.upstream.clone(), route.protocol);
                    Pool::new(upstream, protocol, settings.limits.clone(), settings.timeouts.clone())
                },
                |old| old.pool.clone(),
            );
            let name: Arc<str> = host.as_str().into();
            (host, Arc::new(LiveRoute { host: name, route, pool, requests }))
        });
        Self { routes: routes.collect(), certificates: table.certificates }
    }

    /// Returns the route of a host: its own, or that of the wildcard.
    pub(crate) fn find(&self, host: &HostName) -> Option<Arc<LiveRoute>> {
        let own = self.routes.get(host.as_str());
        own.or_else(|| self.routes.get(&host.wildcard()?)).cloned()
    }
}

/// Gives each handshake the certificate of the table that is in force at that moment.
pub(crate) struct Certificates(pub(crate) Arc<ArcSwap<Live>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().certificates.resolve(hello)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}
