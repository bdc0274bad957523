//! `cloudron backup diff`

use std::path::PathBuf;

use cloudron_backup::{Change, DiffRequest, SnapshotFilter};
use cloudron_core::Result;

use super::place::{Owned, check_only, find};
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The earlier backup
    #[arg(value_name = "ID")]
    before: String,
    /// The later backup, or latest
    #[arg(value_name = "ID2")]
    after: String,
    /// Only these paths and what is below them
    #[arg(value_name = "PATH")]
    only: Vec<PathBuf>,
    #[command(flatten)]
    owned: Owned,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    check_only(&options.only)?;
    let stream = out.stream("changes");
    let items = stream.clone();
    let report = block_on(|cancel| async move {
        let (repository, identity) = options.owned.unlock(out).await?;
        let before = find(&repository, &options.before, &SnapshotFilter::all(), out).await?.id;
        let after = find(&repository, &options.after, &SnapshotFilter::all(), out).await?.id;
        let each = move |change: Change| items.item(&change, || change.to_string());
        let request = DiffRequest::new(before, after).with_only(options.only.clone());
        repository.diff(&identity, &request, each, &out.progress(), &cancel).await
    })?;
    stream.finish(&report, || format!("{report}\n"))
}
