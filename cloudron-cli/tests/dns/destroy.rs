//! `machine destroy` and the DNS records that the machine's creation wrote. The machine is a local one with
//! DNS records added to its record.

use cloudron_testkit::canary::{Canary, assert_none};
use serde_json::{Value, json};

use crate::common::Run;
use crate::host::Host;
use crate::model::{Fault, Record, TOKEN};

const DOMAIN: &str = "example.com";
const MACHINE: [&str; 4] = [DOMAIN, "--machine", "--ip", "192.0.2.1"];

impl Host {
    /// Returns a machine with records in the zone, written from this computer.
    fn with_machine() -> Self {
        let host = Self::new();
        host.ok(&[&["apply"], &MACHINE[..], &["--yes"]].concat());
        assert_eq!(host.home.create(DOMAIN, &[]).code, 0);
        let endpoint = host.endpoint.clone();
        host.remember(
            &json!({ "provider": "digitalocean", "addresses": ["192.0.2.1"], "endpoint": endpoint }),
        );
        host.writes();
        host
    }

    fn remember(&self, dns: &Value) {
        let path = self.home.path(".local/state/cloudron/machines/example.com.json");
        let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        record["dns"] = dns.clone();
        std::fs::write(path, record.to_string()).unwrap();
    }

    fn destroy(&self, token: Option<&str>, more: &[&str]) -> Run {
        let mut command = self.home.command();
        command.args(["machine", "destroy", DOMAIN]).args(more);
        command.envs(token.map(|token| ("DIGITALOCEAN_TOKEN", token)));
        let run = Run::of(command.output().unwrap());
        let canary = Canary::new().secret("token", TOKEN);
        assert_none(&canary.in_bytes("output", format!("{}{}", run.stdout, run.stderr).as_bytes()));
        run
    }

    #[track_caller]
    fn destroyed(&self, token: Option<&str>, more: &[&str]) -> Run {
        let run = self.destroy(token, &[&["--yes"], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(self.home.json(&["machine", "list"])["machines"], json!([]));
        run
    }

    fn ownership(&self) -> Value {
        let path = self.home.path(".local/state/cloudron/dns/digitalocean/example.com.json");
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()["records"].clone()
    }
}

#[test]
fn the_records_go_with_the_machine_and_those_of_others_stay() {
    let host = Host::with_machine();
    host.foreign("A", "www", "192.0.2.1");
    host.destroy(Some(TOKEN), &[]).failed(2, "needs-answer", "and its DNS records at digitalocean");
    let run = host.destroyed(Some(TOKEN), &[]);
    assert!(host.data("A", "my").is_empty() && host.data("A", "*").is_empty());
    assert_eq!(host.data("A", "www"), ["192.0.2.1"]);
    assert!(
        run.stdout.contains("*.example.com. A, my.example.com. A at digitalocean were removed"),
        "{}",
        run.stdout
    );
    assert_eq!(host.ownership(), json!([]));
}

#[test]
fn a_record_that_somebody_changed_since_stays_and_is_no_longer_ours() {
    let host = Host::with_machine();
    let my = |r: &Record| r.text("name") == "my";
    host.model.lock().zones.get_mut(DOMAIN).unwrap().retain(|record| !my(record));
    host.foreign("A", "my", "198.51.100.7");
    let run = host.destroyed(Some(TOKEN), &["--output", "json"]);
    assert_eq!(host.data("A", "my"), ["198.51.100.7"]);
    assert!(host.data("A", "*").is_empty());
    assert!(
        run.stderr.contains("my.example.com. A at digitalocean is not what this computer wrote"),
        "{}",
        run.stderr
    );
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    let dns = &json["machines"][0]["dns"];
    assert_eq!(
        (&dns["removed"], &dns["left"]),
        (&json!(["*.example.com. A"]), &json!(["my.example.com. A"]))
    );
    assert_eq!(host.ownership(), json!([]));
}

#[test]
fn without_credentials_the_machine_goes_and_the_command_that_is_named_removes_its_records() {
    let host = Host::with_machine();
    host.destroy(None, &[]).failed(
        2,
        "needs-answer",
        "its DNS records at digitalocean stay: there is no token",
    );
    let run = host.destroyed(None, &[]);
    assert_eq!(host.writes(), 0);
    assert!(
        run.stderr.contains("*.example.com. A, my.example.com. A stay at digitalocean"),
        "{}",
        run.stderr
    );
    let command = run.stderr.split('`').find(|text| text.starts_with("cloudron dns apply")).unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let mut by_hand = host.home.command();
    by_hand.args(&words).arg("--yes").env("DIGITALOCEAN_TOKEN", TOKEN);
    let run = Run::of(by_hand.output().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("- my.example.com. 300 IN A 192.0.2.1\n"), "{}", run.stdout);
    assert!(host.data("A", "my").is_empty() && host.data("A", "*").is_empty());
}

#[test]
fn what_stands_against_the_records_does_not_keep_the_machine() {
    let host = Host::with_machine();
    host.remember(&json!({
        "provider": "digitalocean", "addresses": ["192.0.2.1"], "endpoint": "http://127.0.0.1:9",
    }));
    let run = host.destroyed(Some(TOKEN), &["--output", "json"]);
    assert!(
        run.stderr.contains("stay at digitalocean") && run.stderr.contains("--remove` removes them"),
        "{}",
        run.stderr
    );
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    let dns = &json["machines"][0]["dns"];
    assert_eq!(dns["left"].as_array().unwrap().len(), 2);
    assert!(dns["command"].as_str().unwrap().contains("--endpoint http://127.0.0.1:9"), "{dns}");

    let host = Host::with_machine();
    host.model.fail([Fault::Unauthorized]);
    let run = host.destroyed(Some(TOKEN), &[]);
    assert!(run.stderr.contains("warning") && run.stderr.contains("--remove"), "{}", run.stderr);
    assert_eq!(host.data("A", "my"), ["192.0.2.1"]);
}

#[test]
fn records_stay_when_asked_for_and_credentials_that_mean_nothing_are_refused() {
    let host = Host::with_machine();
    host.destroy(Some(TOKEN), &["--keep-dns"]).failed(
        2,
        "needs-answer",
        "its DNS records at digitalocean stay)",
    );
    host.destroy(None, &["--yes", "--token", "file:nowhere"]).failed(3, "file-missing", "nowhere");
    host.destroy(None, &["--yes", "--tsig-key-file", "key"]).failed(2, "usage", "--tsig-key-file");
    let run = host.destroyed(Some(TOKEN), &["--keep-dns"]);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    assert_eq!((host.writes(), host.data("A", "my").len()), (0, 1));

    assert_eq!(host.home.create(DOMAIN, &[]).code, 0);
    host.destroy(None, &["--yes", "--token", "env:X"]).failed(2, "usage", "no records were written");
}
