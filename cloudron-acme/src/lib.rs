//! Certificates by ACME (RFC 8555) that stay valid.
//!
//! A program says which certificates it wants and calls [`Certificates::pass`] now and then, or lets
//! [`Certificates::run`] do so. Certificates are obtained, renewed when their authority suggests it (RFC 9773), replaced
//! and revoked; what is served is always either the old certificate or a new one that was checked.
//!
//! - [`schedule`] decides what is done when. It is pure: a clock and a state go in, an action comes out.
//! - [`HttpChallenges`], `DnsChallenges` (feature `dns`) and [`PersistentRecords`] prove the control of names.
//! - [`Resolver`] serves the certificates in rustls, by the name that a client asks for.
//! - Everything is kept in one folder, which is meant to be part of a backup: after a restore, the same account and the same
//!   certificates are used, and nothing is asked for that is there already.
//!
//! ```no_run
//! use std::sync::Arc;
//! use cloudron_acme::{Authority, Certificates, Challenge, HttpChallenges, Options, Resolver, Wanted};
//! # async fn example(
//! #     transport: Arc<dyn cloudron_http::HttpTransport>,
//! #     clock: Arc<dyn cloudron_core::Clock>,
//! # ) -> Result<(), cloudron_acme::Error> {
//! let challenges = HttpChallenges::new(); // port 80 answers with `challenges.answer(path)`
//! let resolver = Resolver::new(None); // for `ServerConfig::with_cert_resolver`
//! let options = Options::new("/var/lib/acme", Authority::lets_encrypt(), transport, clock)
//!     .solving(challenges.clone())
//!     .serving(resolver.clone());
//! let certificates = Certificates::open(options)?;
//! certificates.want([Wanted::new(["my.example.com"], Challenge::Http01)?])?;
//! let next = certificates.pass().await;
//! # let _ = next;
//! # Ok(())
//! # }
//! ```

mod account;
mod authority;
pub mod backoff;
mod certificates;
mod chain;
mod challenge;
pub mod codes;
mod events;
mod failure;
mod http;
pub mod limits;
mod names;
mod order;
mod pass;
mod prove;
mod resolver;
pub mod schedule;
pub mod state;
mod status;
mod store;

pub use authority::{Authority, Options};
pub use certificates::Certificates;
pub use chain::Certificate;
#[cfg(feature = "dns")]
pub use challenge::DnsChallenges;
pub use challenge::{HttpChallenges, PersistentRecords, Proof, Solver, WELL_KNOWN, persistent_record};
pub use cloudron_core::{Error, Result};
pub use events::{Event, Listener, Served};
pub use names::{Challenge, MOST_NAMES, Subject, Wanted};
pub use resolver::Resolver;
pub use status::{Reason, Status};

/// Compiles the example of the package's README as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
