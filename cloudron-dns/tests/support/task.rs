//! The desired state for the tests of several providers.

use cloudron_core::Domain;
use cloudron_dns::{Addresses, Intent, MailSettings, Name, RecordSet, RecordType, Ttl, machine_records};

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn set(owner: &str, rtype: RecordType, values: &[&str]) -> RecordSet {
    RecordSet::parse(name(owner), Ttl::DEFAULT, rtype, values.iter().copied()).unwrap()
}

/// Returns the eight sets for which requests are counted: a machine's, with one AAAA and a CAA.
pub fn machine(domain: &str, v4: &str) -> Vec<Intent> {
    let addresses = Addresses { v4: vec![v4.parse().unwrap()], v6: vec!["2001:db8::1".parse().unwrap()] };
    let mail = MailSettings::on().with_dkim("cloudron", "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A".repeat(12));
    let mut desired = machine_records(&Domain::parse(domain).unwrap(), &addresses, &mail).unwrap();
    desired.retain(|i| i.key().rtype != RecordType::AAAA || !i.key().name.is_wildcard());
    desired.push(Intent::Include(set(domain, RecordType::CAA, &[r#"0 issue "letsencrypt.org""#])));
    assert_eq!(desired.len(), 8);
    desired
}
