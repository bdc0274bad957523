//! Starting, stopping and checking the server.

mod detached;
mod probe;
mod run_files;
mod systemd;
mod units;

pub use cloudron_api::ServiceStatus;
pub use units::{Unit, units};

pub(crate) use run_files::{Listening, RunFiles, RunLock};
pub(crate) use systemd::{disable, holds_ports, write_units};

use std::io::Read;
use std::time::{Duration, Instant};

use crate::api::install::Supervisor;
use crate::settings::Settings;
use crate::system::files;
use crate::system::owner::{as_owner, other_owner};
use crate::{Error, Layout, Result, codes};

/// Polling interval while a server starts or stops.
const PAUSE: Duration = Duration::from_millis(25);

/// Starts the server and waits up to `limit` until it answers. If it already runs, only waits.
///
/// # Errors
/// `machine-missing`, `start-failed`, `start-timeout`, and the error that the server itself reports, such as
/// `port-in-use` or `database-corrupt`.
pub fn start(layout: &Layout, limit: Duration) -> Result<ServiceStatus> {
    let program = std::env::current_exe().map_err(|e| Error::io("/proc/self/exe", e))?;
    start_program(layout, &program, limit)
}

/// Starts the server like [`start`] with another program, for a detached server only: systemd runs the unit's
/// program.
///
/// # Errors
/// Same as [`start`].
pub fn start_program(layout: &Layout, program: &std::path::Path, limit: Duration) -> Result<ServiceStatus> {
    if let Some(owner) = other_owner(layout)? {
        crate::system::held::give_back(layout, owner)?;
    }
    let settings = as_owner(layout, || Settings::require(layout))?;
    let files = RunFiles::of(layout);
    let found = as_owner(layout, || {
        let found = status_of(layout, &settings, &files)?;
        if found.answer.is_none() {
            files.forget_failure()?;
        }
        Ok(found)
    })?;
    if found.answer.is_some() {
        if settings.supervisor == Supervisor::Systemd {
            systemd::start()?;
        }
        return Ok(found);
    }
    let child = match settings.supervisor {
        Supervisor::Systemd => {
            systemd::start()?;
            None
        }
        Supervisor::Detached if found.running => None,
        Supervisor::Detached => Some(as_owner(layout, || detached::spawn(layout, program))?),
    };
    as_owner(layout, || wait(layout, &settings, &files, child, limit))
}

/// Waits until the server answers. Returns its error if it ends.
fn wait(
    layout: &Layout,
    settings: &Settings,
    files: &RunFiles,
    mut child: Option<std::process::Child>,
    limit: Duration,
) -> Result<ServiceStatus> {
    let begun = Instant::now();
    loop {
        let now = status_of(layout, settings, files)?;
        if now.answer.is_some() {
            return Ok(now);
        }
        if let Some(failure) = files.failure() {
            return Err(failure.while_doing("starting the server"));
        }
        if child.as_mut().is_some_and(|c| matches!(c.try_wait(), Ok(Some(_)))) {
            if files.is_locked() {
                // Another start was faster: wait for its server.
                child = None;
                continue;
            }
            // The reason may have been written between the two checks.
            let failure = files.failure().unwrap_or_else(|| ended(layout));
            return Err(failure.while_doing("starting the server"));
        }
        if begun.elapsed() > limit {
            let why = now.problem.unwrap_or_default();
            let text = format!("the server did not answer within {} s: {why}", limit.as_secs());
            return Err(Error::new(&codes::START_TIMEOUT, text));
        }
        // Polling systemd starts a program each time.
        std::thread::sleep(if child.is_some() { PAUSE } else { 6 * PAUSE });
    }
}

fn ended(layout: &Layout) -> Error {
    let log = log_end(layout).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(5).collect();
    let end = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
    Error::new(&codes::START_FAILED, format!("the server ended before it answered: {end}"))
}

/// Returns the process's own output, if it is short.
fn log_end(layout: &Layout) -> Result<String> {
    let path = detached::output_file(layout);
    let file = files::open_own(&path, std::fs::OpenOptions::new().read(true))?;
    let mut text = Vec::new();
    file.take(64 * 1024).read_to_end(&mut text).map_err(|e| Error::io(&path, e))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Stops the server and waits until it has ended. Does nothing if it does not run.
///
/// # Errors
/// `install-command`, `timed-out`, or `permission` if the process belongs to another user.
pub fn stop(layout: &Layout) -> Result<()> {
    match as_owner(layout, || Settings::load(layout))?.map(|s| s.supervisor) {
        None => Ok(()),
        Some(Supervisor::Systemd) => systemd::stop(),
        Some(Supervisor::Detached) => as_owner(layout, || detached::stop(&RunFiles::of(layout))),
    }
}

/// Returns whether the server runs and answers.
///
/// # Errors
/// `machine-missing`, and file errors.
pub fn status(layout: &Layout) -> Result<ServiceStatus> {
    as_owner(layout, || status_of(layout, &Settings::require(layout)?, &RunFiles::of(layout)))
}

fn status_of(layout: &Layout, settings: &Settings, files: &RunFiles) -> Result<ServiceStatus> {
    let pid = match settings.supervisor {
        Supervisor::Systemd => systemd::main_pid(),
        Supervisor::Detached => files.running()?,
    };
    let listening = files.listening();
    let port = listening.map_or(settings.port(), |l| l.port);
    let (answer, problem) = match pid {
        None => (None, Some("its process does not run".to_owned())),
        Some(_) => match probe::ask(layout, settings, port) {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error.to_string())),
        },
    };
    Ok(ServiceStatus { running: pid.is_some(), pid, port, answer, problem })
}
