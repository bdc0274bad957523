//! Asking the worker.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cloudron_core::{BackupId, Cancel};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::UnixStream;

use super::Worker;
use super::protocol::{Answer, Made, Request, Said, Working};
use super::serve::serve;
use crate::api::{BackupPage, StoreObject};
use crate::parts::stream::{self, Stream, unavailable};
use crate::{Error, Result, codes};

/// Maximum size of an answer's line, in bytes: a page of backups with long names of folders.
const LINE: u64 = 16 * 1024 * 1024;

/// Maximum size of an answer's bytes.
const BYTES: u64 = 8 * 1024 * 1024;

/// Capacity of a connection within the process, in bytes.
const WITHIN: usize = 256 * 1024;

/// The worker, as the interface sees it.
#[derive(Clone)]
pub(crate) enum Client {
    /// A part of this process.
    Here(Arc<Worker>),
    /// Behind a socket.
    Socket(PathBuf),
}

/// A connection whose request was sent.
struct Asked {
    from: BufReader<ReadHalf<Box<dyn Stream>>>,
    to: WriteHalf<Box<dyn Stream>>,
}

impl Client {
    /// Makes a backup, and tells how far it is. When `cancel` is set, the worker is asked to stop; it still runs the
    /// commands that are owed, and then answers.
    ///
    /// # Errors
    /// Those of the backup, and `part-unavailable`.
    pub(crate) async fn back_up(
        &self,
        cancel: &Cancel,
        mut working: impl FnMut(Working),
        mut said: impl FnMut(Said),
    ) -> Result<Made> {
        let Asked { mut from, mut to } = self.ask(&Request::Backup).await?;
        let listening = async {
            loop {
                match next(&mut from).await? {
                    Answer::Working(now) => working(now),
                    Answer::Said(line) => said(line),
                    other => return last(other),
                }
            }
        };
        let stopping = async {
            cancel.cancelled().await;
            let _ = to.shutdown().await;
            std::future::pending().await
        };
        tokio::select! {
            made = listening => made,
            made = stopping => made,
        }
    }

    /// Returns a page of the backups, newest first.
    ///
    /// # Errors
    /// Errors of the repository, and `part-unavailable`.
    pub(crate) async fn list(&self, page: u32, per_page: u32) -> Result<BackupPage> {
        self.value(&Request::List { page, per_page }).await
    }

    /// Returns the ID of a backup, or of the latest.
    ///
    /// # Errors
    /// `backup-unknown`, errors of the repository, and `part-unavailable`.
    pub(crate) async fn find(&self, wanted: &str) -> Result<BackupId> {
        self.value(&Request::Find { wanted: wanted.to_owned() }).await
    }

    /// Compares the store with the keys and the index. Returns a sentence. Ends the comparison when this is dropped.
    ///
    /// # Errors
    /// `store-differs`, errors of the repository, and `part-unavailable`.
    pub(crate) async fn check(&self, newest: Option<BackupId>) -> Result<String> {
        self.value(&Request::Check { newest }).await
    }

    /// Returns the objects whose key starts so.
    ///
    /// # Errors
    /// Errors of the store, and `part-unavailable`.
    pub(crate) async fn objects(&self, prefix: &str) -> Result<Vec<StoreObject>> {
        let mut asked = self.ask(&Request::Objects { prefix: prefix.to_owned() }).await?;
        let mut objects = Vec::new();
        loop {
            match next(&mut asked.from).await? {
                Answer::Objects(some) => objects.extend(some),
                other => return last::<Value>(other).map(|_| objects),
            }
        }
    }

    /// Returns the size of an object.
    ///
    /// # Errors
    /// `object-missing`, errors of the store, and `part-unavailable`.
    pub(crate) async fn size(&self, key: &str) -> Result<u64> {
        self.value(&Request::Size { key: key.to_owned() }).await
    }

    /// Returns a part of an object.
    ///
    /// # Errors
    /// `object-missing`, errors of the store, and `part-unavailable`.
    pub(crate) async fn read(&self, key: &str, part: Range<u64>) -> Result<Bytes> {
        let request = Request::Read { key: key.to_owned(), start: part.start, end: part.end };
        let mut asked = self.ask(&request).await?;
        match next(&mut asked.from).await? {
            Answer::Bytes(size) if size <= BYTES => {
                let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
                asked.from.read_exact(&mut bytes).await.map_err(stream::broken)?;
                last::<Value>(next(&mut asked.from).await?).map(|_| bytes.into())
            }
            other => last::<Value>(other).and_then(|_| Err(unavailable(OTHER))),
        }
    }

    async fn value<T: DeserializeOwned>(&self, request: &Request) -> Result<T> {
        let mut asked = self.ask(request).await?;
        last(next(&mut asked.from).await?)
    }

    async fn ask(&self, request: &Request) -> Result<Asked> {
        let connection: Box<dyn Stream> = match self {
            Self::Here(worker) => {
                let (ours, theirs) = tokio::io::duplex(WITHIN);
                tokio::spawn(serve(worker.clone(), theirs, Cancel::new()));
                Box::new(ours)
            }
            Self::Socket(path) => {
                let failed = |e: std::io::Error| {
                    let text = format!("the backup worker does not answer at {}: {e}", path.display());
                    Error::new(&codes::PART_UNAVAILABLE, text).with_source(e)
                };
                Box::new(UnixStream::connect(path).await.map_err(failed)?)
            }
        };
        let (from, mut to) = tokio::io::split(connection);
        stream::write(&mut to, request).await?;
        Ok(Asked { from: BufReader::new(from), to })
    }
}

async fn next(from: &mut BufReader<ReadHalf<Box<dyn Stream>>>) -> Result<Answer> {
    let answer = stream::read(from, LINE).await?;
    answer.ok_or_else(|| unavailable("the backup worker ended before it had answered"))
}

const OTHER: &str = "the backup worker answered something else than it was asked";

/// Returns the value of a last answer.
fn last<T: DeserializeOwned>(answer: Answer) -> Result<T> {
    let other = |_| unavailable(OTHER);
    match answer {
        Answer::Done(value) => serde_json::from_value(value).map_err(other),
        Answer::Failed(failure) => Err(failure.into_error(&cloudron_core::codes::FAILED)),
        _ => Err(unavailable(OTHER)),
    }
}
