//! Further checks of `cloudron dns check`: mail, reverse names, blocklists.

use std::time::Duration;

use clap::Args;
use cloudron_core::{Domain, Result};
use cloudron_dns::check::{Expected, Finding};
use cloudron_dns::{Addresses, MailSettings, Name};

/// What is looked at besides the records.
#[derive(Debug, Args)]
#[command(next_help_heading = "Diagnosis")]
pub(crate) struct Diagnosis {
    /// A blocklist to ask for the machine's addresses, such as zen.spamhaus.org (repeatable)
    #[arg(long, value_name = "ZONE", requires = "ip")]
    blocklist: Vec<String>,
    /// The authority that issues the machine's certificates
    #[arg(long, value_name = "DOMAIN", default_value = "letsencrypt.org")]
    ca: String,
}

impl Diagnosis {
    /// Returns what is expected of a machine, or `None` if neither mail nor a blocklist is requested.
    ///
    /// # Errors
    /// `dns-name` if a blocklist is not a valid name.
    pub(super) fn expected(
        &self,
        domain: &Domain,
        addresses: &Addresses,
        mail: &MailSettings,
        limit: Duration,
    ) -> Result<Option<Expected>> {
        if !mail.enabled && self.blocklist.is_empty() {
            return Ok(None);
        }
        let lists: Vec<Name> = self.blocklist.iter().map(|list| Name::parse(list)).collect::<Result<_>>()?;
        let expected = Expected::new(domain, addresses, mail)?;
        Ok(Some(expected.with_blocklists(lists).with_ca(&self.ca).within(limit)))
    }
}

/// Renders the findings, worst last.
pub(super) fn shown(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.status);
    sorted.iter().map(|finding| format!("{finding}\n")).collect()
}
