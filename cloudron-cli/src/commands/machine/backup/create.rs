//! `cloudron machine backup create`

use std::time::Duration;

use cloudron_api::JobState;
use cloudron_core::Result;

use super::super::Which;
use crate::machines;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until it is done, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 4 * 3600)]
    timeout: u64,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let (job, failure) = block_on(|cancel| async move {
        let client = machines::client(&machine, out).await?;
        let mut job = client.begin_backup().await?;
        if !options.no_wait {
            let limit = Duration::from_secs(options.timeout);
            job = client.wait_for(job, limit, &out.progress(), &cancel).await?;
        }
        let failure = client.failure(&job);
        Ok((job, failure))
    })?;
    let made = failure.as_ref().is_some_and(|error| error.is(&cloudron_api::codes::BACKUP_INCOMPLETE));
    if job.state != JobState::Failed || made {
        out.data("job", &job, || match &job.backup_id {
            Some(id) => id.to_string(),
            None => format!("started as job {}", job.id),
        })?;
    }
    match failure {
        Some(missing) if made => Err(missing.with_hint(
            "the backup above holds everything else and can be restored; remove the cause and make another one",
        )),
        Some(error) => Err(error),
        None => Ok(()),
    }
}
