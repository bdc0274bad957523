//! The access log.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Is told of each response, when it has ended. Called on the runtime, so it must not block.
pub trait AccessLog: Send + Sync {
    /// Records a response.
    fn record(&self, entry: &Entry<'_>);

    /// Whether entries have the query of the request. Queries can hold secrets, so by default they have not.
    fn wants_queries(&self) -> bool {
        false
    }
}

/// A response, as the access log is told of it. What the client sent is bounded by the limits on a head, and has no control
/// characters.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// When the request began.
    pub time: SystemTime,
    /// The client's address.
    pub client: IpAddr,
    /// The host that the client asked for. Empty if it named none.
    pub host: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The query, if the log wants it and there is one.
    pub query: Option<&'a str>,
    /// The version of HTTP in front, such as `HTTP/2.0`.
    pub version: http::Version,
    /// The status of the response.
    pub status: u16,
    /// The bytes of its body that were handed to the client's connection.
    pub bytes: u64,
    /// Whether the whole body was.
    pub complete: bool,
    /// From the head of the request to the end of the response.
    pub duration: Duration,
}
