//! What the owner is told.

use crate::Error;
use crate::schedule::Seconds;

/// What is served for the names of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// A certificate that is valid until then.
    Valid(Seconds),
    /// A certificate that was valid until then.
    Expired(Seconds),
    /// None of an authority: what the embedder falls back to.
    Fallback,
}

/// Something that the owner wants to know. Each failure is told once, until it is over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A certificate was obtained and is served.
    Obtained {
        /// Its ID.
        id: &'e str,
        /// Until when it is valid.
        until: Seconds,
        /// True if the owner had been told that it failed.
        recovered: bool,
    },
    /// A certificate cannot be obtained.
    Failing {
        /// Its ID.
        id: &'e str,
        /// The last failure.
        error: &'e Error,
        /// Since when it fails.
        since: Seconds,
        /// What is served meanwhile.
        served: Served,
    },
    /// A certificate was revoked.
    Revoked {
        /// Its ID.
        id: &'e str,
    },
}

/// Takes events.
pub trait Listener: Send + Sync {
    /// Takes one. It must return soon.
    fn happened(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync> Listener for F {
    fn happened(&self, event: &Event<'_>) {
        self(event);
    }
}
