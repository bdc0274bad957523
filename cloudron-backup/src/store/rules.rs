//! What a store does with objects by itself.

use cloudron_core::Result;
use serde::Serialize;

use crate::store::lifecycle::Lifecycle;

/// A fact about a store, which it may not tell to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Known<T> {
    /// It is so.
    Is(T),
    /// The store does not say, for this reason: the permission is missing, or it does not know the question.
    Unknown(String),
}

impl<T> Known<T> {
    /// The fact, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Is(fact) => Some(fact),
            Self::Unknown(_) => None,
        }
    }
}

/// How a store protects objects that are deleted or overwritten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreRules {
    /// Whether it keeps the earlier versions of an object.
    pub versioning: Known<bool>,
    /// Whether it can lock objects, and how long new ones are locked by default.
    pub object_lock: Known<ObjectLock>,
    /// What it deletes or moves by age.
    pub lifecycle: Known<Lifecycle>,
}

impl StoreRules {
    /// These facts.
    pub fn new(versioning: Known<bool>, object_lock: Known<ObjectLock>, lifecycle: Known<Lifecycle>) -> Self {
        Self { versioning, object_lock, lifecycle }
    }
}

impl Default for StoreRules {
    /// Those of a store that does nothing by itself.
    fn default() -> Self {
        Self::new(Known::Is(false), Known::Is(ObjectLock::default()), Known::Is(Lifecycle::default()))
    }
}

/// Whether objects can be locked against deletion.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ObjectLock {
    /// Whether the bucket has it switched on.
    pub enabled: bool,
    /// How long a new object is locked, as in `GOVERNANCE 30 days`. None when only those that ask for it are.
    pub default_retention: Option<String>,
}

impl ObjectLock {
    /// Locking that is switched on, with this default.
    pub fn enabled(default_retention: Option<String>) -> Self {
        Self { enabled: true, default_retention }
    }
}

/// Whether an object can be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thaw {
    /// It can be read.
    Ready,
    /// It was asked for, and can be read in minutes to days, as its class has it.
    Underway,
}

/// The error of a store that has no lifecycle rules to be set.
pub(crate) fn no_lifecycle(url: &str) -> Result<()> {
    let text = format!("{url}: this store has no lifecycle rules");
    Err(cloudron_core::Error::new(&crate::codes::STORE_OPTION, text))
}
