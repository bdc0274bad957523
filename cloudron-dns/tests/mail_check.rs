//! Findings for a correct mail server, and for each possible problem.

#![allow(missing_docs)]

mod support;

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cloudron_core::Domain;
use cloudron_dns::check::{Expected, Finding, Status, diagnose};
use cloudron_dns::machine::{CaaIssuer, Machine, MtaSts, MtaStsMode};
use cloudron_dns::propagation::{Lookup, Resolver};
use cloudron_dns::resolve::{Answer, Resolve, Table, reverse_name};
use cloudron_dns::{
    Addresses, MailSettings, Name, Ownership, PlanOptions, RecordSet, RecordType, Snapshot, Zone, plan,
};
use support::{DnsServer, Mode, name, set};

/// An RSA key of 2048 bits.
const KEY: &str = include_str!("support/dkim-2048.txt");
const OTHER_KEY: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOC\
                         KG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGj\
                         aNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

fn addresses() -> Addresses {
    Addresses { v4: vec!["192.0.2.1".parse().unwrap()], v6: vec!["2001:db8::1".parse().unwrap()] }
}

fn mail() -> MailSettings {
    let policy = MtaSts::new(MtaStsMode::Testing, 86_400, [name("my.example.com")]).unwrap();
    MailSettings::on()
        .with_dkim("c202611", KEY.trim())
        .with_dmarc_reports_to("dmarc@example.com")
        .with_helo_spf()
        .with_mta_sts(policy)
        .with_tls_reports_to("tls@example.com")
}

fn expected() -> Expected {
    Expected::new(&Domain::parse("example.com").unwrap(), &addresses(), &mail()).unwrap()
}

/// Returns all sets that a server should have, as planned by this crate.
fn right() -> Vec<RecordSet> {
    let domain = Domain::parse("example.com").unwrap();
    let issuer = CaaIssuer { ca: "letsencrypt.org".into(), account_uri: None };
    let wanted = Machine::new(&domain, addresses()).with_mail(mail()).with_caa(issuer).intents().unwrap();
    let empty = Snapshot::new(Zone::new("1", name("example.com")), [], true);
    let plan = plan(&wanted, &empty, &Ownership::none(), &PlanOptions::default());
    assert!(plan.conflicts.is_empty(), "{plan}");
    let mut sets: Vec<RecordSet> = plan.changes.iter().filter_map(|c| c.after().cloned()).collect();
    for address in addresses().iter() {
        sets.push(set(&reverse_name(address).to_string(), RecordType::PTR, &["my.example.com"]));
    }
    sets
}

/// Returns the correct sets with those of one key replaced.
fn with(owner: &str, rtype: RecordType, values: &[&str]) -> Table {
    let mut sets = right();
    sets.retain(|s| !(*s.name() == name(owner) && s.rtype() == rtype));
    if !values.is_empty() {
        sets.push(set(owner, rtype, values));
    }
    Table::new(sets)
}

async fn all(resolver: &dyn Resolve) -> Vec<Finding> {
    diagnose(resolver, &expected()).await
}

/// Returns the worst finding of a check.
fn worst(findings: &[Finding], id: &str) -> Finding {
    let of_check = findings.iter().filter(|f| f.id == id);
    of_check.max_by_key(|f| f.status).unwrap_or_else(|| panic!("no finding {id}: {findings:#?}")).clone()
}

#[tokio::test]
async fn what_our_own_planner_makes_passes_every_check() {
    let findings = all(&Table::new(right())).await;
    let ids: Vec<&str> = findings.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "address", "wildcard", "caa", "mx", "spf", "spf", "spf-helo", "spf-helo", "dkim", "dmarc",
            "mta-sts", "tls-rpt", "ptr", "ptr"
        ]
    );
    assert!(findings.iter().all(|f| f.status == Status::Pass && f.fix.is_none()), "{findings:#?}");
}

#[tokio::test]
async fn each_thing_that_is_wrong_is_found_with_its_reason_and_a_fix() {
    use RecordType as T;
    let other_key = format!("v=DKIM1; k=rsa; p={OTHER_KEY}");
    for (owner, rtype, values, id, status, says) in [
        ("my.example.com", T::A, &["192.0.2.9"][..], "address", Status::Fail, "192.0.2.9"),
        ("my.example.com", T::AAAA, &[], "address", Status::Fail, "192.0.2.1"),
        ("my.example.com", T::A, &["192.0.2.1", "192.0.2.9"], "address", Status::Warn, "192.0.2.9"),
        ("*.example.com", T::A, &[], "wildcard", Status::Fail, "2001:db8::1"),
        ("example.com", T::CAA, &["0 issue \"ca.example\""], "caa", Status::Fail, "ca.example"),
        ("example.com", T::CAA, &["0 issue \";\""], "caa", Status::Fail, "issue"),
        (
            "example.com",
            T::CAA,
            &["128 tbs \"x\"", "0 issue \"letsencrypt.org\""],
            "caa",
            Status::Fail,
            "critical",
        ),
        (
            "example.com",
            T::CAA,
            &["0 issue \"letsencrypt.org; accounturi=x\""],
            "caa",
            Status::Warn,
            "accounturi",
        ),
        ("example.com", T::MX, &[], "mx", Status::Fail, "no mail server"),
        ("example.com", T::MX, &["0 ."], "mx", Status::Fail, "takes no mail"),
        ("example.com", T::MX, &["1 mx.example.net"], "mx", Status::Fail, "no address"),
        ("example.com", T::MX, &["1 any.example.com"], "mx", Status::Warn, "not to this server"),
        ("example.com", T::TXT, &[], "spf", Status::Fail, "none"),
        ("example.com", T::TXT, &["v=spf1 -all"], "spf", Status::Fail, "fail: -all"),
        ("example.com", T::TXT, &["v=spf1 ~all", "v=spf1 a ~all"], "spf", Status::Fail, "2 SPF records"),
        ("my.example.com", T::TXT, &["v=spf1 -all"], "spf-helo", Status::Fail, "fail"),
        ("c202611._domainkey.example.com", T::TXT, &[], "dkim", Status::Fail, "no key record"),
        ("c202611._domainkey.example.com", T::TXT, &[&other_key], "dkim", Status::Fail, "another key"),
        ("c202611._domainkey.example.com", T::TXT, &["v=DKIM1; p="], "dkim", Status::Fail, "retired"),
        (
            "c202611._domainkey.example.com",
            T::TXT,
            &[&format!("v=DKIM1; h=sha1; p={}", KEY.trim())],
            "dkim",
            Status::Fail,
            "sha256",
        ),
        (
            "c202611._domainkey.example.com",
            T::TXT,
            &[&format!("v=DKIM1; s=other; p={}", KEY.trim())],
            "dkim",
            Status::Fail,
            "not for mail",
        ),
        ("_dmarc.example.com", T::TXT, &[], "dmarc", Status::Warn, "no DMARC policy"),
        (
            "_dmarc.example.com",
            T::TXT,
            &["v=DMARC1; p=reject; sp:none; rua=mailto:a@example.com"],
            "dmarc",
            Status::Warn,
            "the policy is reject; receivers ignore \"sp:none\"",
        ),
        ("_dmarc.example.com", T::TXT, &["V=DMARC1; p=reject"], "dmarc", Status::Fail, "V=DMARC1; p=reject"),
        ("_dmarc.example.com", T::TXT, &["v=DMARC1\\; p=reject"], "dmarc", Status::Fail, "no DMARC record"),
        ("_dmarc.example.com", T::TXT, &["v=DMARC1 p=reject"], "dmarc", Status::Fail, "no DMARC record"),
        (
            "_dmarc.example.com",
            T::TXT,
            &["v=DMARC1; p=reject; p=none; rua=mailto:a@example.com"],
            "dmarc",
            Status::Warn,
            "the policy is reject",
        ),
        (
            "_dmarc.example.com",
            T::TXT,
            &["v=DMARC1; p=none", "v=DMARC1; p=reject"],
            "dmarc",
            Status::Fail,
            "discard",
        ),
        ("_dmarc.example.com", T::TXT, &["v=DMARC1; p=reject; pct=50"], "dmarc", Status::Warn, "pct"),
        (
            "_dmarc.example.com",
            T::TXT,
            &["v=DMARC1; p=none; rua=mailto:a@r.example"],
            "dmarc",
            Status::Warn,
            "does not agree",
        ),
        (
            "_mta-sts.example.com",
            T::TXT,
            &["v=STSv1; id=1"],
            "mta-sts",
            Status::Fail,
            "not that of the policy",
        ),
        ("_mta-sts.example.com", T::TXT, &[], "mta-sts", Status::Fail, "no MTA-STS record"),
        ("_smtp._tls.example.com", T::TXT, &["v=TLSRPTv1; rua=me"], "tls-rpt", Status::Fail, "cannot go"),
        ("1.2.0.192.in-addr.arpa", T::PTR, &[], "ptr", Status::Fail, "no name"),
        ("1.2.0.192.in-addr.arpa", T::PTR, &["mx.example.net"], "ptr", Status::Fail, "does not have"),
        ("1.2.0.192.in-addr.arpa", T::PTR, &["any.example.com"], "ptr", Status::Warn, "greets as"),
    ] {
        let finding = worst(&all(&with(owner, rtype, values)).await, id);
        assert_eq!(finding.status, status, "{owner} {rtype} {values:?}: {finding}");
        assert!(finding.evidence.contains(says), "{owner} {rtype} {values:?}: {finding}");
        assert!(finding.fix.is_some_and(|fix| !fix.is_empty()), "{owner} {rtype} {values:?}");
    }
}

#[tokio::test]
async fn a_mail_server_that_is_an_alias_is_found() {
    let mut sets = right();
    sets.retain(|s| s.rtype() != RecordType::MX);
    sets.push(set("example.com", RecordType::MX, &["10 alias.example.com"]));
    sets.push(set("alias.example.com", RecordType::CNAME, &["my.example.com"]));
    let finding = worst(&all(&Table::new(sets)).await, "mx");
    assert!(
        finding.status == Status::Fail && finding.evidence.contains("alias of my.example.com."),
        "{finding}"
    );
}

#[tokio::test]
async fn a_name_that_leads_to_another_address_does_not_confirm_this_one() {
    let mut sets = right();
    sets.retain(|s| *s.name() != name("1.2.0.192.in-addr.arpa"));
    sets.push(set("1.2.0.192.in-addr.arpa", RecordType::PTR, &["mx.example.net"]));
    sets.push(set("mx.example.net", RecordType::A, &["198.51.100.1"]));
    let finding = worst(&all(&Table::new(sets)).await, "ptr");
    assert!(finding.status == Status::Fail && finding.evidence.contains("does not have"), "{finding}");
}

#[tokio::test]
async fn a_policy_is_inherited_by_the_tree_walk() {
    let mut deep = expected();
    deep.domain = name("a.b.example.com");
    for (records, wanted) in [
        (
            &[("_dmarc.example.com", "v=DMARC1; p=none; sp=reject; rua=mailto:x@example.com")][..],
            "reject, inherited from example.com.",
        ),
        (
            &[("_dmarc.com", "v=DMARC1; p=reject; psd=y"), ("_dmarc.example.com", "v=DMARC1; p=quarantine")],
            "quarantine, inherited from example.com.",
        ),
        (
            &[
                ("_dmarc.b.example.com", "v=DMARC1; p=reject; psd=n"),
                ("_dmarc.example.com", "v=DMARC1; p=none"),
            ],
            "reject, inherited from b.example.com.",
        ),
        (&[("_dmarc.com", "v=DMARC1; p=reject; psd=y")], "reject, inherited from com."),
        (
            &[("_dmarc.a.b.example.com", "v=DMARC1; p=reject"), ("_dmarc.example.com", "v=DMARC1; p=none")],
            "the policy is reject",
        ),
    ] {
        let table = Table::new(records.iter().map(|(owner, text)| set(owner, RecordType::TXT, &[text])));
        let finding = worst(&diagnose(&table, &deep).await, "dmarc");
        assert!(finding.evidence.ends_with(wanted), "{records:?}: {finding}");
    }
}

/// A resolver without answers.
struct Silent;

#[async_trait]
impl Resolve for Silent {
    async fn resolve(&self, _: &Name, _: RecordType) -> Answer {
        Answer::Unknown("no answer within 3.0 s".into())
    }
}

/// A resolver that never returns.
struct Endless;

#[async_trait]
impl Resolve for Endless {
    async fn resolve(&self, _: &Name, _: RecordType) -> Answer {
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_nobody_answers_is_unknown_and_never_fine() {
    let findings = diagnose(&Silent, &expected().with_blocklists([name("list.example")])).await;
    assert_eq!(findings.len(), 16, "{findings:#?}");
    assert!(findings.iter().all(|f| f.status == Status::Unknown), "{findings:#?}");
    let start = Instant::now();
    let findings = diagnose(&Endless, &expected().within(Duration::from_millis(200))).await;
    assert!(findings.iter().all(|f| f.status == Status::Unknown) && !findings.is_empty());
    assert!(start.elapsed() < Duration::from_secs(2));
}

/// Returns a blocklist with its test entries, and its entries for our two addresses.
fn list(entries: &[(&str, &str)]) -> Table {
    let mut sets = right();
    sets.push(set("list.example", RecordType::NS, &["ns.list.example"]));
    for (address, code) in entries {
        let reverse = reverse_name(address.parse().unwrap());
        let suffix = if address.contains(':') { ".ip6.arpa" } else { ".in-addr.arpa" };
        let owner = reverse.without_dot().strip_suffix(suffix).unwrap().to_owned() + ".list.example";
        sets.push(set(&owner, RecordType::A, &[code]));
        sets.push(set(&owner, RecordType::TXT, &["\"https://list.example/why\""]));
    }
    Table::new(sets)
}

async fn blocklist(table: &Table) -> Vec<(Status, String)> {
    let findings = diagnose(table, &expected().with_blocklists([name("list.example")])).await;
    findings.into_iter().filter(|f| f.id == "blocklist").map(|f| (f.status, f.evidence)).collect()
}

const TEST_V4: (&str, &str) = ("127.0.0.2", "127.0.0.2");
const TEST_V6: (&str, &str) = ("::ffff:7f00:2", "127.0.0.2");

#[tokio::test]
async fn a_blocklist_is_believed_only_when_its_test_entries_are_right() {
    let clean = blocklist(&list(&[TEST_V4, TEST_V6])).await;
    assert!(clean.iter().all(|(status, _)| *status == Status::Pass) && clean.len() == 2, "{clean:?}");

    let listed = blocklist(&list(&[TEST_V4, TEST_V6, ("2001:db8::1", "127.0.0.4")])).await;
    assert_eq!((listed[0].0, listed[1].0), (Status::Pass, Status::Fail), "{listed:?}");
    assert!(
        listed[1].1.contains("127.0.0.4") && listed[1].1.contains("https://list.example/why"),
        "{listed:?}"
    );

    for (entries, says) in [
        (&[][..], "own test entry"),
        (&[TEST_V4, ("127.0.0.1", "127.0.0.2"), ("192.0.2.1", "127.0.0.2")], "every address"),
        (&[("127.0.0.2", "127.255.255.254")], "public resolver"),
        (&[TEST_V4, ("192.0.2.1", "127.255.255.255")], "too often"),
        (&[TEST_V4, ("192.0.2.1", "203.0.113.7")], "none of a blocklist"),
    ] {
        let said = blocklist(&list(entries)).await;
        assert_eq!(said[0].0, Status::Unknown, "{said:?}");
        assert!(said[0].1.contains(says), "{says}: {said:?}");
    }
    // A list of IPv4 addresses alone says nothing of IPv6.
    assert_eq!(blocklist(&list(&[TEST_V4])).await[1].0, Status::Unknown);
}

#[tokio::test]
async fn the_same_is_found_over_the_network_and_a_referral_or_refusal_is_not_taken_for_absence() {
    let server = DnsServer::start(".", right()).await;
    let lookup = || Lookup::at([server.address]).with_query_timeout(Duration::from_millis(500));
    let findings = diagnose(&Resolver::authoritative(lookup()), &expected()).await;
    assert!(findings.iter().all(|f| f.status == Status::Pass), "{findings:#?}");
    for mode in [Mode::Lame, Mode::Refusing, Mode::Dead, Mode::TruncatingDeadTcp] {
        server.change(|c| c.mode = mode);
        for resolver in [Resolver::authoritative(lookup()), Resolver::recursive([server.address])] {
            let resolver = resolver.with_limits(Duration::from_millis(200), Duration::from_millis(400));
            let findings = diagnose(&resolver, &expected().within(Duration::from_secs(3))).await;
            assert!(findings.iter().all(|f| f.status == Status::Unknown), "{mode:?} {findings:#?}");
        }
    }
}

#[test]
fn a_finding_is_a_line_and_json() {
    let json = r#"{"id":"dkim","subject":"x.example.","status":"fail","evidence":"it has no key record","fix":"set it"}"#;
    let finding: Finding = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&finding).unwrap(), json);
    assert_eq!(finding.to_string(), "fail     dkim x.example.: it has no key record\n         set it");
}
