//! The commands of the program on a machine: `cloudron box`.
//!
//! Requests come by standard input as JSON, because arguments are visible to every user; answers go to standard output as
//! one line of JSON, also when they are errors. A program that has them reads and writes these streams; what is done and
//! said is here.

mod owner;
mod store;

use std::future::ready;
use std::io::Read;
use std::pin::Pin;
use std::time::Duration;

use cloudron_api::command::{IncludeCommand, ProxyCommand, Uninstall};
use cloudron_api::install::InstallRequest;
use cloudron_api::owner::{AdminToken, RecordKept, Uninstalled};
use cloudron_api::restore::RestoreRequest;
use cloudron_api::{BoxCommand, ProxyHost, ProxyRoute};
use cloudron_backup::whole;
use cloudron_core::{Cancel, Progress, codes};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::install::{install, reinstall, store_folder, uninstall};
use crate::repair::repair_database;
use crate::restore::restore;
use crate::server::{serve, serve_front, serve_helper, serve_worker};
use crate::{Error, Include, Layout, Result, admin, service};

/// Time limit for the server to answer. It is shorter than the caller's limit for this command, so that the
/// caller receives the error.
const START_LIMIT: Duration = Duration::from_secs(45);

/// How long a token for the interface is valid.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// The remaining work of a command, which returns its answer.
pub type Work = Pin<Box<dyn Future<Output = Result<Value>>>>;

/// Begins a command. Most are done then; the others go on in a runtime, which must be started afterwards: called as root,
/// a command may take on the identity of the owner of the server's files, and threads have that of the one that starts
/// them.
///
/// Of what a restore does, `progress` is told.
///
/// # Errors
/// `usage` for a request that is not understood, and those of the command.
pub fn begin(
    layout: &Layout,
    command: &BoxCommand,
    input: impl Read + 'static,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<Work> {
    let answer = match command {
        BoxCommand::Serve => {
            let (layout, stop) = (layout.clone(), cancel.clone());
            return Ok(Box::pin(async move {
                serve(&layout, async move { stop.cancelled().await }).await.map(|()| Value::Null)
            }));
        }
        BoxCommand::Front => {
            let (layout, stop) = (layout.clone(), cancel.clone());
            return Ok(Box::pin(async move { serve_front(&layout, &stop).await.map(|()| Value::Null) }));
        }
        BoxCommand::Worker => {
            let (layout, stop) = (layout.clone(), cancel.clone());
            return Ok(Box::pin(async move { serve_worker(&layout, &stop).await.map(|()| Value::Null) }));
        }
        BoxCommand::Helper => {
            let (layout, stop) = (layout.clone(), cancel.clone());
            return Ok(Box::pin(async move { serve_helper(&layout, &stop).await.map(|()| Value::Null) }));
        }
        BoxCommand::Uninstall(how) => return remove(layout, how),
        BoxCommand::Restore(_) => {
            let request: RestoreRequest = request(input)?;
            let (layout, progress, cancel) = (layout.clone(), progress.clone(), cancel.clone());
            return Ok(Box::pin(async move {
                let answer = restore(&layout, request, &progress, &cancel).await?;
                Ok(json!({ "result": value(answer)? }))
            }));
        }
        BoxCommand::StoreList => return store::list(layout),
        BoxCommand::StoreReceive => return store::receive(layout, input, cancel),
        BoxCommand::StoreChange(_) => return store::change(layout, input),
        BoxCommand::Install(_) => value(install(layout, &request::<InstallRequest>(input)?)?),
        BoxCommand::Reinstall => value(reinstall(layout)?),
        BoxCommand::Start => value(service::start(layout, START_LIMIT)?),
        BoxCommand::Stop => value(service::stop(layout)?),
        BoxCommand::Status => value(service::status(layout)?),
        BoxCommand::Token => {
            value(AdminToken { token: admin::mint_token(layout, "command line", TOKEN_LIFE)? })
        }
        BoxCommand::SetupLink => value(admin::setup_token(layout)?),
        BoxCommand::Sessions => owner::sessions(layout),
        BoxCommand::EndSessions(_) => owner::end_sessions(layout, input),
        BoxCommand::ResetPassword(_) => owner::reset_password(layout, input),
        BoxCommand::Retire => owner::retire(layout, true),
        BoxCommand::Unretire => owner::retire(layout, false),
        BoxCommand::RepairDatabase => value(repair_database(layout)?),
        BoxCommand::Describe => value(admin::describe(layout)?),
        BoxCommand::Record(_) => {
            admin::keep_record(layout, &request::<Value>(input)?)?;
            value(RecordKept { kept: true })
        }
        BoxCommand::Include(command) => include(layout, command, input),
        BoxCommand::Proxy(command) => match command {
            ProxyCommand::Add(_) => value(admin::proxy_add(layout, request::<ProxyRoute>(input)?)?),
            ProxyCommand::Remove(_) => {
                value(admin::proxy_remove(layout, &request::<ProxyHost>(input)?.host)?)
            }
            ProxyCommand::List => value(admin::proxy_list(layout)?),
        },
    }?;
    Ok(Box::pin(ready(Ok(answer))))
}

/// Returns the line for the caller: the answer, or the error.
pub fn told(answer: &Result<Value>) -> Value {
    match answer {
        Ok(answer) => answer.clone(),
        Err(error) => {
            let (message, hint) = (error.to_string(), error.hint());
            json!({ "error": {
                "code": error.code().name, "message": message, "hint": hint, "details": error.details(),
            } })
        }
    }
}

/// Reads the request.
fn request<T: DeserializeOwned>(input: impl Read) -> Result<T> {
    serde_json::from_reader(input).map_err(|e| {
        // The text itself may be secret: serde's message has only the place and the kind of the mistake.
        let place = format!("{:?} error in line {}, column {}", e.classify(), e.line(), e.column());
        Error::new(&codes::USAGE, format!("the request on standard input is not understood: {place}"))
    })
}

fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer)
        .map_err(|e| Error::new(&codes::FAILED, format!("the answer is not JSON: {e}")))
}

/// Removes the server, and before it a repository that a run made in vain.
fn remove(layout: &Layout, how: &Uninstall) -> Result<Work> {
    let (server, keep_backups) = (layout.clone(), how.keep_backups);
    let remove = move || match uninstall(&server, keep_backups) {
        // What is gone already, or never came to be, is removed.
        Err(e) if e.is(&crate::codes::MACHINE_MISSING) => value(Uninstalled { uninstalled: false }),
        other => other.and_then(|()| value(Uninstalled { uninstalled: true })),
    };
    let Some(id) = how.unused_repository.clone() else { return Ok(Box::pin(ready(Ok(remove()?)))) };
    let folder = store_folder(layout)?.filter(|folder| folder.is_dir());
    Ok(Box::pin(async move {
        if let Some(folder) = folder {
            whole::remove_unused_folder(&folder, &id).await?;
        }
        remove()
    }))
}

/// All of them answer with the folders that are included from then on.
fn include(layout: &Layout, command: &IncludeCommand, input: impl Read) -> Result<Value> {
    match command {
        IncludeCommand::Add(_) => drop(admin::include_add(layout, request::<Include>(input)?)?),
        IncludeCommand::Remove(_) => admin::include_remove(layout, &request::<Include>(input)?.path)?,
        IncludeCommand::List => {}
    }
    value(admin::include_list(layout)?)
}
