//! The records of a server.

use std::net::{Ipv4Addr, Ipv6Addr};

use cloudron_core::Domain;

use crate::{Intent, Name, RecordData, RecordSet, Result, Ttl};

/// The addresses of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Its IPv4 addresses.
    pub v4: Vec<Ipv4Addr>,
    /// Its IPv6 addresses.
    pub v6: Vec<Ipv6Addr>,
}

/// One address of either family.
impl From<std::net::IpAddr> for Addresses {
    fn from(address: std::net::IpAddr) -> Self {
        match address {
            std::net::IpAddr::V4(v4) => Self { v4: vec![v4], v6: Vec::new() },
            std::net::IpAddr::V6(v6) => Self { v4: Vec::new(), v6: vec![v6] },
        }
    }
}

/// The public half of a key that signs mail (RFC 6376).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// The selector, such as `cloudron`.
    pub selector: String,
    /// The RSA public key (SubjectPublicKeyInfo, DER) in base 64.
    pub public_key: String,
}

/// What the server does with mail of its domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailSettings {
    /// Whether it receives and sends mail of the domain. If not, no mail record is wanted.
    pub enabled: bool,
    /// The key that signs what it sends.
    pub dkim: Option<Dkim>,
    /// Where receivers send their DMARC reports: a mail address.
    pub dmarc_reports_to: Option<String>,
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

    /// The same settings with a mail address that DMARC reports go to.
    pub fn with_dmarc_reports_to(self, address: impl Into<String>) -> Self {
        Self { dmarc_reports_to: Some(address.into()), ..self }
    }
}

/// What a zone should hold for a server: `my` and the wildcard with its addresses; for mail, MX, SPF (merged into
/// one that exists), DKIM, and a DMARC policy that only watches, unless there is one.
///
/// The names are absolute: for a domain below a zone they go into the zone that encloses it. Addresses of a family
/// that the server no longer has go when the plan [prunes](crate::PlanOptions::prune).
///
/// # Errors
/// `dns-name` when the domain is so long that nothing fits in front of it.
pub fn machine_records(domain: &Domain, addresses: &Addresses, mail: &MailSettings) -> Result<Vec<Intent>> {
    let domain = Name::from(domain);
    let my = domain.below("my")?;
    let mut intents = Vec::new();
    for name in [&my, &domain.below("*")?] {
        let v4 = addresses.v4.iter().copied().map(RecordData::A);
        let v6 = addresses.v6.iter().copied().map(RecordData::Aaaa);
        for values in [v4.collect::<Vec<_>>(), v6.collect()].into_iter().filter(|v| !v.is_empty()) {
            intents.push(Intent::Exactly(RecordSet::new(name.clone(), Ttl::DEFAULT, values)?));
        }
    }
    if mail.enabled {
        intents.extend(mail_records(&domain, &my, mail)?);
    }
    Ok(intents)
}

fn mail_records(domain: &Name, my: &Name, mail: &MailSettings) -> Result<Vec<Intent>> {
    let set = |name: Name, value: RecordData| RecordSet::new(name, Ttl::DEFAULT, [value]);
    let mx = RecordData::Mx { preference: 10, exchange: my.clone() };
    let mut intents = vec![
        Intent::Exactly(set(domain.clone(), mx)?),
        Intent::Spf {
            name: domain.clone(),
            ttl: Ttl::DEFAULT,
            mechanisms: vec![format!("a:{}", my.without_dot())],
        },
    ];
    if let Some(dkim) = &mail.dkim {
        let name = domain.below(&format!("{}._domainkey", dkim.selector))?;
        let value = format!("v=DKIM1; k=rsa; p={}", dkim.public_key);
        intents.push(Intent::Exactly(set(name, RecordData::txt(value))?));
    }
    let reports = mail.dmarc_reports_to.as_ref().map(|to| format!("; rua=mailto:{to}")).unwrap_or_default();
    let dmarc = RecordData::txt(format!("v=DMARC1; p=none{reports}"));
    intents.push(Intent::Default(set(domain.below("_dmarc")?, dmarc)?));
    Ok(intents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ownership, PlanOptions, Snapshot, Zone, plan};

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
}
