//! `cloudron backup find`

use cloudron_backup::Found;
use cloudron_core::Result;

use super::place::{Owned, Pick};
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
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
        let each = move |found: Found| items.item(&found, || format!("{}  {}", found.backup, found.entry));
        let filter = options.pick.filter()?;
        repository.find_paths(&identity, &options.patterns, &filter, each, &out.progress(), &cancel).await
    })?;
    stream.finish(&report, String::new)?;
    report.found(&options.patterns)
}
