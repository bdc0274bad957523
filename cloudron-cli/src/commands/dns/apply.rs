//! `cloudron dns apply`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use cloudron_core::{Cancel, Domain, Error, Result, codes};
use cloudron_dns::managed::{Access, ManagedPlan, SavedPlan};
use cloudron_dns::propagation::in_sync;
use cloudron_dns::{Atomicity, DnsProvider, Name, Receipt};
use serde_json::{Value, json};

use super::render::{PlanFormat, print};
use super::wait;
use super::work::Work;
use crate::hints;
use crate::machines::manager;
use crate::output::Output;
use crate::runtime::block_on;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    work: Work,
    /// Write exactly the plan in this file, made by `plan --out`, or nothing
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["records", "machine", "ip", "ipv6", "mail", "caa", "remove", "prune", "adopt", "allow_deletions"])]
    plan: Option<PathBuf>,
    /// How the plan is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "diff")]
    format: PlanFormat,
    /// Wait afterwards until all authoritative name servers answer with the records (dns), or until the host says
    /// that all its servers have them (insync)
    #[arg(long, value_enum, value_name = "none|dns|insync", default_value = "none")]
    #[arg(hide_possible_values = true)]
    wait: Wait,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wait {
    None,
    Dns,
    Insync,
}

pub(super) fn run(options: &Options, out: &Output) -> Result<()> {
    let saved = options.plan.as_deref().map(SavedPlan::read).transpose();
    let saved = saved.map_err(hints::on(
        &cloudron_dns::codes::PLAN_FILE,
        "make a new one with `cloudron dns plan DOMAIN … --out FILE`",
    ))?;
    let (work, servers) = (&options.work, &options.work.servers.name_server);
    let wishes = if saved.is_none() { Some(work.wishes(out)?) } else { None };
    let provider = work.host.host().open(servers, out)?;
    block_on(|cancel| async move {
        let reading = async {
            match (saved, wishes) {
                (Some(saved), _) => restored(work, saved, provider, out),
                (None, Some(wishes)) => work.plan(provider, wishes, Access::Write, out).await,
                (None, None) => Err(stopped()),
            }
        };
        let planned = tokio::select! {
            planned = reading => planned?,
            () = cancel.cancelled() => return Err(stopped()),
        };
        write(options, planned, out, &cancel).await
    })
}

fn stopped() -> Error {
    Error::new(&codes::INTERRUPTED, "stopped")
}

/// The plan of a file, for the zone that it was made for.
fn restored(
    work: &Work,
    saved: SavedPlan,
    provider: Arc<dyn DnsProvider>,
    out: &Output,
) -> Result<ManagedPlan> {
    saved.check(work.host.host().id(), &Name::parse(&work.domain)?)?;
    let zone = saved.plan.zone.clone();
    let planned = work.managed(provider, &zone)?.resume(saved.plan, saved.ownership)?;
    out.say(&format!("The plan is for the zone {} at {}.", zone.apex, planned.provider().id()));
    Ok(planned)
}

async fn write(options: &Options, planned: ManagedPlan, out: &Output, cancel: &Cancel) -> Result<()> {
    let plan = &planned.plan;
    let by_hand = plan.atomicity == Atomicity::Manual;
    if !out.is_json() && options.format != PlanFormat::Json {
        print(plan, Some(&planned.basis), options.format, json!({}), out)?;
    }
    plan.check()?;
    let number = plan.changes.len();
    if number > 0 && !by_hand {
        if out.is_json() {
            out.say(&plan.to_string());
        }
        let sets = if number == 1 { "set" } else { "sets" };
        let question =
            format!("Change {number} record {sets} of {} at {}?", plan.zone.apex, planned.provider().id());
        out.agreed(&question, "nothing was written")?;
    }
    cancel.check()?;
    let receipt = planned.apply(&out.progress()).await?;
    if !by_hand {
        refresh(&options.work.domain, out).await;
    }
    if let Some(instructions) = receipt.instructions.as_ref().filter(|_| !out.is_json()) {
        out.say(&instructions.to_string());
    } else if number > 0 && !out.is_json() {
        out.say(&format!("Written: {number} changes."));
    }
    let waited = waited(options, &planned, &receipt, out, cancel).await;
    if out.is_json() || options.format == PlanFormat::Json {
        let report = waited.as_ref().ok().cloned().unwrap_or(Value::Null);
        print(plan, None, PlanFormat::Json, json!({ "receipt": receipt, "report": report }), out)?;
    }
    waited.map(drop)
}

/// Updates the copy of the record on the domain's machine, if this computer knows it. An unreachable machine
/// is a warning, since the records are written.
async fn refresh(domain: &str, out: &Output) {
    let Ok(known) = Domain::parse_any(domain) else { return };
    let renewed = async { manager(out)?.without_questions().refresh_record(&known).await };
    if let Err(error) = renewed.await {
        out.warn(&format!(
            "the machine {domain} does not have the copy of which records were written, which another computer needs to \
             adopt it: {error}\nRun this command again when the machine answers"
        ));
    }
}

/// Waits as the options say. Returns the result.
async fn waited(
    options: &Options,
    planned: &ManagedPlan,
    receipt: &Receipt,
    out: &Output,
    cancel: &Cancel,
) -> Result<Value> {
    let limit = Duration::from_secs(options.timeout);
    let waiting = async {
        match options.wait {
            Wait::None => Ok(Value::Null),
            Wait::Insync => in_sync(planned.provider(), receipt, limit)
                .await
                .map(|()| json!({ "inSync": true }))
                .map_err(wait::advise),
            Wait::Dns => {
                let desired = planned.awaited();
                if desired.is_empty() {
                    return Ok(Value::Null);
                }
                let lookup = options.work.servers.lookup()?;
                let report = wait::all_agree(&lookup, &planned.plan.zone.apex, &desired, limit, out).await?;
                if !out.is_json() {
                    out.say(report.to_string().trim_end());
                }
                Ok(json!(report))
            }
        }
    };
    tokio::select! {
        done = waiting => done,
        () = cancel.cancelled() => Err(Error::new(&codes::INTERRUPTED, "the records were written, and waiting was stopped")),
    }
}
