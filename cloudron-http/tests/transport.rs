//! The reqwest transport against servers whose answers a test defines.

use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cloudron_core::ErrorKind;
use cloudron_http::{
    HttpOptions, HttpTransport, Proxies, Request, ReqwestTransport, Response, Result, codes,
};
use cloudron_testkit::tinyproxy::Tinyproxy;
use cloudron_testkit::tls_front::{Authority, TlsFront};
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsAcceptor;
use wiremock::matchers::{any, header_exists};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn get(url: &str) -> Request {
    let request = http::Request::get(url).header("authorization", "Bearer canary");
    request.body(Bytes::new()).unwrap()
}

async fn send(options: HttpOptions, url: &str) -> Result<Response> {
    ReqwestTransport::new(options).unwrap().send(get(url)).await
}

fn zeros_in_gzip(mebibytes: usize) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..mebibytes {
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap()
}

async fn answering(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(b"{\"zones\": []}").unwrap();
    let answer = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
    let server = MockServer::start().await;
    Mock::given(header_exists("accept-encoding"))
        .respond_with(answer.set_body_bytes(gzip.finish().unwrap()))
        .expect(1)
        .mount(&server)
        .await;
    let answer = send(HttpOptions::default(), &server.uri()).await.unwrap();
    assert_eq!(answer.body(), "{\"zones\": []}");
}

#[tokio::test]
async fn an_answer_that_swells_is_given_up_before_it_fills_the_memory() {
    let bomb = zeros_in_gzip(512);
    assert!(bomb.len() < 4 << 20);
    let answer = ResponseTemplate::new(200).insert_header("content-encoding", "gzip");
    let server = answering(answer.set_body_bytes(bomb)).await;
    let error = send(HttpOptions::default(), &server.uri()).await.unwrap_err();
    assert!(error.is(&codes::UNREACHABLE) && error.message().contains("longer than"), "{error:?}");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kibibytes: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kibibytes < 200 << 10, "{peak}");
}

#[tokio::test]
async fn a_long_answer_is_given_up_too() {
    let server = answering(ResponseTemplate::new(200).set_body_bytes(vec![b' '; (1 << 20) + 1])).await;
    let mut options = HttpOptions::default();
    options.longest_answer = 1 << 20;
    let error = send(options.clone(), &server.uri()).await.unwrap_err();
    assert!(error.message().contains("longer than 1048576 bytes"), "{error:?}");
    options.longest_answer += 1;
    assert_eq!(send(options, &server.uri()).await.unwrap().body().len(), (1 << 20) + 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_else_is_asked() {
    let other = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).expect(0).mount(&other).await;
    for status in [301, 302, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("location", other.uri().as_str());
        let server = answering(answer).await;
        assert_eq!(send(HttpOptions::default(), &server.uri()).await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_server_that_is_silent_is_given_up_and_one_that_is_gone_is_named() {
    let server = answering(ResponseTemplate::new(200).set_delay(Duration::from_secs(60))).await;
    let options = HttpOptions::default().within(Duration::from_millis(200));
    let error = send(options.clone(), &server.uri()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.is_retryable());
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = send(options, &format!("http://{gone}/secret?secret")).await.unwrap_err();
    assert!(error.is(&codes::UNREACHABLE) && error.message().starts_with("127.0.0.1: "), "{error:?}");
    assert!(!error.message().contains("secret"), "{error:?}");
}

/// A server that returns the HTTP version of the request, with a certificate for `localhost`.
async fn versions(authority: &Authority) -> SocketAddr {
    let tls = TlsAcceptor::from(authority.identity(&["localhost"]).server(&["h2", "http/1.1"]));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = tls.accept(stream).await.unwrap();
            let version = |request: hyper::Request<hyper::body::Incoming>| async move {
                Ok::<_, Infallible>(
                    Response::new(Bytes::from(format!("{:?}", request.version()))).map(Full::new),
                )
            };
            let service = hyper::service::service_fn(version);
            let is_2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let stream = TokioIo::new(stream);
            if is_2 {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(server.serve_connection(stream, service));
            } else {
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(stream, service));
            }
        }
    });
    address
}

#[tokio::test]
async fn http_2_is_spoken_with_those_who_can_unless_it_is_not_wanted() {
    let authority = Authority::default();
    let url = format!("https://localhost:{}", versions(&authority).await.port());
    let mut options = HttpOptions::default();
    options.ca_pem = Some(authority.pem());
    assert_eq!(send(options.clone(), &url).await.unwrap().body(), "HTTP/2.0");
    options.http2 = false;
    assert_eq!(send(options, &url).await.unwrap().body(), "HTTP/1.1");
}

/// Returns the options of a computer behind a proxy.
fn behind(proxy: &str, without: &str, authority: &Authority) -> HttpOptions {
    let var = |name: &str| match name {
        "HTTPS_PROXY" => Some(proxy.to_owned()),
        "NO_PROXY" => Some(without.to_owned()),
        _ => None,
    };
    let mut options = HttpOptions::default();
    options.proxies = Proxies::from_variables(&var).unwrap();
    options.ca_pem = Some(authority.pem());
    options.within(Duration::from_secs(10))
}

/// A name that no name server resolves (RFC 6761).
const HOST: &str = "dns.cloudron.invalid";

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_used_and_no_proxy_is_honoured() {
    let (authority, server) = (Authority::default(), answering(ResponseTemplate::new(204)).await);
    let front = std::thread::scope(|s| {
        s.spawn(|| TlsFront::start(&authority.identity(&[HOST]), *server.address())).join().unwrap()
    });
    let Some(proxy) = Tinyproxy::start(front.address()) else { return };
    let url = format!("https://{HOST}/");
    let answer = send(behind(&proxy.url(), "", &authority), &url).await;
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(front.targets(), [format!("{HOST}:443")]);
    for without in [HOST, ".cloudron.invalid", "other.example, invalid", "*"] {
        // The name does not resolve, so that it works only through the proxy.
        assert!(send(behind(&proxy.url(), without, &authority), &url).await.is_err(), "{without}");
    }
    assert_eq!(front.targets().len(), 1);
    let error = send(behind(&proxy.url_without_password(), "", &authority), &url).await.unwrap_err();
    assert!(error.message().contains("through the proxy 127.0.0.1:"), "{error:?}");
    // It has its own threads, which may not end within an async context.
    tokio::task::spawn_blocking(move || drop(front)).await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_gone_is_named_without_its_password() {
    let authority = Authority::default();
    let options = behind("http://user:canary@127.0.0.1:1", "", &authority);
    assert!(!format!("{options:?}").contains("canary"));
    let error = send(options, "https://dns.example/").await.unwrap_err();
    assert!(error.is(&codes::UNREACHABLE), "{error:?}");
    assert!(error.message().starts_with("dns.example (through the proxy 127.0.0.1:1): "), "{error:?}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}
