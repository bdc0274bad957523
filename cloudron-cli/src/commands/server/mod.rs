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

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use cloudron_box::{Layout, admin, service};
use cloudron_core::{Error, Result, codes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::output::Output;
use crate::target::TokenLine;
pub(crate) use owner::{EndSessions, PasswordReset, ResetPassword, Retired};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until it is told to stop
    Serve(Place),
    /// Make this place into a server, as the request on standard input says
    Install(Request),
    /// Remove the server
    Uninstall(install::Uninstall),
    /// Start the server and wait until it answers
    Start(Place),
    /// Stop the server
    Stop(Place),
    /// Say whether the server runs
    Status(Place),
    /// Put a backup back, as the request on standard input says
    Restore(Request),
    /// Print a token for the interface that is valid for some minutes
    Token(Place),
    /// Print a new token for the first-time setup
    SetupLink(Place),
    /// List the sessions
    Sessions(Place),
    /// End the session of the request on standard input, or all
    EndSessions(Request),
    /// Give the owner the password of the request on standard input
    ResetPassword(Request),
    /// Retire the server, because another machine took over
    Retire(Place),
    /// Take back that the server was retired
    Unretire(Place),
    /// Use the database that is there, or begin a new one
    RepairDatabase(Place),
    /// Say what the machine is, to a computer that adopts it
    Describe(Place),
    /// Keep the owner's record of the machine, as the request on standard input says
    Record(Request),
    /// Say which folders are backed up besides the server's own
    #[command(subcommand)]
    Include(include::Command),
    /// List the objects of the backup store
    StoreList(Place),
    /// Put the objects of the tar on standard input into the backup store
    StoreReceive(Place),
    /// Write or delete an object of the backup store, as the request on standard input says
    StoreChange(Request),
}

/// How long a server may take to answer: less than a caller waits for this command, so that it hears why.
const START_LIMIT: Duration = Duration::from_secs(45);

/// Where the server is.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The folder of a local machine; without it, the machine that this program runs on
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// A command whose request comes by standard input.
#[derive(Debug, Args)]
pub(crate) struct Request {
    #[command(flatten)]
    place: Place,
    /// The request is JSON on standard input
    #[arg(long, required = true)]
    from_stdin: bool,
}

impl Place {
    fn layout(&self) -> Layout {
        self.root.clone().map_or_else(Layout::system, Layout::rooted)
    }
}

impl Request {
    fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_reader(std::io::stdin().lock()).map_err(|e| {
            // The text itself may be secret: serde's message has only the place and the kind of the mistake.
            Error::new(
                &codes::USAGE,
                format!("the request on standard input is not understood: {}", place_of(&e)),
            )
        })
    }
}

fn place_of(error: &serde_json::Error) -> String {
    format!("{:?} error in line {}, column {}", error.classify(), error.line(), error.column())
}

impl Command {
    pub(crate) fn run(self, out: &Output) -> Result<()> {
        let answer = match self {
            // Its errors are for the journal, not for a calling program.
            Self::Serve(place) => return serve::run(&place.layout()),
            Self::Install(request) => install::run(&request),
            Self::Uninstall(options) => options.run(),
            Self::Start(place) => service::start(&place.layout(), START_LIMIT).and_then(value),
            Self::Stop(place) => service::stop(&place.layout()).and_then(value),
            Self::Status(place) => service::status(&place.layout()).and_then(value),
            Self::Restore(request) => restore::run(&request, out),
            Self::Token(place) => token(&place),
            Self::SetupLink(place) => admin::setup_token(&place.layout()).and_then(value),
            Self::Sessions(place) => owner::sessions(&place),
            Self::EndSessions(request) => owner::end_sessions(&request),
            Self::ResetPassword(request) => owner::reset_password(&request),
            Self::Retire(place) => owner::retire(&place, true),
            Self::Unretire(place) => owner::retire(&place, false),
            Self::RepairDatabase(place) => cloudron_box::repair_database(&place.layout()).and_then(value),
            Self::Describe(place) => admin::describe(&place.layout()).and_then(value),
            Self::Record(request) => record(&request),
            Self::Include(command) => command.run(),
            Self::StoreList(place) => store::list(&place),
            Self::StoreReceive(place) => store::receive(&place),
            Self::StoreChange(request) => store::change(&request),
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
}

fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|e| Error::new(&codes::FAILED, format!("the answer is not JSON: {e}")))
}

fn record(request: &Request) -> Result<Value> {
    admin::keep_record(&request.place.layout(), &request.read::<Value>()?)?;
    Ok(json!({ "kept": true }))
}

fn token(place: &Place) -> Result<Value> {
    let token = admin::mint_token(&place.layout(), "command line", Duration::from_secs(15 * 60))?;
    value(TokenLine { token })
}
