//! `cloudron machine status`

use std::time::{Duration, SystemTime};

use cloudron_box::api::{Config, ProgressReport, Status};
use cloudron_core::{Error, Result};
use serde_json::json;

use super::Which;
use crate::codes;
use crate::connect::Session;
use crate::output::{self, Output, ago};
use crate::runtime::interruptible;
use crate::state::Machine;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cloudron machine status example.com
  cloudron machine status example.com --output json

Exit code 7 when the server does not answer, 1 when it answers and something is wrong.")]
pub(crate) struct Options {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(options: &Options, out: &Output) -> Result<()> {
    let machine = options.which.machine()?;
    let (status, config, progress) = interruptible(ask(&machine, out))?;
    if out.is_json() {
        let progress = serde_json::to_value(&progress).unwrap_or_default();
        let machines = json!([{
            "fqdn": machine.fqdn, "provider": machine.reach.provider(), "place": machine.reach.place(),
            "status": status, "config": config, "progress": progress,
        }]);
        out.json("machines", &machines)?;
    } else {
        out.text(&render(&machine, &status, &config, &progress))?;
    }
    super::create::only_copy(&machine, out);
    let failing: Vec<_> = config.health.checks.iter().filter(|c| !c.ok).map(|c| c.name.as_str()).collect();
    if config.health.ok {
        return Ok(());
    }
    Err(Error::new(&codes::UNHEALTHY, format!("{} is not well: {}", machine.fqdn, failing.join(", ")))
        .with_hint(format!(
            "the lines above say what is wrong; `cloudron machine logs {}` may say why",
            machine.fqdn
        )))
}

async fn ask(machine: &Machine, out: &Output) -> Result<(Status, Config, ProgressReport)> {
    let session = Session::open(machine, out).await?;
    let status = session.client.status().await?;
    let config = session.client.config().await?;
    let progress = session.client.get("/api/v1/cloudron/progress").await?;
    Ok((status, config, progress))
}

fn render(machine: &Machine, status: &Status, config: &Config, progress: &ProgressReport) -> String {
    let mut lines = vec![
        format!(
            "{}  version {}, {} at {}",
            machine.fqdn,
            status.version,
            status.provider,
            machine.reach.place()
        ),
        format!(
            "  setup     {}",
            if status.activated { "done" } else { "not done: `cloudron machine setup-link` gives a link" }
        ),
    ];
    let now = SystemTime::now();
    let last = config.backup.last.map(|t| ago(SystemTime::UNIX_EPOCH + seconds(t.as_second()), now));
    lines.push(format!(
        "  backup    {}, daily at {:02} h UTC, to {}",
        last.unwrap_or_else(|| "none yet".into()),
        config.backup.hour,
        config.backup.store
    ));
    if config.retired {
        lines.push("  retired   another machine took over".into());
    }
    for job in [&progress.backup, &progress.update, &progress.restore].into_iter().flatten() {
        lines.push(format!("  running   {} % {}", job.percent, job.message));
    }
    for check in &config.health.checks {
        lines.push(format!(
            "  {:<9} {}{}",
            check.name,
            if check.ok { "" } else { "NOT WELL: " },
            check.message
        ));
    }
    output::lines(lines)
}

fn seconds(since_epoch: i64) -> Duration {
    Duration::from_secs(u64::try_from(since_epoch).unwrap_or(0))
}
