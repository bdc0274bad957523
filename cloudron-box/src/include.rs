//! Folders that every backup holds besides the server's own.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Layout, Result, codes};

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

    /// The same include with its path in the one form that is stored: no final slash, no `.`.
    ///
    /// # Errors
    /// `include-invalid` when the path is not absolute, holds `..`, is the root, overlaps the server's own
    /// folders or its store, or when a command is empty or longer than 4096 characters.
    pub fn checked(mut self, layout: &Layout, store: Option<&Path>) -> Result<Self> {
        let shown = self.path.display().to_string();
        let invalid =
            |why: &str| Error::new(&codes::INCLUDE_INVALID, format!("{shown} cannot be included: {why}"));
        if !self.path.is_absolute() {
            return Err(invalid("the path is not absolute"));
        }
        if self.path.components().any(|c| c == Component::ParentDir) {
            return Err(invalid("the path holds `..`"));
        }
        if self.path.to_str().is_none_or(|t| t.chars().any(char::is_control)) {
            return Err(invalid("the path is not plain text"));
        }
        self.path = self.path.components().collect();
        if self.path.parent().is_none() {
            return Err(invalid("it is the whole file system; include the folders that matter"));
        }
        for own in [Some(layout.state()), store].into_iter().flatten() {
            if overlap(&self.path, own) {
                return Err(invalid(&format!("it overlaps the server's own folder {}", own.display())));
            }
        }
        for command in [&self.before, &self.after].into_iter().flatten() {
            if command.trim().is_empty() || command.len() > 4096 || command.contains('\0') {
                return Err(invalid("a command is empty or longer than 4096 characters"));
            }
        }
        Ok(self)
    }

    /// Whether one of the two folders lies in the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.path, &other.path)
    }
}

fn overlap(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
