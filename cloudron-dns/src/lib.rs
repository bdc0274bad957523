//! DNS automation: describe the desired records of a zone, review the changes, apply exactly those, and wait until
//! every name server has them.
//!
//! ```
//! use cloudron_dns::{Intent, Name, Ownership, PlanOptions, RecordSet, RecordType, Snapshot, Ttl, Zone, plan};
//!
//! let zone = Zone::new("1", Name::parse("example.com")?);
//! let my = RecordSet::parse(Name::parse("my.example.com")?, Ttl::DEFAULT, RecordType::A, ["192.0.2.1"])?;
//! let empty = Snapshot::new(zone, [], true);
//! let plan = plan(&[Intent::Exactly(my)], &empty, &Ownership::none(), &PlanOptions::default());
//! assert_eq!(plan.to_string(), "+ my.example.com. 300 IN A 192.0.2.1\n");
//! # Ok::<(), cloudron_dns::Error>(())
//! ```
//!
//! - [Record sets](RecordSet) are planned and written, never single records.
//! - [`plan()`] is pure. Records that we did not create are [conflicts](Conflict), never overwritten.
//! - [`DnsProvider`] is one small trait. [`memory`] implements it for tests, `digitalocean`, `cloudflare` and `hetzner`
//!   (features of these names) for those hosts, and `wildcard` (feature `wildcard`) for every host without an API.
//!   [`apply()`](apply::apply) writes a plan through any of them.
//! - `rfc2136` (feature `rfc2136`) supports BIND, Knot, PowerDNS and every other server that accepts dynamic updates.
//! - `powerdns` (feature `powerdns`) supports PowerDNS through its HTTP interface.
//! - `propagation` (feature `propagation`) queries every authoritative name server.
//! - `check` (feature `check`) diagnoses a server's records, its mail setup and its addresses.
//! - `conformance` (feature `conformance`) has the checks that every provider must pass.
//! - [`managed`] keeps which records of a zone are ours, so that a run which is cut off at any point can be repeated.
//! - [`zone_file`] reads and writes zone files.
//! - [`machine`] returns the records of a server; [`spf`] merges SPF records and evaluates senders as a receiver does.

pub mod apply;
#[cfg(feature = "check")]
pub mod check;
#[cfg(feature = "cloudflare")]
pub mod cloudflare;
pub mod codes;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod data;
#[cfg(feature = "digitalocean")]
pub mod digitalocean;
#[cfg(feature = "hetzner")]
pub mod hetzner;
#[cfg(feature = "hosts")]
pub mod hosts;
pub mod instructions;
pub mod intent;
pub mod machine;
pub mod managed;
pub mod memory;
pub mod name;
pub mod ownership;
pub mod plan;
#[cfg(feature = "powerdns")]
pub mod powerdns;
#[cfg(feature = "propagation")]
pub mod propagation;
pub mod provider;
pub mod record_set;
pub mod record_type;
pub mod resolve;
// A single provider uses only a part of it.
#[cfg_attr(not(all(feature = "cloudflare", feature = "digitalocean")), allow(dead_code, unused_imports))]
#[cfg(feature = "_rest")]
mod rest;
#[cfg(feature = "rfc2136")]
pub mod rfc2136;
#[cfg(feature = "route53")]
pub mod route53;
pub mod serialized;
pub mod spf;
#[cfg(feature = "wildcard")]
pub mod wildcard;
pub mod zone;
pub mod zone_file;

pub use apply::{Ensured, ZoneChoice, apply, ensure, find_zone, names_to_read, plan_at, plan_for, read_for};
pub use cloudron_core::{Error, Result};
pub use data::{RecordData, Text};
pub use instructions::Instructions;
pub use intent::Intent;
pub use machine::{Addresses, Dkim, MailSettings, machine_records};
pub use name::{Name, OwnerName};
pub use ownership::Ownership;
pub use plan::{Adjustment, Adopt, Change, Conflict, Plan, PlanOptions, Reason, plan};
pub use provider::{
    Applied, ApplyFailure, Atomicity, Batch, Capabilities, DnsProvider, Receipt, Scope, SyncStatus,
};
pub use record_set::{RecordKey, RecordSet};
pub use record_type::{RecordType, Ttl};
pub use zone::{Observed, Snapshot, Visibility, Zone, enclosing_zone};

/// Compiles the example of the package's README as a documentation test.
#[cfg(all(doctest, feature = "propagation"))]
#[doc = include_str!("../README.md")]
struct Readme;
