//! What the credentials of an account must be allowed to do, without asking the cloud.

use std::fmt;

use cloudron_core::{Domain, Result};
use serde::Serialize;
use serde_json::Value;

use super::{CloudSettings, Provider};

/// What credentials must be allowed to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Policy {
    /// The permissions by their names at the cloud.
    pub permissions: Vec<String>,
    /// The document to paste into the cloud's console, where the cloud takes one.
    pub document: Option<Value>,
}

/// Writes the document, or else a line for each permission.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.document {
            Some(document) => write!(f, "{document:#}"),
            None => f.write_str(&self.permissions.join("\n")),
        }
    }
}

impl Provider {
    /// Returns what credentials need to make and remove machines with these settings, and no more. Where the cloud can do
    /// so, removal is limited to the machines of the domain, or to those of this program. `bucket` is where the backups are.
    ///
    /// # Errors
    /// `usage` for settings that contradict each other.
    pub fn policy(
        self,
        settings: &CloudSettings,
        domain: Option<&Domain>,
        bucket: Option<&str>,
    ) -> Result<Policy> {
        settings.check()?;
        let _ = (domain, bucket);
        match self {
            #[cfg(feature = "hetzner")]
            Self::Hetzner => {
                let permissions = cloudron_provision::hetzner::PERMISSIONS;
                Ok(Policy { permissions: permissions.map(str::to_owned).into(), document: None })
            }
        }
    }
}
