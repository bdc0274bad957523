//! Rollback of a run.

use std::sync::Arc;

use cloudron_core::{Code, Error, ErrorKind, Result, Unit};

use super::runner::{Shared, cancelled, with};
use super::{Context, Ending, Phase, Record, Runner, Step, StepState, Undo};
use crate::codes;

impl Runner {
    /// Undoes the steps that this run may have done, last first. A step that cannot be undone does not stop the others;
    /// the run then stays unfinished. If a login on the machine is not possible, for example because its host key
    /// changed, the run is left unchanged: when a login is possible again, it can be resumed or rolled back.
    pub(super) async fn back(
        &self,
        journal: &Shared,
        steps: &[Arc<dyn Step>],
        context: &Context,
    ) -> Result<()> {
        if context.provider().undone_by_login()
            && made_something(journal)
            && let Err(error) = context.remote().await
            && no_way_in(&error)
        {
            return Err(error);
        }
        let mut left = Vec::new();
        for step in steps.iter().rev() {
            if context.cancel.is_cancelled() {
                return Err(cancelled(journal, step.id(), context));
            }
            if !to_undo(journal, step.id()) {
                continue;
            }
            if let Err(error) = self.undo(step, journal, context).await {
                if error.kind() == ErrorKind::Interrupted {
                    return Err(cancelled(journal, step.id(), context));
                }
                left.push(format!("{}: {error}", step.id()));
            }
        }
        if left.is_empty() {
            return with(journal, |j| j.write(&Record::End { ending: Ending::RolledBack }));
        }
        Err(Error::new(
            &codes::UNDO_FAILED,
            format!("not everything could be removed again: {}", left.join("; ")),
        )
        .with_detail("domain", context.fqdn()))
    }

    async fn undo(&self, step: &Arc<dyn Step>, journal: &Shared, context: &Context) -> Result<()> {
        let id = step.id();
        let task = context.progress.task(format!("Undo: {}", step.plan()), Unit::None, None);
        with(journal, |j| j.write(&Record::UndoIntent { step: id.into() }))?;
        let output = context.output(id);
        tracing::info!(id, "is undone");
        let outcome = self.retry.run(&*context.clock, || step.undo(context, output.as_ref())).await;
        match outcome {
            Ok(Undo::Undone) => with(journal, |j| j.write(&Record::Undone { step: id.into(), kept: None }))?,
            Ok(Undo::Kept(reason)) => {
                context.progress.warn(format!("Left as it is: {reason}"));
                with(journal, |j| j.write(&Record::Undone { step: id.into(), kept: Some(reason) }))?;
            }
            Err(error) => {
                let code = error.code().name.to_string();
                with(journal, |j| j.write(&Record::UndoFailed { step: id.into(), code }))?;
                return Err(error);
            }
        }
        task.finish();
        Ok(())
    }
}

/// Returns whether the run has done a step that it would have to undo.
fn made_something(journal: &Shared) -> bool {
    let journal = journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let state = journal.state();
    state.phase() == Phase::Forward
        && state.plan().iter().any(|id| state.step_state(id) == StepState::Done && state.created(id))
}

/// Returns whether the login failed for a reason that only a person can remove.
fn no_way_in(error: &Error) -> bool {
    const CODES: [&Code; 10] = [
        &codes::HOST_KEY_CHANGED,
        &codes::HOST_KEY_MISMATCH,
        &codes::HOST_KEY_REVOKED,
        &codes::HOST_KEY_UNKNOWN,
        &codes::HOST_KEY_REFUSED,
        &codes::SSH_AUTH,
        &codes::SSH_KEY_MISSING,
        &codes::SSH_KEY_MODE,
        &codes::SSH_KEY_ENCRYPTED,
        &codes::SSH_KEY_PASSPHRASE,
    ];
    CODES.iter().any(|code| error.is(code))
}

/// Returns whether a step may have left something that this run created.
fn to_undo(journal: &Shared, id: &str) -> bool {
    let journal = journal.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let touched = !matches!(journal.state().step_state(id), StepState::Pending | StepState::Undone);
    touched && journal.state().created(id)
}
