//! `cloudron backup upgrade`

use cloudron_backup::{Issue, UpgradeReport};
use cloudron_core::Result;

use super::place::Owned;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    owned: Owned,
    /// Keep no keys for writing on this computer
    #[arg(long)]
    forget: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let (id, keys, report) = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        let (repository, report) = repository.upgrade(&identity, &out.progress(), &cancel).await?;
        Ok((repository.id().to_owned(), identity.writer_keys(), report))
    })?;
    if !options.forget {
        super::init::keep(&id, &keys, out);
    }
    super::prune::warn_of_ignored(&report.ignored, out);
    out.data("upgrade", &report, || render(&report))?;
    report.whole()
}

fn render(report: &UpgradeReport) -> String {
    if report.was_new {
        return "The repository has the present format.".to_owned();
    }
    let damaged = report.packs_damaged.iter().chain(&report.damaged);
    let damaged: String =
        damaged.map(|Issue { subject, reason }| format!("DAMAGED {subject}: {reason}\n")).collect();
    format!("{damaged}{} packs read, {} backups taken over", report.packs, report.backups.len())
}
