//! What a step is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cloudron_core::{Cancel, Clock, Code, Progress, Result, SystemClock};
use serde_json::Value;

use crate::codes;
use crate::provider::CloudProvider;
use crate::remote::{Command, Remote};

/// The outputs of the steps done so far, by step id.
pub type Outputs = BTreeMap<String, Value>;

/// What the steps of a run share: the provider and its connection, the outputs so far, progress and the wish
/// to stop. Clones share everything.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
    /// Where progress goes.
    pub progress: Progress,
    /// Whether the user asked to stop.
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
    remote: tokio::sync::Mutex<Option<Arc<dyn Remote>>>,
}

impl Context {
    /// A context without outputs.
    pub fn new(fqdn: impl Into<String>, provider: Arc<dyn CloudProvider>) -> Self {
        Self {
            inner: Arc::new(Inner {
                fqdn: fqdn.into(),
                provider,
                outputs: Mutex::default(),
                run: Mutex::default(),
                remote: tokio::sync::Mutex::new(None),
            }),
            progress: Progress::none(),
            cancel: Cancel::new(),
            clock: Arc::new(SystemClock),
            codes: Arc::new([]),
        }
    }

    /// The same context with progress reported there.
    pub fn progress(mut self, progress: &Progress) -> Self {
        self.progress = progress.clone();
        self
    }

    /// The same context, stopped by that flag.
    pub fn cancelled_by(mut self, cancel: &Cancel) -> Self {
        self.cancel = cancel.clone();
        self
    }

    /// The same context, whose machine's program may tell of these error codes.
    pub fn knowing(mut self, codes: impl IntoIterator<Item = &'static Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// The machine's own program with these arguments, as root.
    pub fn program(&self, argv: &[String]) -> Command {
        Command::new(argv).as_root().knowing(&self.codes)
    }

    /// The same context with another clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The name of the machine that the run is about.
    pub fn fqdn(&self) -> &str {
        &self.inner.fqdn
    }

    /// The run's id, a ULID; empty before it began.
    pub fn run(&self) -> String {
        self.inner.run.lock().expect("nothing panics while holding this lock").clone()
    }

    /// The provider.
    pub fn provider(&self) -> &Arc<dyn CloudProvider> {
        &self.inner.provider
    }

    /// The output of a step, if it is done.
    pub fn output(&self, step: &str) -> Option<Value> {
        self.outputs().get(step).cloned()
    }

    /// What a step's own `check` and `undo` find recorded of it: the same as [`output`](Self::output).
    pub fn previous(&self, step: &str) -> Option<Value> {
        self.output(step)
    }

    /// All outputs so far.
    pub fn outputs(&self) -> Outputs {
        self.inner.outputs.lock().expect("nothing panics while holding this lock").clone()
    }

    /// The connection to the machine, made when first asked for.
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
            true => error.with_hint(format!(
                "find out why it changed; when the new key is right, `cloudron machine trust {}` records it",
                self.fqdn()
            )),
            false => error,
        })?;
        *slot = Some(remote.clone());
        Ok(remote)
    }

    /// Replaces the connection, such as after SSH moved to another port.
    pub async fn set_remote(&self, remote: Arc<dyn Remote>) {
        *self.inner.remote.lock().await = Some(remote);
    }

    pub(super) fn begin(&self, run: &str, outputs: Outputs) {
        *self.inner.run.lock().expect("nothing panics while holding this lock") = run.into();
        *self.inner.outputs.lock().expect("nothing panics while holding this lock") = outputs;
    }

    pub(super) fn record(&self, step: &str, output: Value) {
        self.inner
            .outputs
            .lock()
            .expect("nothing panics while holding this lock")
            .insert(step.into(), output);
    }
}
