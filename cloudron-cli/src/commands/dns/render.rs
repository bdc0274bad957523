//! Rendering of plans.

use clap::ValueEnum;
use cloudron_core::Result;
use cloudron_dns::{Plan, Snapshot};
use serde_json::{Value, json};

use crate::output::Output;

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// What is added, removed and in the way
    Diff,
    /// The wanted records as they will be
    Zone,
    /// The plan as JSON
    Json,
}

/// Prints a plan on stdout, with `more` beside it in JSON.
pub(super) fn print(
    plan: &Plan,
    basis: Option<&Snapshot>,
    format: PlanFormat,
    more: Value,
    out: &Output,
) -> Result<()> {
    match format {
        _ if out.is_json() => json_with(plan, more, out),
        PlanFormat::Json => json_with(plan, more, out),
        PlanFormat::Diff => {
            let undone = plan.adjusted.iter().filter(|adjustment| adjustment.undone).map(|a| &a.key);
            let adopt = undone.map(|key| format!("~ {key}: --adopt {}/{} changes it\n", key.name, key.rtype));
            out.text(&format!("{plan}{}", adopt.collect::<String>()))
        }
        PlanFormat::Zone => out.text(&plan.zone_file(basis)),
    }
}

fn json_with(plan: &Plan, mut more: Value, out: &Output) -> Result<()> {
    more["plan"] = json!(plan);
    out.json_object(more)
}
