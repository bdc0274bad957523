//! `cloudron backup copy`

use cloudron_backup::{CopyReport, CopyTarget, Issue, SnapshotFilter, TransferReport};
use cloudron_core::{Cancel, Result, ResultExt};
use cloudron_provision::quote;

use super::place::{Owned, ToWriting, find, open_repository};
use crate::output::{Output, bytes};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The backups to copy into another repository: ids, or latest
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    owned: Owned,
    /// The store to copy to
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    writing: ToWriting,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    if options.ids.is_empty() { whole(options, out) } else { chosen(options, out) }
}

fn whole(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| async move {
        let repository = options.owned.place.open().await?;
        let target = options.owned.place.service.open(&options.to)?;
        repository.copy_to(target, &out.progress(), &cancel).await
    });
    let report = report.map_err(|e| match e.is(&cloudron_core::codes::USAGE) && e.hint().is_none() {
        true => e.with_hint("name another store with --to"),
        false => e,
    })?;
    out.data("copy", &report, || {
        let there = match report.present {
            0 => String::new(),
            // A copy that reads all of them costs as much as the first copy.
            n => format!(
                ", {n} were there by name and size: `cloudron backup verify --store {} --full` reads them",
                quote::argument(&options.to)
            ),
        };
        format!("{} objects copied ({}){there}", report.copied, bytes(report.bytes))
    })?;
    all_copied(&report, out)
}

/// Warns of each object that was not copied, and fails if there is one.
pub(crate) fn all_copied(report: &CopyReport, out: &Output) -> Result<()> {
    for Issue { subject, reason } in &report.not_copied {
        out.warn(&format!("{subject} was not copied: {reason}"));
    }
    report
        .complete()
        .hint(|| "see what is wrong with the repository with `cloudron backup verify --store URL`".to_owned())
}

fn chosen(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| transfer(options, out, cancel))?;
    out.data("copy", &report, || report.to_string())?;
    report.complete()
}

async fn transfer(options: &Options, out: &Output, cancel: Cancel) -> Result<TransferReport> {
    let (repository, identity) = options.owned.unlock(out).await?;
    let target = open_repository(options.owned.place.service.open(&options.to)?).await?;
    let keys = options.writing.keys(&target, out).await?;
    let mut ids = Vec::new();
    for id in &options.ids {
        ids.push(find(&repository, id, &SnapshotFilter::all(), out).await?.id);
    }
    let target = CopyTarget { repository: &target, keys: &keys };
    repository.copy_snapshots(&identity, &ids, target, &out.progress(), &cancel).await
}
