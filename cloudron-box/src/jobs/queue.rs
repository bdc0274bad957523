//! The queue, which holds one job.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudron_core::{Cancel, random};
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::Notify;

use crate::api::{self, JobKind, JobState, ProgressReport};
use crate::api_error::api_error;
use crate::db::{interrupted, jobs};
use crate::health::Checks;
use crate::state::State;
use crate::time::timestamp;
use crate::{Error, Result, codes};

/// Interval for storing the state of a running job.
const WRITE_DOWN: Duration = Duration::from_secs(2);

/// Time limit for a job to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// A background job.
pub(crate) trait Job: Send + 'static {
    /// Returns its kind.
    fn kind(&self) -> JobKind;

    /// Runs the job. Returns a sentence about it.
    fn run(&self, running: &Running) -> impl Future<Output = Result<String>> + Send;

    /// Stores results in the transaction that ends the job. By default, nothing.
    ///
    /// # Errors
    /// Errors of the database.
    fn remember(connection: &Connection, ended: &api::Job) -> Result<()> {
        let _ = (connection, ended);
        Ok(())
    }
}

/// The running job, or the last one.
struct Current {
    job: api::Job,
    cancel: Cancel,
}

/// The jobs of a running server.
pub(crate) struct Queue {
    state: Arc<State>,
    health: Checks,
    current: Mutex<Option<Current>>,
    over: Notify,
}

/// A running job, as seen by its work.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) state: Arc<State>,
    /// The job's ID.
    pub(crate) id: String,
    /// Set when the job must stop.
    pub(crate) cancel: Cancel,
    queue: Arc<Queue>,
}

impl Running {
    /// Changes the state of the job.
    pub(crate) fn change(&self, change: impl FnOnce(&mut api::Job)) {
        self.queue.update(change);
    }
}

impl Queue {
    /// Returns a queue without a job.
    pub(crate) fn new(state: Arc<State>, health: Checks) -> Self {
        Self { state, health, current: Mutex::default(), over: Notify::new() }
    }

    fn current(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state of the running job, and returns it.
    fn update(&self, change: impl FnOnce(&mut api::Job)) -> Option<api::Job> {
        let mut current = self.current();
        let job = &mut current.as_mut()?.job;
        change(job);
        Some(job.clone())
    }

    /// Returns the running job.
    fn running(&self) -> Option<api::Job> {
        self.current().as_ref().map(|current| current.job.clone()).filter(|job| !job.state.is_over())
    }

    /// Returns the progress report.
    pub(crate) fn report(&self) -> ProgressReport {
        let mut report = ProgressReport::default();
        if let Some(job) = self.running() {
            match job.kind {
                JobKind::Backup => report.backup = Some(job),
                JobKind::Update => report.update = Some(job),
                JobKind::Restore => report.restore = Some(job),
            }
        }
        report
    }

    /// Returns the job with this ID.
    ///
    /// # Errors
    /// Errors of the database.
    pub(crate) async fn get(&self, id: String) -> Result<Option<api::Job>> {
        // The running job is newer in memory, and is available there even on a full disk.
        let current = self.current().as_ref().map(|current| current.job.clone());
        if let Some(job) = current.filter(|job| job.id == id) {
            return Ok(Some(job));
        }
        self.state.db.read_async(move |c| jobs::get(c, &id)).await
    }

    /// Asks the running job to stop, and waits for it up to a time limit.
    pub(crate) async fn stop(&self) {
        let wait = async {
            loop {
                let over = self.over.notified();
                match &*self.current() {
                    Some(current) if !current.job.state.is_over() => current.cancel.cancel(),
                    _ => return,
                }
                over.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, wait).await;
    }

    /// Starts a job, and returns its state.
    ///
    /// # Errors
    /// `job-busy`, `machine-retired`, and errors of the database.
    pub(crate) async fn start<J: Job + Sync>(self: &Arc<Self>, job: J) -> Result<api::Job> {
        let state = &self.state;
        if state.is_retired().await? {
            return Err(Error::new(&codes::MACHINE_RETIRED, "this server was retired"));
        }
        let cancel = Cancel::new();
        let queued = {
            let mut current = self.current();
            if let Some(Current { job, .. }) = current.as_ref().filter(|c| !c.job.state.is_over()) {
                let text = format!("a {} runs since {}", kind_name(job.kind), job.created_at);
                return Err(Error::new(&codes::JOB_BUSY, text));
            }
            if state.stopping.is_cancelled() {
                return Err(Error::new(&codes::JOB_BUSY, "the server is stopping"));
            }
            let queued = new_job(job.kind(), timestamp(state.now()));
            *current = Some(Current { job: queued.clone(), cancel: cancel.clone() });
            queued
        };
        // Nothing else runs, so a job still stored as running is one whose end could not be stored.
        let (stored, now) = (queued.clone(), state.now());
        let written = state
            .db
            .write_async(move |c| interrupted::close(c, now).and_then(|_| jobs::put(c, &stored)))
            .await;
        if let Err(error) = written {
            *self.current() = None;
            return Err(error);
        }
        let (id, queue) = (queued.id.clone(), self.clone());
        let running = Running { state: state.clone(), id, cancel, queue };
        tokio::spawn(async move { running.carry_out(job).await });
        Ok(queued)
    }

    async fn write_down(&self) {
        let Some(job) = self.running() else { return };
        if let Err(error) = self.state.db.write_async(move |c| jobs::put(c, &job)).await {
            tracing::warn!(%error, "How far the job is could not be written down");
        }
    }

    async fn finish<J: Job>(&self, result: Result<String>) {
        let now = timestamp(self.state.now());
        match &result {
            Ok(message) => tracing::info!(%message, "The job ended well"),
            Err(error) => tracing::error!(code = error.code().name, %error, "The job failed"),
        }
        let job = self.update(|job| {
            job.finished_at = Some(now);
            match result {
                Ok(message) => (job.state, job.percent, job.message) = (JobState::Done, 100, message),
                Err(error) => {
                    (job.state, job.message) = (JobState::Failed, error.to_string());
                    job.error = Some(api_error(&error));
                }
            }
        });
        let Some(job) = job else { return };
        let written = self.state.db.write_async(move |c| {
            jobs::put(c, &job)?;
            jobs::trim(c)?;
            J::remember(c, &job)
        });
        if let Err(error) = written.await {
            tracing::error!(%error, "The end of the job could not be written down");
        }
        self.over.notify_waiters();
    }
}

impl Running {
    /// Runs the queued job to its end.
    async fn carry_out<J: Job + Sync>(self, job: J) {
        let (state, queue, cancel) = (self.state.clone(), self.queue.clone(), self.cancel.clone());
        let began = timestamp(state.now());
        queue.update(|job| (job.state, job.started_at) = (JobState::Running, Some(began)));
        queue.write_down().await;
        let work = tokio::spawn(async move { job.run(&self).await });
        let noting = async {
            loop {
                tokio::time::sleep(WRITE_DOWN).await;
                queue.write_down().await;
                // The owner may have retired the machine with the command line.
                if state.is_retired().await.unwrap_or(false) {
                    cancel.cancel();
                }
            }
        };
        let result = tokio::select! {
            result = work => result,
            () = noting => unreachable!("noting goes on until it is dropped"),
        };
        // A panic makes the job fail; otherwise it would be reported as running for ever.
        let result = result.unwrap_or_else(|_| {
            Err(Error::new(&cloudron_core::codes::FAILED, "the job ended by an error in the program"))
        });
        let result = match result {
            Err(e) if e.is(&cloudron_core::codes::INTERRUPTED) && state.stopping.is_cancelled() => {
                Err(Error::new(&codes::JOB_INTERRUPTED, "interrupted by a restart"))
            }
            result => result,
        };
        queue.finish::<J>(result).await;
        queue.health.begin_store_check();
    }
}

fn new_job(kind: JobKind, now: Timestamp) -> api::Job {
    api::Job {
        id: random::token(16),
        kind,
        state: JobState::Queued,
        percent: 0,
        message: "Waiting".to_owned(),
        error: None,
        backup_id: None,
        created_at: now,
        started_at: None,
        finished_at: None,
    }
}

fn kind_name(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Backup => "backup",
        JobKind::Update => "update",
        JobKind::Restore => "restore",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;
    use crate::api::install::Supervisor;
    use crate::db::{Db, settings};
    use crate::settings::Settings;
    use crate::state::Tuning;

    /// A job that ends with a sentence, an error, or a panic.
    enum Fake {
        Done,
        Failed,
        Panics,
    }

    impl Job for Fake {
        fn kind(&self) -> JobKind {
            JobKind::Update
        }

        async fn run(&self, running: &Running) -> Result<String> {
            running.change(|job| job.percent = 40);
            match self {
                Self::Done => Ok("done".to_owned()),
                Self::Failed => Err(Error::new(&codes::NO_UPDATE, "there is none")),
                Self::Panics => panic!("the job panics"),
            }
        }

        fn remember(connection: &Connection, ended: &api::Job) -> Result<()> {
            settings::set(connection, "last-fake", &ended.id)
        }
    }

    fn queue(home: &std::path::Path) -> Arc<Queue> {
        let layout = Layout::rooted(home);
        crate::system::files::private_folder(&layout.logs()).unwrap();
        let settings = Settings {
            fqdn: cloudron_core::Domain::parse_any("demo.localhost").unwrap(),
            provider: "local".into(),
            run: "run".into(),
            supervisor: Supervisor::Detached,
            listen: Vec::new(),
            store: home.join("store").display().to_string(),
            backup_hour: 3,
        };
        let db = Db::open(&layout.database()).unwrap();
        let log = crate::log::Log::new().open(&layout.log()).unwrap();
        let state = Arc::new(State::new(layout, settings, db, log, Tuning::default()).unwrap());
        Arc::new(Queue::new(state.clone(), Checks::new(state)))
    }

    async fn over(queue: &Queue, id: &str) -> api::Job {
        loop {
            let job = queue.get(id.to_owned()).await.unwrap().unwrap();
            if job.state.is_over() {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn whatever_a_job_comes_to_its_end_is_remembered_and_the_next_one_runs() {
        let home = tempfile::tempdir().unwrap();
        let queue = queue(home.path());
        for (fake, state, code) in [
            (Fake::Panics, JobState::Failed, Some("failed")),
            (Fake::Failed, JobState::Failed, Some("no-update")),
            (Fake::Done, JobState::Done, None),
        ] {
            let queued = queue.start(fake).await.unwrap();
            assert_eq!((queued.kind, queued.state), (JobKind::Update, JobState::Queued));
            let job = over(&queue, &queued.id).await;
            assert_eq!((job.state, job.error.map(|e| e.code).as_deref()), (state, code));
            assert_eq!(job.percent, if state == JobState::Done { 100 } else { 40 });
            assert!(queue.report().update.is_none());
            // The job ends in memory shortly before its end is stored.
            queue.stop().await;
            let id = queued.id.clone();
            for _ in 0..200 {
                let last = queue.state.db.read_async(|c| settings::get(c, "last-fake")).await.unwrap();
                if last.as_ref() == Some(&id) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let stored = queue.state.db.read_async(move |c| jobs::get(c, &id)).await.unwrap().unwrap();
            assert_eq!(stored.state, state);
        }
    }

    #[tokio::test]
    async fn one_job_runs_at_a_time_and_stops_when_it_is_asked_to() {
        struct Waits;
        impl Job for Waits {
            fn kind(&self) -> JobKind {
                JobKind::Restore
            }

            async fn run(&self, running: &Running) -> Result<String> {
                running.cancel.cancelled().await;
                running.cancel.check().map(|()| String::new())
            }
        }
        let home = tempfile::tempdir().unwrap();
        let queue = queue(home.path());
        let first = queue.start(Waits).await.unwrap();
        assert!(queue.start(Fake::Done).await.unwrap_err().is(&codes::JOB_BUSY));
        queue.stop().await;
        assert_eq!(over(&queue, &first.id).await.state, JobState::Failed);
        let next = queue.start(Fake::Done).await.unwrap();
        assert_eq!(over(&queue, &next.id).await.state, JobState::Done);
    }
}
