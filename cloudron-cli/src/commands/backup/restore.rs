//! `cloudron backup restore`

use std::path::PathBuf;
use std::time::Duration;

use cloudron_backup::{RestoreReport, RestoreRequest};
use cloudron_core::{Cancel, Error, Result, human};

use super::place::{Owned, Pick, check_only, find};
use crate::output::{Output, bytes, lines};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The backup's id, or latest
    #[arg(value_name = "ID")]
    id: String,
    /// Only these paths, as they were, and what is below them
    #[arg(value_name = "PATH")]
    only: Vec<PathBuf>,
    #[command(flatten)]
    owned: Owned,
    #[command(flatten)]
    pick: Pick,
    /// The folder to restore into
    #[arg(long, value_name = "DIR", required_unless_present = "original", conflicts_with = "original")]
    target: Option<PathBuf>,
    /// Restore to the original paths
    #[arg(long)]
    original: bool,
    /// Replace existing files that differ
    #[arg(long)]
    overwrite: bool,
    /// Owners by number rather than by name
    #[arg(long)]
    numeric_owner: bool,
    /// Maximum time to wait for archived objects, such as 12h; their retrieval is requested in any case
    #[arg(long, value_name = "TIME", value_parser = human::duration)]
    wait: Option<Duration>,
    /// Afterwards read everything back and compare it with the backup
    #[arg(long)]
    compare: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| restore(options, out, cancel))?;
    out.data("restore", &report, || render(&report))?;
    report.complete()?.whole().map(drop)
}

async fn restore(options: &Options, out: &Output, cancel: Cancel) -> Result<RestoreReport> {
    let request = request(options)?;
    let (repository, identity) = options.owned.unlock(out).await?;
    let id = find(&repository, &options.id, &options.pick.filter()?, out).await?.id;
    let progress = out.progress();
    match options.compare {
        true => repository.restore_and_compare(&identity, &id, &request, &progress, &cancel).await,
        false => repository.restore(&identity, &id, &request, &progress, &cancel).await,
    }
}

fn request(options: &Options) -> Result<RestoreRequest> {
    let mut request = match &options.target {
        Some(target) => RestoreRequest::under(std::path::absolute(target).map_err(|e| Error::io(target, e))?),
        None => RestoreRequest::original(),
    };
    check_only(&options.only)?;
    request.only.clone_from(&options.only);
    request.thaw_wait = options.wait;
    request.overwrite = options.overwrite;
    request.numeric_owner = options.numeric_owner;
    Ok(request)
}

fn render(report: &RestoreReport) -> String {
    let failed = report.failed.iter().map(|f| format!("NOT RESTORED {}: {}", f.path.display(), f.reason));
    let there = match report.unchanged {
        0 => String::new(),
        n => format!(", {n} of them were there already"),
    };
    let owners = match report.owners_lost {
        0 => String::new(),
        n => format!("; {n} had another owner or group, which only root can set"),
    };
    lines(failed.chain([format!("{} files, {}{there}{owners}", report.files, bytes(report.bytes))]))
}
