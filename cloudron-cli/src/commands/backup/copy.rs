//! `cloudron backup copy`

use cloudron_core::Result;

use super::Place;
use crate::output::{Output, bytes};
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron backup copy --store s3://bucket/home --to /mnt/disk/home

Copies what the other store lacks. The copy opens with the same keys, and copying needs none.")]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// The store to copy to
    #[arg(long, value_name = "URL")]
    to: String,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| async move {
        let repository = options.place.open().await?;
        repository.copy_to(options.place.service.open(&options.to)?, &out.progress(), &cancel).await
    })?;
    out.data("copy", &report, || {
        format!("{} objects copied ({}), {} were there", report.copied, bytes(report.bytes), report.present)
    })
}
