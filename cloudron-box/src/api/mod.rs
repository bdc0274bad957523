//! The messages of the server's interface (version 1), shared by the server and its clients.
//!
//! All are JSON with field names in camel case; times are RFC 3339 in UTC. `docs/server-interface.md` of the
//! project describes the routes.

mod account;
mod backup;
mod error;
mod events;
mod machine;

pub use account::{
    ActivateRequest, LoginRequest, PasswordRequest, Session, SessionList, SessionsEnded, TokenAnswer,
};
pub use backup::{BackupEntry, BackupPage, DownloadUrl, Job, JobKind, JobState, ProgressReport, StoreObject};
pub use error::ApiError;
pub use events::{EventEntry, EventPage, EventSource, LogLine};
pub use machine::{AvailableUpdate, BackupSettings, Config, FailedBackup, Health, HealthCheck, Status};
