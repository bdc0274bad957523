//! What a server does with mail, and the records that follow.

use super::dkim::{record_name, retired_record};
use super::{Dkim, MtaSts};
use crate::{Intent, Name, RecordData, RecordSet, Result, Ttl};

/// What receivers are asked to do with mail that is not from the domain (RFC 9989, section 4.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DmarcPolicy {
    /// Nothing: the domain only watches. Where one starts.
    #[default]
    None,
    /// To treat it as suspicious.
    Quarantine,
    /// To refuse it.
    Reject,
}

/// What the server does with mail of its domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailSettings {
    /// Whether it receives and sends mail of the domain. If not, no mail record is wanted.
    pub enabled: bool,
    /// The key that signs what it sends.
    pub dkim: Option<Dkim>,
    /// Other keys that receivers must still, or already, know: one that signs later, or mail of which is on its way.
    pub other_dkim: Vec<Dkim>,
    /// Selectors of keys that are no longer to be trusted.
    pub retired_dkim: Vec<String>,
    /// What receivers are asked to do with mail that is not from the domain.
    pub dmarc: DmarcPolicy,
    /// Where receivers send their DMARC reports: a mail address.
    pub dmarc_reports_to: Option<String>,
    /// Whether the name that the server greets with has an SPF record too (RFC 7208, section 2.3).
    pub helo_spf: bool,
    /// That mail to the domain must come encrypted.
    pub mta_sts: Option<MtaSts>,
    /// Where senders report that they could not send encrypted: a mail address (TLSRPT, RFC 8460).
    pub tls_reports_to: Option<String>,
}

impl MailSettings {
    /// The server has nothing to do with mail.
    pub fn off() -> Self {
        Self::default()
    }

    /// The server receives and sends mail of the domain.
    pub fn on() -> Self {
        Self { enabled: true, ..Self::default() }
    }

    /// The same settings with a key that signs what is sent.
    pub fn with_dkim(self, selector: impl Into<String>, public_key: impl Into<String>) -> Self {
        let dkim = Dkim { selector: selector.into(), public_key: public_key.into() };
        Self { dkim: Some(dkim), ..self }
    }

    /// The same settings with one more key that receivers can look up. To rotate a key, publish the new one here,
    /// sign with it once its record has propagated and negative answers are forgotten, keep the old one here for a
    /// week, and then [retire](Self::with_retired_dkim) it.
    pub fn with_other_dkim(mut self, selector: impl Into<String>, public_key: impl Into<String>) -> Self {
        self.other_dkim.push(Dkim { selector: selector.into(), public_key: public_key.into() });
        self
    }

    /// The same settings with a key that is no longer to be trusted: its record stays, without a key.
    pub fn with_retired_dkim(mut self, selector: impl Into<String>) -> Self {
        self.retired_dkim.push(selector.into());
        self
    }

    /// The same settings with another DMARC policy than to watch. A policy that somebody else made is then a
    /// conflict, rather than good as it is.
    pub fn with_dmarc(self, dmarc: DmarcPolicy) -> Self {
        Self { dmarc, ..self }
    }

    /// The same settings with a mail address that DMARC reports go to.
    pub fn with_dmarc_reports_to(self, address: impl Into<String>) -> Self {
        Self { dmarc_reports_to: Some(address.into()), ..self }
    }

    /// The same settings with an SPF record for the name that the server greets with.
    pub fn with_helo_spf(self) -> Self {
        Self { helo_spf: true, ..self }
    }

    /// The same settings with a policy that mail must come encrypted.
    pub fn with_mta_sts(self, policy: MtaSts) -> Self {
        Self { mta_sts: Some(policy), ..self }
    }

    /// The same settings with a mail address that reports about encryption go to.
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

    /// RFC 9989 has no `pct` any more: a policy is meant for all mail.
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
