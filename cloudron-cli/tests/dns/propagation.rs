//! Answers of name servers, and hosts without an API.

use cloudron_dns::RecordType;
use tokio::runtime::Runtime;

use crate::common::Home;
use crate::name_server::{DnsServer, Mode, set};

struct Lab {
    home: Home,
    server: DnsServer,
    _runtime: Runtime,
}

impl Lab {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let sets = [set("www.example.com", RecordType::A, &["192.0.2.1"])];
        let server = runtime.block_on(DnsServer::start("example.com", sets));
        let home = Home::new();
        std::fs::write(home.path("zone"), "@ SOA a b 1 2 3 4 5\nwww 300 A 192.0.2.1\n").unwrap();
        std::fs::write(home.path("new"), "www 300 A 192.0.2.2\nnew 300 A 192.0.2.3\n").unwrap();
        Self { home, server, _runtime: runtime }
    }

    fn run(&self, arguments: &[&str]) -> crate::common::Run {
        let server = self.server.address.to_string();
        self.home.run(&[&["dns"], arguments, &["--name-server", &server]].concat())
    }
}

#[test]
fn check_says_whether_the_servers_have_the_records_of_a_file() {
    let lab = Lab::new();
    let run = lab.run(&["check", "example.com", "--records", "zone"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("has all 1 record sets"), "{}", run.stdout);
    let run = lab.run(&["check", "example.com", "--records", "new"]);
    run.failed(10, "dns-differs", "set the records above");
    assert!(run.stdout.contains("set  A     www   300  192.0.2.2"), "{}", run.stdout);
    let run = lab.run(&["check", "example.com", "--ip", "192.0.2.1", "--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((value["agrees"].as_bool(), run.code), (Some(false), 10));
}

#[test]
fn wait_ends_when_all_agree_and_with_its_own_code_when_the_time_is_over() {
    let lab = Lab::new();
    let run = lab.run(&["wait", "example.com", "--records", "zone"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("has all 1 record sets"), "{}", run.stdout);
    lab.run(&["wait", "example.com", "--records", "new", "--timeout", "2"]).failed(
        8,
        "dns-not-propagated",
        "2 s",
    );
    lab.server.change(|c| c.mode = Mode::Dead);
    let run = lab.run(&["wait", "example.com", "--records", "zone", "--timeout", "2"]);
    assert!(run.code == 7 || run.code == 8, "silence is never agreement: {}", run.stderr);
}

#[test]
fn a_host_without_an_interface_is_told_to_the_person_and_waited_for() {
    let lab = Lab::new();
    let base = ["example.com", "--provider", "wildcard", "--records", "new", "--adopt", "all"];
    let with = |command: &str, more: &[&str]| lab.run(&[&[command], &base[..], more].concat());
    assert!(with("plan", &[]).stdout.contains("+ new.example.com. 300 IN A 192.0.2.3"));
    let run = with("apply", &[]);
    assert_eq!(run.code, 0, "nothing is asked, since nothing is written: {}", run.stderr);
    assert!(run.stderr.contains("In the zone example.com. at your DNS host:"), "{}", run.stderr);
    lab.server.change(|c| {
        c.sets = vec![
            set("www.example.com", RecordType::A, &["192.0.2.2"]),
            set("new.example.com", RecordType::A, &["192.0.2.3"]),
        ];
    });
    let run = with("apply", &["--wait", "dns", "--timeout", "20"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("has all 2 record sets"), "{}", run.stderr);
    lab.home.run(&["dns", "export", "example.com", "--provider", "wildcard"]);
}

#[test]
fn check_explains_mail_and_fails_when_receivers_would_not_trust_it() {
    let lab = Lab::new();
    let spf = "v=spf1 a:my.example.com ~all";
    let right = vec![
        set("my.example.com", RecordType::A, &["192.0.2.1"]),
        set("*.example.com", RecordType::A, &["192.0.2.1"]),
        set("example.com", RecordType::MX, &["10 my.example.com"]),
        set("example.com", RecordType::TXT, &[spf]),
        set("_dmarc.example.com", RecordType::TXT, &["v=DMARC1; p=none"]),
    ];
    lab.server.change(|c| c.sets = right.clone());
    let base = ["check", "example.com", "--ip", "192.0.2.1", "--mail"];
    let run = lab.run(&[&base[..], &["--blocklist", "list.example"]].concat());
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for line in
        ["pass     spf example.com. from 192.0.2.1", "warn     dmarc", "unknown  ptr", "unknown  blocklist"]
    {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    lab.home.ok(&["dns", "dkim-key", "example.com", "--out", "mail.pem"]);
    let mut wrong = right.clone();
    let key = set("c202611._domainkey.example.com", RecordType::TXT, &["v=DKIM1; k=rsa; p=AAAA"]);
    wrong.push(key);
    lab.server.change(|c| c.sets = wrong);
    let run = lab.run(&[&base[..], &["--dkim", "c202611=file:mail.pem", "--output", "json"]].concat());
    assert_eq!(run.code, 10, "{}", run.stderr);
    let value: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let findings = value["findings"].as_array().unwrap();
    let dkim = findings.iter().find(|f| f["id"] == "dkim").unwrap();
    assert_eq!((dkim["status"].as_str(), value["agrees"].as_bool()), (Some("fail"), Some(false)));
    let mut wrong = right;
    wrong.push(set("example.com", RecordType::CAA, &["0 issue \"ca.example\""]));
    lab.server.change(|c| c.sets = wrong);
    let run = lab.run(&base);
    assert!(run.code == 10 && run.stderr.contains("fails these checks: caa"), "{}{}", run.stdout, run.stderr);
    lab.run(&[&base[..], &["--dkim", "KEY"]].concat()).failed(2, "usage", "SELECTOR=file:PATH");
}
