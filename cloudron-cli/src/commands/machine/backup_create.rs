//! `cloudron machine backup create`

use std::time::Duration;

use cloudron_api::{Job, JobState};
use cloudron_core::{Cancel, Error, Result, Unit};
use cloudron_machine::Client;
use serde_json::json;

use super::Which;
use crate::codes;
use crate::machines;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine backup create example.com
  cloudron machine backup create example.com --no-wait

Prints the ID of the backup. Exit code 5 when a job runs already, 9 when the backup was made and something is missing
from it.")]
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
    let job: Job = block_on(|cancel| async move {
        let client = machines::client(&machine, out).await?;
        let job: Job = client.post("/api/v1/backups", &json!({})).await?;
        if options.no_wait {
            return Ok(job);
        }
        wait(&client, job, Duration::from_secs(options.timeout), out, &cancel).await
    })?;
    let made = incomplete(&job);
    if job.state != JobState::Failed || made.is_some() {
        out.data("job", &job, || match &job.backup_id {
            Some(id) => id.to_string(),
            None => format!("started as job {}", job.id),
        })?;
    }
    match made {
        Some(missing) => Err(missing.with_hint(
            "the backup above holds everything else and can be restored; remove the cause and make another one",
        )),
        None if job.state == JobState::Failed => Err(failure(&job)),
        None => Ok(()),
    }
}

/// What is missing from the backup, when the job made one that is not complete.
fn incomplete(job: &Job) -> Option<Error> {
    let code = &cloudron_api::codes::BACKUP_INCOMPLETE;
    let told = job.error.as_ref().filter(|error| error.code == code.name && job.backup_id.is_some());
    told.map(|error| Error::new(code, error.message.clone()).while_doing("backing up"))
}

/// Why the job failed.
fn failure(job: &Job) -> Error {
    let told = job.error.as_ref();
    let message = told.map_or_else(|| job.message.clone(), |e| e.message.clone());
    let code = told.and_then(|e| codes::find(&e.code)).unwrap_or(&codes::JOB_FAILED);
    Error::new(code, message).while_doing("backing up")
}

/// Waits until a job is over, whatever came of it, showing its progress.
async fn wait(client: &Client, mut job: Job, limit: Duration, out: &Output, cancel: &Cancel) -> Result<Job> {
    let task = out.progress().task("Backing up", Unit::None, None);
    let start = std::time::Instant::now();
    let path = format!("/api/v1/jobs/{}", job.id);
    let mut pause = Duration::from_millis(50);
    while !job.state.is_over() {
        cancel.check().map_err(|e| e.with_hint("the server continues the backup"))?;
        if start.elapsed() > limit {
            return Err(Error::new(
                &cloudron_core::codes::TIMED_OUT,
                format!("the backup is not done after {} s; the server continues it", limit.as_secs()),
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
        job = client.get(&path).await?;
    }
    if job.state == JobState::Done || incomplete(&job).is_some() {
        task.finish();
    }
    Ok(job)
}
