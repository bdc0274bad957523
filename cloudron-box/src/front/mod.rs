//! The front: it holds ports 80 and 443 of a machine of its own, and passes requests on to what answers them.
//!
//! systemd opens the ports, so that they stay open while the front is started anew. It may read nothing of the other
//! parts; the interface leaves it the machine's own certificate.

mod certificate;
mod settings;

pub(crate) use settings::{FrontSettings, ROUTES};

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use cloudron_core::Cancel;
use cloudron_proxy::{Protocol, Proxy, Route, Settings, Table, Upstream};
use rustls::server::ResolvesServerCert;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::certificate::OwnCertificate;
use crate::system::activation;
use crate::{Error, Layout, Result};

/// The port for plain HTTP. Everything else is HTTPS.
const PLAIN: u16 = 80;

/// Time limit for open requests when the front stops.
const GRACE: Duration = Duration::from_secs(10);

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The name by which the machine itself reaches the interface, always with the machine's own certificate.
const SELF: &str = "localhost";

/// Runs the front until it is told to stop.
///
/// # Errors
/// `usage` if systemd passed no socket; `machine-missing`, `config-corrupt`.
pub(crate) async fn run(layout: &Layout, stop: &Cancel) -> Result<()> {
    let listeners = listeners()?;
    let settings = FrontSettings::require(layout)?;
    let own = OwnCertificate::of(layout);
    let resolver: Arc<dyn ResolvesServerCert> = own.clone();
    let mut proxying = Settings::with_ring();
    let secure = listeners.iter().find(|(port, _)| *port != PLAIN);
    proxying.https_port = secure.map_or(443, |(port, _)| *port);
    let proxy = Proxy::new(proxying, table(layout, &settings, &resolver)?)?;
    let mut serving = JoinSet::new();
    for (port, listener) in listeners {
        let proxy = proxy.clone();
        serving.spawn(async move {
            match port {
                PLAIN => proxy.serve_plain(listener).await,
                _ => proxy.serve_tls(listener).await,
            }
        });
    }
    tracing::info!(fqdn = %settings.fqdn, "The front answers");
    let looking = async {
        let mut in_force = settings;
        loop {
            tokio::time::sleep(LOOK).await;
            own.look();
            match FrontSettings::require(layout) {
                Ok(new) if new != in_force => match table(layout, &new, &resolver) {
                    Ok(table) => {
                        tracing::info!(fqdn = %new.fqdn, "The front follows its new settings");
                        proxy.swap(table);
                        in_force = new;
                    }
                    Err(error) => tracing::error!(%error, "The settings of the front cannot be used"),
                },
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "The settings of the front cannot be read"),
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = stop.cancelled() => {}
    }
    tracing::info!("The front stops");
    proxy.shut_down(GRACE).await;
    Ok(())
}

/// Returns the sockets that systemd passed, each with its port.
fn listeners() -> Result<Vec<(u16, TcpListener)>> {
    let failed = |e| Error::io("a socket that systemd passed", e);
    let sockets = activation::sockets().into_iter().map(|socket| {
        let listener = StdListener::from(socket);
        let port = listener.local_addr().map_err(failed)?.port();
        listener.set_nonblocking(true).map_err(failed)?;
        Ok((port, TcpListener::from_std(listener).map_err(failed)?))
    });
    let sockets = sockets.collect::<Result<Vec<_>>>()?;
    if sockets.is_empty() {
        let text = "the front is started by systemd, which passes it its sockets";
        return Err(Error::new(&cloudron_core::codes::USAGE, text));
    }
    Ok(sockets)
}

/// Returns the routes: the interface, by its name and for the machine itself, and those of root.
fn table(
    layout: &Layout,
    settings: &FrontSettings,
    certificates: &Arc<dyn ResolvesServerCert>,
) -> Result<Table> {
    let interface = Route::new(Upstream::Unix(layout.interface_socket().unwrap_or_default()));
    let table = Table::new(certificates.clone())
        .route(&settings.fqdn.admin_fqdn(), interface.clone().privileged())?
        .route(SELF, interface)?;
    settings.routes.iter().try_fold(table, |table, route| {
        let protocol = if route.h2c { Protocol::H2c } else { Protocol::Http1 };
        table.route(&route.host, Route::new(Upstream::Tcp(route.to)).protocol(protocol))
    })
}
