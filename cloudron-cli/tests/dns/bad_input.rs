//! Invalid input is reported with the right exit code before anything is sent.

use crate::common::{Home, Run};
use crate::host::Host;

#[test]
fn credentials_that_are_missing_or_wrong_are_denied() {
    let host = Host::new();
    for value in ["", " "] {
        let mut command = host.command(&["export", "example.com"]);
        let run = Run::of(command.env("DIGITALOCEAN_TOKEN", value).output().unwrap());
        run.failed(4, "dns-credentials", "DIGITALOCEAN_TOKEN");
    }
    host.model.fail([crate::model::Fault::Unauthorized]);
    host.run(&["export", "example.com"]).failed(4, "dns-credentials", "example.com");
    let home = Home::new();
    for (provider, variable) in [
        ("cloudflare", "CLOUDFLARE_API_TOKEN"),
        ("hetzner", "HETZNER_API_TOKEN"),
        ("powerdns", "PDNS_API_KEY"),
        ("route53", "AWS_ACCESS_KEY_ID"),
    ] {
        let run = home.run(&["dns", "export", "example.com", "--provider", provider]);
        run.failed(4, "dns-credentials", variable);
    }
}

#[test]
fn options_that_are_missing_or_mean_nothing_are_a_usage_error() {
    let home = Home::new();
    std::fs::write(home.path("zone"), "a 300 A 192.0.2.1\n").unwrap();
    let run = |text: &str| home.run(&text.split(' ').collect::<Vec<_>>());
    for text in [
        "dns plan example.com --records zone",
        "dns plan example.com --records zone --provider nowhere",
        "dns plan example.com --records zone --ip 192.0.2.1 --provider wildcard",
        "dns plan example.com --machine --ip x --provider wildcard",
        "dns apply example.com --plan x --records zone --provider wildcard",
        "dns export example.com --provider digitalocean --zone a..b",
        "dns wait example.com --records zone --timeout x",
    ] {
        let run = run(text);
        assert_eq!(run.code, 2, "{text}: {}", run.stderr);
        assert!(run.stdout.is_empty() && !run.stderr.is_empty());
    }
    for (text, said) in [
        ("dns plan example.com --machine --provider wildcard", "--ip"),
        ("dns plan example.com --provider wildcard", "nothing says which records"),
        ("dns check example.com", "nothing says which records"),
        ("dns wait example.com", "nothing says which records"),
        ("dns export example.com --provider rfc2136", "--server"),
        ("dns export example.com --provider wildcard --token x", "--token means nothing to wildcard"),
        ("dns export example.com --provider digitalocean --server 127.0.0.1", "--server means nothing"),
        (
            "dns export example.com --provider hetzner --endpoint digitalocean=http://127.0.0.1:1",
            "for digitalocean",
        ),
        ("dns plan example.com --records zone --provider wildcard --adopt my", "NAME/TYPE"),
    ] {
        run(text).failed(2, "usage", said);
    }
    run("dns plan a..b --records zone --provider wildcard").failed(2, "dns-name", "a label is empty");
    run("dns plan x.example.com --machine --ip 192.0.2.1 --provider wildcard").failed(
        2,
        "domain-sublevel",
        "--allow-subdomain",
    );
    assert!(!home.path(".local").exists(), "nothing was made");
}

#[test]
fn a_file_that_is_wrong_is_named_with_the_line_before_anything_is_sent() {
    let host = Host::new();
    for (text, said) in [
        ("a A 192.0.2.1\nb MX mail\n", "reading bad: line 2: MX: `mail` is not a number from 0 to 65535"),
        ("$INCLUDE other\n", "line 1: $INCLUDE is not read"),
        ("[{\"name\": \"a\"}]", "record set 1"),
        ("{\"records\": 1}", "a list of record sets"),
    ] {
        host.file("bad", text);
        for command in ["plan", "apply"] {
            host.run(&[command, "example.com", "--records", "bad"]).failed(6, "dns-zone-file", said);
        }
        let run = host.home.run(&[
            "dns",
            "check",
            "example.com",
            "--records",
            "bad",
            "--name-server",
            "127.0.0.1:1",
        ]);
        run.failed(6, "dns-zone-file", said);
    }
    host.run(&["plan", "example.com", "--records", "nowhere"]).failed(3, "file-missing", "nowhere");
    host.run(&["plan", "example.com", "--records", "."]).failed(1, "io", "");
    assert_eq!(host.model.requests(), Vec::<String>::new());
}

#[test]
fn a_zone_that_is_not_there_is_not_found() {
    let host = Host::new();
    host.file("zone", "www.example.org. 300 A 192.0.2.1\n");
    host.run(&["export", "example.org"]).failed(3, "dns-zone-not-found", "example.org");
    host.run(&["export", "example.com", "--zone-id", "7"]).failed(3, "dns-zone-not-found", "with the id 7");
    host.run(&["plan", "example.com", "--records", "zone"]).failed(5, "dns-conflict", "not in this zone");
    host.ok(&["export", "my.sub.example.com", "--zone", "example.com"]);
}

#[test]
fn damaged_state_is_reported_and_nothing_is_written() {
    let host = Host::new();
    host.file("zone", "a 300 A 192.0.2.1\n");
    host.ok(&["apply", "example.com", "--records", "zone", "--yes"]);
    host.writes();
    let state = host.home.path(".local/state/cloudron/dns/digitalocean/example.com.json");
    std::fs::write(&state, "{").unwrap();
    host.file("zone", "a 300 A 192.0.2.2\n");
    host.run(&["apply", "example.com", "--records", "zone", "--yes"]).failed(
        6,
        "dns-state",
        "example.com.json",
    );
    assert_eq!(host.writes(), 0);
    std::fs::remove_file(&state).unwrap();
    host.run(&["apply", "example.com", "--records", "zone", "--yes"]).failed(5, "dns-conflict", "--adopt");
    host.ok(&["apply", "example.com", "--records", "zone", "--yes", "--adopt", "all"]);
}

#[test]
fn a_host_or_a_folder_that_cannot_be_used_is_said_with_what_to_do_next() {
    let host = Host::new();
    host.file("zone", "a 300 A 192.0.2.1\n");
    let apply = ["apply", "example.com", "--records", "zone", "--yes"];
    let state = host.home.path("zone");
    let run = Run::of(host.command(&apply).env("XDG_STATE_HOME", state).output().unwrap());
    run.failed(1, "io", "XDG_STATE_HOME");
    assert_eq!(host.writes(), 0);
    host.model.fail([crate::model::Fault::Garbled]);
    host.run(&apply).failed(7, "dns-provider-down", "--endpoint");
}

#[test]
fn an_empty_file_is_said_to_be_empty_and_an_empty_domain_is_refused() {
    let host = Host::new();
    host.file("empty", "; nothing\n");
    let run = host.run(&["plan", "example.com", "--records", "empty", "--prune"]);
    assert!(run.code == 0 && run.stderr.contains("empty holds no records"), "{}", run.stderr);
    for domain in ["", "."] {
        host.run(&["plan", domain, "--records", "empty"]).failed(2, "usage", "DOMAIN is empty");
    }
}
