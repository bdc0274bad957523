//! Adoption of a machine by another computer, with the DNS records written for it.

use serde_json::{Value, json};

use crate::common::Run;
use crate::host::Host;
use crate::model::TOKEN;

const DOMAIN: &str = "example.com";
const MACHINE: [&str; 5] = [DOMAIN, "--machine", "--ip", "192.0.2.1", "--yes"];

fn typed(host: &Host, arguments: &[&str]) -> Run {
    let mut command = host.home.command();
    Run::of(command.args(arguments).env("DIGITALOCEAN_TOKEN", TOKEN).output().unwrap())
}

/// Returns a machine whose records were written, on a computer that no longer has its record.
fn lost() -> Host {
    let host = Host::new();
    assert_eq!(host.home.create(DOMAIN, &[]).code, 0);
    let path = host.home.path(".local/state/cloudron/machines/example.com.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["dns"] = json!({
        "provider": "digitalocean", "addresses": ["192.0.2.1"], "endpoint": host.endpoint,
    });
    std::fs::write(path, record.to_string()).unwrap();
    host.ok(&[&["apply"], &MACHINE[..]].concat());
    for name in ["machines", "runs", "dns"] {
        std::fs::remove_dir_all(host.home.path(".local/state/cloudron").join(name)).unwrap();
    }
    host
}

#[test]
fn its_records_are_taken_over_and_go_with_it() {
    let host = lost();
    host.foreign("A", "www", "192.0.2.1");
    let run = typed(&host, &["machine", "adopt", DOMAIN, "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let run = typed(&host, &["machine", "destroy", DOMAIN, "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(host.data("A", "my").is_empty() && host.data("A", "*").is_empty(), "{}", run.stderr);
    assert_eq!(host.data("A", "www"), ["192.0.2.1"]);
}

#[test]
fn a_server_that_claims_the_records_of_others_does_not_get_them() {
    let host = lost();
    host.foreign("A", "www", "192.0.2.80");
    let path = host.home.root(DOMAIN).join("record.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let zone = &mut record["zones"][0];
    let mut claim = zone["records"][0].clone();
    let own = claim.to_string();
    claim = serde_json::from_str(
        &own.replace("*.example.com", "www.example.com").replace("192.0.2.1", "192.0.2.80"),
    )
    .unwrap();
    zone["records"].as_array_mut().unwrap().push(claim);
    std::fs::write(&path, record.to_string()).unwrap();
    let run = typed(&host, &["machine", "adopt", DOMAIN, "--yes"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("www.example.com"), "{}", run.stderr);
    let run = typed(
        &host,
        &[
            "dns",
            "plan",
            DOMAIN,
            "--provider",
            "digitalocean",
            "--endpoint",
            &host.endpoint,
            "--machine",
            "--ip",
            "192.0.2.1",
        ],
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let kept = host.home.path(".local/state/cloudron/dns/digitalocean/example.com.json");
    assert!(!std::fs::read_to_string(kept).unwrap().contains("www"));
}

#[test]
fn nothing_is_taken_over_without_an_answer() {
    let host = lost();
    let run = typed(&host, &["machine", "adopt", DOMAIN]);
    run.failed(2, "needs-answer", "my.example.com. A at digitalocean");
    run.failed(2, "needs-answer", "--yes");
    typed(&host, &["machine", "status", DOMAIN]).failed(3, "machine-unknown", "machine adopt");
}
