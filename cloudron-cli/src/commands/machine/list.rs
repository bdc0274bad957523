//! `cloudron machine list`

use cloudron_api::Status;
use cloudron_core::Result;
use cloudron_machine::{Machine, Manager, Unfinished};
use serde::Serialize;

use crate::machines::manager;
use crate::output::{Output, Table};
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine list
  cloudron machine list --offline --output json")]
pub(crate) struct Options {
    /// Do not ask the machines
    #[arg(long)]
    offline: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    fqdn: String,
    provider: String,
    place: String,
    url: Option<String>,
    state: String,
    version: Option<String>,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let manager = manager(out)?;
    let (machines, mut broken) = manager.machines().all()?;
    let unfinished = unfinished(&manager).unwrap_or_else(|error| {
        broken.push(error);
        Vec::new()
    });
    for error in broken.iter().skip(1) {
        out.error(error);
    }
    let mut rows: Vec<Row> = match options.offline {
        true => machines.iter().map(|machine| row(machine, None)).collect(),
        false => {
            let answers = interruptible(manager.ask_all(&machines))?;
            machines.iter().zip(answers).map(|(machine, answer)| row(machine, Some(answer))).collect()
        }
    };
    rows.extend(unfinished);
    out.data("machines", &rows, || {
        if rows.is_empty() {
            return "No machines. `cloudron machine create local --fqdn demo.localhost` makes one.".into();
        }
        let mut table = Table::new(["Domain", "Provider", "Place", "URL", "State", "Version"]);
        for row in &rows {
            table.row([
                row.fqdn.clone(),
                row.provider.clone(),
                row.place.clone(),
                row.url.clone().unwrap_or_else(|| "-".into()),
                row.state.clone(),
                row.version.clone().unwrap_or_else(|| "-".into()),
            ]);
        }
        table.render()
    })?;
    // A record that could not be read is missing from the list, so the command fails.
    broken.into_iter().next().map_or(Ok(()), Err)
}

/// A machine, and what its server answered if it was asked.
fn row(machine: &Machine, answer: Option<Result<Status>>) -> Row {
    let (state, version) = match answer {
        None => ("unknown".to_owned(), None),
        Some(Ok(status)) if status.activated => ("running".to_owned(), Some(status.version.to_string())),
        Some(Ok(status)) => ("running, not set up".to_owned(), Some(status.version.to_string())),
        Some(Err(error)) => (format!("unreachable: {}", error.message()), None),
    };
    Row {
        fqdn: machine.fqdn.to_string(),
        provider: machine.reach.provider().into(),
        place: machine.reach.place(),
        url: Some(machine.url()),
        state,
        version,
    }
}

/// Runs that died before the machine was finished.
fn unfinished(manager: &Manager) -> Result<Vec<Row>> {
    let row = |Unfinished { run, busy, problem }: Unfinished| Row {
        place: "-".into(),
        url: None,
        state: match (busy, problem) {
            (_, Some(problem)) => problem.message().to_owned(),
            (true, None) => "in progress: another process is working on it".to_owned(),
            (false, None) => "unfinished: create it again with --resume, or destroy it".to_owned(),
        },
        version: None,
        fqdn: run.spec.fqdn,
        provider: run.spec.provider,
    };
    Ok(manager.unfinished()?.into_iter().map(row).collect())
}
