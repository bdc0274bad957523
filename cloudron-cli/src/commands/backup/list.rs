//! `cloudron backup list`

use std::time::SystemTime;

use cloudron_backup::{SnapshotFilter, Summary, UnreadableSummary};
use cloudron_core::Result;

use super::place::{Pick, Place};
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    pick: Pick,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let mut list = interruptible(async {
        options.place.open().await?.snapshots_matching(&options.pick.filter()?).await
    })?;
    for UnreadableSummary { object, error } in &list.unreadable {
        out.warn(&format!("{object}: {error}"));
    }
    list.summaries.reverse();
    let picked = options.pick.filter()? != SnapshotFilter::all();
    out.data("backups", &list.summaries, || match (list.summaries.is_empty(), picked) {
        (true, false) => "No backups have been made.".into(),
        (true, true) => "No backup is of that host, domain, tag and path.".into(),
        _ => Summary::table(&list.summaries, SystemTime::now()).render(),
    })
}
