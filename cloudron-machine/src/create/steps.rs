//! The steps of a run that concern the server itself and its record on this computer.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cloudron_api::{ActivateRequest, BoxCommand, SetupToken, TokenAnswer};
use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_provision::steps::ready::Probe;
use cloudron_provision::steps::{Check, Context, Outputs, Step, Undo};
use serde_json::{Value, json};

use crate::client::Client;
use crate::manager::Manager;
use crate::outputs::{Installed, Made, SshMoved, StepOutput};
use crate::program::Place;
use crate::registry::{DnsRecords, Machine, Reach};
use crate::{codes, record_copy};

/// The health step: the server answers through its own API for this domain.
pub(super) struct Answers {
    pub manager: Manager,
    pub place: Place,
    pub domain: Domain,
}

#[async_trait]
impl Probe for Answers {
    async fn probe(&self, context: &Context) -> Result<Value> {
        let status = client(context, &self.manager, &self.place, &self.domain).await?.status().await?;
        if status.fqdn != self.domain.as_str() {
            let text = format!("the server that answers is for {}, not {}", status.fqdn, self.domain);
            return Err(Error::new(&codes::SERVER_REFUSED, text));
        }
        Ok(json!({ "version": status.version, "activated": status.activated }))
    }
}

/// Returns a client for the server that the run has installed.
async fn client(context: &Context, manager: &Manager, place: &Place, domain: &Domain) -> Result<Arc<Client>> {
    let server = Installed::of(&context.outputs()).ok_or_else(not_recorded)?;
    let program = manager.program(context.remote().await?, place.clone());
    Client::to(program, &server.ca_pem, domain.admin_fqdn(), server.port)
}

fn not_recorded() -> Error {
    Error::new(&core_codes::FAILED, "the run did not record what the installer answered")
}

/// Performs the first-time setup.
pub(super) struct Activate {
    pub manager: Manager,
    pub owner: ActivateRequest,
    pub place: Place,
    pub domain: Domain,
}

#[async_trait]
impl Step for Activate {
    fn id(&self) -> &'static str {
        "setup"
    }

    fn plan(&self) -> String {
        format!("Do the first-time setup for {}", self.owner.email)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        let status = client(context, &self.manager, &self.place, &self.domain).await?.status().await?;
        Ok(if status.activated { Check::Done(json!({ "activated": true })) } else { Check::Absent })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let program = self.manager.program(context.remote().await?, self.place.clone());
        let setup: SetupToken = program.call(&BoxCommand::SetupLink).await?;
        let client = client(context, &self.manager, &self.place, &self.domain).await?;
        let _: TokenAnswer = client.post_as("/api/v1/cloudron/activate", &setup.token, &self.owner).await?;
        Ok(json!({ "activated": true }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        // Removed with the server.
        Ok(Undo::Undone)
    }
}

/// Writes the machine's record on this computer, and a copy of it on the machine.
pub(super) struct Remember {
    pub manager: Manager,
    pub place: Place,
    pub domain: Domain,
    /// How the machine is reached before the run has recorded more.
    pub origin: Reach,
    pub store: String,
    pub dns: Option<DnsRecords>,
}

impl Remember {
    /// Returns the record of a machine whose steps are done.
    fn record(&self, run: String, outputs: &Outputs) -> Result<Machine> {
        let server = Installed::of(outputs).ok_or_else(not_recorded)?;
        Ok(Machine {
            schema: 1,
            fqdn: self.domain.clone(),
            run,
            created: SystemTime::now(),
            reach: self.reach(outputs)?,
            ca_pem: server.ca_pem,
            port: server.port,
            store: self.store.clone(),
            dns: self.dns(outputs),
            copied: None,
            destroying: false,
        })
    }

    /// Returns the DNS records that were written, with the addresses of the machine.
    fn dns(&self, outputs: &Outputs) -> Option<DnsRecords> {
        let mut records = self.dns.clone()?;
        if let Some(made) = Made::of(outputs) {
            records.addresses = made.addresses();
        }
        Some(records)
    }

    /// Returns how the machine is reached from now on: with the host key and port recorded by the steps.
    fn reach(&self, outputs: &Outputs) -> Result<Reach> {
        let mut reach = self.origin.clone().met(outputs);
        if let Reach::Generic(ssh) = &mut reach {
            if ssh.host_keys.is_empty() {
                return Err(Error::new(&core_codes::FAILED, "the run did not record the machine's host key"));
            }
            ssh.ssh_port = SshMoved::of(outputs).map_or(ssh.ssh_port, |moved| moved.port);
        }
        Ok(reach)
    }
}

#[async_trait]
impl Step for Remember {
    fn id(&self) -> &'static str {
        "record"
    }

    fn plan(&self) -> String {
        "Save the machine record on this computer".into()
    }

    async fn check(&self, _: &Context) -> Result<Check> {
        Ok(Check::Absent)
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let machine = self.record(context.run(), &context.outputs())?;
        let program = self.manager.program(context.remote().await?, self.place.clone());
        record_copy::leave(&program, &machine, self.manager.state()).await?;
        self.manager.machines().put(&machine)?;
        Ok(json!({}))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        self.manager.machines().remove(&self.domain)?;
        Ok(Undo::Undone)
    }
}
