//! Which upstream gets a request, and what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloudron_proxy::{AccessLog, Entry, Route, Upstream};
use http::{Method, Request, StatusCode};
use http_body_util::{Empty, Full};

use crate::client::text;
use crate::running::{Running, settings, to};
use crate::upstream::Recorder;

#[tokio::test]
async fn each_host_has_its_upstream() {
    let (a, b, wild) = (Recorder::start().await, Recorder::start().await, Recorder::start().await);
    let routes = [("a.test", to(a.address)), ("b.test", to(b.address)), ("*.wild.test", to(wild.address))];
    let proxy = Running::of(settings(), &routes).await;
    for (host, upstream) in [("a.test", &a), ("b.test", &b), ("x.wild.test", &wild)] {
        for response in [proxy.get(host, "/1").await, proxy.get2(host, "/2").await] {
            assert_eq!((response.status(), text(response).await.as_str()), (StatusCode::OK, "ok"));
        }
        let arrived = upstream.take();
        assert_eq!([&arrived[0].line, &arrived[1].line], ["GET /1", "GET /2"]);
        assert!(arrived.iter().all(|a| a.fields["host"] == host && a.fields["x-forwarded-host"] == host));
    }
    assert!(a.take().is_empty() && b.take().is_empty());
}

#[tokio::test]
async fn a_host_that_is_not_that_of_the_handshake_is_misdirected() {
    let upstream = Recorder::start().await;
    let proxy =
        Running::of(settings(), &[("a.test", to(upstream.address)), ("b.test", to(upstream.address))]).await;
    let request = |uri: &str| {
        let request = Request::get(uri);
        let request = if uri.starts_with('/') { request.header("host", "b.test") } else { request };
        request.body(Empty::<Bytes>::new()).unwrap()
    };
    let mut one = proxy.http1("a.test").await;
    assert_eq!(one.send_request(request("/")).await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    let mut two = proxy.http2("a.test").await;
    let response = two.send_request(request("https://b.test/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
    // The connection is good for its own host.
    assert_eq!(two.send_request(request("https://a.test/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(upstream.take().len(), 1);
}

#[tokio::test]
async fn an_unknown_host_gets_a_page_that_says_nothing() {
    let proxy = Running::with("127.0.0.1:1".parse().unwrap()).await;
    for response in [proxy.get("gone.test", "/").await, proxy.get2("gone.test", "/").await] {
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let page = text(response).await;
        assert!(
            !page.contains("127.0.0.1") && !page.contains("a.test") && !page.contains("cloudron"),
            "{page}"
        );
    }
}

#[tokio::test]
async fn an_upstream_learns_who_asks_and_nothing_that_is_made_up() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    for http2 in [false, true] {
        let uri = if http2 { "https://a.test/?q=1" } else { "/?q=1" };
        let mut request = Request::put(uri);
        if !http2 {
            request = request
                .header("host", "a.test")
                .header("connection", "x-forwarded-for, x-drop")
                .header("te", "gzip");
        }
        let request = request
            .header("forwarded", "for=6.6.6.6")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x_forwarded_for", "6.6.6.6")
            .header("x-forwarded-proto", "http")
            .header("x-real-ip", "6.6.6.6")
            .header("remote-user", "admin")
            .header("x-drop", "1")
            .header("authorization", "Bearer abc")
            .body(Full::new(Bytes::from("body")))
            .unwrap();
        let response = match http2 {
            false => proxy.http1("a.test").await.send_request(request).await,
            true => proxy.http2("a.test").await.send_request(request).await,
        };
        assert_eq!(response.unwrap().status(), StatusCode::OK);
        let arrived = &upstream.take()[0];
        assert_eq!((arrived.line.as_str(), arrived.body.as_str()), ("PUT /?q=1", "body"));
        let fields = |name: &str| {
            let values = arrived.fields.get_all(name).iter();
            values.map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(fields("forwarded"), ["for=127.0.0.1;host=\"a.test\";proto=https"]);
        assert_eq!((fields("x-forwarded-for"), fields("x-real-ip")), (vec!["127.0.0.1"], vec!["127.0.0.1"]));
        assert_eq!(
            (fields("x-forwarded-proto"), fields("authorization")),
            (vec!["https"], vec!["Bearer abc"])
        );
        assert!(
            fields("remote-user").is_empty()
                && fields("x_forwarded_for").is_empty()
                && fields("te").is_empty()
        );
        assert_eq!(fields("x-drop").is_empty(), !http2);
    }
}

#[tokio::test]
async fn a_unix_socket_is_an_upstream() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let path = std::env::temp_dir().join(format!("cloudron-proxy-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix").await;
        }
    });
    let proxy = Running::of(settings(), &[("a.test", Route::new(Upstream::Unix(path.clone())))]).await;
    assert_eq!(text(proxy.get("a.test", "/").await).await, "unix");
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_bad_gateway() {
    let proxy = Running::with("127.0.0.1:1".parse().unwrap()).await;
    for response in [proxy.get("a.test", "/").await, proxy.get2("a.test", "/").await] {
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        let page = text(response).await;
        assert!(!page.contains("refused") && !page.contains("127.0.0.1"), "{page}");
    }
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let upstream = crate::upstream::saying("", false).await;
    let route = to(upstream).response(Duration::from_millis(300));
    let proxy = Running::of(settings(), &[("a.test", route)]).await;
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn methods_that_a_proxy_must_not_pass_on_are_refused() {
    let upstream = Recorder::start().await;
    let proxy = Running::with(upstream.address).await;
    let raw = |line: &str| format!("{line} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    for line in ["TRACE /", "CONNECT a.test:443", "CONNECT 127.0.0.1:22"] {
        let answer = proxy.raw(raw(line)).await;
        assert!(answer.starts_with("HTTP/1.1 501 "), "{line}: {answer}");
    }
    let mut two = proxy.http2("a.test").await;
    let connect =
        Request::builder().method(Method::CONNECT).uri("a.test:443").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(two.send_request(connect).await.unwrap().status(), StatusCode::NOT_IMPLEMENTED);
    assert!(upstream.take().is_empty());
    assert!(proxy.raw(raw("OPTIONS *")).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(upstream.take()[0].line, "OPTIONS *");
}

#[tokio::test]
async fn a_proxy_that_is_its_own_upstream_notices() {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let proxy = Arc::new(Running::with(address).await);
    // What adds TLS, so that the proxy is given its own request.
    let between = proxy.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut tls = between.tls("a.test", "http/1.1").await;
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut tls).await });
        }
    });
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::LOOP_DETECTED);
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>, bool);

impl AccessLog for Lines {
    fn record(&self, entry: &Entry<'_>) {
        let Entry { client, host, method, path, query, status, bytes, complete, .. } = entry;
        let line = format!("{client} {host} {method} {path} {query:?} {status} {bytes} {complete}");
        self.0.lock().unwrap().push(line);
    }

    fn wants_queries(&self) -> bool {
        self.1
    }
}

#[tokio::test]
async fn the_access_log_has_queries_only_when_it_wants_them() {
    let upstream = Recorder::start().await;
    for (wants, query) in [(false, "None"), (true, "Some(\"token=secret\")")] {
        let lines = Arc::new(Lines(Mutex::default(), wants));
        let mut settings = settings();
        settings.access_log = Some(lines.clone());
        let proxy = Running::of(settings, &[("a.test", to(upstream.address))]).await;
        assert_eq!(text(proxy.get("a.test", "/x?token=secret").await).await, "ok");
        assert_eq!(proxy.get("gone.test", "/").await.status(), StatusCode::NOT_FOUND);
        proxy.proxy.shut_down(Duration::from_secs(5)).await;
        let seen = lines.0.lock().unwrap().clone();
        assert_eq!(seen[0], format!("127.0.0.1 a.test GET /x {query} 200 2 true"));
        assert!(seen[1].starts_with("127.0.0.1 gone.test GET / None 404 "), "{seen:?}");
    }
}
