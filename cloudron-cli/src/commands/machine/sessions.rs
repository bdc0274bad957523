//! `cloudron machine sessions`

use cloudron_api::command::STDIN;
use cloudron_api::owner::EndSessions;
use cloudron_api::{BoxCommand, Session, SessionList, SessionsEnded};
use cloudron_core::Result;

use super::Which;
use crate::machines;
use crate::output::{Output, Table};
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
    out.data("sessions", &list.sessions, || render(&list.sessions))
}

fn render(sessions: &[Session]) -> String {
    if sessions.is_empty() {
        return "Nobody is logged in.".into();
    }
    let mut table = Table::new(["Id", "User", "Since", "Last used", "From", "Until"]);
    let time = |t: &jiff::Timestamp| t.strftime("%Y-%m-%d %H:%MZ").to_string();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    for session in sessions {
        table.row([
            session.id.clone(),
            or_none(session.username.clone()),
            time(&session.created_at),
            or_none(session.used_at.as_ref().map(time)),
            or_none(session.address.clone()),
            time(&session.expires_at),
        ]);
    }
    table.render()
}
