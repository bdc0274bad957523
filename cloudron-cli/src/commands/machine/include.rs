//! `cloudron machine include`

use std::path::PathBuf;

use clap::Subcommand;
use cloudron_api::Include;
use cloudron_api::command::{IncludeCommand, STDIN};
use cloudron_core::Result;
use cloudron_machine::codes::FOLDER_MISSING;

use super::Which;
use crate::hints;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back a folder of the machine up from now on
    Add {
        #[command(flatten)]
        which: Which,
        /// The folder, an absolute path on the machine
        path: PathBuf,
        /// A shell command that runs before the folder is read, such as one that dumps a database into it; as root, on a
        /// machine of its own
        #[arg(long, value_name = "COMMAND")]
        before: Option<String>,
        /// A shell command that runs after the backup, whatever became of it
        #[arg(long, value_name = "COMMAND")]
        after: Option<String>,
    },
    /// Leave a folder out of future backups
    Remove {
        #[command(flatten)]
        which: Which,
        /// The folder
        path: PathBuf,
    },
    /// List the folders that are backed up besides the server's own
    List {
        #[command(flatten)]
        which: Which,
    },
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        let (which, command, include) = match self {
            Self::Add { which, path, before, after } => {
                (which, IncludeCommand::Add(STDIN), Some(Include { path, before, after }))
            }
            Self::Remove { which, path } => (which, IncludeCommand::Remove(STDIN), Some(Include::new(path))),
            Self::List { which } => (which, IncludeCommand::List, None),
        };
        let machine = which.machine()?;
        let includes =
            interruptible(async { machines::reach(&machine, out).await?.includes(command, include).await });
        let includes = includes.map_err(hints::on(
            &FOLDER_MISSING,
            "make the folder on the machine first, or give the command that makes it with `--before COMMAND`",
        ))?;
        out.data("includes", &includes, || match includes.is_empty() {
            true => "No folders besides the server's own.".into(),
            false => Include::table(&includes).render(),
        })
    }
}
