//! A server's report on itself, its backups and its jobs. Sizes are bounded, because the machine may be under
//! someone else's control.

use std::time::{Duration, Instant};

use cloudron_api::{
    BackupEntry, BackupPage, Config, Job, JobState, ProgressReport, Status, codes as api_codes,
};
use cloudron_core::{Cancel, Domain, Error, Progress, Result, Unit, codes as core_codes};
use serde_json::json;

use super::{Client, Query, broken};
use crate::codes;
use crate::seen::Seen;

/// The number of backups per request.
const PAGE: u32 = 100;
/// Maximum number of pages that are read.
const PAGES: u32 = 1000;

/// A server's report on itself.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The public status.
    pub status: Status,
    /// The configuration and health.
    pub config: Config,
    /// The running job.
    pub progress: ProgressReport,
    /// The latest backup, if the store can be read. If it cannot, the checks say so.
    pub latest: Option<BackupEntry>,
}

impl Overview {
    /// Checks that all checks of the server pass.
    ///
    /// # Errors
    /// `machine-unhealthy`, with the checks that fail.
    pub fn healthy(&self, domain: &Domain) -> Result<()> {
        let health = &self.config.health;
        if health.ok {
            return Ok(());
        }
        let failing = health.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str());
        let failing = failing.collect::<Vec<_>>().join(", ");
        Err(Error::new(&codes::UNHEALTHY, format!("{domain} is not healthy: {failing}")))
    }

    /// Returns the part to remember.
    pub fn seen(&self) -> Seen {
        Seen {
            time: jiff::Timestamp::now(),
            version: self.status.version.to_string(),
            healthy: self.config.health.ok,
            last_backup: self.config.backup.last,
        }
    }
}

impl Client {
    /// Requests the server's report on itself.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub async fn overview(&self) -> Result<Overview> {
        let status = self.status().await?;
        let config = self.config().await?;
        let progress = self.get("/api/v1/cloudron/progress").await?;
        let backups: Result<BackupPage> = self.get("/api/v1/backups?page=1&per_page=1").await;
        let latest = backups.ok().and_then(|page| page.backups.into_iter().next());
        Ok(Overview { status, config, progress, latest })
    }

    /// Reads all pages of the server's backup list, newest first.
    ///
    /// # Errors
    /// `server-refused` if the list does not end.
    pub async fn backups(&self) -> Result<Vec<BackupEntry>> {
        let odd = |what: String| broken(&format!("the server answered with {what}"));
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let query =
                Query::new("/api/v1/backups").with("page", Some(page)).with("per_page", Some(PAGE)).build();
            let answer: BackupPage = self.get(&query).await?;
            if answer.backups.len() > PAGE as usize {
                let number = answer.backups.len();
                return Err(odd(format!("a page of {number} backups, where {PAGE} were asked for")));
            }
            let last = answer.backups.is_empty() || u64::from(page) * u64::from(PAGE) >= answer.total;
            all.extend(answer.backups);
            if last {
                return Ok(all);
            }
        }
        Err(odd(format!("more than {} backups", PAGES * PAGE)))
    }

    /// Starts a backup on the server.
    ///
    /// # Errors
    /// `server-busy` if a job is running.
    pub async fn begin_backup(&self) -> Result<Job> {
        self.post("/api/v1/backups", &json!({})).await
    }

    /// Waits until a job ends, successfully or not, and reports its progress.
    ///
    /// # Errors
    /// `timed-out` and `interrupted`: the server continues the job.
    pub async fn wait_for(
        &self,
        mut job: Job,
        limit: Duration,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Job> {
        let task = progress.task("Backing up", Unit::None, None);
        let start = Instant::now();
        let path = format!("/api/v1/jobs/{}", job.id);
        let mut pause = Duration::from_millis(50);
        while !job.state.is_over() {
            cancel.check().map_err(|e| e.with_hint("the server continues the backup"))?;
            if start.elapsed() > limit {
                let text =
                    format!("the backup is not done after {} s; the server continues it", limit.as_secs());
                return Err(Error::new(&core_codes::TIMED_OUT, text));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            job = self.get(&path).await?;
        }
        if job.state == JobState::Done || incomplete(&job).is_some() {
            task.finish();
        }
        Ok(job)
    }

    /// Makes a backup on the server and waits until it is complete.
    ///
    /// # Errors
    /// Errors of [`begin_backup`](Self::begin_backup) and [`wait_for`](Self::wait_for); `backup-incomplete`
    /// if the backup was made and something is missing from it; the reason if the job failed.
    pub async fn back_up(&self, limit: Duration, progress: &Progress, cancel: &Cancel) -> Result<Job> {
        let job = self.wait_for(self.begin_backup().await?, limit, progress, cancel).await?;
        match self.failure(&job) {
            Some(error) => Err(error),
            None => Ok(job),
        }
    }

    /// Returns why a job failed, or what is missing from the backup that it made.
    pub fn failure(&self, job: &Job) -> Option<Error> {
        if let Some(missing) = incomplete(job) {
            return Some(missing);
        }
        if job.state != JobState::Failed {
            return None;
        }
        let error = match job.error.clone() {
            Some(told) => {
                let known = self.program.code(&told.code);
                told.with_code(known.unwrap_or(&codes::JOB_FAILED))
            }
            None => Error::new(&codes::JOB_FAILED, job.message.clone()),
        };
        Some(error.while_doing("backing up"))
    }
}

/// Returns what is missing from the backup, if the job made an incomplete one.
fn incomplete(job: &Job) -> Option<Error> {
    let code = &api_codes::BACKUP_INCOMPLETE;
    let told = job.error.as_ref().filter(|error| error.code == code.name && job.backup_id.is_some());
    told.map(|error| Error::new(code, error.message.clone()).while_doing("backing up"))
}
