//! An HTTP client for providers, over TLS that trusts what the system trusts.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloudron_core::http::{HttpTransport, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::{Error, Result, codes};

/// The longest answer that is read: 16 MiB.
const LONGEST: usize = 16 << 20;

/// HTTP/1.1 with connections that are kept, on tokio. Follows no redirect and repeats nothing.
#[derive(Debug, Clone)]
pub struct HyperTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    limit: Duration,
}

impl HyperTransport {
    /// A client that trusts the authorities of the system. Each request takes 30 seconds at most.
    ///
    /// # Errors
    /// `dns-provider-down` when the system has no certificates of authorities.
    pub fn new() -> Result<Self> {
        let no_tls =
            |e: &dyn std::fmt::Display| Error::new(&codes::PROVIDER_DOWN, format!("TLS cannot be used: {e}"));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|e| no_tls(&e).with_hint("install your system's package of CA certificates"))?
            .https_or_http()
            .enable_http1()
            .build();
        let mut client = Client::builder(TokioExecutor::new());
        // A request on a connection that was closed meanwhile may have arrived: callers decide what to repeat.
        client.retry_canceled_requests(false).pool_idle_timeout(Duration::from_secs(15));
        client.pool_timer(hyper_util::rt::TokioTimer::new());
        Ok(Self { client: client.build(connector), limit: Duration::from_secs(30) })
    }

    /// The same client with another time limit for each request.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

#[async_trait]
impl HttpTransport for HyperTransport {
    async fn send(&self, request: Request) -> Result<Response> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        // Without the query, in which an interface may want something secret.
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let start = std::time::Instant::now();
        let down = |why: String| Error::new(&codes::PROVIDER_DOWN, format!("{host}: {why}"));
        let exchange = async {
            let answer = self.client.request(request.map(Full::new)).await.map_err(|e| {
                let cause = std::error::Error::source(&e).map_or(String::new(), |c| format!(": {c}"));
                down(format!("{e}{cause}"))
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LONGEST).collect().await;
            let body = body.map_err(|e| down(format!("the answer was cut off: {e}")))?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let answer = tokio::time::timeout(self.limit, exchange).await.unwrap_or_else(|_| {
            let message = format!("{host} did not answer within {} seconds", self.limit.as_secs_f32());
            Err(Error::new(&cloudron_core::codes::TIMED_OUT, message).retryable(true))
        });
        let ms = start.elapsed().as_millis() as u64;
        match &answer {
            Ok(answer) => {
                let (status, bytes) = (answer.status().as_u16(), answer.body().len());
                tracing::debug!(host, %method, path, status, bytes, ms, "HTTP");
            }
            Err(error) => tracing::debug!(host, %method, path, %error, ms, "HTTP"),
        }
        answer
    }
}
