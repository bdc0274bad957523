//! An unfinished run that another computer began: what the cloud and the machine know of it.

use std::collections::BTreeSet;
use std::time::Duration;

use cloudron_api::{BoxCommand, Description};
use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_provision::cloud::{CloudHost, Item};
use cloudron_provision::facts::Facts;
use cloudron_provision::steps::Outputs;
use cloudron_provision::{Command, answer, codes as provision};

use crate::codes;
use crate::manager::Manager;
use crate::program::Place;

/// Time limit for stopping a server.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// A run of another computer that is taken over.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// Its ID.
    pub run: String,
    /// What the cloud says of the machine. Empty if it has no address yet: then nothing was installed on it.
    pub outputs: Outputs,
}

impl Manager {
    /// Finds the run to resume by its marks at the cloud. A server that it has installed is stopped: it is installed again
    /// with keys that this computer has. Nothing else is changed.
    ///
    /// # Errors
    /// `file-missing` if there is nothing of this domain; `cloud-several-runs`; `machine-carries-server` if the machine
    /// is finished; `host-key-mismatch` if it shows another host key than its marks name; any error of the cloud.
    pub(crate) async fn taken_over(&self, domain: &Domain, host: &dyn CloudHost) -> Result<Taken> {
        let items = host.inventory(domain.as_str()).await?;
        let run = the_run(domain, host.name(), &items)?;
        let machine = items.iter().find(|item| item.is_machine() && !item.addresses.is_empty());
        let Some(machine) = machine else { return Ok(Taken { run, outputs: Outputs::new() }) };
        let outputs = machine.outputs();
        self.stop_unfinished(domain, host, &outputs).await?;
        Ok(Taken { run, outputs })
    }

    /// Stops the server of an unfinished run. Refuses a machine on which a run has done its last step.
    async fn stop_unfinished(&self, domain: &Domain, host: &dyn CloudHost, outputs: &Outputs) -> Result<()> {
        let remote = host.connect(outputs).await?;
        if Facts::ask(&*remote).await?.server.is_none() {
            return Ok(());
        }
        let program = self.program(remote, Place::system());
        let said: Description = program.call(&BoxCommand::Describe).await?;
        if said.record.is_some() {
            let message = format!("the machine {domain} is finished: there is nothing to resume");
            return Err(Error::new(&provision::MACHINE_CARRIES_SERVER, message)
                .with_detail("domain", domain.as_str())
                .with_detail("address", address(outputs)));
        }
        let stop = Command::new(Place::system().argv(&BoxCommand::Stop)).as_root().within(STOP_LIMIT);
        answer::run(&**program.remote(), stop).await.map(drop)
    }
}

fn address(outputs: &Outputs) -> String {
    use crate::outputs::{Made, StepOutput};
    let address = Made::of(outputs).and_then(|made| made.address());
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// Returns the run in the marks of all items.
fn the_run(domain: &Domain, provider: &str, items: &[Item]) -> Result<String> {
    let runs: BTreeSet<&str> = items.iter().map(|item| &*item.marks.run).collect();
    let mut all = runs.iter().copied();
    match (all.next(), all.next()) {
        (Some(run), None) => Ok(run.to_owned()),
        (None, _) => {
            let message = format!(
                "no unfinished run of {domain} is known on this computer, and {provider} has nothing of it"
            );
            Err(Error::new(&core_codes::FILE_MISSING, message).with_detail("domain", domain.as_str()))
        }
        (Some(_), Some(_)) => {
            let runs: Vec<&str> = runs.into_iter().take(20).collect();
            let message =
                format!("several runs made something for {domain} at {provider}: {}", runs.join(", "));
            Err(Error::new(&codes::SEVERAL_RUNS, message).with_detail("domain", domain.as_str()))
        }
    }
}
