//! Plans in files.

use std::path::Path;

use cloudron_core::{atomic, codes as core_codes};
use serde::{Deserialize, Serialize};

use super::ManagedPlan;
use crate::{Error, Name, Ownership, Plan, Result, codes};

/// A plan in a file, and what it was made from, to be written at another time by [`resume`](super::ManagedZone::resume).
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedPlan {
    schema: u32,
    /// The DNS host that the plan was made for.
    pub provider: String,
    /// The plan.
    pub plan: Plan,
    /// The ownership when the plan was made.
    pub ownership: Ownership,
}

impl SavedPlan {
    /// The plan for the host of that short name.
    pub fn new(provider: impl Into<String>, planned: ManagedPlan) -> Self {
        let ManagedPlan { plan, ownership, .. } = planned;
        Self { schema: 1, provider: provider.into(), plan, ownership }
    }

    /// Writes a new file of mode 0600.
    ///
    /// # Errors
    /// `output-exists`, and those of writing files.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(&core_codes::FAILED, format!("the plan is not JSON: {e}")))?;
        atomic::create_private(path, &text)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// `dns-plan-file` for one that is no plan, and those of reading files.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let broken = |why: String| {
            Error::new(&codes::PLAN_FILE, format!("{} is not a saved plan: {why}", path.display()))
        };
        let saved: Self = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        match saved.schema {
            1 => Ok(saved),
            other => Err(broken(format!("it has schema {other}, this program knows 1"))),
        }
    }

    /// Checks that it was made for a host, and for a zone that encloses a domain.
    ///
    /// # Errors
    /// `usage`.
    pub fn check(&self, provider: &str, domain: &Name) -> Result<()> {
        let apex = &self.plan.zone.apex;
        let message = if self.provider != provider {
            format!("the plan was made for {}, not for {provider}", self.provider)
        } else if !domain.is_in(apex) {
            format!("the plan is for the zone {apex}, which does not enclose {domain}")
        } else {
            return Ok(());
        };
        Err(Error::new(&core_codes::USAGE, message))
    }
}
