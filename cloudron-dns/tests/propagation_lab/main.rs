//! Propagation among real name servers: BIND and Knot on port 53, found by walking down from a root, in a separate
//! network. Each test runs itself again inside a new network namespace, where port 53 does not require root.

#![allow(missing_docs)]

mod namespace;
mod servers;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudron_core::progress::Event;
use cloudron_core::{Domain, Progress};
use cloudron_dns::check::{Expected, Status, diagnose};
use cloudron_dns::machine::Machine;
use cloudron_dns::propagation::{Lookup, Report, Resolver, Verdict, WaitOptions, check, wait};
use cloudron_dns::{
    Addresses, Intent, MailSettings, Name, Ownership, PlanOptions, RecordSet, RecordType, Snapshot, Ttl,
    Zone, codes, plan,
};
use namespace::{in_namespace, inside};
use servers::{Bind, COM, Knot, NS1, NS2, ROOT, registry};

const LIMIT: Duration = Duration::from_secs(10);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn my(address: &str) -> Vec<Intent> {
    let set = RecordSet::parse(name("my.example.com"), Ttl::DEFAULT, RecordType::A, [address]);
    vec![Intent::Exactly(set.unwrap())]
}

fn zone(serial: u32, rest: &str) -> String {
    format!(
        "$TTL 300\n@ SOA ns1.example.com. x.example.com. {serial} 86400 86400 864000 900\n\
         @ NS ns1.example.com.\n@ NS ns2.example.com.\nns1.example.com. A {NS1}\nns2.example.com. A {NS2}\n{rest}\n"
    )
}

fn lookup() -> Lookup {
    Lookup::from_root([(ROOT, 53).into()]).with_query_timeout(Duration::from_millis(700))
}

async fn report(desired: &[Intent]) -> Report {
    check(&lookup(), &name("example.com"), desired, LIMIT).await.unwrap()
}

/// Returns the verdict on a server, by its name.
fn verdict<'a>(report: &'a Report, server: &str) -> &'a Verdict {
    &report.servers.iter().find(|s| s.server == server).unwrap_or_else(|| panic!("{report}")).keys[0].verdict
}

const BOTH: &str = "example.com. NS ns1.example.com.\nexample.com. NS ns2.example.com.\n";

#[test]
fn a_secondary_that_lags_or_is_stopped_never_agrees_and_one_that_catches_up_ends_the_wait() {
    in_namespace("inside_lagging");
}

#[tokio::test]
async fn inside_lagging() {
    if !inside(&[ROOT, COM, NS1, NS2]) {
        return;
    }
    let glue = format!("{BOTH}ns1.example.com. A {NS1}\nns2.example.com. A {NS2}\n");
    let _registry = registry(&glue, &[]).await;
    let primary = Bind::start(NS1, &[("example.com", &zone(1, "my.example.com. A 192.0.2.1"))]).await;
    let secondary = Knot::secondary(NS2, "example.com", NS1).await;
    let first = report(&my("192.0.2.1")).await;
    assert!(first.agrees() && first.servers.len() == 2, "{first}");
    assert_eq!(first.negative_ttl, Some(300), "the lesser of the SOA record's TTL and its minimum");

    primary.reload("example.com", &zone(2, "my.example.com. A 192.0.2.2")).await;
    let lagging = report(&my("192.0.2.2")).await;
    assert!(!lagging.agrees() && verdict(&lagging, "ns1.example.com").agrees(), "{lagging}");
    assert!(matches!(verdict(&lagging, "ns2.example.com"), Verdict::Differs { .. }), "{lagging}");
    assert_eq!(lagging.servers.iter().map(|s| s.serial).collect::<Vec<_>>(), [Some(2), Some(1)]);

    secondary.stop();
    let stopped = report(&my("192.0.2.2")).await;
    assert!(!stopped.agrees(), "{stopped}");
    assert!(matches!(verdict(&stopped, "ns2.example.com"), Verdict::NoAnswer(_)), "{stopped}");
    let start = Instant::now();
    let waits = [Duration::from_millis(200)];
    let options = WaitOptions::default().within(Duration::from_secs(3)).with_waits(waits);
    let error = wait(&lookup(), &name("example.com"), &my("192.0.2.2"), &options).await.unwrap_err();
    assert!(error.is(&codes::NOT_PROPAGATED) && error.message().contains("1 of 2"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    secondary.go_on();

    let notes = Arc::new(Mutex::new(Vec::new()));
    let sink = notes.clone();
    let progress = Progress::to(move |event| {
        if let Event::Note { text } = event {
            sink.lock().unwrap().push(text.clone());
        }
    });
    let options = WaitOptions::default().within(LIMIT).with_waits(waits).with_progress(progress);
    let desired = my("192.0.2.2");
    let zone = name("example.com");
    let lookup = lookup();
    let waiting = wait(&lookup, &zone, &desired, &options);
    let catching_up = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        secondary.retransfer("example.com");
    };
    let (done, ()) = tokio::join!(waiting, catching_up);
    assert!(done.unwrap().agrees());
    let notes = notes.lock().unwrap().clone();
    assert!(notes.len() == 2 && notes[0].contains("ns1") && notes[1].contains("ns2"), "{notes:?}");
}

#[test]
fn wrong_and_missing_glue_are_seen_as_the_world_sees_them() {
    in_namespace("inside_delegation");
}

#[tokio::test]
async fn inside_delegation() {
    if !inside(&[ROOT, COM, NS1, NS2]) {
        return;
    }
    // The registry has the address of another server for ns2, and names ns3, which has no address anywhere.
    let wrong = format!(
        "{BOTH}example.com. NS ns3.example.com.\nns1.example.com. A {NS1}\nns2.example.com. A {COM}\n"
    );
    let registry = registry(&wrong, &[]).await;
    let _primary = Bind::start(NS1, &[("example.com", &zone(1, "my.example.com. A 192.0.2.1"))]).await;
    let _other = Bind::start(NS2, &[("example.com", &zone(1, "my.example.com. A 192.0.2.1"))]).await;
    let found = report(&my("192.0.2.1")).await;
    assert!(!found.agrees() && found.servers.len() == 3, "{found}");
    assert!(verdict(&found, "ns1.example.com").agrees(), "{found}");
    assert_eq!(*verdict(&found, "ns2.example.com"), Verdict::Lame, "{found}");
    let Verdict::NoAnswer(why) = verdict(&found, "ns3.example.com") else { panic!("{found}") };
    assert!(why.contains("no address"), "{why}");

    // Without glue for ns2 alone, its address is asked from ns1.
    let missing = format!("{BOTH}ns1.example.com. A {NS1}\n");
    registry.reload("com", &servers::com(2, &missing)).await;
    let found = report(&my("192.0.2.1")).await;
    assert!(found.agrees() && found.servers.len() == 2, "{found}");

    // Without any, nobody can be asked, and the search ends.
    registry.reload("com", &servers::com(3, BOTH)).await;
    let start = Instant::now();
    let error = check(&lookup(), &name("example.com"), &my("192.0.2.1"), LIMIT).await.unwrap_err();
    assert!(error.is(&codes::NO_DELEGATION) && error.message().contains("no address"), "{error}");
    assert!(start.elapsed() < LIMIT + Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn an_answer_too_large_for_udp_is_read_over_tcp_from_bind_and_knot() {
    in_namespace("inside_large");
}

#[tokio::test]
async fn inside_large() {
    if !inside(&[ROOT, COM, NS1, NS2]) {
        return;
    }
    let glue = format!("{BOTH}ns1.example.com. A {NS1}\nns2.example.com. A {NS2}\n");
    let _registry = registry(&glue, &[]).await;
    let texts: Vec<String> = (0..12).map(|n| format!("{n:02}{}", "k".repeat(240))).collect();
    let rest: String = texts.iter().map(|text| format!("large.example.com. TXT \"{text}\"\n")).collect();
    let _primary = Bind::start(NS1, &[("example.com", &zone(1, &rest))]).await;
    let _secondary = Knot::secondary(NS2, "example.com", NS1).await;
    let texts = texts.iter().map(String::as_str);
    let set = RecordSet::parse(name("large.example.com"), Ttl::DEFAULT, RecordType::TXT, texts).unwrap();
    let found = report(&[Intent::Exactly(set)]).await;
    assert!(found.agrees() && found.servers.len() == 2, "{found}");
}

#[test]
fn a_server_with_mail_is_checked_at_real_name_servers_with_a_blocklist_of_the_lab() {
    in_namespace("inside_mail");
}

#[tokio::test]
async fn inside_mail() {
    if !inside(&[ROOT, COM, NS1, NS2]) {
        return;
    }
    let domain = Domain::parse("example.com").unwrap();
    let addresses = Addresses { v4: vec!["192.0.2.1".parse().unwrap()], v6: Vec::new() };
    let key = include_str!("../support/dkim-2048.txt").trim();
    let mail =
        MailSettings::on().with_dkim("c202611", key).with_dmarc_reports_to("d@example.com").with_helo_spf();
    let wanted = Machine::new(&domain, addresses.clone()).with_mail(mail.clone()).intents().unwrap();
    let empty = Snapshot::new(Zone::new("1", name("example.com")), [], true);
    let plan = plan(&wanted, &empty, &Ownership::none(), &PlanOptions::default());
    let lines: Vec<String> = plan.changes.iter().filter_map(|c| c.after()).map(ToString::to_string).collect();
    let glue = format!("{BOTH}ns1.example.com. A {NS1}\nns2.example.com. A {NS2}\n");
    let reverse =
        "$TTL 300\n@ SOA a.root. x. 1 1 1 1 1\n@ NS a.root.\n1.2.0.192.in-addr.arpa. PTR my.example.com.\n";
    let listed = "$TTL 300\n@ SOA a.root. x. 1 1 1 1 1\n@ NS a.root.\n2.0.0.127 A 127.0.0.2\n1.2.0.192 A 127.0.0.4\n\
                  1.2.0.192 TXT \"a test\"\n";
    let clean = "$TTL 300\n@ SOA a.root. x. 1 1 1 1 1\n@ NS a.root.\n2.0.0.127 A 127.0.0.2\n";
    let zones = [("2.0.192.in-addr.arpa", reverse), ("listed.test", listed), ("clean.test", clean)];
    let _registry = registry(&glue, &zones).await;
    let _primary = Bind::start(NS1, &[("example.com", &zone(1, &lines.join("\n")))]).await;
    let secondary = Knot::secondary(NS2, "example.com", NS1).await;
    let lists = ["clean.test", "listed.test", "gone.test"].map(name);
    let expected = Expected::new(&domain, &addresses, &mail).unwrap().with_blocklists(lists);
    let resolver = || Resolver::authoritative(lookup());
    let findings = diagnose(&resolver(), &expected).await;
    let not_right: Vec<_> = findings.iter().filter(|f| f.status != Status::Pass).collect();
    let shown: Vec<_> = not_right.iter().map(|f| (f.id.as_str(), f.subject.as_str(), f.status)).collect();
    assert_eq!(
        shown,
        [
            ("blocklist", "192.0.2.1 at listed.test.", Status::Fail),
            ("blocklist", "192.0.2.1 at gone.test.", Status::Unknown)
        ],
        "{findings:#?}"
    );
    assert!(not_right[0].evidence.contains("a test"), "{}", not_right[0]);
    assert!(findings.len() > 9, "{findings:#?}");
    // One of two servers is enough to answer.
    secondary.stop();
    let again = diagnose(&resolver(), &expected).await;
    assert_eq!(again, findings);
    secondary.go_on();
}
