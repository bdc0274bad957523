//! Commands as child processes, without a shell.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Cancel, Error, Progress, Result, Unit, atomic, environment};
use tokio::net::TcpStream;

use crate::remote::{Command, Output, Remote, Stream};
use crate::{codes, pump, upload};

/// This machine, as the user who runs this program.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalRemote;

impl LocalRemote {
    /// Returns this machine.
    pub fn new() -> Self {
        Self
    }
}

/// Maximum time for reading output after a command ended: a process that it left behind may keep its pipes open.
const GRACE: Duration = Duration::from_millis(500);

#[async_trait]
impl Remote for LocalRemote {
    fn describe(&self) -> String {
        "this machine".into()
    }

    async fn exec(&self, command: Command) -> Result<Output> {
        let name = command.name();
        let (limit, cancel) = (command.limit, command.cancel.clone());
        let line = command.line();
        pump::traced("local", line, pump::bounded(&name, limit, cancel, run(command))).await
    }

    async fn upload(
        &self,
        local: &Path,
        remote: &str,
        mode: u32,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<()> {
        let (from, to, cancel) = (local.to_path_buf(), PathBuf::from(remote), cancel.clone());
        let name = local.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        tracing::debug!(from = %local.display(), to = remote, "copies a file");
        let task = progress.task(format!("Copying {name}"), Unit::None, None);
        let copying = tokio::task::spawn_blocking(move || copy(&from, &to, mode, &cancel));
        copying.await.map_err(|e| Error::io(local, io::Error::other(e)))??;
        task.finish();
        Ok(())
    }

    async fn forward(&self, port: u16) -> Result<Box<dyn Stream>> {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(e) => Err(Error::new(
                &codes::SSH_REFUSED,
                format!("nothing listens on port {port} of this machine"),
            )
            .with_source(e)),
        }
    }
}

async fn run(command: Command) -> Result<Output> {
    let (program, arguments) =
        command.argv.split_first().ok_or_else(|| Error::new(&codes::PROGRAM_MISSING, "an empty command"))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(environment::harmless())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| not_started(program, e))?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Error::new(&cloudron_core::codes::FAILED, format!("no pipes to `{program}`")));
    };
    let outputs = async { tokio::try_join!(pump::collect(stdout, command.on_stdout), pump::tail(stderr)) };
    let running = async {
        tokio::pin!(outputs);
        let status = tokio::select! {
            read = &mut outputs => {
                let read = read?;
                let status = child.wait().await.map_err(|e| Error::io(program, e))?;
                return Ok((read, status));
            }
            status = child.wait() => status.map_err(|e| Error::io(program, e))?,
        };
        match tokio::time::timeout(GRACE, outputs).await {
            Ok(read) => Ok((read?, status)),
            Err(_) => Err(held_open(program)),
        }
    };
    let ((stdout, stderr), status) = pump::while_feeding(pump::feed(command.stdin, stdin), running).await?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Output::new(code, stdout, stderr))
}

fn held_open(program: &str) -> Error {
    let message = format!("`{program}` ended, and a process that it left behind holds its output open");
    Error::new(&codes::REMOTE_ANSWER, message)
}

fn not_started(program: &str, e: io::Error) -> Error {
    // A folder in PATH that this user may not search turns "not found" into "permission denied".
    let searched = !program.contains('/') && e.kind() == io::ErrorKind::PermissionDenied;
    if searched || e.kind() == io::ErrorKind::NotFound {
        return Error::new(&codes::PROGRAM_MISSING, format!("there is no program `{program}`"))
            .with_source(e);
    }
    Error::io(program, e)
}

/// Copies and syncs a file atomically: the target is complete or does not exist.
fn copy(from: &PathBuf, to: &Path, mode: u32, cancel: &Cancel) -> Result<()> {
    let (hash, _) = upload::hash_file(from)?;
    if to.is_file() && upload::hash_file(&to.to_path_buf())?.0 == hash {
        return std::fs::set_permissions(to, PermissionsExt::from_mode(mode)).map_err(|e| Error::io(to, e));
    }
    cancel.check()?;
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let mut source = File::open(from).map_err(|e| Error::io(from, e))?;
    atomic::write_with(to, mode, |file| io::copy(&mut source, file).map(drop))
}
