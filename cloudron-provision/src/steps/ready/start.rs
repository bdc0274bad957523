//! `start`: the server runs.

use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::Result;
use serde_json::{Value, json};

use crate::answer;
use crate::steps::{Check, Context, Step, Undo};

/// Starts the server, and stops it when undone.
pub struct StartServer {
    start: Vec<String>,
    stop: Vec<String>,
}

impl StartServer {
    /// Creates the step with these commands. Both must be idempotent.
    pub fn new<S: Into<String>>(
        start: impl IntoIterator<Item = S>,
        stop: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            start: start.into_iter().map(Into::into).collect(),
            stop: stop.into_iter().map(Into::into).collect(),
        }
    }
}

#[async_trait]
impl Step for StartServer {
    fn id(&self) -> &'static str {
        "start"
    }

    fn plan(&self) -> String {
        "Start the server".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        answer::run(&*remote, context.program(&self.start)).await?;
        Ok(json!({}))
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let remote = context.remote().await?;
        let stop = context.program(&self.stop).within(Duration::from_secs(120));
        answer::run(&*remote, stop).await?;
        Ok(Undo::Undone)
    }
}
