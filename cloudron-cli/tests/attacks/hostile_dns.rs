//! DNS hosts and name servers with unusual or malicious records.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use cloudron_testkit::named::Named;
use serde_json::{Value, json};

use crate::common::Home;
use crate::{ESCAPED, HOSTILE, assert_clean, within};

const LIMIT: Duration = Duration::from_secs(120);

/// Starts an HTTP server that answers every request with this status and JSON. Returns its address.
fn http(status: u16, answer: impl Fn(&str) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let path = head.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
            head.find(String::is_empty);
            let body = answer(&path).to_string();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

fn commands(home: &Home, more: &[&str]) -> String {
    let mut all = String::new();
    for line in [
        "plan example.com --machine --ip 192.0.2.1 --mail",
        "plan example.com --machine --ip 192.0.2.1 --format zone",
        "apply example.com --machine --ip 192.0.2.1 --yes",
        "export example.com",
        "export example.com --format json",
    ] {
        for format in [&[][..], &["--output", "json"], &["-vvv"]] {
            let mut command: Command = home.command();
            command
                .arg("dns")
                .args(line.split(' '))
                .args(more)
                .args(format)
                .env("DIGITALOCEAN_TOKEN", "token");
            let output = within(LIMIT, &mut command);
            assert_clean(&format!("{line} {format:?}"), &output);
            assert_ne!(output.status.code(), Some(101), "{line}");
            all += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        }
    }
    all
}

#[test]
fn nothing_that_a_dns_host_says_is_obeyed_by_the_terminal() {
    let home = Home::new();
    let refuses = http(403, |_| json!({ "id": HOSTILE, "message": HOSTILE, "request_id": HOSTILE }));
    let text = commands(&home, &["--provider", "digitalocean", "--endpoint", &refuses]);
    assert!(text.contains("403"), "{text}");

    let record = |name: &str, kind: &str, data: &str| {
        json!({ "id": 1, "type": kind, "name": name, "data": data, "ttl": 300, "priority": 1, "port": 1,
                "weight": 1, "flags": 1, "tag": HOSTILE })
    };
    let answers = http(200, move |path| {
        if path.contains("/records") {
            let records = json!([
                record("@", "TXT", HOSTILE),
                record("@", HOSTILE, HOSTILE),
                record(HOSTILE, "A", "192.0.2.9"),
                record("x", "CAA", HOSTILE),
                record("y", "CNAME", HOSTILE),
            ]);
            return json!({ "domain_records": records, "links": {}, "meta": { "total": 5 } });
        }
        json!({ "domain": { "name": "example.com", "ttl": 300, "zone_file": HOSTILE } })
    });
    commands(&home, &["--provider", "digitalocean", "--endpoint", &answers]);
    let only_text = http(200, move |path| {
        if path.contains("/records") {
            let records = json!([record("@", "TXT", &HOSTILE.replace('"', ""))]);
            return json!({ "domain_records": records, "links": {}, "meta": { "total": 1 } });
        }
        json!({ "domain": { "name": "example.com", "ttl": 300, "zone_file": "" } })
    });
    commands(&home, &["--provider", "digitalocean", "--endpoint", &only_text]);
}

#[test]
fn nothing_in_a_zone_is_obeyed_by_the_terminal() {
    let Some(server) =
        Named::start("", &[("example.com".into(), "type primary; allow-transfer { any; };".into())])
    else {
        return;
    };
    let home = Home::new();
    let address = server.address().to_string();
    let text = HOSTILE.bytes().map(|b| format!("\\{b:03}")).collect::<String>();
    std::fs::write(home.path("zone"), format!("$TTL 60\n@ TXT \"v=spf1 {text}\"\nx\\027\\155 A 192.0.2.1\n"))
        .unwrap();
    for line in [
        "plan example.com --records zone --provider rfc2136",
        "apply example.com --records zone --provider rfc2136 --yes",
        "export example.com --provider rfc2136",
    ] {
        for format in [&[][..], &["--output", "json"], &["-vvv"]] {
            let mut command = home.command();
            command.arg("dns").args(line.split(' ')).args(["--server", &address]).args(format);
            let output = within(LIMIT, &mut command);
            assert_clean(line, &output);
        }
    }
    let mut check = home.command();
    check.args(["dns", "check", "example.com", "--machine", "--ip", "192.0.2.1", "--mail", "-vvv"]);
    assert_clean("check", &within(LIMIT, check.args(["--name-server", &address])));
    assert!(!ESCAPED.is_empty());
}
