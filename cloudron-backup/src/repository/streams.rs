//! Streams into and out of a repository: backup of a stream, import of an old backup, export as one file.

use std::io::{Read, Write};
use std::path::Path;

use cloudron_core::{BackupId, Cancel, Progress, Result, ResultExt};

use super::Repository;
use crate::backup::source::{Feed, StreamFeed};
use crate::backup::{BackupRequest, BackupRun};
use crate::export::{ExportFormat, ExportReport};
use crate::format::summary::Summary;
use crate::import::ImportRequest;
use crate::keys::{Identity, WriterKeys};

impl Repository {
    /// Makes a backup of one stream, such as a database dump, as one file of mode 0600 at the path
    /// `/stdin/<name>`. The stream may have any length; memory use is bounded, and it is cut into chunks like
    /// any file.
    ///
    /// `sources`, `excludes` and related fields of the request do not apply; leave `sources` empty.
    ///
    /// The stream ends at the end of `reader`. If the reader returns an error, no backup is made: this is how
    /// a producer reports failure. The reader has its own thread, which stays blocked in a read that never
    /// returns; the backup itself can be cancelled at any time.
    ///
    /// # Errors
    /// `stream-failed` with the reader's error; `source-invalid` for a name that is not a plain file name, or
    /// for a request with sources; as [`backup`](Self::backup).
    pub async fn backup_stream(
        &self,
        keys: &WriterKeys,
        request: BackupRequest,
        name: &str,
        reader: impl Read + Send + 'static,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Summary> {
        let doing = format!("making the backup {}", request.id);
        let feed = StreamFeed::new(name, reader).doing(|| doing.clone())?;
        self.backup_fed(keys, request, Box::new(feed), progress, cancel).await.doing(|| doing)
    }

    /// Imports a backup of the original Cloudron: a `.tar.gz`, optionally encrypted by OpenSSL, or a plain
    /// tar. It is read as a stream; nothing of it is written to disk.
    ///
    /// # Errors
    /// `old-backup-key` when it needs a backup key, or another one; `old-backup-corrupt` when it is damaged
    /// or truncated, or has names that lead out of its tree; `stream-failed` with the reader's error; as
    /// [`backup`](Self::backup). On error, no backup is made.
    pub async fn import(
        &self,
        keys: &WriterKeys,
        request: ImportRequest,
        reader: impl Read + Send + 'static,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Summary> {
        let doing = format!("importing {}", request.name);
        let (request, feed) = crate::import::prepare(request, Box::new(reader)).doing(|| doing.clone())?;
        self.backup_fed(keys, request, feed, progress, cancel).await.doing(|| doing)
    }

    /// Makes a backup of the entries of a feed.
    async fn backup_fed(
        &self,
        keys: &WriterKeys,
        request: BackupRequest,
        feed: Box<dyn Feed>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Summary> {
        self.writing(keys, progress, cancel, move |writing| {
            BackupRun::new(writing, &request).make(Some(feed))
        })
        .await
    }

    /// Writes a backup as one file to a stream. Returns the output.
    ///
    /// # Errors
    /// As [`restore`](Self::restore), and errors of the output. On error, the written data is incomplete.
    pub async fn export<W: Write + Send + 'static>(
        &self,
        identity: &Identity,
        id: &BackupId,
        format: ExportFormat,
        output: W,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<W> {
        let backup = id.clone();
        self.reading(identity, progress, cancel, move |reading| {
            crate::export::run(reading, &backup, &format, output)
        })
        .await
        .doing(|| format!("exporting the backup {id}"))
    }

    /// Writes a backup as one plain tar (POSIX pax) to a stream. Returns the output.
    ///
    /// # Errors
    /// As [`export`](Self::export).
    pub async fn export_tar<W: Write + Send + 'static>(
        &self,
        identity: &Identity,
        id: &BackupId,
        output: W,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<W> {
        self.export(identity, id, ExportFormat::Tar, output, progress, cancel).await
    }

    /// Writes a backup to a file of mode 0600, named only when it is complete and durable. Until then it is
    /// `<path>.part`, which stays if the export is interrupted: the next call with the same arguments checks
    /// its content against the backup and fetches only the rest.
    ///
    /// # Errors
    /// `export-exists` when the file exists, since it is never replaced; `export-busy` when another export
    /// writes to it; as [`export`](Self::export).
    pub async fn export_to_file(
        &self,
        identity: &Identity,
        id: &BackupId,
        format: ExportFormat,
        path: impl AsRef<Path>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<ExportReport> {
        let (backup, path) = (id.clone(), path.as_ref().to_owned());
        self.reading(identity, progress, cancel, move |reading| {
            crate::export::to_file(reading, &backup, &format, &path)
        })
        .await
        .doing(|| format!("exporting the backup {id}"))
    }
}
