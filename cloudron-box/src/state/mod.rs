//! What health, jobs and the interface of a running server share: its settings, its database, its log and its clock.

mod steady;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloudron_core::{Cancel, Clock, SystemClock};
use serde_json::Value;

use crate::api::EventSource;
use crate::db::{Db, events, settings, tokens, users};
use crate::log::Opened;
use crate::settings::Settings;
use crate::time::millis;
use crate::{Layout, Result};
use steady::SteadyClock;

/// What a test sets to other values than a real server has.
#[derive(Clone)]
pub(crate) struct Tuning {
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a hook command may take.
    pub(crate) hook_limit: Duration,
    /// How long a request may take.
    pub(crate) request_limit: Duration,
    /// How often tokens, database and certificate are looked at.
    pub(crate) tick: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            hook_limit: Duration::from_secs(3600),
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
    pub(crate) log: Opened,
    pub(crate) tuning: Tuning,
    /// Raised when the server stops.
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
        Ok(Self {
            layout,
            settings,
            db,
            log,
            tuning,
            stopping: Cancel::new(),
            activated: AtomicBool::new(activated),
            steady,
        })
    }

    /// The time, in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        millis(self.tuning.clock.now())
    }

    /// The time by which tokens are judged, in milliseconds since 1970. It is the clock's, but never goes back.
    pub(crate) fn token_time(&self) -> i64 {
        self.steady.now(self.now(), self.tuning.clock.monotonic())
    }

    pub(crate) fn is_activated(&self) -> bool {
        self.activated.load(Ordering::SeqCst)
    }

    pub(crate) fn set_activated(&self) {
        self.activated.store(true, Ordering::SeqCst);
    }

    /// Whether another machine took over. The owner of the machine may change that while this server runs.
    pub(crate) async fn is_retired(&self) -> Result<bool> {
        self.db.read_async(|c| Ok(settings::get(c, settings::RETIRED)?.is_some())).await
    }

    /// Adds to the event log. Where the event belongs to a change in the database, it is written with the
    /// change instead.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn event(&self, action: &'static str, source: EventSource, data: Value) -> Result<()> {
        let now = self.now();
        tracing::info!(action, user = source.username.as_deref(), "Event");
        self.db.write_async(move |c| events::add(c, now, action, &source, &data)).await
    }

    /// The same where the work goes on without the event, such as on a full disk.
    pub(crate) async fn try_event(&self, action: &'static str, source: EventSource, data: Value) {
        if let Err(error) = self.event(action, source, data).await {
            tracing::warn!(action, %error, "The event could not be written");
        }
    }
}
