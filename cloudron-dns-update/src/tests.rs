//! Correct and faulty hosts, with an authoritative name server that shows their records.

#[path = "../../cloudron-dns/tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloudron_core::Progress;
use cloudron_dns::{Ownership, PlanOptions, RecordSet, RecordType, apply, plan_for};
use support::{DnsServer, name, set};

use super::*;

const TOKEN: &str = "token-0123456789";

/// A fault of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// It cannot be queried.
    NoListing,
    /// It reports success, but does nothing.
    Silent,
    /// Wildcards are stored but not found again.
    BlindToWildcards,
    /// Texts are returned in quotes.
    Quoting,
    /// Everything is refused, and the message contains the credential.
    Refusing,
    /// It has records that the name servers do not show yet.
    Ahead,
}

#[derive(Clone)]
struct FakeHost {
    server: DnsServer,
    defect: Defect,
    calls: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Host for FakeHost {
    async fn set(
        &self,
        owner: &str,
        rtype: DnsRecordType,
        ttl: u32,
        records: Vec<DnsRecord>,
        zone: &str,
    ) -> Result<(), Failed> {
        self.calls.lock().unwrap().push(format!("set {owner} {}", rtype.as_str()));
        assert!(!owner.ends_with('.') && zone == "example.com");
        match self.defect {
            Defect::Silent => return Ok(()),
            Defect::Refusing => return Err(dns_update::Error::Api(format!("bad: {TOKEN}")).into()),
            _ => {}
        }
        let values = convert::values(&name(zone), &records).unwrap();
        let number: RecordType = rtype.as_str().parse().unwrap();
        self.server.change(|contents| {
            contents.sets.retain(|set| *set.name() != name(owner) || set.rtype() != number);
            if !values.is_empty() {
                contents.sets.push(RecordSet::new(name(owner), Ttl::new(ttl).unwrap(), values).unwrap());
            }
        });
        Ok(())
    }

    async fn list(&self, owner: &str, rtype: DnsRecordType, _zone: &str) -> Result<Vec<DnsRecord>, Failed> {
        self.calls.lock().unwrap().push(format!("list {owner} {}", rtype.as_str()));
        match self.defect {
            Defect::NoListing => return Err(dns_update::Error::Unsupported("listing".into()).into()),
            Defect::BlindToWildcards if owner.starts_with('*') => return Ok(Vec::new()),
            Defect::Ahead => return Ok(vec![DnsRecord::A("192.0.2.99".parse().unwrap())]),
            _ => {}
        }
        let sets = self.server.contents.lock().unwrap().sets.clone();
        let number: RecordType = rtype.as_str().parse().unwrap();
        let here = sets.into_iter().find(|set| *set.name() == name(owner) && set.rtype() == number);
        let Some(here) = here else { return Ok(Vec::new()) };
        let change = Change::Create(here);
        let mut records = convert::step(&name("example.com"), &change).unwrap().records;
        for record in &mut records {
            match record {
                DnsRecord::TXT(text) if self.defect == Defect::Quoting => *text = format!("\"{text}\""),
                // Many hosts return targets without the final dot.
                DnsRecord::CNAME(target) => *target = target.trim_end_matches('.').to_owned(),
                _ => {}
            }
        }
        Ok(records)
    }
}

async fn place(defect: Defect) -> (DnsUpdate, FakeHost) {
    let server =
        DnsServer::start("example.com", [set("example.com", RecordType::NS, &["ns1.example.com"])]).await;
    let host = FakeHost { server: server.clone(), defect, calls: Arc::default() };
    let lookup = Lookup::at([server.address]);
    let provider = DnsUpdate::over("fake".into(), Box::new(host.clone()), name("example.com"), lookup)
        .hiding(Secret::new(TOKEN))
        .confirming_within(Duration::from_millis(300));
    (provider, host)
}

async fn bring(provider: &DnsUpdate, desired: &[RecordSet], ours: &mut Ownership) -> Result<usize> {
    let desired: Vec<Intent> = desired.iter().cloned().map(Intent::Exactly).collect();
    let zone = cloudron_dns::find_zone(provider, &name("my.example.com")).await?;
    let options = PlanOptions::default().prune(true);
    let (plan, basis) = plan_for(provider, &zone, &desired, ours, &options).await?;
    apply(provider, &plan, Some(&basis), &Progress::none()).await?;
    *ours = plan.ownership;
    Ok(plan.changes.len())
}

fn several() -> Vec<RecordSet> {
    vec![
        set("my.example.com", RecordType::A, &["192.0.2.1", "192.0.2.2"]),
        set("*.example.com", RecordType::A, &["192.0.2.1"]),
        set("example.com", RecordType::MX, &["10 my.example.com"]),
        set("example.com", RecordType::TXT, &["v=spf1 a:my.example.com ~all"]),
        set("example.com", RecordType::CAA, &["0 issue \"letsencrypt.org\""]),
        set("www.example.com", RecordType::CNAME, &["my.example.com"]),
    ]
}

#[tokio::test]
async fn sets_are_written_changed_and_deleted_and_a_rerun_writes_nothing() {
    for defect in [Defect::None, Defect::NoListing] {
        let (provider, host) = place(defect).await;
        let mut ours = Ownership::none();
        assert_eq!(bring(&provider, &several(), &mut ours).await.unwrap(), 6);
        host.calls.lock().unwrap().clear();
        assert_eq!(bring(&provider, &several(), &mut ours).await.unwrap(), 0);
        assert_eq!(*host.calls.lock().unwrap(), Vec::<String>::new());
        let moved = [set("my.example.com", RecordType::A, &["192.0.2.3"])];
        assert_eq!(bring(&provider, &moved, &mut ours).await.unwrap(), 6);
        assert_eq!(host.server.contents.lock().unwrap().sets.len(), 2);
    }
}

#[tokio::test]
async fn a_host_that_does_not_hold_what_it_took_is_no_success() {
    for defect in [Defect::Silent, Defect::BlindToWildcards, Defect::Quoting] {
        let (provider, _) = place(defect).await;
        let error = bring(&provider, &several(), &mut Ownership::none()).await.unwrap_err();
        assert!(error.is(&codes::REFUSED), "{defect:?}: {error:?}");
        assert!(error.to_string().contains("holds"), "{error}");
    }
}

#[tokio::test]
async fn a_host_that_holds_something_else_than_was_read_is_not_written_to() {
    let (provider, host) = place(Defect::Ahead).await;
    let wish = [set("my.example.com", RecordType::A, &["192.0.2.1"])];
    let error = bring(&provider, &wish, &mut Ownership::none()).await.unwrap_err();
    assert!(error.is(&codes::STALE) && error.to_string().contains("192.0.2.99"), "{error:?}");
    assert!(host.calls.lock().unwrap().iter().all(|call| call.starts_with("list")));
}

#[tokio::test]
async fn what_only_name_servers_can_confirm_is_not_believed_without_them() {
    let (provider, host) = place(Defect::NoListing).await;
    let apex = name("example.com");
    let stuck = FakeHost { defect: Defect::NoListing, ..host };
    let change = Change::Create(set("my.example.com", RecordType::A, &["192.0.2.1"]));
    // Accepted by the host, but never shown by the name servers.
    let (silent, _) = place(Defect::Silent).await;
    let error = silent.confirm(&change).await.unwrap_err();
    assert!(error.is(&codes::NOT_PROPAGATED), "{error:?}");
    let step = convert::step(&apex, &change).unwrap();
    stuck.set("my.example.com", step.rtype, 300, step.records.clone(), "example.com").await.unwrap();
    provider.confirm(&change).await.unwrap();
}

#[tokio::test]
async fn no_error_shows_the_credential() {
    let (provider, _) = place(Defect::Refusing).await;
    let error = bring(&provider, &several(), &mut Ownership::none()).await.unwrap_err();
    assert!(error.is(&codes::REFUSED), "{error:?}");
    let shown = format!("{error} {error:?} {provider:?}");
    assert!(shown.contains("bad: …") && !shown.contains(TOKEN), "{shown}");
    let address = dns_update::Error::Client(format!("https://host.example/update?token={TOKEN}"));
    assert!(!Failed::from(address).said.contains(TOKEN));
}

#[tokio::test]
async fn hosts_with_a_provider_of_their_own_are_refused_and_what_cannot_be_expressed_too() {
    let lookup = || Lookup::at(["127.0.0.1:9".parse().unwrap()]);
    let host = DnsUpdater::new_digitalocean(TOKEN, None).unwrap();
    let error = DnsUpdate::new("x", host, name("example.com"), lookup()).unwrap_err();
    assert!(error.to_string().contains("digitalocean"), "{error}");
    let host = DnsUpdater::new_desec(TOKEN, None).unwrap();
    assert!(DnsUpdate::new("desec", host, name("example.com"), lookup()).is_ok());
    for set in [
        set("example.com", RecordType::NS, &["ns9.example.net"]),
        set("a.example.com", RecordType::PTR, &["b.example.net"]),
        set("a.example.com", RecordType::MX, &["0 ."]),
        set("a.example.com", RecordType::CAA, &["0 issue \"ca.example; a=b\""]),
        set("a.example.com", RecordType::CAA, &["0 contactemail \"a@b.c\""]),
        set("a.example.org", RecordType::A, &["192.0.2.1"]),
    ] {
        let change = Change::Create(set);
        let error = convert::step(&name("example.com"), &change).err().unwrap();
        assert!(error.is(&codes::UNSUPPORTED), "{change:?}");
    }
}
