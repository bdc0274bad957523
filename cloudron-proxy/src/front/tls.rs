//! The port for HTTPS.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::answer::answer;
use super::client::Client;
use super::connection;
use super::proxy::{Inner, Phase, Tracked};
use super::seats::{Most, Place, Seat, plain_address};
use super::watched::Watched;
use crate::framing::{Exchange, HeadLimits, Strict};
use crate::host::HostName;

/// Bytes of responses that are buffered for a client, in addition to the kernel's buffers.
const WAITING: usize = 16 * 1024;

/// Bytes of a request's body that HTTP/2 may send before the upstream took them, on one stream.
const STREAM_WINDOW: u32 = 128 * 1024;

/// The same on one connection.
const CONNECTION_WINDOW: u32 = 512 * 1024;

/// Time after which a connection with HTTP/2 that has requests and is silent is asked whether it is alive.
const PING: Duration = Duration::from_secs(30);

/// Pause after a connection could not be accepted: of the errors of accept(2), only a lack of descriptors or memory persists.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until the proxy is shut down.
pub(super) async fn accept(inner: &Inner, listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    let mut phase = inner.phase.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = phase.wait_for(|now| *now >= Phase::Draining) => return None,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                tracing::warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

pub(super) async fn serve(inner: &Arc<Inner>, listener: TcpListener) {
    while let Some((stream, peer)) = accept(inner, &listener).await {
        let activity = Activity::new(inner.settings.clock.clone());
        let address = plain_address(peer.ip());
        let Some(seat) = inner.seats.admit(address, inner.settings.limits.handshakes, &activity) else {
            tracing::debug!(%peer, "There are too many connections");
            continue;
        };
        let newcomer = Newcomer { address, activity, seat, tracked: inner.open.track() };
        tokio::spawn(handshake(inner.clone(), stream, newcomer));
    }
}

/// A connection before its handshake.
struct Newcomer {
    address: std::net::IpAddr,
    activity: Arc<Activity>,
    seat: Seat,
    tracked: Tracked,
}

async fn handshake(inner: Arc<Inner>, stream: TcpStream, newcomer: Newcomer) {
    let _ = stream.set_nodelay(true);
    let watched = Watched::new(stream, newcomer.activity.clone(), inner.settings.timeouts.client);
    let shaking = timeout(inner.settings.timeouts.handshake, shake_hands(&inner, watched));
    let result = tokio::select! {
        result = shaking => result,
        () = newcomer.seat.lost() => return,
        () = inner.phase(Phase::Stopped) => return,
    };
    match result {
        Ok(Ok((stream, server_name))) => requests(inner, stream, server_name, newcomer).await,
        // Port scans are frequent: a failure before a request is only traced.
        Ok(Err(error)) => tracing::debug!(%error, "A TLS handshake failed"),
        Err(_) => tracing::debug!("A TLS handshake took too long"),
    }
}

type Stream = TlsStream<Watched<TcpStream>>;

async fn shake_hands(inner: &Inner, stream: Watched<TcpStream>) -> io::Result<(Stream, Option<HostName>)> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let server_name = start.client_hello().server_name().and_then(HostName::parse);
    let config = inner.tls.clone();
    let stream = start.into_stream_with(config, |tls| tls.set_buffer_limit(Some(WAITING))).await?;
    Ok((stream, server_name))
}

async fn requests(inner: Arc<Inner>, stream: Stream, server_name: Option<HostName>, newcomer: Newcomer) {
    let Newcomer { address, activity, seat, tracked } = newcomer;
    let limits = inner.settings.limits.clone();
    let route = server_name.as_ref().and_then(|name| inner.live.load().find(name));
    let crowded = route.as_ref().is_some_and(|route| {
        let place = Place { host: route.host.clone(), privileged: route.route.privileged };
        let own = route.route.budget.connections;
        !seat.promote(place, Most { own, total: limits.connections, reserve: limits.reserve })
    });
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let exchange = Arc::<Exchange>::default();
    let client = Arc::new(Client {
        address,
        server_name,
        crowded,
        lost: route.is_none(),
        activity,
        exchange: exchange.clone(),
        seat,
        _tracked: tracked,
    });
    let service = service_fn(|request: Request<Incoming>| {
        let (inner, client) = (inner.clone(), client.clone());
        async move { Ok::<_, Infallible>(answer(inner, client, request).await) }
    });
    let (activity, seat) = (&client.activity, &client.seat);
    if http2 {
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(limits.head_size).unwrap_or(u32::MAX))
            .max_concurrent_streams(limits.streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(WAITING * 4)
            .keep_alive_interval(PING)
            .keep_alive_timeout(inner.settings.timeouts.client)
            .serve_connection(TokioIo::new(stream), service);
        connection::run(connection, |c| c.graceful_shutdown(), &inner, activity, seat).await;
    } else {
        let head = HeadLimits { size: limits.head_size, fields: limits.fields, target: limits.target };
        let stream = Strict::new(stream, head, inner.settings.timeouts.header, exchange);
        let connection = http1::Builder::new()
            .half_close(false)
            .max_headers(limits.fields + 1)
            .max_buf_size(limits.head_size.max(8192) * 2)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        connection::run(connection, |c| c.graceful_shutdown(), &inner, activity, seat).await;
    }
}
