//! `cloudron machine sessions`

use cloudron_api::command::STDIN;
use cloudron_api::owner::EndSessions;
use cloudron_api::{BoxCommand, SessionList, SessionsEnded};
use cloudron_core::Result;

use super::Which;
use crate::machines;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
    /// End the session with this id
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    revoke: Option<String>,
    /// End all sessions
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    if options.revoke.is_some() || options.all {
        let request = EndSessions { id: options.revoke.clone() };
        let ended: SessionsEnded = interruptible(async {
            let program = machines::reach(&machine, out).await?;
            program.call_with(&BoxCommand::EndSessions(STDIN), &request).await
        })?;
        return out.data("sessions", &ended, || match ended.ended {
            1 => "1 session ended.".into(),
            n => format!("{n} sessions ended."),
        });
    }
    let list: SessionList = interruptible(machines::call(&machine, &BoxCommand::Sessions, out))?;
    out.data("sessions", &list.sessions, || match list.sessions.is_empty() {
        true => "Nobody is logged in.".into(),
        false => list.table().render(),
    })
}
