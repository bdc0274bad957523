//! The answer to a request.

use std::sync::Arc;

use http::{HeaderMap, Request, Response, StatusCode, Version, header};
use hyper::body::{Body as _, Incoming};

use super::client::Client;
use super::held::{Held, Record};
use super::proxy::{Inner, Phase};
use super::tunnel::{self, Tunnel};
use crate::body::{Body, Fate, Outgoing};
use crate::fields::{self, Facts};
use crate::host::HostName;
use crate::live::{LiveRoute, Permit};
use crate::upstream::Failure;
use crate::{Protocol, pages};

/// Answers a request, with the upstream's response or with a page.
pub(super) async fn answer(
    inner: Arc<Inner>,
    client: Arc<Client>,
    request: Request<Incoming>,
) -> Response<Body> {
    let (open, version) = (client.activity.open(), request.version());
    let refusal = if version == Version::HTTP_2 { None } else { client.exchange.begin() };
    let mut record = Record::begin(&inner.settings, client.address, &request);
    let reply = match refusal {
        Some(refusal) => pages::refused(refusal).into(),
        None => route(&inner, &client, request, &mut record).await.unwrap_or_else(Reply::from),
    };
    let Reply { mut response, permit, tunnel } = reply;
    // Without an effect when the protocol changes.
    if tunnel.is_none() {
        client.exchange.stay();
        let last = client.crowded || client.lost || *inner.phase.borrow() >= Phase::Draining;
        response = if last { pages::closing(response) } else { response };
    }
    if version == Version::HTTP_2 {
        response.headers_mut().remove(header::CONNECTION);
    }
    *response.version_mut() = version;
    if let Some(record) = &mut record {
        record.status = response.status().as_u16();
    }
    let held = Held { _open: open, _permit: permit, record };
    match tunnel {
        Some(tunnel) => {
            client.exchange.switch();
            tunnel::spawn(inner, client, tunnel, held);
            response
        }
        None => response.map(|body| body.holding(held)),
    }
}

/// A response, and what belongs to it.
struct Reply {
    response: Response<Body>,
    permit: Option<Permit>,
    tunnel: Option<Tunnel>,
}

impl From<Response<Body>> for Reply {
    fn from(response: Response<Body>) -> Self {
        Self { response, permit: None, tunnel: None }
    }
}

/// Finds the route of a request and passes it on. A page is an error.
async fn route(
    inner: &Inner,
    client: &Client,
    request: Request<Incoming>,
    record: &mut Option<Record>,
) -> Result<Reply, Response<Body>> {
    let (parts, body) = request.into_parts();
    let Some((host, authority)) = fields::target(&parts).map_err(pages::problem)? else {
        return Err(pages::page(StatusCode::NOT_FOUND));
    };
    if let Some(record) = record {
        record.host = host.as_str().to_owned();
    }
    if !is_for(client, &host) {
        return Err(pages::page(StatusCode::MISDIRECTED_REQUEST));
    }
    let route = inner.live.load().find(&host).ok_or_else(|| pages::page(StatusCode::NOT_FOUND))?;
    // The head of HTTP/2 is counted here, that of HTTP/1.1 before it is read.
    if parts.headers.len() > inner.settings.limits.fields {
        return Err(pages::page(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
    let busy = || pages::page(StatusCode::SERVICE_UNAVAILABLE);
    let permit = if client.crowded { None } else { route.permit() }.ok_or_else(busy)?;
    pass(inner, client, &route, permit, Request::from_parts(parts, body), &authority).await
}

/// Returns whether a host is that of the handshake (RFC 9110, section 7.4). An address has no name there.
fn is_for(client: &Client, host: &HostName) -> bool {
    match &client.server_name {
        Some(name) => name == host,
        None => host.is_address(),
    }
}

async fn pass(
    inner: &Inner,
    client: &Client,
    route: &LiveRoute,
    permit: Permit,
    mut request: Request<Incoming>,
    authority: &str,
) -> Result<Reply, Response<Body>> {
    let timeouts = &inner.settings.timeouts;
    // Before the request is taken apart: it is taken out of the request's extensions.
    let from_client = hyper::upgrade::on(&mut request);
    let (mut parts, body) = request.into_parts();
    let h2c = route.route.protocol == Protocol::H2c;
    let facts = Facts {
        client: client.address,
        pseudonym: &inner.pseudonym,
        protocol: route.route.protocol,
        unknown_length: !body.is_end_stream() && body.size_hint().exact().is_none(),
    };
    let websocket = fields::forward(&mut parts, authority, &facts).map_err(pages::problem)?;
    parts.extensions.clear();
    let body = Outgoing::new(body, timeouts.client, h2c);
    let fate = body.fate();
    let limit = route.route.response.unwrap_or(timeouts.response);
    let sent = route.pool.send(Request::from_parts(parts, body), limit).await;
    let (mut response, lease) = sent.map_err(|failure| failed(failure, &fate))?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let to_upstream = hyper::upgrade::on(&mut response);
        let (mut parts, _) = response.into_parts();
        if !websocket || !fields::is_switch(&mut parts) {
            return Err(pages::page(StatusCode::BAD_GATEWAY));
        }
        let response = Response::from_parts(parts, Body::page(bytes::Bytes::new()));
        let tunnel = Some(Tunnel { from_client, to_upstream });
        return Ok(Reply { response, permit: Some(permit), tunnel });
    }
    let (mut parts, incoming) = response.into_parts();
    if !fields::back(&mut parts) || too_many(&parts.headers, inner) {
        return Err(pages::page(StatusCode::BAD_GATEWAY));
    }
    let response = Response::from_parts(parts, Body::relay(incoming, timeouts.upstream, lease));
    Ok(Reply { response, permit: Some(permit), tunnel: None })
}

fn too_many(fields: &HeaderMap, inner: &Inner) -> bool {
    fields.len() > inner.settings.limits.fields
}

fn failed(failure: Failure, fate: &Fate) -> Response<Body> {
    // A body that the client breaks off is no fault of the upstream.
    if fate.is_slow() {
        return pages::closing(pages::page(StatusCode::REQUEST_TIMEOUT));
    }
    if fate.is_broken() {
        return pages::closing(pages::page(StatusCode::BAD_REQUEST));
    }
    pages::page(match failure {
        Failure::Broken => StatusCode::BAD_GATEWAY,
        Failure::Late => StatusCode::GATEWAY_TIMEOUT,
    })
}
