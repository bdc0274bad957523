//! The folders of the XDG base directory specification.

use std::path::{Path, PathBuf};

use cloudron_core::{Domain, Error, Result, codes};

/// Where this program keeps its files.
#[derive(Debug, Clone)]
pub(crate) struct Dirs {
    state: PathBuf,
    data: PathBuf,
    cache: PathBuf,
}

impl Dirs {
    /// From `XDG_STATE_HOME`, `XDG_DATA_HOME` and `XDG_CACHE_HOME`, or their defaults below `HOME`.
    pub(crate) fn from_env() -> Result<Self> {
        let home = || {
            std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from).ok_or_else(|| {
                Error::new(&codes::USAGE, "neither HOME nor the XDG folders are set in the environment")
            })
        };
        let base = |name: &str, default: &str| match std::env::var_os(name).map(PathBuf::from) {
            // The specification says that relative paths are to be ignored.
            Some(path) if path.is_absolute() => Ok(path.join("cloudron")),
            _ => home().map(|h| h.join(default).join("cloudron")),
        };
        Ok(Self {
            state: base("XDG_STATE_HOME", ".local/state")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            cache: base("XDG_CACHE_HOME", ".cache")?,
        })
    }

    /// The records of machines.
    pub(crate) fn machines(&self) -> PathBuf {
        self.state.join("machines")
    }

    /// The keys for writing into repositories.
    pub(crate) fn writers(&self) -> PathBuf {
        self.state.join("writers")
    }

    /// What this computer wrote in zones.
    pub(crate) fn dns(&self) -> PathBuf {
        self.state.join("dns")
    }

    /// What makes the next backup fast, and may be lost.
    pub(crate) fn cache(&self) -> PathBuf {
        self.cache.join("backup")
    }

    /// Journals of runs.
    pub(crate) fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// Everything of a local machine except its backups.
    pub(crate) fn local_root(&self, domain: &Domain) -> PathBuf {
        self.state.join("local").join(domain.as_str())
    }

    /// The backups of a local machine, which outlive it.
    pub(crate) fn local_store(&self, domain: &Domain) -> PathBuf {
        self.data.join("backups").join(domain.as_str())
    }

    /// A repository that a run has prepared and the server has not got yet.
    pub(crate) fn seed(&self, domain: &Domain) -> PathBuf {
        self.state.join("seeds").join(domain.as_str())
    }
}

/// Makes a folder and those above it that only this user may enter.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io(path, e))
}
