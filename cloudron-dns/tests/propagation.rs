//! Results for name servers that are correct, outdated, dead, refusing or truncating.

#![allow(missing_docs)]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use cloudron_core::{Progress, progress::Event};
use cloudron_dns::propagation::{Lookup, Report, StaleReason, Verdict, WaitOptions, check, wait};
use cloudron_dns::{Change, Intent, RecordSet, RecordType, codes};
use support::{DnsServer, Mode, name, set};

const LIMIT: Duration = Duration::from_secs(5);

fn wanted() -> Vec<RecordSet> {
    vec![
        set("my.example.com", RecordType::A, &["192.0.2.1"]),
        set("*.example.com", RecordType::A, &["192.0.2.1"]),
        set("example.com", RecordType::MX, &["10 my.example.com"]),
    ]
}

fn desired() -> Vec<Intent> {
    wanted().into_iter().map(Intent::Exactly).collect()
}

fn at(servers: &[&DnsServer]) -> Lookup {
    Lookup::at(servers.iter().map(|s| s.address)).with_query_timeout(Duration::from_millis(600))
}

async fn report(servers: &[&DnsServer], desired: &[Intent]) -> Report {
    check(&at(servers), &name("example.com"), desired, LIMIT).await.unwrap()
}

#[tokio::test]
async fn two_right_servers_agree_and_say_how_long_absence_is_remembered() {
    let (one, two) =
        (DnsServer::start("example.com", wanted()).await, DnsServer::start("example.com", wanted()).await);
    two.change(|c| c.serial = 7);
    let report = report(&[&one, &two], &desired()).await;
    assert!(report.agrees(), "{report}");
    assert_eq!(report.servers.iter().map(|s| s.serial).collect::<Vec<_>>(), [Some(1), Some(7)]);
    // The lower of the SOA record's TTL (1800) and its minimum (900), by RFC 2308.
    assert_eq!(report.negative_ttl, Some(900));
}

#[tokio::test]
async fn a_lagging_server_is_shown_with_both_sides() {
    let one = DnsServer::start("example.com", wanted()).await;
    let old = set("my.example.com", RecordType::A, &["192.0.2.9"]);
    let two = DnsServer::start("example.com", [old.clone()]).await;
    let report = report(&[&one, &two], &desired()).await;
    assert!(!report.agrees());
    assert_eq!(report.agreeing(), 1);
    let verdict = |key: &str, rtype| {
        let key = cloudron_dns::RecordKey::new(name(key), rtype);
        report.servers[1].keys.iter().find(|k| k.key == key).unwrap().verdict.clone()
    };
    let Verdict::Differs { found, wanted } = verdict("my.example.com", RecordType::A) else {
        panic!("{report}")
    };
    assert_eq!(found[0].plain(), Some(&old));
    assert_eq!(wanted, Some(set("my.example.com", RecordType::A, &["192.0.2.1"])));
    assert!(matches!(verdict("example.com", RecordType::MX), Verdict::Missing { .. }));
    let text = report.to_string();
    assert!(
        text.contains(
            "has my.example.com. 300 IN A 192.0.2.9, and should have my.example.com. 300 IN A 192.0.2.1"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_answer_never_counts_as_agreement() {
    for mode in [Mode::Dead, Mode::Garbage, Mode::TruncatingDeadTcp] {
        let one = DnsServer::start("example.com", wanted()).await;
        let two = DnsServer::start("example.com", wanted()).await.mode(mode);
        let report = report(&[&one, &two], &desired()).await;
        assert!(!report.agrees(), "{mode:?}");
        let verdicts: Vec<_> = report.servers[1].keys.iter().map(|k| &k.verdict).collect();
        assert!(verdicts.iter().all(|v| matches!(v, Verdict::NoAnswer(_))), "{mode:?} {verdicts:?}");
    }
}

#[tokio::test]
async fn a_server_that_nobody_listens_at_does_not_count_as_agreement() {
    let one = DnsServer::start("example.com", wanted()).await;
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lookup = Lookup::at([one.address, gone]).with_query_timeout(Duration::from_millis(600));
    let report = check(&lookup, &name("example.com"), &desired(), LIMIT).await.unwrap();
    assert!(!report.agrees());
    assert!(matches!(report.servers[1].keys[0].verdict, Verdict::NoAnswer(_)), "{report}");
}

#[tokio::test]
async fn refusing_and_lame_servers_are_told_apart() {
    let one = DnsServer::start("example.com", wanted()).await;
    let refusing = DnsServer::start("example.com", wanted()).await.mode(Mode::Refusing);
    let lame = DnsServer::start("example.com", wanted()).await.mode(Mode::Lame);
    let report = report(&[&one, &refusing, &lame], &desired()).await;
    assert!(matches!(report.servers[1].keys[0].verdict, Verdict::Refused(_)), "{report}");
    assert_eq!(report.servers[2].keys[0].verdict, Verdict::Lame);
    assert_eq!(report.agreeing(), 1);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_again_over_tcp() {
    let one = DnsServer::start("example.com", wanted()).await.mode(Mode::Truncating);
    let report = report(&[&one], &desired()).await;
    assert!(report.agrees(), "{report}");
    assert!(one.tcp_questions.load(Ordering::SeqCst) >= 3);
}

#[tokio::test]
async fn guessed_answers_are_not_believed() {
    let one = DnsServer::start("example.com", wanted()).await.mode(Mode::Spoofed);
    assert!(report(&[&one], &desired()).await.agrees());
}

#[tokio::test]
async fn a_server_that_does_not_repeat_the_case_of_the_name_is_believed_over_tcp_alone() {
    let right = DnsServer::start("example.com", wanted()).await;
    let lower = DnsServer::start("example.com", wanted()).await.mode(Mode::LowerCase);
    assert!(report(&[&right, &lower], &desired()).await.agrees());
    // The name of the zone has ten letters: by chance, one question in a thousand is in lower case.
    assert!(
        right.tcp_questions.load(Ordering::SeqCst) == 0 && lower.tcp_questions.load(Ordering::SeqCst) >= 2
    );
}

#[tokio::test]
async fn records_are_compared_by_meaning() {
    let long = "k".repeat(400);
    let served = [
        set(
            "d._domainkey.example.com",
            RecordType::TXT,
            &[&format!("\"{}\" \"{}\"", &long[..100], &long[..300])],
        ),
        set("example.com", RecordType::TXT, &["\"v=spf1 \" \"mx a:MY.example.com -all\"", "other"]),
        set("_dmarc.example.com", RecordType::TXT, &["v=DMARC1; p=reject"]),
    ];
    let server = DnsServer::start("example.com", served.map(|s| s.with_ttl(60.try_into().unwrap()))).await;
    let spf = |mechanism: &str| Intent::Spf {
        name: name("example.com"),
        ttl: 300.try_into().unwrap(),
        mechanisms: vec![mechanism.into()],
    };
    let desired = [
        Intent::Exactly(set("d._domainkey.example.com", RecordType::TXT, &[&long])),
        spf("a:my.example.com"),
        Intent::Default(set("_dmarc.example.com", RecordType::TXT, &["v=DMARC1; p=none"])),
        Intent::Absent(cloudron_dns::RecordKey::new(name("gone.example.com"), RecordType::A)),
    ];
    assert!(report(&[&server], &desired).await.agrees());
    let report = report(&[&server], &[spf("a:other.example.com")]).await;
    assert!(matches!(report.servers[0].keys[0].verdict, Verdict::Differs { .. }), "{report}");
}

#[tokio::test]
async fn a_cname_in_place_of_an_address_is_a_difference() {
    let server =
        DnsServer::start("example.com", [set("my.example.com", RecordType::CNAME, &["x.example.net"])]).await;
    let report = report(&[&server], &desired()[..1]).await;
    let Verdict::Differs { found, .. } = &report.servers[0].keys[0].verdict else { panic!("{report}") };
    assert_eq!(found[0].key().rtype, RecordType::CNAME);
}

/// Starts the root, a registry and two name servers on loopback addresses with one port, like the real ones on port 53.
async fn world() -> (Lookup, [DnsServer; 4]) {
    loop {
        let root = DnsServer::start(".", [set("com", RecordType::NS, &["a.registry.com"])]).await;
        let port = root.address.port();
        let on = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
        let ns = || set("example.com", RecordType::NS, &["ns1.example.com", "ns2.example.com"]);
        let addresses = [
            set("ns1.example.com", RecordType::A, &["127.0.0.3"]),
            set("ns2.example.com", RecordType::A, &["127.0.0.4"]),
        ];
        let sets = || wanted().into_iter().chain([ns()]).chain(addresses.clone());
        let delegation = set("example.com", RecordType::NS, &["ns1.example.com"]);
        let started = (
            DnsServer::start_at(on(2), "com", [delegation]).await,
            DnsServer::start_at(on(3), "example.com", sets()).await,
            DnsServer::start_at(on(4), "example.com", sets()).await,
        );
        let (Some(registry), Some(ns1), Some(ns2)) = started else { continue };
        root.change(|c| c.glue = vec![(name("a.registry.com"), on(2).ip())]);
        registry.change(|c| c.glue = vec![(name("ns1.example.com"), on(3).ip())]);
        let lookup =
            Lookup::from_root([root.address]).with_port(port).with_query_timeout(Duration::from_millis(600));
        return (lookup, [root, registry, ns1, ns2]);
    }
}

#[tokio::test]
async fn the_servers_are_found_by_walking_from_the_root_and_from_what_the_zone_says() {
    let (lookup, _servers) = world().await;
    // The registry knows ns1 only; the zone itself names ns2 as well.
    let authority = lookup.authority(&name("deep.my.example.com"), LIMIT).await.unwrap();
    assert_eq!(authority.zone, name("example.com"));
    let names: Vec<_> = authority.servers.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ns1.example.com", "ns2.example.com"]);
    let report = check(&lookup, &name("example.com"), &desired(), LIMIT).await.unwrap();
    assert!(report.agrees() && report.servers.len() == 2, "{report}");
}

#[tokio::test]
async fn a_domain_that_is_not_registered_is_said_to_be() {
    let (lookup, _servers) = world().await;
    let error = check(&lookup, &name("other.com"), &desired(), LIMIT).await.unwrap_err();
    assert!(error.is(&codes::NO_DELEGATION) && error.hint().unwrap().contains("registrar"), "{error:?}");
}

#[tokio::test]
async fn an_unreachable_network_ends_within_its_deadline_with_a_clear_error() {
    let dead = DnsServer::start(".", []).await.mode(Mode::Dead);
    let lookup = Lookup::from_root([dead.address]);
    let start = Instant::now();
    let options = WaitOptions::default().within(Duration::from_millis(1200));
    let error = wait(&lookup, &name("example.com"), &desired(), &options).await.unwrap_err();
    assert!(error.is(&codes::NO_ANSWER), "{error:?}");
    assert!(error.message().contains(&dead.address.to_string()), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn waiting_ends_when_the_lagging_server_has_caught_up_and_tells_of_each() {
    let one = DnsServer::start("example.com", wanted()).await;
    let two = DnsServer::start("example.com", []).await;
    let notes = Arc::new(Mutex::new(Vec::new()));
    let sink = notes.clone();
    let progress = Progress::to(move |event| {
        if let Event::Note { text } = event {
            sink.lock().unwrap().push(text.clone());
        }
    });
    let lagging = two.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        lagging.change(|c| c.sets = wanted());
    });
    let options =
        WaitOptions::default().within(LIMIT).with_waits([Duration::from_millis(100)]).with_progress(progress);
    let report = wait(&at(&[&one, &two]), &name("example.com"), &desired(), &options).await.unwrap();
    assert!(report.agrees());
    let notes = notes.lock().unwrap().clone();
    assert!(notes.len() == 2 && notes[0].contains(&one.address.to_string()), "{notes:?}");
    assert!(notes[1].contains(&two.address.to_string()), "{notes:?}");
}

#[tokio::test]
async fn a_wait_that_would_be_too_long_is_cut_for_a_last_look() {
    let one = DnsServer::start("example.com", vec![]).await;
    let late = one.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        late.change(|c| c.sets = wanted());
    });
    let waits = [Duration::from_millis(50), Duration::from_secs(60)];
    let options = WaitOptions::default().within(Duration::from_secs(2)).with_waits(waits);
    assert!(wait(&at(&[&one]), &name("example.com"), &desired(), &options).await.unwrap().agrees());
}

#[tokio::test]
async fn waiting_in_vain_ends_at_the_deadline_and_says_who_has_what() {
    let one = DnsServer::start("example.com", wanted()).await;
    let two = DnsServer::start("example.com", wanted()).await.mode(Mode::Dead);
    let start = Instant::now();
    let options =
        WaitOptions::default().within(Duration::from_millis(1500)).with_waits([Duration::from_millis(100)]);
    let error = wait(&at(&[&one, &two]), &name("example.com"), &desired(), &options).await.unwrap_err();
    assert!(error.is(&codes::NOT_PROPAGATED), "{error:?}");
    assert!(error.message().contains("1 of 2") && error.message().contains("no answer within"), "{error}");
    assert!(start.elapsed() < Duration::from_millis(2300), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_resolvers_may_still_answer_is_known_until_when() {
    let one = DnsServer::start("example.com", wanted()).await;
    let report = report(&[&one], &desired()).await;
    let old = set("my.example.com", RecordType::A, &["192.0.2.9"]).with_ttl(3600.try_into().unwrap());
    let changes = [
        Change::Replace { old, new: set("my.example.com", RecordType::A, &["192.0.2.1"]) },
        Change::Create(set("*.example.com", RecordType::A, &["192.0.2.1"])),
    ];
    let now = SystemTime::UNIX_EPOCH;
    let stale = report.stale_after(&changes, now);
    assert_eq!((stale[0].until, stale[0].reason), (now + Duration::from_secs(3600), StaleReason::OldValues));
    assert_eq!((stale[1].until, stale[1].reason), (now + Duration::from_secs(900), StaleReason::NotThere));
}
