//! What the owner of a machine asks the program on it, besides what is in the other modules: requests by standard
//! input, and answers.

use cloudron_core::Secret;
use serde::{Deserialize, Serialize};

/// Which session ends, or all without an id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EndSessions {
    /// The session's id.
    #[serde(default)]
    pub id: Option<String>,
}

/// The owner's new password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResetPassword {
    /// The password.
    pub password: Secret,
}

/// Whose password was changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PasswordReset {
    /// The owner's e-mail address.
    pub email: String,
}

/// Whether the machine is retired.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Retired {
    /// Whether it is now.
    pub retired: bool,
    /// Whether it was different before.
    pub changed: bool,
}

/// A token for the interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminToken {
    /// The token.
    pub token: Secret,
}

/// Whether the owner's record of the machine was kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RecordKept {
    /// Always.
    pub kept: bool,
}

/// Whether there was a server to remove.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Uninstalled {
    /// False when it was gone already, or never came to be.
    pub uninstalled: bool,
}

/// A change of one object of the machine's backup store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum StoreChange {
    /// Writes it.
    Put {
        /// Its key.
        key: String,
        /// Its content.
        base64: String,
    },
    /// Writes it unless there is one.
    PutNew {
        /// Its key.
        key: String,
        /// Its content.
        base64: String,
    },
    /// Deletes it.
    Delete {
        /// Its key.
        key: String,
    },
}

/// What came of a change.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StoreChanged {
    /// False when there was an object already.
    pub changed: bool,
}

/// The objects of the machine's backup store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreKeys {
    /// Their keys.
    pub keys: Vec<String>,
}
