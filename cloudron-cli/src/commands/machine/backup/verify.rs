//! `cloudron machine backup verify`

use cloudron_core::Result;

use super::super::Which;
use super::download::{Source, open};
use crate::commands::backup::verify::{Depth, show};
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    depth: Depth,
    /// The backup key, needed for --full and --sample
    #[arg(long, value_name = "SECRET")]
    backup_key: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let key = options.depth.key(options.backup_key.as_deref(), out)?;
    let report = block_on(|cancel| async move {
        let repository = open(&options.which, &options.source, out).await?;
        options.depth.verify(&repository, key.as_ref(), out, &cancel).await
    })?;
    show(report, out)
}
