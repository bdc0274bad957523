//! A small client that trusts only the machine's own authority.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::Secret;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::api::ApiError;
use crate::tls::client_config;

#[derive(Clone)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) ca_pem: String,
    pub(super) token: Option<Secret>,
    /// The loopback address to connect from, if it matters.
    pub(super) from: Option<IpAddr>,
}

pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answered {
    pub(super) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.status, self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the status and code of an error, whose body must contain the same status.
    pub(super) fn error(&self) -> (u16, String) {
        let error: ApiError = self.json();
        assert_eq!(error.status, self.status.as_u16());
        assert!(!error.message.is_empty());
        (error.status, error.code)
    }
}

impl Client {
    pub(super) fn with(&self, token: &Secret) -> Self {
        Self { token: Some(token.clone()), ..self.clone() }
    }

    pub(super) async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, None, &[]).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answered {
        self.ask("DELETE", path, None, &[]).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answered {
        self.ask("POST", path, Some(body.to_string()), &[]).await
    }

    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> Answered {
        let response = self.open(method, path, body, headers).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request without reading the body of the response.
    pub(super) async fn open(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
        headers: &[(&str, &str)],
    ) -> http::Response<Incoming> {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(from) = self.from {
            socket.bind((from, 0).into()).unwrap();
        }
        let stream = socket.connect(self.address).await.unwrap();
        let connector = TlsConnector::from(Arc::clone(&client_config(&self.ca_pem).unwrap()));
        let name = ServerName::try_from("my.demo.localhost").unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "my.demo.localhost");
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.expose()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default()))).unwrap();
        sender.send_request(request).await.unwrap()
    }
}
