//! Further requests of a machine's owner to the program on it, passed on standard input, and the answers.

use cloudron_core::Secret;
use serde::{Deserialize, Serialize};

/// A request to end one session, or all.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EndSessions {
    /// ID of the session. If `None`, all sessions end.
    #[serde(default)]
    pub id: Option<String>,
}

/// The owner's new password.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResetPassword {
    /// The password.
    pub password: Secret,
}

/// The answer to a password reset.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PasswordReset {
    /// The owner's e-mail address.
    pub email: String,
}

/// The answer to retiring or unretiring a machine.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Retired {
    /// True if the machine is now retired.
    pub retired: bool,
    /// True if the command changed this.
    pub changed: bool,
}

/// A token for the HTTP API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AdminToken {
    /// The token.
    pub token: Secret,
}

/// The answer to storing the owner's record of the machine.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RecordKept {
    /// Always true.
    pub kept: bool,
}

/// The answer to removing a server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Uninstalled {
    /// False if there was no server, because it was already removed or never installed.
    pub uninstalled: bool,
}

/// A change of one object of the machine's backup store.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum StoreChange {
    /// Writes the object.
    Put {
        /// The object's key.
        key: String,
        /// The object's content in base64.
        base64: String,
    },
    /// Writes the object unless it exists.
    PutNew {
        /// The object's key.
        key: String,
        /// The object's content in base64.
        base64: String,
    },
    /// Deletes the object.
    Delete {
        /// The object's key.
        key: String,
    },
}

/// The answer to a change of the store.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct StoreChanged {
    /// False if the object existed already.
    pub changed: bool,
}

/// The objects of the machine's backup store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreKeys {
    /// The keys of the objects.
    pub keys: Vec<String>,
}
