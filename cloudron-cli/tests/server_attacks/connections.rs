//! Clients that hold connections open.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client::{HOME, Server, stranger, text};
use super::{DEMO, owned, rounds, runtime};

/// Opens a connection that sends many requests and reads nothing.
pub(crate) async fn stalled(server: &Server, n: u32, addresses: u32) -> Option<TlsStream<TcpStream>> {
    let mut stream = server.connect(stranger(n % addresses), Some(4096)).await.ok()?;
    // The answers are far larger than all buffers on the way.
    let requests = text(("GET", "/"), None, None, "keep-alive").repeat(120);
    let _ = tokio::time::timeout(Duration::from_millis(200), stream.write_all(&requests)).await;
    Some(stream)
}

/// Opens `count` of them, a few at a time.
pub(crate) async fn many_stalled(server: &Server, count: u32, addresses: u32) -> Vec<TlsStream<TcpStream>> {
    let mut held = Vec::new();
    for from in (0..count).step_by(64) {
        let some = (from..(from + 64).min(count)).map(|n| {
            let server = server.clone();
            tokio::spawn(async move { stalled(&server, n, addresses).await })
        });
        for one in some.collect::<Vec<_>>() {
            held.extend(one.await.unwrap());
        }
    }
    held
}

#[test]
fn readers_that_stop_reading_take_nobody_off_the_net() {
    let (home, server) = owned();
    runtime().block_on(async {
        // From one address and from hundreds. On loopback, all of them may use every connection.
        for addresses in [1, 500] {
            let held = many_stalled(&server, 530, addresses).await;
            assert!(held.len() > 400, "{}", held.len());
            for n in 0..8 {
                server.answers(stranger(40_000 + n)).await.unwrap();
                server.answers(HOME).await.unwrap();
            }
            home.ok(&["machine", "status", DEMO]);
            // They are closed, even if no other client connects.
            if rounds() > 1 {
                let begun = Instant::now();
                for mut one in held {
                    let mut rest = Vec::new();
                    let end = tokio::time::timeout(Duration::from_secs(45), one.read_to_end(&mut rest)).await;
                    assert!(end.is_ok(), "held after {} s", begun.elapsed().as_secs());
                }
            }
        }
    });
}

#[test]
fn connections_that_say_nothing_or_dribble_take_nobody_off_the_net() {
    let (_home, server) = owned();
    runtime().block_on(async {
        let mut silent = Vec::new();
        for _ in 0..600 {
            silent.push(TcpStream::connect(server.address).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let mut dribbling = Vec::new();
        for n in 0..300 {
            let mut stream = server.connect(stranger(n), None).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
            dribbling.push(stream);
        }
        for _ in 0..5 {
            for stream in &mut dribbling {
                let _ = stream.write_all(b"x").await;
            }
            server.answers(HOME).await.unwrap();
            server.answers(stranger(50_000)).await.unwrap();
        }
    });
}

#[test]
fn many_requests_at_once_are_answered_one_after_the_other() {
    let (_home, server) = owned();
    runtime().block_on(async {
        let mut stream = server.connect(stranger(1), None).await.unwrap();
        let mut requests = text(("GET", "/api/v1/cloudron/status"), None, None, "keep-alive").repeat(99);
        requests.extend(text(("GET", "/api/v1/cloudron/status"), None, None, "close"));
        stream.write_all(&requests).await.unwrap();
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count(), 100);
    });
}
