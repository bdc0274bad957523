//! The cloudron server, as a library.
//!
//! [`install`](install::install) installs a server in a place, [`start`](service::start) starts it, and
//! [`serve`] runs it in the started process. The owner administers it on the machine with [`admin`]; clients
//! use the HTTP API, whose messages are in [`api`].
//!
//! ```
//! use cloudron_box::Layout;
//!
//! let layout = Layout::rooted("/home/me/.local/state/cloudron/demo.localhost");
//! assert!(layout.database().ends_with("demo.localhost/cloudron.db"));
//! assert_eq!(Layout::system().data(), std::path::Path::new("/var/lib/cloudron/data"));
//! ```

pub mod admin;
mod api_error;
pub mod codes;
pub mod command;
mod db;
mod failure;
pub mod finding;
pub mod firewall;
mod front;
pub mod hardening;
mod health;
mod helper;
pub mod host;
mod http;
pub mod include;
pub mod install;
mod jobs;
pub mod log;
mod parts;
mod password;
pub mod quirks;
mod repair;
pub mod restore;
mod server;
pub mod service;
mod settings;
mod state;
mod store;
mod system;
#[cfg(test)]
mod tests;
mod time;
mod tls;
mod upkeep;
mod worker;

pub use cloudron_api as api;
pub use cloudron_api::StoreAccess;
pub use cloudron_api::layout;
pub use cloudron_core::{Error, Result};
pub use http::check_owner;
pub use include::Include;
pub use layout::Layout;
pub use repair::{DatabaseRepair, repair_database};
pub use server::{serve, serve_front, serve_helper, serve_with_log, serve_worker};
