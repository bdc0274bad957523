//! Questions to the user who manages a machine.

use std::fmt;
use std::path::{Path, PathBuf};

use cloudron_core::{Error, Result, Secret};
use cloudron_provision::ssh::HostKeyQuestion;

use crate::codes;

/// Answers questions. The default of every method is the answer for when no user can be prompted.
pub trait Ask: Send + Sync {
    /// Returns true if a user can be prompted.
    fn is_there(&self) -> bool {
        false
    }

    /// Asks a yes or no question.
    ///
    /// # Errors
    /// `needs-answer` if no user can be prompted.
    fn confirm(&self, question: &Question<'_>) -> Result<bool> {
        Err(Error::new(&codes::NEEDS_ANSWER, format!("{question} Nobody can be asked")))
    }

    /// Asks for the backup key of an existing repository.
    ///
    /// # Errors
    /// `needs-answer` if no user can be prompted.
    fn backup_key(&self) -> Result<Secret> {
        Err(Error::new(&codes::NEEDS_ANSWER, "The backup key is needed, and nobody can be asked"))
    }

    /// Asks for the passphrase of an SSH private key.
    fn passphrase(&self, _key: &Path) -> Option<Secret> {
        None
    }

    /// Asks whether the host key of a machine seen for the first time is right. Called only if
    /// [`is_there`](Self::is_there) returns true.
    fn accept_host_key(&self, _question: &HostKeyQuestion) -> bool {
        false
    }

    /// Receives a generated backup key, once. The key is stored nowhere.
    fn backup_key_generated(&self, _key: &Secret) {}
}

/// An [`Ask`] that answers no question.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Ask for Nobody {}

/// A yes or no question. `Display` gives the sentence to show.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Question<'a> {
    /// Asks whether to remove a repository with all its backups.
    RemoveRepository {
        /// Location of the repository.
        place: &'a str,
        /// Contents of the repository, such as `3 backups, latest backup_…`.
        holds: &'a str,
    },
    /// Asks whether these folders of a backup, outside the server's own, are those that the owner had included.
    RestoreFolders(&'a [PathBuf]),
    /// Asks whether to take over DNS records that a machine claims were written for it.
    TakeOver {
        /// The record sets, as a list for display.
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

/// Returns what a person compares before a host key is trusted.
pub fn shown(question: &HostKeyQuestion) -> String {
    format!(
        "{} port {} shows the {} host key\n  {}\nCompare it with what `ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` \
         prints on the server's console.",
        question.host,
        question.port,
        question.key.algorithm(),
        question.key.fingerprint()
    )
}
