//! `cloudron dns plan`

use std::path::PathBuf;

use cloudron_core::Result;
use cloudron_dns::managed::{Access, SavedPlan};
use serde_json::json;

use super::render::{PlanFormat, print};
use super::work::Work;
use crate::output::Output;
use crate::runtime::unless_stopped;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron dns plan example.com --provider digitalocean --records example.com.zone
  cloudron dns plan example.com --provider route53 --machine --ip 203.0.113.7 --mail
  cloudron dns plan home.test --provider rfc2136 --server 192.168.1.1 --records home.zone --prune
  cloudron dns plan example.com --provider hetzner --records records.json --out change.plan

In the diff, + is added, - is removed, ~ is done otherwise than wanted, ! stands against it and = is right
already. Exit code 5 when something stands against it; with --exit-code, 1 when something would change or stays
other than wanted.")]
pub(crate) struct Options {
    #[command(flatten)]
    work: Work,
    /// How the plan is printed
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "diff")]
    format: PlanFormat,
    /// Also write the plan into a new file, for `apply --plan`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 1 if something would change or stay different from the desired records
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(options: &Options, out: &Output) -> Result<u8> {
    let wishes = options.work.wishes(out)?;
    let provider = options.work.host.host().open(&options.work.servers.name_server, out)?;
    let planning = options.work.plan(provider, wishes, Access::Read, out);
    let planned = unless_stopped("stopped on request", planning)?;
    print(&planned.plan, Some(&planned.basis), options.format, json!({}), out)?;
    planned.plan.check()?;
    let fulfilled = planned.plan.is_fulfilled();
    if let Some(path) = &options.out {
        SavedPlan::new(options.work.host.host().id(), planned).write(path)?;
    }
    Ok(u8::from(options.exit_code && !fulfilled))
}
