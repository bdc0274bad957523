//! The interface of a step.

use async_trait::async_trait;
use cloudron_core::Result;
use serde_json::Value;

use super::Context;

/// The result of a check.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Check {
    /// It does not exist: apply the step.
    Absent,
    /// It exists and is ours, with this output.
    Done(Value),
    /// An object that is not ours is in the way; the text describes it.
    Foreign(String),
}

/// The result of undoing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undo {
    /// It was removed, or never existed.
    Undone,
    /// It was left, for the given reason: a sentence for the user.
    Kept(String),
}

/// One change that a run makes.
///
/// Outputs are written to the journal and must not contain secrets.
#[async_trait]
pub trait Step: Send + Sync {
    /// Returns a stable name, which is part of the journal's format: `machine`, `first-contact`, `program`.
    fn id(&self) -> &'static str;

    /// Returns one line that describes the step, for `--dry-run` and progress: `Copy the program to 192.0.2.7`.
    fn plan(&self) -> String;

    /// Checks whether the step is done already, without changing anything. [`Context::previous`] returns the output
    /// that the journal recorded, if any.
    ///
    /// # Errors
    /// Any error of the check; the run then stops as if applying had failed.
    async fn check(&self, context: &Context) -> Result<Check>;

    /// Applies the step. It is called again after a failure or crash, always after a `check` that returned
    /// [`Check::Absent`], so a partial result must not stop it.
    ///
    /// # Errors
    /// Retryable errors are tried again, others end the run.
    async fn apply(&self, context: &Context) -> Result<Value>;

    /// Undoes the step, with the output if one was recorded. It removes only what is ours; if that no longer exists, it
    /// succeeds. It may be called several times.
    ///
    /// # Errors
    /// Any error; the other steps are undone nevertheless.
    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo>;

    /// Returns whether the output says that the goal named by [`plan`](Self::plan) was reached. A step may succeed
    /// without; its caller is told that the goal is not reached yet.
    fn reached(&self, _output: &Value) -> bool {
        true
    }

    /// Returns whether nothing before this step may be undone once it is done.
    fn point_of_no_return(&self) -> bool {
        false
    }
}
