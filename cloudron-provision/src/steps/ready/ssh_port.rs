//! `ssh-port`: the machine's SSH server listens on another port.

use async_trait::async_trait;
use cloudron_core::Result;
use serde_json::{Value, json};

use crate::ssh::port::{self, Move};
use crate::steps::{Check, Context, Step, Undo};

/// Moves SSH with [`port::shift`], and moves it back when undone.
///
/// Output: `{"port": …, "unit": …, "ports": […]}`.
pub struct MoveSsh {
    wanted: Move,
}

impl MoveSsh {
    /// Creates the step for that port change.
    pub fn new(wanted: Move) -> Self {
        Self { wanted }
    }
}

#[async_trait]
impl Step for MoveSsh {
    fn id(&self) -> &'static str {
        "ssh-port"
    }

    fn plan(&self) -> String {
        format!("Move SSH to port {}", self.wanted.to)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        let moved = port::shift(&*remote, &self.wanted, context).await?;
        Ok(json!({ "port": self.wanted.to, "unit": moved.unit, "ports": moved.ports }))
    }

    async fn undo(&self, context: &Context, _: Option<&Value>) -> Result<Undo> {
        let remote = context.remote().await?;
        port::take_back(&*remote).await?;
        // The session exists, but a reconnection to the old port would fail.
        context.set_remote(context.provider().connect(&context.outputs()).await?).await;
        Ok(Undo::Undone)
    }
}
