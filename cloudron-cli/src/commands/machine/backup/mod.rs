//! `cloudron machine backup`

mod create;
mod download;
mod list;
mod prune;
mod verify;

use clap::Subcommand;
use cloudron_core::Result;

use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a backup now
    Create(create::Options),
    /// List backups, from the server or from the store alone
    List(list::Options),
    /// Fetch a backup as a plain tar, or the repository as it is
    Download(download::Options),
    /// Verify backups
    Verify(verify::Options),
    /// Remove old backups, and what only they needed
    Prune(prune::Options),
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        match self {
            Self::Create(options) => create::run(&options, out),
            Self::List(options) => list::run(&options, out),
            Self::Download(options) => download::run(options, out),
            Self::Verify(options) => verify::run(&options, out),
            Self::Prune(options) => prune::run(&options, out),
        }
    }
}
