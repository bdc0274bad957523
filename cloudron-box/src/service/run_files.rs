//! Files of a running server in the folder `run`: its process, its address, and why it could not start.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::system::files;
use crate::{Error, Layout, Result, codes};

/// Time limit for taking the lock.
const PATIENCE: Duration = Duration::from_millis(300);

/// A process, distinguished from a later one with the same ID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    pid: u32,
    /// Start time by the kernel's clock, with the boot ID; empty if unknown.
    began: String,
}

/// The address of the server.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) port: u16,
}

/// The files in the folder `run`.
#[derive(Debug)]
pub(crate) struct RunFiles {
    folder: PathBuf,
}

/// The lock of a running server. The kernel releases it when the process ends, for any reason.
#[derive(Debug)]
pub(crate) struct RunLock {
    _file: File,
}

impl RunFiles {
    pub(crate) fn of(layout: &Layout) -> Self {
        Self { folder: layout.run() }
    }

    /// Takes the lock, which only one server can hold. A concurrent start or check may hold it for a moment,
    /// so this retries for a short time.
    pub(crate) fn lock(&self) -> Result<RunLock> {
        let begun = Instant::now();
        loop {
            match self.try_lock() {
                Err(e) if e.is(&codes::ALREADY_RUNNING) && begun.elapsed() < PATIENCE => {
                    std::thread::sleep(PATIENCE / 20);
                }
                other => return other,
            }
        }
    }

    fn try_lock(&self) -> Result<RunLock> {
        files::private_folder(&self.folder)?;
        let path = self.folder.join("box.lock");
        let file = files::open_own(&path, OpenOptions::new().append(true).create(true))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(RunLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let text = format!("a server with the state in {} runs already", self.folder.display());
                Err(Error::new(&codes::ALREADY_RUNNING, text))
            }
            Err(e) => Err(Error::io(&path, e.into())),
        }
    }

    /// Returns true if a server holds the lock.
    pub(super) fn is_locked(&self) -> bool {
        self.try_lock().is_err_and(|e| e.is(&codes::ALREADY_RUNNING))
    }

    /// Records this process and its address.
    pub(crate) fn remember(&self, listening: Listening) -> Result<()> {
        files::private_folder(&self.folder)?;
        self.forget_failure()?;
        self.write("listen.json", &listening)?;
        self.remember_process(std::process::id())
    }

    pub(super) fn remember_process(&self, pid: u32) -> Result<()> {
        files::private_folder(&self.folder)?;
        self.write("box.pid", &Process { pid, began: began(pid).unwrap_or_default() })
    }

    /// Replaces a file. On a full disk without room for a new file, overwrites the existing one.
    fn write(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let path = self.folder.join(name);
        match files::write_json(&path, value) {
            Err(e) if e.is(&cloudron_core::codes::NO_SPACE) && path.exists() => overwrite(&path, value),
            written => written,
        }
    }

    /// Removes the record of this process.
    pub(crate) fn forget(&self) {
        for name in ["box.pid", "listen.json"] {
            let _ = files::remove_file(&self.folder.join(name));
        }
    }

    /// Returns the recorded process, if it still runs.
    pub(super) fn running(&self) -> Result<Option<u32>> {
        let process = files::read_json::<Process>(&self.folder.join("box.pid"))?;
        Ok(process.filter(still_runs).map(|p| p.pid))
    }

    pub(super) fn listening(&self) -> Option<Listening> {
        files::read_json(&self.folder.join("listen.json")).ok().flatten()
    }

    /// Records why the server could not start, for the caller who started it.
    pub(crate) fn record_failure(&self, error: &Error) {
        let _ = files::private_folder(&self.folder);
        let _ = files::write_json(&self.folder.join("failure.json"), &Failure::from(error));
    }

    pub(super) fn forget_failure(&self) -> Result<()> {
        files::remove_file(&self.folder.join("failure.json"))
    }

    pub(super) fn failure(&self) -> Option<Error> {
        let failure = files::read_json::<Failure>(&self.folder.join("failure.json")).ok().flatten()?;
        Some(failure.into_error(&codes::START_FAILED))
    }
}

/// Overwrites a file's content without allocating space: the rest is filled with spaces, which JSON allows.
fn overwrite(path: &std::path::Path, value: &impl Serialize) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let failed = |e| Error::io(path, e);
    let file = files::open_own(path, OpenOptions::new().write(true))?;
    let size = file.metadata().map_err(failed)?.len();
    let mut text = serde_json::to_vec(value).expect("our types serialize to JSON");
    text.resize(text.len().max(usize::try_from(size).unwrap_or(0)), b' ');
    file.write_all_at(&text, 0).map_err(failed)
}

/// Returns the start of a process: the boot ID, and field 22 of `/proc/<pid>/stat` (proc(5)).
fn began(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // The second field is the program's name in parentheses, and may itself contain spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?;
    // A zombie process does not run.
    (state != "Z").then(|| format!("{} {start}", boot.trim()))
}

fn still_runs(process: &Process) -> bool {
    if process.began.is_empty() {
        let pid = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw);
        return pid.is_some_and(|p| rustix::process::test_kill_process(p).is_ok());
    }
    began(process.pid).as_deref() == Some(process.began.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_files() -> (tempfile::TempDir, RunFiles) {
        let home = tempfile::tempdir().unwrap();
        let files = RunFiles::of(&Layout::rooted(home.path()));
        (home, files)
    }

    #[test]
    fn a_remembered_process_is_ours_while_it_runs() {
        let (_home, files) = run_files();
        assert_eq!(files.running().unwrap(), None);
        files.remember(Listening { port: 4711 }).unwrap();
        assert_eq!(files.running().unwrap(), Some(std::process::id()));
        assert_eq!(files.listening().unwrap().port, 4711);
        files.forget();
        assert_eq!(files.running().unwrap(), None);
    }

    #[test]
    fn a_recycled_process_number_is_not_taken_for_ours() {
        let (_home, files) = run_files();
        files::private_folder(&files.folder).unwrap();
        let other = Process { pid: std::process::id(), began: "another-boot 17".into() };
        files::write_json(&files.folder.join("box.pid"), &other).unwrap();
        assert_eq!(files.running().unwrap(), None);
    }

    #[test]
    fn a_process_that_ended_does_not_run_even_before_it_is_waited_for() {
        let (_home, files) = run_files();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        files.remember_process(child.id()).unwrap();
        assert_eq!(files.running().unwrap(), Some(child.id()));
        child.kill().unwrap();
        while !std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        assert_eq!(files.running().unwrap(), None);
        child.wait().unwrap();
        assert_eq!(files.running().unwrap(), None);
    }

    #[test]
    fn a_file_is_written_over_without_growing() {
        let (home, _) = run_files();
        let path = home.path().join("x");
        std::fs::write(&path, "{\"pid\": 12345678, \"began\": \"long ago\"}\n").unwrap();
        let process = Process { pid: 7, began: "now".into() };
        overwrite(&path, &process).unwrap();
        assert_eq!(files::read_json::<Process>(&path).unwrap(), Some(process));
    }

    #[test]
    fn only_one_server_holds_the_lock() {
        let (_home, files) = run_files();
        let lock = files.lock().unwrap();
        assert!(files.lock().unwrap_err().is(&codes::ALREADY_RUNNING));
        drop(lock);
        files.lock().unwrap();
    }

    #[test]
    fn the_reason_of_a_failed_start_keeps_its_code() {
        let (_home, files) = run_files();
        let taken = Error::new(&codes::PORT_IN_USE, "127.0.0.1:1 is taken").with_hint("free it");
        files.record_failure(&taken.with_detail("port", "1"));
        let failure = files.failure().unwrap();
        assert!(failure.is(&codes::PORT_IN_USE) && failure.hint() == Some("free it"));
        assert_eq!(failure.detail("port"), Some("1"));
        files.forget_failure().unwrap();
        assert!(files.failure().is_none());
    }

    #[test]
    fn a_lock_that_is_a_link_is_not_followed() {
        let (home, files) = run_files();
        files::private_folder(&files.folder).unwrap();
        std::os::unix::fs::symlink(home.path().join("victim"), files.folder.join("box.lock")).unwrap();
        assert!(files.lock().is_err());
        assert!(!home.path().join("victim").exists());
    }
}
