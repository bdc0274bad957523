//! Removal of a machine, of an unfinished run, or of the backups of a destroyed machine.

use std::sync::Arc;

use cloudron_api::BoxCommand;
use cloudron_api::command::Uninstall;
use cloudron_api::owner::Uninstalled;
use cloudron_core::{Domain, Error, Result, codes as core_codes};
use cloudron_provision::steps::{Journal, RunSummary};
use cloudron_provision::{Command, answer, codes as provision};

use serde_json::{Value, json};

use crate::access::{LIMIT, SSH_PORT, pinned};
use crate::backups::{self, Earlier, Folder, RemoteFolder, folder_of};
use crate::dns::{Outcome, Removal, keys};
use crate::kept::Kept;
use crate::manager::Manager;
use crate::outputs::{Made, StepOutput};
use crate::program::{Place, Program};
use crate::registry::{DnsRecords, Machine, Reach};

/// Options for removing a machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct DestroyOptions {
    /// True if its backups are removed too.
    pub delete_backups: bool,
    /// True if the machine is forgotten even if it cannot be reached.
    pub forget: bool,
    /// True if the DNS records written by its creation are kept.
    pub keep_dns: bool,
}

/// Something on this computer that can be removed by name.
pub enum Known {
    /// A machine, and unfinished runs for it.
    Machine(Box<Machine>, Vec<RunSummary>),
    /// Runs that ended before the machine was created.
    Runs(Vec<RunSummary>),
    /// The backups of a destroyed machine.
    Kept(Box<Kept>),
}

/// The result of a removal.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Destroyed {
    /// The backups that were kept.
    pub kept: Option<Kept>,
    /// The result for the DNS records.
    pub dns: Option<Outcome>,
    /// What was removed at a cloud.
    pub removed: Vec<cloudron_provision::cloud::Removal>,
}

impl Destroyed {
    /// Returns the result for a domain as JSON.
    pub fn to_json(&self, domain: &Domain) -> Value {
        let kept = self.kept.as_ref();
        json!({
            "fqdn": domain, "destroyed": true, "backups": kept.map(|kept| &kept.store),
            "backupsPlace": kept.map(Kept::place), "dns": self.dns.as_ref().map(Outcome::to_json),
            "removed": self.removed,
        })
    }

    /// Returns the lines of a report that begins with this sentence: where the backups stay, and what was removed.
    pub fn lines(&self, gone: &str) -> Vec<String> {
        let mut lines = vec![match &self.kept {
            Some(kept) => format!("{gone}. Its backups stay {}", kept.place()),
            None => gone.to_owned(),
        }];
        lines.extend(
            self.removed.iter().map(|removed| format!("Removed the {} {}", removed.kind, removed.name)),
        );
        if let Some(dns) = self.dns.as_ref().filter(|dns| !dns.removed.is_empty()) {
            lines.push(format!("The DNS records {} at {} were removed", keys(&dns.removed), dns.provider));
        }
        lines
    }
}

/// Prints `program` or `state` if the program or the server's files are on the machine.
const LEFT: &str =
    r#"if [ -x "$1" ]; then echo program; elif [ -e /var/lib/cloudron/config.json ]; then echo state; fi"#;

impl DestroyOptions {
    /// Returns the question to ask before anything is removed: what is removed, and what stays.
    pub fn question(&self, domain: &Domain, records: Option<&Removal>) -> String {
        let (mut gone, mut stay) = (vec![domain.to_string()], Vec::new());
        match self.delete_backups {
            true => gone.push("ALL ITS BACKUPS".into()),
            false => stay.push("its backups stay".into()),
        }
        if let Some(records) = records {
            let what = format!("its DNS records at {}", records.provider());
            match records.obstacle() {
                _ if self.keep_dns => stay.push(format!("{what} stay")),
                Some(why) => stay.push(format!("{what} stay: {why}")),
                None => gone.push(what),
            }
        }
        let stay = if stay.is_empty() { String::new() } else { format!(" ({})", stay.join("; ")) };
        format!("Remove {}{stay}?", gone.join(" and "))
    }
}

impl Known {
    /// Returns where DNS records to be removed were written.
    ///
    /// # Errors
    /// `failed` if a run does not record it.
    pub fn dns(&self) -> Result<Vec<Option<DnsRecords>>> {
        match self {
            Self::Machine(machine, _) => Ok(vec![machine.dns.clone()]),
            Self::Runs(runs) => runs.iter().map(dns_of).collect(),
            Self::Kept(_) => Ok(Vec::new()),
        }
    }
}

/// Returns the DNS records that an unfinished run was to write.
fn dns_of(run: &RunSummary) -> Result<Option<DnsRecords>> {
    serde_json::from_value(run.spec.inputs["dns"].clone()).map_err(|e| {
        let text = format!("the run {} does not say which records it wrote: {e}", run.run);
        Error::new(&core_codes::FAILED, text)
    })
}

impl Manager {
    /// Returns what is known under a name on this computer.
    ///
    /// # Errors
    /// `machine-unknown`, and errors of reading records.
    pub fn known(&self, domain: &Domain) -> Result<Known> {
        let mut runs = self.runner().unfinished(Some(domain.as_str()))?;
        runs.iter_mut().try_for_each(|run| self.name_addresses(run))?;
        match (self.machines().find(domain)?, runs.is_empty()) {
            (Some(machine), _) => Ok(Known::Machine(Box::new(machine), runs)),
            (None, false) => Ok(Known::Runs(runs)),
            (None, true) => match self.kept().find(domain)? {
                Some(kept) => Ok(Known::Kept(Box::new(kept))),
                None => self.machines().get(domain).map(|machine| Known::Machine(Box::new(machine), runs)),
            },
        }
    }

    /// Adds the addresses of the machine that a run made at a cloud to the DNS records that it was to write.
    fn name_addresses(&self, run: &mut RunSummary) -> Result<()> {
        if run.spec.inputs["dns"].is_null() {
            return Ok(());
        }
        let outputs = Journal::read(&self.state().runs(), &run.run)?.outputs();
        if let Some(made) = Made::of(&outputs) {
            run.spec.inputs["dns"]["addresses"] = serde_json::json!(made.addresses());
        }
        Ok(())
    }

    /// With `delete_backups`, checks that the bucket with a machine's backups can be accessed from this
    /// computer. The machine does not remove a bucket's objects, so this runs before anything is removed.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn check_bucket(&self, machine: &Machine, options: &DestroyOptions) -> Result<()> {
        if !options.delete_backups || folder_of(&machine.store).is_some() {
            return Ok(());
        }
        backups::look(&self.folder(&machine.store)?.store()?).await.map(drop)
    }

    /// Removes a machine's server, then its backups if requested, its DNS records and its record on this
    /// computer. Skips what an interrupted removal has already done. A machine at a cloud is removed itself; `forget` then
    /// removes nothing but the record.
    ///
    /// # Errors
    /// Errors of connecting to the machine and of the store. With `forget`, errors of connecting are
    /// warnings. At a cloud: `cloud-credentials` with the details `provider` and `domain`, `backups-on-machine`,
    /// `machine-not-in-account`, `undo-failed` with a list of what is left, and any other error of the cloud.
    pub async fn destroy(
        &self,
        machine: &Machine,
        runs: &[RunSummary],
        dns: Option<&Removal>,
        options: &DestroyOptions,
    ) -> Result<Destroyed> {
        if let Some(place) = machine.reach.cloud() {
            return self.destroy_at_cloud((machine, place), runs, dns, options).await;
        }
        let removed = self.remove(machine, options).await;
        let forgotten = removed.is_err() && options.forget;
        self.forgive(removed, options)?;
        let dns = match dns {
            Some(dns) => Some(self.remove_records(dns, options).await),
            None => None,
        };
        let kept = (!options.delete_backups || forgotten).then(|| self.kept_of(machine, forgotten));
        if let Some(kept) = &kept {
            self.kept().put(kept)?;
        }
        self.machines().remove(&machine.fqdn)?;
        for run in runs {
            self.runner().abandon(&run.run)?;
        }
        Ok(Destroyed { kept, dns, removed: Vec::new() })
    }

    /// Undoes runs that ended before the machine was created. `dns` holds the records of each run.
    ///
    /// # Errors
    /// Same as [`destroy`](Self::destroy).
    pub async fn destroy_unfinished(
        &self,
        runs: &[RunSummary],
        dns: Vec<Option<Removal>>,
        options: &DestroyOptions,
    ) -> Result<Destroyed> {
        let mut kept = None;
        for (run, records) in runs.iter().zip(dns) {
            let records = records.filter(|_| !options.keep_dns);
            match self.undo(run, records).await {
                Ok(left) => kept = kept.or(left),
                Err(error) => self.forgive(Err(error), options)?,
            }
            if options.forget {
                self.runner().abandon(&run.run)?;
            }
        }
        if let Some(left) = kept.take_if(|_| options.delete_backups) {
            backups::remove(&self.kept_folder(&left).await?).await?;
        }
        if let Some(kept) = &kept {
            self.kept().put(kept)?;
        }
        Ok(Destroyed { kept, ..Destroyed::default() })
    }

    /// Opens the backups of a destroyed machine before they are removed. Returns `None` if there are none.
    ///
    /// # Errors
    /// `machine-carries-server` if the machine was forgotten and its server is still installed; errors of the
    /// store.
    pub async fn look_at_kept(&self, kept: &Kept) -> Result<Option<Earlier>> {
        let found = backups::look(&self.kept_folder(kept).await?.store()?).await?;
        if found.is_some() && kept.forgotten && self.has_server(kept).await? {
            let domain = &kept.fqdn;
            let text =
                format!("{domain} was forgotten, and its server is still on the machine with the backups");
            return Err(Error::new(&provision::MACHINE_CARRIES_SERVER, text));
        }
        Ok(found)
    }

    /// Removes the backups of a destroyed machine and their record.
    ///
    /// # Errors
    /// Same as [`look_at_kept`](Self::look_at_kept).
    pub async fn remove_kept(&self, kept: &Kept) -> Result<()> {
        if self.look_at_kept(kept).await?.is_some() {
            backups::remove(&self.kept_folder(kept).await?).await?;
        }
        self.kept().remove(&kept.fqdn)
    }

    /// Removes the DNS records of a machine that was already removed.
    async fn remove_records(&self, records: &Removal, options: &DestroyOptions) -> Outcome {
        if options.keep_dns {
            return records.kept("they were to be kept");
        }
        let outcome = tokio::select! {
            outcome = records.remove(self.progress()) => outcome,
            () = self.cancel().cancelled() => records.kept("the run was stopped"),
        };
        if let Some(stays) = outcome.stays() {
            self.progress().warn(stays);
        }
        outcome
    }

    /// Removes the DNS records of a machine that does not exist any more.
    pub(crate) async fn remove_records_of_gone(
        &self,
        records: &Removal,
        options: &DestroyOptions,
    ) -> Outcome {
        if options.keep_dns {
            return records.kept("they were to be kept");
        }
        let outcome = tokio::select! {
            outcome = records.remove_of_gone(self.progress()) => outcome,
            () = self.cancel().cancelled() => records.kept("the run was stopped"),
        };
        if let Some(stays) = outcome.stays() {
            self.progress().warn(stays);
        }
        outcome
    }

    /// With `forget`, turns an error of removing the machine into a warning.
    fn forgive(&self, removed: Result<()>, options: &DestroyOptions) -> Result<()> {
        match removed {
            Err(error) if options.forget => {
                self.progress().warn(format!("the machine was not cleaned up: {error}"));
                Ok(())
            }
            other => other,
        }
    }

    /// Removes the server, then its backups if requested, and finally restores the SSH port: until then, the
    /// machine is reached as recorded.
    async fn remove(&self, machine: &Machine, options: &DestroyOptions) -> Result<()> {
        let program = match &machine.reach {
            Reach::Local { .. } => self.reach_at(&machine.reach).await?,
            Reach::Generic(reach) => {
                let ports = [reach.ssh_port, self.port_before(machine).unwrap_or(22)];
                let remote = self.connect_any(reach, &ports, pinned(reach)?, LIMIT).await?;
                self.program(Arc::new(remote), Place::system())
            }
        };
        if is_left(machine, &program).await? {
            self.machines().put(&Machine { destroying: true, ..machine.clone() })?;
            let uninstall = BoxCommand::Uninstall(Uninstall::keeping_backups());
            let _: Uninstalled = program.call(&uninstall).await?;
        }
        if options.delete_backups {
            let folder = match folder_of(&machine.store) {
                None => self.folder(&machine.store)?,
                Some(path) => {
                    let far = RemoteFolder::new(program.remote().clone(), path, machine.backups());
                    Folder::Far(Arc::new(far))
                }
            };
            backups::remove(&folder).await?;
        }
        if matches!(&machine.reach, Reach::Generic(reach) if reach.ssh_port == SSH_PORT) {
            cloudron_provision::ssh::port::take_back(&**program.remote()).await?;
        }
        Ok(())
    }
}

/// Returns true if there is a server to remove.
async fn is_left(machine: &Machine, program: &Program) -> Result<bool> {
    let path = match &machine.reach {
        Reach::Local { root } => return Ok(root.join("bin").exists() || root.join("config.json").exists()),
        Reach::Generic(_) => Place::system().program().to_owned(),
    };
    let look = Command::sh(LEFT, [path]).as_root();
    match answer::run(&**program.remote(), look).await?.text().as_str() {
        "" => Ok(false),
        "program" => Ok(true),
        _ => Err(Error::new(
            &core_codes::FAILED,
            "the server's state is on the machine, and its program is not",
        )
        .with_hint("remove /var/lib/cloudron on the machine, and try again")),
    }
}
