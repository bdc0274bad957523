//! Dynamic updates with BIND.

use std::process::Command;

use cloudron_testkit::canary::{Canary, assert_none};
use cloudron_testkit::named::Named;
use cloudron_testkit::require;

use crate::common::{Home, Run};

const SECRET: &str = "Y2FuYXJ5LXNlY3JldC1vZi10aGUta2V5";

struct Lab {
    home: Home,
    server: Named,
    keys: tempfile::TempDir,
}

impl Lab {
    fn start() -> Option<Self> {
        let key = format!("key laptop {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n");
        let clauses = "type primary; allow-update { key laptop; }; allow-transfer { key laptop; };";
        let server = Named::start(&key, &[("example.com".into(), clauses.into())])?;
        let (home, keys) = (Home::new(), tempfile::tempdir().unwrap());
        std::fs::write(keys.path().join("key"), key).unwrap();
        Some(Self { home, server, keys })
    }

    fn run(&self, arguments: &[&str], with_key: bool) -> Run {
        let server = self.server.address().to_string();
        let mut command = self.home.command();
        command.arg("dns").args(arguments).args(["--provider", "rfc2136", "--server", &server]);
        if with_key {
            command.arg("--tsig-key-file").arg(self.keys.path().join("key"));
        }
        let run = Run::of(command.output().unwrap());
        let canary = Canary::new().secret("key", SECRET);
        assert_none(&canary.in_bytes("output", format!("{}{}", run.stdout, run.stderr).as_bytes()));
        assert_none(&canary.in_tree(self.home.dir()).unwrap());
        run
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments, true);
        assert_eq!(run.code, 0, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run.stdout
    }
}

#[test]
fn a_zone_at_bind_is_written_waited_for_exported_and_pruned() {
    let Some(lab) = Lab::start() else { return };
    let zone = "$TTL 1h\n* A 192.0.2.1\n_443._tcp.my TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\
        @ TXT \"v=spf1 -all\" \"\\195\\188\"\n";
    std::fs::write(lab.home.path("zone"), zone).unwrap();
    let server = lab.server.address().to_string();
    let wanted = ["example.com", "--records", "zone"];
    let wait = ["--yes", "--wait", "dns", "--timeout", "20", "--name-server", &server];
    let applied = lab.ok(&[&["apply"], &wanted[..], &wait[..]].concat());
    assert_eq!(applied.lines().count(), 3, "{applied}");
    assert_eq!(lab.ok(&[&["apply"], &wanted[..]].concat()), "= 3 record sets are right already\n");
    let exported = lab.ok(&["export", "example.com"]);
    assert!(exported.lines().nth(1).unwrap().starts_with("@\t"), "{exported}");
    assert!(exported.contains("\tSOA\t") && exported.contains("*\t3600\tIN\tA\t192.0.2.1\n"), "{exported}");
    assert!(exported.contains("TLSA\t3 1 1 00010203"), "{exported}");
    std::fs::write(lab.home.path("exported"), &exported).unwrap();
    let again = lab.ok(&["plan", "example.com", "--records", "exported", "--exit-code"]);
    assert_eq!(again, "= 3 record sets are right already\n");
    std::fs::write(lab.home.path("zone"), "* 1h A 192.0.2.2\n").unwrap();
    let pruned = lab.ok(&[&["apply"], &wanted[..], &wait[..], &["--prune"]].concat());
    assert!(
        pruned.contains("- _443._tcp.my.example.com.")
            && pruned.contains("+ *.example.com. 3600 IN A 192.0.2.2")
    );
    assert!(!lab.ok(&["export", "example.com"]).contains("spf1"));
}

#[test]
fn all_records_of_a_machine_with_mail_are_written_when_asked_for() {
    let Some(lab) = Lab::start() else { return };
    let machine =
        ["apply", "example.com", "--yes", "--machine", "--ip", "192.0.2.1", "--ipv6", "2001:db8::1"];
    let record =
        lab.home.ok(&["dns", "dkim-key", "example.com", "--selector", "c202611", "--out", "new.pem"]);
    let new = public_half(&record);
    let old = public_half(&lab.home.ok(&["dns", "dkim-key", "example.com", "-o", "old.pem"]));
    let mail = format!(
        "--mail --dkim c202611=file:new.pem --dkim cloudron={old} --dkim-retired c202501 --dmarc quarantine \
        --dmarc-reports postmaster@example.com --helo-spf --mta-sts testing --tls-reports tls@example.com \
        --caa letsencrypt.org"
    );
    let all: Vec<&str> = machine.into_iter().chain(mail.split_whitespace()).collect();
    let run = lab.run(&all, true);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("mode: testing") && run.stderr.contains("mx: my.example.com"),
        "{}",
        run.stderr
    );
    let zone = lab.ok(&["export", "example.com"]);
    let (head, tail) = (format!("v=DKIM1; k=rsa; p={new}"), format!("v=DKIM1; k=rsa; p={old}"));
    for (selector, text) in [("c202611", head), ("cloudron", tail)] {
        let line = zone.lines().find(|l| l.starts_with(&format!("{selector}._domainkey\t"))).unwrap();
        assert!(line.replace("\" \"", "").ends_with(&format!("\t300\tIN\tTXT\t\"{text}\"")), "{line}");
    }
    for line in [
        "@\t300\tIN\tCAA\t0 issue \"letsencrypt.org\"",
        "@\t300\tIN\tMX\t10 my.example.com.",
        "my\t300\tIN\tAAAA\t2001:db8::1",
        "my\t300\tIN\tTXT\t\"v=spf1 a",
        "c202501._domainkey\t300\tIN\tTXT\t\"v=DKIM1; k=rsa; p=\"",
        "_dmarc\t300\tIN\tTXT\t\"v=DMARC1; p=quarantine; rua=mailto:postmaster@example.com\"",
        "_mta-sts\t300\tIN\tTXT\t\"v=STSv1; id=",
        "_smtp._tls\t300\tIN\tTXT\t\"v=TLSRPTv1; rua=mailto:tls@example.com\"",
    ] {
        assert!(zone.contains(line), "{line} is not in\n{zone}");
    }
    let again = lab.ok(&all);
    assert!(again.ends_with("are right already\n") && again.lines().count() == 1, "{again}");
}

/// Returns the public key in a printed record.
fn public_half(record: &str) -> String {
    let text = record.trim_end().replace("\" \"", "");
    text.split_once("p=").unwrap().1.trim_end_matches('"').to_owned()
}

#[test]
fn without_the_key_nothing_is_written() {
    let Some(lab) = Lab::start() else { return };
    std::fs::write(lab.home.path("zone"), "a 300 A 192.0.2.1\n").unwrap();
    let apply = ["apply", "example.com", "--records", "zone", "--yes"];
    let run = lab.run(&apply, false);
    assert_eq!(run.code, 4, "{}", run.stderr);
    std::fs::write(lab.keys.path().join("key"), format!("laptop:{SECRET}#")).unwrap();
    let run = lab.run(&apply, true);
    assert!(run.code == 2 || run.code == 6, "a key that is none is said to be none: {}", run.stderr);
    std::fs::remove_file(lab.keys.path().join("key")).unwrap();
    lab.run(&apply, true).failed(3, "file-missing", "key");
}

#[test]
fn a_machine_is_not_begun_where_records_of_others_are_in_the_way() {
    let Some(lab) = Lab::start() else { return };
    let Some(keygen) = require::tool("ssh-keygen") else { return };
    let made =
        Command::new(keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(lab.home.path("k")).status();
    assert!(made.unwrap().success());
    let create = |more: &[&str]| {
        let mut command = lab.home.command();
        // No SSH server listens there.
        command.args(["machine", "create", "generic", "--fqdn", "example.com", "--ip", "127.0.0.1", "--yes"]);
        command
            .args([
                "--ssh-port",
                "9",
                "--connect-timeout",
                "1",
                "--backup-key",
                "file:key",
                "--ssh-key",
                "./k",
            ])
            .args(more);
        Run::of(command.output().unwrap())
    };
    let (server, key) = (lab.server.address().to_string(), lab.keys.path().join("key").display().to_string());
    let at_bind = ["--dns", "rfc2136", "--server", &server, "--tsig-key-file", &key];
    create(&at_bind).failed(7, "ssh-refused", "127.0.0.1");
    assert!(!lab.ok(&["export", "example.com"]).contains("my"), "nothing was written");

    std::fs::write(lab.home.path("zone"), "my 300 A 192.0.2.9\n").unwrap();
    lab.ok(&["apply", "example.com", "--records", "zone", "--yes"]);
    std::fs::remove_dir_all(lab.home.dir().join(".local/state/cloudron/dns")).unwrap();
    create(&at_bind).failed(5, "dns-conflict", "cloudron dns apply example.com --provider rfc2136");
    create(&["--dns", "none", "--server", &server]).failed(2, "usage", "--dns");
    let elsewhere = create(&["--dns", "elsewhere"]);
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains("rfc2136"), "{}", elsewhere.stderr);
}
