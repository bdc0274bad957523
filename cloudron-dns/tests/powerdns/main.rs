//! The provider `powerdns` against PowerDNS, for real.

#![allow(missing_docs, unreachable_pub)]

#[path = "../support/tap.rs"]
mod tap;
#[path = "../support/task.rs"]
mod task;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloudron_core::{Progress, RetryPolicy, Secret};
use cloudron_dns::conformance::{Calls, Fault, Fixture, Injection, Outcome, Place, Truth, Wire, run};
use cloudron_dns::powerdns::PowerDns;
use cloudron_dns::rfc2136::{Rfc2136Options, Rfc2136Provider};
use cloudron_dns::{
    Applied, Batch, Change, DnsProvider, Error, Intent, Observed, Ownership, PlanOptions, RecordType, Result,
    Scope, Ttl, Zone, apply, codes, find_zone, plan_for,
};
use cloudron_http::{HttpTransport, Request, ReqwestTransport, Response};
use cloudron_testkit::pdns::Pdns;
use tap::Tap;
use task::{machine, name, set};

const ZONES: usize = 200;

fn zone(apex: &str) -> Zone {
    Zone::new(name(apex).to_string(), name(apex))
}

fn server(sql: &str) -> Option<Pdns> {
    let zones = (0..ZONES).map(|n| format!("z{n}.example.com")).chain(["example.com".to_owned()]);
    Pdns::start("", &zones.collect::<Vec<_>>(), sql)
}

/// A client that counts its requests, and lets them fail.
struct Counting {
    client: ReqwestTransport,
    state: Mutex<Tap>,
}

impl Counting {
    fn new() -> Arc<Self> {
        Arc::new(Self { client: ReqwestTransport::from_env().unwrap(), state: Mutex::default() })
    }

    fn requests(&self) -> usize {
        self.state.lock().unwrap().sent()
    }
}

#[async_trait]
impl HttpTransport for Counting {
    async fn send(&self, request: Request) -> Result<Response> {
        let answer = |status: u16| {
            let body = bytes::Bytes::from_static(br#"{"error": "not today"}"#);
            Ok(http::Response::builder().status(status).body(body).unwrap())
        };
        let fate = self.state.lock().unwrap().fate(request.method() != http::Method::GET);
        match fate {
            None => self.client.send(request).await,
            Some(Fault::Refused) => answer(422),
            Some(Fault::Busy) => answer(503),
            Some(Fault::CutAfter) => {
                self.client.send(request).await?;
                Err(Error::new(&codes::PROVIDER_DOWN, "the answer is lost"))
            }
            Some(_) => Err(Error::new(&codes::PROVIDER_DOWN, "the request is lost")),
        }
    }
}

impl Wire for Counting {
    fn calls(&self) -> Calls {
        self.state.lock().unwrap().calls
    }

    fn inject(&self, injection: Injection) -> bool {
        let mut state = self.state.lock().unwrap();
        (state.injection, state.seen) = (Some(injection), 0);
        true
    }

    fn clear(&self) {
        self.state.lock().unwrap().injection = None;
    }
}

fn provider(server: &Pdns) -> PowerDns {
    PowerDns::new(&server.endpoint(), Secret::new(Pdns::API_KEY)).unwrap()
}

struct Fresh {
    server: Pdns,
    used: AtomicUsize,
    wire: Mutex<Arc<Counting>>,
}

#[async_trait]
impl Fixture for Fresh {
    async fn fresh(&self) -> Result<Place> {
        let number = self.used.fetch_add(1, Ordering::Relaxed);
        assert!(number < ZONES, "there are too few zones");
        let wire = Counting::new();
        *self.wire.lock().unwrap() = wire.clone();
        let key = Secret::new(Pdns::API_KEY);
        let provider = PowerDns::with_transport(&self.server.endpoint(), key, wire)?;
        let provider = provider.with_retries(RetryPolicy::attempts(3).waits(Duration::ZERO, Duration::ZERO));
        Ok(Place { provider: Box::new(provider), zone: zone(&format!("z{number}.example.com")) })
    }

    fn truth(&self, _: &Place) -> Option<Arc<dyn Truth>> {
        Some(Arc::new(ByTransfer(self.server.address())))
    }

    fn wire(&self, _: &Place) -> Option<Arc<dyn Wire>> {
        Some(self.wire.lock().unwrap().clone())
    }
}

/// The server's zones as read by zone transfer.
struct ByTransfer(std::net::SocketAddr);

#[async_trait]
impl Truth for ByTransfer {
    async fn sets(&self, zone: &Zone) -> Result<Vec<Observed>> {
        let reader = Rfc2136Provider::new(Rfc2136Options::new(self.0));
        Ok(reader.read(zone, Scope::Zone).await?.sets.into_values().collect())
    }
}

#[tokio::test]
async fn it_passes_the_conformance_kit() {
    let Some(server) = server("") else { return };
    let mut fresh = Fresh { server, used: AtomicUsize::new(0), wire: Mutex::new(Counting::new()) };
    let report = run(&fresh).await;
    assert!(report.passed(), "{report}\n{}", fresh.server.daemon().log());
    let passed = report.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Passed).count();
    assert!(passed >= 161, "{report}");
}

/// Finds the zone, plans and applies, as one run of a program does; how many requests that took.
async fn run_once(server: &Pdns, desired: &[Intent], ours: &mut Ownership, prune: bool) -> usize {
    let wire = Counting::new();
    let key = Secret::new(Pdns::API_KEY);
    let provider = PowerDns::with_transport(&server.endpoint(), key, wire.clone()).unwrap();
    let zone = find_zone(&provider, &name("example.com")).await.unwrap();
    let options = PlanOptions::default().prune(prune).allow_mass_deletion(true);
    let (plan, basis) = plan_for(&provider, &zone, desired, ours, &options).await.unwrap();
    apply(&provider, &plan, Some(&basis), &Progress::none()).await.unwrap();
    *ours = plan.ownership;
    wire.requests()
}

#[tokio::test]
async fn a_machines_records_take_2_requests_then_1_then_2_then_2_with_the_search_for_the_zone() {
    let Some(server) = server("") else { return };
    let mut ours = Ownership::none();
    assert_eq!(run_once(&server, &machine("example.com", "192.0.2.1"), &mut ours, false).await, 2);
    assert_eq!(run_once(&server, &machine("example.com", "192.0.2.1"), &mut ours, false).await, 1);
    assert_eq!(run_once(&server, &machine("example.com", "192.0.2.2"), &mut ours, false).await, 2);
    assert_eq!(run_once(&server, &[], &mut ours, true).await, 2);
    let left = provider(&server).read(&zone("example.com"), Scope::Zone).await.unwrap();
    assert_eq!(left.sets.len(), 2);
}

/// The rows of one record of example.com, which is the last zone.
fn row(owner: &str, rtype: &str, content: &str, disabled: bool) -> String {
    format!(
        "INSERT INTO records (domain_id, name, type, content, ttl, auth, disabled) \
         SELECT id, '{owner}', '{rtype}', '{content}', 300, 1, {} FROM domains WHERE name = 'example.com';\n",
        u8::from(disabled)
    )
}

#[tokio::test]
async fn disabled_records_aliases_and_comments_survive() {
    let sql = [
        row("off.example.com", "A", "192.0.2.1", true),
        row("alias.example.com", "ALIAS", "x.example.net", false),
        row("key.example.com", "SSHFP", "1 1 0123456789abcdef0123456789abcdef01234567", false),
        row("my.example.com", "A", "192.0.2.1", false),
        "INSERT INTO comments (domain_id, name, type, modified_at, account, comment) \
         SELECT id, 'my.example.com', 'A', 1, 'somebody', 'ask me first' FROM domains WHERE name = 'example.com';"
            .to_owned(),
    ];
    let Some(server) = server(&sql.concat()) else { return };
    let (provider, zone) = (provider(&server), zone("example.com"));
    let address = |owner: &str, v4: &str| set(owner, RecordType::A, &[v4]);
    let desired =
        ["off.example.com", "alias.example.com"].map(|owner| Intent::Exactly(address(owner, "192.0.2.2")));
    let none = Ownership::none();
    let (plan, _) = plan_for(&provider, &zone, &desired, &none, &PlanOptions::default()).await.unwrap();
    assert_eq!((plan.changes.len(), plan.conflicts.len()), (0, 2), "{plan}");
    let read = provider.read(&zone, Scope::Zone).await.unwrap();
    let opaque = read.sets.values().filter(|set| matches!(set, Observed::Opaque { .. })).count();
    assert!((3..=4).contains(&opaque), "{read:#?}");
    let (old, new) = (address("my.example.com", "192.0.2.1"), address("my.example.com", "192.0.2.2"));
    let changes = [Change::Replace { old, new }];
    provider.apply(Batch::new(&zone, &changes)).await.unwrap();
    let get = http::Request::builder()
        .uri(format!("{}/api/v1/servers/localhost/zones/example.com.", server.endpoint()))
        .header("x-api-key", Pdns::API_KEY)
        .body(bytes::Bytes::new())
        .unwrap();
    let answer = ReqwestTransport::from_env().unwrap().send(get).await.unwrap();
    let text = String::from_utf8_lossy(answer.body());
    assert!(text.contains("ask me first") && text.contains("192.0.2.2"), "{text}");
}

#[tokio::test]
async fn a_batch_with_one_bad_set_changes_nothing() {
    let Some(server) = server("") else { return };
    let (provider, zone) = (provider(&server), zone("example.com"));
    let fine = Change::Create(set("a.example.com", RecordType::A, &["192.0.2.1"]));
    let cname = Change::Create(set("b.example.com", RecordType::CNAME, &["x.example.net"]));
    let beside = Change::Create(set("b.example.com", RecordType::TXT, &["x"]));
    let failure = provider.apply(Batch::new(&zone, &[fine, cname, beside])).await.unwrap_err();
    assert!(failure.error.is(&codes::CONFLICT), "{failure:?}");
    assert_eq!(failure.applied, Applied::Nothing);
    assert_eq!(provider.read(&zone, Scope::Zone).await.unwrap().sets.len(), 2);
}

#[tokio::test]
async fn a_cname_and_an_address_take_each_others_place_in_one_request() {
    let Some(server) = server("") else { return };
    let (provider, zone) = (provider(&server), zone("example.com"));
    let a = set("my.example.com", RecordType::A, &["192.0.2.1"]);
    let cname = set("my.example.com", RecordType::CNAME, &["x.example.net"]);
    provider.apply(Batch::new(&zone, &[Change::Create(a.clone())])).await.unwrap();
    for (old, new) in [(&a, &cname), (&cname, &a)] {
        let changes = [Change::Create(new.clone()), Change::Delete(old.clone())];
        provider.apply(Batch::new(&zone, &changes)).await.unwrap();
        let read = provider.read(&zone, Scope::Zone).await.unwrap();
        assert_eq!((read.get(new.key()), read.sets.len()), (Some(new), 3));
    }
}

#[tokio::test]
async fn a_change_that_does_not_fit_what_is_there_is_stale() {
    let Some(server) = server("") else { return };
    let (provider, zone) = (provider(&server), zone("example.com"));
    let a = set("my.example.com", RecordType::A, &["192.0.2.1"]);
    provider.apply(Batch::new(&zone, &[Change::Create(a.clone())])).await.unwrap();
    let late = Change::Create(set("my.example.com", RecordType::A, &["192.0.2.2"]));
    let failure = provider.apply(Batch::new(&zone, &[late])).await.unwrap_err();
    assert!(failure.error.is(&codes::STALE) && failure.applied == Applied::Nothing, "{failure:?}");
    let top = Change::Delete(
        set("example.com", RecordType::NS, &["ns1.example.net"]).with_ttl(Ttl::new(3600).unwrap()),
    );
    let failure = provider.apply(Batch::new(&zone, &[top])).await.unwrap_err();
    assert!(failure.error.is(&codes::UNSUPPORTED), "{failure:?}");
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_is_not_sent_again() {
    let Some(server) = server("") else { return };
    let wire = Counting::new();
    let key = Secret::new(Pdns::API_KEY);
    let provider = PowerDns::with_transport(&server.endpoint(), key, wire.clone()).unwrap();
    let zone = zone("example.com");
    let read = provider.read(&zone, Scope::Zone).await.unwrap();
    wire.state.lock().unwrap().loses_writes = true;
    let changes = [Change::Create(set("my.example.com", RecordType::A, &["192.0.2.1"]))];
    let failure =
        provider.apply(Batch::new(&zone, &changes).with_handle(read.handle.as_ref())).await.unwrap_err();
    assert_eq!((failure.applied, wire.requests()), (Applied::Unknown, 2));
    let read = provider.read(&zone, Scope::Zone).await.unwrap();
    assert_eq!(read.sets.len(), 3);
}

#[tokio::test]
async fn a_wrong_key_is_said_and_neither_key_is_shown() {
    let Some(server) = server("") else { return };
    let wrong = PowerDns::new(&server.endpoint(), Secret::new("wrong-canary")).unwrap();
    let error = find_zone(&wrong, &name("example.com")).await.unwrap_err();
    assert!(error.is(&codes::CREDENTIALS) && error.hint().is_some(), "{error:?}");
    let shown = format!("{error} {error:?} {wrong:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let clear = PowerDns::new("http://ns1.example.com:8081", Secret::new("canary"));
    assert!(clear.is_err_and(|e| e.is(&cloudron_core::codes::USAGE) && !format!("{e:?}").contains("canary")));
}

#[tokio::test]
async fn a_zone_is_found_by_its_longest_name_and_one_that_is_not_there_is_an_error() {
    let Some(server) = server("") else { return };
    let provider = provider(&server);
    assert_eq!(find_zone(&provider, &name("a.b.z7.example.com")).await.unwrap().apex, name("z7.example.com"));
    assert_eq!(find_zone(&provider, &name("my.example.com")).await.unwrap().apex, name("example.com"));
    for error in [
        find_zone(&provider, &name("example.org")).await.unwrap_err(),
        provider.read(&zone("example.org"), Scope::Zone).await.unwrap_err(),
    ] {
        assert!(error.is(&codes::ZONE_NOT_FOUND), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_and_never_an_empty_zone() {
    let Some(mut server) = server("") else { return };
    server.daemon().kill();
    let provider = provider(&server).with_retries(RetryPolicy::attempts(1));
    let error = provider.read(&zone("example.com"), Scope::Zone).await.unwrap_err();
    assert!(error.is(&codes::PROVIDER_DOWN), "{error:?}");
}
