//! The folders of the XDG base directory specification.

use std::path::{Path, PathBuf};

use cloudron_core::{Domain, Error, Result, codes};

/// Where this program keeps its files.
#[derive(Debug, Clone)]
pub(crate) struct Dirs {
    state: PathBuf,
    data: PathBuf,
}

impl Dirs {
    /// From `XDG_STATE_HOME` and `XDG_DATA_HOME`, or their defaults below `HOME`.
    pub(crate) fn from_env() -> Result<Self> {
        let base = |name: &str, default: &str| {
            base(name, default).ok_or_else(|| {
                Error::new(&codes::USAGE, "neither HOME nor the XDG folders are set in the environment")
            })
        };
        Ok(Self {
            state: base("XDG_STATE_HOME", ".local/state")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
        })
    }

    /// The records of machines.
    pub(crate) fn machines(&self) -> PathBuf {
        self.state.join("machines")
    }

    /// Where the backups of destroyed machines are.
    pub(crate) fn kept(&self) -> PathBuf {
        self.state.join("kept")
    }

    /// What this computer wrote in zones.
    pub(crate) fn dns(&self) -> PathBuf {
        self.state.join("dns")
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

/// The folder for what makes the next backup fast, and may be lost. None where nothing says where it is.
pub(crate) fn cache_dir() -> Option<PathBuf> {
    base("XDG_CACHE_HOME", ".cache").map(|base| base.join("backup"))
}

/// The folder for the keys for writing into repositories. None where nothing says where it is.
pub(super) fn writers_dir() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state").map(|base| base.join("writers"))
}

/// The program's own folder below one of the specification's, or below its default.
fn base(name: &str, default: &str) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|h| !h.is_empty()).map(|h| PathBuf::from(h).join(default));
    // The specification says that relative paths are to be ignored.
    let given = std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(home).map(|base| base.join("cloudron"))
}

/// Makes a folder and those above it that only this user may enter.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| Error::io(path, e))
}
