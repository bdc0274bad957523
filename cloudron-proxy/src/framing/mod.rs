//! Strict framing of HTTP/1.1 requests (RFC 9112).
//!
//! hyper reads what follows the letter of the specification, which allows a receiver to be lenient: a line that ends
//! with a bare LF, a `Content-Length` beside a `Transfer-Encoding`, a `Content-Length` twice. Leniency is what request
//! smuggling lives on, because the program behind may be lenient in another way. So each byte passes [`Strict`] before
//! hyper sees it. It refuses what two readers could understand differently, and hyper, as the second reader, writes
//! a message of its own for the upstream.

mod chunked;
mod exchange;
mod head;
mod strict;

pub(crate) use exchange::Exchange;
pub(crate) use strict::Strict;

/// Limits on the head of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    /// Bytes of the request line and all fields.
    pub(crate) size: usize,
    /// Number of fields.
    pub(crate) fields: usize,
    /// Bytes of the request target.
    pub(crate) target: usize,
}

/// The reason why a request is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Malformed, or its framing is ambiguous: 400.
    Malformed,
    /// The request target is too long: 414.
    TargetTooLong,
    /// The fields are too long or too many: 431.
    FieldsTooLarge,
    /// A version other than HTTP/1.0 and HTTP/1.1: 505.
    Version,
}

/// The framing of the body that follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks (RFC 9112, section 7.1).
    Chunked,
}

/// What the head of a request says about the bytes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) framing: Framing,
    /// Whether the client asks for another protocol. What the bytes after the message mean is then known only after the
    /// response.
    pub(crate) upgrade: bool,
}
