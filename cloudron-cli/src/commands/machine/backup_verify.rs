//! `cloudron machine backup verify`

use cloudron_backup::VerifyDepth;
use cloudron_core::Result;

use super::Which;
use super::backup_download::{Source, open};
use crate::commands::backup::render_check;
use crate::output::Output;
use crate::runtime::block_on;
use crate::secrets;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine backup verify example.com
  cloudron machine backup verify example.com --full --backup-key file:key
  cloudron machine backup verify example.com --store /mnt/disk/backups

The quick check looks at structure and existence and needs no key; --full reads every byte.
Exit code 10 when something is damaged.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: Source,
    /// Read and decrypt every byte
    #[arg(long)]
    full: bool,
    /// The backup key, needed for --full
    #[arg(long, value_name = "SECRET")]
    backup_key: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let key = options.full.then(|| secrets::backup_key(options.backup_key.as_deref(), out)).transpose()?;
    let report = block_on(|cancel| async move {
        let (_session, repository) = open(&options.which, &options.source, out).await?;
        let identity = match &key {
            Some(key) => Some(repository.unlock(key).await?),
            None => None,
        };
        let depth = if options.full { VerifyDepth::Full } else { VerifyDepth::Quick };
        repository.verify(depth, identity.as_ref(), &out.progress(), &cancel).await
    })?;
    out.data("report", &report, || render_check(&report))?;
    report.good().map(drop)
}
