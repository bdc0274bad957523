//! The HTTP transport as a parameter: no TLS stack or client is forced on an embedder.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// A request with its whole body in memory.
pub type Request = http::Request<Bytes>;
/// An answer with its whole body in memory.
pub type Response = http::Response<Bytes>;

/// Whether a text can be the address of a service: `http://` or `https://` and a host, without a user name, which
/// may come with a password, a query or a fragment.
pub fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', '?', '#', ' ']))
}

/// Sends one HTTP request and returns the answer, whatever its status.
///
/// An implementation sets a time limit, follows no redirect and repeats nothing that may have arrived: callers decide
/// what is safe to repeat.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Sends the request.
    ///
    /// # Errors
    /// `Unavailable` when no connection could be made or it broke, `TimedOut` when no answer came in time.
    async fn send(&self, request: Request) -> Result<Response>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_scheme_and_a_host_and_no_secret() {
        for good in ["https://s3.example.com", "http://127.0.0.1:8080", "https://example.com/path"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in
            ["", "s3.example.com", "ftp://x", "https://", "https://id:secret@x", "http://x?a", "http://x#a"]
        {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
