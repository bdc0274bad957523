//! Clients that take their time.

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::client::{PATIENCE, rest};
use crate::running::{Running, settings, to};
use crate::upstream::{Recorder, saying};

fn quick() -> cloudron_proxy::Settings {
    let mut settings = settings();
    settings.timeouts.handshake = Duration::from_millis(500);
    settings.timeouts.header = Duration::from_millis(500);
    settings.timeouts.client = Duration::from_millis(500);
    settings.timeouts.idle = Duration::from_millis(700);
    settings
}

/// Sends a byte now and then until the peer closes, and returns how long that took.
async fn dribble(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, first: &str) -> Duration {
    let begun = Instant::now();
    let _ = stream.write_all(first.as_bytes()).await;
    let mut part = [0; 256];
    while begun.elapsed() < PATIENCE {
        if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
            break;
        }
        if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(50), stream.read(&mut part)).await {
            break;
        }
    }
    begun.elapsed()
}

#[tokio::test]
async fn a_slow_head_is_not_waited_for() {
    let proxy = Running::of(quick(), &[]).await;
    let head = "GET / HTTP/1.1\r\nHost: a.test\r\nX: ";
    let tls = dribble(proxy.tls("a.test", "http/1.1").await, head).await;
    let plain = dribble(TcpStream::connect(proxy.plain).await.unwrap(), head).await;
    assert!(tls < Duration::from_secs(5) && plain < Duration::from_secs(5), "{tls:?} {plain:?}");
}

#[tokio::test]
async fn a_slow_handshake_is_not_waited_for() {
    let proxy = Running::of(quick(), &[]).await;
    let mut silent = TcpStream::connect(proxy.address).await.unwrap();
    // The beginning of a handshake, of which more should come.
    let begun =
        dribble(TcpStream::connect(proxy.address).await.unwrap(), "\x16\x03\x01\x01\0\x01\0\0\0").await;
    assert!(begun < Duration::from_secs(5), "{begun:?}");
    rest(&mut silent).await;
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let proxy = Running::of(quick(), &[]).await;
    let mut plain = TcpStream::connect(proxy.plain).await.unwrap();
    for alpn in ["http/1.1", "h2"] {
        rest(&mut proxy.tls("a.test", alpn).await).await;
    }
    rest(&mut plain).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(proxy.proxy.connections(), 0);
}

#[tokio::test]
async fn a_body_that_stops_ends_the_request() {
    let upstream = Recorder::start().await;
    let proxy = Running::of(quick(), &[("a.test", to(upstream.address))]).await;
    let mut stream = proxy.tls("a.test", "http/1.1").await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(upstream.take().iter().all(|a| a.body == "broken"));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left() {
    let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n{}", "x".repeat(32 << 20));
    let proxy = Running::of(quick(), &[("a.test", to(saying(body, false).await))]).await;
    for alpn in ["http/1.1", "h2"] {
        let mut stream = proxy.tls("a.test", alpn).await;
        if alpn == "h2" {
            // Windows of 2^31-1 for the stream and for the connection, so that only TCP holds the response back.
            stream.write_all(&crate::raw_h2::opening(&crate::raw_h2::get("a.test"), true)).await.unwrap();
        } else {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
        }
        stream.flush().await.unwrap();
        let begun = Instant::now();
        while proxy.proxy.connections() > 0 {
            assert!(begun.elapsed() < PATIENCE, "{alpn} holds its connection");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn heads_have_a_size() {
    let proxy = Running::with(Recorder::start().await.address).await;
    let head = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{fields}\r\n");
    assert!(proxy.raw(head(&format!("X: {}\r\n", "y".repeat(30_000)))).await.starts_with("HTTP/1.1 200 "));
    assert!(proxy.raw(head(&format!("X: {}\r\n", "y".repeat(33_000)))).await.starts_with("HTTP/1.1 431 "));
    assert!(proxy.raw(head(&"X: y\r\n".repeat(98))).await.starts_with("HTTP/1.1 200 "));
    assert!(proxy.raw(head(&"X: y\r\n".repeat(99))).await.starts_with("HTTP/1.1 431 "));
    let target = format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "x".repeat(17_000));
    assert!(proxy.raw(target).await.starts_with("HTTP/1.1 414 "));
    assert!(proxy.raw("GET / HTTP/3.0\r\nHost: a.test\r\n\r\n").await.starts_with("HTTP/1.1 505 "));
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::OK);
}
