//! One request and its response.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use tokio::time::{Instant, timeout_at};

use super::{Failure, Lease, Pool, dial};
use crate::Protocol;
use crate::body::Outgoing;

impl Pool {
    /// Sends a request and returns the response when its head has arrived. `limit` is for that, without connecting.
    pub(crate) async fn send(
        self: &Arc<Self>,
        request: Request<Outgoing>,
        limit: Duration,
    ) -> Result<(Response<Incoming>, Option<Lease>), Failure> {
        match self.protocol {
            Protocol::Http1 => {
                let (response, lease) = self.send_http1(request, limit).await?;
                Ok((response, Some(lease)))
            }
            Protocol::H2c => Ok((self.send_h2c(request, limit).await?, None)),
        }
    }

    async fn send_http1(
        self: &Arc<Self>,
        request: Request<Outgoing>,
        limit: Duration,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let spare = repeated(&request);
        let mut request = Some(request);
        if let Some(mut sender) = self.take(spare.is_some())
            && let Some(first) = request.take()
        {
            match in_time(limit, sender.try_send_request(first)).await? {
                Ok(response) => return Ok((response, Lease::new(self.clone(), sender))),
                // The upstream closed the connection meanwhile: nothing was sent, or it may be sent again (RFC 9112,
                // section 9.3.1).
                Err(mut error) => request = error.take_message().or(spare),
            }
        }
        let request = request.ok_or(Failure::Broken)?;
        let mut sender = dial::http1(&self.upstream, self.timeouts.connect, &self.limits).await?;
        let response = in_time(limit, sender.send_request(request)).await?.map_err(broken)?;
        Ok((response, Lease::new(self.clone(), sender)))
    }

    async fn send_h2c(
        &self,
        request: Request<Outgoing>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let mut sender = self.shared().await?;
        match in_time(limit, sender.try_send_request(request)).await? {
            Ok(response) => Ok(response),
            Err(mut error) => {
                let Some(request) = error.take_message() else { return Err(broken(error.into_error())) };
                let mut sender = self.shared().await?;
                in_time(limit, sender.send_request(request)).await?.map_err(broken)
            }
        }
    }

    /// Returns the shared connection, or a new one if that has ended.
    async fn shared(&self) -> Result<http2::SendRequest<Outgoing>, Failure> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = dial::h2c(&self.upstream, self.timeouts.connect, &self.limits).await?;
        Ok(shared.insert(sender).clone())
    }
}

/// Returns the request once more if it may be sent twice: without a body, and with a method that changes nothing (RFC
/// 9110, section 9.2.2).
fn repeated(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_empty() {
        return None;
    }
    let mut copy = Request::new(Outgoing::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

fn broken(error: hyper::Error) -> Failure {
    tracing::debug!(%error, "An upstream gave no response");
    Failure::Broken
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Failure> {
    // `Duration::MAX` would overflow.
    let deadline = Instant::now().checked_add(limit);
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.map_err(|_| Failure::Late),
        None => Ok(work.await),
    }
}
