//! `cloudron backup verify`

use cloudron_backup::{Repository, VerifyDepth, VerifyReport};
use cloudron_core::{Cancel, Result, Secret};

use super::place::{Key, Place};
use crate::output::Output;
use crate::runtime::block_on;
use crate::secrets;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    depth: Depth,
}

/// How much is read.
#[derive(Debug, clap::Args)]
pub(crate) struct Depth {
    /// Read and decrypt every byte
    #[arg(long)]
    full: bool,
    /// Read and decrypt this percentage of the packs, different ones each day
    #[arg(long, value_name = "PERCENT", conflicts_with = "full")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
    sample: Option<u8>,
}

impl Depth {
    fn get(&self) -> VerifyDepth {
        match (self.full, self.sample) {
            (true, _) => VerifyDepth::Full,
            (false, Some(percent)) => VerifyDepth::Sample(percent),
            (false, None) => VerifyDepth::Quick,
        }
    }

    /// Returns the backup key, which is required for reading content. The quick check uses it if given.
    pub(crate) fn key(&self, option: Option<&str>, out: &Output) -> Result<Option<Secret>> {
        match self.get() {
            VerifyDepth::Quick => secrets::given_backup_key(option, out),
            _ => secrets::backup_key(option, out).map(Some),
        }
    }

    /// Verifies a repository to this depth.
    pub(crate) async fn verify(
        &self,
        repository: &Repository,
        key: Option<&Secret>,
        out: &Output,
        cancel: &Cancel,
    ) -> Result<VerifyReport> {
        let identity = match key {
            Some(key) => Some(repository.unlock(key).await?),
            None => None,
        };
        repository.verify(self.get(), identity.as_ref(), &out.progress(), cancel).await
    }
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let report = block_on(|cancel| async move {
        let repository = options.place.open().await?;
        let key = options.depth.key(options.key.backup_key.as_deref(), out)?;
        options.depth.verify(&repository, key.as_ref(), out, &cancel).await
    })?;
    show(report, out)
}

/// Prints the report, and fails if something is damaged.
pub(crate) fn show(report: VerifyReport, out: &Output) -> Result<()> {
    super::prune::warn_of_ignored(&report.ignored, out);
    out.data("report", &report, || report.to_string())?;
    report.good().map(drop)
}
