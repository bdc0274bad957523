//! Tables that change while requests are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;

use crate::client::text;
use crate::running::{Certificate, HOSTS, Running, settings, table, to};
use crate::upstream::serve;

async fn named(name: &'static str) -> std::net::SocketAddr {
    serve(move |_: Request<Incoming>| async move {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Response::new(Full::new(Bytes::from(name)))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_routes_and_certificates_change() {
    let upstreams = [named("one").await, named("two").await];
    let proxy = Arc::new(Running::of(settings(), &[("a.test", to(upstreams[0]))]).await);
    let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let connected = Arc::new(tokio::sync::Barrier::new(17));
    let clients: Vec<_> = (0..16)
        .map(|n| {
            let (proxy, stop, served) = (proxy.clone(), stop.clone(), served.clone());
            let connected = connected.clone();
            tokio::spawn(async move {
                let uri = if n % 2 == 0 { "/" } else { "https://a.test/" };
                let request = || {
                    let request = Request::get(uri);
                    let request = if n % 2 == 0 { request.header("host", "a.test") } else { request };
                    request.body(Empty::<Bytes>::new()).unwrap()
                };
                let (mut one, mut two) = (proxy.http1("a.test").await, proxy.http2("a.test").await);
                connected.wait().await;
                while !stop.load(Ordering::Relaxed) {
                    if n % 2 == 0 {
                        one.ready().await.unwrap();
                    }
                    let sent = if n % 2 == 0 {
                        one.send_request(request()).await
                    } else {
                        two.send_request(request()).await
                    };
                    let response = sent.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                    let text = text(response).await;
                    assert!(text == "one" || text == "two", "{text}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    connected.wait().await;
    for n in 0..200 {
        let routes = [("a.test", to(upstreams[n % 2])), ("b.test", to(upstreams[0]))];
        let certificate = if n % 10 == 0 { Certificate::of(&HOSTS) } else { proxy.certificate.clone() };
        proxy.proxy.swap(table(&certificate, &routes[..1 + n % 2]));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(served.load(Ordering::Relaxed) > 500, "{served:?}");
}

#[tokio::test]
async fn the_next_handshake_gets_the_new_certificate() {
    let upstream = named("one").await;
    let mut proxy = Running::with(upstream).await;
    let mut old = proxy.http1("a.test").await;
    let new = Certificate::of(&HOSTS);
    proxy.proxy.swap(table(&new, &[("a.test", to(upstream))]));
    assert!(proxy.try_tls("a.test", "h2").await.is_err(), "the old certificate is not shown any more");
    proxy.certificate = new;
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::OK);
    // What was open stays open.
    let request = Request::get("/").header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(old.send_request(request).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_removed_route_is_gone_at_once_and_requests_under_way_end() {
    let upstream = serve(|_: Request<Incoming>| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Response::new(Full::new(Bytes::from("late")))
    })
    .await;
    let proxy = Arc::new(Running::with(upstream).await);
    let under_way = tokio::spawn({
        let proxy = proxy.clone();
        async move { text(proxy.get("a.test", "/").await).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.proxy.swap(table(&proxy.certificate, &[]));
    assert_eq!(proxy.get("a.test", "/").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(under_way.await.unwrap(), "late");
}

#[tokio::test]
async fn a_shutdown_ends_idle_connections_and_waits_for_requests() {
    let upstream = serve(|_: Request<Incoming>| async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        Response::new(Full::new(Bytes::from("late")))
    })
    .await;
    let proxy = Arc::new(Running::with(upstream).await);
    let idle = [proxy.tls("a.test", "http/1.1").await, proxy.tls("a.test", "h2").await];
    let under_way: Vec<_> = [false, true]
        .map(|http2| {
            let proxy = proxy.clone();
            tokio::spawn(async move {
                text(if http2 { proxy.get2("a.test", "/").await } else { proxy.get("a.test", "/").await })
                    .await
            })
        })
        .into();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(proxy.proxy.shut_down(Duration::from_secs(10)).await);
    for text in under_way {
        assert_eq!(text.await.unwrap(), "late");
    }
    drop(idle);
    assert!(tokio::net::TcpStream::connect(proxy.address).await.is_err(), "no listener is left");
}
