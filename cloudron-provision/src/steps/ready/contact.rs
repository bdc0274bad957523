//! `first-contact`: the machine is reachable, meets the requirements, and its first boot is complete.

use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Error, Result};
use serde_json::{Value, json};

use crate::facts::{self, Facts, Requirements};
use crate::steps::{Check, Context, Step, Undo};

/// Connects for the first time, reads the machine's facts and waits for its first boot to end.
///
/// Output: `{"host_key": …, "port": …, "facts": {…}}`, the first two for machines reached by SSH.
pub struct FirstContact {
    /// The machine, for messages.
    pub machine: String,
    /// Requirements for the machine.
    pub requirements: Requirements,
    /// Time limit for cloud-init.
    pub first_boot: Duration,
}

impl FirstContact {
    /// Creates the step with these requirements, and five minutes for the first boot.
    pub fn new(machine: impl Into<String>, requirements: Requirements) -> Self {
        Self { machine: machine.into(), requirements, first_boot: Duration::from_secs(300) }
    }
}

#[async_trait]
impl Step for FirstContact {
    fn id(&self) -> &'static str {
        "first-contact"
    }

    fn plan(&self) -> String {
        format!("Connect to {} and check its requirements", self.machine)
    }

    async fn check(&self, context: &Context) -> Result<Check> {
        let Some(previous) = context.previous(self.id()) else { return Ok(Check::Absent) };
        // Connecting now proves that it is still the same machine.
        context.remote().await?;
        Ok(Check::Done(previous))
    }

    async fn apply(&self, context: &Context) -> Result<Value> {
        let remote = context.remote().await?;
        let facts = Facts::ask(&*remote).await?;
        facts.check(&self.requirements, context.fqdn(), &context.run())?;
        if facts.cloud_init {
            facts::wait_for_cloud_init(&*remote, self.first_boot, &context.progress).await?;
        }
        warn_of_clock(&facts, context);
        let mut output = remote.identity().unwrap_or_else(|| json!({}));
        output["facts"] = serde_json::to_value(&facts).map_err(|e| {
            Error::new(&cloudron_core::codes::FAILED, "what the machine says cannot be recorded")
                .with_source(e)
        })?;
        Ok(output)
    }

    async fn undo(&self, _: &Context, _: Option<&Value>) -> Result<Undo> {
        Ok(Undo::Undone)
    }
}

/// Warns about a wrong clock: certificates and tokens need one that is approximately right.
fn warn_of_clock(facts: &Facts, context: &Context) {
    let here = context.clock.now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let off = here.abs_diff(facts.clock);
    if off > 120 {
        let (count, unit) = match off {
            s if s < 2 * 3600 => (s / 60, "minutes"),
            s if s < 2 * 86_400 => (s / 3600, "hours"),
            s => (s / 86_400, "days"),
        };
        let side = if facts.clock < here { "behind" } else { "ahead of" };
        context.progress.warn(format!(
            "the machine's clock is {count} {unit} {side} this computer's; `timedatectl set-ntp true` on the machine sets it"
        ));
    }
}
