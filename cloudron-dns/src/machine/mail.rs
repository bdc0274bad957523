//! Mail settings of a server, and the resulting records.

use std::str::FromStr;

use cloudron_core::codes;

use super::dkim::{record_name, retired_record};
use super::{Dkim, MtaSts};
use crate::{Error, Intent, Name, RecordData, RecordSet, Result, Ttl};

/// The request to receivers for mail that is not from the domain (RFC 9989, section 4.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DmarcPolicy {
    /// Only monitor; the initial policy.
    #[default]
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Reject it.
    Reject,
}

impl FromStr for DmarcPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            "quarantine" => Ok(Self::Quarantine),
            "reject" => Ok(Self::Reject),
            _ => Err(Error::new(&codes::USAGE, format!("{text:?} is not none, quarantine or reject"))),
        }
    }
}

/// The mail settings of a server for its domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailSettings {
    /// True if the server receives and sends mail of the domain. If not, there are no mail records.
    pub enabled: bool,
    /// The key that signs outgoing mail.
    pub dkim: Option<Dkim>,
    /// Further keys that receivers must be able to look up: the next one, or an old one whose mail is still in transit.
    pub other_dkim: Vec<Dkim>,
    /// Selectors of retired keys.
    pub retired_dkim: Vec<String>,
    /// The request to receivers for mail that is not from the domain.
    pub dmarc: DmarcPolicy,
    /// The mail address for DMARC reports.
    pub dmarc_reports_to: Option<String>,
    /// True if the server's greeting name also has an SPF record (RFC 7208, section 2.3).
    pub helo_spf: bool,
    /// The policy that mail to the domain must be encrypted.
    pub mta_sts: Option<MtaSts>,
    /// The mail address for reports about encryption failures (TLSRPT, RFC 8460).
    pub tls_reports_to: Option<String>,
}

impl MailSettings {
    /// Returns settings for a server without mail.
    pub fn off() -> Self {
        Self::default()
    }

    /// Returns settings for a server that receives and sends mail of the domain.
    pub fn on() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// Sets the key that signs outgoing mail.
    pub fn with_dkim(self, selector: impl Into<String>, public_key: impl Into<String>) -> Self {
        let dkim = Dkim { selector: selector.into(), public_key: public_key.into() };
        Self { dkim: Some(dkim), ..self }
    }

    /// Adds a further key that receivers can look up. To rotate a key, publish the new one here, sign with it once its
    /// record has propagated and negative answers have expired, keep the old one here for a week, and then
    /// [retire](Self::with_retired_dkim) it.
    pub fn with_other_dkim(mut self, selector: impl Into<String>, public_key: impl Into<String>) -> Self {
        self.other_dkim.push(Dkim { selector: selector.into(), public_key: public_key.into() });
        self
    }

    /// Adds a retired key: its record stays, without a key.
    pub fn with_retired_dkim(mut self, selector: impl Into<String>) -> Self {
        self.retired_dkim.push(selector.into());
        self
    }

    /// Sets another DMARC policy than monitoring. A policy of another owner is then a conflict instead of being
    /// accepted.
    pub fn with_dmarc(self, dmarc: DmarcPolicy) -> Self {
        Self { dmarc, ..self }
    }

    /// Sets the mail address for DMARC reports.
    pub fn with_dmarc_reports_to(self, address: impl Into<String>) -> Self {
        Self { dmarc_reports_to: Some(address.into()), ..self }
    }

    /// Adds an SPF record for the server's greeting name.
    pub fn with_helo_spf(self) -> Self {
        Self { helo_spf: true, ..self }
    }

    /// Sets the policy that mail must be encrypted.
    pub fn with_mta_sts(self, policy: MtaSts) -> Self {
        Self { mta_sts: Some(policy), ..self }
    }

    /// Sets the mail address for reports about encryption failures.
    pub fn with_tls_reports_to(self, address: impl Into<String>) -> Self {
        Self { tls_reports_to: Some(address.into()), ..self }
    }

    pub(super) fn intents(&self, domain: &Name, my: &Name) -> Result<Vec<Intent>> {
        if !self.enabled {
            return Ok(Vec::new());
        }
        let mx = RecordData::Mx { preference: 10, exchange: my.clone() };
        let mut intents = vec![exactly(domain.clone(), mx)?, spf(domain, format!("a:{}", my.without_dot()))];
        if self.helo_spf {
            intents.push(spf(my, "a".into()));
        }
        for dkim in self.dkim.iter().chain(&self.other_dkim) {
            intents.push(exactly(dkim.name(domain)?, dkim.record())?);
        }
        for selector in &self.retired_dkim {
            intents.push(exactly(record_name(selector, domain)?, retired_record())?);
        }
        intents.push(self.dmarc_intent(domain)?);
        if let Some(policy) = &self.mta_sts {
            intents.push(exactly(domain.below("_mta-sts")?, policy.record())?);
        }
        if let Some(to) = &self.tls_reports_to {
            let text = format!("v=TLSRPTv1; rua=mailto:{to}");
            intents.push(exactly(domain.below("_smtp._tls")?, RecordData::txt(text))?);
        }
        Ok(intents)
    }

    /// Returns the DMARC intent. RFC 9989 has no `pct` any more: a policy applies to all mail.
    fn dmarc_intent(&self, domain: &Name) -> Result<Intent> {
        let policy = match self.dmarc {
            DmarcPolicy::None => "none",
            DmarcPolicy::Quarantine => "quarantine",
            DmarcPolicy::Reject => "reject",
        };
        let reports =
            self.dmarc_reports_to.as_ref().map(|to| format!("; rua=mailto:{to}")).unwrap_or_default();
        let record = RecordData::txt(format!("v=DMARC1; p={policy}{reports}"));
        let set = RecordSet::new(domain.below("_dmarc")?, Ttl::DEFAULT, [record])?;
        Ok(if self.dmarc == DmarcPolicy::None { Intent::Default(set) } else { Intent::Exactly(set) })
    }
}

fn exactly(name: Name, value: RecordData) -> Result<Intent> {
    Ok(Intent::Exactly(RecordSet::new(name, Ttl::DEFAULT, [value])?))
}

fn spf(name: &Name, mechanism: String) -> Intent {
    Intent::Spf { name: name.clone(), ttl: Ttl::DEFAULT, mechanisms: vec![mechanism] }
}
