//! `cloudron machine backup prune`

use cloudron_backup::Repository;
use cloudron_core::Result;

use super::super::Which;
use crate::commands::backup::prune::{Policy, prune, show};
use crate::machines;
use crate::output::Output;
use crate::runtime::block_on;
use crate::secrets;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    policy: Policy,
    /// The backup key
    #[arg(long, value_name = "SECRET")]
    backup_key: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let request = options.policy.request(out)?;
    let machine = options.which.machine()?;
    let key = secrets::backup_key(options.backup_key.as_deref(), out)?;
    let pruned = block_on(|cancel| async move {
        let repository = Repository::open(machines::manager(out)?.owner_store(&machine).await?).await?;
        let identity = repository.unlock(&key).await?;
        prune(&repository, &identity, request, out, &cancel).await
    })?;
    show(pruned, out)
}
