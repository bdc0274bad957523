//! How much each route and each client may use.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloudron_proxy::Budget;
use http::{Request, StatusCode};
use http_body_util::Empty;
use tokio::io::AsyncWriteExt;

use crate::client::{text, until};
use crate::running::{Running, settings, to};
use crate::upstream::{Recorder, saying};

#[tokio::test]
async fn requests_beyond_the_budget_are_told_to_come_back() {
    let slow = saying("", false).await;
    let good = Recorder::start().await;
    let budget = Budget { requests: 3, connections: 10 };
    let routes = [("a.test", to(slow).budget(budget)), ("b.test", to(good.address))];
    let proxy = Running::of(settings(), &routes).await;
    let sender = proxy.http2::<Empty<Bytes>>("a.test").await;
    let request = || Request::get("https://a.test/").body(Empty::<Bytes>::new()).unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move { sender.send_request(request()).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let response = sender.clone().send_request(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(proxy.get("b.test", "/").await.status(), StatusCode::OK, "another route is not concerned");
    // Who leaves makes room.
    for one in waiting {
        one.abort();
    }
    drop(sender);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let again = tokio::time::timeout(Duration::from_millis(300), proxy.get("a.test", "/")).await;
    assert!(again.is_err(), "it reaches the slow upstream");
}

#[tokio::test]
async fn a_full_route_leaves_the_others_and_the_reserve() {
    let (slow, good) = (saying("", false).await, Recorder::start().await);
    let mut settings = settings();
    (settings.limits.connections, settings.limits.reserve) = (8, 3);
    let routes = [
        ("a.test", to(slow).budget(Budget { connections: 4, requests: 100 })),
        ("b.test", to(slow)),
        ("my.test", to(good.address).privileged()),
    ];
    let proxy = Running::of(settings, &routes).await;
    let mut busy = Vec::new();
    for host in ["a.test", "a.test", "a.test", "a.test", "b.test"] {
        let mut stream = proxy.tls(host, "http/1.1").await;
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        busy.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for host in ["a.test", "b.test"] {
        let response = proxy.get(host, "/").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{host}");
        assert!(response.headers().contains_key("retry-after"));
        assert!(!text(response).await.contains("budget"));
    }
    assert_eq!(proxy.get("my.test", "/").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let good = Recorder::start().await;
    let budget = Budget { connections: 2, requests: 100 };
    let proxy = Running::of(settings(), &[("a.test", to(good.address).budget(budget))]).await;
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = proxy.tls("a.test", "http/1.1").await;
        stream.write_all(request.as_bytes()).await.unwrap();
        until(&mut stream, "\r\n\r\nok").await;
        idle.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(2300)).await;
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_are_served() {
    let good = Recorder::start().await;
    let budget = Budget { connections: 2000, requests: 2000 };
    let mut settings = settings();
    // All come at once, and from one address.
    settings.limits.handshakes = 1024;
    let proxy = Arc::new(Running::of(settings, &[("a.test", to(good.address).budget(budget))]).await);
    let before = memory();
    let open: Vec<_> = (0..1000)
        .map(|_| {
            let proxy = proxy.clone();
            tokio::spawn(async move {
                let mut stream = proxy.tls("a.test", "http/1.1").await;
                stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await.unwrap();
                until(&mut stream, "\r\n\r\nok").await;
                stream
            })
        })
        .collect();
    let mut streams = Vec::new();
    for one in open {
        streams.push(one.await.unwrap());
    }
    assert_eq!(proxy.proxy.connections(), 1000);
    // Client and upstream are in the same process: this is more than the proxy takes.
    let each = memory().saturating_sub(before) / 1000;
    assert!(each < 96 * 1024, "{each} bytes for each connection");
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
