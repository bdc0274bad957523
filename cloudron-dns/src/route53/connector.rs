//! What the SDK runs on: any transport of ours, so that there is one HTTP client and one TLS stack, or the embedder's,
//! and the time of tokio.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_route53::config::http::{HttpRequest, HttpResponse};
use aws_sdk_route53::config::{AsyncSleep, SharedHttpClient, Sleep};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use cloudron_core::http::{HttpTransport, Request};
use cloudron_core::{Error, ErrorKind};

/// The SDK's client over a transport.
pub(super) fn client(transport: Arc<dyn HttpTransport>) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(transport));
    http_client_fn(move |_, _| connector.clone())
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
    let body = body.bytes().ok_or_else(|| ConnectorError::user("the body is a stream".into()))?;
    let answer = transport.send(Request::from_parts(head, Bytes::copy_from_slice(body))).await;
    let answer = answer.map_err(|error| (kind_of(&error))(error.into()))?;
    HttpResponse::try_from(answer.map(Into::into)).map_err(|e| ConnectorError::other(e.into(), None))
}

fn kind_of(error: &Error) -> fn(Box<dyn std::error::Error + Send + Sync>) -> ConnectorError {
    match error.kind() {
        ErrorKind::TimedOut => ConnectorError::timeout,
        _ => ConnectorError::io,
    }
}

/// Pauses, which the SDK asks for although nothing here makes it pause.
#[derive(Debug)]
pub(super) struct Pause;

impl AsyncSleep for Pause {
    fn sleep(&self, length: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(length))
    }
}
