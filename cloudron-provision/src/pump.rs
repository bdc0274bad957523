//! Transfer of a command's input and output, for every kind of machine.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::time::Duration;

use cloudron_core::{Cancel, Error, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWrite, AsyncWriteExt};

use crate::remote::{OnLine, Output, Stdin};

const CHUNK: usize = 256 << 10;
/// Maximum length of a line, in bytes. A longer line is split, so that a stream without line ends does not fill memory.
const LINE_LIMIT: usize = 1 << 20;

/// Writes a command's input, then closes it. A command that stops reading is not an error.
pub(crate) async fn feed(stdin: Stdin, mut to: impl AsyncWrite + Unpin) -> Result<()> {
    let outcome = match stdin {
        Stdin::Empty => Ok(()),
        Stdin::Bytes(bytes) => to.write_all(&bytes).await,
        Stdin::File(path, offset) => {
            let mut file = tokio::fs::File::open(&path).await.map_err(|e| Error::io(&path, e))?;
            file.seek(io::SeekFrom::Start(offset)).await.map_err(|e| Error::io(&path, e))?;
            let mut file = tokio::io::BufReader::with_capacity(CHUNK, file);
            tokio::io::copy_buf(&mut file, &mut to).await.map(|_| ())
        }
        Stdin::Reader(reader) => copy_blocking(reader, &mut to).await?,
    };
    let outcome = match outcome {
        Ok(()) => to.shutdown().await,
        Err(e) => Err(e),
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(e) if matches!(e.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected) => Ok(()),
        Err(e) => Err(Error::io("standard input of the command", e)),
    }
}

/// Copies from a reader that may block. The outer error is the reader's, the inner one the writer's.
async fn copy_blocking(
    mut reader: Box<dyn Read + Send>,
    to: &mut (impl AsyncWrite + Unpin),
) -> Result<io::Result<()>> {
    let (send, mut receive) = tokio::sync::mpsc::channel::<io::Result<Vec<u8>>>(4);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = match reader.read(&mut chunk) {
                Ok(0) => return,
                Ok(n) => Ok(n),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => Err(e),
            };
            let last = read.is_err();
            let message = read.map(|n| {
                chunk.truncate(n);
                chunk
            });
            if send.blocking_send(message).is_err() || last {
                return;
            }
        }
    });
    while let Some(chunk) = receive.recv().await {
        let chunk = chunk.map_err(|e| Error::io("what is sent to the machine", e))?;
        if let Err(e) = to.write_all(&chunk).await {
            return Ok(Err(e));
        }
    }
    Ok(Ok(()))
}

/// Reads standard output to its end: into memory, or line by line to the callback.
pub(crate) async fn collect(mut from: impl AsyncRead + Unpin, on_line: Option<OnLine>) -> Result<Vec<u8>> {
    let mut lines = on_line.map(Lines::new);
    let mut all = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = from.read(&mut chunk).await.map_err(|e| Error::io("standard output of the command", e))?;
        if n == 0 {
            break;
        }
        match &mut lines {
            Some(lines) => lines.push(&chunk[..n]),
            None if all.len() + n > Output::STDOUT_LIMIT => {
                let message = format!("the command printed more than {} MiB", Output::STDOUT_LIMIT >> 20);
                return Err(Error::new(&crate::codes::REMOTE_ANSWER, message));
            }
            None => all.extend_from_slice(&chunk[..n]),
        }
    }
    if let Some(lines) = lines {
        lines.end();
    }
    Ok(all)
}

/// Reads standard error to its end and keeps its tail.
pub(crate) async fn tail(mut from: impl AsyncRead + Unpin) -> Result<Vec<u8>> {
    let mut kept = VecDeque::new();
    let mut chunk = vec![0; 16 << 10];
    loop {
        let n = from.read(&mut chunk).await.map_err(|e| Error::io("standard error of the command", e))?;
        if n == 0 {
            return Ok(kept.into());
        }
        kept.extend(&chunk[..n]);
        let over = kept.len().saturating_sub(Output::STDERR_LIMIT);
        kept.drain(..over);
    }
}

struct Lines {
    callback: OnLine,
    rest: Vec<u8>,
}

impl Lines {
    fn new(callback: OnLine) -> Self {
        Self { callback, rest: Vec::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            self.rest.extend_from_slice(part);
            if part.ends_with(b"\n") || self.rest.len() > LINE_LIMIT {
                self.emit();
            }
        }
    }

    fn emit(&mut self) {
        let line = self.rest.strip_suffix(b"\n").unwrap_or(&self.rest);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (self.callback)(&String::from_utf8_lossy(line));
        self.rest.clear();
    }

    fn end(mut self) {
        if !self.rest.is_empty() {
            self.emit();
        }
    }
}

/// Writes the input of a command while it runs. It ends with the command, even if not all input was read.
pub(crate) async fn while_feeding<T>(
    feeding: impl Future<Output = Result<()>>,
    running: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::pin!(running);
    tokio::select! {
        biased;
        outcome = &mut running => outcome,
        fed = feeding => {
            fed?;
            running.await
        }
    }
}

/// Traces a command: its start, its outcome and its duration.
pub(crate) async fn traced(
    machine: &str,
    line: String,
    work: impl Future<Output = Result<Output>>,
) -> Result<Output> {
    tracing::debug!(machine, command = line, "runs");
    let start = std::time::Instant::now();
    let ended = work.await;
    let ms = start.elapsed().as_millis() as u64;
    match &ended {
        Ok(o) => tracing::debug!(status = o.status, out = o.stdout.len(), err = o.stderr.len(), ms, "ended"),
        Err(error) => tracing::debug!(%error, ms, "broke off"),
    }
    ended
}

/// Runs work until it ends, the time limit passes or it is cancelled.
pub(crate) async fn bounded<T>(
    name: &str,
    limit: Duration,
    cancel: Option<Cancel>,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let cancelled = async {
        match cancel {
            None => std::future::pending().await,
            Some(cancel) => cancel.cancelled().await,
        }
        Error::new(&cloudron_core::codes::INTERRUPTED, "stopped on request")
    };
    tokio::select! {
        biased;
        outcome = work => outcome,
        error = cancelled => Err(error),
        () = tokio::time::sleep(limit) => {
            let message = format!("`{name}` did not end within {} s", limit.as_secs_f64().ceil());
            Err(Error::new(&cloudron_core::codes::TIMED_OUT, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn lines_are_told_whole_however_they_arrive() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let (mut to, from) = tokio::io::duplex(3);
        let reading = tokio::spawn(collect(
            from,
            Some(Box::new(move |l: &str| sink.lock().unwrap().push(l.to_string()))),
        ));
        to.write_all(b"one\r\ntwo\n\nlast").await.unwrap();
        drop(to);
        assert!(reading.await.unwrap().unwrap().is_empty());
        assert_eq!(*seen.lock().unwrap(), ["one", "two", "", "last"]);
    }

    #[tokio::test]
    async fn of_standard_error_the_end_is_kept() {
        let text = vec![b'x'; Output::STDERR_LIMIT];
        let kept = tail(&[&text[..], b"END"].concat()[..]).await.unwrap();
        assert_eq!(kept.len(), Output::STDERR_LIMIT);
        assert!(kept.ends_with(b"xEND"));
    }

    #[tokio::test]
    async fn a_source_that_fails_is_an_error_and_not_an_end() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let error = feed(Stdin::Reader(Box::new(Failing)), tokio::io::sink()).await.unwrap_err();
        assert!(error.to_string().contains("gone"));
    }
}
