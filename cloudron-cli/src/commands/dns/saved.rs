//! Plans in files.

use std::path::Path;

use cloudron_core::{Error, Result, atomic};
use cloudron_dns::{Ownership, Plan};
use serde::{Deserialize, Serialize};

use crate::codes;

/// A plan, and what it was made from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    schema: u32,
    /// The DNS host it was made for.
    pub provider: String,
    pub plan: Plan,
    /// What was ours when it was made.
    pub ownership: Ownership,
}

impl Saved {
    pub(super) fn new(provider: String, plan: Plan, ownership: Ownership) -> Self {
        Self { schema: 1, provider, plan, ownership }
    }

    /// Writes a new file of mode 0600.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(&cloudron_core::codes::FAILED, format!("the plan is not JSON: {e}")))?;
        atomic::create_private(path, &text)
    }

    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let broken = |why: String| {
            Error::new(&codes::DNS_PLAN_FILE, format!("{} is not a saved plan: {why}", path.display()))
                .with_hint("make a new one with `cloudron dns plan DOMAIN … --out FILE`")
        };
        let saved: Self = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        match saved.schema {
            1 => Ok(saved),
            other => Err(broken(format!("it has schema {other}, this program knows 1"))),
        }
    }
}
