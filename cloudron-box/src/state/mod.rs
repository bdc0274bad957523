//! Shared state of a running server's health checks, jobs and HTTP API: settings, database, log and clock.

mod steady;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloudron_core::{Cancel, Clock, SystemClock};
use serde_json::Value;

use crate::api::EventSource;
use crate::db::{Db, events, settings, tokens, users};
use crate::helper;
use crate::log::Opened;
use crate::settings::{Settings, WorkerSettings};
use crate::time::millis;
use crate::worker::{self, Folders, Worker};
use crate::{Layout, Result};
use steady::SteadyClock;

/// Parameters that tests change.
#[derive(Clone)]
pub(crate) struct Tuning {
    pub(crate) clock: Arc<dyn Clock>,
    /// Time limit of a hook command.
    pub(crate) hook_limit: Duration,
    /// Time limit of a request.
    pub(crate) request_limit: Duration,
    /// Interval for checking tokens, database and certificate.
    pub(crate) tick: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            hook_limit: helper::HOOK_LIMIT,
            request_limit: Duration::from_secs(30),
            tick: Duration::from_secs(60),
        }
    }
}

/// The state of a running server.
pub(crate) struct State {
    pub(crate) layout: Layout,
    pub(crate) settings: Settings,
    pub(crate) db: Db,
    /// The backup worker.
    pub(crate) worker: worker::Client,
    /// The helper of root.
    pub(crate) helper: helper::Client,
    pub(crate) log: Opened,
    pub(crate) tuning: Tuning,
    /// Set when the server stops.
    pub(crate) stopping: Cancel,
    activated: AtomicBool,
    steady: SteadyClock,
}

impl State {
    pub(crate) fn new(
        layout: Layout,
        settings: Settings,
        db: Db,
        log: Opened,
        tuning: Tuning,
    ) -> Result<Self> {
        let activated = db.read(users::any)?;
        let highest = db.read(|c| tokens::time(c, millis(tuning.clock.now())))?;
        let steady = SteadyClock::new(highest, tuning.clock.monotonic());
        let worker = match layout.worker_socket() {
            Some(socket) => worker::Client::Socket(socket),
            None => worker::Client::Here(Arc::new(Worker {
                layout: layout.clone(),
                settings: WorkerSettings::of(&settings),
                folders: Folders::Database(db.clone()),
                clock: tuning.clock.clone(),
                helper: helper::Client::Here(tuning.hook_limit),
                making: tokio::sync::Mutex::default(),
            })),
        };
        let helper =
            layout.helper_socket().map_or(helper::Client::Here(tuning.hook_limit), helper::Client::Socket);
        Ok(Self {
            layout,
            settings,
            db,
            worker,
            helper,
            log,
            tuning,
            stopping: Cancel::new(),
            activated: AtomicBool::new(activated),
            steady,
        })
    }

    /// Returns the time, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        millis(self.tuning.clock.now())
    }

    /// Returns the time used to judge tokens, in milliseconds since 1970. It follows the clock, but never
    /// decreases.
    pub(crate) fn token_time(&self) -> i64 {
        self.steady.now(self.now(), self.tuning.clock.monotonic())
    }

    pub(crate) fn is_activated(&self) -> bool {
        self.activated.load(Ordering::SeqCst)
    }

    pub(crate) fn set_activated(&self) {
        self.activated.store(true, Ordering::SeqCst);
    }

    /// Returns true if another machine has taken over. The owner of the machine may change this while the
    /// server runs.
    pub(crate) async fn is_retired(&self) -> Result<bool> {
        self.db.read_async(|c| Ok(settings::get(c, settings::RETIRED)?.is_some())).await
    }

    /// Adds an event to the log. An event that belongs to a change of the database is written with that
    /// change instead.
    ///
    /// # Errors
    /// Errors of the database.
    pub(crate) async fn event(&self, action: &'static str, source: EventSource, data: Value) -> Result<()> {
        let now = self.now();
        tracing::info!(action, user = source.username.as_deref(), "Event");
        self.db.write_async(move |c| events::add(c, now, action, &source, &data)).await
    }

    /// Adds an event, but only logs an error, for work that continues without the event, such as on a full
    /// disk.
    pub(crate) async fn try_event(&self, action: &'static str, source: EventSource, data: Value) {
        if let Err(error) = self.event(action, source, data).await {
            tracing::warn!(action, %error, "The event could not be written");
        }
    }
}
