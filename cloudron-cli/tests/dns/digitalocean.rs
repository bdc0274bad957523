//! Planning, writing and exporting at a host with an API.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::host::Host;

const ZONE: &str = "$TTL 1h
@    IN SOA ns1.old.example. root 1 2 3 4 5
@    IN NS  ns1.old.example.
@    IN MX  10 mail
@    IN TXT \"v=spf1 mx -all\"
mail IN A   192.0.2.25
www  IN CNAME @
";

#[test]
fn a_zone_file_is_planned_written_and_then_right() {
    let host = Host::new();
    host.file("zone", ZONE);
    let plan = host.ok(&["plan", "example.com", "--records", "zone"]);
    assert_eq!(
        plan,
        "+ example.com. 3600 IN MX 10 mail.example.com.\n+ example.com. 3600 IN TXT \"v=spf1 mx -all\"\n\
         + mail.example.com. 3600 IN A 192.0.2.25\n+ www.example.com. 3600 IN CNAME example.com.\n"
    );
    assert_eq!(host.writes(), 0, "a plan writes nothing");
    let state = host.home.path(".local/state/cloudron/dns/digitalocean/example.com.json");
    assert!(!state.exists());

    let run = host.run(&["apply", "example.com", "--records", "zone"]);
    run.failed(2, "needs-answer", "--yes");
    assert_eq!(host.writes(), 0, "nothing is written without an answer");

    let run = host.run(&["apply", "example.com", "--records", "zone", "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout, plan);
    assert!(run.stderr.contains("left to the DNS host"), "{}", run.stderr);
    assert_eq!(host.data("A", "mail"), ["192.0.2.25"]);
    assert_eq!(host.data("NS", "@").len(), 3, "the host's own name servers stay");
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(host.writes(), 4);

    assert_eq!(
        host.ok(&["apply", "example.com", "--records", "zone"]),
        "= 4 record sets are right already\n"
    );
    assert_eq!(host.writes(), 0, "a rerun writes nothing and asks nothing");

    let exported = host.ok(&["export", "example.com"]);
    host.file("exported", &exported);
    assert!(exported.contains("www\t3600\tIN\tCNAME\texample.com.\n"), "{exported}");
    let again = host.ok(&["plan", "example.com", "--records", "exported", "--exit-code"]);
    assert_eq!(again, "= 4 record sets are right already\n");
    let json = host.json(&["export", "example.com"]);
    assert_eq!(json["zone"]["apex"], "example.com.");
    host.file("json", &json.to_string());
    assert_eq!(host.ok(&["plan", "example.com", "--records", "json"]), again);
}

#[test]
fn an_address_changes_in_place_and_prune_removes_only_what_is_ours() {
    let host = Host::new();
    host.foreign("A", "theirs", "198.51.100.1");
    let machine = |ip: &str, more: &[&str]| {
        let base = ["apply", "example.com", "--machine", "--ip", ip, "--yes"];
        host.ok(&[&base, more].concat())
    };
    machine("192.0.2.1", &["--ipv6", "2001:db8::1", "--mail"]);
    host.writes();
    let moved = machine("192.0.2.2", &["--ipv6", "2001:db8::1", "--mail"]);
    assert!(moved.contains("- my.example.com. 300 IN A 192.0.2.1\n+ my.example.com. 300 IN A 192.0.2.2\n"));
    assert_eq!(host.writes(), 2);
    let base = ["plan", "example.com", "--machine", "--ip", "192.0.2.2", "--mail", "--exit-code"];
    assert_eq!(host.ok(&base), "= 5 record sets are right already\n");
    let run = host.run(&[&base[..], &["--prune"]].concat());
    assert_eq!(run.code, 1, "with --exit-code, 1 says that something would change: {}", run.stderr);
    assert!(run.stdout.contains("- my.example.com. 300 IN AAAA 2001:db8::1\n"), "{}", run.stdout);
    assert!(!run.stdout.contains("theirs"));
    machine("192.0.2.2", &["--mail", "--prune"]);
    assert!(host.data("AAAA", "my").is_empty());
    assert_eq!(host.data("A", "theirs"), ["198.51.100.1"]);
}

#[test]
fn what_this_computer_wrote_is_taken_back_and_nothing_else() {
    let host = Host::new();
    host.foreign("TXT", "@", "v=spf1 mx -all");
    host.foreign("TXT", "_dmarc", "v=DMARC1; p=reject");
    let machine = |command: &str, more: &[&str]| {
        let base =
            [command, "example.com", "--machine", "--ip", "192.0.2.1", "--mail", "--caa", "ca.example"];
        host.run(&[&base, more].concat())
    };
    assert_eq!(machine("apply", &["--yes"]).code, 0);
    assert_eq!(host.data("TXT", "@"), ["v=spf1 mx a:my.example.com -all"]);
    host.foreign("A", "my", "198.51.100.1");
    let plan = machine("plan", &["--remove"]);
    assert!(
        plan.stderr.contains("left as it is: my.example.com. A, _dmarc.example.com. TXT"),
        "{}",
        plan.stderr
    );
    assert!(plan.stdout.contains("- my.example.com. 300 IN A 192.0.2.1\n"), "{}", plan.stdout);
    machine("plan", &["--remove", "--prune"]).failed_usage("--prune");
    assert_eq!(machine("apply", &["--remove", "--yes"]).code, 0);
    assert_eq!(host.data("TXT", "@"), ["v=spf1 mx -all"]);
    assert_eq!(host.data("A", "my"), ["198.51.100.1"]);
    assert_eq!(
        (host.data("TXT", "_dmarc").len(), host.data("A", "*").len(), host.data("MX", "@").len()),
        (1, 0, 0)
    );
    host.writes();
    assert_eq!(machine("apply", &["--remove"]).code, 0);
    assert_eq!(host.writes(), 0, "nothing of ours is left");
}

#[test]
fn records_of_others_are_conflicts_until_they_are_adopted() {
    let host = Host::new();
    host.foreign("A", "my", "198.51.100.1");
    host.foreign("A", "*", "198.51.100.1");
    let base = ["--machine", "--ip", "192.0.2.1"];
    let with =
        |command: &str, more: &[&str]| host.run(&[&[command, "example.com"], &base[..], more].concat());
    let run = with("plan", &[]);
    run.failed(5, "dns-conflict", "--adopt");
    assert!(run.stdout.contains("! my.example.com. A: it holds values that are not ours"), "{}", run.stdout);
    with("apply", &["--yes"]).failed(5, "dns-conflict", "198.51.100.1");
    with("apply", &["--yes", "--adopt", "my/A"]).failed(5, "dns-conflict", "*.example.com");
    assert_eq!(host.writes(), 0);
    let json = with("plan", &["--output", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["plan"]["conflicts"].as_array().unwrap().len(), 2);
    assert_eq!(with("apply", &["--yes", "--adopt", "my/A", "--adopt", "*/A"]).code, 0);
    assert_eq!(host.data("A", "my"), ["192.0.2.1"]);
    let json = host.json(&[&["apply", "example.com", "--yes", "--ip", "192.0.2.9"][..]].concat());
    assert_eq!(json["receipt"]["applied"].as_array().unwrap().len(), 2);
}

#[test]
fn a_plan_refuses_what_apply_would() {
    let host = Host::new();
    for record in [
        "n MX 0 .",
        r#"t TXT "a\\b""#,
        r#"@ CAA 0 issue "ca.example; account=1""#,
        r#"@ CAA 0 contactemail "me@example.com""#,
        "n CNAME .",
    ] {
        // What could be written is not written without the rest.
        host.file("zone", &format!("{record}\nmy A 192.0.2.1\n"));
        let name = record.split(' ').next().unwrap().replace('@', "example.com.");
        let plan = host.run(&["plan", "example.com", "--records", "zone"]);
        plan.failed(5, "dns-conflict", &name);
        let apply = host.run(&["apply", "example.com", "--records", "zone", "--yes"]);
        apply.failed(5, "dns-conflict", &name);
        assert_eq!((apply.stdout, host.writes()), (plan.stdout, 0), "{record}");
    }
}

#[test]
fn a_saved_plan_is_applied_as_it_is_or_not_at_all() {
    let host = Host::new();
    host.file("zone", ZONE);
    let saved = |file: &str| host.run(&["plan", "example.com", "--records", "zone", "--out", file]);
    assert_eq!(saved("one.plan").code, 0);
    assert_eq!(std::fs::metadata(host.home.path("one.plan")).unwrap().permissions().mode() & 0o777, 0o600);
    saved("one.plan").failed(5, "output-exists", "one.plan");
    host.foreign("A", "mail", "198.51.100.1");
    host.writes();
    let apply = |file: &str| host.run(&["apply", "example.com", "--plan", file, "--yes"]);
    apply("one.plan").failed(5, "dns-stale", "mail.example.com");
    assert_eq!(host.writes(), 0);

    host.model.zone("example.com");
    assert_eq!(saved("two.plan").code, 0);
    assert_eq!(apply("two.plan").code, 0);
    assert_eq!(host.data("A", "mail"), ["192.0.2.25"]);
    apply("two.plan").failed(5, "dns-stale", "make a new plan");
    apply("zone").failed(6, "dns-plan-file", "zone");
    apply("nowhere").failed(3, "file-missing", "nowhere");
    let other = host.run(&["apply", "example.org", "--plan", "two.plan", "--yes"]);
    other.failed(2, "usage", "does not enclose");
}

#[test]
fn a_run_that_is_killed_while_writing_leaves_nothing_that_looks_like_somebody_elses() {
    for writes in 1..=4 {
        let host = Host::new();
        host.file("zone", ZONE);
        host.silent_after.store(writes, Ordering::SeqCst);
        let mut child =
            host.command(&["apply", "example.com", "--records", "zone", "--yes"]).spawn().unwrap();
        let start = Instant::now();
        while host.silent_after.load(Ordering::SeqCst) > 0 {
            assert!(start.elapsed() < Duration::from_secs(30), "it never wrote");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        host.writes();
        host.ok(&["apply", "example.com", "--records", "zone", "--yes"]);
        assert_eq!(host.writes(), 4 - writes, "only what was missing is written");
        host.file("zone", &ZONE.replace("192.0.2.25", "192.0.2.26").replace("-all", "~all"));
        host.ok(&["apply", "example.com", "--records", "zone", "--yes"]);
        assert_eq!(host.data("A", "mail"), ["192.0.2.26"]);
    }
}

#[test]
fn of_two_runs_at_once_one_writes_and_the_other_says_so() {
    let host = Host::new();
    host.file("zone", ZONE);
    host.silent_after.store(1, Ordering::SeqCst);
    let mut first = host.command(&["apply", "example.com", "--records", "zone", "--yes"]).spawn().unwrap();
    let start = Instant::now();
    while host.silent_after.load(Ordering::SeqCst) > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "it never wrote");
        std::thread::sleep(Duration::from_millis(5));
    }
    host.run(&["apply", "example.com", "--records", "zone", "--yes"]).failed(5, "dns-busy", "example.com");
    assert_eq!(host.run(&["plan", "example.com", "--records", "zone"]).code, 0, "a plan needs no turn");
    first.kill().unwrap();
    first.wait().unwrap();
    host.ok(&["apply", "example.com", "--records", "zone", "--yes"]);
}

#[test]
fn the_wanted_records_are_printed_as_a_zone_file_too() {
    let host = Host::new();
    host.file("zone", ZONE);
    let base = ["plan", "example.com", "--records", "zone", "--format", "zone"];
    let text = host.ok(&base);
    assert!(text.starts_with("$ORIGIN example.com.\n@\t3600\tIN\tMX\t10 mail.example.com.\n"), "{text}");
    assert!(!text.contains("SOA"));
    host.ok(&["apply", "example.com", "--records", "zone", "--yes"]);
    assert_eq!(host.ok(&base), text, "what is right already is part of it");
}

#[test]
fn records_and_token_come_from_standard_input_and_files() {
    let host = Host::new();
    host.file("zone", ZONE);
    let zone = std::fs::File::open(host.home.path("zone")).unwrap();
    let output = host.command(&["plan", "example.com", "--records", "-"]).stdin(zone).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("192.0.2.25"));
    host.run(&["plan", "example.com", "--records", "-", "--token", "-"]).failed(2, "usage", "standard input");
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elsewhere.path(), crate::model::TOKEN).unwrap();
    let token = format!("file:{}", elsewhere.path().display());
    let mut command = host.command(&["plan", "example.com", "--records", "zone", "--token", &token]);
    assert!(command.env_remove("DIGITALOCEAN_TOKEN").status().unwrap().success());
    assert_eq!(host.model.lock().violations, Vec::<String>::new());
}
