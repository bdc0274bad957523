//! The provider `hetzner`: machines at Hetzner Cloud.
//!
//! A machine is made by at most eight calls and polls. Each is safe to repeat: the names of SSH key, firewall and server
//! are unique in a project, so that creating one twice finds the first, and a network is looked up before it is created.
//!
//! | file | contents |
//! |---|---|
//! | `client.rs`, `messages.rs` | requests and answers, and what their errors mean |
//! | `provider.rs` | the provider, its settings, and the cloud without a journal |
//! | `access.rs` | the steps `ssh-key`, `firewall` and `network`, which the creating call refers to |
//! | `server.rs` | the step `machine`, and the marks of a server |
//! | `pricing.rs` | the plan with its cost, by Hetzner's own prices |

mod access;
mod client;
mod messages;
mod pricing;
mod provider;
mod server;

pub use pricing::PERMISSIONS;
pub use provider::{Hetzner, Settings};
