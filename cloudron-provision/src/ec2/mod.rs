//! Machines at Amazon's EC2: the provider [`Ec2`], and the client under it, about forty typed actions over any HTTP
//! transport.
//!
//! ```
//! use cloudron_provision::ec2::{Action, RunInstances, encode};
//!
//! let request = RunInstances {
//!     image_id: "ami-1".into(),
//!     instance_type: "t3.small".into(),
//!     client_token: "one".into(),
//!     ..RunInstances::default()
//! };
//! let sent = encode::parameters(&request);
//! assert!(sent.contains(&("MinCount".into(), "1".into())));
//! assert!(RunInstances::REPEATABLE, "it has a token");
//! ```
//!
//! | module | contents |
//! |---|---|
//! | [`client`] | [`Client`]: signs, sends, repeats what may be repeated, reads pages |
//! | [`messages`] | the requests and their answers, one struct each |
//! | [`action`] | what a request has to say of itself: [`Action`], [`Paged`] |
//! | [`faults`], [`failure`] | what AWS's error names mean: [`Meaning`]; a request that failed: [`Failure`] |
//! | [`credentials`], [`service`] | who asks, and where |
//! | [`encode`], [`xml`] | the wire: parameters of a form, bounded XML |
//! | [`lookup`] | the newest image of an owner, the zones that offer an instance type |
//! | [`permissions`], [`policy`] | the IAM permissions that an action needs, and the policy for a set of actions |
//! | [`parameters`] | AWS's public parameters, such as the newest image of a distribution |
//! | `provider`, `settings`, `preflight` | [`Ec2`], the machine to make, and whether it can be made |
//! | `key`, `network`, `gateway`, `group`, `address`, `role`, `machine` | the steps |
//! | `shared`, `kind`, `removal` | whose something is; the kinds of resources, their list and their removal |
//! | `pricing`, `planned` | sizes, and the plan with its calls, permissions and cost |
//!
//! A request that creates something is sent once, unless it carries a client token: after an unknown outcome
//! ([`Failure::unknown`]) the caller looks it up before it asks again.

pub mod action;
mod address;
pub mod client;
pub mod credentials;
pub mod encode;
mod environment;
pub mod failure;
pub mod faults;
mod gateway;
mod group;
mod key;
mod kind;
mod launch;
pub mod lookup;
mod machine;
pub mod messages;
mod network;
mod offer;
pub mod parameters;
pub mod permissions;
mod planned;
pub mod policy;
mod preflight;
mod pricing;
mod provider;
mod removal;
mod role;
pub mod service;
mod settings;
mod shared;
mod sign;
pub mod xml;

pub use action::{Action, Paged};
pub use client::Client;
pub use credentials::Credentials;
pub use failure::Failure;
pub use faults::Meaning;
pub use messages::*;
pub use pricing::policy_for;
pub use provider::Ec2;
pub use role::BucketPlace;
pub use service::{Region, Service};
pub use settings::Settings;
