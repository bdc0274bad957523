//! Requests to a REST API with a simulated clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::{Clock, Error, Secret};
use cloudron_http::rest::{Codes, Page, Rest, Said, Vendor, parse, segment};
use cloudron_http::{HttpTransport, Request, ReqwestTransport, Response, Result, codes};
use http::Method;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

cloudron_core::codes! {
    /// A code of the vendor's.
    DENIED = ("vendor-denied", Denied, "");
    /// Another one.
    DOWN = ("vendor-down", Unavailable, "");
    /// Another one.
    BUSY = ("vendor-busy", Unavailable, "");
    /// Another one.
    OTHER = ("vendor-other", Failed, "");
}

static VENDOR: Vendor = Vendor {
    name: "Vendor",
    endpoint: "https://vendor.invalid",
    header: ("authorization", "Bearer "),
    agent: "test/1.0",
    codes: &Codes {
        credentials: &DENIED,
        not_found: &OTHER,
        rate_limited: &BUSY,
        down: &DOWN,
        refused: &OTHER,
    },
    said: |answer| Said { message: String::from_utf8_lossy(answer.body()).into_owned(), ..Said::default() },
};

#[derive(Default)]
struct Still(Mutex<Duration>);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
    async fn sleep(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

fn rest(transport: Arc<dyn HttpTransport>) -> (Rest, Arc<Still>) {
    let clock = Arc::new(Still::default());
    (Rest::new(&VENDOR, Secret::new("canary"), transport, clock.clone()), clock)
}

async fn over_http(server: &MockServer) -> (Rest, Arc<Still>) {
    let (mut rest, clock) = rest(Arc::new(ReqwestTransport::from_env().unwrap()));
    rest.set_endpoint(&server.uri()).unwrap();
    (rest, clock)
}

/// Returns a server that gives this answer once, and then success.
async fn first(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("{}")).mount(&server).await;
    server
}

#[tokio::test]
async fn it_waits_as_long_as_it_is_asked_to() {
    for (status, value, seconds) in
        [(429, "50", 50), (503, "50", 50), (429, "Thu, 01 Jan 1970 00:01:00 GMT", 60)]
    {
        let answer = ResponseTemplate::new(status).insert_header("retry-after", value);
        let server = first(answer).await;
        let (rest, clock) = over_http(&server).await;
        rest.repeat(&Method::GET, "/", None).await.unwrap();
        let waited = clock.monotonic().as_secs();
        assert!((seconds..seconds + 2).contains(&waited), "{status} {value}: {waited}");
    }
}

#[tokio::test]
async fn it_does_not_wait_for_longer_than_the_deadline() {
    for value in ["121", "18446744073709551615", "Fri, 01 Jan 9999 00:00:00 GMT"] {
        let server = first(ResponseTemplate::new(429).insert_header("retry-after", value)).await;
        let (rest, clock) = over_http(&server).await;
        let failure = rest.repeat(&Method::GET, "/", None).await.unwrap_err();
        assert!(failure.error.is(&BUSY), "{failure:?}");
        assert_eq!(clock.monotonic(), Duration::ZERO);
        assert!(failure.wait.unwrap() <= Duration::from_secs(86_400));
    }
}

#[tokio::test]
async fn what_the_vendor_echoes_is_shown_without_the_credential() {
    let server = first(ResponseTemplate::new(403).set_body_string("no Bearer canary\u{1b}[31m")).await;
    let (rest, _) = over_http(&server).await;
    let failure = rest.repeat(&Method::GET, "/path", None).await.unwrap_err();
    assert_eq!(failure.error.message(), "GET /path: 403 Forbidden: no Bearer … [31m");
    assert!(failure.error.is(&DENIED) && !failure.unknown);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_has_the_vendors_code() {
    let (mut rest, _) = rest(Arc::new(ReqwestTransport::from_env().unwrap()));
    rest.set_endpoint("http://127.0.0.1:1").unwrap();
    let failure = rest.repeat(&Method::GET, "/", None).await.unwrap_err();
    assert!(failure.error.is(&DOWN) && failure.unknown, "{failure:?}");
}

/// A list with another entry on every page.
#[derive(Default)]
struct Endless(AtomicU64);

#[async_trait]
impl HttpTransport for Endless {
    async fn send(&self, request: Request) -> Result<Response> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        if request.uri().path() == "/broken" {
            return Err(Error::new(&codes::CERTIFICATE, "not trusted"));
        }
        Ok(Response::new(Bytes::from(number.to_string())))
    }
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let transport = Arc::new(Endless::default());
    let (rest, _) = rest(transport.clone());
    let page =
        |answer: &Response| Some(Page { entries: vec![parse::<u64>(answer)?], more: true, total: None });
    let failure = rest.list("/list?x=y", page, |n| *n).await.err().unwrap();
    assert!(failure.error.is(&DOWN), "{failure:?}");
    assert!(failure.error.message().contains("no end"));
    assert_eq!(transport.0.load(Ordering::Relaxed), 10_001);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_asked_for_once_and_keeps_its_code() {
    let transport = Arc::new(Endless::default());
    let (rest, _) = rest(transport.clone());
    let failure = rest.repeat(&Method::GET, "/broken", None).await.unwrap_err();
    assert!(failure.error.is(&codes::CERTIFICATE));
    assert_eq!(transport.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_text_is_one_segment_of_a_path() {
    assert_eq!(segment("*.example.com."), "*.example.com.");
    assert_eq!(segment("@"), "@");
    assert_eq!(segment("a/b?c#d e%&=+"), "a%2Fb%3Fc%23d%20e%25%26%3D%2B");
    assert_eq!(segment("ä"), "%C3%A4");
}
