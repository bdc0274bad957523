//! Folders that every backup holds besides the server's own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A folder that every backup holds, with commands around its backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Include {
    /// The folder: an absolute path.
    pub path: PathBuf,
    /// A shell command that runs before the folder is read, such as one that dumps a database into it. When
    /// it fails the folder is backed up as it is, and the job counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A shell command that runs after the backup, whatever became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Include {
    /// A folder without commands.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), before: None, after: None }
    }
}
