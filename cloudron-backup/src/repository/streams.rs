//! What goes in and out as one stream: a backup of a stream, the import of an old backup, the export as a tar.

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
    /// Makes a backup of one stream, such as the output of a database's dump program, as one file of mode 0600
    /// at the path `/stdin/<name>`. Of any length, with bounded memory, cut into chunks as any file is.
    ///
    /// Of the request, `sources`, `excludes` and what concerns them does not apply: give no sources.
    ///
    /// The stream ends where `reader` gives no more. A reader that returns an error, also in place of the end,
    /// makes no backup: this is how a producer says that it failed. It is read on a thread of its own, which
    /// stays blocked in a read that never returns; the backup itself can be cancelled at any time.
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

    /// Takes a backup of the original Cloudron into the repository: a `.tar.gz`, encrypted by OpenSSL or not,
    /// or a plain tar. It is read as a stream, nothing of it is written to the disk.
    ///
    /// # Errors
    /// `old-backup-key` when it needs a backup key, or another one; `old-backup-corrupt` where it is damaged or
    /// cut, or holds names that lead out of its tree; `stream-failed` with the reader's error; as
    /// [`backup`](Self::backup). No backup is made then.
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

    /// Makes a backup of what a feed gives.
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

    /// Writes a backup as one file, as a stream. Gives the output back.
    ///
    /// # Errors
    /// As [`restore`](Self::restore), and what the output reports. What was written is not complete then.
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

    /// Writes a backup as one plain tar (POSIX pax), as a stream. Gives the output back.
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

    /// Writes a backup to a file of mode 0600 that gets its name when it is whole and durable. Until then it is
    /// `<path>.part`, which stays when the export is cut off, by an error or by the end of the program: the
    /// next call with the same arguments checks what is there against the backup and fetches only the rest.
    ///
    /// # Errors
    /// `export-exists` when there is such a file, which is never replaced; `export-busy` when another export
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
