//! `cloudron backup export`

use std::path::{Path, PathBuf};

use cloudron_backup::{ExportFormat, ExportReport, Identity, Repository, SealTo};
use cloudron_core::{BackupId, Cancel, Result};

use super::place::{Owned, Pick, find};
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The backup's id, or latest
    #[arg(value_name = "ID", default_value = "latest")]
    id: String,
    #[command(flatten)]
    owned: Owned,
    #[command(flatten)]
    pick: Pick,
    #[command(flatten)]
    to: To,
}

/// What is written, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct To {
    /// Write a plain tar, in clear
    #[arg(long)]
    decrypt: bool,
    /// Encrypt to this recipient instead of the repository's (repeatable)
    #[arg(long, value_name = "age1…", conflicts_with = "decrypt")]
    recipient: Vec<String>,
    /// The file, or - for standard output
    #[arg(short, value_name = "FILE", id = "file")]
    o: Option<PathBuf>,
}

impl To {
    fn format(&self) -> ExportFormat {
        match (self.decrypt, self.recipient.is_empty()) {
            (true, _) => ExportFormat::Tar,
            (false, true) => ExportFormat::TarZstdAge(SealTo::Repository),
            (false, false) => ExportFormat::TarZstdAge(SealTo::Recipients(self.recipient.clone())),
        }
    }

    /// Writes a backup to standard output, or to a file that is renamed into place when complete.
    pub(crate) async fn write(
        &self,
        (repository, identity): (&Repository, &Identity),
        id: &BackupId,
        out: &Output,
        cancel: &Cancel,
    ) -> Result<Option<ExportReport>> {
        let format = self.format();
        let path = self.o.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.{}", format.extension())));
        if path == Path::new("-") {
            repository.export(identity, id, format, out.binary()?, &out.progress(), cancel).await?;
            return Ok(None);
        }
        repository.export_to_file(identity, id, format, path, &out.progress(), cancel).await.map(Some)
    }
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        let id = find(&repository, &options.id, &options.pick.filter()?, out).await?.id;
        options.to.write((&repository, &identity), &id, out, &cancel).await
    })?;
    report.map_or(Ok(()), |report| show(&report, out))
}

/// Prints the path of the file.
pub(crate) fn show(report: &ExportReport, out: &Output) -> Result<()> {
    out.data("download", report, || report.to_string())
}
