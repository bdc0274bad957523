//! The cloudron program on a machine, called through the machine's own connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudron_api::owner::AdminToken;
use cloudron_api::{BoxCall, BoxCommand, Layout};
use cloudron_core::{Cancel, Code, Error, Result, Secret};
use cloudron_provision::{Command, Remote, answer};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The program on a machine, and how it is reached.
#[derive(Clone)]
pub struct Program {
    pub(crate) remote: Arc<dyn Remote>,
    place: Place,
    codes: Arc<[&'static Code]>,
    pub(crate) cancel: Cancel,
}

/// Where the program is on its machine.
#[derive(Debug, Clone)]
pub struct Place {
    program: String,
    root: Option<PathBuf>,
}

impl Place {
    /// A machine of its own.
    pub fn system() -> Self {
        Self { program: "/usr/local/bin/cloudron".into(), root: None }
    }

    /// A folder on this computer.
    pub fn rooted(root: PathBuf) -> Self {
        let program = root.join("bin").join("cloudron");
        Self { program: program.to_string_lossy().into_owned(), root: Some(root) }
    }

    /// Where the server keeps its files.
    pub fn layout(&self) -> Layout {
        self.root.clone().map_or_else(Layout::system, Layout::rooted)
    }

    /// The program's path on its machine.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The arguments that have the program do this.
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

    /// The connection to the machine.
    pub fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    /// The error code of that name, among those that the program may tell of.
    pub fn code(&self, name: &str) -> Option<&'static Code> {
        self.codes.iter().copied().find(|code| code.name == name)
    }

    pub(crate) fn command(&self, command: &BoxCommand) -> Command {
        Command::new(self.place.argv(command)).within(Duration::from_secs(120)).as_root().knowing(&self.codes)
    }

    /// Calls a command that answers with one JSON value.
    ///
    /// # Errors
    /// What the program tells of, and those of the connection.
    pub async fn call<T: DeserializeOwned>(&self, command: &BoxCommand) -> Result<T> {
        self.read(command, answer::json(&*self.remote, self.command(command)).await?)
    }

    /// Calls a command that reads a JSON request and answers with one JSON value.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_with<T: DeserializeOwned>(
        &self,
        command: &BoxCommand,
        request: &impl Serialize,
    ) -> Result<T> {
        let call = self.command(command).stdin_json(request);
        self.read(command, answer::json(&*self.remote, call).await?)
    }

    /// Makes a token for the machine's interface that is valid for some minutes.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn mint_token(&self) -> Result<Secret> {
        let token: AdminToken = self.call(&BoxCommand::Token).await?;
        Ok(token.token)
    }

    /// The last lines of the server's log, read from its file: also when the server does not answer.
    ///
    /// # Errors
    /// Those of the connection.
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
