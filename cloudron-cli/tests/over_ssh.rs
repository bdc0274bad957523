//! Machines over SSH without a cloudron server: a host key that changed, and a machine that does not exist
//! any more.

mod common;

use cloudron_testkit::sshd::Sshd;
use common::{Home, Run};
use serde_json::{Value, json};

const NAME: &str = "example.com";

/// Writes the record of a machine at this SSH server, as `create` does.
fn remember(home: &Home, server: &Sshd) {
    let folder = home.path(".local/state/cloudron/machines");
    std::fs::create_dir_all(&folder).unwrap();
    // The key outlives the server.
    std::fs::copy(server.key_path(), home.path("ssh_key")).unwrap();
    let record = json!({
        "schema": 1, "fqdn": NAME, "run": "01arz3ndektsv4rrffq69g5fav",
        "created": { "secs_since_epoch": 0, "nanos_since_epoch": 0 },
        "reach": {
            "provider": "generic", "host": "127.0.0.1", "sshPort": server.port(), "sshUser": server.user(),
            "sshKey": home.path("ssh_key"), "hostKeys": [server.host_public_key()],
        },
        "caPem": "", "port": 443, "store": "file:///var/backups/cloudron",
    });
    std::fs::write(folder.join(format!("{NAME}.json")), record.to_string()).unwrap();
}

fn recorded(home: &Home) -> (String, String) {
    let folder = home.path(".local/state/cloudron/machines");
    let record: Value =
        serde_json::from_slice(&std::fs::read(folder.join("example.com.json")).unwrap()).unwrap();
    let known = std::fs::read_to_string(folder.join("example.com.known_hosts")).unwrap_or_default();
    (record["reach"]["hostKeys"][0].as_str().unwrap().to_owned(), known)
}

#[track_caller]
fn ssh(home: &Home) -> Run {
    home.run(&["machine", "ssh", NAME, "--", "echo hello"])
}

#[test]
fn a_changed_host_key_is_trusted_by_its_fingerprint_and_everything_works_again() {
    let Some(mut server) = Sshd::start() else { return };
    let home = Home::new();
    remember(&home, &server);
    assert_eq!(ssh(&home).stdout, "hello\n");
    let old = server.host_public_key();
    server.change_host_key();

    // All commands that use the key print a hint.
    for command in [&["machine", "status", NAME][..], &["machine", "backup", "create", NAME]] {
        home.run(command).failed(4, "host-key-changed", "`cloudron machine trust example.com`");
    }
    let run = ssh(&home);
    run.failed(4, "host-key-changed", "`cloudron machine trust example.com`");
    assert!(run.stdout.is_empty());

    // Neither no answer nor --yes is consent, and a wrong fingerprint changes nothing.
    for more in [&[][..], &["--yes"]] {
        let run = home.run(&[&["machine", "trust", NAME], more].concat());
        run.failed(2, "needs-answer", "--host-key SHA256:…");
        let both = [Sshd::host_key_fingerprint(&server), fingerprint(&old)];
        assert!(both.iter().all(|key| run.stderr.contains(key)), "{}", run.stderr);
    }
    let wrong = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let run = home.run(&["machine", "trust", NAME, "--host-key", wrong]);
    run.failed(4, "host-key-mismatch", &server.host_key_fingerprint());
    home.run(&["machine", "trust", NAME, "--host-key", "nonsense"]).failed(2, "host-key-invalid", "");
    assert_eq!(recorded(&home).0, old);

    let run = home.run(&["machine", "trust", NAME, "--host-key", &server.host_key_fingerprint()]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains(&server.host_key_fingerprint()), "{}", run.stdout);
    // There is no cloudron server behind this SSH server, which is reported.
    assert!(run.stderr.contains("could not be asked"), "{}", run.stderr);
    let (key, known) = recorded(&home);
    assert_eq!(key, server.host_public_key());
    assert!(known.contains(&key) && !known.contains(&old), "{known}");
    assert_eq!(ssh(&home).stdout, "hello\n");

    let again = home.json(&["machine", "trust", NAME]);
    assert_eq!(again["machines"][0]["changed"], false);
}

fn fingerprint(key: &str) -> String {
    cloudron_testkit::sshd::fingerprint(key)
}

#[test]
fn a_machine_on_this_computer_has_no_host_key() {
    let home = Home::new();
    assert_eq!(home.create("demo.localhost", &[]).code, 0);
    home.run(&["machine", "trust", "demo.localhost"]).failed(2, "usage", "no host key");
    home.run(&["machine", "trust", "nosuch.com"]).failed(3, "machine-unknown", "");
}

#[test]
fn a_failure_of_the_command_itself_is_not_taken_for_a_changed_key() {
    let Some(server) = Sshd::start() else { return };
    let home = Home::new();
    remember(&home, &server);
    let run = home.run(&["machine", "ssh", NAME, "--", "exit 255"]);
    assert_eq!(run.code, 255, "{}", run.stderr);
    // Several words are a command with its own options.
    assert_eq!(home.ok(&["machine", "ssh", NAME, "echo", "-n", "a  b"]), "a  b");
}

#[test]
fn a_machine_that_is_gone_shows_what_is_known_and_is_forgotten_as_advised() {
    let Some(server) = Sshd::start() else { return };
    let home = Home::new();
    remember(&home, &server);
    let place = format!("{}@127.0.0.1 port {}", server.user(), server.port());
    drop(server);
    let run = home.run(&["machine", "status", NAME]);
    run.failed(7, "ssh-refused", "`cloudron machine destroy example.com --forget`");
    for known in
        ["unreachable", "https://my.example.com", &place, "file:///var/backups/cloudron", "last seen never"]
    {
        assert!(run.stdout.contains(known), "no {known} in {}", run.stdout);
    }
    std::fs::remove_file(home.path("ssh_key")).unwrap();
    let run = home.run(&["machine", "status", NAME]);
    run.failed(3, "ssh-key-missing", &format!("put the key back at {}", home.path("ssh_key").display()));
    home.ok(&["machine", "destroy", NAME, "--forget", "--yes"]);
    assert!(home.ok(&["machine", "list"]).contains("No machines"));
}
