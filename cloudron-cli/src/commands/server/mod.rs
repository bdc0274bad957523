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
            let told =
                json!({ "code": error.code().name, "message": error.to_string(), "hint": error.hint() });
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
