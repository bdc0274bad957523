//! The folders of the XDG base directory specification.

use std::path::PathBuf;

use cloudron_core::{Error, Result, codes};
use cloudron_machine::StateDir;

/// Where this program keeps its files: below `XDG_STATE_HOME` and `XDG_DATA_HOME`, or their defaults below `HOME`.
pub(crate) fn state_dir() -> Result<StateDir> {
    let base = |name: &str, default: &str| {
        base(name, default).ok_or_else(|| {
            Error::new(&codes::USAGE, "neither HOME nor the XDG folders are set in the environment")
        })
    };
    Ok(StateDir::new(base("XDG_STATE_HOME", ".local/state")?, base("XDG_DATA_HOME", ".local/share")?))
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
