//! The cloudron program on a machine, called through the machine's own connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudron_api::owner::AdminToken;
use cloudron_api::{BoxCall, BoxCommand};
use cloudron_core::{Error, Result, Secret};
use cloudron_provision::{Command, Remote, answer};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::commands::explain;

/// The program on a machine, and how it is reached.
#[derive(Clone)]
pub(crate) struct Target {
    pub remote: Arc<dyn Remote>,
    place: Place,
}

/// Where the program is on its machine.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    program: String,
    root: Option<PathBuf>,
}

impl Place {
    /// A machine of its own.
    pub(crate) fn system() -> Self {
        Self { program: "/usr/local/bin/cloudron".into(), root: None }
    }

    /// A folder on this computer.
    pub(crate) fn rooted(root: PathBuf) -> Self {
        let program = root.join("bin").join("cloudron");
        Self { program: program.to_string_lossy().into_owned(), root: Some(root) }
    }

    /// The program's path on its machine.
    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    /// The arguments that have the program do this.
    pub(crate) fn argv(&self, command: &BoxCommand) -> Vec<String> {
        BoxCall { command: command.clone(), root: self.root.clone() }.argv(&self.program)
    }
}

impl Target {
    pub(crate) fn new(remote: Arc<dyn Remote>, place: Place) -> Self {
        Self { remote, place }
    }

    fn command(&self, command: &BoxCommand) -> Command {
        Command::new(self.place.argv(command))
            .within(Duration::from_secs(120))
            .as_root()
            .knowing(&explain::all())
    }

    /// Calls a command that answers with one JSON value.
    pub(crate) async fn call<T: DeserializeOwned>(&self, command: &BoxCommand) -> Result<T> {
        self.read(command, answer::json(&*self.remote, self.command(command)).await?)
    }

    /// Calls a command that reads a JSON request and answers with one JSON value.
    pub(crate) async fn call_with<T: DeserializeOwned>(
        &self,
        command: &BoxCommand,
        request: &impl Serialize,
    ) -> Result<T> {
        let call = self.command(command).stdin_json(request);
        self.read(command, answer::json(&*self.remote, call).await?)
    }

    /// A token for the machine's interface that is valid for some minutes.
    pub(crate) async fn mint_token(&self) -> Result<Secret> {
        let token: AdminToken = self.call(&BoxCommand::Token).await?;
        Ok(token.token)
    }

    fn read<T: DeserializeOwned>(&self, command: &BoxCommand, value: serde_json::Value) -> Result<T> {
        serde_json::from_value(value).map_err(|e| {
            Error::new(
                &cloudron_provision::codes::REMOTE_ANSWER,
                format!(
                    "`box {}` answered with something else than expected: {e}",
                    command.words().join(" ")
                ),
            )
        })
    }
}
