//! Folders included in every backup besides the server's own.

use std::path::PathBuf;

use cloudron_core::table::Table;
use serde::{Deserialize, Serialize};

/// A folder included in every backup, with commands to run before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Include {
    /// The folder: an absolute path.
    pub path: PathBuf,
    /// A shell command that runs before the folder is read, such as one that dumps a database into it. If it
    /// fails, the folder is still backed up, and the job counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A shell command that runs after the backup, whether it succeeded or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Include {
    /// Returns a folder without commands.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), before: None, after: None }
    }

    /// Returns a table of folders.
    pub fn table(includes: &[Self]) -> Table {
        let mut table = Table::new(["Folder", "Before", "After"]);
        let command = |command: &Option<String>| command.clone().unwrap_or_else(|| "-".into());
        for include in includes {
            table.row([
                include.path.display().to_string(),
                command(&include.before),
                command(&include.after),
            ]);
        }
        table
    }
}
