//! Running and resuming of steps.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudron_core::{Error, ErrorKind, Result, RetryPolicy, Unit};
use serde_json::Value;
use tracing::Instrument;

use super::lock::Lock;
use super::{
    Check, Context, Ending, Journal, Outputs, Phase, Record, RunState, RunSummary, Spec, Step, StepState,
};
use crate::codes;

pub(super) type Shared = Arc<Mutex<Journal>>;

/// Runs lists of steps, with one journal per run, all in one folder.
#[derive(Debug, Clone)]
pub struct Runner {
    pub(super) folder: PathBuf,
    pub(super) retry: RetryPolicy,
    keep: bool,
    leave_unfinished: bool,
}

/// The reason why a run stopped.
struct Stop {
    step: &'static str,
    error: Error,
}

impl Runner {
    /// Creates a runner with its journals in that folder, which is created when needed.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let retry = RetryPolicy::attempts(3).waits(Duration::from_secs(1), Duration::from_secs(10));
        Self { folder: folder.into(), retry, keep: false, leave_unfinished: false }
    }

    /// Sets how often a step is retried after a transient failure.
    pub fn retries(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets whether a failed run is left as it is instead of being undone.
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Sets whether a run that failed for a transient reason, such as a lost connection, is left to be resumed instead
    /// of being undone. It then ends with `run-unfinished`.
    pub fn leave_unfinished(mut self, leave: bool) -> Self {
        self.leave_unfinished = leave;
        self
    }

    /// Executes the steps in order and returns their outputs.
    ///
    /// # Errors
    /// The error of the step that failed, after the changes of this run were undone, or with the detail
    /// [`UNFINISHED`](codes::UNFINISHED) if they were [kept](Self::keep); `run-exists` if an earlier run of
    /// that name is unfinished; `run-unfinished` if it can be resumed; `undo-failed` if something is left;
    /// `interrupted`; `run-busy`; `io` and similar codes if the journal cannot be written.
    pub async fn run(&self, spec: Spec, steps: &[Arc<dyn Step>], context: &Context) -> Result<Outputs> {
        self.check_idle(&spec.fqdn)?;
        self.check_finished(&spec.fqdn)?;
        let plan = steps.iter().map(|s| s.id().to_string()).collect();
        let journal = Journal::begin(&self.folder, spec, plan)?;
        self.forward(journal, steps, context).await
    }

    /// Continues a run that was begun on another computer, whose journal is not here. The steps find what it made by its
    /// marks; the provider must be one that adopts it. What is found is not undone if this fails.
    ///
    /// # Errors
    /// As [`run`](Self::run); `usage` if `run` is no ID of a run.
    pub async fn take_over(
        &self,
        run: &str,
        spec: Spec,
        steps: &[Arc<dyn Step>],
        context: &Context,
    ) -> Result<Outputs> {
        self.check_idle(&spec.fqdn)?;
        self.check_finished(&spec.fqdn)?;
        let plan = steps.iter().map(|s| s.id().to_string()).collect();
        let journal = Journal::begin_as(run, &self.folder, spec, plan)?;
        self.forward(journal, steps, context).await
    }

    /// Refuses a name with an unfinished run.
    ///
    /// # Errors
    /// `run-exists`; as [`unfinished`](Self::unfinished).
    pub fn check_finished(&self, fqdn: &str) -> Result<()> {
        let Some(old) = self.unfinished(Some(fqdn))?.into_iter().next() else { return Ok(()) };
        let message = format!("an earlier run to {} {fqdn} is unfinished", old.spec.op);
        Err(Error::new(&codes::RUN_EXISTS, message).with_detail("domain", fqdn))
    }

    /// Resumes a run. Done steps are checked and skipped; an interrupted step is checked and repeated if necessary. A
    /// run that was being undone is undone completely.
    ///
    /// # Errors
    /// As [`run`](Self::run); `run-missing`, `journal-corrupt`; `run-plan-changed` if the steps differ;
    /// `run-rolled-back` if it was being undone.
    pub async fn resume(&self, run: &str, steps: &[Arc<dyn Step>], context: &Context) -> Result<Outputs> {
        let journal = self.reopen(run, steps)?;
        match journal.state().phase() {
            Phase::Forward => self.forward(journal, steps, context).await,
            Phase::Ended(Ending::Committed) => Ok(journal.state().outputs()),
            Phase::Ended(_) => Err(over(run)),
            Phase::Back => {
                context.begin(run, journal.state().outputs());
                self.back(&Arc::new(Mutex::new(journal)), steps, context).await?;
                Err(over(run))
            }
        }
    }

    /// Undoes the changes of a run, in reverse order.
    ///
    /// # Errors
    /// `undo-failed` if something is left; `interrupted`; as [`resume`](Self::resume).
    pub async fn rollback(&self, run: &str, steps: &[Arc<dyn Step>], context: &Context) -> Result<()> {
        let journal = self.reopen(run, steps)?;
        if let Phase::Ended(_) = journal.state().phase() {
            return Ok(());
        }
        context.begin(run, journal.state().outputs());
        self.back(&Arc::new(Mutex::new(journal)), steps, context).await
    }

    /// Ends a run without undoing it, for example after its machine was removed in another way.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn abandon(&self, run: &str) -> Result<()> {
        let mut journal = Journal::open(&self.folder, run)?;
        if let Phase::Ended(_) = journal.state().phase() {
            return Ok(());
        }
        journal.write(&Record::End { ending: Ending::Abandoned })
    }

    /// Returns the runs that have not ended, of one name or of all, newest first.
    ///
    /// # Errors
    /// `journal-corrupt` if one of these journals cannot be read.
    pub fn unfinished(&self, fqdn: Option<&str>) -> Result<Vec<RunSummary>> {
        let open = |s: &RunState| !matches!(s.phase(), Phase::Ended(_));
        let named = |s: &RunState| fqdn.is_none_or(|f| f == s.spec().fqdn);
        let states = Journal::list_of(&self.folder, fqdn)?;
        Ok(states.iter().filter(|s| open(s) && named(s)).map(RunState::summary).collect())
    }

    /// Refuses a name that another process works on. Call it before anything else: while that process works, the run
    /// must be neither resumed nor removed.
    ///
    /// # Errors
    /// `run-busy`, and the codes of file operations.
    pub fn check_idle(&self, fqdn: &str) -> Result<()> {
        if self.folder.is_dir() { Lock::take(&self.folder, fqdn).map(drop) } else { Ok(()) }
    }

    fn reopen(&self, run: &str, steps: &[Arc<dyn Step>]) -> Result<Journal> {
        let journal = Journal::open(&self.folder, run)?;
        let plan: Vec<&str> = steps.iter().map(|s| s.id()).collect();
        if journal.state().plan() != plan {
            let message = format!(
                "the run has the steps {}, not {}",
                journal.state().plan().join(", "),
                plan.join(", ")
            );
            return Err(Error::new(&codes::RUN_PLAN_CHANGED, message)
                .with_detail("domain", &journal.state().spec().fqdn));
        }
        Ok(journal)
    }

    async fn forward(&self, journal: Journal, steps: &[Arc<dyn Step>], context: &Context) -> Result<Outputs> {
        context.begin(journal.state().run(), journal.state().outputs());
        let journal = Arc::new(Mutex::new(journal));
        let stop = match self.all(&journal, steps, context).await {
            Ok(()) => {
                with(&journal, |j| j.write(&Record::End { ending: Ending::Committed }))?;
                return Ok(context.outputs());
            }
            Err(stop) => stop,
        };
        self.stopped(stop, &journal, steps, context).await
    }

    async fn all(&self, journal: &Shared, steps: &[Arc<dyn Step>], context: &Context) -> Result<(), Stop> {
        for step in steps {
            let stop = |error| Stop { step: step.id(), error };
            context.cancel.check().map_err(stop)?;
            let task = context.progress.task(step.plan(), Unit::None, None);
            let span = tracing::info_span!("step", id = step.id());
            let output = self.until_done(step, journal, context).instrument(span).await.map_err(stop)?;
            if step.reached(&output) {
                task.finish();
            } else {
                task.leave();
            }
            context.record(step.id(), output);
        }
        Ok(())
    }

    /// Executes one step. After a transient failure it checks and tries again.
    async fn until_done(&self, step: &Arc<dyn Step>, journal: &Shared, context: &Context) -> Result<Value> {
        let mut retries = self.retry.begin(&*context.clock);
        loop {
            let error = match self.once(step, journal, context).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let wait = if error.is_retryable() { retries.next_wait(None) } else { None };
            let Some(wait) = wait else { return Err(error) };
            context.progress.note(format!("{error}. Trying again."));
            retries.wait(&error, wait).await;
            context.cancel.check()?;
        }
    }

    async fn once(&self, step: &Arc<dyn Step>, journal: &Shared, context: &Context) -> Result<Value> {
        context.set_attempts(step.id(), with(journal, |j| Ok(j.state().attempts(step.id())))?);
        match step.check(context).await? {
            Check::Done(output) => {
                tracing::info!("is done already");
                adopt(journal, step.id(), &output)?;
                Ok(output)
            }
            Check::Foreign(what) => Err(Error::new(&codes::STEP_FOREIGN, what)),
            Check::Absent => {
                context.cancel.check()?;
                tracing::info!("is applied");
                apply(step.clone(), journal.clone(), context.clone()).await
            }
        }
    }

    /// Decides how to continue with a run that stopped.
    async fn stopped(
        &self,
        stop: Stop,
        journal: &Shared,
        steps: &[Arc<dyn Step>],
        context: &Context,
    ) -> Result<Outputs> {
        let Stop { step, error } = stop;
        if error.kind() == ErrorKind::Interrupted || context.cancel.is_cancelled() {
            return Err(cancelled(journal, step, context));
        }
        if self.keep {
            return Err(error.with_detail(codes::UNFINISHED, context.fqdn()));
        }
        let passing = error.is_retryable() || error.kind() == ErrorKind::Partial;
        if (passing && self.leave_unfinished) || past_return(journal, steps) {
            return Err(unfinished(step, error, context));
        }
        self.back(journal, steps, context).await.map_err(|undo| undo.with_source(error_box(&error)))?;
        Err(error)
    }
}

/// Applies a step in a separate task, so that dropping the run's future cannot lose the outcome.
async fn apply(step: Arc<dyn Step>, journal: Shared, context: Context) -> Result<Value> {
    let id = step.id();
    let attempt = with(&journal, |j| Ok(j.state().attempts(id)))? + 1;
    with(&journal, |j| j.write(&Record::Intent { step: id.into(), attempt }))?;
    let span = tracing::Span::current();
    let work = async move {
        let outcome = step.apply(&context).await;
        let record = match &outcome {
            Ok(output) => Record::Done { step: id.into(), output: output.clone() },
            // Stopped by the user; its progress is not known.
            Err(e) if e.kind() == ErrorKind::Interrupted => return outcome,
            Err(e) => {
                Record::Failed { step: id.into(), code: e.code().name.into(), retryable: e.is_retryable() }
            }
        };
        with(&journal, |j| j.write(&record))?;
        outcome
    };
    tokio::spawn(work.instrument(span)).await.unwrap_or_else(|e| {
        Err(Error::new(&codes::STEP_PANICKED, format!("step `{id}` broke off")).with_source(e))
    })
}

fn adopt(journal: &Shared, id: &str, output: &Value) -> Result<()> {
    with(journal, |j| {
        let state = j.state();
        if state.step_state(id) == StepState::Done && state.output(id) == Some(output) {
            return Ok(());
        }
        j.write(&Record::Adopted { step: id.into(), output: output.clone() })
    })
}

fn past_return(journal: &Shared, steps: &[Arc<dyn Step>]) -> bool {
    let journal = journal.lock().expect("nothing panics while holding this lock");
    steps.iter().any(|s| s.point_of_no_return() && journal.state().step_state(s.id()) == StepState::Done)
}

pub(super) fn with<T>(journal: &Shared, work: impl FnOnce(&mut Journal) -> Result<T>) -> Result<T> {
    work(&mut journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Records that the user stopped the run. A failure to write this record has no effect, because its intents are
/// recorded.
pub(super) fn cancelled(journal: &Shared, step: &str, context: &Context) -> Error {
    let _ = with(journal, |j| j.write(&Record::Cancel));
    Error::new(&cloudron_core::codes::INTERRUPTED, format!("stopped on request at step `{step}`"))
        .with_detail(codes::UNFINISHED, context.fqdn())
}

fn unfinished(step: &str, error: Error, context: &Context) -> Error {
    Error::new(&codes::RUN_UNFINISHED, format!("step `{step}` is not done: {error}"))
        .with_detail(codes::UNFINISHED, context.fqdn())
        .with_source(error)
}

fn over(run: &str) -> Error {
    Error::new(&codes::RUN_ROLLED_BACK, format!("run {run} had failed and is undone"))
}

fn error_box(error: &Error) -> Box<dyn std::error::Error + Send + Sync> {
    error.to_string().into()
}
