//! A proxy that runs, with certificates of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cloudron_proxy::{Proxy, Route, Settings, Table, Upstream};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpListener;

/// A certificate for these hosts, which signs itself.
#[derive(Debug, Clone)]
pub(crate) struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    pub(crate) fn of(hosts: &[&str]) -> Self {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        Self(Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], key)))
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        &self.0.cert[0]
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// All hosts that tests use.
pub(crate) const HOSTS: [&str; 5] = ["a.test", "b.test", "my.test", "gone.test", "*.wild.test"];

pub(crate) struct Running {
    pub(crate) proxy: Proxy,
    pub(crate) address: SocketAddr,
    pub(crate) plain: SocketAddr,
    pub(crate) certificate: Certificate,
}

/// Settings with time limits for tests.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::with_ring();
    settings.timeouts.response = Duration::from_secs(20);
    settings
}

pub(crate) fn to(upstream: SocketAddr) -> Route {
    Route::new(Upstream::Tcp(upstream))
}

impl Running {
    /// A proxy with one route, of `a.test`.
    pub(crate) async fn with(upstream: SocketAddr) -> Self {
        Self::of(settings(), &[("a.test", to(upstream))]).await
    }

    pub(crate) async fn of(settings: Settings, routes: &[(&str, Route)]) -> Self {
        let certificate = Certificate::of(&HOSTS);
        let proxy = Proxy::new(settings, table(&certificate, routes)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, plain_address) = (listener.local_addr().unwrap(), plain.local_addr().unwrap());
        let (one, other) = (proxy.clone(), proxy.clone());
        tokio::spawn(async move { one.serve_tls(listener).await });
        tokio::spawn(async move { other.serve_plain(plain).await });
        Self { proxy, address, plain: plain_address, certificate }
    }
}

pub(crate) fn table(certificate: &Certificate, routes: &[(&str, Route)]) -> Table {
    let table = Table::new(Arc::new(certificate.clone()));
    routes.iter().fold(table, |table, (host, route)| table.route(host, route.clone()).unwrap())
}
