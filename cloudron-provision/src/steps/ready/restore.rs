//! `restore`: the data of a backup is on the machine.

use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Result, Secret};
use serde_json::Value;

use crate::answer;
use crate::steps::{Check, Context, Step, Undo};

/// Runs the program's restore on the machine and passes its progress on. Its result is the output and must not contain
/// secrets.
pub struct Restore {
    command: Vec<String>,
    stdin: Secret,
    limit: Duration,
    plan: String,
}

impl Restore {
    /// Creates the step, which runs that command with that text on its standard input. The command prints events as
    /// JSON lines, then `{"result":…}` or `{"error":…}`.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>, stdin: Secret) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            stdin,
            limit: Duration::from_secs(24 * 3600),
            plan: "Restore the backup".into(),
        }
    }

    /// Sets the sentence that says what the step does.
    pub fn described(mut self, plan: impl Into<String>) -> Self {
        self.plan = plan.into();
        self
    }

    /// Sets the time limit; the default is one day.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

#[async_trait]
impl Step for Restore {
    fn id(&self) -> &'static str {
        "restore"
    }

    fn plan(&self) -> String {
        self.plan.clone()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        let command = context
            .program(&self.command)
            .within(self.limit)
            .stdin_secret(&self.stdin)
            .cancelled_by(&context.cancel);
        answer::events(&*remote, command, &context.progress).await
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}
