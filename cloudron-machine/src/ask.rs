//! Questions that only the owner of a machine can answer.

use std::fmt;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, Secret};
use cloudron_provision::ssh::HostKeyQuestion;

use crate::codes;

/// Who answers questions. Every method has an answer for when nobody is there.
pub trait Ask: Send + Sync {
    /// Whether a person is there to answer.
    fn is_there(&self) -> bool {
        false
    }

    /// Asks a yes or no question.
    ///
    /// # Errors
    /// `needs-answer` when nobody can be asked.
    fn confirm(&self, question: &Question<'_>) -> Result<bool> {
        Err(Error::new(&codes::NEEDS_ANSWER, format!("{question} Nobody can be asked")))
    }

    /// Asks for the backup key of a repository that exists.
    ///
    /// # Errors
    /// `needs-answer` when nobody can be asked.
    fn backup_key(&self) -> Result<Secret> {
        Err(Error::new(&codes::NEEDS_ANSWER, "The backup key is needed, and nobody can be asked"))
    }

    /// Asks for the passphrase of a key for SSH.
    fn passphrase(&self, _key: &Path) -> Option<Secret> {
        None
    }

    /// Asks whether a machine that is seen for the first time shows the right host key. Called only when
    /// [`is_there`](Self::is_there).
    fn accept_host_key(&self, _question: &HostKeyQuestion) -> bool {
        false
    }

    /// Is told a backup key that was generated, once: it is written nowhere.
    fn backup_key_generated(&self, _key: &Secret) {}
}

/// Nobody answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Ask for Nobody {}

/// A yes or no question. Its text is a sentence for people.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Question<'a> {
    /// Whether a repository is removed with all its backups.
    RemoveRepository {
        /// Where it is.
        place: &'a str,
        /// What it holds.
        holds: &'a str,
    },
    /// Whether these folders of a backup, beyond the server's own, are those that the owner had included.
    RestoreFolders(&'a [PathBuf]),
    /// Whether records are taken over that a machine says were written for it.
    TakeOver {
        /// The records.
        records: &'a str,
        /// The DNS host.
        host: &'a str,
    },
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveRepository { place, holds } => {
                write!(f, "Remove the repository {place} with ALL ITS BACKUPS ({holds})?")
            }
            Self::RestoreFolders(_) => f.write_str("Are these the folders that you had included?"),
            Self::TakeOver { records, host } => write!(
                f,
                "The machine says that the DNS records {records} at {host} were written for it. Take them over, so that \
                 they are removed with it?"
            ),
        }
    }
}
