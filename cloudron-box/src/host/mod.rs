//! The machine whose system is changed: its programs and files.
//!
//! Firewall, hardening and the search for quirks work through [`Host`] alone. [`ThisHost`] is the machine that the
//! program runs on.

pub(crate) mod deadman;
#[cfg(test)]
pub(crate) mod double;
mod this;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use cloudron_core::escape;

use crate::{Error, Result, codes};

pub use this::ThisHost;

/// Characters of a program's output that an error repeats.
const REPEATED: usize = 600;

/// What a program printed, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Its standard output, with invalid UTF-8 replaced.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Returns whether the program succeeded.
    pub fn is_success(&self) -> bool {
        self.code == 0
    }
}

/// A machine's programs and files, as root. Calls block.
pub trait Host: Send + Sync {
    /// Runs a program to its end with `input` on its standard input, for at most `limit`.
    ///
    /// # Errors
    /// `file-missing` if there is no such program; `timed-out`; other errors of running it. A program that fails is no
    /// error here.
    fn run_within(&self, limit: Duration, program: &str, arguments: &[&str], input: &str) -> Result<Output>;

    /// Reads a text file of at most 1 MiB. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// File errors.
    fn read(&self, path: &Path) -> Result<Option<String>>;

    /// Returns the names in a folder, sorted; none if it does not exist.
    ///
    /// # Errors
    /// File errors.
    fn names(&self, folder: &Path) -> Result<Vec<String>>;

    /// Writes a file atomically and durably, and creates its folder if necessary.
    ///
    /// # Errors
    /// File errors; the old file then still exists.
    fn write(&self, path: &Path, mode: u32, content: &str) -> Result<()>;

    /// Renames a file atomically and durably. Returns false if it does not exist.
    ///
    /// # Errors
    /// File errors.
    fn rename(&self, from: &Path, to: &Path) -> Result<bool>;

    /// Removes a file if it exists.
    ///
    /// # Errors
    /// File errors.
    fn remove(&self, path: &Path) -> Result<()>;

    /// Returns whether somebody accepts TCP connections at an address, within a time.
    fn accepts(&self, address: SocketAddr, limit: Duration) -> bool;
}

/// Time limit of programs that answer at once.
const SOON: Duration = Duration::from_secs(30);

/// Runs a program that answers at once, whether it succeeds or not.
pub(crate) fn try_run(host: &dyn Host, program: &str, arguments: &[&str]) -> Result<Output> {
    host.run_within(SOON, program, arguments, "")
}

/// Runs a program that answers at once, and returns its output.
///
/// # Errors
/// `system-command` if it fails.
pub(crate) fn run(host: &dyn Host, program: &str, arguments: &[&str], input: &str) -> Result<String> {
    let output = host.run_within(SOON, program, arguments, input)?;
    if output.is_success() { Ok(output.stdout) } else { Err(failed(program, arguments, &output)) }
}

/// Returns the error for a program that failed.
pub(crate) fn failed(program: &str, arguments: &[&str], output: &Output) -> Error {
    let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
    let first = arguments.first().copied().unwrap_or_default();
    let text = format!("`{program} {first}` ended with code {}: {}", output.code, brief(said));
    Error::new(&codes::SYSTEM_COMMAND, text)
}

/// Returns a program's output as one line of bounded length.
pub(crate) fn brief(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut line: String = lines.join("; ").chars().take(REPEATED).collect();
    if lines.is_empty() {
        line.push_str("it printed nothing");
    }
    escape::line(&line).into_owned()
}

/// Returns whether a systemd unit is active.
pub(crate) fn is_active(host: &dyn Host, unit: &str) -> Result<bool> {
    Ok(try_run(host, "systemctl", &["is-active", "--quiet", unit])?.is_success())
}
