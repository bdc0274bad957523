//! `cloudron backup`: the backup library for any folder, with no machine.

pub(crate) mod copy;
mod create;
mod diff;
pub(crate) mod export;
mod find;
mod import;
pub(crate) mod init;
mod key;
mod list;
mod ls;
mod place;
pub(crate) mod prune;
mod repair;
mod restore;
mod upgrade;
pub(crate) mod verify;

use clap::Subcommand;
use cloudron_backup::cache_dir;
use cloudron_core::Result;

use crate::output::Output;

pub(crate) use init::show_new_key;
pub(crate) use place::{Place, find, open_repository};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a repository
    Init(init::Options),
    /// Back up folders and files
    Create(create::Options),
    /// List the backups; needs no key
    List(list::Options),
    /// Show the files in a backup
    Ls(ls::Options),
    /// Find files in all backups
    Find(find::Options),
    /// Show the differences between two backups
    Diff(diff::Options),
    /// Restore files
    Restore(restore::Options),
    /// Verify backups
    Verify(verify::Options),
    /// Remove old backups, and what only they needed
    Prune(prune::Options),
    /// Rebuild the index of a damaged repository
    Repair(repair::Options),
    /// Upgrade a repository to the current format
    Upgrade(upgrade::Options),
    /// Write a backup as one file, encrypted or plain
    Export(export::Options),
    /// Import a backup of the original Cloudron
    Import(import::Options),
    /// Copy a repository as it is, or backups into another one
    Copy(copy::Options),
    /// List, add, change and remove the keys of a repository
    #[command(subcommand, arg_required_else_help = true)]
    Key(key::Command),
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        if cache_dir().is_none() {
            out.warn("HOME is not set: no cache is kept, and the next backup reads every file");
        }
        match self {
            Self::Init(options) => init::run(&options, out),
            Self::Create(options) => create::run(&options, out),
            Self::List(options) => list::run(&options, out),
            Self::Ls(options) => ls::run(&options, out),
            Self::Find(options) => find::run(&options, out),
            Self::Diff(options) => diff::run(&options, out),
            Self::Restore(options) => restore::run(&options, out),
            Self::Verify(options) => verify::run(&options, out),
            Self::Prune(options) => prune::run(&options, out),
            Self::Repair(options) => repair::run(&options, out),
            Self::Upgrade(options) => upgrade::run(&options, out),
            Self::Export(options) => export::run(&options, out),
            Self::Import(options) => import::run(&options, out),
            Self::Copy(options) => copy::run(&options, out),
            Self::Key(command) => command.run(out),
        }
    }
}
