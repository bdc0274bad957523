//! The state computed from a journal's records. Pure functions.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use super::{Ending, Outputs, Record, Spec};

/// Version of the journal's format.
pub(super) const SCHEMA: u32 = 1;

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StepState {
    /// Nothing was done.
    #[default]
    Pending,
    /// It was begun, and the outcome is not known.
    InDoubt,
    /// It failed, and may have left something.
    Failed,
    /// It is done.
    Done,
    /// Undoing was begun and its outcome is not known, or undoing failed.
    UndoInDoubt,
    /// It is undone.
    Undone,
}

/// The direction of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Steps are applied.
    Forward,
    /// Steps are undone.
    Back,
    /// The run has ended.
    Ended(Ending),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct StepLog {
    state: StepState,
    attempts: u32,
    created: bool,
    output: Option<Value>,
}

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    run: String,
    spec: Spec,
    plan: Vec<String>,
    phase: Phase,
    steps: BTreeMap<String, StepLog>,
}

/// A run as an entry of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunSummary {
    /// The run's ID, a ULID.
    pub run: String,
    /// Subject of the run.
    pub spec: Spec,
    /// Start time.
    pub started: SystemTime,
    /// Number of completed steps.
    pub done: usize,
    /// Number of steps.
    pub steps: usize,
    /// The next step, if any.
    pub next: Option<String>,
    /// Direction of the run.
    pub phase: Phase,
}

impl RunState {
    /// Computes the state from a journal's records, in order.
    ///
    /// # Errors
    /// The index of the first record that cannot follow those before it, from 0, and the problem with it.
    pub fn fold(records: &[Record]) -> Result<Self, (usize, String)> {
        let Some((Record::Begin { schema, run, plan, spec, .. }, rest)) = records.split_first() else {
            return Err((0, "the first record is not `begin`".into()));
        };
        if *schema != SCHEMA {
            return Err((0, format!("the format is version {schema}, and this program knows {SCHEMA}")));
        }
        let steps = plan.iter().map(|id| (id.clone(), StepLog::default())).collect();
        let mut state =
            Self { run: run.clone(), spec: spec.clone(), plan: plan.clone(), phase: Phase::Forward, steps };
        for (n, record) in rest.iter().enumerate() {
            state.apply(record).map_err(|problem| (n + 1, problem))?;
        }
        Ok(state)
    }

    /// Applies one more record.
    ///
    /// # Errors
    /// The reason why it cannot follow those before it.
    pub fn apply(&mut self, record: &Record) -> Result<(), String> {
        use StepState::{Done, Failed, InDoubt, UndoInDoubt, Undone};
        if let Phase::Ended(_) = self.phase {
            return Err("a record follows `end`".into());
        }
        match record {
            Record::Begin { .. } => return Err("`begin` appears twice".into()),
            Record::Intent { step, attempt } => {
                let log = self.step(step, Phase::Forward)?;
                // An earlier output does not describe the current attempt.
                *log = StepLog { state: InDoubt, attempts: *attempt, created: true, output: None };
            }
            Record::Done { step, output } => {
                let log = self.step(step, Phase::Forward)?;
                log.was(&[InDoubt])?;
                log.state = Done;
                log.output = Some(output.clone());
            }
            Record::Adopted { step, output } => {
                let log = self.step(step, Phase::Forward)?;
                log.state = Done;
                log.output = Some(output.clone());
            }
            Record::Failed { step, .. } => {
                let log = self.step(step, Phase::Forward)?;
                log.was(&[InDoubt])?;
                log.state = Failed;
            }
            Record::UndoIntent { step } => {
                self.phase = Phase::Back;
                self.step(step, Phase::Back)?.state = UndoInDoubt;
            }
            Record::Undone { step, .. } => {
                let log = self.step(step, Phase::Back)?;
                log.was(&[UndoInDoubt])?;
                log.state = Undone;
            }
            Record::UndoFailed { step, .. } => self.step(step, Phase::Back)?.was(&[UndoInDoubt])?,
            Record::Cancel => {}
            Record::End { ending } => self.phase = Phase::Ended(*ending),
        }
        Ok(())
    }

    fn step(&mut self, id: &str, phase: Phase) -> Result<&mut StepLog, String> {
        if self.phase != phase {
            return Err(format!("step `{id}` goes forward after undoing began"));
        }
        self.steps.get_mut(id).ok_or_else(|| format!("step `{id}` is not in the plan"))
    }

    /// Returns the run's ID, a ULID.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Returns the subject of the run.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Returns the IDs of its steps, in order.
    pub fn plan(&self) -> &[String] {
        &self.plan
    }

    /// Returns the direction of the run.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the state of a step.
    pub fn step_state(&self, id: &str) -> StepState {
        self.steps.get(id).map(|s| s.state).unwrap_or_default()
    }

    /// Returns how often a step was begun.
    pub fn attempts(&self, id: &str) -> u32 {
        self.steps.get(id).map_or(0, |s| s.attempts)
    }

    /// Returns whether this run may have created what the step creates, so that undoing removes it.
    pub fn created(&self, id: &str) -> bool {
        self.steps.get(id).is_some_and(|s| s.created)
    }

    /// Returns a step's recorded output.
    pub fn output(&self, id: &str) -> Option<&Value> {
        self.steps.get(id).and_then(|s| s.output.as_ref())
    }

    /// Returns the outputs of all steps that have one.
    pub fn outputs(&self) -> Outputs {
        self.steps.iter().filter_map(|(id, s)| Some((id.clone(), s.output.clone()?))).collect()
    }

    /// Returns the run as an entry of a list.
    pub fn summary(&self) -> RunSummary {
        let done = |id: &&String| self.step_state(id) == StepState::Done;
        let started = ulid::Ulid::from_string(&self.run).map_or(SystemTime::UNIX_EPOCH, |u| u.datetime());
        RunSummary {
            run: self.run.clone(),
            spec: self.spec.clone(),
            started,
            done: self.plan.iter().filter(done).count(),
            steps: self.plan.len(),
            next: self.plan.iter().find(|id| !done(id)).cloned(),
            phase: self.phase,
        }
    }
}

impl StepLog {
    fn was(&self, allowed: &[StepState]) -> Result<(), String> {
        if allowed.contains(&self.state) {
            return Ok(());
        }
        Err(format!("the outcome of a step that stands at {:?}", self.state))
    }
}
