//! `cloudron backup verify`

use cloudron_backup::{VerifyDepth, VerifyReport};
use cloudron_core::Result;

use super::place::{Key, Place};
use crate::output::{Output, bytes};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup verify --store /mnt/disk/backups
  cloudron backup verify --store s3://bucket/home --full --backup-key file:key

The quick check looks at structure and existence and needs no key; with the key it also checks that every file of
every backup has all it needs. --full reads every byte. Exit code 10 when something is damaged.")]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    /// Read and decrypt every byte
    #[arg(long)]
    full: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| async move {
        let repository = options.place.open().await?;
        let key = match options.full {
            true => Some(options.key.read(out)?),
            false => crate::secrets::given_backup_key(options.key.backup_key.as_deref(), out)?,
        };
        let identity = match &key {
            Some(key) => Some(repository.unlock(key).await?),
            None => None,
        };
        let depth = if options.full { VerifyDepth::Full } else { VerifyDepth::Quick };
        repository.verify(depth, identity.as_ref(), &out.progress(), &cancel).await
    })?;
    out.data("report", &report, || render(&report))?;
    report.good().map(drop)
}

pub(crate) fn render(report: &VerifyReport) -> String {
    let problems: String =
        report.problems.iter().map(|p| format!("DAMAGED {}: {}\n", p.object, p.text)).collect();
    let damaged: String = report.damaged.iter().map(|id| format!("does not restore whole: {id}\n")).collect();
    let checked =
        format!("{} backups, {} objects, {} read", report.backups, report.objects, bytes(report.bytes));
    format!("{problems}{damaged}{checked}")
}
