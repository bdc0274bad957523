//! The provider `rfc2136` against real BIND, Knot and PowerDNS servers.

#![allow(missing_docs, unreachable_pub)]

mod faults;
mod refusals;
mod servers;
mod signed;
#[path = "../support/tap.rs"]
mod tap;
#[path = "../support/task.rs"]
mod task;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Progress, RetryPolicy, Secret};
use cloudron_dns::conformance::{self, Fixture, Level, Outcome, Place, Truth, run, run_some};
use cloudron_dns::powerdns::PowerDns;
use cloudron_dns::rfc2136::Rfc2136Provider;
use cloudron_dns::{
    DnsProvider, Intent, Name, Observed, Ownership, PlanOptions, RecordType, Result, Scope, Zone, apply,
    find_zone, plan_for,
};
use cloudron_testkit::pdns::Pdns;
use servers::{CLOSED, Server, ZONES, bind, key, knot, pdns, zone};
pub use task::{machine, name, set};
use wire::Wire;

/// Provides a separate zone of one server for each check.
struct Fresh<'a> {
    server: &'a Server,
    wire: Wire,
    transfer: bool,
    used: AtomicUsize,
    skip: &'static [(&'static str, &'static str)],
}

#[async_trait]
impl Fixture for Fresh<'_> {
    async fn fresh(&self) -> Result<Place> {
        let number = self.used.fetch_add(1, Ordering::Relaxed);
        assert!(number < ZONES, "there are too few zones");
        let apex = format!("z{number}.example.com");
        self.wire.reset();
        let mut options = self.server.options(&apex).with_transfer(self.transfer);
        options.server = self.wire.address();
        options.retry = RetryPolicy::attempts(2).waits(Duration::ZERO, Duration::ZERO);
        Ok(Place { provider: Box::new(Rfc2136Provider::new(options)), zone: zone(&apex) })
    }

    fn truth(&self, _: &Place) -> Option<Arc<dyn Truth>> {
        match self.server {
            Server::Pdns(pdns) => {
                let key = Secret::new(Pdns::API_KEY);
                Some(Arc::new(Api(PowerDns::new(&pdns.endpoint(), key).unwrap())))
            }
            _ => None,
        }
    }

    /// If zones are read by queries, each read has many of them, including updates without changes.
    fn wire(&self, _: &Place) -> Option<Arc<dyn conformance::Wire>> {
        self.transfer.then(|| Arc::new(self.wire.clone()) as _)
    }

    fn skip(&self) -> &[(&str, &str)] {
        self.skip
    }
}

/// The state of a zone according to PowerDNS's HTTP interface.
struct Api(PowerDns);

#[async_trait]
impl Truth for Api {
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>> {
        Ok(self.0.read(zone, Scope::Zone).await?.sets.into_values().collect())
    }
}

/// Runs all checks, and returns the number of passed ones.
async fn conforms(server: Option<Server>, skip: &'static [(&'static str, &'static str)]) -> Option<usize> {
    let mut server = server?;
    let wire = Wire::start(server.address()).await;
    let report = run(&Fresh { server: &server, wire, transfer: true, used: AtomicUsize::new(0), skip }).await;
    assert!(report.passed(), "{report}\n{}", server.log());
    Some(report.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).count())
}

const NO_ADDRESS: &str = "BIND refuses a mail server in the zone that has no address";
const BIND: &[(&str, &str)] = &[
    ("a_mail_server_of_the_own_zone_comes_back", NO_ADDRESS),
    ("mail_servers_are_not_written_again", NO_ADDRESS),
];
const PDNS: &[(&str, &str)] = &[(
    "texts_that_differ_in_case_are_two",
    "PowerDNS compares the texts of preconditions without their case",
)];

#[tokio::test]
async fn bind_passes_the_conformance_kit() {
    let Some(passed) = conforms(bind(), BIND).await else { return };
    assert!(passed >= 170, "{passed}");
}

#[tokio::test]
async fn knot_passes_the_conformance_kit() {
    let Some(passed) = conforms(knot(), &[]).await else { return };
    assert!(passed >= 173, "{passed}");
}

#[tokio::test]
async fn powerdns_passes_the_conformance_kit_by_updates() {
    let Some(passed) = conforms(pdns(), PDNS).await else { return };
    assert!(passed >= 171, "{passed}");
}

/// Written records can also be read by queries. Checks of many sets would need too many queries.
#[tokio::test]
async fn bind_keeps_every_value_and_knot_every_name_without_transfers() {
    for (server, skip, about) in [(bind(), BIND, Level::Values), (knot(), &[][..], Level::Names)] {
        let Some(server) = server else { return };
        let wire = Wire::start(server.address()).await;
        let fresh = Fresh { server: &server, wire, transfer: false, used: AtomicUsize::new(0), skip };
        let few =
            |level: Level, name: &str| level == about || name.contains("beside") || name.contains("_late");
        let report = run_some(&fresh, few).await;
        assert!(report.passed(), "{report}");
        let passed = report.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).count();
        assert!(passed >= 15, "{report}");
    }
}

#[tokio::test]
async fn every_algorithm_signs_what_every_server_believes() {
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        for algorithm in ["sha1", "sha256", "sha384", "sha512"] {
            let options = server.options("z0.example.com").with_key(key(algorithm));
            let provider = Rfc2136Provider::new(options);
            let read = provider.read(&zone("z0.example.com"), Scope::Zone).await.unwrap();
            assert_eq!(read.sets.len(), 2, "{algorithm}");
        }
    }
}

/// Finds the zone, plans and applies, as one run of a program does, and returns the number of messages.
async fn run_once(wire: &Wire, known: bool, desired: &[Intent], ours: &mut Ownership, prune: bool) -> usize {
    let mut options = cloudron_dns::rfc2136::Rfc2136Options::new(wire.address()).with_key(key("sha256"));
    if known {
        options = options.with_zone(name("example.com"));
    }
    let provider = Rfc2136Provider::new(options);
    let before = wire.messages();
    let zone = find_zone(&provider, &name("example.com")).await.unwrap();
    let options = PlanOptions::default().prune(prune).allow_mass_deletion(true);
    let (plan, basis) = plan_for(&provider, &zone, desired, ours, &options).await.unwrap();
    apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
    *ours = plan.ownership;
    wire.messages() - before
}

#[tokio::test]
async fn a_machines_records_take_4_messages_then_2_then_4_then_4_and_one_less_when_the_zone_is_known() {
    for server in [bind(), knot(), pdns()] {
        let Some(server) = server else { return };
        let wire = Wire::start(server.address()).await;
        for (known, counts) in [(false, [4, 2, 4, 4]), (true, [3, 1, 3, 3])] {
            let (old, new) = (machine("example.com", "192.0.2.1"), machine("example.com", "192.0.2.2"));
            let mut ours = Ownership::none();
            let taken = [
                run_once(&wire, known, &old, &mut ours, false).await,
                run_once(&wire, known, &old, &mut ours, false).await,
                run_once(&wire, known, &new, &mut ours, false).await,
                run_once(&wire, known, &[], &mut ours, true).await,
            ];
            assert_eq!(taken, counts);
            let left = server.provider("example.com").read(&zone("example.com"), Scope::Zone).await.unwrap();
            assert_eq!(left.sets.len(), 2, "{left:?}");
        }
    }
}

#[tokio::test]
async fn a_zone_of_3000_sets_is_read_in_one_exchange_of_several_signed_messages() {
    for server in [bind(), knot()] {
        let Some(server) = server else { return };
        let (provider, zone) = (server.provider("z0.example.com"), zone("z0.example.com"));
        let set = |n: usize| {
            set(&format!("n{n}.z0.example.com"), RecordType::TXT, &["text of some length, to fill it"])
        };
        let desired: Vec<Intent> = (0..3_000).map(|n| Intent::Exactly(set(n))).collect();
        let none = Ownership::none();
        let (plan, basis) =
            plan_for(&provider, &zone, &desired, &none, &PlanOptions::default()).await.unwrap();
        let receipt = apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
        assert_eq!(receipt.applied.len(), 3_000);
        let wire = Wire::start(server.address()).await;
        let mut options = server.options("z0.example.com");
        options.server = wire.address();
        let read = Rfc2136Provider::new(options).read(&zone, Scope::Zone).await.unwrap();
        assert_eq!((read.sets.len(), wire.messages()), (3_002, 1));
    }
}

#[tokio::test]
async fn names_are_read_by_questions_where_transfers_are_refused() {
    for server in [bind(), knot(), pdns()] {
        let Some(mut server) = server else { return };
        let (provider, zone) = (server.provider(CLOSED), zone(CLOSED));
        let at = |owner: &str| format!("{owner}.{CLOSED}");
        let sets = [
            set(CLOSED, RecordType::MX, &["10 mail.example.net"]),
            set(&at("*"), RecordType::A, &["192.0.2.9"]),
            set(&at("my"), RecordType::A, &["192.0.2.1"]),
            set(&at("my"), RecordType::TXT, &["one", "two"]),
            set(&at("www"), RecordType::CNAME, &["my.example.net"]),
            set(&at("sub"), RecordType::NS, &["ns1.example.net"]),
        ];
        let desired: Vec<Intent> = sets.iter().cloned().map(Intent::Exactly).collect();
        let none = Ownership::none();
        let plan = plan_for(&provider, &zone, &desired, &none, &PlanOptions::default()).await;
        let (plan, basis) = plan.unwrap_or_else(|e| panic!("{e:?}\n{}", server.log()));
        apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
        let names: Vec<Name> =
            ["my", "www", "sub", "*", "none", "deep.sub", "a.b"].map(|o| name(&at(o))).to_vec();
        let names = [names, vec![name(CLOSED)]].concat();
        let read = provider.read(&zone, Scope::Names(&names)).await.unwrap();
        // What the wildcard answers for `none` and `a.b` is not theirs.
        assert_eq!(read.sets.len(), sets.len() + 2, "{read:#?}");
        for set in &sets {
            assert_eq!(read.get(set.key()), Some(set));
        }
        let error = provider.read(&zone, Scope::Zone).await.unwrap_err();
        assert!(error.is(&cloudron_dns::codes::TRANSFER_REFUSED), "{error:?}");
    }
}
