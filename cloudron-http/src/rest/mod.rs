//! Requests to a REST API: sends them with a credential, retries what is safe to retry, waits as long as the
//! server asks for, reads paginated lists, and reports errors without the credential.

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

/// Description of a vendor's API.
pub struct Vendor {
    /// The name used in messages.
    pub name: &'static str,
    /// The base URL, without a final slash.
    pub endpoint: &'static str,
    /// The header that carries the credential, and its prefix: `("authorization", "Bearer ")`.
    pub header: (&'static str, &'static str),
    /// Value of the `user-agent` header: `program/1.0`.
    pub agent: &'static str,
    /// The vendor's error codes.
    pub codes: &'static Codes,
    /// Reads an error response.
    pub said: fn(&Response) -> Said,
}

/// A vendor's error codes, known to its users.
pub struct Codes {
    /// The credential is invalid or lacks permission.
    pub credentials: &'static Code,
    /// The object does not exist.
    pub not_found: &'static Code,
    /// There were too many requests.
    pub rate_limited: &'static Code,
    /// The service cannot be reached, is unavailable, or returned an invalid response.
    pub down: &'static Code,
    /// The service refused the request.
    pub refused: &'static Code,
}

/// A client for one vendor's API.
pub struct Rest {
    /// The vendor.
    pub vendor: &'static Vendor,
    /// The HTTP transport.
    pub transport: Arc<dyn HttpTransport>,
    /// The clock for measuring waits.
    pub clock: Arc<dyn Clock>,
    /// How often and how long a request is retried.
    pub policy: RetryPolicy,
    /// The base URL.
    pub endpoint: String,
    /// The credential. It is kept out of all messages.
    pub credential: Secret,
}

impl Rest {
    /// Returns a client for the vendor's own base URL.
    pub fn new(
        vendor: &'static Vendor,
        credential: Secret,
        transport: Arc<dyn HttpTransport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (policy, endpoint) = (RetryPolicy::default(), vendor.endpoint.into());
        Self { vendor, transport, clock, policy, endpoint, credential }
    }

    /// Sets another base URL.
    ///
    /// # Errors
    /// `usage` for an invalid URL, and for `http` to another machine, which would send the credential
    /// unencrypted.
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

    /// Returns the retries of one request.
    pub fn tries(&self) -> Tries<'_> {
        Tries { retries: self.policy.begin(&*self.clock) }
    }

    /// Sends a request until it succeeds, fails permanently, or the retry policy is exhausted. For idempotent
    /// requests only.
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
    /// Errors of the transport or the vendor.
    pub async fn once(&self, method: &Method, path: &str, body: Option<&Bytes>) -> Result<Response, Failure> {
        let request = self.request(method, path, body)?;
        let answer = self.transport.send(request).await.map_err(|error| {
            // A broken connection is worth a retry, whatever the transport says.
            let error = match error.kind() {
                ErrorKind::Unavailable => self.down(error),
                ErrorKind::TimedOut => error.retryable(true),
                _ => error,
            };
            Failure { unknown: true, ..error.into() }
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.failure(method, path, &answer)) }
    }

    /// Returns the vendor's own error for a failed or broken connection.
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

/// The retries of one request.
pub struct Tries<'a> {
    retries: cloudron_core::retry::Retries<'a>,
}

impl Tries<'_> {
    /// Waits before the next try. Returns false if there is none.
    pub async fn again(&mut self, failure: &Failure) -> bool {
        failure.error.is_retryable() && self.retries.again(failure, failure.wait).await
    }
}

/// Serializes a request body.
///
/// # Panics
/// If the value is not valid JSON, such as a map whose keys are not strings.
pub fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("the types that are sent are JSON").into()
}

/// Parses a response body. Returns `None` if it is not the expected JSON.
pub fn parse<T: DeserializeOwned>(answer: &Response) -> Option<T> {
    serde_json::from_slice(answer.body()).ok()
}

/// Returns the error for a response that is not the expected JSON.
pub fn garbled(codes: &Codes, path: &str) -> Error {
    Error::new(codes.down, format!("{path}: the answer is not the JSON that was expected"))
}

/// Characters not encoded in a path segment. They include `@` and `*`, which occur in DNS names.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@').remove(b'*');

/// Percent-encodes a text as one path segment or query value.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
