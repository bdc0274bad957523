//! Uploads a file through commands on the machine: resumed by size, checked by hash, renamed into place.
//!
//! SFTP is not used, because libssh2 keeps at most 30 kB of it in flight, while a command's input is streamed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudron_core::{Cancel, Error, Progress, Result, ResultExt, RetryPolicy, SystemClock, Task, Unit};
use sha2::{Digest, Sha256};

use crate::{Command, Remote, Stdin, answer, codes};

/// `$1` target, `$2` part, `$3` hash, `$4` mode, `$5` size: prints `same`, or the size of the existing part.
const LOOK: &str = r#"set -eu
if [ -f "$1" ] && [ ! -L "$1" ] && [ "$(wc -c <"$1")" -eq "$5" ] && [ "$(sha256sum <"$1" | cut -c1-64)" = "$3" ]; then
  chmod "$4" "$1"; rm -f "$2"; echo same; exit 0
fi
mkdir -p "$(dirname "$1")"
if [ -f "$2" ]; then wc -c <"$2"; else echo 0; fi"#;

/// `$1` part, `$2` its size: appends standard input. Fails if an earlier transfer is still writing.
const APPEND: &str = r#"set -eu
umask 077
if [ "$2" -eq 0 ]; then : >"$1"; fi
[ "$(wc -c <"$1")" -eq "$2" ] || exit 75
exec cat >>"$1""#;

/// `$1` target, `$2` part, `$3` hash, `$4` mode: verifies and renames. Exit status 65 means that the hash differs.
const FINISH: &str = r#"set -eu
if [ "$(sha256sum <"$2" | cut -c1-64)" != "$3" ]; then rm -f "$2"; exit 65; fi
chmod "$4" "$2"
sync -d "$2" 2>/dev/null || sync
mv -f "$2" "$1""#;

struct Transfer<'a> {
    local: &'a Path,
    target: &'a str,
    part: String,
    hash: String,
    mode: String,
    size: u64,
    cancel: &'a Cancel,
    meter: Meter,
}

/// The progress of a transfer, which counts each byte once even if it is sent repeatedly. Clones share it.
#[derive(Clone)]
struct Meter(Arc<Mutex<Option<(Task, u64)>>>);

impl Meter {
    fn new(task: Task) -> Self {
        Self(Arc::new(Mutex::new(Some((task, 0)))))
    }

    fn at(&self, position: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((task, told)) = inner.as_mut().filter(|(_, told)| position > *told) {
            task.advance(position - *told);
            *told = position;
        }
    }

    /// Ends the transfer as succeeded. A reader that is still running is no longer counted.
    fn finish(&self) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((task, _)) = inner {
            task.finish();
        }
    }
}

/// Uploads through [`Remote::exec`]: the default of [`Remote::upload`]. If the connection breaks, the remote reconnects
/// and the rest is sent.
///
/// # Errors
/// As [`Remote::upload`].
pub async fn by_exec<R: Remote + ?Sized>(
    remote: &R,
    local: &Path,
    target: &str,
    mode: u32,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<()> {
    let path = local.to_path_buf();
    let hashing = tokio::task::spawn_blocking(move || hash_file(&path));
    let (hash, size) = hashing.await.map_err(|e| Error::io(local, io::Error::other(e)))??;
    let name = local.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let meter = Meter::new(progress.task(format!("Uploading {name}"), Unit::Bytes, Some(size)));
    let transfer = Transfer {
        local,
        target,
        part: part_of(target, &hash),
        hash,
        mode: format!("{mode:o}"),
        size,
        cancel,
        meter,
    };
    let policy = RetryPolicy::attempts(8).within(Duration::from_secs(300));
    let doing = || format!("uploading {name} to {}", remote.describe());
    policy.run(&SystemClock, || transfer.attempt(remote)).await.doing(doing)?;
    transfer.meter.at(size);
    transfer.meter.finish();
    Ok(())
}

/// Returns the path of the partial file. It is next to the target, so that the rename is atomic, and named by the
/// content, so that the rest of another file is never appended.
fn part_of(target: &str, hash: &str) -> String {
    let folder = target.rsplit_once('/').map_or(".", |(folder, _)| folder);
    format!("{folder}/.{hash}.part")
}

impl Transfer<'_> {
    async fn attempt<R: Remote + ?Sized>(&self, remote: &R) -> Result<()> {
        let name = "upload";
        let look =
            Command::sh(LOOK, [self.target, &self.part, &self.hash, &self.mode, &self.size.to_string()]);
        let found = answer::check(name, remote.exec(look.as_root().cancelled_by(self.cancel)).await?)?.text();
        if found == "same" {
            return Ok(());
        }
        let there: u64 = found.parse().map_err(|_| {
            Error::new(&codes::REMOTE_ANSWER, format!("the size of {} is not a number: {found:?}", self.part))
        })?;
        let offset = if there > self.size { 0 } else { there };
        tracing::info!(file = %self.local.display(), to = self.target, size = self.size, offset, "uploads");
        if offset < self.size || self.size == 0 {
            self.send(remote, offset).await?;
        }
        let finish = Command::sh(FINISH, [self.target, &self.part, &self.hash, &self.mode]);
        let finish = finish.as_root().within(Duration::from_secs(300)).cancelled_by(self.cancel);
        let output = remote.exec(finish).await?;
        if output.status == 65 {
            let message = format!("{} arrived with another hash", self.target);
            // A retry is useful only if an earlier part was continued: that part may have been bad.
            return Err(Error::new(&codes::UPLOAD_MISMATCH, message).retryable(offset > 0));
        }
        answer::check(name, output)?;
        Ok(())
    }

    async fn send<R: Remote + ?Sized>(&self, remote: &R, offset: u64) -> Result<()> {
        let source = Source::open(self.local, offset, self)?;
        // At least 16 kB/s; a dead connection is detected much earlier.
        let limit = Duration::from_secs(600 + (self.size - offset) / 16_000);
        let append = Command::sh(APPEND, [self.part.as_str(), &offset.to_string()])
            .as_root()
            .within(limit)
            .stdin(Stdin::Reader(Box::new(source)))
            .cancelled_by(self.cancel);
        let output = remote.exec(append).await?;
        if output.status == 75 {
            let message = format!("an earlier transfer is still writing {}", self.part);
            return Err(Error::new(&codes::SSH_LOST, message).retryable(true));
        }
        answer::check("cat", output)?;
        Ok(())
    }
}

/// Reads the file from an offset and reports the progress.
struct Source {
    file: File,
    position: u64,
    meter: Meter,
}

impl Source {
    fn open(path: &Path, offset: u64, transfer: &Transfer<'_>) -> Result<Self> {
        let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
        file.seek(SeekFrom::Start(offset)).map_err(|e| Error::io(path, e))?;
        transfer.meter.at(offset);
        Ok(Self { file, position: offset, meter: transfer.meter.clone() })
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.position += n as u64;
        self.meter.at(self.position);
        Ok(n)
    }
}

/// Returns a file's SHA-256 in hexadecimal digits, and its size in bytes.
pub(crate) fn hash_file(path: &PathBuf) -> Result<(String, u64)> {
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut hash = Sha256::new();
    let size = io::copy(&mut file, &mut hash).map_err(|e| Error::io(path, e))?;
    Ok((hex::encode(hash.finalize()), size))
}
