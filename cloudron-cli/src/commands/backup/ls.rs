//! `cloudron backup ls`

use std::path::PathBuf;

use cloudron_backup::FileEntry;
use cloudron_core::Result;

use super::place::{Owned, Pick, check_only, find};
use crate::output::{Output, bytes};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The backup's id, or latest
    #[arg(value_name = "ID", default_value = "latest")]
    id: String,
    /// Only these paths and what is below them
    #[arg(value_name = "PATH")]
    only: Vec<PathBuf>,
    #[command(flatten)]
    owned: Owned,
    #[command(flatten)]
    pick: Pick,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    check_only(&options.only)?;
    let stream = out.stream("entries");
    let items = stream.clone();
    let report = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        let id = find(&repository, &options.id, &options.pick.filter()?, out).await?.id;
        let each = move |entry: FileEntry| items.item(&entry, || entry.to_string());
        repository.entries(&identity, &id, &options.only, each, &out.progress(), &cancel).await
    })?;
    stream.finish(&report, || format!("{} entries, {}\n", report.entries, bytes(report.bytes)))
}
