//! What Amazon's SDKs run on: any transport, so that there is one HTTP client and one TLS stack, or the embedder's.

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

/// An SDK's client over a transport.
pub fn client(transport: Arc<dyn HttpTransport>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(transport));
    http_client_fn(move |_, _| connector.clone())
}

/// Why the transport did not carry a request, as an SDK reports it.
#[derive(Debug, Clone)]
pub struct Unsent {
    /// The transport's message, or that of whatever the SDK met before it.
    pub message: String,
    /// What the transport refuses to do, however often it is asked: a certificate that is not trusted.
    pub refused: Option<Box<Refused>>,
}

/// The code and hint of a transport's refusal.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The error code.
    pub code: &'static Code,
    /// What helps.
    pub hint: Option<String>,
}

impl Unsent {
    /// Reads the error of a request that was not carried.
    pub fn new(error: &ConnectorError) -> Self {
        let Some(ours) = transport_error(error) else {
            return Self { message: with_causes(error), refused: None };
        };
        let refused = || Box::new(Refused { code: ours.code(), hint: ours.hint().map(str::to_owned) });
        Self { message: ours.to_string(), refused: error.is_user().then(refused) }
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

/// The transport's own error among the causes of an SDK's.
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

/// An error that does not pass is one of the user: it is not worth another try.
fn kind_of(error: &Error) -> fn(Box<dyn StdError + Send + Sync>) -> ConnectorError {
    match error.kind() {
        ErrorKind::TimedOut => ConnectorError::timeout,
        ErrorKind::Unavailable => ConnectorError::io,
        _ => ConnectorError::user,
    }
}
