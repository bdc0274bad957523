//! Requests to a REST interface: sending with a credential, repeating what may be repeated, waiting as long as the
//! other side asks for, reading lists in pages, and saying what went wrong without the credential in it.

mod failure;
mod pages;

use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{Clock, Code, ErrorKind, RetryPolicy, Secret};
use http::{HeaderName, HeaderValue, Method, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::failure::{Failure, Said};
pub use self::pages::Page;
use crate::{Error, HttpTransport, Request, Response, Result, is_endpoint};

/// What is particular to a vendor's interface.
pub struct Vendor {
    /// The name, as messages have it.
    pub name: &'static str,
    /// The address that requests go to, without a slash at its end.
    pub endpoint: &'static str,
    /// The header that carries the credential, and what goes before it: `("authorization", "Bearer ")`.
    pub header: (&'static str, &'static str),
    /// Who asks, as the header `user-agent` says it: `program/1.0`.
    pub agent: &'static str,
    /// The codes of its errors.
    pub codes: &'static Codes,
    /// Reads an answer that is no success.
    pub said: fn(&Response) -> Said,
}

/// The codes of a vendor's errors, which those who use it know.
pub struct Codes {
    /// The credential is not accepted, or not enough.
    pub credentials: &'static Code,
    /// There is no such thing.
    pub not_found: &'static Code,
    /// There were too many requests.
    pub rate_limited: &'static Code,
    /// It cannot be reached, cannot serve, or its answer makes no sense.
    pub down: &'static Code,
    /// It refused what was sent.
    pub refused: &'static Code,
}

/// Sends requests to one vendor.
pub struct Rest {
    /// Whom to.
    pub vendor: &'static Vendor,
    /// How.
    pub transport: Arc<dyn HttpTransport>,
    /// The clock that waits are measured with.
    pub clock: Arc<dyn Clock>,
    /// How often and how long a request is repeated.
    pub policy: RetryPolicy,
    /// The address that requests go to.
    pub endpoint: String,
    /// What shows who asks. In no message.
    pub credential: Secret,
}

impl Rest {
    /// Requests to a vendor's own address.
    pub fn new(
        vendor: &'static Vendor,
        credential: Secret,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (policy, endpoint) = (RetryPolicy::default(), vendor.endpoint.into());
        Self { vendor, transport, clock, policy, endpoint, credential }
    }

    /// Sends to another address than the vendor's.
    ///
    /// # Errors
    /// `usage` for what is no address, and for `http` to another machine, which would send the credential in the
    /// clear.
    pub fn set_endpoint(&mut self, endpoint: &str) -> Result<()> {
        let wrong = |why: &str| {
            let message = format!("the endpoint of {}: {why}", self.vendor.name);
            Err(Error::new(&cloudron_core::codes::USAGE, message))
        };
        if !is_endpoint(endpoint) {
            return wrong("it is https:// and a host, with neither a user name nor a query");
        }
        let Ok(uri) = endpoint.parse::<http::Uri>() else { return wrong("it is not an address") };
        let host = uri.host().unwrap_or_default();
        let loopback = |host: &str| host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let local = host == "localhost" || loopback(host.trim_matches(['[', ']']));
        if uri.scheme_str() != Some("https") && !local {
            return wrong("it begins with https://");
        }
        self.endpoint = endpoint.trim_end_matches('/').to_owned();
        Ok(())
    }

    /// The tries of one request.
    pub fn tries(&self) -> Tries<'_> {
        Tries { retries: self.policy.begin(&*self.clock) }
    }

    /// Sends a request until it succeeds, fails for good, or the policy is used up. Only for what may be said twice.
    ///
    /// # Errors
    /// The last failure.
    pub async fn repeat(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Bytes>,
    ) -> Result<Response, Failure> {
        let (mut tries, mut unknown) = (self.tries(), false);
        loop {
            let failure = match self.once(method, path, body).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            unknown |= failure.unknown;
            if !tries.again(&failure).await {
                return Err(Failure { unknown, ..failure });
            }
        }
    }

    /// Sends a request once. A body is JSON.
    ///
    /// # Errors
    /// What the transport or the vendor says.
    pub async fn once(&self, method: &Method, path: &str, body: Option<&Bytes>) -> Result<Response, Failure> {
        let request = self.request(method, path, body)?;
        let answer = self.transport.send(request).await.map_err(|error| {
            // Whatever the transport says of it: a broken connection is worth another try.
            let error = match error.kind() {
                ErrorKind::Unavailable => self.down(error),
                ErrorKind::TimedOut => error.retryable(true),
                _ => error,
            };
            Failure { unknown: true, ..error.into() }
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.failure(method, path, &answer)) }
    }

    /// The vendor's own error for a connection that could not be made or broke.
    fn down(&self, error: Error) -> Error {
        let down = Error::new(self.vendor.codes.down, error.to_string()).retryable(true);
        let hint = error.hint().map(str::to_owned);
        let down = down.with_source(error);
        if let Some(hint) = hint { down.with_hint(hint) } else { down }
    }

    fn request(&self, method: &Method, path: &str, body: Option<&Bytes>) -> Result<Request> {
        let unusable = || {
            let message = format!("the token of {} has characters that no token has", self.vendor.name);
            Error::new(self.vendor.codes.credentials, message)
        };
        let (name, before) = self.vendor.header;
        let mut credential = HeaderValue::from_str(&format!("{before}{}", self.credential.expose()))
            .map_err(|_| unusable())?;
        credential.set_sensitive(true);
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header(HeaderName::from_static(name), credential)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, self.vendor.agent);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(body.cloned().unwrap_or_default())
            .map_err(|e| Error::new(&cloudron_core::codes::USAGE, format!("{}{path}: {e}", self.endpoint)))
    }
}

/// The tries of one request.
pub struct Tries<'a> {
    retries: cloudron_core::retry::Retries<'a>,
}

impl Tries<'_> {
    /// Waits before the next try; `false` when there is none.
    pub async fn again(&mut self, failure: &Failure) -> bool {
        failure.error.is_retryable() && self.retries.again(failure, failure.wait).await
    }
}

/// The body of a request.
///
/// # Panics
/// For what is no JSON, such as a map with keys that are no texts.
pub fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("the types that are sent are JSON").into()
}

/// The body of an answer; none when it is not what was expected.
pub fn parse<T: DeserializeOwned>(answer: &Response) -> Option<T> {
    serde_json::from_slice(answer.body()).ok()
}

/// The error for an answer that is not what was expected.
pub fn garbled(codes: &Codes, path: &str) -> Error {
    Error::new(codes.down, format!("{path}: the answer is not the JSON that was expected"))
}

/// What stands for itself in a segment of a path. `@` and `*`, which names in DNS have, do.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@').remove(b'*');

/// A text as one segment of a path, or a value in a query.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
