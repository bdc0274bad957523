//! `cloudron machine list`

use cloudron_core::{Error, Result, codes};
use cloudron_machine::{Machine, Unfinished};
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
    let (machines, mut broken) = manager(out)?.machines().all()?;
    let unfinished = unfinished(out).unwrap_or_else(|error| {
        broken.push(error);
        Vec::new()
    });
    for error in broken.iter().skip(1) {
        out.error(error);
    }
    let offline = options.offline;
    let mut rows = interruptible(async {
        // All at once: one that does not answer must not hold up the others.
        let asked: Vec<_> = machines
            .iter()
            .cloned()
            .map(|machine| tokio::spawn(state(machine, offline, out.clone())))
            .collect();
        let mut rows = Vec::new();
        for row in asked {
            rows.push(
                row.await
                    .map_err(|e| Error::new(&codes::FAILED, format!("asking a machine broke off: {e}")))?,
            );
        }
        Ok(rows)
    })?;
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
    // What could not be read is missing from the list.
    broken.into_iter().next().map_or(Ok(()), Err)
}

async fn state(machine: Machine, offline: bool, out: Output) -> Row {
    let mut row = Row {
        fqdn: machine.fqdn.to_string(),
        provider: machine.reach.provider().into(),
        place: machine.reach.place(),
        url: Some(machine.url()),
        state: "unknown".into(),
        version: None,
    };
    if offline {
        return row;
    }
    let status = async { manager(&out)?.without_questions().client(&machine).await?.status().await };
    match status.await {
        Ok(status) => {
            row.state = if status.activated { "running" } else { "running, not set up" }.into();
            row.version = Some(status.version.to_string());
        }
        Err(error) => row.state = format!("unreachable: {}", error.message()),
    }
    row
}

/// Runs that died before the machine was finished.
fn unfinished(out: &Output) -> Result<Vec<Row>> {
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
    Ok(manager(out)?.unfinished()?.into_iter().map(row).collect())
}
