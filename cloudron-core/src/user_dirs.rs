//! The folders of this program below those of the XDG base directory specification.
//!
//! Each is `cloudron` below the folder that its variable names, or below the default in `HOME`. There is none where the
//! environment says neither.

use std::path::PathBuf;

/// Returns the folder for what must last and is not worth copying: below `XDG_STATE_HOME`, or `~/.local/state`.
#[must_use]
pub fn state() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

/// Returns the folder for data of the user: below `XDG_DATA_HOME`, or `~/.local/share`.
#[must_use]
pub fn data() -> Option<PathBuf> {
    base("XDG_DATA_HOME", ".local/share")
}

/// Returns the folder for what makes work fast and may be lost: below `XDG_CACHE_HOME`, or `~/.cache`.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    base("XDG_CACHE_HOME", ".cache")
}

fn base(name: &str, default: &str) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|h| !h.is_empty()).map(|h| PathBuf::from(h).join(default));
    // The specification requires that relative paths are ignored.
    let given = std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    given.or_else(home).map(|base| base.join("cloudron"))
}
