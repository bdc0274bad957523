//! `cloudron machine`

mod adopt;
mod backup_create;
mod backup_download;
mod backup_list;
mod backup_prune;
mod backup_verify;
mod create;
mod destroy;
mod eventlog;
mod include;
mod list;
mod logs;
mod repair_database;
mod reset_password;
mod retire;
mod sessions;
mod setup_link;
mod ssh;
mod start;
mod status;
mod trust;

use clap::{Args, Subcommand};
use cloudron_core::{Domain, Error, Result};
use cloudron_machine::{Kept, KeptBackups, Machine, Machines};
use cloudron_provision::Runner;

use crate::codes;
use crate::commands::not_yet::{self, Anything};
use crate::output::Output;
use crate::state::state_dir;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a server, new or from a backup
    #[command(subcommand, arg_required_else_help = true)]
    Create(create::Command),
    /// Manage a running server from this computer that another computer made
    Adopt(adopt::Options),
    /// List the machines and their state
    List(list::Options),
    /// Show the status of a machine
    Status(status::Options),
    /// Start the server of a machine that is not running
    Start(start::Options),
    /// Make, list, fetch and check backups
    #[command(subcommand, arg_required_else_help = true)]
    Backup(BackupCommand),
    /// Manage additional backup folders
    #[command(subcommand, arg_required_else_help = true)]
    Include(include::Command),
    /// Show what changed on a machine, when and by whom
    Eventlog(eventlog::Options),
    /// Show or follow the server's log
    Logs(logs::Options),
    /// Open a shell on a machine, or run a command there
    Ssh(ssh::Options),
    /// Trust the new SSH host key of a machine, after comparing it
    Trust(trust::Options),
    /// Print a new link for the first-time setup
    SetupLink(setup_link::Options),
    /// List who is logged in, or end sessions
    Sessions(sessions::Options),
    /// Give the owner a new password
    ResetPassword(reset_password::Options),
    /// Stop a server's backups, because another machine took over
    Retire(retire::Options),
    /// Let a server that was retired work again
    Unretire(retire::Options),
    /// Get a server going again that has lost its database
    RepairDatabase(repair_database::Options),
    /// Remove a machine, and the DNS records that were written for it; its backups stay unless told otherwise
    Destroy(destroy::Options),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Restore(Anything),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Migrate(Anything),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true, alias = "upgrade")]
    Update(Anything),
    /// Not in this version
    #[command(hide = true, disable_help_flag = true)]
    Hotfix(Anything),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a backup now
    Create(backup_create::Options),
    /// List backups, from the server or from the store alone
    List(backup_list::Options),
    /// Fetch a backup as a plain tar, or the repository as it is
    Download(backup_download::Options),
    /// Check that backups are whole
    Verify(backup_verify::Options),
    /// Remove old backups, and what only they needed
    Prune(backup_prune::Options),
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<u8> {
        match self {
            Self::Ssh(options) => return ssh::run(&options, out),
            Self::Logs(options) => return logs::run(&options, out),
            Self::Create(command) => command.run(out),
            Self::Adopt(options) => adopt::run(&options, out),
            Self::List(options) => list::run(&options, out),
            Self::Status(options) => status::run(&options, out),
            Self::Start(options) => start::run(&options, out),
            Self::Backup(BackupCommand::Create(options)) => backup_create::run(&options, out),
            Self::Backup(BackupCommand::List(options)) => backup_list::run(&options, out),
            Self::Backup(BackupCommand::Download(options)) => backup_download::run(options, out),
            Self::Backup(BackupCommand::Verify(options)) => backup_verify::run(&options, out),
            Self::Backup(BackupCommand::Prune(options)) => backup_prune::run(&options, out),
            Self::Include(command) => command.run(out),
            Self::Eventlog(options) => eventlog::run(&options, out),
            Self::Trust(options) => trust::run(&options, out),
            Self::SetupLink(options) => setup_link::run(&options, out),
            Self::Sessions(options) => sessions::run(&options, out),
            Self::ResetPassword(options) => reset_password::run(&options, out),
            Self::Retire(options) => retire::run(&options, true, out),
            Self::Unretire(options) => retire::run(&options, false, out),
            Self::RepairDatabase(options) => repair_database::run(&options, out),
            Self::Destroy(options) => destroy::run(&options, out),
            Self::Restore(_) => not_yet::restore(),
            Self::Migrate(_) => not_yet::migrate(),
            Self::Update(_) => not_yet::update("update"),
            Self::Hotfix(_) => not_yet::update("hotfix"),
        }
        .map(|()| 0)
    }
}

/// The machine that a command acts on.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The machine's domain: example.com, my.example.com or the URL
    #[arg(value_name = "DOMAIN")]
    domain: String,
}

impl Which {
    pub(crate) fn domain(&self) -> Result<Domain> {
        Domain::parse_any(&self.domain)
    }

    /// The record of the machine.
    ///
    /// # Errors
    /// `machine-unknown`, which says where the backups of a machine are that was destroyed.
    pub(crate) fn machine(&self) -> Result<Machine> {
        match self.readable()? {
            Found::Machine(machine) => Ok(*machine),
            Found::Kept(kept) => self.refuse_unfinished().and(Err(destroyed(&kept))),
        }
    }

    /// The machine, or where its backups are when it was destroyed, for commands that read backups.
    ///
    /// # Errors
    /// As [`machine`](Self::machine).
    pub(crate) fn readable(&self) -> Result<Found> {
        match self.machine_or_kept() {
            Ok(Found::Machine(machine)) if machine.destroying => Err(half_destroyed(&machine.fqdn)),
            Err(error) if error.is(&codes::MACHINE_UNKNOWN) => self.refuse_unfinished().and(Err(error)),
            found => found,
        }
    }

    /// Refuses a machine whose creation is under way, or was interrupted.
    fn refuse_unfinished(&self) -> Result<()> {
        let (runner, domain) = (Runner::new(state_dir()?.runs()), self.domain()?);
        if runner.unfinished(Some(domain.as_str()))?.is_empty() {
            return Ok(());
        }
        runner.check_idle(domain.as_str())?;
        let message = format!("the machine {domain} is not finished: its creation was interrupted");
        Err(Error::new(&codes::MACHINE_UNKNOWN, message).with_hint(format!(
            "repeat the command that was to create it with --resume, or undo it with `cloudron machine destroy {domain}`"
        )))
    }

    /// The record of the machine, or where its backups are when it was destroyed.
    ///
    /// # Errors
    /// `machine-unknown`.
    pub(crate) fn machine_or_kept(&self) -> Result<Found> {
        let (dirs, domain) = (state_dir()?, self.domain()?);
        let machines = Machines::at(dirs.machines());
        if let Some(machine) = machines.find(&domain)? {
            return Ok(Found::Machine(Box::new(machine)));
        }
        match KeptBackups::at(dirs.kept()).find(&domain)? {
            Some(kept) => Ok(Found::Kept(Box::new(kept))),
            None => machines.get(&domain).map(|machine| Found::Machine(Box::new(machine))),
        }
    }
}

/// What this computer knows of a name.
pub(crate) enum Found {
    Machine(Box<Machine>),
    Kept(Box<Kept>),
}

/// The error for a machine whose destruction was cut off.
fn half_destroyed(domain: &Domain) -> Error {
    Error::new(&codes::MACHINE_DESTROYING, format!("the destruction of {domain} was begun and did not end"))
        .with_hint(format!("`cloudron machine destroy {domain}` finishes it"))
}

/// The error for a machine that was destroyed, or forgotten.
fn destroyed(kept: &Kept) -> Error {
    let (domain, place) = (&kept.fqdn, kept.place());
    let (what, way) = match kept.forgotten {
        true => (
            "forgotten",
            format!("if its server still runs, `cloudron machine adopt {domain}` manages it again; "),
        ),
        false => ("destroyed", String::new()),
    };
    Error::new(&codes::MACHINE_UNKNOWN, format!("{domain} was {what}; its backups are {place}")).with_hint(format!(
        "{way}`cloudron machine backup list {domain}` lists its backups, and `cloudron machine destroy {domain} \
         --delete-backups` removes them"
    ))
}
