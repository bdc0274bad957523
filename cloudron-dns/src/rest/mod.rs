//! What the providers with a REST interface share: sending with a credential, repeating what may be repeated,
//! waiting as long as the other side asks for, and saying what went wrong without the credential in it.

/// What every provider with a REST interface lets its user choose, and what it shows of itself: nothing of the
/// credential. Its requests go through `client.rest`.
macro_rules! choices {
    ($provider:ident) => {
        impl $provider {
            /// The same provider with another clock.
            pub fn with_clock(mut self, clock: std::sync::Arc<dyn cloudron_core::Clock>) -> Self {
                self.client.rest.clock = clock;
                self
            }

            /// The same provider with another patience for each request.
            pub fn with_retries(mut self, policy: cloudron_core::RetryPolicy) -> Self {
                self.client.rest.policy = policy;
                self
            }
        }

        impl std::fmt::Debug for $provider {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let endpoint = &self.client.rest.endpoint;
                f.debug_struct(stringify!($provider)).field("endpoint", endpoint).finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use choices;

mod failure;
mod pages;
mod patience;
mod records;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::http::{HttpTransport, Request, Response, is_endpoint};
use cloudron_core::{Clock, ErrorKind, RetryPolicy, Secret, SystemClock};
use http::{HeaderName, HeaderValue, Method, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::failure::{Failure, Said};
pub(crate) use self::pages::Page;
pub(crate) use self::patience::Patience;
pub(crate) use self::records::{Paired, grouped, pair, refusal};
use crate::{Batch, Error, Result, codes};

/// What is particular to a vendor's interface.
pub(crate) struct Vendor {
    /// The name, as messages have it.
    pub(crate) name: &'static str,
    /// The address that requests go to, without a slash at its end.
    pub(crate) endpoint: &'static str,
    /// The header that carries the credential, and what goes before it: `("authorization", "Bearer ")`.
    pub(crate) header: (&'static str, &'static str),
    /// Reads an answer that is no success.
    pub(crate) said: fn(&Response) -> Said,
}

/// Sends requests to one vendor.
pub(crate) struct Rest {
    pub(crate) vendor: &'static Vendor,
    pub(crate) transport: Arc<dyn HttpTransport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) policy: RetryPolicy,
    pub(crate) endpoint: String,
    pub(crate) credential: Secret,
}

impl Rest {
    pub(crate) fn new(
        vendor: &'static Vendor,
        credential: Secret,
        transport: Arc<dyn HttpTransport>,
    ) -> Self {
        Self {
            vendor,
            transport,
            clock: Arc::new(SystemClock),
            policy: RetryPolicy::default(),
            endpoint: vendor.endpoint.into(),
            credential,
        }
    }

    /// Sends to another address than the vendor's.
    ///
    /// # Errors
    /// `usage` for what is no address, and for `http` to another machine, which would send the credential in the
    /// clear.
    pub(crate) fn set_endpoint(&mut self, endpoint: &str) -> Result<()> {
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

    /// The waits between the tries of one request.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience::new(&*self.clock, &self.policy)
    }

    /// Sends a request until it succeeds, fails for good, or patience ends. Only for what may be said twice.
    pub(crate) async fn repeat(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Bytes>,
    ) -> Result<Response, Failure> {
        let (mut patience, mut unknown) = (self.patience(), false);
        loop {
            let failure = match self.once(method, path, body).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            unknown |= failure.unknown;
            if !patience.again(&failure).await {
                return Err(Failure { unknown, ..failure });
            }
        }
    }

    /// Sends a request once. A body is JSON.
    pub(crate) async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Bytes>,
    ) -> Result<Response, Failure> {
        let request = self.request(method, path, body)?;
        let answer = self.transport.send(request).await.map_err(|error| {
            // Whatever the transport says of it: a broken connection is worth another try.
            let passing = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut);
            let error = if passing { error.retryable(true) } else { error };
            Failure { unknown: true, ..error.into() }
        })?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.failure(method, path, &answer)) }
    }

    fn request(&self, method: &Method, path: &str, body: Option<&Bytes>) -> Result<Request> {
        let unusable = || {
            let message = format!("the token of {} has characters that no token has", self.vendor.name);
            Error::new(&codes::CREDENTIALS, message)
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
            .header(header::USER_AGENT, concat!("cloudron-dns/", env!("CARGO_PKG_VERSION")));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request
            .body(body.cloned().unwrap_or_default())
            .map_err(|e| Error::new(&cloudron_core::codes::USAGE, format!("{}{path}: {e}", self.endpoint)))
    }
}

/// What a provider kept of the snapshot that a batch is based on, if that was of the batch's zone.
pub(crate) fn state<S: Any + Send + Sync>(batch: &Batch<'_>, zone: impl Fn(&S) -> &str) -> Option<Arc<S>> {
    let state = batch.handle?.clone().downcast::<S>().ok()?;
    (zone(&state) == batch.zone.id).then_some(state)
}

/// The body of a request. The types that are sent are texts, numbers and lists, which are always JSON.
pub(crate) fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("texts, numbers and lists are always JSON").into()
}

/// The body of an answer; none when it is not what was expected.
pub(crate) fn parse<T: DeserializeOwned>(answer: &Response) -> Option<T> {
    serde_json::from_slice(answer.body()).ok()
}

/// The error for an answer that is not what was expected.
pub(crate) fn garbled(path: &str) -> Error {
    Error::new(&codes::PROVIDER_DOWN, format!("{path}: the answer is not the JSON that was expected"))
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'@' | b'*' => {
                path.push(char::from(byte));
            }
            byte => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}
