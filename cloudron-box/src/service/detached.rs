//! A server that runs as a detached process, without a supervisor.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{PAUSE, RunFiles};
use crate::system::files;
use crate::{Error, Layout, Result};

/// Time limit for the server to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the path of the process's own output: output before its log is open, and panics.
pub(super) fn output_file(layout: &Layout) -> PathBuf {
    layout.logs().join("output.log")
}

/// Starts the process in a new session, so that neither a terminal nor a logout ends it.
pub(super) fn spawn(layout: &Layout, program: &Path) -> Result<Child> {
    files::private_folder(&layout.logs())?;
    let path = output_file(layout);
    let output = files::open_own(&path, OpenOptions::new().write(true).create(true).truncate(true))?;
    let errors = output.try_clone().map_err(|e| Error::io(&path, e))?;
    let mut command = Command::new(program);
    // The caller's environment may contain secrets, and the server's environment is readable while it runs.
    command
        .args(layout.serve_arguments())
        .env_clear()
        .envs(cloudron_core::environment::harmless())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    // SAFETY: setsid is async-signal-safe and touches no memory of this process.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(Into::into));
    }
    let child = command.spawn().map_err(|e| Error::io(program, e).while_doing("starting the server"))?;
    // This may fail on a full disk. The server writes it again after it has deleted its reserve.
    let _ = RunFiles::of(layout).remember_process(child.id());
    Ok(child)
}

/// Asks the process to stop, waits, and kills it if it does not.
pub(super) fn stop(run: &RunFiles) -> Result<()> {
    let Some(pid) = run.running()? else { return Ok(()) };
    signal(pid, Signal::TERM)?;
    if !gone(run, PATIENCE)? {
        signal(pid, Signal::KILL)?;
        if !gone(run, PATIENCE)? {
            let text = format!("process {pid} does not end");
            return Err(Error::new(&cloudron_core::codes::TIMED_OUT, text).while_doing("stopping the server"));
        }
    }
    run.forget();
    Ok(())
}

fn gone(run: &RunFiles, limit: Duration) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if run.running()?.is_none() {
            return Ok(true);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(false)
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    match kill_process(process, signal) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(e) => Err(Error::io(format!("process {pid}"), e.into()).while_doing("stopping the server")),
    }
}
