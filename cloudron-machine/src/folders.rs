//! What is said about a machine: folders to back up, which must exist there, and names of programs.

use std::path::{Path, PathBuf};

use cloudron_api::command::{IncludeCommand, ProxyCommand, STDIN};
use cloudron_api::{BoxCommand, Include, ProxyCall, ProxyHost, ProxyRoute};
use cloudron_core::{Error, Result};
use cloudron_provision::{Command, Remote, answer};

use crate::codes;
use crate::program::Program;

/// Prints the numbers of the arguments that do not exist.
const SCRIPT: &str = r#"n=0; for path; do [ -e "$path" ] || echo $n; n=$((n+1)); done"#;

/// Returns the folders that do not exist on the machine, except those with a `before` command, which may
/// create them.
pub async fn missing(remote: &dyn Remote, includes: &[Include]) -> Result<Vec<PathBuf>> {
    let paths: Vec<&Path> = includes.iter().filter(|i| i.before.is_none()).map(|i| &*i.path).collect();
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let command = Command::sh(SCRIPT, paths.iter().map(|p| p.to_string_lossy()));
    let said = answer::run(remote, command.as_root()).await?.text();
    let numbers = said.lines().filter_map(|line| line.trim().parse::<usize>().ok());
    Ok(numbers.filter_map(|n| paths.get(n)).map(|path| path.to_path_buf()).collect())
}

impl Program {
    /// Adds or removes an included folder, or none, and gives all that are included then. One that is added must be on the
    /// machine.
    ///
    /// # Errors
    /// `folder-missing`, and what the program tells of.
    pub async fn includes(&self, command: IncludeCommand, include: Option<Include>) -> Result<Vec<Include>> {
        let is_new = matches!(command, IncludeCommand::Add(_));
        let added: Vec<Include> = include.iter().filter(|_| is_new).cloned().collect();
        if let Some(path) = missing(&**self.remote(), &added).await?.first() {
            return Err(error(path));
        }
        let command = BoxCommand::Include(command);
        match include {
            Some(include) => self.call_with(&command, &include).await,
            None => self.call(&command).await,
        }
    }
}

impl Program {
    /// Passes a name on to a program of the machine, gives one up, or neither, and gives all that are passed on then.
    ///
    /// # Errors
    /// What the program tells of.
    pub async fn proxy(&self, call: ProxyCall) -> Result<Vec<ProxyRoute>> {
        match call {
            ProxyCall::Add { host, to, h2c } => {
                let route = ProxyRoute { host, to, h2c };
                self.call_with(&BoxCommand::Proxy(ProxyCommand::Add(STDIN)), &route).await
            }
            ProxyCall::Remove { host } => {
                let command = BoxCommand::Proxy(ProxyCommand::Remove(STDIN));
                self.call_with(&command, &ProxyHost { host }).await
            }
            ProxyCall::List { .. } => self.call(&BoxCommand::Proxy(ProxyCommand::List)).await,
        }
    }
}

/// Returns the error for a folder that does not exist.
pub fn error(path: &Path) -> Error {
    Error::new(&codes::FOLDER_MISSING, format!("there is no {} on the machine", path.display()))
        .with_detail("folder", path.display().to_string())
}
