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
