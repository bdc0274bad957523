//! The keys that a computer keeps for the repositories that it writes to.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use cloudron_core::{Error, Result, atomic, user_dirs};

use super::WriterKeys;
use crate::codes;

/// The keys with which this computer makes backups, in one folder: a file of mode 0600 for each repository.
#[derive(Debug, Clone)]
pub struct KeptWriterKeys(PathBuf);

impl KeptWriterKeys {
    /// Those in a folder, which is made when the first keys are put there.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Those of this user. None where the environment does not say where that would be.
    pub fn of_this_user() -> Option<Self> {
        user_dirs::state().map(|folder| Self(folder.join("writers")))
    }

    fn path(&self, repository: &str) -> PathBuf {
        self.0.join(format!("{repository}.json"))
    }

    /// Returns the keys for a repository, if they are kept here. Keys of an earlier format, which name no writer, count for
    /// nothing.
    ///
    /// # Errors
    /// `writer-keys` for a file that is damaged, and those of files.
    pub fn find(&self, repository: &str) -> Result<Option<WriterKeys>> {
        let path = self.path(repository);
        match std::fs::read(&path) {
            Ok(content) if is_of_first_format(&content) => Ok(None),
            // The parser's message could quote a secret.
            Ok(content) => serde_json::from_slice(&content)
                .map(Some)
                .map_err(|_| Error::new(&codes::WRITER_KEYS, format!("{} is damaged", path.display()))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, e)),
        }
    }

    /// Keeps the keys for a repository.
    ///
    /// # Errors
    /// Those of files.
    pub fn put(&self, repository: &str, keys: &WriterKeys) -> Result<()> {
        let mut folder = std::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700).create(&self.0).map_err(|e| Error::io(&self.0, e))?;
        let path = self.path(repository);
        atomic::write(&path, 0o600, &keys.to_json()?)
    }
}

/// Returns true if the keys are for a repository of format 1, whose writers have no certificate.
fn is_of_first_format(content: &[u8]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
    value.get("recipient").is_some() && value.get("certificate").is_none()
}
