//! Messages between a cloudron server and the programs that call, install or restore it, as plain types.
//!
//! The messages of the HTTP API (version 1) are at the top level. Commands to the program on a machine, sent
//! over the machine's own connection, are [`BoxCommand`], with requests and answers in [`install`],
//! [`restore`], [`setup`] and [`owner`]. What the parts of a server ask the helper of root is in [`helper`]. [`Layout`] gives the paths of a server's files.
//!
//! All messages are JSON with camel case field names; times are RFC 3339 in UTC. The routes are described in
//! the project's `docs/server-interface.md`.
//!
//! ```
//! let status = r#"{"version": "0.1.0", "activated": false, "provider": "local", "fqdn": "demo.localhost",
//!     "adminFqdn": "my.demo.localhost"}"#;
//! let status: cloudron_api::Status = serde_json::from_str(status)?;
//! assert_eq!(status.admin_fqdn, "my.demo.localhost");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod account;
mod backup;
pub mod codes;
pub mod command;
mod error;
mod events;
pub mod helper;
mod include;
pub mod install;
pub mod layout;
mod machine;
pub mod owner;
mod proxy;
pub mod restore;
mod service;
pub mod setup;

pub use account::{
    ActivateRequest, LoginRequest, PasswordRequest, Session, SessionList, SessionsEnded, TokenAnswer,
};
pub use backup::{
    BackupEntry, BackupPage, DownloadUrl, INCOMPLETE, Job, JobKind, JobState, ProgressReport, StoreObject,
};
pub use command::{BoxCall, BoxCommand};
pub use error::ApiError;
pub use events::{EventEntry, EventPage, EventSource, LogLine};
pub use include::Include;
pub use install::{StoreAccess, StoreCredentials};
pub use layout::Layout;
pub use machine::{AvailableUpdate, BackupSettings, Config, FailedBackup, Health, HealthCheck, Status};
pub use proxy::{ProxyCall, ProxyHost, ProxyRoute};
pub use service::ServiceStatus;
pub use setup::{DatabaseRepair, Description, SetupToken};
