//! Removal of records whose ownership is recorded nowhere: only those that have exactly the addresses of a machine that
//! does not exist any more.

use cloudron_core::{Domain, Progress, Result};
use cloudron_dns::managed::{Access, ManagedZone, OwnershipLock, OwnershipStore};
use cloudron_dns::{Intent, Name, Ownership, PlanOptions, RecordKey, RecordSet, read_for};

use super::DnsHost;

/// Takes record sets for ours while they are removed.
#[derive(Debug)]
struct Claimed(Ownership);

impl OwnershipStore for Claimed {
    fn lock(&self) -> Result<OwnershipLock> {
        Ok(OwnershipLock::held_by(()))
    }

    fn read(&self) -> Result<Ownership> {
        Ok(self.0.clone())
    }

    fn write(&self, _: &Ownership) -> Result<()> {
        Ok(())
    }
}

impl DnsHost {
    /// Removes the record sets whose name, type and values are exactly these. Returns what was removed, and what was left
    /// because it has other values.
    ///
    /// # Errors
    /// `dns-zone-not-found`, `dns-stale` if somebody changes them at the same time, and errors of the host.
    pub(crate) async fn remove_exactly(
        &self,
        domain: &Domain,
        wishes: &[Intent],
        progress: &Progress,
    ) -> Result<(Vec<RecordKey>, Vec<RecordKey>)> {
        let zone = self.zone.find(&*self.provider, &Name::from(domain)).await?;
        let (none, options) = (Ownership::none(), PlanOptions::default());
        let there = read_for(&*self.provider, &zone, wishes, &none, &options).await?;
        let (mut exact, mut left): (Vec<RecordSet>, _) = (Vec::new(), Vec::new());
        for wish in wishes {
            let (Intent::Exactly(wanted), key) = (wish, wish.key()) else { continue };
            match there.get(&key) {
                Some(set) if set.same_values(wanted) => exact.push(set.clone()),
                _ if there.sets.contains_key(&key) => left.push(key),
                _ => {}
            }
        }
        if exact.is_empty() {
            return Ok((Vec::new(), left));
        }
        let claimed = Claimed(Ownership::from(exact.clone()));
        let exact: Vec<Intent> = exact.into_iter().map(Intent::Exactly).collect();
        let managed = ManagedZone::new(self.provider.clone(), zone, claimed);
        let planned = managed.removal(&exact, &options, Access::Write).await?;
        planned.plan.check()?;
        planned.apply(progress).await?;
        left.extend(planned.left);
        Ok((planned.plan.changes.iter().map(|change| change.key().clone()).collect(), left))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloudron_dns::memory::MemoryProvider;
    use cloudron_dns::{Addresses, MailSettings, Observed, RecordType, Scope, Ttl, Zone, machine_records};

    use super::*;

    fn set(owner: &str, rtype: RecordType, values: &[&str]) -> Observed {
        let name = Name::parse(owner).unwrap();
        Observed::Plain(RecordSet::parse(name, Ttl::DEFAULT, rtype, values.iter().copied()).unwrap())
    }

    #[tokio::test]
    async fn only_sets_with_exactly_the_addresses_of_the_machine_are_removed() {
        let zone = Zone::new("1", Name::parse("example.com").unwrap());
        let there = [
            set("my.example.com", RecordType::A, &["192.0.2.1"]),
            set("my.example.com", RecordType::AAAA, &["2001:db8::9"]),
            set("*.example.com", RecordType::A, &["192.0.2.1", "192.0.2.7"]),
            set("*.example.com", RecordType::AAAA, &["2001:db8::1"]),
            set("www.example.com", RecordType::A, &["192.0.2.1"]),
        ];
        let host = DnsHost::new("memory", Arc::new(MemoryProvider::new().with_zone(zone.clone(), there)));
        let domain = Domain::parse("example.com").unwrap();
        let mut addresses = Addresses::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
        addresses.v6.push("2001:db8::1".parse().unwrap());
        let wishes = machine_records(&domain, &addresses, &MailSettings::off()).unwrap();
        let names = |keys: &[RecordKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (removed, left) = host.remove_exactly(&domain, &wishes, &Progress::none()).await.unwrap();
        assert_eq!(names(&removed), ["*.example.com. AAAA", "my.example.com. A"]);
        let mut left = names(&left);
        left.sort();
        assert_eq!(left, ["*.example.com. A", "my.example.com. AAAA"]);
        let after = host.provider.read(&zone, Scope::Zone).await.unwrap();
        let kept: Vec<String> = after.sets.keys().map(ToString::to_string).collect();
        assert_eq!(kept, ["*.example.com. A", "my.example.com. AAAA", "www.example.com. A"]);
        let again = host.remove_exactly(&domain, &wishes, &Progress::none()).await.unwrap();
        assert!(again.0.is_empty());
    }
}
