//! `cloudron machine`

mod adopt;
mod backup;
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
use cloudron_api::{ProxyCall, ProxyRoute};
use cloudron_core::{Domain, Error, Result};
use cloudron_machine::destroy::Known;
use cloudron_machine::{Found, Machine, Manager, StateDir};

use crate::commands::cloud::offers;
use crate::commands::not_yet::{self, Anything};
use crate::output::Output;
use crate::runtime::interruptible;
use crate::{codes, machines};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a server, new or from a backup
    #[command(subcommand, arg_required_else_help = true)]
    Create(create::Command),
    /// Manage a server that another computer created from this computer
    Adopt(adopt::Options),
    /// List the machines and their state
    List(list::Options),
    /// List the regions of a cloud
    Regions(offers::Options),
    /// List the sizes of machines at a cloud, with their prices
    Sizes(offers::Options),
    /// Show the status of a machine
    Status(status::Options),
    /// Start the server of a machine that is not running
    Start(start::Options),
    /// Make, list, fetch and check backups
    #[command(subcommand, arg_required_else_help = true)]
    Backup(backup::Command),
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
    /// List or end login sessions
    Sessions(sessions::Options),
    /// Reset the password of the owner
    ResetPassword(reset_password::Options),
    /// Stop a server's backups, because another machine took over
    Retire(retire::Options),
    /// Reactivate a retired server
    Unretire(retire::Options),
    /// Repair a server that has lost its database
    RepairDatabase(repair_database::Options),
    /// Destroy a machine and its DNS records; keeps its backups by default
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

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<u8> {
        match self {
            Self::Ssh(options) => return ssh::run(&options, out),
            Self::Logs(options) => return logs::run(&options, out),
            Self::Create(command) => command.run(out),
            Self::Adopt(options) => adopt::run(&options, out),
            Self::List(options) => list::run(&options, out),
            Self::Regions(options) => offers::regions(&options, out),
            Self::Sizes(options) => offers::sizes(&options, out),
            Self::Status(options) => status::run(&options, out),
            Self::Start(options) => start::run(&options, out),
            Self::Backup(command) => command.run(out),
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
            Self::Restore(_) => not_yet::refuse("machine restore"),
            Self::Migrate(_) => not_yet::refuse("machine migrate"),
            Self::Update(_) => not_yet::refuse("machine update"),
            Self::Hotfix(_) => not_yet::refuse("machine hotfix"),
        }
        .map(|()| 0)
    }
}

/// `cloudron proxy`
pub(crate) fn proxy(call: ProxyCall, out: &Output) -> Result<()> {
    let machine = Which { domain: call.domain()?.to_string() }.machine()?;
    let routes = interruptible(async { machines::reach(&machine, out).await?.proxy(call).await })?;
    out.data("routes", &routes, || ProxyRoute::table(&routes).render())
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

    /// Returns the record of the machine.
    ///
    /// # Errors
    /// `machine-unknown`, which for a destroyed machine names the location of its backups.
    pub(crate) fn machine(&self) -> Result<Machine> {
        let (manager, domain) = (Manager::new(StateDir::of_this_user()?), self.domain()?);
        manager.machine(&domain).map_err(|e| advise(e, &manager, &domain))
    }

    /// Returns the machine, or the backups of a destroyed one, for commands that read backups.
    ///
    /// # Errors
    /// Same as [`machine`](Self::machine).
    pub(crate) fn readable(&self) -> Result<Found> {
        let (manager, domain) = (Manager::new(StateDir::of_this_user()?), self.domain()?);
        manager.readable(&domain).map_err(|e| advise(e, &manager, &domain))
    }
}

/// Adds a hint to the error, depending on what is known under the name.
fn advise(error: Error, manager: &Manager, domain: &Domain) -> Error {
    if !error.is(&codes::MACHINE_UNKNOWN) {
        return error;
    }
    match manager.known(domain) {
        Ok(Known::Runs(_)) => error.with_hint(format!(
            "repeat the command that was to create it with --resume, or undo it with `cloudron machine destroy {domain}`"
        )),
        Ok(Known::Kept(kept)) => {
            let way = match kept.forgotten {
                true => format!("if its server still runs, `cloudron machine adopt {domain}` manages it again; "),
                false => String::new(),
            };
            error.with_hint(format!(
                "{way}`cloudron machine backup list {domain}` lists its backups, and `cloudron machine destroy {domain} \
                 --delete-backups` removes them"
            ))
        }
        _ => error,
    }
}
