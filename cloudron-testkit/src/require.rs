//! Skipping a test whose tool is missing, and failing it where everything is promised to be there.

use std::path::{Path, PathBuf};

/// The environment variable that turns every skip into a failure when it is `1`; CI sets it.
pub const STRICT: &str = "CLOUDRON_TEST_STRICT";

/// The folders searched after `PATH`: `sshd` and its like are seldom on a user's path.
const SYSTEM_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// The program `name`, from `PATH` or the system folders, or `None` after saying that the test is skipped.
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
/// When the program is missing and [`STRICT`] is `1`.
#[must_use]
#[track_caller]
pub fn tool(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skip(&format!("`{name}` is not installed"));
    }
    found
}

/// All of `names`, in their order, or `None` when one is missing. As [`tool`].
///
/// # Panics
///
/// When one is missing and [`STRICT`] is `1`.
#[must_use]
#[track_caller]
pub fn tools<const N: usize>(names: [&str; N]) -> Option<[PathBuf; N]> {
    let mut found = names.map(|_| PathBuf::new());
    for (slot, name) in found.iter_mut().zip(names) {
        *slot = tool(name)?;
    }
    Some(found)
}

/// Whether `met` holds; says that the test is skipped when it does not.
///
/// # Panics
///
/// When `met` is false and [`STRICT`] is `1`.
#[must_use]
#[track_caller]
pub fn that(met: bool, what_is_missing: &str) -> bool {
    if !met {
        skip(what_is_missing);
    }
    met
}

/// Where `name` is installed, silently.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_absolute() && is_executable(candidate))
}

/// Whether this run promises that nothing is missing.
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

/// The reason to print for a skip, or the message to fail with.
fn verdict(strict: bool, reason: &str) -> Result<String, String> {
    if strict { Err(format!("{reason}, and {STRICT}=1 forbids skipping")) } else { Ok(reason.to_owned()) }
}

/// Straight to the file descriptor: libtest swallows what `eprintln!` says in a test that passes.
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
