//! The keys with which this computer makes backups: one file of mode 0600 for each repository.

use std::path::PathBuf;

use cloudron_backup::WriterKeys;
use cloudron_core::{Error, Result, atomic};

use super::private_dir;
use crate::codes;

/// All of them, in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Writers(PathBuf);

impl Writers {
    /// Those of this user. None where no folder is known for them.
    pub(crate) fn of_this_user() -> Option<Self> {
        super::dirs::writers_dir().map(Self)
    }

    fn path(&self, repository: &str) -> PathBuf {
        self.0.join(format!("{repository}.json"))
    }

    /// The keys for a repository, if they are kept here. Keys of an earlier format, which name no writer, count for
    /// nothing.
    pub(crate) fn find(&self, repository: &str) -> Result<Option<WriterKeys>> {
        let path = self.path(repository);
        match std::fs::read(&path) {
            // The parser's message could quote a secret.
            Ok(content) if is_of_first_format(&content) => Ok(None),
            Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|_| {
                Error::new(&codes::WRITER_KEYS, format!("{} is damaged", path.display()))
                    .with_hint("remove it, and give --backup-key or --writer-keys")
            }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, e)),
        }
    }

    /// Keeps the keys for a repository.
    pub(crate) fn put(&self, repository: &str, keys: &WriterKeys) -> Result<()> {
        private_dir(&self.0)?;
        let path = self.path(repository);
        let text = serde_json::to_vec(keys)
            .map_err(|_| Error::new(&codes::WRITER_KEYS, "the keys cannot be written as JSON"))?;
        atomic::write(&path, 0o600, &text)
    }
}

/// Whether keys are those of a repository of format 1, whose writers have no certificate.
fn is_of_first_format(content: &[u8]) -> bool {
    let value: serde_json::Value = serde_json::from_slice(content).unwrap_or_default();
    value.get("recipient").is_some() && value.get("certificate").is_none()
}
