//! The HTTP transport as a parameter: no TLS stack or client is forced on an embedder.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// A request with its whole body in memory.
pub type Request = http::Request<Bytes>;
/// An answer with its whole body in memory.
pub type Response = http::Response<Bytes>;

/// Sends one HTTP request and returns the answer, whatever its status.
///
/// An implementation sets a time limit, follows no redirect and repeats nothing: callers decide what is
/// safe to repeat.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Sends the request.
    ///
    /// # Errors
    /// `Unavailable` when no connection could be made or it broke, `TimedOut` when no answer came in time.
    async fn send(&self, request: Request) -> Result<Response>;
}
