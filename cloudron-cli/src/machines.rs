//! The machines of this user: manager, connections, and questions on the terminal.

use std::path::Path;
use std::sync::Arc;

use cloudron_api::BoxCommand;
use cloudron_core::{Result, Secret};
use cloudron_machine::{Ask, Client, Machine, Manager, Program, Question, StateDir};
use cloudron_provision::ssh::HostKeyQuestion;
use serde::de::DeserializeOwned;

use crate::output::Output;
use crate::{codes, hints, runtime};

/// Returns a manager with questions and progress on the terminal.
pub(crate) fn manager(out: &Output) -> Result<Manager> {
    Ok(Manager::new(StateDir::of_this_user()?)
        .asking(Person(out.clone()))
        .reporting(&out.progress())
        .cancelled_by(&runtime::stop())
        .with_error_codes(codes::all()))
}

/// Connects to the program on a machine.
pub(crate) async fn reach(machine: &Machine, out: &Output) -> Result<Program> {
    manager(out)?.reach(machine).await.map_err(|e| hints::of_machine(e, machine))
}

/// Has a machine's program do something.
pub(crate) async fn call<T: DeserializeOwned>(
    machine: &Machine,
    command: &BoxCommand,
    out: &Output,
) -> Result<T> {
    reach(machine, out).await?.call(command).await
}

/// Connects to a machine's API.
pub(crate) async fn client(machine: &Machine, out: &Output) -> Result<Arc<Client>> {
    manager(out)?.client(machine).await.map_err(|e| hints::of_machine(e, machine))
}

/// The user at the terminal.
struct Person(Output);

impl Ask for Person {
    fn is_there(&self) -> bool {
        Output::can_ask()
    }

    fn confirm(&self, question: &Question<'_>) -> Result<bool> {
        if let Question::RestoreFolders(folders) = question {
            let folders: Vec<String> = folders.iter().map(|path| path.display().to_string()).collect();
            let folders = folders.join(", ");
            self.0.say(&format!("Beyond the server's own state and data, this backup restores: {folders}"));
        }
        self.0.confirm(&question.to_string())
    }

    fn backup_key(&self) -> Result<Secret> {
        self.0.ask_secret("The backup key", "--backup-key")
    }

    fn passphrase(&self, key: &Path) -> Option<Secret> {
        self.0.ask_secret(&format!("The passphrase of {}", key.display()), "ssh-add").ok()
    }

    fn accept_host_key(&self, question: &HostKeyQuestion) -> bool {
        self.0.say(&cloudron_machine::ask::shown(question));
        // Never answered by `--yes`: trust in a host key needs a decision by the user.
        self.0.confirm_in_person("Is it the right one?").unwrap_or(false)
    }

    fn backup_key_generated(&self, key: &Secret) {
        crate::commands::backup::show_new_key(key, &self.0);
    }
}
