//! The commands that run before and after the backup of an included folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

use cloudron_api::helper::{HookEnd, Moment};

use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// Maximum size of a command's output in the log, in bytes.
const OUTPUT_LIMIT: usize = 16 * 1024;

/// The environment of a command besides `CLOUDRON_FOLDER`.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];

/// Returns the folder that a command runs in.
fn place(folder: &Path) -> &Path {
    if folder.is_dir() { folder } else { Path::new("/") }
}

/// Returns a shell that runs a command as this process's user, with a minimal environment.
pub(super) fn shell(command: &str, folder: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).current_dir(place(folder)).env_clear().envs(ENVIRONMENT);
    shell.env("CLOUDRON_FOLDER", folder);
    for kept in ["HOME", "USER"] {
        if let Some(value) = std::env::var_os(kept) {
            shell.env(kept, value);
        }
    }
    shell
}

/// A unit of its own for a command, so that nothing of the helper's limits holds for it. The command is in a file of
/// root's, because the arguments of programs are visible to every user.
pub(super) struct Unit {
    name: String,
    script: PathBuf,
    folder: PathBuf,
    limit: Duration,
}

impl Unit {
    /// Prepares the unit.
    ///
    /// # Errors
    /// File errors.
    pub(super) fn new(layout: &Layout, command: &str, folder: &Path, limit: Duration) -> Result<Self> {
        let name = format!("cloudron-hook-{}", cloudron_core::random::token(12));
        let script = layout.helper_run().join(&name);
        files::write_private(&script, command.as_bytes())?;
        Ok(Self { name, script, folder: folder.to_owned(), limit })
    }

    /// Returns the program that runs the unit and waits for it.
    pub(super) fn shell(&self) -> Command {
        let mut run = Command::new("systemd-run");
        run.args(["--quiet", "--pipe", "--wait", "--collect", "--service-type=exec"]);
        run.arg(format!("--unit={}", self.name));
        run.arg("--description=Cloudron server: a command for a backup");
        run.arg(format!("--property=RuntimeMaxSec={}", self.limit.as_secs()));
        run.args(["--property=TimeoutStopSec=2", "--property=Slice=system.slice"]);
        let mut path = std::ffi::OsString::from("--working-directory=");
        path.push(place(&self.folder));
        run.arg(path);
        for (name, value) in ENVIRONMENT.into_iter().chain([("HOME", "/root"), ("USER", "root")]) {
            run.arg(format!("--setenv={name}={value}"));
        }
        let mut folder = std::ffi::OsString::from("--setenv=CLOUDRON_FOLDER=");
        folder.push(&self.folder);
        run.arg(folder).args(["--", "/bin/sh"]).arg(&self.script);
        run
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = files::remove_file(&self.script);
        // It has ended by itself, unless nobody waits for it any more.
        let name = format!("{}.service", self.name);
        let stop = std::process::Command::new("systemctl")
            .args(["stop", "--quiet", "--no-block", &name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Err(error) = stop {
            tracing::warn!(%error, unit = name, "A command could not be stopped");
        }
    }
}

/// Runs the command for a folder, and returns how it ended.
///
/// It gets its own process group, which is killed when the time limit is exceeded, or this is dropped.
///
/// # Errors
/// `hook-failed` if it cannot be started or takes too long.
pub(super) async fn run(mut shell: Command, when: Moment, folder: &Path, limit: Duration) -> Result<HookEnd> {
    let failed = |what: String| {
        let text = format!("the command {} the backup of {} {what}", when.as_str(), folder.display());
        Error::new(&codes::HOOK_FAILED, text)
    };
    shell
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = shell.spawn().map_err(|e| failed(format!("could not be started: {e}")))?;
    let group = Group(child.id());
    let output = [Output::collect(child.stdout.take()), Output::collect(child.stderr.take())];
    let Ok(status) = tokio::time::timeout(limit, child.wait()).await else {
        drop(group);
        return Err(failed(format!("did not end within {} s", limit.as_secs())));
    };
    group.leave();
    let status = status.map_err(|e| failed(format!("could not be waited for: {e}")))?;
    let [output, errors] = output;
    let (output, errors) = (output.text().await, errors.text().await);
    Ok(HookEnd {
        success: status.success(),
        status: status.to_string(),
        output: output.trim().to_owned(),
        errors: errors.trim().to_owned(),
    })
}

/// A command's output: read to its end, so that the command does not block, but only the beginning is kept.
struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Output {
    fn collect(stream: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let shared = kept.clone();
        let reading = tokio::spawn(async move {
            let Some(mut stream) = stream else { return };
            let mut part = vec![0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut part).await {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                let room = OUTPUT_LIMIT.saturating_sub(kept.len());
                kept.extend_from_slice(&part[..count.min(room)]);
            }
        });
        Self { kept, reading }
    }

    /// Returns the output. A background process of the command may keep the stream open, so its end is
    /// awaited only for a short time.
    async fn text(self) -> String {
        let abort = self.reading.abort_handle();
        let _ = tokio::time::timeout(Duration::from_secs(1), self.reading).await;
        abort.abort();
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Kills the process group of an abandoned command, also when the server stops.
struct Group(Option<u32>);

impl Group {
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.and_then(|p| i32::try_from(p).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(command: &str, folder: &Path) -> Result<HookEnd> {
        run(shell(command, folder), Moment::Before, folder, Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_command_runs_in_the_folder_without_the_servers_environment() {
        let home = tempfile::tempdir().unwrap();
        sh("pwd > where; env > env; echo noise", home.path()).await.unwrap();
        let where_ = std::fs::read_to_string(home.path().join("where")).unwrap();
        assert_eq!(Path::new(where_.trim()), home.path().canonicalize().unwrap());
        let env = std::fs::read_to_string(home.path().join("env")).unwrap();
        assert!(!env.contains("CARGO") && env.contains("CLOUDRON_FOLDER="), "{env}");
    }

    #[tokio::test]
    async fn a_failing_command_is_told_with_its_status_and_errors() {
        let home = tempfile::tempdir().unwrap();
        let end = sh("echo why >&2; exit 3", home.path()).await.unwrap();
        assert!(!end.success && end.status.contains('3') && end.errors == "why", "{end:?}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_all_it_started() {
        let home = tempfile::tempdir().unwrap();
        let started = std::time::Instant::now();
        let command = "(sleep 30; touch late) & echo $! > child; wait";
        let shell = shell(command, home.path());
        let error = run(shell, Moment::Before, home.path(), Duration::from_millis(300)).await.unwrap_err();
        assert!(error.to_string().contains("did not end") && started.elapsed() < Duration::from_secs(5));
        let child = std::fs::read_to_string(home.path().join("child")).unwrap();
        let alive = || {
            std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).is_ok_and(|s| !s.contains(") Z "))
        };
        for _ in 0..100 {
            if !alive() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the command's child still runs");
    }

    #[tokio::test]
    async fn much_output_does_not_hold_a_command_up() {
        let home = tempfile::tempdir().unwrap();
        sh("head -c 3000000 /dev/zero", home.path()).await.unwrap();
    }

    #[test]
    fn a_command_is_no_argument_of_the_unit_that_runs_it() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::rooted(home.path());
        files::private_folder(&layout.helper_run()).unwrap();
        let folder = Path::new("/srv/50% of $HOME");
        let unit = Unit::new(&layout, "pg_dump canary-password", folder, Duration::from_secs(7)).unwrap();
        let shell = unit.shell();
        let said = format!("{:?}", shell.as_std());
        assert!(!said.contains("canary") && said.contains("RuntimeMaxSec=7"), "{said}");
        assert_eq!(std::fs::read_to_string(&unit.script).unwrap(), "pg_dump canary-password");
        let script = unit.script.clone();
        drop(unit);
        assert!(!script.exists());
    }
}
