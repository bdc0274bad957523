//! Bodies that stream.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use cloudron_proxy::Protocol;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::running::{Running, settings, to};
use crate::upstream::{serve, serve_h2c};

/// Bytes of a big body. The proxy may hold a small part of it.
const BIG: u64 = 192 * 1024 * 1024;

type Sent = mpsc::Receiver<Result<Frame<Bytes>, Infallible>>;
type Sender = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

/// A body whose frames are sent by hand.
fn by_hand() -> (Sender, StreamBody<Frames>) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, StreamBody::new(Frames(receiver)))
}

struct Frames(Sent);

impl futures_util::Stream for Frames {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

async fn send(sender: &Sender, text: &str) {
    sender.send(Ok(Frame::data(Bytes::from(text.to_owned())))).await.unwrap();
}

/// A big body, and the number of bytes that were taken of it.
fn big() -> (Arc<AtomicU64>, StreamBody<Frames>) {
    let ((sender, body), taken) = (by_hand(), Arc::<AtomicU64>::default());
    let count = taken.clone();
    tokio::spawn(async move {
        let part = Bytes::from(vec![7; 64 * 1024]);
        while count.load(Ordering::Relaxed) < BIG && sender.send(Ok(Frame::data(part.clone()))).await.is_ok()
        {
            count.fetch_add(part.len() as u64, Ordering::Relaxed);
        }
    });
    (taken, body)
}

async fn size(mut body: Incoming) -> u64 {
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        size += frame.unwrap().data_ref().map_or(0, |data| data.len() as u64);
    }
    size
}

/// Returns the memory of this process, with client and upstream, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_bodies_pass_in_both_directions_in_little_memory() {
    let upstream = serve(|request: Request<Incoming>| async move {
        let size = size(request.into_body()).await;
        let (_, body) = big();
        Response::builder().header("x-size", size).body(body).unwrap()
    })
    .await;
    let proxy = Running::with(upstream).await;
    let before = memory();
    for http2 in [false, true] {
        let (_, body) = big();
        let uri = if http2 { "https://a.test/" } else { "/" };
        let request = Request::post(uri);
        let request = if http2 { request } else { request.header("host", "a.test") }.body(body).unwrap();
        let response = match http2 {
            false => proxy.http1("a.test").await.send_request(request).await,
            true => proxy.http2("a.test").await.send_request(request).await,
        };
        let response = response.unwrap();
        assert_eq!(response.headers()["x-size"], BIG.to_string().as_str());
        assert_eq!(size(response.into_body()).await, BIG);
    }
    let more = memory().saturating_sub(before);
    assert!(more < 48 * 1024 * 1024, "{more} bytes more for bodies of {BIG}");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_upstream_back() {
    let (taken, body) = big();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let upstream = serve(move |_: Request<Incoming>| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Response::new(body) }
    })
    .await;
    let proxy = Running::with(upstream).await;
    let response = proxy.get("a.test", "/").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let held = taken.load(Ordering::Relaxed);
    assert!(held < 24 * 1024 * 1024, "{held} bytes wait for a client that does not read");
    drop(response);
}

#[tokio::test]
async fn events_arrive_when_they_are_sent() {
    let (sender, body) = by_hand();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let upstream = serve(move |_: Request<Incoming>| {
        let body = body.lock().unwrap().take().unwrap();
        async move { Response::builder().header("content-type", "text/event-stream").body(body).unwrap() }
    })
    .await;
    let proxy = Running::with(upstream).await;
    let response = proxy.get2("a.test", "/events").await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    for n in 0..5 {
        let event = format!("data: {n}\n\n");
        send(&sender, &event).await;
        let frame = timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
    // The client leaves, and the upstream notices.
    drop(body);
    timeout(PATIENCE, sender.closed()).await.unwrap();
}

#[tokio::test]
async fn a_request_streams_while_its_response_does() {
    let upstream =
        serve_h2c(|request: Request<Incoming>| async move { Response::new(request.into_body()) }).await;
    let proxy = Running::of(settings(), &[("a.test", to(upstream).protocol(Protocol::H2c))]).await;
    let (sender, body) = by_hand();
    let request = Request::post("https://a.test/").body(body).unwrap();
    let response = proxy.http2("a.test").await.send_request(request).await.unwrap();
    let mut back = response.into_body();
    for n in 0..10 {
        let text = format!("message {n}");
        send(&sender, &text).await;
        assert_eq!(
            timeout(PATIENCE, back.frame()).await.unwrap().unwrap().unwrap().into_data().unwrap(),
            text
        );
    }
    drop(sender);
    assert_eq!(timeout(PATIENCE, back.collect()).await.unwrap().unwrap().to_bytes(), "");
}

#[tokio::test]
async fn a_call_as_of_grpc_ends_with_trailers() {
    let upstream = serve_h2c(|request: Request<Incoming>| async move {
        assert_eq!(request.headers()["te"], "trailers");
        let (sender, body) = by_hand();
        tokio::spawn(async move {
            send(&sender, "\0\0\0\0\x02hi").await;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            trailers.insert("grpc-message", "fine".parse().unwrap());
            trailers.insert("content-length", "9".parse().unwrap());
            sender.send(Ok(Frame::trailers(trailers))).await.unwrap();
        });
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let proxy = Running::of(settings(), &[("a.test", to(upstream).protocol(Protocol::H2c))]).await;
    let request = Request::post("https://a.test/package.Service/Call").header("te", "trailers");
    let request = request.header("content-type", "application/grpc");
    let (sender, body) = by_hand();
    send(&sender, "\0\0\0\0\x02yo").await;
    drop(sender);
    let request = request.body(body).unwrap();
    let response = proxy.http2("a.test").await.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let collected = timeout(PATIENCE, response.into_body().collect()).await.unwrap().unwrap();
    let trailers = collected.trailers().unwrap().clone();
    assert!(trailers["grpc-status"] == "0" && trailers["grpc-message"] == "fine");
    assert!(!trailers.contains_key("content-length"));
    assert_eq!(collected.to_bytes(), "\0\0\0\0\x02hi");
}
