//! dns-01: a record for each order, written through cloudron-dns.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cloudron_core::{Progress, ResultExt};
use cloudron_dns::managed::{Access, ManagedZone, OwnershipFile};
use cloudron_dns::propagation::{Lookup, Resolver, WaitOptions, wait};
use cloudron_dns::resolve::{Answer, Resolve};
use cloudron_dns::{
    DnsProvider, Intent, Name, PlanOptions, RecordData, RecordKey, RecordSet, RecordType, Text, Ttl, Zone,
    find_zone,
};

use super::{Proof, Solver};
use crate::{Challenge, Error, Result, codes};

/// The most aliases that are followed.
const MOST_ALIASES: usize = 8;
/// The time to live of the records: nobody but the authority asks for them, and once.
const TTL: u32 = 60;

/// Writes the records `_acme-challenge` at a DNS host and waits until all name servers have them.
///
/// Where `_acme-challenge.NAME` is an alias (CNAME), the record is written at its target. So the credentials that are kept
/// here may be for a zone that holds nothing else.
pub struct DnsChallenges {
    provider: Arc<dyn DnsProvider>,
    ownership: PathBuf,
    lookup: Lookup,
    wait: WaitOptions,
}

impl fmt::Debug for DnsChallenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsChallenges").field("provider", &self.provider.id()).finish_non_exhaustive()
    }
}

impl DnsChallenges {
    /// Writes at that host. What is ours in its zones is kept in files in the folder `ownership`, and the name servers are
    /// found by `lookup`.
    pub fn new(provider: Arc<dyn DnsProvider>, ownership: impl Into<PathBuf>, lookup: Lookup) -> Self {
        Self { provider, ownership: ownership.into(), lookup, wait: WaitOptions::default() }
    }

    /// Sets how long to wait until all name servers have the records.
    pub fn waiting(self, wait: WaitOptions) -> Self {
        Self { wait, ..self }
    }

    /// Returns where the record for a name is written: aliases are followed.
    async fn place(&self, domain: &str) -> Result<Name> {
        let resolver = Resolver::authoritative(self.lookup.clone());
        let first = Name::parse(&format!("_acme-challenge.{domain}"))?;
        let mut at = first.clone();
        for _ in 0..MOST_ALIASES {
            let target = match resolver.resolve(&at, RecordType::CNAME).await {
                Answer::Found { values, .. } => values.into_iter().find_map(|value| match value {
                    RecordData::Cname(target) => Some(target),
                    _ => None,
                }),
                Answer::Unknown(why) => {
                    let message = format!("whether {at} is an alias is not known: {why}");
                    return Err(Error::new(&cloudron_dns::codes::NO_ANSWER, message));
                }
                _ => None,
            };
            match target {
                Some(target) => at = target,
                None => return Ok(at),
            }
        }
        let message = format!("more than {MOST_ALIASES} aliases follow each other from {first}");
        Err(Error::new(&codes::CHALLENGE, message).with_detail("name", domain))
    }

    /// Returns what is to be written, by zone.
    async fn by_zone(&self, proofs: &[Proof]) -> Result<Vec<(Zone, Vec<RecordSet>)>> {
        let mut texts: BTreeMap<Name, Vec<RecordData>> = BTreeMap::new();
        for proof in proofs {
            let Some(domain) = proof.subject.domain() else { continue };
            let value = RecordData::Txt(Text::new(proof.record.as_bytes()));
            texts.entry(self.place(domain).await?).or_default().push(value);
        }
        let mut zones: Vec<(Zone, Vec<RecordSet>)> = Vec::new();
        for (name, values) in texts {
            let zone = find_zone(&*self.provider, &name).await?;
            let set = RecordSet::new(name, Ttl::new(TTL)?, values)?;
            match zones.iter_mut().find(|(known, _)| known.id == zone.id) {
                Some((_, sets)) => sets.push(set),
                None => zones.push((zone, vec![set])),
            }
        }
        Ok(zones)
    }

    fn managed(&self, zone: &Zone) -> ManagedZone {
        let store = OwnershipFile::at(&self.ownership, self.provider.id(), zone);
        ManagedZone::new(self.provider.clone(), zone.clone(), store)
    }

    fn options(&self) -> PlanOptions {
        PlanOptions::with_capabilities(self.provider.capabilities())
    }
}

#[async_trait]
impl Solver for DnsChallenges {
    fn challenge(&self) -> Challenge {
        Challenge::Dns01
    }

    async fn present(&self, proofs: &[Proof]) -> Result<()> {
        for (zone, sets) in self.by_zone(proofs).await? {
            let doing = || format!("writing the records that prove the control of names in {}", zone.apex);
            let wanted: Vec<Intent> = sets.into_iter().map(Intent::Include).collect();
            let managed = self.managed(&zone);
            let planned = managed.plan(wanted.clone(), &self.options(), Access::Write).await.doing(doing)?;
            planned.plan.check().doing(doing)?;
            planned.apply(&Progress::none()).await.doing(doing)?;
            drop(planned);
            wait(&self.lookup, &zone.apex, &wanted, &self.wait).await.doing(doing)?;
        }
        Ok(())
    }

    /// Removes these, and what an order that was cut off left at the same names.
    async fn remove(&self, proofs: &[Proof]) -> Result<()> {
        for (zone, sets) in self.by_zone(proofs).await? {
            let managed = self.managed(&zone);
            let ours = managed.ownership()?;
            let mut wishes = Vec::new();
            for set in sets {
                let key: RecordKey = set.key().clone();
                let values: Vec<RecordData> = ours.values(&key).cloned().collect();
                if !values.is_empty() {
                    wishes.push(Intent::Include(RecordSet::new(key.name, set.ttl(), values)?));
                }
            }
            let doing = || format!("removing the records that proved the control of names in {}", zone.apex);
            let removal = managed.removal(&wishes, &self.options(), Access::Write).await.doing(doing)?;
            removal.apply(&Progress::none()).await.doing(doing)?;
        }
        Ok(())
    }
}
