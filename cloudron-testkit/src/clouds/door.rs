//! The HTTP server before a double: it counts the calls, and loses, delays or falsifies answers on request.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::fault::Fault;

/// A request as a double sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The parameters of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The value of the header `authorization`.
    pub credential: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    /// Returns the first parameter of the query with that name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// An answer of a double.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; none when it is `null`.
    pub body: Value,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

/// The calls so far, and the faults to come.
#[derive(Default)]
pub(super) struct Log {
    pub(super) calls: Vec<(String, String)>,
    pub(super) faults: BTreeMap<usize, Fault>,
}

/// Handles a call.
type Handler = dyn Fn(&Call) -> Answer + Send + Sync;
/// Makes the answer to a call that is refused with a status and a code.
type Refusal = dyn Fn(u16, &str) -> Answer + Send + Sync;

/// Serves on a free port of loopback until the process ends.
pub(super) fn serve(log: Arc<Mutex<Log>>, handler: Arc<Handler>, refusal: Arc<Refusal>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    listener.set_nonblocking(true).expect("a socket of our own");
    let address = listener.local_addr().expect("an address");
    // In a thread of its own, so that the runtime of a test can be killed without it.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket of our own");
            while let Ok((stream, _)) = listener.accept().await {
                let (log, handler, refusal) = (log.clone(), handler.clone(), refusal.clone());
                let service = service_fn(move |request| {
                    let (log, handler, refusal) = (log.clone(), handler.clone(), refusal.clone());
                    async move { answer(request, &log, &*handler, &*refusal).await }
                });
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    address
}

async fn answer(
    request: hyper::Request<Incoming>,
    log: &Mutex<Log>,
    handler: &Handler,
    refusal: &Refusal,
) -> io::Result<hyper::Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
    let credential = head.headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let call = Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        credential: credential.to_owned(),
        body,
    };
    let fault = {
        let mut log = log.lock().expect("no test panics in here");
        log.calls.push((call.method.clone(), head.uri.to_string()));
        let number = log.calls.len();
        log.faults.remove(&number)
    };
    let answer = Fault::carry_out(fault, || handler(&call), refusal).ok_or(io::ErrorKind::ConnectionReset)?;
    Ok(rendered(&answer))
}

fn rendered(answer: &Answer) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    let body = if answer.body.is_null() {
        Bytes::new()
    } else {
        response = response.header("content-type", "application/json; charset=utf-8");
        answer.body.to_string().into()
    };
    response.body(Full::new(body)).expect("a status and headers of our own")
}
