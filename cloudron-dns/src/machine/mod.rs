//! The records of a server: its addresses, its mail, and the authorities that may issue its certificates.
//!
//! [`machine_records`] returns the records that every server needs; [`Machine`] has options.

mod dkim;
#[cfg(feature = "dkim")]
mod dkim_key;
mod mail;
mod mta_sts;
mod ptr;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cloudron_core::Domain;

#[cfg(feature = "check")]
pub(crate) use dkim::tags;
pub use dkim::{Dkim, DkimRecord, MIN_RSA_BITS, dated_selector};
#[cfg(feature = "dkim")]
pub use dkim_key::DkimKey;
pub use mail::{DmarcPolicy, MailSettings};
pub use mta_sts::{MAX_AGE, MtaSts, MtaStsMode};
pub use ptr::{Cloud, PtrAdvice, ptr_advice};

use crate::{Intent, Name, RecordData, RecordSet, Result, Ttl};

/// The addresses of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// IPv4 addresses.
    pub v4: Vec<Ipv4Addr>,
    /// IPv6 addresses.
    pub v6: Vec<Ipv6Addr>,
}

/// Creates a list of one address of either family.
impl From<IpAddr> for Addresses {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self { v4: vec![v4], v6: Vec::new() },
            IpAddr::V6(v6) => Self { v4: Vec::new(), v6: vec![v6] },
        }
    }
}

impl Addresses {
    /// Returns all addresses, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.v4.iter().copied().map(IpAddr::V4).chain(self.v6.iter().copied().map(IpAddr::V6))
    }
}

/// The names below the domain that resolve to the server, in addition to `my`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AppNames {
    /// Every name without its own records.
    #[default]
    Wildcard,
    /// These names, such as `blog`.
    Each(Vec<String>),
}

/// A certification authority that may issue for the domain (RFC 8659).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaIssuer {
    /// Domain of the authority, such as `letsencrypt.org`.
    pub ca: String,
    /// The only account there that may request certificates (RFC 8657).
    pub account_uri: Option<String>,
}

impl CaaIssuer {
    /// Returns the record that allows the authority to issue certificates.
    pub fn record(&self) -> RecordData {
        let account = self.account_uri.as_ref().map(|uri| format!("; accounturi={uri}")).unwrap_or_default();
        RecordData::Caa { flags: 0, tag: "issue".into(), value: format!("{}{account}", self.ca).into_bytes() }
    }
}

/// A server and the records that its zone should have.
///
/// ```
/// use cloudron_dns::machine::{AppNames, Machine};
/// let domain = cloudron_core::Domain::parse("example.com")?;
/// let addresses = std::net::IpAddr::from([192, 0, 2, 1]).into();
/// let machine = Machine::new(&domain, addresses).with_names(AppNames::Each(vec!["blog".into()]));
/// assert_eq!(machine.intents()?.len(), 2);
/// # Ok::<(), cloudron_dns::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    domain: Name,
    addresses: Addresses,
    names: AppNames,
    mail: MailSettings,
    caa: Option<CaaIssuer>,
}

impl Machine {
    /// Creates a server of a domain without mail, to which all names below resolve.
    pub fn new(domain: &Domain, addresses: Addresses) -> Self {
        let (names, mail) = (AppNames::Wildcard, MailSettings::off());
        Self { domain: Name::from(domain), addresses, names, mail, caa: None }
    }

    /// Sets the app names.
    pub fn with_names(self, names: AppNames) -> Self {
        Self { names, ..self }
    }

    /// Sets the mail settings.
    pub fn with_mail(self, mail: MailSettings) -> Self {
        Self { mail, ..self }
    }

    /// Adds an authority that may issue certificates, in addition to existing ones. The first CAA record excludes all
    /// other authorities, so none is set by default.
    pub fn with_caa(self, issuer: CaaIssuer) -> Self {
        Self { caa: Some(issuer), ..self }
    }

    /// Returns the desired records. The names are absolute: for a domain below a zone, they belong to the zone that
    /// encloses it.
    ///
    /// # Errors
    /// `dns-name` for a name that is invalid or too long.
    pub fn intents(&self) -> Result<Vec<Intent>> {
        let my = self.domain.below("my")?;
        let mut names = vec![my.clone()];
        match &self.names {
            AppNames::Wildcard => names.push(self.domain.below("*")?),
            AppNames::Each(apps) => {
                for app in apps {
                    names.push(self.domain.below(app)?);
                }
            }
        }
        // The policy is fetched from a separate name, which the wildcard covers.
        if self.mail.enabled && self.mail.mta_sts.is_some() && self.names != AppNames::Wildcard {
            names.push(self.domain.below("mta-sts")?);
        }
        names.sort();
        names.dedup();
        let mut intents = Vec::new();
        for name in names {
            intents.extend(self.address_intents(&name)?);
        }
        intents.extend(self.mail.intents(&self.domain, &my)?);
        if let Some(issuer) = &self.caa {
            let set = RecordSet::new(self.domain.clone(), Ttl::DEFAULT, [issuer.record()])?;
            intents.push(Intent::Include(set));
        }
        Ok(intents)
    }

    fn address_intents(&self, name: &Name) -> Result<Vec<Intent>> {
        let v4 = self.addresses.v4.iter().copied().map(RecordData::A).collect::<Vec<_>>();
        let v6 = self.addresses.v6.iter().copied().map(RecordData::Aaaa).collect::<Vec<_>>();
        let families = [v4, v6].into_iter().filter(|values| !values.is_empty());
        families.map(|v| Ok(Intent::Exactly(RecordSet::new(name.clone(), Ttl::DEFAULT, v)?))).collect()
    }
}

/// Returns the records that a zone should have for a server: `my` and the wildcard with its addresses; for mail, MX,
/// SPF (merged into an existing one), DKIM, and a monitoring DMARC policy unless one exists.
///
/// The names are absolute: for a domain below a zone, they belong to the zone that encloses it. Addresses of a family
/// that the server no longer has are deleted if the plan [prunes](crate::PlanOptions::prune).
///
/// # Errors
/// `dns-name` if the domain is too long for a name below it.
pub fn machine_records(domain: &Domain, addresses: &Addresses, mail: &MailSettings) -> Result<Vec<Intent>> {
    Machine::new(domain, addresses.clone()).with_mail(mail.clone()).intents()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Observed, Ownership, PlanOptions, RecordType, Snapshot, Zone, plan};

    fn addresses() -> Addresses {
        Addresses { v4: vec!["192.0.2.1".parse().unwrap()], v6: vec!["2001:db8::1".parse().unwrap()] }
    }

    fn diff(domain: &str, mail: &MailSettings, zone: &str) -> String {
        let domain = Domain::parse_any(domain).unwrap();
        let wanted = machine_records(&domain, &addresses(), mail).unwrap();
        let zone = Snapshot::new(Zone::new("1", zone.parse().unwrap()), [], true);
        plan(&wanted, &zone, &Ownership::none(), &PlanOptions::default()).to_string()
    }

    #[test]
    fn a_server_with_mail_has_these_records() {
        let mail = MailSettings::on().with_dkim("cloudron", "KEY").with_dmarc_reports_to("dmarc@example.com");
        assert_eq!(
            diff("example.com", &mail, "example.com"),
            r#"+ example.com. 300 IN MX 10 my.example.com.
+ example.com. 300 IN TXT "v=spf1 a:my.example.com ~all"
+ *.example.com. 300 IN A 192.0.2.1
+ *.example.com. 300 IN AAAA 2001:db8::1
+ _dmarc.example.com. 300 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.com"
+ cloudron._domainkey.example.com. 300 IN TXT "v=DKIM1; k=rsa; p=KEY"
+ my.example.com. 300 IN A 192.0.2.1
+ my.example.com. 300 IN AAAA 2001:db8::1
"#
        );
    }

    #[test]
    fn a_domain_below_a_zone_has_its_records_in_the_enclosing_zone() {
        let diff = diff("cloudron.example.com", &MailSettings::off(), "example.com");
        assert!(diff.contains("+ *.cloudron.example.com. 300 IN A 192.0.2.1\n"), "{diff}");
        assert!(!diff.contains('!') && !diff.contains("MX"), "{diff}");
    }

    fn full() -> Machine {
        let my = Name::parse("my.example.com").unwrap();
        let mail = MailSettings::on()
            .with_dkim("c202611", "NEW")
            .with_other_dkim("cloudron", "OLD")
            .with_retired_dkim("c202501")
            .with_helo_spf()
            .with_mta_sts(MtaSts::new(MtaStsMode::Testing, 86_400, [my]).unwrap())
            .with_tls_reports_to("tls@example.com");
        Machine::new(&Domain::parse("example.com").unwrap(), addresses())
            .with_names(AppNames::Each(vec!["blog".into()]))
            .with_mail(mail)
            .with_caa(CaaIssuer {
                ca: "letsencrypt.org".into(),
                account_uri: Some("https://ca.example/1".into()),
            })
    }

    #[test]
    fn what_is_asked_for_is_added_and_both_keys_are_there_while_one_replaces_the_other() {
        let zone = Snapshot::new(Zone::new("1", "example.com".parse().unwrap()), [], true);
        let plan = plan(&full().intents().unwrap(), &zone, &Ownership::none(), &PlanOptions::default());
        let diff = plan.to_string();
        for line in [
            r#"example.com. 300 IN CAA 0 issue "letsencrypt.org; accounturi=https://ca.example/1""#,
            r#"c202611._domainkey.example.com. 300 IN TXT "v=DKIM1; k=rsa; p=NEW""#,
            r#"cloudron._domainkey.example.com. 300 IN TXT "v=DKIM1; k=rsa; p=OLD""#,
            r#"c202501._domainkey.example.com. 300 IN TXT "v=DKIM1; k=rsa; p=""#,
            r#"my.example.com. 300 IN TXT "v=spf1 a ~all""#,
            r#"_smtp._tls.example.com. 300 IN TXT "v=TLSRPTv1; rua=mailto:tls@example.com""#,
            "mta-sts.example.com. 300 IN A 192.0.2.1",
            "blog.example.com. 300 IN AAAA 2001:db8::1",
        ] {
            assert!(diff.contains(&format!("+ {line}\n")), "{line}\n{diff}");
        }
        assert!(
            diff.contains("_mta-sts.example.com. 300 IN TXT \"v=STSv1; id=") && !diff.contains("*."),
            "{diff}"
        );
    }

    #[test]
    fn foreign_mail_and_policies_are_kept_and_other_authorities_too() {
        let sets = [
            ("example.com", RecordType::MX, "1 mx.example.net"),
            ("_dmarc.example.com", RecordType::TXT, "v=DMARC1; p=reject"),
            ("example.com", RecordType::CAA, "0 issue \"ca.example\""),
        ];
        let sets = sets.map(|(name, rtype, value)| {
            Observed::Plain(RecordSet::parse(name.parse().unwrap(), Ttl::DEFAULT, rtype, [value]).unwrap())
        });
        let zone = Snapshot::new(Zone::new("1", "example.com".parse().unwrap()), sets, true);
        let plan_of = |machine: &Machine| {
            plan(&machine.intents().unwrap(), &zone, &Ownership::none(), &PlanOptions::default())
        };
        let plan = plan_of(&full());
        assert_eq!(plan.conflicts.len(), 1, "{plan}");
        assert!(plan.conflicts[0].to_string().contains("MX"), "{plan}");
        let diff = plan.to_string();
        assert!(
            !diff.contains("_dmarc") && diff.contains("ca.example") && diff.contains("letsencrypt.org"),
            "{diff}"
        );
        let mut strict = full();
        strict.mail = strict.mail.with_dmarc(DmarcPolicy::Quarantine);
        assert_eq!(plan_of(&strict).conflicts.len(), 2);
    }
}
