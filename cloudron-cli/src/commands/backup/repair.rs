//! `cloudron backup repair`

use cloudron_backup::{Issue, RepairReport, RepairRequest};
use cloudron_core::Result;

use super::place::Owned;
use crate::output::{self, Output};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    owned: Owned,
    /// Only say what is wrong
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        let mut request = RepairRequest::default();
        request.dry_run = options.dry_run;
        repository.repair(&identity, &request, &out.progress(), &cancel).await
    })?;
    out.data("repair", &report, || render(&report))?;
    report.whole()
}

fn render(report: &RepairReport) -> String {
    let mut lines = Vec::new();
    let damaged = report.packs_damaged.iter().chain(&report.index_unusable).chain(&report.damaged);
    lines.extend(report.restored.iter().map(|object| format!("put back {object}")));
    lines.extend(damaged.map(|Issue { subject, reason }| format!("DAMAGED {subject}: {reason}")));
    lines.push(format!(
        "{} packs read, {} of them were in no index, {} pieces of content saved from damaged ones",
        report.packs, report.packs_added, report.chunks_saved
    ));
    lines.push(format!("{} backups are whole, {} are not", report.whole, report.damaged.len()));
    output::lines(lines)
}
