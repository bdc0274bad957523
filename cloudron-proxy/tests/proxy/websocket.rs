//! WebSocket (RFC 6455).

use base64::Engine;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{rest, until};
use crate::running::{Running, settings, to};
use crate::upstream::{saying, serve};

/// Returns the answer to a key (RFC 6455, section 4.2.2).
fn accept(key: &str) -> String {
    let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// A program that sends back each frame, unmasked.
async fn echo() -> SocketAddr {
    serve(|mut request: Request<Incoming>| async move {
        let key = request.headers()["sec-websocket-key"].to_str().unwrap().to_owned();
        tokio::spawn(async move {
            let mut io = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
            // Short frames with a mask: two bytes of head, four of mask.
            while let Ok(head) = io.read_u16().await {
                let mut mask = [0; 4];
                io.read_exact(&mut mask).await.unwrap();
                let mut data = vec![0; usize::from(head & 0x7f)];
                io.read_exact(&mut data).await.unwrap();
                data.iter_mut().enumerate().for_each(|(n, byte)| *byte ^= mask[n % 4]);
                io.write_u16(head & !0x80).await.unwrap();
                io.write_all(&data).await.unwrap();
                if head >> 8 == 0x88 {
                    return;
                }
            }
        });
        Response::builder()
            .status(101)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", accept(&key))
            .body(Empty::<Bytes>::new())
            .unwrap()
    })
    .await
}

fn upgrade() -> Request<Empty<Bytes>> {
    Request::get("/socket")
        .header("host", "a.test")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Empty::new())
        .unwrap()
}

async fn open(proxy: &Running) -> TokioIo<hyper::upgrade::Upgraded> {
    let response = proxy.http1("a.test").await.send_request(upgrade()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    TokioIo::new(hyper::upgrade::on(response).await.unwrap())
}

async fn say(socket: &mut TokioIo<hyper::upgrade::Upgraded>, opcode: u8, text: &[u8]) -> Vec<u8> {
    let (length, mask) = (u8::try_from(text.len()).unwrap(), [1, 2, 3, 4]);
    let masked: Vec<u8> = text.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]).collect();
    socket.write_all(&[&[0x80 | opcode, 0x80 | length], &mask[..], &masked].concat()).await.unwrap();
    let mut head = [0; 2];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head, [0x80 | opcode, length]);
    let mut back = vec![0; text.len()];
    socket.read_exact(&mut back).await.unwrap();
    back
}

#[tokio::test]
async fn frames_are_echoed_until_one_end_closes() {
    let proxy = Running::with(echo().await).await;
    let mut socket = open(&proxy).await;
    for n in 0..100 {
        let text = format!("message {n}");
        assert_eq!(say(&mut socket, 1, text.as_bytes()).await, text.as_bytes());
    }
    assert_eq!(proxy.proxy.connections(), 1);
    say(&mut socket, 8, b"").await;
    assert_eq!(rest(&mut socket).await, "");
    drop(socket);
    assert!(proxy.proxy.shut_down(Duration::from_secs(5)).await, "the closed one is gone");
}

#[tokio::test]
async fn a_shutdown_lets_a_socket_live_for_the_time_given() {
    let proxy = Running::with(echo().await).await;
    let mut socket = open(&proxy).await;
    let running = proxy.proxy.clone();
    let down = tokio::spawn(async move { running.shut_down(Duration::from_millis(600)).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(say(&mut socket, 1, b"still here").await, b"still here");
    assert!(!down.await.unwrap(), "it was closed in the end");
    rest(&mut socket).await;
    assert_eq!(proxy.proxy.connections(), 0);
}

#[tokio::test]
async fn a_silent_socket_is_closed() {
    let mut settings = settings();
    settings.timeouts.tunnel = Duration::from_millis(300);
    let proxy = Running::of(settings, &[("a.test", to(echo().await))]).await;
    let mut socket = open(&proxy).await;
    assert_eq!(say(&mut socket, 1, b"x").await, b"x");
    assert_eq!(rest(&mut socket).await, "");
}

#[tokio::test]
async fn a_switch_that_was_not_asked_for_is_a_bad_gateway() {
    let switch = |fields: &str| format!("HTTP/1.1 101 Switching Protocols\r\n{fields}\r\nsecret");
    let good = switch("Connection: Upgrade\r\nUpgrade: websocket\r\n");
    let proxy = Running::with(saying(good, false).await).await;
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::BAD_GATEWAY);
    for fields in ["Connection: Upgrade\r\nUpgrade: h2c\r\n", "", "Upgrade: websocket\r\n"] {
        let proxy = Running::with(saying(switch(fields), false).await).await;
        let response = proxy.http1("a.test").await.send_request(upgrade()).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY, "{fields:?}");
    }
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_response() {
    let upstream = serve(|_: Request<Incoming>| async {
        let refusal = Response::builder().status(426).header("upgrade", "websocket");
        refusal.body(http_body_util::Full::new(Bytes::from("no"))).unwrap()
    })
    .await;
    let proxy = Running::with(upstream).await;
    let mut stream = proxy.tls("a.test", "http/1.1").await;
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = until(&mut stream, "\r\n\r\nno").await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    }
}
