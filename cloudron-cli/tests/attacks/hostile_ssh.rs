//! SSH servers that send invalid or endless data.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloudron_testkit::require;
use cloudron_testkit::ssh_double::{Ending, Reply, SshDouble};
use serde_json::json;

use crate::common::{FAST_KEY, Home, Run};
use crate::{ESCAPED, HOSTILE, assert_clean, within};

const LIMIT: Duration = Duration::from_secs(60);

/// Returns a home with an SSH key and a backup key.
fn home() -> Option<Home> {
    let keygen = require::tool("ssh-keygen")?;
    let home = Home::new();
    std::fs::write(home.path("key"), FAST_KEY).unwrap();
    let made =
        Command::new(keygen).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(home.path("id")).status();
    assert!(made.unwrap().success());
    Some(home)
}

fn create(home: &Home, port: u16, host_key: &str, more: &[&str]) -> Command {
    let mut command = home.command();
    command.args([
        "machine",
        "create",
        "generic",
        "--fqdn",
        "example.com",
        "--ip",
        "127.0.0.1",
        "--dns",
        "none",
    ]);
    command.args(["--ssh-port", &port.to_string(), "--host-key", host_key, "--ssh-key", "id"]);
    command.args(["--backup-key", "file:key", "--yes"]).args(more);
    command
}

fn tried(home: &Home, double: &SshDouble, more: &[&str]) -> Output {
    within(LIMIT, &mut create(home, double.port(), &double.host_key_fingerprint(), more))
}

/// Returns the facts of an ordinary machine, with the hostile text as its system's name.
fn facts() -> String {
    format!(
        "kernel=Linux\nmachine={}\nuid=0\nboot_id=1\nclock=1\nsystemd=yes\nfree_root=99999999\nfree_var=99999999\nos={}\n",
        std::env::consts::ARCH,
        HOSTILE.replace('\n', " ")
    )
}

fn is_first_contact(command: &str) -> bool {
    command.contains("os-release")
}

#[test]
fn nothing_that_an_ssh_server_says_is_obeyed_by_the_terminal() {
    let Some(home) = home() else { return };
    let error = json!({ "error": { "code": HOSTILE, "message": HOSTILE, "hint": HOSTILE } }).to_string();
    let second = |reply: Reply| {
        move |command: &str| {
            if is_first_contact(command) { Reply::out(facts()).exit(0) } else { reply.clone() }
        }
    };
    let signal = Ending::Signal(HOSTILE.into(), HOSTILE.into());
    let doubles = [
        ("standard error", SshDouble::start(|_| Reply::default().err(HOSTILE).exit(1))),
        ("no root", SshDouble::start(|_| Reply::default().err(format!("sudo: {HOSTILE}")).exit(1))),
        ("an error in JSON", {
            let error = error.clone();
            SshDouble::start(move |_| Reply::out(error.clone()).exit(1))
        }),
        (
            "the kernel",
            SshDouble::start(|_| Reply::out(format!("kernel={}", HOSTILE.replace('\n', " "))).exit(0)),
        ),
        ("standard error later", SshDouble::start(second(Reply::default().err(HOSTILE).exit(1)))),
        ("an error in JSON later", SshDouble::start(second(Reply::out(error).exit(1)))),
        ("another answer later", SshDouble::start(second(Reply::out(HOSTILE).exit(0)))),
        ("a signal", SshDouble::start(second(Reply::default().err(HOSTILE).ending(signal)))),
    ];
    for (what, double) in &doubles {
        for more in [&[][..], &["--output", "json"], &["-vvv"]] {
            // Leftovers of an earlier run must not keep this one from connecting.
            let _ = std::fs::remove_dir_all(home.path(".local"));
            let output = tried(&home, double, more);
            assert_clean(what, &output);
            assert_ne!(output.status.code(), Some(0), "{what}");
            assert_ne!(output.status.code(), Some(101), "{what}");
        }
    }
    let _ = std::fs::remove_dir_all(home.path(".local"));
    let text = String::from_utf8(tried(&home, &doubles[0].1, &[]).stderr).unwrap();
    assert!(text.contains(ESCAPED), "{text}");
}

#[test]
fn a_command_that_ends_without_a_word_has_not_succeeded() {
    let Some(home) = home() else { return };
    let silent = SshDouble::start(|command| match is_first_contact(command) {
        true => Reply::out(facts()),
        false => Reply::default(),
    });
    let run = Run::of(tried(&home, &silent, &[]));
    run.failed(1, "remote-command", "without an exit status");
    // With an exit status the same answer is accepted, and the run proceeds to another kind of command.
    let further = Arc::new(AtomicUsize::new(0));
    let count = further.clone();
    let good = SshDouble::start(move |command| match is_first_contact(command) {
        true => Reply::out(facts()).exit(0),
        false => {
            count.fetch_add(1, Ordering::Relaxed);
            Reply::default()
        }
    });
    let run = Run::of(tried(&home, &good, &[]));
    run.failed(1, "remote-command", "without an exit status");
    assert!(further.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_server_that_never_begins_is_left_in_time() {
    let Some(home) = home() else { return };
    // Endless lines before the version (RFC 4253, section 4.2), and a version that is never complete.
    for endless in [&b"still warming up\r\n"[..], b"SSH-2.0-", b"\0"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || while stream.write_all(endless).is_ok() {});
            }
        });
        let begun = Instant::now();
        let key = format!("SHA256:{}", "A".repeat(43));
        let run = Run::of(within(LIMIT, &mut create(&home, port, &key, &["--connect-timeout", "2"])));
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}: {}", begun.elapsed(), run.stderr);
        assert!([1, 7, 8].contains(&run.code), "{}: {}", run.code, run.stderr);
    }
}

/// Returns the command with a memory limit, as set by `ulimit -v`.
fn limited(command: &Command, megabytes: u32) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes * 1024)]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}

#[test]
fn packets_that_nobody_asked_for_fill_no_memory() {
    let Some(home) = home() else { return };
    // After the login: packets of an unknown type, of an ignored type, of a banner, and of key exchange.
    for kind in [200, 2, 53, 31] {
        let double = SshDouble::start(move |_| Reply::out("x").ending(Ending::Flood(kind)));
        record(&home, &double);
        let mut list = home.command();
        list.args(["machine", "include", "list", "example.com"]);
        let run = Run::of(within(LIMIT, &mut limited(&list, 1024)));
        assert!([1, 7].contains(&run.code), "{kind}: {} {}", run.code, run.stderr);
        assert!(run.stderr.contains("far more than was asked for"), "{kind}: {}", run.stderr);
    }
    // Before the login: unencrypted packets, when only keys have been offered.
    std::fs::remove_dir_all(home.path(".local")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut packet = [&30_009u32.to_be_bytes()[..], &[8, 200]].concat();
            packet.resize(30_013, 0);
            let _ = stream.write_all(b"SSH-2.0-flood\r\n");
            std::thread::spawn(move || while stream.write_all(&packet).is_ok() {});
        }
    });
    let key = format!("SHA256:{}", "A".repeat(43));
    let flooded = create(&home, port, &key, &["--connect-timeout", "10"]);
    let run = Run::of(within(LIMIT, &mut limited(&flooded, 1024)));
    assert!([1, 7, 8].contains(&run.code), "{}: {}", run.code, run.stderr);
}

#[test]
fn a_host_key_that_is_revoked_is_refused_whatever_else_is_said() {
    let Some(home) = home() else { return };
    let double = SshDouble::start(|_| Reply::out(facts()).exit(0));
    let (key, port) = (double.host_public_key(), double.port());
    std::fs::create_dir(home.path(".ssh")).unwrap();
    for line in [
        format!("@revoked * {key}"),
        format!("@revoked [127.0.0.1]:{port} {key}"),
        format!("@revoked 127.0.0.1 {key} a comment"),
        // Under any name: a revoked key could impersonate any host.
        format!("@revoked another.example {key}"),
        format!("[127.0.0.1]:{port} {key}\n@revoked\t* {key}"),
    ] {
        // Invalid UTF-8 on another line hides nothing.
        let text = [b"\xff\xfe broken\n", line.as_bytes(), b"\n"].concat();
        std::fs::write(home.path(".ssh/known_hosts"), text).unwrap();
        Run::of(tried(&home, &double, &[])).failed(4, "host-key-revoked", "revoked");
        let mut known = create(&home, port, "", &[]);
        let arguments: Vec<_> = known.get_args().map(ToOwned::to_owned).collect();
        known = home.command();
        known.args(arguments.iter().filter(|a| !a.is_empty() && *a != "--host-key"));
        Run::of(within(LIMIT, &mut known)).failed(4, "host-key-revoked", "revoked");
    }
}

/// Writes the record of a machine with this host key.
fn record(home: &Home, double: &SshDouble) {
    let folder = home.path(".local/state/cloudron/machines");
    std::fs::create_dir_all(&folder).unwrap();
    let record = json!({
        "schema": 1, "fqdn": "example.com", "run": "01", "created": std::time::SystemTime::UNIX_EPOCH,
        "reach": {
            "provider": "generic", "host": "127.0.0.1", "sshPort": double.port(), "sshUser": "root",
            "sshKey": home.path("id"), "hostKeys": [double.host_public_key()],
        },
        "caPem": "", "port": 1, "store": "file:///var/backups/cloudron",
    });
    std::fs::write(folder.join("example.com.json"), record.to_string()).unwrap();
}

#[test]
fn a_pinned_host_key_that_is_revoked_is_refused_also_by_the_systems_ssh() {
    let Some(home) = home() else { return };
    let Some(_) = require::tool("ssh") else { return };
    let double = SshDouble::start(|_| Reply::out("[]").exit(0));
    record(&home, &double);
    assert_eq!(home.run(&["machine", "include", "list", "example.com"]).code, 0);
    let ssh =
        |home: &Home| within(LIMIT, home.command().args(["machine", "ssh", "example.com", "--", "true"]));
    let output = ssh(&home);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::create_dir_all(home.path(".ssh")).unwrap();
    std::fs::write(home.path(".ssh/known_hosts"), format!("@revoked * {}\n", double.host_public_key()))
        .unwrap();
    home.run(&["machine", "include", "list", "example.com"]).failed(4, "host-key-revoked", "revoked");
    let output = ssh(&home);
    assert_eq!(output.status.code(), Some(255));
    assert!(String::from_utf8_lossy(&output.stderr).contains("revoked"));
}

#[test]
fn nothing_that_a_known_machine_says_by_ssh_is_obeyed_by_the_terminal() {
    let Some(home) = home() else { return };
    let double = SshDouble::start(|_| Reply::out(HOSTILE).err(HOSTILE).exit(1));
    record(&home, &double);
    for words in
        ["status", "eventlog", "logs", "backup list", "backup create", "include list", "setup-link", "start"]
    {
        for more in [&[][..], &["--output", "json"], &["-vvv"]] {
            let words: Vec<&str> =
                ["machine"].into_iter().chain(words.split(' ')).chain(["example.com"]).collect();
            let output = within(LIMIT, home.command().args(&words).args(more));
            assert_clean(&format!("{words:?} {more:?}"), &output);
            assert!(!output.status.success(), "{words:?}");
        }
    }
    assert_clean("list", &within(LIMIT, home.command().args(["machine", "list"])));
}
