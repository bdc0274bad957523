//! The port for plain HTTP: challenges of a certificate authority, and redirects.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::activity::Activity;
use super::connection;
use super::held::{Held, Record};
use super::proxy::Inner;
use super::seats::{Seat, plain_address};
use super::tls::accept;
use super::watched::Watched;
use crate::body::Body;
use crate::framing::{Exchange, HeadLimits, Strict};
use crate::{challenges, fields, pages};

pub(super) async fn serve(inner: &Arc<Inner>, listener: TcpListener) {
    while let Some((stream, peer)) = accept(inner, &listener).await {
        let activity = Activity::new(inner.settings.clock.clone());
        let address = plain_address(peer.ip());
        let Some(seat) = inner.plain_seats.admit(address, inner.settings.limits.plain, &activity) else {
            tracing::debug!(%peer, "There are too many connections");
            continue;
        };
        let (inner, tracked) = (inner.clone(), inner.open.track());
        tokio::spawn(async move {
            requests(&inner, stream, address, activity, seat).await;
            drop(tracked);
        });
    }
}

async fn requests(
    inner: &Inner,
    stream: TcpStream,
    address: std::net::IpAddr,
    activity: Arc<Activity>,
    seat: Seat,
) {
    let _ = stream.set_nodelay(true);
    let (limits, timeouts) = (&inner.settings.limits, &inner.settings.timeouts);
    let exchange = Arc::<Exchange>::default();
    let head = HeadLimits { size: limits.head_size, fields: limits.fields, target: limits.target };
    let watched = Watched::new(stream, activity.clone(), timeouts.client);
    let stream = Strict::new(watched, head, timeouts.header, exchange.clone());
    let service = service_fn(|request: Request<Incoming>| {
        let (open, refusal) = (activity.open(), exchange.begin());
        let mut record = Record::begin(&inner.settings, address, &request);
        let response = match refusal {
            Some(refusal) => pages::refused(refusal),
            None => pages::closing(answer(inner, &request, &mut record)),
        };
        exchange.stay();
        if let Some(record) = &mut record {
            record.status = response.status().as_u16();
        }
        let held = Held { _open: open, _permit: None, record };
        std::future::ready(Ok::<_, Infallible>(response.map(|body| body.holding(held))))
    });
    let connection = http1::Builder::new()
        .half_close(false)
        .max_headers(limits.fields + 1)
        .max_buf_size(limits.head_size.max(8192) * 2)
        .serve_connection(TokioIo::new(stream), service);
    connection::run(connection, |c| c.graceful_shutdown(), inner, &activity, &seat).await;
}

fn answer(inner: &Inner, request: &Request<Incoming>, record: &mut Option<Record>) -> Response<Body> {
    if let Some(token) = request.uri().path().strip_prefix(challenges::PATH) {
        let answer = inner.settings.challenges.get(token);
        let readable = matches!(*request.method(), Method::GET | Method::HEAD);
        return answer.filter(|_| readable).map_or_else(|| pages::page(StatusCode::NOT_FOUND), challenge);
    }
    let parts = request_parts(request);
    let host = match fields::target(&parts) {
        Ok(Some((host, _))) => host,
        Ok(None) => return pages::page(StatusCode::NOT_FOUND),
        Err(problem) => return pages::problem(problem),
    };
    if let Some(record) = record {
        record.host = host.as_str().to_owned();
    }
    // Only to hosts of the table: a redirect to any host would lend this machine's name to others.
    if inner.live.load().find(&host).is_none() {
        return pages::page(StatusCode::NOT_FOUND);
    }
    let port = match inner.settings.https_port {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    match HeaderValue::from_str(&format!("https://{}{port}{path}", host.as_str())) {
        Ok(location) => {
            let mut response = pages::page(StatusCode::PERMANENT_REDIRECT);
            response.headers_mut().insert(header::LOCATION, location);
            response
        }
        Err(_) => pages::page(StatusCode::BAD_REQUEST),
    }
}

fn challenge(key_authorization: String) -> Response<Body> {
    let mut response = pages::with_text(StatusCode::OK, key_authorization);
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Returns the head of a request without its body.
fn request_parts<B>(request: &Request<B>) -> http::request::Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = request.method().clone();
    parts.uri = request.uri().clone();
    parts.version = request.version();
    parts.headers = request.headers().clone();
    parts
}
