//! Folders in which a computer keeps its records of machines.

use std::path::{Path, PathBuf};

use cloudron_core::{Domain, Error, Result, codes, user_dirs};

/// Folders in which a computer keeps its records of machines, and local machines themselves.
#[derive(Debug, Clone)]
pub struct StateDir {
    state: PathBuf,
    data: PathBuf,
}

impl StateDir {
    /// Records of machines go below `state`. Backups of local machines go below `data`, because they outlive
    /// the machines.
    pub fn new(state: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self { state: state.into(), data: data.into() }
    }

    /// The folders of this user, below `XDG_STATE_HOME` and `XDG_DATA_HOME` or their defaults below `HOME`.
    ///
    /// # Errors
    /// `usage` when the environment says neither.
    pub fn of_this_user() -> Result<Self> {
        match (user_dirs::state(), user_dirs::data()) {
            (Some(state), Some(data)) => Ok(Self::new(state, data)),
            _ => {
                let text = "neither HOME nor the XDG folders are set in the environment";
                Err(Error::new(&codes::USAGE, text))
            }
        }
    }

    /// Returns the folder with the records of machines.
    pub fn machines(&self) -> PathBuf {
        self.state.join("machines")
    }

    /// Returns the folder with the records of the backups of destroyed machines.
    pub fn kept(&self) -> PathBuf {
        self.state.join("kept")
    }

    /// Returns the folder with the removals of machines without a record that were begun.
    pub fn removals(&self) -> PathBuf {
        self.state.join("removals")
    }

    /// Returns the folder with the ownership files of zones.
    pub fn dns(&self) -> PathBuf {
        self.state.join("dns")
    }

    /// Returns the folder with the journals of runs.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// Returns the folder of a local machine, without its backups.
    pub fn local_root(&self, domain: &Domain) -> PathBuf {
        self.state.join("local").join(domain.as_str())
    }

    /// Returns the folder with the backups of a local machine, which outlive it.
    pub fn local_store(&self, domain: &Domain) -> PathBuf {
        self.data.join("backups").join(domain.as_str())
    }

    /// Returns the folder of a repository that a run has prepared and not yet sent to the server.
    pub fn seed(&self, domain: &Domain) -> PathBuf {
        self.state.join("seeds").join(domain.as_str())
    }
}

/// Creates a folder and its parents, accessible to this user only.
///
/// # Errors
/// Errors of creating folders.
pub fn private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io(path, e))
}
