//! The helper of root: hooks that need root work, and nobody has it do anything else.

use std::time::Duration;

use cloudron_e2e::{Server, available, until};

use super::scene::{DOMAIN, FILES, Scene};

/// Sends a line to the helper as a user of the server, and returns the answer.
fn ask(server: &Server, user: &str, line: &str) -> String {
    let perl = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => \"/run/cloudron-helper.sock\") or \
                die \"refused: $!\"; print $s \"$ARGV[0]\\n\"; $s->flush; print scalar <$s>;";
    let group = server.exec_ok(&format!("id -g {user}"));
    let as_user = format!("setpriv --clear-groups --reuid {user} --regid {}", group.trim());
    let line = format!("{as_user} -- perl -e '{perl}' '{line}' 2>&1");
    server.exec(&line).stdout
}

#[test]
fn a_dump_that_needs_root_is_in_the_backup_and_the_event_log_names_it() {
    if !available() {
        return;
    }
    let scene = Scene::bare("root-dump");
    scene.server.exec_ok(&format!("mkdir -p {FILES} && chmod 700 {FILES}"));
    scene.create(&["--include", FILES]);
    let before = "test $(id -u) = 0 && cp /etc/shadow dump && pwd >where && echo kanari-output";
    let add = ["machine", "include", "add", DOMAIN, FILES, "--before", before, "--after", "mv dump dumped"];
    scene.laptop.ok(&add);
    let backup = scene.back_up();
    let shadow = scene.server.exec_ok("cat /etc/shadow");
    assert_eq!(scene.server.exec_ok(&format!("cat {FILES}/dumped")), shadow);
    assert_eq!(scene.server.exec_ok(&format!("cat {FILES}/where")).trim(), FILES);
    let events = scene.laptop.ok(&["machine", "eventlog", DOMAIN]).stdout;
    assert_eq!(events.matches("helper.hook").count(), 2, "{events}");
    let log = scene.laptop.ok(&["machine", "logs", DOMAIN]).stdout;
    assert!(log.contains("kanari-output"), "{log}");
    let journal = scene.server.exec_ok("journalctl --no-pager -u cloudron-helper");
    assert!(journal.contains("The helper was asked verb=\"hook\" asker=Worker"), "{journal}");
    // The dump was made before the folder was read.
    let copy = scene.laptop.place("copy");
    scene.download_repository(&copy);
    let list =
        ["backup", "ls", &backup, "--store", copy.to_str().unwrap(), "--backup-key", &scene.backup_key];
    let listed = scene.laptop.ok(&list);
    assert!(listed.stdout.contains("dump"), "{listed}");
}

#[test]
fn a_hook_that_is_no_longer_wanted_ends_with_all_it_started() {
    if !available() {
        return;
    }
    let scene = Scene::bare("hook-ends");
    scene.server.exec_ok(&format!("mkdir -p {FILES}"));
    scene.create(&["--include", FILES]);
    scene.laptop.ok(&["machine", "include", "add", DOMAIN, FILES, "--before", "sleep 600 & sleep 601"]);
    let sleeps = || scene.server.exec("grep -lx sleep /proc/[0-9]*/comm").stdout.lines().count();
    let running = scene.laptop.spawn(&["machine", "backup", "create", DOMAIN]);
    until("the hook runs", Duration::from_secs(30), || (sleeps() == 2).then_some(()));
    scene.server.exec_ok("systemctl restart cloudron-box");
    let run = running.wait();
    assert_ne!(run.code, 0, "{run}");
    until("the hook ended", Duration::from_secs(30), || (sleeps() == 0).then_some(()));
    assert_eq!(scene.server.exec_ok("ls /run/cloudron-helper 2>/dev/null; true"), "");
}

#[test]
fn the_helper_does_what_it_is_asked_by_those_who_may_and_nothing_else() {
    if !available() {
        return;
    }
    let scene = Scene::bare("verbs");
    scene.create(&[]);
    let server = &scene.server;
    let facts = ask(server, "cloudron", r#""facts""#);
    assert!(facts.contains("Debian GNU/Linux 12") && facts.contains("\"failed\":[]"), "{facts}");
    let hook = r#"{"hook": {"folder": "/srv", "when": "before"}}"#;
    assert!(ask(server, "cloudron", hook).contains("permission"), "hooks are the worker's");
    assert!(ask(server, "cloudron-backup", hook).contains("hook-failed"), "root configured none");
    assert!(ask(server, "cloudron-backup", r#""reboot""#).contains("permission"));
    for nonsense in ["{}", "run", r#"{"restart": {"part": "ssh"}}"#, r#"{"hook": {"command": "id"}}"#] {
        assert!(ask(server, "cloudron", nonsense).contains("part-unavailable"), "{nonsense}");
    }
    assert!(ask(server, "nobody", r#""facts""#).contains("refused"), "the socket is closed to others");
    // A part of the server, as the interface may ask.
    let pid = || server.exec_ok("systemctl show -P MainPID cloudron-box");
    let before = pid();
    assert!(ask(server, "cloudron", r#"{"restart": {"part": "interface"}}"#).contains("done"));
    until("the interface is another process", Duration::from_secs(30), || (pid() != before).then_some(()));
    until("it answers", Duration::from_secs(30), || {
        (scene.laptop.run(&["machine", "status", DOMAIN]).code == 0).then_some(())
    });
    let status = scene.laptop.ok(&["machine", "status", DOMAIN]);
    assert!(status.stdout.contains("Debian GNU/Linux 12"), "{status}");
    // And the machine itself, which comes back with everything.
    assert!(ask(server, "cloudron", r#""reboot""#).contains("done"));
    until("the machine is off", Duration::from_secs(60), || (server.exec("true").code != 0).then_some(()));
    server.reboot();
    scene.back_up();
}
