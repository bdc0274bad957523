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
use crate::output::{Output, Table};
use crate::runtime::interruptible;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back a folder of the machine up from now on
    #[command(after_help = "Examples:
  cloudron machine include add example.com /srv/files
  cloudron machine include add example.com /srv/db --before 'sqlite3 /srv/app.db \".backup /srv/db/app.db\"'")]
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
    #[command(after_help = "Examples:
  cloudron machine include remove example.com /srv/files")]
    Remove {
        #[command(flatten)]
        which: Which,
        /// The folder
        path: PathBuf,
    },
    /// List the folders that are backed up besides the server's own
    #[command(after_help = "Examples:
  cloudron machine include list example.com")]
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
        out.data("includes", &includes, || render(&includes))
    }
}

fn render(includes: &[Include]) -> String {
    if includes.is_empty() {
        return "No folders besides the server's own.".into();
    }
    let mut table = Table::new(["Folder", "Before", "After"]);
    for include in includes {
        let hook = |hook: &Option<String>| hook.clone().unwrap_or_else(|| "-".into());
        table.row([include.path.display().to_string(), hook(&include.before), hook(&include.after)]);
    }
    table.render()
}
