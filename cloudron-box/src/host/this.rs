//! The machine that the program runs on.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cloudron_core::atomic;

use super::{Host, Output};
use crate::{Error, Result};

/// Maximum size of a file or of a program's output, in bytes. More output is read and dropped.
const LARGEST: usize = 1024 * 1024;

/// The environment of programs: nothing of the server's own but where programs are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The machine that the program runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl Host for ThisHost {
    fn run_within(&self, limit: Duration, program: &str, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).env("LC_ALL", "C.UTF-8").current_dir("/");
        // A group of its own, so that its children are killed with it.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| Error::io(program, e))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            // A program need not read all of its input.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            let (stdout, stderr) = (scope.spawn(|| bounded(stdout)), scope.spawn(|| bounded(stderr)));
            let code = wait(&mut child, limit, program)?;
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
            Ok(Output { code, stdout: text(stdout), stderr: text(stderr) })
        })
    }

    fn read(&self, path: &Path) -> Result<Option<String>> {
        let file = match fs::File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(|e| Error::io(path, e))?,
        };
        let mut bytes = Vec::new();
        file.take(LARGEST as u64).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn names(&self, folder: &Path) -> Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|e| Error::io(folder, e))?,
        };
        let names: std::io::Result<Vec<String>> =
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
        let mut names = names.map_err(|e| Error::io(folder, e))?;
        names.sort();
        Ok(names)
    }

    fn write(&self, path: &Path, mode: u32, content: &str) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        atomic::write(path, mode, content.as_bytes())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<bool> {
        match fs::rename(from, to) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            renamed => renamed.map_err(|e| Error::io(from, e))?,
        }
        to.parent().map_or(Ok(()), atomic::sync_folder)?;
        Ok(true)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        crate::system::files::remove_file(path)
    }

    fn accepts(&self, address: SocketAddr, limit: Duration) -> bool {
        TcpStream::connect_timeout(&address, limit).is_ok()
    }
}

/// Waits for the end of a program, and kills it when its time is over.
fn wait(child: &mut Child, limit: Duration, program: &str) -> Result<i32> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|e| Error::io(program, e))? {
            return Ok(status.code().unwrap_or(-1));
        }
        if started.elapsed() > limit {
            kill_group(child);
            let _ = (child.kill(), child.wait());
            let text = format!("{program} did not end within {} s and was killed", limit.as_secs());
            return Err(Error::new(&cloudron_core::codes::TIMED_OUT, text));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill_group(child: &Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let _ = group.map(|group| rustix::process::kill_process_group(group, rustix::process::Signal::KILL));
}

/// Reads everything, and keeps its beginning.
fn bounded(from: Option<impl Read>) -> Vec<u8> {
    let Some(mut from) = from else { return Vec::new() };
    let (mut kept, mut piece) = (Vec::new(), [0; 8192]);
    while let Ok(n @ 1..) = from.read(&mut piece) {
        let room = LARGEST.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..n.min(room)]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &str) -> Output {
        ThisHost.run_within(Duration::from_secs(10), "sh", &["-c", script], input).unwrap()
    }

    #[test]
    fn a_program_gets_its_input_and_its_output_and_code_come_back() {
        let output = sh("cat; echo trouble >&2; exit 3", "in");
        assert_eq!(output, Output { code: 3, stdout: "in".into(), stderr: "trouble\n".into() });
        assert_eq!(sh("kill -9 $$", "").code, -1);
        // It does not have to read what it is given.
        assert_eq!(sh("exit 0", &"x".repeat(1_000_000)).code, 0);
        let missing = ThisHost.run_within(Duration::from_secs(1), "/no/such/program", &[], "").unwrap_err();
        assert!(missing.is(&cloudron_core::codes::FILE_MISSING));
    }

    #[test]
    fn endless_output_is_bounded_and_an_endless_program_is_killed() {
        assert_eq!(sh("head -c 3000000 /dev/zero", "").stdout.len(), LARGEST);
        let started = Instant::now();
        let late =
            ThisHost.run_within(Duration::from_millis(200), "sh", &["-c", "sleep 60; true"], "").unwrap_err();
        assert!(late.is(&cloudron_core::codes::TIMED_OUT) && started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn files_are_replaced_renamed_and_removed_and_may_be_absent() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = (home.path().join("new/a"), home.path().join("new/b"));
        assert_eq!(ThisHost.read(&a).unwrap(), None);
        assert!(ThisHost.names(&home.path().join("new")).unwrap().is_empty());
        assert!(!ThisHost.rename(&a, &b).unwrap());
        ThisHost.remove(&a).unwrap();
        ThisHost.write(&a, 0o644, "one").unwrap();
        ThisHost.write(&b, 0o644, "two").unwrap();
        assert!(ThisHost.rename(&a, &b).unwrap());
        assert_eq!(ThisHost.read(&b).unwrap().as_deref(), Some("one"));
        assert_eq!(ThisHost.names(&home.path().join("new")).unwrap(), ["b"]);
    }
}
