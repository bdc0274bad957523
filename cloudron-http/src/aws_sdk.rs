//! An HTTP client for Amazon's SDKs on any transport, so that they use the same client and TLS stack as the
//! rest.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use cloudron_core::error::with_causes;
use cloudron_core::{Code, Error, ErrorKind};
use http_body_util::BodyExt;

use crate::{HttpTransport, Request};

/// Returns an SDK's HTTP client that uses a transport.
pub fn client(transport: Arc<dyn HttpTransport>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(transport));
    http_client_fn(move |_, _| connector.clone())
}

/// The reason why a request was not sent, as reported by an SDK.
#[derive(Debug, Clone)]
pub struct Unsent {
    /// Message of the transport, or of the SDK if it failed before.
    pub message: String,
    /// A refusal that a retry does not change: an untrusted certificate, or an instance without credentials.
    pub refused: Option<Box<Refused>>,
}

/// Code and hint of a transport's refusal.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The error code.
    pub code: &'static Code,
    /// Advice for the user.
    pub hint: Option<String>,
}

impl Unsent {
    /// Reads the error of a request that was not sent.
    pub fn new(error: &ConnectorError) -> Self {
        let Some(ours) = transport_error(error) else {
            return Self { message: with_causes(error), refused: None };
        };
        let refused = || Box::new(Refused { code: ours.code(), hint: ours.hint().map(str::to_owned) });
        let is_refusal = error.is_user() || ours.kind() == ErrorKind::Denied;
        Self { message: ours.to_string(), refused: is_refusal.then(refused) }
    }
}

impl Refused {
    /// Adds the hint to an error.
    #[must_use]
    pub fn explain(&self, error: Error) -> Error {
        match &self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}

/// Finds the transport's own error among the sources of an SDK's error.
fn transport_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Error> {
    let mut cause = Some(error);
    while let Some(next) = cause {
        if let Some(error) = next.downcast_ref() {
            return Some(error);
        }
        cause = next.source();
    }
    None
}

struct Connector(Arc<dyn HttpTransport>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let transport = self.0.clone();
        HttpConnectorFuture::new(async move { exchange(&*transport, request).await })
    }
}

async fn exchange(
    transport: &dyn HttpTransport,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let (head, body) = request.try_into_http1x().map_err(|e| ConnectorError::user(e.into()))?.into_parts();
    let body = body.collect().await.map_err(ConnectorError::user)?.to_bytes();
    let answer = transport.send(Request::from_parts(head, body)).await;
    let answer = answer.map_err(|error| (kind_of(&error))(error.into()))?;
    HttpResponse::try_from(answer.map(Into::into)).map_err(|e| ConnectorError::other(e.into(), None))
}

/// Maps the kind of an error. A permanent error becomes a user error, which the SDK does not retry.
fn kind_of(error: &Error) -> fn(Box<dyn StdError + Send + Sync>) -> ConnectorError {
    match error.kind() {
        ErrorKind::TimedOut => ConnectorError::timeout,
        ErrorKind::Unavailable => ConnectorError::io,
        _ => ConnectorError::user,
    }
}
