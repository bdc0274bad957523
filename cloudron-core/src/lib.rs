//! Types that the cloudron crates share.
//!
//! ```
//! use cloudron_core::Domain;
//!
//! let domain = Domain::parse("https://my.example.co.uk/login")?;
//! assert_eq!(domain.as_str(), "example.co.uk");
//! assert_eq!(domain.admin_fqdn(), "my.example.co.uk");
//! # Ok::<(), cloudron_core::Error>(())
//! ```
//!
//! This crate has no knowledge of providers or file layouts, and never prints.

pub mod atomic;
pub mod backup_id;
pub mod cancel;
pub mod clock;
pub mod code;
pub mod codes;
pub mod domain;
pub mod environment;
pub mod error;
pub mod escape;
pub mod human;
#[cfg(feature = "memory")]
pub mod memory;
pub mod progress;
pub mod random;
pub mod retry;
pub mod secret;
pub mod secret_ref;
pub mod table;
pub mod traces;
pub mod user_dirs;
pub mod version;

pub use backup_id::BackupId;
pub use cancel::Cancel;
pub use clock::Clock;
#[cfg(feature = "tokio")]
pub use clock::SystemClock;
pub use code::{Code, ErrorKind};
pub use domain::Domain;
pub use error::{Error, Result, ResultExt};
pub use progress::{Event, Progress, Task, TaskId, Unit};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use secret_ref::SecretRef;
pub use version::Version;
