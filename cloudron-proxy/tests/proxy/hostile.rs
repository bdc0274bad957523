//! Upstreams that break the rules. The client gets a page or a broken connection, and the proxy stays as it is.

use bytes::Bytes;
use cloudron_proxy::Protocol;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::client::{PATIENCE, text};
use crate::running::{Running, settings, to};
use crate::upstream::{Recorder, head, saying, serve_raw};

/// Returns the status of a request whose upstream answers so.
async fn status(answer: &str, closing: bool) -> StatusCode {
    let proxy = Running::with(saying(answer, closing).await).await;
    proxy.get("a.test", "/").await.status()
}

#[tokio::test]
async fn a_response_that_cannot_be_understood_is_a_bad_gateway() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    for (name, answer) in [
        ("nothing", String::new()),
        ("half a status line", "HTTP/1.1 200".to_owned()),
        ("half a head", format!("{ok}Content-Len")),
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n".to_owned()),
        ("HTTP/0.9", "<html>hello</html>\r\n\r\n".to_owned()),
        ("status of two digits", "HTTP/1.1 20 OK\r\n\r\n".to_owned()),
        (
            "length beside chunked",
            format!("{ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("two lengths", format!("{ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        ("the same length twice", format!("{ok}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc")),
        ("a sign", format!("{ok}Content-Length: +3\r\n\r\nabc")),
        ("an unknown coding", format!("{ok}Transfer-Encoding: gzip\r\n\r\nabc")),
        (
            "chunked twice",
            format!("{ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ),
        ("a coding of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned()),
        ("a folded line", format!("{ok}X: a\r\n b\r\nContent-Length: 0\r\n\r\n")),
        ("NUL", format!("{ok}X: a\0b\r\nContent-Length: 0\r\n\r\n")),
        ("a huge field", format!("{ok}X: {}\r\n\r\n", "y".repeat(1 << 20))),
        ("200 fields", format!("{ok}{many}Content-Length: 0\r\n\r\n")),
        ("only 100s", "HTTP/1.1 100 Continue\r\n\r\n".repeat(50)),
    ] {
        assert_eq!(status(&answer, true).await, StatusCode::BAD_GATEWAY, "{name}");
    }
}

#[tokio::test]
async fn endless_heads_end() {
    let endless = |first: &'static str, again: &'static str| {
        serve_raw(move |mut stream| async move {
            head(&mut stream).await;
            let mut bytes = first.as_bytes().to_vec();
            while stream.write_all(&bytes).await.is_ok() {
                bytes = again.as_bytes().repeat(100);
            }
        })
    };
    let mut settings = settings();
    settings.timeouts.response = Duration::from_secs(2);
    let fields = endless("HTTP/1.1 200 OK\r\n", "X: y\r\n").await;
    let line = endless("HTTP/1.1 200 ", "OK").await;
    let informational = endless("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").await;
    let routes = [("a.test", to(fields)), ("b.test", to(line)), ("my.test", to(informational))];
    let proxy = Running::of(settings, &routes).await;
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(proxy.get("b.test", "/").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(proxy.get("my.test", "/").await.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn a_body_that_ends_early_is_not_taken_for_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n",
    ] {
        let proxy = Running::with(saying(answer, true).await).await;
        for http2 in [false, true] {
            let sent = match http2 {
                true => {
                    let request = Request::get("https://a.test/").body(Empty::<Bytes>::new()).unwrap();
                    proxy.http2("a.test").await.send_request(request).await
                }
                false => {
                    let request =
                        Request::get("/").header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
                    proxy.http1("a.test").await.send_request(request).await
                }
            };
            // HTTP/1.1 may break off before the head has left.
            let Ok(response) = sent else { continue };
            assert_eq!(response.status(), StatusCode::OK);
            assert!(timeout(PATIENCE, response.into_body().collect()).await.unwrap().is_err(), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn what_follows_a_response_is_nobodys() {
    let extra =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let proxy = Running::with(saying(extra, false).await).await;
    let mut sender = proxy.http1("a.test").await;
    for _ in 0..5 {
        let request = Request::get("/").header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
        sender.ready().await.unwrap();
        assert_eq!(text(sender.send_request(request).await.unwrap()).await, "ok");
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_cut_off() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    let mut settings = settings();
    settings.timeouts.upstream = Duration::from_millis(300);
    let proxy = Running::of(settings, &[("a.test", to(saying(answer, false).await))]).await;
    let response = proxy.get("a.test", "/").await;
    assert!(timeout(PATIENCE, response.into_body().collect()).await.unwrap().is_err());
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_meanwhile_is_not_noticed_by_clients() {
    // Answers one request per connection, and says that more may follow.
    let upstream = serve_raw(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        // The next request is read and not answered.
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let proxy = Running::with(upstream).await;
    for n in 0..20 {
        assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::OK, "request {n}");
    }
}

#[tokio::test]
async fn one_hostile_upstream_leaves_the_others_alone() {
    let good = Recorder::start().await;
    let bad = serve_raw(|mut stream| async move {
        let mut noise = [0; 4096];
        cloudron_core::random::fill(&mut noise);
        while stream.write_all(&noise).await.is_ok() {}
    })
    .await;
    let h2c = to(bad).protocol(Protocol::H2c);
    let proxy =
        Running::of(settings(), &[("a.test", to(bad)), ("b.test", h2c), ("my.test", to(good.address))]).await;
    for _ in 0..10 {
        assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(proxy.get("b.test", "/").await.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(proxy.get("my.test", "/").await.status(), StatusCode::OK);
    }
}
