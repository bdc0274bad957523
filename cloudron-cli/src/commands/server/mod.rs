//! `cloudron box`: what the program does on the machine itself.
//!
//! Requests come by standard input as JSON, because arguments are visible to every user; answers go to
//! standard output as one line of JSON, also when they are errors.

mod include;
mod install;
mod owner;
mod restore;
mod serve;
mod store;

use std::time::Duration;

use cloudron_api::owner::{AdminToken, RecordKept};
use cloudron_api::{BoxCall, BoxCommand};
use cloudron_box::{Layout, admin, service};
use cloudron_core::{Error, Result, codes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::output::Output;

/// How long a server may take to answer: less than a caller waits for this command, so that it hears why.
const START_LIMIT: Duration = Duration::from_secs(45);

/// Reads the request on standard input.
fn request<T: DeserializeOwned>() -> Result<T> {
    serde_json::from_reader(std::io::stdin().lock()).map_err(|e| {
        // The text itself may be secret: serde's message has only the place and the kind of the mistake.
        let text = format!("the request on standard input is not understood: {}", place_of(&e));
        Error::new(&codes::USAGE, text)
    })
}

fn place_of(error: &serde_json::Error) -> String {
    format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column())
}

pub(crate) fn run(call: BoxCall, out: &Output) -> Result<()> {
    let layout = call.root.map_or_else(Layout::system, Layout::rooted);
    let answer = match call.command {
        // Its errors are for the journal, not for a calling program.
        BoxCommand::Serve => return serve::run(&layout),
        BoxCommand::Install(_) => install::install(&layout),
        BoxCommand::Uninstall(how) => install::uninstall(&layout, &how),
        BoxCommand::Start => service::start(&layout, START_LIMIT).and_then(value),
        BoxCommand::Stop => service::stop(&layout).and_then(value),
        BoxCommand::Status => service::status(&layout).and_then(value),
        BoxCommand::Restore(_) => restore::run(layout, out),
        BoxCommand::Token => token(&layout),
        BoxCommand::SetupLink => admin::setup_token(&layout).and_then(value),
        BoxCommand::Sessions => owner::sessions(&layout),
        BoxCommand::EndSessions(_) => owner::end_sessions(&layout),
        BoxCommand::ResetPassword(_) => owner::reset_password(&layout),
        BoxCommand::Retire => owner::retire(&layout, true),
        BoxCommand::Unretire => owner::retire(&layout, false),
        BoxCommand::RepairDatabase => cloudron_box::repair_database(&layout).and_then(value),
        BoxCommand::Describe => admin::describe(&layout).and_then(value),
        BoxCommand::Record(_) => record(&layout),
        BoxCommand::Include(command) => include::run(&layout, &command),
        BoxCommand::StoreList => store::list(&layout),
        BoxCommand::StoreReceive => store::receive(&layout),
        BoxCommand::StoreChange(_) => store::change(&layout),
    };
    match answer {
        Ok(answer) => out.json_line(&answer),
        Err(error) => {
            let told = json!({
                "code": error.code().name,
                "message": error.to_string(),
                "hint": error.hint(),
                "details": error.details(),
            });
            out.json_line(&json!({ "error": told }))?;
            Err(error)
        }
    }
}

fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|e| Error::new(&codes::FAILED, format!("the answer is not JSON: {e}")))
}

fn record(layout: &Layout) -> Result<Value> {
    admin::keep_record(layout, &request::<Value>()?)?;
    value(RecordKept { kept: true })
}

fn token(layout: &Layout) -> Result<Value> {
    let token = admin::mint_token(layout, "command line", Duration::from_secs(15 * 60))?;
    value(AdminToken { token })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory, Parser};
    use cloudron_api::command::{IncludeCommand, STDIN, Uninstall};

    use super::*;
    use crate::cli::{Cli, Command};

    /// One of every command, and of every way of removing a server.
    fn all() -> Vec<BoxCommand> {
        use BoxCommand::*;
        let id = Some("0a1b".to_owned());
        vec![
            Serve,
            Install(STDIN),
            Uninstall(cloudron_api::command::Uninstall::keeping_backups()),
            Uninstall(self::Uninstall { keep_backups: false, delete_backups: true, unused_repository: None }),
            Uninstall(self::Uninstall { keep_backups: true, delete_backups: false, unused_repository: id }),
            Start,
            Stop,
            Status,
            Restore(STDIN),
            Token,
            SetupLink,
            Sessions,
            EndSessions(STDIN),
            ResetPassword(STDIN),
            Retire,
            Unretire,
            RepairDatabase,
            Describe,
            Record(STDIN),
            Include(IncludeCommand::Add(STDIN)),
            Include(IncludeCommand::Remove(STDIN)),
            Include(IncludeCommand::List),
            StoreList,
            StoreReceive,
            StoreChange(STDIN),
        ]
    }

    #[test]
    fn every_command_that_is_written_is_parsed_back_equal() {
        for command in all() {
            for root in [None, Some("/a place/demo.localhost".into())] {
                let call = BoxCall { command: command.clone(), root };
                let argv = call.argv("/usr/local/bin/cloudron");
                let cli = Cli::try_parse_from(&argv).unwrap_or_else(|e| panic!("{argv:?}: {e}"));
                let Command::Box(parsed) = cli.command else { panic!("{argv:?} is another command") };
                assert_eq!(parsed, call, "{argv:?}");
            }
        }
    }

    #[test]
    fn the_test_above_knows_every_command() {
        let program = Cli::command();
        let of_box = program.find_subcommand("box").unwrap();
        let names = of_box.get_subcommands().map(|c| c.get_name().to_owned()).collect::<BTreeSet<_>>();
        let tried = all().iter().map(|c| c.words()[0].clone()).collect::<BTreeSet<_>>();
        assert_eq!(tried, names);
    }
}
