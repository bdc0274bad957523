//! `cloudron machine backup create`

use std::time::Duration;

use cloudron_box::api::{Job, JobState};
use cloudron_core::{Cancel, Error, Result, Unit};
use serde_json::json;

use super::Which;
use crate::client::Client;
use crate::codes;
use crate::connect::Session;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine backup create example.com
  cloudron machine backup create example.com --no-wait

Exit code 5 when a job runs already.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// Do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for its end, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 4 * 3600)]
    timeout: u64,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let job: Job = block_on(|cancel| async move {
        let session = Session::open(&machine, out).await?;
        let job: Job = session.client.post("/api/v1/backups", &json!({})).await?;
        if options.no_wait {
            return Ok(job);
        }
        wait(&session.client, job, Duration::from_secs(options.timeout), out, &cancel).await
    })?;
    out.data("job", &job, || match &job.backup_id {
        Some(id) => id.to_string(),
        None => format!("started as job {}", job.id),
    })
}

/// Waits for a job's end, showing how far it is.
async fn wait(client: &Client, mut job: Job, limit: Duration, out: &Output, cancel: &Cancel) -> Result<Job> {
    let task = out.progress().task("Backing up", Unit::None, None);
    let start = std::time::Instant::now();
    let path = format!("/api/v1/jobs/{}", job.id);
    let mut pause = Duration::from_millis(50);
    while !job.state.is_over() {
        cancel.check().map_err(|e| e.with_hint("the backup goes on on the server"))?;
        if start.elapsed() > limit {
            return Err(Error::new(
                &cloudron_core::codes::TIMED_OUT,
                format!("the backup did not end within {} s; it goes on on the server", limit.as_secs()),
            ));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
        job = client.get(&path).await?;
    }
    if job.state == JobState::Done {
        task.finish();
        return Ok(job);
    }
    let told = job.error.as_ref();
    let message = told.map_or_else(|| job.message.clone(), |e| e.message.clone());
    let code = told.and_then(|e| crate::commands::explain::find(&e.code)).unwrap_or(&codes::JOB_FAILED);
    Err(Error::new(code, message).while_doing("backing up"))
}
