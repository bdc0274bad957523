//! Traces of all crates involved contain neither a credential nor the password of a proxy.

use std::io::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloudron_http::{HttpOptions, HttpTransport, Proxies, ReqwestTransport};
use cloudron_testkit::tls_front::Authority;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Starts an HTTP/2 server for `localhost`. Returns its port.
async fn server(authority: &Authority) -> u16 {
    let tls = TlsAcceptor::from(authority.identity(&["localhost"]).server(&["h2"]));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let stream = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
        let ok = |_: hyper::Request<hyper::body::Incoming>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::new())))
        };
        let service = hyper::service::service_fn(ok);
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.serve_connection(TokioIo::new(stream), service).await
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_traced_holds_a_secret() {
    let (kept, authority) = (Kept::default(), Authority::default());
    let writer = kept.clone();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    // The server runs in this process too, so that its traces of the request are also checked.
    let port = server(&authority).await;
    let proxy = |name: &str| (name == "ALL_PROXY").then(|| "http://user:canary-p@127.0.0.1:1".to_owned());
    let mut options = HttpOptions::default();
    options.ca_pem = Some(authority.pem());
    options.proxies = Proxies::from_variables(&proxy).unwrap();
    let transport = ReqwestTransport::new(options).unwrap();
    for host in [format!("localhost:{port}"), "proxied.invalid".to_owned()] {
        let mut token = http::HeaderValue::from_static("Bearer canary-t");
        token.set_sensitive(true);
        let request = http::Request::get(format!("https://{host}/p?canary-q")).header("authorization", token);
        let _ = transport.send(request.body(Bytes::new()).unwrap()).await;
    }
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("h2::") && text.contains("hyper_util::"), "{text}");
    for line in text.lines().filter(|line| !line.contains("canary-q")) {
        assert!(!line.contains("canary"), "{line}");
    }
    let own: Vec<&str> = text.lines().filter(|line| line.contains("cloudron_http")).collect();
    assert!(own.len() == 2 && !own.iter().any(|line| line.contains("canary")), "{own:?}");
}
