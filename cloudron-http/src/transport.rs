//! The HTTP transport as a parameter, so that an embedder can choose the client and the TLS stack.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// A request with its whole body in memory.
pub type Request = http::Request<Bytes>;
/// A response with its whole body in memory.
pub type Response = http::Response<Bytes>;

/// Returns whether a text can be the URL of a service: `http://` or `https://` and a host, without a user name (and so
/// without a password), query or fragment.
pub fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['@', '?', '#', ' ']))
}

/// Sends HTTP requests and returns each response, regardless of its status.
///
/// An implementation sets a time limit, follows no redirect and repeats nothing that may have arrived: callers decide
/// what is safe to repeat.
#[async_trait]
pub trait HttpTransport: Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// `Unavailable` if no connection could be made or it broke, `TimedOut` if no response came in time.
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
