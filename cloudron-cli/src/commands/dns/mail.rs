//! What a machine does with mail, and who may issue its certificates: options for its records.

use clap::{Args, ValueEnum};
use cloudron_core::{Error, Result, codes};
use cloudron_dns::machine::{CaaIssuer, DmarcPolicy, MtaSts, MtaStsMode};
use cloudron_dns::{MailSettings, Name};

/// For so long senders keep a policy that mail must come encrypted, in seconds: a week.
const POLICY_AGE: u32 = 7 * 24 * 3600;

/// The mail of a machine's domain.
#[derive(Debug, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct Mail {
    /// The machine receives and sends mail of the domain
    #[arg(long)]
    mail: bool,
    /// A key that mail is signed with: its selector and its public half in base 64 (repeatable; the first one signs)
    #[arg(long, value_name = "SELECTOR=KEY", requires = "mail")]
    dkim: Vec<String>,
    /// A selector whose key is no longer to be trusted (repeatable)
    #[arg(long, value_name = "SELECTOR", requires = "mail")]
    dkim_retired: Vec<String>,
    /// What receivers do with mail that is not from the domain; they do nothing unless a record says otherwise
    #[arg(long, value_enum, value_name = "POLICY", requires = "mail")]
    dmarc: Option<Dmarc>,
    /// Where receivers report about mail of the domain
    #[arg(long, value_name = "MAIL-ADDRESS", requires = "mail")]
    dmarc_reports: Option<String>,
    /// The name that the machine greets with has an SPF record too
    #[arg(long, requires = "mail")]
    helo_spf: bool,
    /// That mail to the domain must come encrypted; you serve the policy, which is printed
    #[arg(long, value_enum, value_name = "MODE", requires = "mail")]
    mta_sts: Option<Sts>,
    /// Where senders report that they could not send encrypted
    #[arg(long, value_name = "MAIL-ADDRESS", requires = "mail")]
    tls_reports: Option<String>,
    /// An authority that may issue certificates, such as letsencrypt.org; the first one locks all others out
    #[arg(long, value_name = "DOMAIN", requires = "ip")]
    caa: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dmarc {
    None,
    Quarantine,
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sts {
    Testing,
    Enforce,
    None,
}

impl Mail {
    /// The settings of a machine that greets with a name.
    ///
    /// # Errors
    /// `usage` for a key that is no `SELECTOR=KEY`.
    pub(super) fn settings(&self, my: &Name) -> Result<MailSettings> {
        if !self.mail {
            return Ok(MailSettings::off());
        }
        let mut mail = MailSettings::on();
        for (number, dkim) in self.dkim.iter().enumerate() {
            let (selector, key) = dkim.split_once('=').ok_or_else(|| {
                Error::new(&codes::USAGE, "--dkim takes a selector and a key, as SELECTOR=KEY")
            })?;
            mail = match number {
                0 => mail.with_dkim(selector, key),
                _ => mail.with_other_dkim(selector, key),
            };
        }
        mail = self.dkim_retired.iter().fold(mail, MailSettings::with_retired_dkim);
        if let Some(policy) = self.dmarc {
            mail = mail.with_dmarc(match policy {
                Dmarc::None => DmarcPolicy::None,
                Dmarc::Quarantine => DmarcPolicy::Quarantine,
                Dmarc::Reject => DmarcPolicy::Reject,
            });
        }
        if let Some(address) = &self.dmarc_reports {
            mail = mail.with_dmarc_reports_to(address);
        }
        if self.helo_spf {
            mail = mail.with_helo_spf();
        }
        if let Some(mode) = self.mta_sts {
            let mode = match mode {
                Sts::Testing => MtaStsMode::Testing,
                Sts::Enforce => MtaStsMode::Enforce,
                Sts::None => MtaStsMode::None,
            };
            mail = mail.with_mta_sts(MtaSts::new(mode, POLICY_AGE, [my.clone()])?);
        }
        if let Some(address) = &self.tls_reports {
            mail = mail.with_tls_reports_to(address);
        }
        Ok(mail)
    }

    /// The authority that may issue certificates.
    pub(super) fn issuer(&self) -> Option<CaaIssuer> {
        self.caa.clone().map(|ca| CaaIssuer { ca, account_uri: None })
    }
}
