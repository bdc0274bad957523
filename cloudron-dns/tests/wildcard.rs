//! The provider for hosts without an API, from instructions to visible records.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use cloudron_core::{Domain, Progress};
use cloudron_dns::propagation::Lookup;
use cloudron_dns::wildcard::WildcardProvider;
use cloudron_dns::{
    Addresses, DnsProvider, MailSettings, Ownership, PlanOptions, RecordType, Scope, SyncStatus, apply,
    codes, find_zone, machine_records, plan_for,
};
use support::{DnsServer, name, set};

fn addresses() -> Addresses {
    Addresses { v4: vec!["192.0.2.1".parse().unwrap()], v6: Vec::new() }
}

fn provider(server: &DnsServer) -> WildcardProvider {
    let lookup = Lookup::at([server.address]).with_query_timeout(Duration::from_millis(600));
    WildcardProvider::new(lookup).within(Duration::from_secs(5))
}

#[tokio::test]
async fn a_person_is_told_what_to_set_and_seen_to_have_done_it() {
    let google = set("example.com", RecordType::TXT, &["v=spf1 include:_spf.example.net -all"]);
    let server = DnsServer::start("example.com", [google]).await;
    let provider = provider(&server);
    let domain = Domain::parse("example.com").unwrap();
    let wanted = machine_records(&domain, &addresses(), &MailSettings::on()).unwrap();
    let zone = find_zone(&provider, &name("my.example.com")).await.unwrap();
    let (none, options) = (Ownership::none(), PlanOptions::default());
    let (plan, basis) = plan_for(&provider, &zone, &wanted, &none, &options).await.unwrap();
    let receipt = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();

    let instructions = receipt.instructions.clone().unwrap();
    assert_eq!(
        instructions.to_string(),
        "In the zone example.com. at your DNS host:
          TYPE  NAME    TTL  VALUE
  set     TXT   @       300  v=spf1 include:_spf.example.net a:my.example.com -all
  set     MX    @       300  10 my.example.com.
  set     A     *       300  192.0.2.1
  set     TXT   _dmarc  300  v=DMARC1; p=none
  set     A     my      300  192.0.2.1
  remove  TXT   @       300  v=spf1 include:_spf.example.net -all
"
    );
    assert_eq!(provider.sync_status(&receipt).await.unwrap(), SyncStatus::Pending);

    // The person sets everything but `my`, which the wildcard answers for.
    let done = instructions.set.iter().filter(|s| *s.name() != name("my.example.com")).cloned();
    server.change(|c| c.sets = done.collect());
    assert_eq!(provider.sync_status(&receipt).await.unwrap(), SyncStatus::InSync);
    assert!(provider.check(&zone, &wanted).await.unwrap().agrees());
    let (again, _) = plan_for(&provider, &zone, &wanted, &none, &options).await.unwrap();
    assert!(again.is_empty(), "{again}");
}

#[tokio::test]
async fn somebody_elses_records_are_a_conflict_here_too() {
    let server =
        DnsServer::start("example.com", [set("my.example.com", RecordType::A, &["192.0.2.9"])]).await;
    let provider = provider(&server);
    let domain = Domain::parse("example.com").unwrap();
    let wanted = machine_records(&domain, &addresses(), &MailSettings::off()).unwrap();
    let zone = find_zone(&provider, &name("my.example.com")).await.unwrap();
    let (plan, _) =
        plan_for(&provider, &zone, &wanted, &Ownership::none(), &PlanOptions::default()).await.unwrap();
    let error = plan.check().unwrap_err();
    assert!(error.is(&codes::CONFLICT) && error.message().contains("192.0.2.9"), "{error}");
}

#[tokio::test]
async fn names_in_a_delegated_zone_are_refused_and_a_whole_zone_cannot_be_read() {
    let cut = set("sub.example.com", RecordType::NS, &["ns.example.net"]);
    let server = DnsServer::start("example.com", [cut]).await;
    let provider = provider(&server);
    let zone = cloudron_dns::Zone::new("example.com", name("example.com"));
    let wanted = [cloudron_dns::Intent::Exactly(set("my.sub.example.com", RecordType::A, &["192.0.2.1"]))];
    let (plan, _) =
        plan_for(&provider, &zone, &wanted, &Ownership::none(), &PlanOptions::default()).await.unwrap();
    assert!(plan.check().unwrap_err().message().contains("delegated zone sub.example.com."));
    assert!(provider.read(&zone, Scope::Zone).await.unwrap_err().is(&codes::UNSUPPORTED));
}
