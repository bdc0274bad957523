//! `store`: a backup store that only this computer has is copied to the machine.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::Result;
use serde_json::{Value, json};

use crate::steps::{Check, Context, Step, Undo};
use crate::{Command, Stdin, answer};

/// Opens what is sent; called again when it has to be sent again.
pub type OpenSource = Arc<dyn Fn() -> Result<Box<dyn Read + Send>> + Send + Sync>;

/// Pipes a stream into a command on the machine.
pub struct StoreUpload {
    receive: Vec<String>,
    open: OpenSource,
    limit: Duration,
}

impl StoreUpload {
    /// Runs the command that receives the stream.
    pub fn new<S: Into<String>>(receive: impl IntoIterator<Item = S>, open: OpenSource) -> Self {
        let receive = receive.into_iter().map(Into::into).collect();
        Self { receive, open, limit: Duration::from_secs(24 * 3600) }
    }
}

#[async_trait]
impl Step for StoreUpload {
    fn id(&self) -> &'static str {
        "store"
    }

    fn plan(&self) -> String {
        "Copy the backups to the machine".into()
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        let source = (self.open)()?;
        let command = Command::new(self.receive.clone())
            .as_root()
            .within(self.limit)
            .stdin(Stdin::Reader(source))
            .cancelled_by(&context.cancel);
        answer::run(&*remote, command).await?;
        Ok(json!({}))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        // Backups are never removed on the way back.
        Ok(Undo::Undone)
    }
}
