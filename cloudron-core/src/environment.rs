//! What a child process may see of this process's environment.

use std::ffi::OsString;

/// The variables that hold no secret and that programs commonly need.
const HARMLESS: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Those of them that are set, to be given to a child process whose environment was cleared: anything else may
/// be a secret, and the environment of a process can be read for as long as it runs.
pub fn harmless() -> impl Iterator<Item = (&'static str, OsString)> {
    HARMLESS.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
}
