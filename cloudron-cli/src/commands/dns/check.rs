//! `cloudron dns check`

use std::time::Duration;

use cloudron_core::{Error, Result};
use cloudron_dns::check::{check_records, failed};
use cloudron_dns::wildcard::WildcardProvider;
use cloudron_machine::dns::zone_of;
use serde_json::json;

use super::desired::{Desired, Wanted, without_apex};
use super::diagnosis::{Diagnosis, shown};
use super::provider::Servers;
use crate::codes;
use crate::output::Output;
use crate::runtime::interruptible;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The domain
    domain: String,
    #[command(flatten)]
    desired: Desired,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    diagnosis: Diagnosis,
    /// How long to ask, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

pub(super) fn run(options: &Options, out: &Output) -> Result<()> {
    let Wanted { name, intents: desired, machine } = options.desired.read(&options.domain, out)?;
    let lookup = options.servers.lookup()?;
    let limit = Duration::from_secs(options.timeout);
    let expected = match &machine {
        Some((domain, addresses, mail)) => options.diagnosis.expected(domain, addresses, mail, limit)?,
        None => None,
    };
    let (instructions, report, findings) = interruptible(async move {
        let zone = zone_of(&lookup, &name, limit).await;
        // The required records are shown even if the name servers cannot be found.
        let apex = zone.as_ref().unwrap_or(&name).clone();
        let desired = without_apex(desired, &apex, out);
        let instructions = WildcardProvider::instructions(&apex, &desired);
        if let Err(error) = zone {
            out.say(&instructions.to_string());
            return Err(error);
        }
        let (report, findings) = check_records(&lookup, &apex, &desired, expected.as_ref(), limit).await?;
        Ok((instructions, report, findings))
    })
    .map_err(|e| e.while_doing(format!("asking the name servers of {}", options.domain)))?;
    if out.is_json() {
        let records = serde_json::to_value(&instructions.set).unwrap_or_default();
        out.json_object(json!({
            "records": records,
            "servers": report.servers,
            "agrees": report.agrees(),
            "findings": findings,
        }))?;
    } else {
        let between = if findings.is_empty() { "" } else { "\n" };
        out.text(&format!("{instructions}\n{report}{between}{}", shown(&findings)))?;
    }
    let failed = failed(&findings);
    if let (true, Some(failed)) = (report.agrees(), &failed) {
        let message = format!("{} fails these checks: {failed}", options.domain);
        return Err(Error::new(&codes::DNS_DIFFERS, message).with_hint("do what the findings above say"));
    }
    if report.agrees() {
        return Ok(());
    }
    let message = format!("the records of {} are not what they must be on every server", options.domain);
    Err(Error::new(&codes::DNS_DIFFERS, message)
        .with_hint("set the records above at your DNS host, and run this again"))
}
