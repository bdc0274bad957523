//! The messages between a cloudron server and the programs that talk to it, install it or restore it: plain types.
//!
//! Those of the interface (version 1) are at the top. What the program on a machine is asked through the machine's own
//! connection is a [`BoxCommand`], with requests and answers in [`install`], [`restore`], [`setup`] and [`owner`];
//! [`Layout`] says where a server keeps its files.
//!
//! All messages are JSON with field names in camel case; times are RFC 3339 in UTC. `docs/server-interface.md` of the
//! project describes the routes.
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
mod include;
pub mod install;
pub mod layout;
mod machine;
pub mod owner;
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
pub use install::StoreAccess;
pub use layout::Layout;
pub use machine::{AvailableUpdate, BackupSettings, Config, FailedBackup, Health, HealthCheck, Status};
pub use service::ServiceStatus;
pub use setup::{DatabaseRepair, Description, SetupToken};
