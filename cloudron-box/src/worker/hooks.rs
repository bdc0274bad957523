//! The commands that run before and after the backup of an included folder.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::protocol::{HookEnd, Said};
use super::serve::Teller;
use crate::{Error, Result, codes};

/// Maximum size of a command's output in the log, in bytes.
const OUTPUT_LIMIT: usize = 16 * 1024;

/// Runs a shell command for a folder and tells its output.
///
/// It gets a minimal environment with `CLOUDRON_FOLDER`, and its own process group, which is killed when the
/// time limit is exceeded.
///
/// # Errors
/// `hook-failed` if it cannot be started, exits with a code other than 0, or takes too long.
pub(super) async fn run(
    when: &str,
    command: &str,
    folder: &Path,
    limit: Duration,
    teller: &Teller,
) -> Result<()> {
    let failed = |what: String| {
        let text = format!("the command {when} the backup of {} {what}", folder.display());
        Error::new(&codes::HOOK_FAILED, text)
    };
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .current_dir(if folder.is_dir() { folder } else { Path::new("/") })
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .env("CLOUDRON_FOLDER", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    for kept in ["HOME", "USER"] {
        if let Some(value) = std::env::var_os(kept) {
            shell.env(kept, value);
        }
    }
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
    teller.say(Said::Hook(HookEnd {
        folder: folder.display().to_string(),
        when: when.to_owned(),
        status: status.to_string(),
        output: output.trim().to_owned(),
        errors: errors.trim().to_owned(),
    }));
    if status.success() { Ok(()) } else { Err(failed(format!("ended with {status}"))) }
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

    async fn sh(command: &str, folder: &Path) -> Result<()> {
        run("before", command, folder, Duration::from_secs(5), &Teller::deaf()).await
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
    async fn a_failing_command_is_an_error_with_its_status() {
        let home = tempfile::tempdir().unwrap();
        let error = sh("exit 3", home.path()).await.unwrap_err();
        assert!(error.is(&codes::HOOK_FAILED) && error.to_string().contains('3'), "{error}");
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_ended_with_all_it_started() {
        let home = tempfile::tempdir().unwrap();
        let started = std::time::Instant::now();
        let command = "(sleep 30; touch late) & echo $! > child; wait";
        let error = run("before", command, home.path(), Duration::from_millis(300), &Teller::deaf())
            .await
            .unwrap_err();
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
}
