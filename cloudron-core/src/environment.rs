//! The environment variables that a child process may see.

use std::ffi::OsString;

/// Variables that programs commonly need and that contain no secrets.
const HARMLESS: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Returns those of these variables that are set, for a child process whose environment was cleared. Any other variable
/// may be a secret, and the environment of a process can be read for as long as the process runs.
pub fn harmless() -> impl Iterator<Item = (&'static str, OsString)> {
    HARMLESS.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}
