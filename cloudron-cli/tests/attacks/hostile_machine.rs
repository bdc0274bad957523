//! A machine that was compromised, or was malicious from the start.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::machine_double::{Answer, DOMAIN, Machine};
use crate::{ESCAPED, HOSTILE, assert_clean, within};

const TIME: &str = "2026-11-30T12:00:00Z";
const LIMIT: Duration = Duration::from_secs(60);

fn status() -> Value {
    json!({ "version": "0.1.0", "activated": true, "provider": HOSTILE, "fqdn": HOSTILE, "adminFqdn": HOSTILE })
}

fn config() -> Value {
    let check = json!({ "name": HOSTILE, "ok": false, "message": HOSTILE });
    json!({
        "version": "0.1.0", "fqdn": HOSTILE, "adminFqdn": HOSTILE, "provider": HOSTILE, "update": null,
        "health": { "ok": false, "checks": [check] }, "retired": true,
        "backup": { "store": HOSTILE, "hour": 3, "last": TIME },
    })
}

fn job(state: &str) -> Value {
    let error = json!({ "status": 500, "message": HOSTILE, "code": HOSTILE, "hint": HOSTILE });
    json!({
        "id": "1", "kind": "backup", "state": state, "percent": 3, "message": HOSTILE, "error": error,
        "backupId": null, "createdAt": TIME, "startedAt": TIME, "finishedAt": null,
    })
}

fn event() -> Value {
    json!({
        "id": HOSTILE, "action": HOSTILE, "source": { "username": HOSTILE }, "data": { HOSTILE: HOSTILE },
        "creationTime": TIME,
    })
}

/// Answers with valid messages that contain the hostile text in every text field.
fn polite(path: &str) -> Answer {
    let path = path.split('?').next().unwrap();
    match path {
        "/api/v1/cloudron/status" => Answer::Json(200, status()),
        "/api/v1/cloudron/config" => Answer::Json(200, config()),
        "/api/v1/cloudron/progress" => Answer::Json(200, json!({ "backup": job("running") })),
        "/api/v1/backups" => Answer::Json(200, job("failed")),
        "/api/v1/eventlog" => {
            Answer::Json(200, json!({ "eventlogs": [event()], "page": 1, "perPage": 0, "total": 1 }))
        }
        "/api/v1/cloudron/logs" => {
            let line = json!({
                "time": TIME, "level": HOSTILE, "target": HOSTILE, "message": HOSTILE, "fields": { HOSTILE: HOSTILE },
            });
            // A log line is one line, whatever it contains.
            let raw = HOSTILE.replace('\n', " ");
            let mut body = format!("{line}\n{raw}\n").into_bytes();
            body.extend_from_slice(b"\x9b2J and \xff no text\r\n{\"cut\n{ \"a\": \"\xc2\x9b\" }\r\n");
            Answer::Body(body)
        }
        _ => rude(path),
    }
}

/// Answers every request with an error that contains the hostile text.
fn rude(_: &str) -> Answer {
    Answer::Json(500, json!({ "status": 500, "message": HOSTILE, "code": HOSTILE, "hint": HOSTILE }))
}

const COMMANDS: [&[&str]; 17] = [
    &["status"],
    &["eventlog"],
    &["eventlog", "--full"],
    &["logs"],
    &["backup", "create"],
    &["backup", "list"],
    &["backup", "verify"],
    &["backup", "download", "--repository", "copy"],
    &["include", "list"],
    &["setup-link"],
    &["start"],
    &["destroy", "--yes"],
    &["sessions"],
    &["sessions", "--all"],
    &["retire", "--yes"],
    &["reset-password", "--password", "env:PATH"],
    &["repair-database", "--yes"],
];

/// The commands that are run on the machine, besides `box token`.
const WORDS: [&str; 9] = [
    "include",
    "setup-link",
    "start",
    "uninstall",
    "sessions",
    "end-sessions",
    "retire",
    "reset-password",
    "repair-database",
];

fn command(machine: &Machine, words: &[&str], more: &[&str]) -> Command {
    let mut command = machine.home.command();
    let split = words.iter().position(|w| w.starts_with('-')).unwrap_or(words.len());
    command.arg("machine").args(&words[..split]).arg(DOMAIN).args(&words[split..]).args(more);
    command
}

/// Runs every command in both formats and with all traces.
fn all(machine: &Machine, shown: bool) {
    for words in COMMANDS {
        for more in [&[][..], &["--output", "json"], &["-vvv"]] {
            // An interrupted destruction is recorded, and would be the only error of later commands.
            machine.recorded();
            let output = within(LIMIT, &mut command(machine, words, more));
            let what = format!("{words:?} {more:?}");
            assert_clean(&what, &output);
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8(text).unwrap();
            assert!(!text.contains("panicked"), "{what}: {text}");
            let json = more.contains(&"json");
            let escaped = if json { "\\u001b]0;title" } else { ESCAPED };
            assert!(!shown || text.contains(escaped), "{what} shows nothing of the answer: {text}");
        }
    }
}

#[test]
fn nothing_that_a_machine_says_is_obeyed_by_the_terminal() {
    let machine = Machine::new(polite);
    let include = json!([{ "path": HOSTILE, "before": HOSTILE, "after": HOSTILE }]);
    let session = json!({
        "id": HOSTILE, "username": HOSTILE, "address": HOSTILE, "createdAt": TIME, "usedAt": TIME, "expiresAt": TIME,
        "current": false,
    });
    for (word, answer) in [
        ("include", include),
        ("setup-link", json!({ "token": HOSTILE, "page": HOSTILE, "expiresAt": TIME })),
        ("sessions", json!({ "sessions": [session] })),
        ("reset-password", json!({ "email": HOSTILE })),
        ("repair-database", json!({ "kept": false, "movedTo": HOSTILE, "setup": null })),
        ("start", json!({ "running": true, "pid": 1, "port": 1, "answer": status(), "problem": HOSTILE })),
        ("retire", json!({ "changed": true, "retired": true })),
    ] {
        machine.says(word, &answer.to_string(), HOSTILE);
    }
    all(&machine, false);
    for (words, more) in [
        (&["status"][..], &[][..]),
        (&["eventlog"], &[]),
        (&["logs"], &[]),
        (&["include", "list"], &[]),
        (&["setup-link"], &[]),
        (&["sessions"], &[]),
        (&["reset-password", "--password", "env:PATH"], &[]),
    ] {
        machine.recorded();
        let output = within(LIMIT, &mut command(&machine, words, more));
        assert!(String::from_utf8(output.stdout).unwrap().contains(ESCAPED), "{words:?}");
    }
    // The output is JSON lines with unchanged meaning, even for input that is not JSON.
    let output = within(LIMIT, &mut command(&machine, &["logs"], &["--output", "json"]));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["message"], HOSTILE);
    assert!(lines.iter().any(|l| l["a"] == "\u{9b}"), "{lines:?}");
}

#[test]
fn nothing_that_an_error_of_a_machine_says_is_obeyed_by_the_terminal() {
    let machine = Machine::new(rude);
    let error = json!({ "error": { "code": HOSTILE, "message": HOSTILE, "hint": HOSTILE } });
    for word in WORDS {
        machine.says(word, &error.to_string(), HOSTILE);
    }
    all(&machine, true);
}

#[test]
fn nothing_that_a_machines_program_leaves_on_standard_error_is_obeyed_by_the_terminal() {
    let machine = Machine::new(rude);
    for word in WORDS.into_iter().chain(["token"]) {
        machine.says(word, "", HOSTILE);
    }
    all(&machine, true);
    let list = within(LIMIT, machine.home.command().args(["machine", "list"]));
    assert_clean("list", &list);
}

/// Returns a command with a memory limit in MB, as set by `ulimit -v`.
fn limited(machine: &Machine, words: &[&str], megabytes: u32) -> Command {
    let program = command(machine, words, &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes * 1024)]);
    limited.arg(program.get_program()).args(program.get_args());
    limited.env_clear().envs(program.get_envs().filter_map(|(k, v)| Some((k, v?))));
    limited.current_dir(machine.home.dir());
    limited
}

#[test]
fn an_answer_that_never_ends_is_refused_in_bounded_memory() {
    let machine = Machine::new(|path| match path {
        "/api/v1/cloudron/status" => Answer::Endless(vec![b' '; 64 << 10]),
        _ => Answer::Endless(vec![b'"'; 64 << 10]),
    });
    for words in [&["status"][..], &["eventlog"], &["backup", "list"], &["backup", "create"]] {
        let output = within(LIMIT, &mut limited(&machine, words, 1024));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {text}");
        assert!(text.contains("more than 16777216 bytes"), "{words:?}: {text}");
    }
}

#[test]
fn a_log_without_line_ends_is_passed_on_in_bounded_memory_and_ends_when_told_to() {
    let machine = Machine::new(|_| Answer::Endless(vec![b'x'; 64 << 10]));
    let mut command = limited(&machine, &["logs", "-f"], 1024);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let begun = Instant::now();
    // Quadratic work would take minutes for this.
    std::io::copy(&mut std::io::Read::take(&mut out, 100 << 20), &mut std::io::sink()).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let reading = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let _ = reading.join();
    // The end of following is not an error, and prints no message.
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(130), ""));
}

#[test]
fn a_list_of_backups_that_never_ends_ends() {
    let backup = json!({
        "id": "backup_2026-11-24T03-00-00Z_v0.1.0", "creationTime": TIME, "version": "0.1.0", "files": 1,
        "bytes": 1, "added": 1, "sources": [],
    });
    let (many, few) = (vec![backup.clone(); 101], vec![backup; 1]);
    let page = |backups: &[Value]| {
        Answer::Json(200, json!({ "backups": backups, "page": 1, "perPage": 100, "total": u64::MAX }))
    };
    let machine = Machine::new(move |_| page(&many));
    let output = within(LIMIT, &mut command(&machine, &["backup", "list"], &[]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a page of 101 backups"));

    let page = move |backups: &[Value]| {
        Answer::Json(200, json!({ "backups": backups, "page": 1, "perPage": 100, "total": u64::MAX }))
    };
    let machine = Machine::new(move |_| page(&few));
    let output = within(LIMIT, &mut command(&machine, &["backup", "list"], &[]));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("more than 100000 backups"));
}

#[test]
fn a_command_that_waits_for_a_machine_ends_when_told_to() {
    for signal in [Signal::TERM, Signal::INT] {
        let machine = Machine::new(|_| {
            std::thread::sleep(Duration::from_secs(600));
            Answer::Body(Vec::new())
        });
        for words in [&["status"][..], &["backup", "list"], &["eventlog"], &["logs"], &["backup", "create"]] {
            let mut command = command(&machine, words, &[]);
            let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(700));
            let (begun, pid) = (Instant::now(), Pid::from_child(&child));
            kill_process(pid, signal).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(130), "{words:?}");
            assert!(begun.elapsed() < Duration::from_secs(15), "{words:?}: {:?}", begun.elapsed());
        }
    }
}
