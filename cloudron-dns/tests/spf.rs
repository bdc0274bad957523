//! SPF evaluation, with the examples and limits of RFC 7208.

#![allow(missing_docs)]

use cloudron_dns::resolve::Table;
use cloudron_dns::spf::{Evaluation, Outcome, Sender, check_host};
use cloudron_dns::{Name, RecordSet, RecordType, Ttl};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn set(owner: &str, rtype: RecordType, values: &[&str]) -> RecordSet {
    RecordSet::parse(name(owner), Ttl::DEFAULT, rtype, values.iter().copied()).unwrap()
}

fn spf(owner: &str, record: &str) -> RecordSet {
    set(owner, RecordType::TXT, &[&format!("\"{record}\"")])
}

/// Returns the zone of RFC 7208, appendix A, with a record at `example.com`.
fn appendix(record: &str) -> Table {
    Table::new([
        spf("example.com", record),
        set("example.com", RecordType::MX, &["10 mail-a.example.com", "20 mail-b.example.com"]),
        set("example.com", RecordType::A, &["192.0.2.10", "192.0.2.11"]),
        set("amy.example.com", RecordType::A, &["192.0.2.65"]),
        set("bob.example.com", RecordType::A, &["192.0.2.66"]),
        set("mail-a.example.com", RecordType::A, &["192.0.2.129"]),
        set("mail-b.example.com", RecordType::A, &["192.0.2.130"]),
        set("example.org", RecordType::MX, &["10 mail-c.example.org"]),
        set("mail-c.example.org", RecordType::A, &["192.0.2.140"]),
        set("10.2.0.192.in-addr.arpa", RecordType::PTR, &["example.com"]),
        set("65.2.0.192.in-addr.arpa", RecordType::PTR, &["amy.example.com"]),
        set("4.0.0.10.in-addr.arpa", RecordType::PTR, &["bob.example.com"]),
        set("mobile-users._spf.example.com", RecordType::A, &["127.0.0.2"]),
        set("15.15.168.192._spf.example.com", RecordType::A, &["127.0.0.2"]),
        set("strong.lp._spf.example.com", RecordType::A, &["127.0.0.2"]),
    ])
}

async fn evaluation(table: &Table, address: &str, mail_from: &str) -> Evaluation {
    let sender = Sender {
        address: address.parse().unwrap(),
        mail_from: mail_from.into(),
        helo: "my.example.com".into(),
    };
    let domain = name(mail_from.rsplit_once('@').map_or(mail_from, |(_, domain)| domain));
    check_host(table, &sender, &domain).await
}

async fn outcome(record: &str, address: &str) -> Outcome {
    evaluation(&appendix(record), address, "strong-bad@example.com").await.outcome
}

#[tokio::test]
async fn the_simple_examples_of_the_rfc_hold() {
    // RFC 7208, appendix A.1.
    for (record, passes, fails) in [
        ("v=spf1 +all", &["192.0.2.129", "2001:db8::1"][..], &[][..]),
        ("v=spf1 a -all", &["192.0.2.10", "192.0.2.11", "::ffff:192.0.2.10"], &["192.0.2.129"]),
        ("v=spf1 a:example.org -all", &[], &["192.0.2.10"]),
        ("v=spf1 mx -all", &["192.0.2.129", "192.0.2.130"], &["192.0.2.10"]),
        ("v=spf1 mx:example.org -all", &["192.0.2.140"], &["192.0.2.129"]),
        ("v=spf1 mx mx:example.org -all", &["192.0.2.129", "192.0.2.130", "192.0.2.140"], &["192.0.2.10"]),
        ("v=spf1 mx/30 mx:example.org/30 -all", &["192.0.2.131", "192.0.2.143"], &["192.0.2.132"]),
        // 10.0.0.4 claims a name that does not have the address.
        ("v=spf1 ptr -all", &["192.0.2.10", "192.0.2.65"], &["192.0.2.140", "10.0.0.4"]),
        ("v=spf1 ip4:192.0.2.128/28 -all", &["192.0.2.129"], &["192.0.2.65"]),
        ("v=spf1 ip6:2001:db8::/32 -all", &["2001:db8:ffff::1"], &["2001:db9::1", "192.0.2.1"]),
    ] {
        for address in passes {
            assert_eq!(outcome(record, address).await, Outcome::Pass, "{record} {address}");
        }
        for address in fails {
            assert_eq!(outcome(record, address).await, Outcome::Fail, "{record} {address}");
        }
    }
}

#[tokio::test]
async fn qualifiers_and_their_absence_decide() {
    for (record, wanted) in [
        ("v=spf1 ~all", Outcome::SoftFail),
        ("v=spf1 ?all", Outcome::Neutral),
        ("v=spf1 ?a -all", Outcome::Neutral),
        ("v=spf1 -a +all", Outcome::Fail),
        ("v=spf1", Outcome::Neutral),
        ("v=spf10 -all", Outcome::None),
    ] {
        assert_eq!(outcome(record, "192.0.2.10").await, wanted, "{record}");
    }
    let nothing = evaluation(&Table::default(), "192.0.2.1", "x@example.net").await;
    assert_eq!((nothing.outcome, nothing.record), (Outcome::None, None));
}

#[tokio::test]
async fn macros_name_what_is_looked_up() {
    // RFC 7208, sections 5.7 and 7.4.
    assert_eq!(outcome("v=spf1 exists:%{l1r-}.lp._spf.%{d} -all", "192.0.2.99").await, Outcome::Pass);
    assert_eq!(outcome("v=spf1 exists:%{ir}._spf.%{d} -all", "192.168.15.15").await, Outcome::Pass);
    assert_eq!(outcome("v=spf1 exists:%{ir}._spf.%{d} -all", "192.168.15.16").await, Outcome::Fail);
    // An IPv6 sender is looked up in the same way: an A record decides.
    assert_eq!(outcome("v=spf1 exists:mobile-users._spf.%{d} -all", "2001:db8::1").await, Outcome::Pass);
    assert_eq!(outcome("v=spf1 a:%{p} -all", "192.0.2.65").await, Outcome::Pass);
}

#[tokio::test]
async fn what_is_included_passes_or_is_passed_over() {
    for (included, wanted) in [
        ("v=spf1 ip4:192.0.2.1 -all", Outcome::Pass),
        ("v=spf1 -all", Outcome::SoftFail),
        ("v=spf1 ?all", Outcome::SoftFail),
        ("v=spf1 moo", Outcome::PermError),
        ("not SPF", Outcome::PermError),
    ] {
        let table =
            Table::new([spf("example.com", "v=spf1 include:b.example ~all"), spf("b.example", included)]);
        assert_eq!(evaluation(&table, "192.0.2.1", "x@example.com").await.outcome, wanted, "{included}");
    }
}

#[tokio::test]
async fn redirect_decides_only_where_nothing_else_does() {
    let table =
        |record| Table::new([spf("example.com", record), spf("b.example", "v=spf1 ip4:192.0.2.1 -all")]);
    let outcome = async |record, address| evaluation(&table(record), address, "x@example.com").await.outcome;
    assert_eq!(outcome("v=spf1 redirect=b.example", "192.0.2.1").await, Outcome::Pass);
    assert_eq!(outcome("v=spf1 redirect=b.example", "192.0.2.2").await, Outcome::Fail);
    assert_eq!(outcome("v=spf1 redirect=b.example ?all", "192.0.2.2").await, Outcome::Neutral);
    assert_eq!(outcome("v=spf1 redirect=nothing.example", "192.0.2.2").await, Outcome::PermError);
}

#[tokio::test]
async fn two_records_and_an_error_behind_a_match_are_permanent_errors() {
    let two = Table::new([set("example.com", RecordType::TXT, &["\"v=spf1 -all\"", "\"v=spf1 +all\""])]);
    let two = evaluation(&two, "192.0.2.1", "x@example.com").await;
    assert_eq!(two.outcome, Outcome::PermError);
    assert!(two.reason.contains("2 SPF records"), "{}", two.reason);
    assert_eq!(outcome("v=spf1 +all ipv4:192.0.2.1", "192.0.2.10").await, Outcome::PermError);
}

#[tokio::test]
async fn ten_look_ups_are_allowed_and_included_ones_count() {
    let include = |count| format!("v=spf1 {}-all", "include:empty.example ".repeat(count));
    let table = |record: &str| {
        Table::new([
            spf("example.com", record),
            spf("empty.example", "v=spf1 ?all"),
            spf("more.example", &include(9)),
        ])
    };
    let ten = evaluation(&table(&include(10)), "192.0.2.1", "x@example.com").await;
    assert_eq!((ten.outcome, ten.lookups), (Outcome::Fail, 10));
    for record in [include(11), "v=spf1 include:more.example include:empty.example -all".into()] {
        let eleven = evaluation(&table(&record), "192.0.2.1", "x@example.com").await;
        assert_eq!(eleven.outcome, Outcome::PermError, "{record}");
        assert!(eleven.reason.contains("look-up 11"), "{}", eleven.reason);
    }
    let endless = Table::new([spf("example.com", "v=spf1 include:example.com -all")]);
    assert_eq!(evaluation(&endless, "192.0.2.1", "x@example.com").await.outcome, Outcome::PermError);
}

#[tokio::test]
async fn two_look_ups_may_find_nothing_and_not_three() {
    let record = |count| format!("v=spf1 {}-all", "a:gone.example.com ".repeat(count));
    assert_eq!(outcome(&record(2), "192.0.2.99").await, Outcome::Fail);
    assert_eq!(outcome(&record(3), "192.0.2.99").await, Outcome::PermError);
}

#[tokio::test]
async fn more_than_ten_mail_servers_are_a_permanent_error() {
    let servers: Vec<String> = (0..11).map(|n| format!("10 m{n}.example.com")).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let table =
        Table::new([spf("example.com", "v=spf1 mx -all"), set("example.com", RecordType::MX, &servers)]);
    assert_eq!(evaluation(&table, "192.0.2.1", "x@example.com").await.outcome, Outcome::PermError);
}

#[tokio::test]
async fn silence_is_a_temporary_error_unless_it_was_not_needed() {
    let table =
        appendix("v=spf1 ip4:192.0.2.1 a:amy.example.com -all").with_silence_at(name("amy.example.com"));
    assert_eq!(evaluation(&table, "192.0.2.1", "x@example.com").await.outcome, Outcome::Pass);
    assert_eq!(evaluation(&table, "192.0.2.2", "x@example.com").await.outcome, Outcome::TempError);
    let all = table.with_silence_at(name("example.com"));
    assert_eq!(evaluation(&all, "192.0.2.1", "x@example.com").await.outcome, Outcome::TempError);
}
