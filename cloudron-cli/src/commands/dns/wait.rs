//! `cloudron dns wait`

use std::time::Duration;

use cloudron_core::{Error, Result};
use cloudron_dns::propagation::{self, Lookup, Report, WaitOptions};
use cloudron_dns::{Intent, Name, codes};
use cloudron_machine::dns::zone_of;
use serde_json::json;

use super::desired::{Desired, Wanted, without_apex};
use super::provider::Servers;
use crate::output::Output;
use crate::runtime::unless_stopped;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The domain
    domain: String,
    #[command(flatten)]
    desired: Desired,
    #[command(flatten)]
    servers: Servers,
    /// How long to wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

pub(super) fn run(options: &Options, out: &Output) -> Result<()> {
    let Wanted { name, intents: desired, .. } = options.desired.read(&options.domain, out)?;
    let lookup = options.servers.lookup()?;
    let limit = Duration::from_secs(options.timeout);
    let report = unless_stopped("stopped", async {
        let zone = zone_of(&lookup, &name, limit).await?;
        let desired = without_apex(desired, &zone, out);
        all_agree(&lookup, &zone, &desired, limit, out).await
    })?;
    if out.is_json() {
        return out.json_object(json!({ "servers": report.servers, "agrees": report.agrees() }));
    }
    out.text(&report.to_string())
}

/// Waits until every authoritative name server has the desired records.
pub(super) async fn all_agree(
    lookup: &Lookup,
    zone: &Name,
    desired: &[Intent],
    limit: Duration,
    out: &Output,
) -> Result<Report> {
    let options = WaitOptions::default().within(limit).with_progress(out.progress());
    propagation::wait(lookup, zone, desired, &options).await
}

/// Adds a hint to the error.
pub(super) fn advise(error: Error) -> Error {
    if error.is(&codes::UNSUPPORTED) {
        return error.with_hint("wait with --wait dns instead");
    }
    match error.is(&codes::NOT_PROPAGATED) {
        true => error.with_hint("`cloudron dns wait` asks the servers themselves"),
        false => error,
    }
}
