//! Zones that the server signs.

use std::time::Duration;

use cloudron_core::Progress;
use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider};
use cloudron_dns::{
    Batch, Change, DnsProvider, Intent, Observed, Ownership, PlanOptions, RecordType, Scope, Snapshot, apply,
    plan_for,
};
use cloudron_testkit::knot::Knot;
use cloudron_testkit::named::Named;

use crate::servers::{SECRET, Server, key, zone};
use crate::{name, set};

const ZONE: &str = "signed.example.com";

fn servers() -> Option<[Server; 2]> {
    let top = format!("key sha256.key {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};");
    let clauses = "type primary; dnssec-policy default; inline-signing no; \
                   allow-update { key sha256.key; }; allow-transfer { key sha256.key; };";
    let bind = Named::start(&top, &[(ZONE.to_owned(), clauses.to_owned())])?;
    let top = format!(
        "key:\n - id: sha256.key\n   algorithm: hmac-sha256\n   secret: {SECRET}\n\
         acl:\n - id: all\n   key: sha256.key\n   action: [transfer, update]\n"
    );
    let knot = Knot::start(&top, &[(ZONE.to_owned(), "all\n   dnssec-signing: on".to_owned())])?;
    Some([Server::Bind(bind), Server::Knot(knot)])
}

async fn once_signed(provider: &Rfc2136Provider) -> Snapshot {
    let keys = |set: &Observed| set.key().rtype == RecordType::DNSKEY && set.plain().is_none();
    for _ in 0..100 {
        match provider.read(&zone(ZONE), Scope::Zone).await {
            Ok(read) if read.sets.values().any(keys) => return read,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("the zone is not signed")
}

#[tokio::test]
async fn a_signed_zone_is_changed_like_any_other_and_its_signatures_are_nobodys_records() {
    let Some(servers) = servers() else { return };
    for mut server in servers {
        let options = Rfc2136Options::new(server.address()).with_key(key("sha256")).with_zone(name(ZONE));
        let provider = Rfc2136Provider::new(options);
        let signatures = |read: &Snapshot| read.sets.keys().any(|key| [46, 47, 50].contains(&key.rtype.0));
        assert!(!signatures(&once_signed(&provider).await));
        let desired = [
            Intent::Exactly(set("my.signed.example.com", RecordType::A, &["192.0.2.1"])),
            Intent::Exactly(set("www.signed.example.com", RecordType::CNAME, &["my.example.net"])),
        ];
        let mut ours = Ownership::none();
        for changes in [2, 0] {
            let (plan, basis) =
                plan_for(&provider, &zone(ZONE), &desired, &ours, &PlanOptions::default()).await.unwrap();
            assert_eq!((plan.changes.len(), plan.conflicts.len()), (changes, 0), "{plan}");
            let done = apply(&provider, &plan, Some(&basis), &Progress::none()).await;
            done.unwrap_or_else(|e| panic!("{e:?}\n{}", server.log()));
            ours = plan.ownership;
        }
        // A name that has its signatures only through a set that goes can be a CNAME at once.
        let (a, cname) = (
            set("my.signed.example.com", RecordType::A, &["192.0.2.1"]),
            set("my.signed.example.com", RecordType::CNAME, &["x.example.net"]),
        );
        for (old, new) in [(&a, &cname), (&cname, &a)] {
            let swap = [Change::Delete(old.clone()), Change::Create(new.clone())];
            let done = provider.apply(Batch::new(&zone(ZONE), &swap)).await;
            done.unwrap_or_else(|e| panic!("{e:?}\n{}", server.log()));
            let read = once_signed(&provider).await;
            assert_eq!((read.get(new.key()), read.get(old.key())), (Some(new), None), "{}", server.log());
        }
    }
}
