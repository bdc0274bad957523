//! `cloudron backup find`

use cloudron_backup::Found;
use cloudron_core::{Error, Result};

use super::place::{Owned, Pick};
use super::show;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup find '*.tex' --store /mnt/disk/backups
  cloudron backup find /home/me/thesis --host laptop --store /mnt/disk/backups

A pattern has *, ? and **; with / in front it is compared with whole paths, with / inside with the ends of paths, else
with names. Exit code 3 when nothing is found, 6 when a backup could not be searched.")]
pub(crate) struct Options {
    /// What to look for
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,
    #[command(flatten)]
    owned: Owned,
    #[command(flatten)]
    pick: Pick,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let stream = out.stream("files");
    let items = stream.clone();
    let report = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        let each = move |found: Found| {
            items.item(&found, || format!("{}  {}", found.backup, show::line(&found.entry)))
        };
        let filter = options.pick.filter()?;
        repository.find_paths(&identity, &options.patterns, &filter, each, &out.progress(), &cancel).await
    })?;
    stream.finish(&report, String::new)?;
    if let Some(skipped) = report.skipped.first() {
        let text = format!("{} could not be searched: {}", skipped.backup, skipped.reason);
        return Err(Error::new(&cloudron_backup::codes::SNAPSHOT_CORRUPT, text));
    }
    if report.matches == 0 {
        let text = format!("none of {} backups holds {}", report.backups, options.patterns.join(" or "));
        return Err(Error::new(&cloudron_backup::codes::PATH_UNKNOWN, text));
    }
    Ok(())
}
