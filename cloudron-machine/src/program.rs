//! The cloudron program on a machine, called over the machine's connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudron_api::owner::AdminToken;
use cloudron_api::{BoxCall, BoxCommand, Layout};
use cloudron_core::{Cancel, Code, Error, Result, Secret};
use cloudron_provision::{Command, Remote, answer};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The program on a machine, and the connection to it.
#[derive(Clone)]
pub struct Program {
    pub(crate) remote: Arc<dyn Remote>,
    place: Place,
    codes: Arc<[&'static Code]>,
    pub(crate) cancel: Cancel,
}

/// The location of the program on its machine.
#[derive(Debug, Clone)]
pub struct Place {
    program: String,
    root: Option<PathBuf>,
}

impl Place {
    /// Returns the location on a machine of its own.
    pub fn system() -> Self {
        Self { program: "/usr/local/bin/cloudron".into(), root: None }
    }

    /// Returns the location in a folder of this computer.
    pub fn rooted(root: PathBuf) -> Self {
        let program = root.join("bin").join("cloudron");
        Self { program: program.to_string_lossy().into_owned(), root: Some(root) }
    }

    /// Returns the layout of the server's files.
    pub fn layout(&self) -> Layout {
        self.root.clone().map_or_else(Layout::system, Layout::rooted)
    }

    /// Returns the program's path on its machine.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Returns the command line for a command.
    pub fn argv(&self, command: &BoxCommand) -> Vec<String> {
        BoxCall { command: command.clone(), root: self.root.clone() }.argv(&self.program)
    }
}

impl Program {
    pub(crate) fn new(
        remote: Arc<dyn Remote>,
        place: Place,
        codes: Arc<[&'static Code]>,
        cancel: Cancel,
    ) -> Self {
        Self { remote, place, codes, cancel }
    }

    /// Returns the connection to the machine.
    pub fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    /// Returns the error code with this name, among those the program may return.
    pub fn code(&self, name: &str) -> Option<&'static Code> {
        self.codes.iter().copied().find(|code| code.name == name)
    }

    pub(crate) fn command(&self, command: &BoxCommand) -> Command {
        Command::new(self.place.argv(command)).within(Duration::from_secs(120)).as_root().knowing(&self.codes)
    }

    /// Calls a command that answers with one JSON value.
    ///
    /// # Errors
    /// Errors that the program reports, and errors of the connection.
    pub async fn call<T: DeserializeOwned>(&self, command: &BoxCommand) -> Result<T> {
        self.read(command, answer::json(&*self.remote, self.command(command)).await?)
    }

    /// Calls a command that reads a JSON request and answers with one JSON value.
    ///
    /// # Errors
    /// Same as [`call`](Self::call).
    pub async fn call_with<T: DeserializeOwned>(
        &self,
        command: &BoxCommand,
        request: &impl Serialize,
    ) -> Result<T> {
        let call = self.command(command).stdin_json(request);
        self.read(command, answer::json(&*self.remote, call).await?)
    }

    /// Makes a token for the machine's API that is valid for a few minutes.
    ///
    /// # Errors
    /// Same as [`call`](Self::call).
    pub async fn mint_token(&self) -> Result<Secret> {
        let token: AdminToken = self.call(&BoxCommand::Token).await?;
        Ok(token.token)
    }

    /// Returns the last lines of the server's log, read from its file, so that the server need not answer.
    ///
    /// # Errors
    /// Errors of the connection.
    pub async fn last_of_log(&self, lines: u32) -> Result<String> {
        let log = self.place.layout().log().display().to_string();
        let argv = ["tail".into(), "-n".into(), lines.to_string(), "--".into(), log];
        Ok(answer::run(&*self.remote, Command::new::<String>(argv).as_root()).await?.text())
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
