//! Packages of the distribution.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::finding::Finding;
use crate::host::{Host, brief, try_run};

/// Time for a package: a slow mirror, and another installation that is waited for.
const LIMIT: Duration = Duration::from_secs(900);

/// Returns whether a package is installed.
///
/// # Errors
/// Errors of running `dpkg-query`.
pub fn is_installed(host: &dyn Host, package: &str) -> Result<bool> {
    let output = try_run(host, "dpkg-query", &["--show", "--showformat=${db:Status-Status}", package])?;
    Ok(output.is_success() && output.stdout.trim() == "installed")
}

/// Installs a package unless it is there, in a unit of systemd's own, so that it ends well whatever happens to the caller.
/// Returns what somebody should know if it cannot be installed.
///
/// # Errors
/// Errors of running programs, not those of the package manager.
pub fn install(host: &dyn Host, package: &str) -> Result<Option<Finding>> {
    if !has_apt(host)? {
        return Ok(Some(Finding::new(
            "package-manager",
            format!("{package} was not installed: this machine has no apt"),
            "Only Debian, Ubuntu and their relatives are known.",
            format!("Install {package} with the machine's own package manager."),
        )));
    }
    if is_installed(host, package)? {
        return Ok(None);
    }
    // Lists may be old or absent; what they say is tried although an archive does not answer.
    let _ = apt(host, "update", &["update"])?;
    let installed = apt(host, "install", &["install", "--yes", "--no-install-recommends", package])?;
    if installed.is_success() && is_installed(host, package)? {
        return Ok(None);
    }
    let said = if installed.stderr.trim().is_empty() { installed.stdout } else { installed.stderr };
    Ok(Some(Finding::new(
        "package-missing",
        format!("{package} could not be installed: {}", brief(&said)),
        "The package manager failed.",
        format!("Run `apt-get update && apt-get install {package}` on the machine and look at what it says."),
    )))
}

/// Returns whether the machine has apt.
pub(crate) fn has_apt(host: &dyn Host) -> Result<bool> {
    Ok(host.read(Path::new("/var/lib/dpkg/status"))?.is_some())
}

fn apt(host: &dyn Host, what: &str, arguments: &[&str]) -> Result<crate::host::Output> {
    let unit = format!("--unit=cloudron-apt-{what}-{}", cloudron_core::random::token(6));
    let mut all = vec![
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        &unit,
        "--setenv=DEBIAN_FRONTEND=noninteractive",
        "--setenv=NEEDRESTART_MODE=l",
        "/usr/bin/apt-get",
        "--quiet",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Acquire::Retries=3",
        "-o",
        "Dpkg::Options::=--force-confdef",
        "-o",
        "Dpkg::Options::=--force-confold",
    ];
    all.extend(arguments);
    host.run_within(LIMIT, "systemd-run", &all, "")
}
