//! A store's own rules for objects.

use cloudron_core::Result;
use serde::Serialize;

use crate::store::lifecycle::Lifecycle;

/// A fact about a store that the store may not report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// The fact.
    Is(T),
    /// Unknown for this reason: the permission is missing, or the service does not support the request.
    Unknown(String),
}

impl<T> Known<T> {
    /// Returns the fact, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Is(fact) => Some(fact),
            Self::Unknown(_) => None,
        }
    }
}

/// A store's protection of objects against deletion and overwriting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreRules {
    /// True if the store keeps earlier versions of an object.
    pub versioning: Known<bool>,
    /// Object lock, and the default retention of new objects.
    pub object_lock: Known<ObjectLock>,
    /// Rules that delete or move objects by age.
    pub lifecycle: Known<Lifecycle>,
}

impl StoreRules {
    /// Creates the rules from these facts.
    pub fn new(versioning: Known<bool>, object_lock: Known<ObjectLock>, lifecycle: Known<Lifecycle>) -> Self {
        Self { versioning, object_lock, lifecycle }
    }
}

impl Default for StoreRules {
    /// Returns the rules of a store without any automatic action.
    fn default() -> Self {
        Self::new(Known::Is(false), Known::Is(ObjectLock::default()), Known::Is(Lifecycle::default()))
    }
}

/// The object lock configuration of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ObjectLock {
    /// True if object lock is enabled for the bucket.
    pub enabled: bool,
    /// The default retention of a new object, as in `GOVERNANCE 30 days`. `None` if only objects that ask for
    /// it are locked.
    pub default_retention: Option<String>,
}

impl ObjectLock {
    /// Creates an enabled object lock with this default retention.
    pub fn enabled(default_retention: Option<String>) -> Self {
        Self { enabled: true, default_retention }
    }
}

/// The availability of an archived object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thaw {
    /// The object can be read.
    Ready,
    /// The object was requested, and will be readable in minutes to days, depending on its storage class.
    Underway,
}

/// Returns the error of a store without lifecycle rules.
pub(crate) fn no_lifecycle(url: &str) -> Result<()> {
    let text = format!("{url}: this store has no lifecycle rules");
    Err(cloudron_core::Error::new(&crate::codes::STORE_OPTION, text))
}
