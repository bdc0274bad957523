//! The context of a step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cloudron_core::{Cancel, Clock, Code, Progress, Result, SystemClock};
use serde_json::Value;

use crate::codes;
use crate::provider::CloudProvider;
use crate::remote::{Command, Remote};

/// The outputs of the completed steps, by step ID.
pub type Outputs = BTreeMap<String, Value>;

/// The state that the steps of a run share: the provider and its connection, the outputs so far, progress and
/// cancellation. Clones share everything.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    /// The destination of progress events.
    pub progress: Progress,
    /// Set if the user asked to stop.
    pub cancel: Cancel,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    codes: Arc<[&'static Code]>,
}

struct Inner {
    fqdn: String,
    provider: Arc<dyn CloudProvider>,
    outputs: Mutex<Outputs>,
    run: Mutex<String>,
    attempts: Mutex<BTreeMap<String, u32>>,
    remote: tokio::sync::Mutex<Option<Arc<dyn Remote>>>,
}

impl Context {
    /// Creates a context without outputs.
    pub fn new(fqdn: impl Into<String>, provider: Arc<dyn CloudProvider>) -> Self {
        Self {
            inner: Arc::new(Inner {
                fqdn: fqdn.into(),
                provider,
                outputs: Mutex::default(),
                run: Mutex::default(),
                attempts: Mutex::default(),
                remote: tokio::sync::Mutex::new(None),
            }),
            progress: Progress::none(),
            cancel: Cancel::new(),
            clock: Arc::new(SystemClock),
            codes: Arc::new([]),
        }
    }

    /// Sets the destination of progress events.
    pub fn progress(mut self, progress: &Progress) -> Self {
        self.progress = progress.clone();
        self
    }

    /// Sets the cancellation flag.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// Sets the error codes that the machine's program may report.
    pub fn knowing(mut self, codes: impl IntoIterator<Item = &'static Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// Builds a command for the machine's own program with these arguments, as root.
    pub fn program(&self, argv: &[String]) -> Command {
        Command::new(argv).as_root().knowing(&self.codes)
    }

    /// Sets the clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the name of the run's machine.
    pub fn fqdn(&self) -> &str {
        &self.inner.fqdn
    }

    /// Returns the run's ID, a ULID; empty before the run began.
    pub fn run(&self) -> String {
        self.inner.run.lock().expect("nothing panics while holding this lock").clone()
    }

    /// Returns the provider.
    pub fn provider(&self) -> &Arc<dyn CloudProvider> {
        &self.inner.provider
    }

    /// Returns the output of a step, if it is done.
    pub fn output(&self, step: &str) -> Option<Value> {
        self.outputs().get(step).cloned()
    }

    /// Returns the recorded output of a step for its own `check` and `undo`: the same as [`output`](Self::output).
    pub fn previous(&self, step: &str) -> Option<Value> {
        self.output(step)
    }

    /// Returns how often the run has begun to apply a step. 0 means that nothing of it can exist.
    pub fn attempts(&self, step: &str) -> u32 {
        let attempts = self.inner.attempts.lock().expect("nothing panics while holding this lock");
        attempts.get(step).copied().unwrap_or_default()
    }

    /// Returns all outputs so far.
    pub fn outputs(&self) -> Outputs {
        self.inner.outputs.lock().expect("nothing panics while holding this lock").clone()
    }

    /// Returns the connection to the machine, which is opened on the first call.
    ///
    /// # Errors
    /// As [`CloudProvider::connect`].
    pub async fn remote(&self) -> Result<Arc<dyn Remote>> {
        let mut slot = self.inner.remote.lock().await;
        if let Some(remote) = &*slot {
            return Ok(remote.clone());
        }
        let connecting = self.inner.provider.connect(&self.outputs()).await;
        let remote = connecting.map_err(|error| match error.is(&codes::HOST_KEY_CHANGED) {
            true => error.with_detail("domain", self.fqdn()),
            false => error,
        })?;
        *slot = Some(remote.clone());
        Ok(remote)
    }

    /// Replaces the connection, for example after SSH moved to another port.
    pub async fn set_remote(&self, remote: Arc<dyn Remote>) {
        *self.inner.remote.lock().await = Some(remote);
    }

    pub(super) fn begin(&self, run: &str, outputs: Outputs) {
        *self.inner.run.lock().expect("nothing panics while holding this lock") = run.into();
        *self.inner.outputs.lock().expect("nothing panics while holding this lock") = outputs;
    }

    pub(super) fn set_attempts(&self, step: &str, attempts: u32) {
        let mut all = self.inner.attempts.lock().expect("nothing panics while holding this lock");
        all.insert(step.into(), attempts);
    }

    pub(super) fn record(&self, step: &str, output: Value) {
        self.inner
            .outputs
            .lock()
            .expect("nothing panics while holding this lock")
            .insert(step.into(), output);
    }
}
