//! Skips a test whose tool is missing, or fails it where all tools must be installed.

use std::path::{Path, PathBuf};

/// The environment variable that turns every skip into a failure when it is `1`; CI sets it.
pub const STRICT: &str = "CLOUDRON_TEST_STRICT";

/// The folders searched after `PATH`: `sshd` and similar programs are usually not in a user's PATH.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// Returns the path of the program `name`, from `PATH` or the system folders. If it is missing, prints that the test is
/// skipped and returns `None`.
///
/// ```
/// use cloudron_testkit::require;
///
/// let Some(sh) = require::tool("sh") else { return };
/// assert!(sh.is_absolute());
/// ```
///
/// # Panics
///
/// If the program is missing and [`STRICT`] is `1`.
#[must_use]
#[track_caller]
pub fn tool(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skip(&format!("`{name}` is not installed"));
    }
    found
}

/// Returns the paths of all `names`, in their order, or `None` if one is missing, like [`tool`].
///
/// # Panics
///
/// If one is missing and [`STRICT`] is `1`.
#[must_use]
#[track_caller]
pub fn tools<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let mut found = names.map(|_| PathBuf::new());
    for (slot, name) in found.iter_mut().zip(names) {
        *slot = tool(name)?;
    }
    Some(found)
}

/// Returns whether `met` holds; prints that the test is skipped if it does not.
///
/// # Panics
///
/// If `met` is false and [`STRICT`] is `1`.
#[must_use]
#[track_caller]
pub fn that(met: bool, what_is_missing: &str) -> bool {
    if !met {
        skip(what_is_missing);
    }
    met
}

/// Returns where `name` is installed, without a message.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_absolute() && is_executable(candidate))
}

/// Returns whether missing tools are failures in this run.
#[must_use]
pub fn strict() -> bool {
    std::env::var_os(STRICT).is_some_and(|value| value == "1")
}

#[track_caller]
fn skip(reason: &str) {
    let place = std::panic::Location::caller();
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    match verdict(strict(), reason) {
        Ok(reason) => say(&format!("skipped: {test} ({}:{}): {reason}", place.file(), place.line())),
        Err(failure) => panic!("{failure}"),
    }
}

/// Returns the reason to print for a skip, or the message of the failure.
fn verdict(strict: bool, reason: &str) -> Result<String, String> {
    if strict { Err(format!("{reason}, and {STRICT}=1 forbids skipping")) } else { Ok(reason.to_owned()) }
}

/// Writes directly to the file descriptor: libtest hides the output of `eprintln!` in a test that passes.
fn say(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_exists_is_found_by_its_absolute_path() {
        assert!(tool("sh").is_some_and(|path| path.is_absolute() && path.ends_with("sh")));
    }

    #[test]
    fn a_missing_tool_is_not_found() {
        assert_eq!(find("no-such-tool-anywhere"), None);
    }

    #[test]
    fn skipping_is_a_failure_only_where_nothing_may_be_missing() {
        assert_eq!(verdict(false, "no sshd"), Ok("no sshd".to_owned()));
        assert!(
            verdict(true, "no sshd")
                .is_err_and(|message| message.starts_with("no sshd, and CLOUDRON_TEST_STRICT=1"))
        );
    }

    #[test]
    fn a_folder_of_that_name_on_the_path_is_not_a_tool() {
        assert_eq!(find(".."), None);
    }
}
