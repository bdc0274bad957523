//! Proofs in the DNS, at a real name server that takes dynamic updates.

use std::sync::Arc;

use cloudron_acme::{Certificates, Challenge, DnsChallenges, PersistentRecords, Wanted, persistent_record};
use cloudron_core::Progress;
use cloudron_dns::propagation::Lookup;
use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider};
use cloudron_dns::{
    DnsProvider, Intent, Name, Ownership, PlanOptions, RecordSet, RecordType, Scope, Ttl, ensure, find_zone,
};
use cloudron_testkit::knot::Knot;
use cloudron_testkit::pebble::Pebble;

use crate::world::World;

const ZONE: &str = "example.net";

struct Dns {
    knot: Knot,
    provider: Arc<dyn DnsProvider>,
}

impl Dns {
    fn start() -> Option<Self> {
        let rule = "acl:\n - id: all\n   address: 127.0.0.1\n   action: [update, transfer]\n";
        let knot = Knot::start(rule, &[(ZONE.to_owned(), "[all]".to_owned())])?;
        let options =
            Rfc2136Options::new(knot.address()).with_zone(Name::parse(ZONE).unwrap()).with_transfer(true);
        Some(Self { knot, provider: Arc::new(Rfc2136Provider::new(options)) })
    }

    async fn set(&self, name: &str, rtype: RecordType, value: &str) {
        let name = Name::parse(name).unwrap();
        let zone = find_zone(&*self.provider, &name).await.unwrap();
        let set = RecordSet::parse(name, Ttl::DEFAULT, rtype, [value]).unwrap();
        let options = PlanOptions::with_capabilities(self.provider.capabilities());
        let (mut ours, wanted) = (Ownership::none(), [Intent::Include(set)]);
        ensure(&*self.provider, &zone, &wanted, &mut ours, &options, &Progress::none()).await.unwrap();
    }

    /// The names of all records, as text.
    async fn names(&self) -> String {
        let zone = find_zone(&*self.provider, &Name::parse(ZONE).unwrap()).await.unwrap();
        let all = self.provider.read(&zone, Scope::Zone).await.unwrap();
        all.sets.keys().map(|key| format!("{key}\n")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_is_proven_by_records_that_follow_an_alias_and_are_gone_afterwards() {
    let Some(dns) = Dns::start() else { return };
    let Some(pebble) = Pebble::resolving_at(dns.knot.address()) else { return };
    let world = World::beside(pebble);
    dns.set("_acme-challenge.www.example.net", RecordType::CNAME, "www.proofs.example.net.").await;
    let before = dns.names().await;
    let solver =
        DnsChallenges::new(dns.provider.clone(), world.folder.path(), Lookup::at([dns.knot.address()]));
    let certificates = Certificates::open(world.options().solving(solver)).unwrap();
    let names = ["example.net", "*.example.net", "www.example.net"];
    certificates.want([Wanted::new(names, Challenge::Dns01).unwrap()]).unwrap();
    certificates.pass().await;
    assert_eq!(world.told(), ["obtained"], "{:?} {}", certificates.status(), world.pebble.log());
    assert!(world.resolver.find(Some("any.example.net")).is_some());
    assert!(world.resolver.find(Some("a.b.example.net")).is_none());
    assert_eq!(dns.names().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_stays_proves_a_wildcard_without_a_credential_for_the_dns() {
    let Some(dns) = Dns::start() else { return };
    let Some(pebble) = Pebble::resolving_at(dns.knot.address()) else { return };
    let world = World::beside(pebble);
    let certificates = Certificates::open(world.options().solving(PersistentRecords)).unwrap();
    let wanted = || Wanted::new(["*.example.net"], Challenge::DnsPersist01).unwrap();
    certificates.want([wanted()]).unwrap();
    certificates.pass().await;
    assert_eq!(world.told(), ["acme-challenge (fallback)"], "{:?}", certificates.status());
    let account = certificates.account().unwrap().unwrap();
    let (name, text) = persistent_record(&wanted().names()[0], "pebble.letsencrypt.org", &account).unwrap();
    dns.set(&name, RecordType::TXT, &format!("\"{text}\"")).await;
    world.later(70);
    certificates.pass().await;
    assert_eq!(world.told(), ["obtained again"], "{:?} {}", certificates.status(), world.pebble.log());
    assert!(world.resolver.find(Some("any.example.net")).is_some());
}
