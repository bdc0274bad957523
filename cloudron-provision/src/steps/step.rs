//! What a step is.

use async_trait::async_trait;
use cloudron_core::Result;
use serde_json::Value;

use super::Context;

/// What a look at the world found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Check {
    /// It is not there: apply.
    Absent,
    /// It is there and ours, with this output.
    Done(Value),
    /// Something that is not ours stands in the way, described by the text.
    Foreign(String),
}

/// How undoing went.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Undo {
    /// It is gone, or never was.
    Undone,
    /// It was left, for the reason given: a sentence for the user.
    Kept(String),
}

/// One thing that a run makes.
///
/// Outputs go into the journal and must hold nothing secret.
#[async_trait]
pub trait Step: Send + Sync {
    /// A stable name, part of the journal's format: `first-contact`, `program`, `server`.
    fn id(&self) -> &'static str;

    /// One line that says what it does, for `--dry-run` and progress: `Copy the program to 192.0.2.7`.
    fn plan(&self) -> String;

    /// Looks whether it is done already, without changing anything. [`Context::previous`] has the output that
    /// the journal recorded, if it did.
    ///
    /// # Errors
    /// Whatever the look runs into; the run then stops as if applying had failed.
    async fn check(&self, context: &Context) -> Result<Check>;

    /// Does it. Called again after a failure or a death in between, always after a `check` that said
    /// [`Check::Absent`], so whatever it half did must not stop it.
    ///
    /// # Errors
    /// Retryable ones are tried again, others end the run.
    async fn apply(&self, context: &Context) -> Result<Value>;

    /// Takes it back, given the output if one was recorded. Removes only what is ours; that it is gone
    /// already is success. May be called several times.
    ///
    /// # Errors
    /// Whatever it runs into; the rest is undone all the same.
    async fn undo(&self, context: &Context, output: Option<&Value>) -> Result<Undo>;

    /// Whether the output says that what [`plan`](Self::plan) names was reached. A step may end well without: its
    /// caller is told that it is not done yet.
    fn reached(&self, _output: &Value) -> bool {
        true
    }

    /// Whether nothing before this step may be undone once it is done.
    fn point_of_no_return(&self) -> bool {
        false
    }
}
