//! The steps of a run that only the command line can do: they join the libraries.

use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_api::owner::StoreKeys;
use cloudron_api::{BoxCommand, SetupToken, TokenAnswer};
use cloudron_backup::BackupStore;
use cloudron_core::{Domain, Error, Result, Unit, codes as core_codes};
use cloudron_provision::steps::ready::Probe;
use cloudron_provision::steps::{Check, Context, Step, Undo};
use cloudron_provision::{Stdin, answer};
use serde_json::{Value, json};

use super::common::Owner;
use super::run::{ReachOf, record};
use crate::client::Client;
use crate::codes;
use crate::commands::machine::record_copy;
use crate::state::{Dirs, DnsRecords, Machines};
use crate::target::{Place, Target};

/// Sends the objects of a repository that the machine does not have yet.
pub(super) struct PushStore {
    pub store: Arc<dyn BackupStore>,
    pub place: Place,
}

#[async_trait]
impl Step for PushStore {
    fn id(&self) -> &'static str {
        "store"
    }

    fn plan(&self) -> String {
        format!("Copy the backups in {} to the machine", self.store.url())
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        Ok(context.previous(self.id()).map_or(Check::Absent, Check::Done))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        let target = Target::new(remote.clone(), self.place.clone());
        let there: StoreKeys = target.call(&BoxCommand::StoreList).await?;
        let mut objects = self.store.list("").await?;
        objects.retain(|o| !there.keys.contains(&o.key));
        // A summary makes its backup count, so summaries come last.
        objects.sort_by_key(|o| (rank(&o.key), o.key.clone()));
        let total = objects.iter().map(|o| o.size).sum();
        let task = context.progress.task("Copying the backups", Unit::Bytes, Some(total));
        let (reader, mut writer) = std::io::pipe().map_err(|e| Error::io("a pipe", e))?;
        let command = context
            .program(&self.place.argv(&BoxCommand::StoreReceive))
            .within(std::time::Duration::from_secs(24 * 3600))
            .stdin(Stdin::Reader(Box::new(reader)))
            .cancelled_by(&context.cancel);
        let send = async {
            for object in &objects {
                let content = self.store.get(&object.key).await?;
                let key = object.key.clone();
                let size = content.len() as u64;
                let written = tokio::task::spawn_blocking(move || {
                    let done = write_entry(&mut writer, &key, &content);
                    (writer, done)
                });
                let (back, done) =
                    written.await.map_err(|e| Error::new(&core_codes::FAILED, e.to_string()))?;
                writer = back;
                done?;
                task.advance(size);
            }
            let ended = tokio::task::spawn_blocking(move || writer.write_all(&[0; 1024]));
            ended
                .await
                .map_err(|e| Error::new(&core_codes::FAILED, e.to_string()))?
                .map_err(|e| Error::io("the connection", e))
        };
        let (received, sent) = tokio::join!(answer::json(&*remote, command), send);
        // What the machine says is the cause; that sending then failed is its effect.
        let received = received?;
        sent?;
        task.finish();
        Ok(received)
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Kept("the backups that were copied to the machine stay there".into()))
    }
}

fn rank(key: &str) -> u8 {
    match key {
        k if k.starts_with("packs/") => 1,
        k if k.starts_with("index/") => 2,
        k if k.starts_with("snapshots/") && k.ends_with(".age") => 3,
        k if k.starts_with("snapshots/") => 4,
        _ => 0,
    }
}

/// One object as an entry of a tar (POSIX ustar).
fn write_entry(to: &mut impl Write, key: &str, content: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    let written = header.set_path(key).and_then(|()| {
        header.set_cksum();
        to.write_all(header.as_bytes())?;
        to.write_all(content)?;
        let padding = content.len().next_multiple_of(512) - content.len();
        to.write_all(&[0; 512][..padding])
    });
    written.map_err(|e| Error::io("the connection", e))
}

/// Healthy means that the server answers through its own interface, for this domain.
pub(super) struct Answers {
    pub place: Place,
    pub domain: Domain,
}

#[async_trait]
impl Probe for Answers {
    async fn probe(&self, context: &Context) -> Result<Value> {
        let status = client(context, &self.place, &self.domain).await?.status().await?;
        if status.fqdn != self.domain.as_str() {
            let text = format!("the server that answers is for {}, not {}", status.fqdn, self.domain);
            return Err(Error::new(&codes::SERVER_REFUSED, text));
        }
        Ok(json!({ "version": status.version, "activated": status.activated }))
    }
}

/// A client of the server that the run has installed.
async fn client(context: &Context, place: &Place, domain: &Domain) -> Result<Arc<Client>> {
    let server = context.output("server").unwrap_or_default();
    let (ca, port) =
        (server["caPem"].as_str().unwrap_or_default(), server["port"].as_u64().unwrap_or_default());
    let target = Target::new(context.remote().await?, place.clone());
    Client::to(target, ca, domain.admin_fqdn(), u16::try_from(port).unwrap_or_default())
}

/// Does the first-time setup.
pub(super) struct Activate {
    pub owner: Owner,
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
        let status = client(context, &self.place, &self.domain).await?.status().await?;
        Ok(if status.activated { Check::Done(json!({ "activated": true })) } else { Check::Absent })
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let target = Target::new(context.remote().await?, self.place.clone());
        let setup: SetupToken = target.call(&BoxCommand::SetupLink).await?;
        let request = self.owner.request();
        let client = client(context, &self.place, &self.domain).await?;
        let _: TokenAnswer = client.post_as("/api/v1/cloudron/activate", &setup.token, &request).await?;
        Ok(json!({ "activated": true }))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        // It goes with the server.
        Ok(Undo::Undone)
    }
}

/// Writes the machine's record on this computer, and a copy of it on the machine.
pub(super) struct Remember {
    pub dirs: Dirs,
    pub place: Place,
    pub domain: Domain,
    pub reach: ReachOf,
    pub store: String,
    pub dns: Option<DnsRecords>,
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
        let outputs = context.outputs();
        let (reach, dns) = ((self.reach)(&outputs)?, self.dns.clone());
        let machine = record(&self.domain, reach, &self.store, dns, context.run(), &outputs)?;
        let target = Target::new(context.remote().await?, self.place.clone());
        record_copy::leave(&target, &machine, &self.dirs).await?;
        Machines::at(self.dirs.machines()).put(&machine)?;
        Ok(json!({}))
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Machines::at(self.dirs.machines()).remove(&self.domain)?;
        Ok(Undo::Undone)
    }
}
