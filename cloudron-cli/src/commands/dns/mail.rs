//! Options for a machine's mail records and for the CA that may issue its certificates.

use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use cloudron_core::{Error, Result};
use cloudron_dns::machine::{CaaIssuer, Dkim, DkimKey, DmarcPolicy, MtaSts, MtaStsMode};
use cloudron_dns::{MailSettings, Name};

use crate::hints;

/// Time for which senders cache the MTA-STS policy, in seconds: one week.
const POLICY_AGE: u32 = 7 * 24 * 3600;

/// The mail of a machine's domain.
#[derive(Debug, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct Mail {
    /// The machine receives and sends mail of the domain
    #[arg(long)]
    mail: bool,
    /// A key that mail is signed with: its selector, and its private half as file:PATH, env:NAME or cmd:PROGRAM, or its
    /// public half in base 64 (repeatable; the first one signs)
    #[arg(long, value_name = "SELECTOR=KEY", requires = "mail")]
    dkim: Vec<String>,
    /// A selector whose key is no longer to be trusted (repeatable)
    #[arg(long, value_name = "SELECTOR", requires = "mail")]
    dkim_retired: Vec<String>,
    /// What receivers do with mail that is not from the domain; they do nothing unless a record says otherwise
    #[arg(long, value_name = "POLICY", requires = "mail", value_parser = one_of::<DmarcPolicy>(["none", "quarantine", "reject"]))]
    dmarc: Option<DmarcPolicy>,
    /// Where receivers report about mail of the domain
    #[arg(long, value_name = "MAIL-ADDRESS", requires = "mail")]
    dmarc_reports: Option<String>,
    /// The name that the machine greets with has an SPF record too
    #[arg(long, requires = "mail")]
    helo_spf: bool,
    /// Require encrypted mail to the domain (MTA-STS); you serve the printed policy
    #[arg(long, value_name = "MODE", requires = "mail", value_parser = one_of::<MtaStsMode>(["testing", "enforce", "none"]))]
    mta_sts: Option<MtaStsMode>,
    /// Where senders report that they could not send encrypted
    #[arg(long, value_name = "MAIL-ADDRESS", requires = "mail")]
    tls_reports: Option<String>,
    /// An authority that may issue certificates, such as letsencrypt.org; the first one excludes all others
    #[arg(long, value_name = "DOMAIN", requires = "ip")]
    caa: Option<String>,
}

impl Mail {
    /// Returns the mail settings of a machine whose greeting name is `my`.
    ///
    /// # Errors
    /// `usage` if a key is not `SELECTOR=KEY`; `dns-dkim` if it is not an RSA key that receivers accept.
    pub(super) fn settings(&self, my: &Name) -> Result<MailSettings> {
        if !self.mail {
            return Ok(MailSettings::off());
        }
        let mut mail = MailSettings::on();
        for (number, dkim) in self.dkim.iter().enumerate() {
            let hint = "name the private key's file as SELECTOR=file:PATH; `cloudron dns dkim-key DOMAIN --out FILE` makes one";
            let found = DkimKey::find(dkim).map_err(hints::on(&cloudron_dns::codes::DKIM, hint));
            let Dkim { selector, public_key } = found.map_err(|e| e.while_doing("reading --dkim"))?;
            mail = match number {
                0 => mail.with_dkim(selector, public_key),
                _ => mail.with_other_dkim(selector, public_key),
            };
        }
        mail = self.dkim_retired.iter().fold(mail, MailSettings::with_retired_dkim);
        if let Some(policy) = self.dmarc {
            mail = mail.with_dmarc(policy);
        }
        if let Some(address) = &self.dmarc_reports {
            mail = mail.with_dmarc_reports_to(address);
        }
        if self.helo_spf {
            mail = mail.with_helo_spf();
        }
        if let Some(mode) = self.mta_sts {
            mail = mail.with_mta_sts(MtaSts::new(mode, POLICY_AGE, [my.clone()])?);
        }
        if let Some(address) = &self.tls_reports {
            mail = mail.with_tls_reports_to(address);
        }
        Ok(mail)
    }

    /// Returns the CA that may issue certificates.
    pub(super) fn issuer(&self) -> Option<CaaIssuer> {
        self.caa.clone().map(|ca| CaaIssuer { ca, account_uri: None })
    }
}

/// One of these words.
fn one_of<T>(words: [&'static str; 3]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).try_map(|word| word.parse::<T>())
}
