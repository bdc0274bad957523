//! Code that the providers with a REST interface share, beyond [`cloudron_http::rest`].

/// Implements the setters of a provider with a REST interface, and a `Debug` that shows its endpoint but nothing of the
/// credential. The provider must make its requests through `client.rest`.
macro_rules! choices {
    ($provider:ident) => {
        impl $provider {
            /// Sets the clock.
            pub fn with_clock(mut self, clock: std::sync::Arc<dyn cloudron_core::Clock>) -> Self {
                self.client.rest.clock = clock;
                self
            }

            /// Sets the retry policy of each request.
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

mod records;

use std::any::Any;
use std::sync::Arc;

use cloudron_core::{Secret, SystemClock};
use cloudron_http::HttpTransport;
use cloudron_http::rest::{self, Codes};
pub(crate) use cloudron_http::rest::{Failure, Page, Rest, Said, Vendor, json, parse, segment};

pub(crate) use self::records::{Paired, grouped, pair, refusal};
use crate::{Applied, ApplyFailure, Batch, Error, codes};

/// Who asks.
pub(crate) const AGENT: &str = concat!("cloudron-dns/", env!("CARGO_PKG_VERSION"));

/// The codes of every DNS host's errors.
pub(crate) static CODES: Codes = Codes {
    credentials: &codes::CREDENTIALS,
    not_found: &codes::ZONE_NOT_FOUND,
    rate_limited: &codes::RATE_LIMITED,
    down: &codes::PROVIDER_DOWN,
    refused: &codes::REFUSED,
};

/// Requests to a DNS host, by the system's clock.
pub(crate) fn requests(
    vendor: &'static Vendor,
    credential: Secret,
    transport: Arc<dyn HttpTransport>,
) -> Rest {
    Rest::new(vendor, credential, transport, Arc::new(SystemClock))
}

/// The error for an answer that is not what was expected.
pub(crate) fn garbled(path: &str) -> Error {
    rest::garbled(&CODES, path)
}

/// As far as one request goes.
impl From<Failure> for ApplyFailure {
    fn from(failure: Failure) -> Self {
        let applied = if failure.unknown { Applied::Unknown } else { Applied::Nothing };
        Self { error: failure.error, applied }
    }
}

/// Returns the provider's data about the snapshot that a batch is based on, if that is a snapshot of the batch's zone.
pub(crate) fn state<S: Any + Send + Sync>(batch: &Batch<'_>, zone: impl Fn(&S) -> &str) -> Option<Arc<S>> {
    let state = batch.handle?.clone().downcast::<S>().ok()?;
    (zone(&state) == batch.zone.id).then_some(state)
}
