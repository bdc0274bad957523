//! The state that a journal's records fold to. Pure.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;

use super::{Ending, Outputs, Record, Spec};

/// The version of the journal's format that is written.
pub(super) const SCHEMA: u32 = 1;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StepState {
    /// Nothing was done for it.
    #[default]
    Pending,
    /// It was begun, and how that ended is not known.
    InDoubt,
    /// It failed, and may have left something.
    Failed,
    /// It is done.
    Done,
    /// Undoing it was begun, and how that ended is not known; or it failed.
    UndoInDoubt,
    /// It is undone.
    Undone,
}

/// Which way a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Steps are applied.
    Forward,
    /// Steps are undone.
    Back,
    /// It is over.
    Ended(Ending),
}

#[derive(Debug, Clone, Default, PartialEq)]
struct StepLog {
    state: StepState,
    attempts: u32,
    created: bool,
    output: Option<Value>,
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    run: String,
    spec: Spec,
    plan: Vec<String>,
    phase: Phase,
    steps: BTreeMap<String, StepLog>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RunSummary {
    /// Its id, a ULID.
    pub run: String,
    /// What it is about.
    pub spec: Spec,
    /// When it began.
    pub started: SystemTime,
    /// How many of its steps are done.
    pub done: usize,
    /// How many steps it has.
    pub steps: usize,
    /// The step that comes next, if any.
    pub next: Option<String>,
    /// Which way it was going.
    pub phase: Phase,
}

impl RunState {
    /// Folds a journal's records, in order.
    ///
    /// # Errors
    /// The number of the first record that cannot follow those before it, from 0, and what is wrong with it.
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

    /// Takes one more record in.
    ///
    /// # Errors
    /// Why it cannot follow those before it.
    pub fn apply(&mut self, record: &Record) -> Result<(), String> {
        use StepState::{Done, Failed, InDoubt, UndoInDoubt, Undone};
        if let Phase::Ended(_) = self.phase {
            return Err("a record follows `end`".into());
        }
        match record {
            Record::Begin { .. } => return Err("`begin` appears twice".into()),
            Record::Intent { step, attempt } => {
                let log = self.step(step, Phase::Forward)?;
                // An output of before says nothing of what is being done now.
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

    /// The run's id, a ULID.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// What the run is about.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The ids of its steps, in order.
    pub fn plan(&self) -> &[String] {
        &self.plan
    }

    /// Which way it goes.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Where a step stands.
    pub fn step_state(&self, id: &str) -> StepState {
        self.steps.get(id).map(|s| s.state).unwrap_or_default()
    }

    /// How often a step was begun.
    pub fn attempts(&self, id: &str) -> u32 {
        self.steps.get(id).map_or(0, |s| s.attempts)
    }

    /// Whether this run may have made what the step makes, so that undoing removes it.
    pub fn created(&self, id: &str) -> bool {
        self.steps.get(id).is_some_and(|s| s.created)
    }

    /// A step's recorded output.
    pub fn output(&self, id: &str) -> Option<&Value> {
        self.steps.get(id).and_then(|s| s.output.as_ref())
    }

    /// The outputs of all steps that have one.
    pub fn outputs(&self) -> Outputs {
        self.steps.iter().filter_map(|(id, s)| Some((id.clone(), s.output.clone()?))).collect()
    }

    /// The run as an entry of a list.
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
