//! The provider for every DNS host without an API: it tells a person what to set, and checks it.

use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Domain, Error, Result};

use crate::propagation::{Authority, Lookup, Report, WaitOptions, check, read_names, wait};
use crate::{
    ApplyFailure, Atomicity, Batch, Capabilities, DnsProvider, Instructions, Intent, Name, Receipt, Scope,
    Snapshot, SyncStatus, Visibility, Zone, codes,
};

/// A DNS host without an API. It writes nothing: [`apply`](DnsProvider::apply) returns [`Instructions`], and reading
/// queries the authoritative name servers.
///
/// A wildcard that a person has set once covers every name below it, so that those names need no further records.
#[derive(Debug, Clone)]
pub struct WildcardProvider {
    lookup: Lookup,
    limit: Duration,
}

impl WildcardProvider {
    /// Creates a provider that finds the name servers with this lookup. Each read takes at most 30 seconds.
    pub fn new(lookup: Lookup) -> Self {
        Self { lookup, limit: Duration::from_secs(30) }
    }

    /// Sets another time limit for each read.
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Returns what a person has to set, without querying name servers for existing records.
    ///
    /// ```
    /// # use cloudron_dns::{Intent, Name, RecordSet, RecordType, Ttl, wildcard::WildcardProvider};
    /// let zone = Name::parse("example.com")?;
    /// let my = RecordSet::parse(zone.below("my")?, Ttl::DEFAULT, RecordType::A, ["192.0.2.1"])?;
    /// let instructions = WildcardProvider::instructions(&zone, &[Intent::Exactly(my)]);
    /// assert_eq!(instructions.zone_file(), "$ORIGIN example.com.\nmy.example.com. 300 IN A 192.0.2.1\n");
    /// assert!(instructions.to_string().contains("set  A     my    300  192.0.2.1"));
    /// # Ok::<(), cloudron_dns::Error>(())
    /// ```
    pub fn instructions(zone: &Name, desired: &[Intent]) -> Instructions {
        let nothing = Snapshot::new(Zone::new(zone.without_dot(), zone.clone()), [], false);
        let plan = crate::plan(desired, &nothing, &crate::Ownership::none(), &crate::PlanOptions::default());
        Instructions::for_changes(zone, &plan.changes)
    }

    /// Queries every authoritative name server once for the desired records.
    ///
    /// # Errors
    /// As [`check`].
    pub async fn check(&self, zone: &Zone, desired: &[Intent]) -> Result<Report> {
        check(&self.lookup, &zone.apex, desired, self.limit).await
    }

    /// Queries every authoritative name server until all have the desired records.
    ///
    /// # Errors
    /// As [`wait`].
    pub async fn wait(&self, zone: &Zone, desired: &[Intent], options: &WaitOptions) -> Result<Report> {
        wait(&self.lookup, &zone.apex, desired, options).await
    }

    async fn authority(&self, name: &Name) -> Result<Authority> {
        let authority = self.lookup.authority(name, self.limit).await?;
        // A walk for an unregistered name ends at the registry's own zone, which users cannot write.
        let suffix = Domain::parse_any(authority.zone.without_dot()).is_err();
        if suffix && !self.lookup.is_given() {
            let message = format!("{name} is not registered: {} does not know it", authority.zone);
            return Err(Error::new(&codes::NO_DELEGATION, message)
                .with_hint("register the domain, or check its spelling"));
        }
        Ok(authority)
    }
}

#[async_trait]
impl DnsProvider for WildcardProvider {
    fn id(&self) -> &str {
        "wildcard"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::new(Atomicity::Manual);
        (capabilities.listing, capabilities.sync_status) = (false, true);
        capabilities
    }

    /// Returns the zone that encloses `near`, according to the DNS; without a name, none.
    async fn list_zones(&self, near: Option<&Name>) -> Result<Vec<Zone>> {
        let Some(near) = near else { return Ok(Vec::new()) };
        let authority = self.authority(near).await?;
        let names = authority.servers.iter().filter_map(|server| server.name.clone());
        let zone = Zone::new(authority.zone.without_dot(), authority.zone.clone());
        Ok(vec![zone.with_name_servers(names).with_visibility(Visibility::Public)])
    }

    /// Returns the record sets of some names, from an authoritative name server. The whole zone cannot be read.
    async fn read(&self, zone: &Zone, scope: Scope<'_>) -> Result<Snapshot> {
        let Scope::Names(names) = scope else {
            let message = format!("a zone cannot be listed over DNS, only single names of {}", zone.apex);
            return Err(Error::new(&codes::UNSUPPORTED, message));
        };
        let authority = self.authority(&zone.apex).await?;
        let sets = read_names(&self.lookup, &authority, names, self.limit).await?;
        Ok(Snapshot::new(zone.clone(), sets, false))
    }

    /// Writes nothing: the receipt contains instructions for a person.
    async fn apply(&self, batch: Batch<'_>) -> Result<Receipt, ApplyFailure> {
        let instructions = Some(Instructions::for_changes(&batch.zone.apex, batch.changes));
        Ok(Receipt { instructions, ..Receipt::default() })
    }

    /// Returns whether every authoritative name server has the records that the person was told to set.
    async fn sync_status(&self, receipt: &Receipt) -> Result<SyncStatus> {
        let Some(instructions) = &receipt.instructions else { return Ok(SyncStatus::InSync) };
        let set = instructions.set.iter().cloned().map(Intent::Exactly);
        let replaced = |key| instructions.set.iter().any(|set| set.key() == key);
        let gone = instructions.remove.iter().filter(|set| !replaced(set.key()));
        let desired: Vec<Intent> = set.chain(gone.cloned().map(Intent::Exclude)).collect();
        let report = check(&self.lookup, &instructions.zone, &desired, self.limit).await?;
        Ok(if report.agrees() { SyncStatus::InSync } else { SyncStatus::Pending })
    }
}
