//! The HTTP client of its own, over a real connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::response::IntoResponse;
use cloudron_core::{ErrorKind, Secret};
use cloudron_dns::digitalocean::DigitalOcean;
use cloudron_dns::{DnsProvider, Scope};
use cloudron_http::{HttpOptions, HttpTransport, ReqwestTransport};

use crate::model::{Fault, Model, TOKEN};
use crate::{model, zone};

/// The model behind a socket; its address.
async fn serve(model: Arc<Model>) -> String {
    let handler = move |request: axum::extract::Request| {
        let model = model.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.unwrap();
            let answer =
                model.answer(&http::Request::from_parts(head, body)).expect("a connection that breaks");
            answer.map(axum::body::Body::from).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_zone_is_read_over_a_real_connection_that_breaks_once() {
    let model = model();
    let endpoint = serve(model.clone()).await;
    let provider = DigitalOcean::new(Secret::new(TOKEN)).unwrap().at(&endpoint).unwrap();
    model.fail([Fault::CutAfter]);
    let snapshot = provider.read(&zone(), Scope::Zone).await.unwrap();
    assert_eq!(snapshot.sets.len(), 2);
    assert_eq!(model.requests().len(), 2);
    assert_eq!(model.lock().violations, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let transport = ReqwestTransport::new(HttpOptions::default().within(Duration::from_millis(200))).unwrap();
    let request = http::Request::get(url).body(bytes::Bytes::new()).unwrap();
    assert_eq!(transport.send(request).await.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn the_token_goes_to_no_other_machine_in_the_clear() {
    let at = |endpoint| DigitalOcean::new(Secret::new(TOKEN)).unwrap().at(endpoint).is_ok();
    assert!(at("https://dns.example.com") && at("http://127.0.0.1:1") && at("http://localhost:1"));
    for wrong in
        ["http://dns.example.com", "http://127.example.com", "ftp://127.0.0.1", "x", "https://a@b.example"]
    {
        assert!(!at(wrong), "{wrong}");
    }
}
