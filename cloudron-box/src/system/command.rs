//! Running system programs.

use std::process::Command;

use crate::{Error, Result, codes};

/// Runs a system program. Returns its output.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| Error::new(&codes::INSTALL_UNSUPPORTED, format!("{program} could not be run: {e}")))?;
    if !output.status.success() {
        let printed = String::from_utf8_lossy(&output.stderr);
        let text =
            format!("`{program} {}` ended with {}: {}", arguments.join(" "), output.status, printed.trim());
        return Err(Error::new(&codes::INSTALL_COMMAND, text));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
