//! Where a computer keeps what it knows of machines.

use std::path::{Path, PathBuf};

use cloudron_core::{Domain, Error, Result, codes, user_dirs};

/// Where a computer keeps what it knows of machines, and local machines themselves.
#[derive(Debug, Clone)]
pub struct StateDir {
    state: PathBuf,
    data: PathBuf,
}

impl StateDir {
    /// What is known of machines goes below `state`, the backups of local machines below `data`: they outlive these.
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

    /// The records of machines.
    pub fn machines(&self) -> PathBuf {
        self.state.join("machines")
    }

    /// Where the backups of destroyed machines are.
    pub fn kept(&self) -> PathBuf {
        self.state.join("kept")
    }

    /// What this computer wrote in zones.
    pub fn dns(&self) -> PathBuf {
        self.state.join("dns")
    }

    /// Journals of runs.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// Everything of a local machine except its backups.
    pub fn local_root(&self, domain: &Domain) -> PathBuf {
        self.state.join("local").join(domain.as_str())
    }

    /// The backups of a local machine, which outlive it.
    pub fn local_store(&self, domain: &Domain) -> PathBuf {
        self.data.join("backups").join(domain.as_str())
    }

    /// A repository that a run has prepared and the server has not got yet.
    pub fn seed(&self, domain: &Domain) -> PathBuf {
        self.state.join("seeds").join(domain.as_str())
    }
}

/// Makes a folder and those above it that only this user may enter.
///
/// # Errors
/// Those of making folders.
pub fn private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io(path, e))
}
